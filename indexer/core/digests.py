"""One SHA-256 per artifact over all that its rows are made of: equal digests, equal
rows, so that a crawl writes nothing for an artifact that did not change."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

from indexer.core.events import Event
from indexer.core.registry import Annotation, Artifact, Reading
from indexer.core.snapshot import Instant, Problem

# Raise it when the meaning of anything below changes.
_FORM = 1


def tie_positions(events: Sequence[Event]) -> Mapping[str, int]:
    """For events newest first: tag object id -> how many events of the same second
    come before it (0 left out). It grows with gto's history order within a second and
    changes only when an event of that second comes or goes."""
    positions: dict[str, int] = {}
    last: int | None = None
    position = 0
    for event in reversed(events):
        position = position + 1 if event.moment == last else 0
        last = event.moment
        if position:
            positions[event.tag_id] = position
    return positions


def artifact_digest(
    artifact: Artifact,
    problems: Iterable[Problem],
    ties: Mapping[str, int],
    reading: Reading,
    at: Instant | None,
) -> str:
    """The digest of `artifact` with its problems; `ties` as `tie_positions` gives."""
    digest = sha256()

    def add(*parts: object) -> None:
        digest.update(
            repr(parts).encode()
        )  # repr keeps parts apart, whatever they hold

    add(_FORM, reading.value, *_instant(at), artifact.name, artifact.is_active)
    add(artifact.is_registered, artifact.only_dvc_yaml)
    add(_annotation(artifact.annotation))
    annotations: dict[int, str] = {}
    for v in artifact.versions:
        key = id(v.annotation)
        if key not in annotations:
            annotations[key] = _annotation(v.annotation)
        add(
            *(v.name, v.commit_id, v.peeled_id, v.is_active, v.is_registered),
            *(v.is_discovered, *_instant(v.created_at), *_instant(v.activated_at)),
            *(v.author.name, v.author.email, v.message, v.ref, annotations[key]),
        )
    for stage, holders in artifact.stages.items():
        for holder in holders:
            add(stage, holder.version, holder.commit_id, holder.event.tag_id)
    for event in artifact.events:
        add(
            *(event.kind.value, event.version, event.stage, event.commit_id),
            *(event.peeled_id, *_instant(event.at), event.author.name),
            *(event.author.email, event.message, event.tag, event.tag_id),
            *(ties.get(event.tag_id, 0), *event.refs),
        )
    for problem in problems:
        add(repr(problem))
    return digest.hexdigest()


def _instant(at: Instant | None) -> tuple[int | None, int]:
    return (None, 0) if at is None else (at.seconds, at.offset)


def _annotation(annotation: Annotation | None) -> str:
    """Keys sorted: PostgreSQL keeps no order of keys."""
    if annotation is None:
        return ""
    a = annotation
    return json.dumps(
        [a.source, a.path, a.type, a.description, a.labels, a.meta], sort_keys=True
    )
