"""One SHA-256 per artifact over all that its rows are made of: equal digests, equal
rows, so that a crawl writes nothing for an artifact that did not change. All but where
its events stand among those of other artifacts in the same second: these may change
while it does not, so whoever writes rows looks at each event's place by itself."""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256

from indexer.core.registry import Annotation, Artifact, Reading
from indexer.core.snapshot import Instant, Problem

# Raise it when the meaning of anything below changes.
_FORM = 2


def artifact_digest(
    artifact: Artifact,
    problems: Iterable[Problem],
    reading: Reading,
    at: Instant | None,
) -> str:
    """The digest of `artifact` with its problems."""
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
            *event.refs,
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
