"""Write a registry state into the derived rows, by the difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection

from indexer import index_rows
from indexer.bulk import Row, Table, write_difference
from indexer.core import state as core
from indexer.models import Repository

BELOW = (  # tables of rows below an artifact, children first
    index_rows.HOLDERS,
    index_rows.VERSIONS,
    index_rows.ANNOTATIONS,
    index_rows.LABELS,
    index_rows.EVENTS,
)
PLACES = Table(index_rows.EVENTS.model, ("artifact", "tag_id", "position"))
POSITIONS = Table(index_rows.EVENTS.model, ("position",))
# Counted at the end of every ingest. As text: Django takes longer to make such queries
# than the database to answer them.
TOTALS = """
SELECT count(*), count(*) FILTER (WHERE "type" IN ('model', '')),
  coalesce(sum("version_count"), 0), coalesce(sum("event_count"), 0),
  (SELECT count(*) FROM "indexer_problem" WHERE "repository_id" = %s)
FROM "indexer_artifact" WHERE "repository_id" = %s"""
FACETS = """
SELECT 'type', "type", count(*) FROM "indexer_artifact"
  WHERE "repository_id" = %s GROUP BY "type"
UNION ALL
SELECT 'label', "label", count(*) FROM "indexer_artifactlabel" AS l
  JOIN "indexer_artifact" AS a ON a."id" = l."artifact_id"
  WHERE a."repository_id" = %s GROUP BY "label"
UNION ALL
SELECT 'stage', "stage", count(*) FROM "indexer_stageholder" AS h
  JOIN "indexer_artifact" AS a ON a."id" = h."artifact_id"
  WHERE a."repository_id" = %s AND h."rank" = 0 GROUP BY "stage"
"""


@dataclass(frozen=True, slots=True)
class WriteCounts:
    """What writing a state changed."""

    new_events: int
    gone_events: int
    changed_artifacts: int


def write_state(
    repository: Repository,
    state: core.RegistryState,
    *,
    only: Collection[str] | None = None,
    kept: Mapping[str, int] | None = None,
) -> WriteCounts:
    """Make the derived rows those of `state`, in the caller's transaction.

    `only`: names of artifacts of which `state` knows every tag; all other artifacts
    and all problems are left as they are. `kept`: where events of theirs stand, by tag
    object, in seconds that they share with other artifacts' (additions.py)."""
    artifacts = list(state.artifacts.values())
    if only is not None:
        artifacts = [artifact for artifact in artifacts if artifact.name in only]
    problem_counts = Counter(one.artifact for one in state.problems)
    existing = {
        row[2]: row
        for row in index_rows.ARTIFACTS.select('"repository_id" = %s', [repository.pk])
        if only is None or row[2] in only
    }
    place = 1 + index_rows.ARTIFACTS.columns.index("digest")
    digests = {row[2]: row[place] for row in existing.values()}

    wanted: dict[str, Row] = {}
    changed: dict[str, core.Artifact] = {}
    for artifact in artifacts:
        digest = index_rows.digest(artifact, state.reading)
        row = index_rows.artifact_row(
            artifact,
            repository_id=repository.pk,
            repository_name=repository.name,
            artifact_digest=digest,
            problem_count=problem_counts[artifact.name],
        )
        name = row[2]
        wanted[name] = row
        if digests.get(name) != digest:
            changed[name] = artifact
    gone = {name: row[0] for name, row in existing.items() if name not in wanted}
    for table in BELOW:
        table.delete(list(gone.values()), "artifact_id")
    _forget_problems_of(gone.values())
    ids = {name: row[0] for name, row in existing.items() if name in wanted}
    new = [name for name in wanted if name not in ids]
    ids.update(zip(new, index_rows.ARTIFACTS.reserve(len(new)), strict=True))
    write_difference(
        index_rows.ARTIFACTS,
        existing,
        {name: (ids[name], *row[1:]) for name, row in wanted.items()},
    )
    position_of = index_rows.positions(state.events) | dict(kept or {})
    new_events, gone_events = _write_below(repository.pk, changed, ids, position_of)
    same = [
        ids[one.name] for one in artifacts if one.events and one.name not in changed
    ]
    _write_positions(repository.pk, same, position_of)
    if only is None:
        _write_problems(repository.pk, state, ids)
    _write_facets(repository.pk)
    return WriteCounts(new_events, gone_events, len(changed) + len(gone))


def totals(repository_id: int) -> dict[str, int]:
    """How much a repository holds, for its row. One query."""
    with connection.cursor() as cursor:
        cursor.execute(TOTALS, [repository_id, repository_id])
        numbers = cursor.fetchone()
    names = ("artifact", "model", "version", "event", "problem")
    return {
        f"{name}_count": int(number)
        for name, number in zip(names, numbers, strict=True)
    }


def _write_problems(
    repository_id: int, state: core.RegistryState, ids: Mapping[str, int]
) -> None:
    rows = index_rows.PROBLEMS.select('"repository_id" = %s', [repository_id])
    write_difference(
        index_rows.PROBLEMS,
        {row[3:]: row for row in rows},
        index_rows.problem_rows(state.problems, repository_id, ids),
    )


def _write_facets(repository_id: int) -> None:
    """Count what the filters offer, from the rows as they are now."""
    with connection.cursor() as cursor:
        cursor.execute(FACETS, [repository_id] * 3)
        counted = cursor.fetchall()
    wanted: dict[Any, Row] = {
        (kind, value): (None, repository_id, kind, value, count)
        for kind, value, count in counted
    }
    rows = index_rows.FACETS.select('"repository_id" = %s', [repository_id])
    write_difference(index_rows.FACETS, {row[2:4]: row for row in rows}, wanted)


def _write_below(
    repository_id: int,
    changed: Mapping[str, core.Artifact],
    ids: Mapping[str, int],
    position_of: Mapping[str, int],
) -> tuple[int, int]:
    """Write the rows below the artifacts that changed. Returns how many events are
    new and how many are gone."""
    changed_ids = [ids[name] for name in changed]

    before = _below(index_rows.ANNOTATIONS, changed_ids, slice(1, 3))
    wanted: dict[Any, Row] = {}
    for name, artifact in changed.items():
        wanted.update(index_rows.annotation_rows(artifact, ids[name]))
    annotation_ids = _write_with_ids(index_rows.ANNOTATIONS, before, wanted)

    before = _below(index_rows.VERSIONS, changed_ids, slice(1, 4))
    wanted = {}
    for name, artifact in changed.items():
        wanted.update(index_rows.version_rows(artifact, ids[name], annotation_ids))
    version_ids = _write_with_ids(index_rows.VERSIONS, before, wanted)

    before = {
        (row[1], row[3], row[4]): row
        for row in index_rows.HOLDERS.select_in("artifact_id", changed_ids)
    }
    wanted = {}
    for name, artifact in changed.items():
        wanted.update(index_rows.holder_rows(artifact, ids[name], version_ids))
    write_difference(index_rows.HOLDERS, before, wanted)

    before = _below(index_rows.LABELS, changed_ids, slice(1, 3))
    wanted = {}
    for name, artifact in changed.items():
        wanted.update(index_rows.label_rows(artifact, ids[name]))
    write_difference(index_rows.LABELS, before, wanted)

    before = _below(index_rows.EVENTS, changed_ids, slice(15, 16))
    wanted = {}
    for name, artifact in changed.items():
        wanted.update(
            index_rows.event_rows(
                artifact.events,
                repository_id=repository_id,
                artifact_id=ids[name],
                position_of=position_of,
            )
        )
    added, _, removed = write_difference(index_rows.EVENTS, before, wanted)
    return added, removed


def _below(table: Table, artifact_ids: list[int], key: slice) -> dict[Any, Row]:
    """The rows of some artifacts by some of their columns."""
    return {row[key]: row for row in table.select_in("artifact_id", artifact_ids)}


def _write_with_ids(
    table: Table, existing: dict[Any, Row], wanted: dict[Any, Row]
) -> dict[Any, int]:
    """`write_difference` that gives the id of each wanted row by its key."""
    ids: dict[Any, int] = {
        key: row[0] for key, row in existing.items() if key in wanted
    }
    new = [key for key in wanted if key not in ids]
    ids.update(zip(new, table.reserve(len(new)), strict=True))
    write_difference(
        table, existing, {key: (ids[key], *row[1:]) for key, row in wanted.items()}
    )
    return ids


def _write_positions(
    repository_id: int, artifact_ids: Collection[int], position_of: Mapping[str, int]
) -> None:
    """Where the events of these artifacts stand within their seconds. What happens to
    other artifacts shifts them: an event that comes or goes, or a tag by which another
    artifact is read before this one."""
    if not artifact_ids:
        return
    wanted = set(artifact_ids)
    rows = PLACES.select('"repository_id" = %s', [repository_id])
    POSITIONS.update(
        [
            (row_id, position_of.get(tag_id, 0))
            for row_id, artifact_id, tag_id, position in rows
            if artifact_id in wanted and position != position_of.get(tag_id, 0)
        ]
    )


def _forget_problems_of(artifact_ids: Collection[int]) -> None:
    """Problems outlive the artifact they concern; foreign keys must not."""
    table = Table(index_rows.PROBLEMS.model, ("artifact",))
    rows = table.select_in("artifact_id", list(artifact_ids))
    table.update([(row[0], None) for row in rows])
