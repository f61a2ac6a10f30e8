"""Rows as plain JSON trees: what the API answers and exports hold, in one shape.

Times are ISO 8601 in UTC with a `Z`; None where there is none. Texts are never null:
what Git does not say is "".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

from indexer.catalog import CatalogRow
from indexer.core.snapshot import Instant, Json
from indexer.gone_tags import not_counted
from indexer.models import (
    Artifact,
    Event,
    Problem,
    Repository,
    StageHolder,
    Tag,
    Version,
)

Record = dict[str, Json]


def moment(at: datetime | None) -> str | None:
    """A time in UTC: `2026-01-31T12:00:00Z`."""
    if at is None:
        return None
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def local_moment(at: datetime | None, offset: int) -> str | None:
    """A time on the clock of whoever wrote the tag, `offset` minutes east of UTC (a
    day or more is no time zone: UTC then)."""
    if at is None:
        return None
    zone = timezone(timedelta(minutes=offset)) if abs(offset) < 24 * 60 else UTC
    return at.astimezone(zone).isoformat()


def person(name: str, email: str) -> Record:
    """Who wrote a tag or commit."""
    return {"name": name, "email": email}


def repository_record(repository: Repository) -> Record:
    """A repository; its address never holds credentials."""
    return {
        "name": repository.name,
        "url": repository.url,
        "web_url": repository.web_url,
        "description": repository.description,
        "provider": repository.provider,
        "state": repository.state,
        "message": repository.message,
        "enabled": repository.is_enabled,
        "default_branch": repository.default_branch,
        "head": repository.head,
        "stage_order": repository.stage_order,
        "reading": repository.stage_reading.value,
        "artifact_count": repository.artifact_count,
        "model_count": repository.model_count,
        "tag_count": repository.tag_count,
        "problem_count": repository.problem_count,
        "added_at": moment(repository.added_at),
        "last_crawl_at": moment(repository.last_crawl_at),
        "last_success_at": moment(repository.last_success_at),
    }


def problem_record(problem: Problem) -> Record:
    """Input that could not be read, with its place."""
    return {
        "code": problem.code,
        "text": problem.text,
        "artifact": problem.artifact_name,
        "tag": problem.tag,
        "path": problem.path,
        "line": problem.line,
        "commit": problem.commit_id,
    }


def holder_record(holder: StageHolder) -> Record:
    """A version that holds a stage. Reads its version."""
    return {
        "version": holder.version.name,
        "commit": holder.version.commit_id,
        "at": moment(holder.assigned_at),
        "by": person(holder.author_name, holder.author_email),
        "message": holder.message,
        "tag": holder.tag,
    }


def model_record(row: CatalogRow) -> Record:
    """An artifact of any type, with who holds its stages."""
    artifact = row.artifact
    return {
        "repository": row.repository.name,
        "name": artifact.name,
        "type": artifact.type,
        "description": artifact.description,
        "labels": artifact.labels,
        "path": artifact.path,
        "source": artifact.source,
        "annotated": artifact.is_annotated,
        "registered": artifact.is_registered,
        "deprecated": not artifact.is_active,
        "latest": latest_record(artifact),
        "stages": {
            stage: [holder_record(holder) for holder in holders]
            for stage, holders in row.stages.items()
        },
        "last_event_at": moment(artifact.last_event_at),
        "last_assignment_at": moment(artifact.last_assignment_at),
        "version_count": artifact.version_count,
        "event_count": artifact.event_count,
        "problem_count": artifact.problem_count,
    }


def latest_record(artifact: Artifact) -> Record | None:
    """The greatest active registered version, None where there is none."""
    if not artifact.latest_version:
        return None
    return {
        "version": artifact.latest_version,
        "commit": artifact.latest_commit_id,
        "at": moment(artifact.latest_at),
        "by": artifact.latest_by,
    }


def version_record(version: Version, stages: list[str]) -> Record:
    """A version with the stages it holds, and what the registry files said at its
    commit. Reads its annotation."""
    annotation = version.annotation
    return {
        "version": version.name,
        "commit": version.commit_id,
        "active": version.is_active,
        "registered": version.is_registered,
        # As gto means it: no tag registered or deregistered it.
        "discovered": version.name == version.commit_id,
        "created_at": moment(version.created_at),
        "activated_at": moment(version.activated_at),
        "by": person(version.author_name, version.author_email),
        "message": version.message,
        "tag": version.ref if version.is_registered else "",
        "stages": list(stages),
        "annotation": None
        if annotation is None
        else {
            "source": annotation.source,
            "path": annotation.path,
            "type": annotation.type,
            "description": annotation.description,
            "labels": annotation.labels,
            "meta": annotation.meta,
        },
    }


def event_record(event: Event, *, through_muster: bool) -> Record:
    """Something that happened, and whether it was asked for through Muster. Reads its
    artifact and that one's repository."""
    return {
        "at": moment(event.at),
        "local": local_moment(event.at, event.offset),
        "repository": event.artifact.repository.name,
        "artifact": event.artifact.name,
        "event": event.kind,
        "version": event.version,
        "stage": event.stage,
        "by": person(event.author_name, event.author_email),
        "message": event.message,
        "commit": event.commit_id,
        "tag": event.tag,
        "tag_object": event.tag_id,
        "through_muster": through_muster,
    }


def not_counted_record(gone: Sequence[Tag]) -> Record | None:
    """Tags that an answer as of a time leaves out because they are gone since."""
    if not gone:
        return None
    return {
        "detail": not_counted(gone),
        "tags": [
            {
                "tag": tag.name,
                "at": moment(_tagged(tag)),
                "by": person(tag.tagger_name, tag.tagger_email),
                "message": tag.message,
                "gone_at": moment(tag.gone_at),
                "moved": tag.replaced_by_id is not None,
            }
            for tag in gone
        ],
    }


def _tagged(tag: Tag) -> datetime | None:
    return None if tag.tagged_seconds is None else Instant(tag.tagged_seconds).utc
