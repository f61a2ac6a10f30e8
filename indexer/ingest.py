"""Write what a snapshot means: the difference between it and the rows there are.

One transaction, which begins by naming the lease: a worker that lost it (it slept, or
its machine did) writes nothing, and readers see the old index or the new one, never
half. An artifact whose input has not changed is left alone, by its digest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from indexer import index_rows, limits
from indexer.bulk import Row, Table, write_difference
from indexer.core import state as core
from indexer.core.snapshot import RepositorySnapshot
from indexer.models import Repository
from indexer.snapshot_rows import (
    COMMITS,
    DOCUMENTS,
    FILE_SETS,
    SNAPSHOTS,
    StoredSnapshot,
    load_rows,
    write_snapshot,
)

BELOW = (  # tables of rows below an artifact, children first
    index_rows.HOLDERS,
    index_rows.VERSIONS,
    index_rows.ANNOTATIONS,
    index_rows.LABELS,
    index_rows.EVENTS,
)


class LeaseLost(Exception):
    """Another worker holds the repository: nothing was written."""


@dataclass(frozen=True, slots=True)
class IngestCounts:
    """What there is after an ingest, and what it changed."""

    tags: int = 0
    new_tags: int = 0
    moved_tags: int = 0
    gone_tags: int = 0
    artifacts: int = 0
    models: int = 0
    versions: int = 0
    events: int = 0
    new_events: int = 0
    gone_events: int = 0
    problems: int = 0
    changed_artifacts: int = 0

    def as_json(self) -> dict[str, int]:
        """For Crawl.counts."""
        return asdict(self)


def ingest(
    repository: Repository,
    snapshot: RepositorySnapshot,
    *,
    lease_id: UUID,
    now: datetime,
    stored: StoredSnapshot | None = None,
    fingerprint: str = "",
    afresh: bool = False,
) -> IngestCounts:
    """Make the repository's rows those of `snapshot`, whole or not at all.

    `stored` is what `load_rows` gave since the lease was taken, if it was asked.
    `afresh` drops the rows first, all but the memory of tags. Raises LeaseLost;
    ValueError for an incomplete snapshot, from which nothing may be concluded to be
    gone."""
    if not snapshot.complete:
        raise ValueError("Only a complete snapshot may be ingested.")
    reading = repository.stage_reading
    if stored is None:
        stored = load_rows(repository.pk)
    state = core.build_state(snapshot, reading=reading)
    with transaction.atomic():
        fence(repository.pk, lease_id, fingerprint=fingerprint)
        if afresh:
            drop_index(repository.pk)
            stored = StoredSnapshot(tags=stored.tags)
        tags = write_snapshot(
            repository.pk,
            stored,
            snapshot,
            now=now,
            last_seen=repository.last_success_at,
        )
        counts = _write_state(repository, state)
        fields = {
            "default_branch": limits.name(snapshot.default_branch),
            "head": limits.object_id(snapshot.head),
            "stage_order": [limits.name(stage) for stage in state.stage_order],
            "has_stage_list": state.has_stage_list,
            "artifact_count": counts["artifacts"],
            "model_count": counts["models"],
            "tag_count": tags.total,
            "version_count": counts["versions"],
            "event_count": counts["events"],
            "problem_count": counts["problems"],
        }
        Repository.objects.filter(pk=repository.pk).update(**fields)
    for name, value in fields.items():
        setattr(repository, name, value)
    return IngestCounts(
        tags=tags.total,
        new_tags=tags.new,
        moved_tags=tags.moved,
        gone_tags=tags.gone,
        **counts,
    )


def fence(repository_id: int, lease_id: UUID, **fields: object) -> None:
    """Go on only while the lease is ours, and keep others from taking it until the
    transaction ends: the row is locked from here. Raises LeaseLost."""
    held = Repository.objects.filter(pk=repository_id, lease_id=lease_id)
    if not held.update(lease_id=lease_id, **fields):
        raise LeaseLost(f"The lease of repository {repository_id} is another's.")


def drop_index(repository_id: int) -> None:
    """Delete what a crawl can make again, inside the caller's transaction: all but the
    memory of tags. Table by table: Django would first load every row."""
    artifact_ids = [
        row[0]
        for row in Table(index_rows.ARTIFACTS.model, ("name",)).select(
            '"repository_id" = %s', [repository_id]
        )
    ]
    for table in (
        index_rows.HOLDERS,
        index_rows.VERSIONS,
        index_rows.ANNOTATIONS,
        index_rows.LABELS,
    ):
        table.delete(artifact_ids, "artifact_id")
    for table in (
        index_rows.EVENTS,
        index_rows.PROBLEMS,
        index_rows.FACETS,
        index_rows.ARTIFACTS,
        SNAPSHOTS,
        DOCUMENTS,
        COMMITS,
        FILE_SETS,
    ):
        table.delete([repository_id], "repository_id")


def _write_state(repository: Repository, state: core.RegistryState) -> dict[str, int]:
    """Write the derived rows. Returns counts for IngestCounts."""
    artifacts = list(state.artifacts.values())
    problem_counts = Counter(one.artifact for one in state.problems)
    existing = {
        row[2]: row
        for row in index_rows.ARTIFACTS.select('"repository_id" = %s', [repository.pk])
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
    new_events, gone_events = _write_below(repository.pk, state, changed, ids)
    write_difference(
        index_rows.PROBLEMS,
        {
            row[3:]: row
            for row in index_rows.PROBLEMS.select(
                '"repository_id" = %s', [repository.pk]
            )
        },
        problem_rows := index_rows.problem_rows(state.problems, repository.pk, ids),
    )
    write_difference(
        index_rows.FACETS,
        {
            row[2:4]: row
            for row in index_rows.FACETS.select('"repository_id" = %s', [repository.pk])
        },
        index_rows.facet_rows(artifacts, repository.pk),
    )
    type_place = 1 + index_rows.ARTIFACTS.columns.index("type")
    version_place = 1 + index_rows.ARTIFACTS.columns.index("version_count")
    return {
        "artifacts": len(wanted),
        "models": sum(row[type_place] in ("model", "") for row in wanted.values()),
        "versions": sum(row[version_place] for row in wanted.values()),
        "events": len(state.events),
        "new_events": new_events,
        "gone_events": gone_events,
        "problems": len(problem_rows),
        "changed_artifacts": len(changed) + len(gone),
    }


def _write_below(
    repository_id: int,
    state: core.RegistryState,
    changed: Mapping[str, core.Artifact],
    ids: Mapping[str, int],
) -> tuple[int, int]:
    """Write the rows below the artifacts that changed. Returns how many events are
    new and how many are gone."""
    changed_ids = [ids[name] for name in changed]
    position_of = index_rows.positions(state.events)

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
    seconds = {
        row[8]
        for key, row in (*before.items(), *wanted.items())
        if (key in before) != (key in wanted)
    }
    _correct_positions(repository_id, seconds, set(changed_ids), position_of)
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


def _correct_positions(
    repository_id: int,
    seconds: Iterable[int],
    written: Collection[int],
    position_of: Mapping[str, int],
) -> None:
    """An event that came or went shifts those of the same second, which may belong to
    artifacts that did not change themselves."""
    table = Table(index_rows.EVENTS.model, ("position",))
    wrong = []
    rows = index_rows.EVENTS.select_in(
        "at_key", sorted(seconds), f'"repository_id" = {int(repository_id)}'
    )
    for row in rows:
        position = position_of.get(row[15], 0)
        if row[2] not in written and row[10] != position:
            wrong.append((row[0], position))
    table.update(wrong)


def _forget_problems_of(artifact_ids: Collection[int]) -> None:
    """Problems outlive the artifact they concern; foreign keys must not."""
    table = Table(index_rows.PROBLEMS.model, ("artifact",))
    rows = table.select_in("artifact_id", list(artifact_ids))
    table.update([(row[0], None) for row in rows])
