"""gto's own JSON, from a `RegistryState`: what `gto show --json`, `gto show NAME
--json` and `gto history --json` (1.10.1) print for the same repository.

Values are JSON-ready, keys in gto's order, dates as gto writes them. A date nobody can
read is null; gto fails there. The state's reading stands for `--sort`, `--av`, `--vs`.
"""

from __future__ import annotations

from typing import TypeAlias

from indexer.core.events import Event, EventKind, moment
from indexer.core.readings import listed_versions, read_stages
from indexer.core.registry import Artifact, RegistryState, Version, VersionStage
from indexer.core.snapshot import GitCommit, Instant, Json
from indexer.core.tags import Shortcut, parse_shortcut

JsonObject: TypeAlias = dict[str, Json]

_PRIORITY = {
    EventKind.DEPRECATION: 2,
    EventKind.REGISTRATION: 3,
    EventKind.DEREGISTRATION: 4,
    EventKind.ASSIGNMENT: 5,
    EventKind.UNASSIGNMENT: 6,
}
_ADDITIONS = (EventKind.REGISTRATION, EventKind.ASSIGNMENT)


class UnknownArtifact(LookupError):
    """No artifact of that name is in the state."""


def show_registry(
    state: RegistryState,
    *,
    deprecated: bool = False,
    registered_only: bool = False,
    gto_only: bool = False,
) -> JsonObject:
    """`gto show --json` (`deprecated`: `-d`, `registered_only`: `--ro`).

    Artifacts that only a dvc.yaml names, which gto does not read, come last;
    `gto_only` leaves them out for equality with gto."""
    stages = state.stage_order if state.has_stage_list else _used_stages(state)
    shown: JsonObject = {}
    for artifact in _in_gto_order(state, gto_only=gto_only):
        if not (artifact.is_active or deprecated):
            continue
        held = read_stages(
            artifact.versions, state.reading, registered_only=registered_only
        )
        shown[artifact.name] = {
            "version": artifact.latest.name if artifact.latest else None,
            "stage": {
                stage: ", ".join(v.name for v, _ in held.get(stage, [])) or None
                for stage in stages
            },
            "registered": artifact.is_registered,
            "active": artifact.is_active,
        }
    return shown


def show_artifact(
    state: RegistryState,
    name_or_shortcut: str,
    *,
    deprecated: bool = False,
    registered_only: bool = False,
    gto_only: bool = False,
) -> list[Json]:
    """`gto show NAME --json`, also for `NAME@latest`, `NAME@vX.Y.Z`, `NAME#STAGE`.

    Raises UnknownArtifact where gto says that the artifact is not found."""
    shortcut = parse_shortcut(name_or_shortcut) or Shortcut(name_or_shortcut)
    artifact = state.artifacts.get(shortcut.artifact)
    if artifact is None or (gto_only and artifact.only_dvc_yaml):
        raise UnknownArtifact(f"There is no artifact {shortcut.artifact}.")
    if not (artifact.is_active or deprecated):
        return []
    versions = list(artifact.versions)
    if not deprecated:
        versions = listed_versions(versions)
        if registered_only:
            # gto lists what it calls discovered all the same.
            versions = [v for v in versions if v.is_registered or _is_discovered(v)]
    if shortcut.latest:
        versions = versions[:1]
    elif shortcut.version is not None:
        versions = [v for v in versions if v.name == shortcut.version]
    held = read_stages(
        artifact.versions, state.reading, registered_only=registered_only
    )
    by_version: dict[str, list[tuple[Version, VersionStage]]] = {}
    for holders in held.values():
        for version, stage in holders:
            by_version.setdefault(version.name, []).append((version, stage))
    shown: list[Json] = []
    for version in versions:
        holding = by_version.get(version.name, [])
        entry = _version(state, artifact, version, holding)
        if shortcut.stage is None:
            shown.append(entry)
        else:
            shown.extend(entry for _, s in holding if s.stage == shortcut.stage)
    return shown


def history(
    state: RegistryState,
    artifact: str | None = None,
    ascending: bool = False,
) -> list[Json]:
    """`gto history [NAME] --json`: newest first, or oldest first if `ascending`."""
    events = reversed(state.events) if ascending else iter(state.events)
    return [
        {
            "timestamp": _date(event.at),
            "artifact": event.artifact,
            "event": event.kind.value,
            "priority": _PRIORITY[event.kind],
            "version": event.version,
            "stage": event.stage,
            "commit": event.commit_id,
            "author": event.author.name,
            "author_email": event.author.email,
            "message": event.message,
            "ref": event.tag,
        }
        for event in events
        if artifact is None or event.artifact == artifact
    ]


def _in_gto_order(state: RegistryState, *, gto_only: bool) -> list[Artifact]:
    artifacts = sorted(state.artifacts.values(), key=lambda a: a.position)
    return [a for a in artifacts if not (gto_only and a.only_dvc_yaml)]


def _used_stages(state: RegistryState) -> list[str]:
    """Stages that some active version has, deprecated artifacts included."""
    return sorted(
        {
            stage.stage
            for artifact in state.artifacts.values()
            for version in artifact.versions
            if version.is_active
            for stage in version.stage_events
            if stage.is_active
        }
    )


def _is_discovered(version: Version) -> bool:
    """gto's word for a version that no registration or deregistration names."""
    return not version.registrations and not version.deregistrations


def _date(at: Instant | None) -> str | None:
    return None if at is None else at.local.isoformat()


def _base(event: Event) -> JsonObject:
    """The keys that every event has, and the tag's own."""
    shown: JsonObject = {
        "priority": _PRIORITY[event.kind],
        "addition": event.kind in _ADDITIONS,
        "artifact": event.artifact,
        "created_at": _date(event.at),
        "author": event.author.name,
        "author_email": event.author.email,
        "message": event.message,
        "commit_hexsha": event.commit_id,
        "tag": event.tag,
        "version": event.version,
    }
    if event.stage is not None:
        shown["stage"] = event.stage
        shown["event"] = event.kind.value
    return shown


def _version(
    state: RegistryState,
    artifact: Artifact,
    version: Version,
    holding: list[tuple[Version, VersionStage]],
) -> JsonObject:
    commit = state.commits.get(version.peeled_id)
    if commit and state.at and moment(commit.committed) > state.at.seconds:
        commit = None
    enrichments: list[Json] = []
    if commit is not None:
        enrichments.append(_enrichment(artifact, version, commit))
    return {
        "artifact": artifact.name,
        "commit_hexsha": version.commit_id,
        "version": version.name,
        "enrichments": enrichments,
        "registrations": [_base(event) for event in version.registrations],
        "deregistrations": [_base(event) for event in version.deregistrations],
        "stages": [_stage(artifact, holder, stage) for holder, stage in holding],
        "is_active": version.is_active,
        "activated_at": _date(version.activated_at),
        "created_at": _date(version.created_at),
        "author": version.author.name,
        "author_email": version.author.email,
        "message": version.message,
        "ref": version.ref,
        "discovered": _is_discovered(version),
    }


def _enrichment(artifact: Artifact, version: Version, commit: GitCommit) -> JsonObject:
    said: list[Json] = []
    if version.gto_annotation is not None:
        said.append({"source": "gto", "artifact": version.gto_annotation.gto})
    elif artifact.only_dvc_yaml and version.annotation is not None:
        note = version.annotation
        said.append(
            {
                "source": note.source,
                "artifact": {
                    "type": note.type or None,
                    "path": note.path or None,
                    "virtual": True,
                    "labels": list(note.labels),
                    "description": note.description,
                    "custom": note.meta,
                },
            }
        )
    return {
        "priority": 0,
        "addition": True,
        "artifact": artifact.name,
        "created_at": _date(commit.committed),
        "author": commit.author.name,
        "author_email": commit.author.email,
        "message": commit.message,
        "commit_hexsha": commit.id,
        "version": version.name,
        "enrichments": said,
        "committer": commit.committer.name,
        "committer_email": commit.committer.email,
    }


def _stage(artifact: Artifact, holder: Version, stage: VersionStage) -> JsonObject:
    newest = stage.assignments[-1]
    return {
        "artifact": artifact.name,
        "commit_hexsha": holder.commit_id,
        "version": holder.name,
        "stage": stage.stage,
        "assignments": [_base(event) for event in stage.assignments],
        "unassignments": [_base(event) for event in stage.unassignments],
        "is_active": True,
        "activated_at": _date(newest.at),
        "created_at": _date(newest.at),
        "author": newest.author.name,
        "author_email": newest.author.email,
        "message": newest.message,
        "ref": newest.tag,
    }
