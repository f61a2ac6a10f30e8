"""What the rows of the index hold: a registry state turned into tuples.

Pure functions, one per table, each beside its columns; `indexer/ingest.py` compares
them with the rows there are. Row tuples begin with the id, None while it is open.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

from indexer import limits
from indexer.bulk import Row, Table
from indexer.core import state as core
from indexer.core.events import Event, EventKind
from indexer.core.snapshot import Instant, Problem
from indexer.core.versions import sort_key
from indexer.models import (
    Annotation,
    Artifact,
    ArtifactLabel,
    RepositoryFacet,
    StageHolder,
    Version,
)
from indexer.models import Event as EventRow
from indexer.models import Problem as ProblemRow

# Part of every digest and fingerprint: raise it whenever rows of the same input would
# come out otherwise, and every repository is indexed anew at its next crawl.
INDEX_VERSION = 2

ARTIFACTS = Table(
    Artifact,
    (
        "repository",
        "name",
        "type",
        "path",
        "description",
        "labels",
        "source",
        "is_annotated",
        "is_active",
        "is_registered",
        "only_dvc_yaml",
        "digest",
        "search",
        "name_key",
        "repository_key",
        "latest_version",
        "latest_key",
        "latest_commit_id",
        "latest_at",
        "latest_by",
        "last_event_at",
        "last_event_key",
        "last_assignment_at",
        "last_assignment_key",
        "version_count",
        "event_count",
        "problem_count",
    ),
)
ANNOTATIONS = Table(
    Annotation,
    (
        "artifact",
        "commit_id",
        "source",
        "path",
        "type",
        "description",
        "labels",
        "meta",
    ),
)
LABELS = Table(ArtifactLabel, ("artifact", "label"))
VERSIONS = Table(
    Version,
    (
        "artifact",
        "name",
        "commit_id",
        "peeled_id",
        "rank",
        "is_active",
        "is_registered",
        "is_discovered",
        "created_at",
        "created_offset",
        "activated_at",
        "author_name",
        "author_email",
        "message",
        "ref",
        "annotation",
    ),
)
HOLDERS = Table(
    StageHolder,
    (
        "artifact",
        "version",
        "stage",
        "rank",
        "assigned_at",
        "assigned_offset",
        "author_name",
        "author_email",
        "message",
        "tag",
    ),
)
EVENTS = Table(
    EventRow,
    (
        "repository",
        "artifact",
        "kind",
        "version",
        "stage",
        "commit_id",
        "at",
        "at_key",
        "offset",
        "position",
        "author_name",
        "author_email",
        "message",
        "tag",
        "tag_id",
    ),
)
PROBLEMS = Table(
    ProblemRow,
    (
        "repository",
        "artifact",
        "artifact_name",
        "code",
        "text",
        "tag",
        "path",
        "line",
        "commit_id",
    ),
)
FACETS = Table(RepositoryFacet, ("repository", "kind", "value", "count"))

Key = tuple[object, ...]


def digest(artifact: core.Artifact, reading: core.Reading) -> str:
    """Equal when the rows below an artifact (versions, holders, events, annotations,
    labels) are: what it was folded from, how, and by which Muster."""
    return sha256(f"{INDEX_VERSION}\0{reading}\0{artifact.digest}".encode()).hexdigest()


def positions(events: Sequence[Event]) -> dict[str, int]:
    """Where events (newest first) stand among those of the same second, by tag id;
    the oldest, at 0, are left out. A new event leaves those of other seconds where
    they are, unless it changes the order in which artifacts or versions are read."""
    out: dict[str, int] = {}
    second: int | None = None
    count = 0
    for event in reversed(events):
        key = limits.moment_key(event.at)
        count = count + 1 if key == second else 0
        second = key
        if count:
            out[event.tag_id] = count
    return out


def shown_annotation(artifact: core.Artifact) -> core.Annotation | None:
    """What is said of the artifact as a whole: at the head, or, where the head no
    longer annotates it, at its latest version."""
    if artifact.annotation is not None:
        return artifact.annotation
    return artifact.latest.annotation if artifact.latest else None


def artifact_row(
    artifact: core.Artifact,
    *,
    repository_id: int,
    repository_name: str,
    artifact_digest: str,
    problem_count: int,
) -> Row:
    """The row of ARTIFACTS, id open."""
    events = artifact.events
    name = limits.name(artifact.name)
    shown = shown_annotation(artifact)
    description = limits.text(shown.description) if shown else ""
    labels = [limits.name(label) for label in shown.labels] if shown else []
    latest = artifact.latest
    last = next((one.at for one in events if one.at is not None), None)
    assigned = next(
        (
            one.at
            for one in events
            if one.kind is EventKind.ASSIGNMENT and one.at is not None
        ),
        None,
    )
    search = "\n".join((name, repository_name, description, *labels)).casefold()
    return (
        None,
        repository_id,
        name,
        limits.name(shown.type) if shown else "",
        limits.text(shown.path) if shown else "",
        description,
        limits.json_text(labels),
        limits.text(shown.source) if shown else "",
        artifact.annotation is not None,
        artifact.is_active,
        artifact.is_registered,
        artifact.only_dvc_yaml,
        artifact_digest,
        search[: limits.SEARCH_LENGTH],
        limits.sort_key(name),
        limits.sort_key(repository_name),
        limits.name(latest.name) if latest else "",
        sort_key(latest.name)[: limits.KEY_LENGTH] if latest else "",
        limits.object_id(latest.commit_id) if latest else "",
        limits.moment(latest.created_at) if latest else None,
        limits.text(latest.author.name or latest.author.email) if latest else "",
        limits.moment(last),
        limits.moment_key(last),
        limits.moment(assigned),
        limits.moment_key(assigned),
        sum(version.is_registered for version in artifact.versions),
        len(events),
        problem_count,
    )


def annotations_by_commit(artifact: core.Artifact) -> dict[str, core.Annotation]:
    """The annotations of an artifact that are kept: at its versions, and at the head
    under "", for the head moves without a change of the artifact."""
    found = {
        version.commit_id: version.annotation
        for version in artifact.versions
        if version.annotation is not None
    }
    if artifact.annotation is not None:
        found[""] = artifact.annotation
    return found


def annotation_rows(artifact: core.Artifact, artifact_id: int) -> dict[Key, Row]:
    """Rows of ANNOTATIONS by (artifact, commit)."""
    rows: dict[Key, Row] = {}
    for commit_id, one in annotations_by_commit(artifact).items():
        commit_id = limits.object_id(commit_id)
        rows[(artifact_id, commit_id)] = (
            None,
            artifact_id,
            commit_id,
            limits.text(one.source),
            limits.text(one.path),
            limits.name(one.type),
            limits.text(one.description),
            limits.json_text([limits.name(label) for label in one.labels]),
            None if one.meta is None else limits.json_text(one.meta),
        )
    return rows


def label_rows(artifact: core.Artifact, artifact_id: int) -> dict[Key, Row]:
    """Rows of LABELS by (artifact, label)."""
    shown = shown_annotation(artifact)
    return {
        (artifact_id, label): (None, artifact_id, label)
        for label in map(limits.name, shown.labels if shown else ())
    }


def version_rows(
    artifact: core.Artifact, artifact_id: int, annotation_ids: Mapping[Key, int]
) -> dict[Key, Row]:
    """Rows of VERSIONS by (artifact, name, commit)."""
    rows: dict[Key, Row] = {}
    for rank, version in enumerate(artifact.versions):
        name = limits.name(version.name)
        commit_id = limits.object_id(version.commit_id)
        rows[(artifact_id, name, commit_id)] = (
            None,
            artifact_id,
            name,
            commit_id,
            limits.object_id(version.peeled_id or version.commit_id),
            rank,
            version.is_active,
            version.is_registered,
            version.is_discovered,
            limits.moment(version.created_at),
            _offset(version.created_at),
            limits.moment(version.activated_at),
            limits.text(version.author.name),
            limits.text(version.author.email),
            limits.text(version.message),
            limits.text(version.ref),
            annotation_ids.get((artifact_id, commit_id)),
        )
    return rows


def holder_rows(
    artifact: core.Artifact, artifact_id: int, version_ids: Mapping[Key, int]
) -> dict[Key, Row]:
    """Rows of HOLDERS by (artifact, stage, rank)."""
    rows: dict[Key, Row] = {}
    for stage, holders in artifact.stages.items():
        stage = limits.name(stage)
        for rank, holder in enumerate(holders):
            version = (
                artifact_id,
                limits.name(holder.version),
                limits.object_id(holder.commit_id),
            )
            event = holder.event
            rows[(artifact_id, stage, rank)] = (
                None,
                artifact_id,
                version_ids[version],
                stage,
                rank,
                limits.moment(event.at),
                _offset(event.at),
                limits.text(event.author.name),
                limits.text(event.author.email),
                limits.text(event.message),
                limits.text(event.tag),
            )
    return rows


def event_rows(
    events: Iterable[Event],
    *,
    repository_id: int,
    artifact_id: int,
    position_of: Mapping[str, int],
) -> dict[Key, Row]:
    """Rows of EVENTS by tag object."""
    return {
        (limits.object_id(event.tag_id),): (
            None,
            repository_id,
            artifact_id,
            event.kind.value,
            limits.name(event.version or ""),
            limits.name(event.stage or ""),
            limits.object_id(event.commit_id),
            limits.moment(event.at),
            limits.moment_key(event.at),
            _offset(event.at),
            position_of.get(event.tag_id, 0),
            limits.text(event.author.name),
            limits.name(event.author.email, limits.EMAIL_LENGTH),
            limits.text(event.message),
            limits.text(event.tag),
            limits.object_id(event.tag_id),
        )
        for event in events
    }


def problem_rows(
    problems: Iterable[Problem], repository_id: int, artifact_ids: Mapping[str, int]
) -> dict[Key, Row]:
    """Rows of PROBLEMS by all they say: equal ones are one."""
    rows: dict[Key, Row] = {}
    for one in problems:
        artifact = limits.name(one.artifact)
        said = (
            artifact,
            limits.name(one.code, 64),
            limits.text(one.text),
            limits.text(one.tag),
            limits.text(one.path),
            None if one.line is None else max(0, limits.whole(one.line)),
            limits.object_id(one.commit_id),
        )
        rows[said] = (None, repository_id, artifact_ids.get(artifact), *said)
    return rows


def _offset(at: Instant | None) -> int:
    return 0 if at is None else limits.whole(at.offset)
