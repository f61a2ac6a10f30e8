"""Write what a snapshot means: the difference between it and the rows there are.

One transaction, which begins by naming the lease: a worker that lost it (it slept, or
its machine did) writes nothing, and readers see the old index or the new one, never
half. An artifact whose input has not changed is left alone, by its digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from indexer import index_rows, limits
from indexer.bulk import Table
from indexer.core import state as core
from indexer.core.snapshot import RepositorySnapshot
from indexer.index_write import WriteCounts, totals, write_state
from indexer.models import Repository
from indexer.snapshot_rows import (
    COMMITS,
    DOCUMENTS,
    FILE_SETS,
    SNAPSHOTS,
    StoredSnapshot,
    TagCounts,
    load_rows,
    write_branches,
    write_snapshot,
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
        written = write_state(repository, state)
        fields = {
            "default_branch": limits.name(snapshot.default_branch),
            "head": limits.object_id(snapshot.head),
            "stage_order": [limits.name(stage) for stage in state.stage_order],
            "has_stage_list": state.has_stage_list,
            "tag_count": tags.total,
            **totals(repository.pk),
        }
        Repository.objects.filter(pk=repository.pk).update(**fields)
    return counts_of(repository, fields, tags, written)


def ingest_branches(
    repository: Repository,
    branches: Mapping[str, str],
    *,
    lease_id: UUID,
    fingerprint: str,
) -> IngestCounts:
    """Write the branches of a listing that differs in nothing else, whole or not at
    all. Raises LeaseLost."""
    with transaction.atomic():
        fence(repository.pk, lease_id, fingerprint=fingerprint)
        write_branches(repository.pk, branches)
    return counts_of(repository, {}, TagCounts(), WriteCounts(0, 0, 0))


def counts_of(
    repository: Repository,
    fields: Mapping[str, Any],
    tags: TagCounts,
    written: WriteCounts,
) -> IngestCounts:
    """What an ingest wrote, and the repository brought up to date with it."""
    for name, value in fields.items():
        setattr(repository, name, value)
    return IngestCounts(
        tags=repository.tag_count,
        new_tags=tags.new,
        moved_tags=tags.moved,
        gone_tags=tags.gone,
        artifacts=repository.artifact_count,
        models=repository.model_count,
        versions=repository.version_count,
        events=repository.event_count,
        problems=repository.problem_count,
        new_events=written.new_events,
        gone_events=written.gone_events,
        changed_artifacts=written.changed_artifacts,
    )


def fence(repository_id: int, lease_id: UUID, **fields: object) -> None:
    """Go on only while the lease is ours, and keep others from taking it until the
    transaction ends: the row is locked from here. Raises LeaseLost."""
    held = Repository.objects.filter(pk=repository_id, lease_id=lease_id)
    if not held.update(lease_id=lease_id, **fields):
        raise LeaseLost(f"The lease of repository {repository_id} is another's.")


def drop_index(repository_id: int) -> None:
    """Delete what a crawl can make again, inside the caller's transaction: all but the
    memory of tags."""
    drop_derived(repository_id)
    for table in (SNAPSHOTS, DOCUMENTS, COMMITS, FILE_SETS):
        table.delete([repository_id], "repository_id")


def drop_derived(repository_id: int) -> None:
    """Delete what the rows mean, inside the caller's transaction, and keep what was
    seen. Table by table: Django would first load every row."""
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
    ):
        table.delete([repository_id], "repository_id")
