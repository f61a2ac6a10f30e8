"""Registry state: what the tags and files of one repository mean.

`build_state(snapshot, reading=…, at=…)` is pure, total, deterministic and
independent of the order of its input. Rules: gto 1.10.1; see docs/semantics.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from indexer.core.events import Event
from indexer.core.snapshot import (
    GitCommit,
    Instant,
    Json,
    Person,
    Problem,
    RepositorySnapshot,
)


class Reading(StrEnum):
    """How stage tags are read: who holds a stage."""

    TIME = "time"  # one version per stage, assigned last (gto's default)
    SEMVER = "semver"  # one version per stage, the greatest (--sort semver)
    SEVERAL = "several"  # several versions per stage (--vs -1)
    KANBAN = "kanban"  # one stage per version, several per stage (--av 1 --vs -1)


@dataclass(frozen=True, slots=True)
class Annotation:
    """What a registry file says about an artifact at one commit."""

    artifact: str
    source: str  # the file: "artifacts.yaml", "sub/dvc.yaml"
    path: str = ""  # relative to the repository's root
    type: str = ""
    description: str = ""
    labels: tuple[str, ...] = ()
    meta: Json = None


@dataclass(frozen=True, slots=True)
class StageHolder:
    """A version that holds a stage, by the chosen reading. `event` is the
    assignment that counts: who, when, why."""

    stage: str
    version: str
    commit_id: str
    event: Event


@dataclass(frozen=True, slots=True)
class Version:
    """A version: a name on a commit. The name is `vX.Y.Z…`, or the commit id for
    an unregistered commit that a stage tag or an annotation names."""

    name: str
    commit_id: str
    is_active: bool
    is_registered: bool  # a registration names it, even if deregistered since
    is_discovered: bool  # only an annotation at the head knows it
    created_at: Instant | None
    activated_at: Instant | None
    author: Person
    message: str
    ref: str  # the tag (or commit id) that `created_at` and `author` come from
    events: tuple[Event, ...]  # of this version, oldest first
    stages: tuple[str, ...]  # stages it holds, by the chosen reading
    annotation: Annotation | None  # as written at its commit


@dataclass(frozen=True, slots=True)
class Artifact:
    """A registry entry. `versions`: gto's order, greatest SemVer first, unregistered
    commits last. `stages`: stage -> holders, first one first; empty ones left out."""

    name: str
    is_active: bool  # False while its newest event is a deprecation
    is_registered: bool  # any tag names it
    latest: Version | None  # greatest active registered version
    versions: tuple[Version, ...]
    stages: Mapping[str, tuple[StageHolder, ...]]
    annotation: Annotation | None  # at the default branch's head
    only_dvc_yaml: bool  # gto does not list it: no tag and no artifacts.yaml names it


@dataclass(frozen=True, slots=True)
class RegistryState:
    """Everything one repository says, by one reading, at one point in time."""

    reading: Reading
    at: Instant | None  # None: now, every event counts
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)  # by name, sorted
    events: tuple[Event, ...] = ()  # newest first, gto's history order
    problems: tuple[Problem, ...] = ()  # sorted, without doubles
    stage_order: tuple[str, ...] = ()  # from .gto at the head, else ()
    commits: Mapping[str, GitCommit] = field(default_factory=dict)


def build_state(
    snapshot: RepositorySnapshot,
    *,
    reading: Reading = Reading.TIME,
    at: Instant | None = None,
) -> RegistryState:
    """Fold a snapshot into the state it means, as of `at` (None: all of it)."""
    raise NotImplementedError
