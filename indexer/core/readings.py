"""Who holds a stage: gto's `Artifact.get_vstages`, for each reading."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from indexer.core.events import moment
from indexer.core.registry import Reading, Version, VersionStage

# A version that holds a stage, with the stage's events.
Held: TypeAlias = tuple[Version, VersionStage]


def listed_versions(
    versions: Iterable[Version], *, registered_only: bool = False
) -> list[Version]:
    """The active versions, in the order given; with `registered_only` without
    unregistered commits."""
    return [
        v for v in versions if v.is_active and (v.is_registered or not registered_only)
    ]


def read_stages(
    versions: Sequence[Version], reading: Reading, *, registered_only: bool = False
) -> dict[str, list[Held]]:
    """Stage -> its holders, by `reading`; the first of each list is the holder where
    one version per stage counts. `versions` are an artifact's, greatest first."""
    listed = listed_versions(versions, registered_only=registered_only)
    # --av 1 keeps the stage that a version got first, of those it still has.
    most = 1 if reading is Reading.KANBAN else None
    held = [
        (version, stage)
        for version in listed
        for stage in sorted(
            (s for s in version.stage_events if s.is_active),
            key=lambda s: s.assignments[-1].moment,
        )[:most]
    ]
    if reading is not Reading.SEMVER:
        held.reverse()  # of one version's stages of one second, the last comes first
        held.sort(key=_newest_first)
    several = reading in (Reading.SEVERAL, Reading.KANBAN)
    stages: dict[str, list[Held]] = {}
    names: dict[str, set[str]] = {}
    for version, stage in held:
        holders = stages.setdefault(stage.stage, [])
        seen = names.setdefault(stage.stage, set())
        # One name on two commits holds a stage once.
        if (holders and not several) or version.name in seen:
            continue
        holders.append((version, stage))
        seen.add(version.name)
    return stages


def _newest_first(pair: Held) -> tuple[int, int, int]:
    """Assigned last comes first; of versions assigned in one second the older-created,
    then the one that tags named first.

    gto counts each stage tag on an unregistered commit as a version of its own."""
    version, stage = pair
    assigned = stage.assignments[-1].moment
    if version.registrations or version.deregistrations:
        created = moment(version.created_at)
    else:
        created = max(assigned, moment(version.committed_at))
    return -assigned, created, stage.position
