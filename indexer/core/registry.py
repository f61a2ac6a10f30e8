"""What the tags and files of one repository mean: the types of a registry's state.

`build_state` (core/state.py) makes them; ingest, pages and the API read them."""

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
)

# Longer names are a problem, so that no row can overflow on any database.
MAX_NAME = 255


class Reading(StrEnum):
    """How stage tags are read: who holds a stage."""

    TIME = "time"  # one version per stage, assigned last (gto's default)
    SEMVER = "semver"  # one version per stage, the greatest (--sort semver)
    SEVERAL = "several"  # several versions per stage (--vs -1)
    KANBAN = "kanban"  # one stage per version, several per stage (--av 1 --vs -1)


@dataclass(frozen=True, slots=True)
class Annotation:
    """What a registry file says about an artifact at one commit.

    `gto` is the same as gto prints it, for entries of artifacts.yaml; gto tells
    missing from empty, the other fields do not."""

    artifact: str
    source: str  # the file: "artifacts.yaml", "sub/dvc.yaml"
    path: str = ""  # relative to the repository's root
    type: str = ""
    description: str = ""
    labels: tuple[str, ...] = ()
    meta: Json = None
    gto: Json = None


@dataclass(frozen=True, slots=True)
class StageHolder:
    """A version that holds a stage, by the chosen reading. `event` is the
    assignment that counts: who, when, why."""

    stage: str
    version: str
    commit_id: str
    event: Event


@dataclass(frozen=True, slots=True)
class VersionStage:
    """A stage that tags gave to a version or took from it, each oldest first.

    `position` breaks ties: the version's, but on an unregistered commit that of the
    newest assignment (of several in one second the first), which gto counts as a
    version of its own."""

    stage: str
    assignments: tuple[Event, ...]
    unassignments: tuple[Event, ...]
    position: int = 0

    @property
    def is_active(self) -> bool:
        """The newest event is an assignment; in the same second unassigning wins."""
        if not self.assignments:
            return False
        if not self.unassignments:
            return True
        return self.assignments[-1].moment > self.unassignments[-1].moment


@dataclass(frozen=True, slots=True)
class Version:
    """A version: a name on a commit. The name is `vX.Y.Z…`, or the commit id for
    an unregistered commit that a stage tag or an annotation names.

    `commit_id` is what the tag names, as in gto; for a tag of a tag that is the inner
    tag, and `peeled_id` the commit behind it. `created_at`, `author`, `message`, `ref`
    are of the newest registration, without one of the newest thing known of it, which
    may be its commit. `position`: versions that tags named earlier have a lower one."""

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
    peeled_id: str = ""
    registrations: tuple[Event, ...] = ()  # oldest first
    deregistrations: tuple[Event, ...] = ()
    stage_events: tuple[VersionStage, ...] = ()  # in the order of their first tag
    gto_annotation: Annotation | None = None  # of artifacts.yaml, which gto reads
    position: int = 0
    committed_at: Instant | None = None  # its commit's date, if known


@dataclass(frozen=True, slots=True)
class Artifact:
    """A registry entry. `versions`: gto's order, greatest SemVer first, unregistered
    commits last. `stages`: stage -> holders, first one first; empty ones left out.

    `digest`: SHA-256, in hex, over everything that this value and the artifact's rows
    are made of: equal digests, equal rows. `position` is its place in gto's list, by
    its first tag; not part of the digest."""

    name: str
    is_active: bool  # False while its newest event is a deprecation
    is_registered: bool  # any tag names it
    latest: Version | None  # greatest active registered version
    versions: tuple[Version, ...]
    stages: Mapping[str, tuple[StageHolder, ...]]
    annotation: Annotation | None  # at the default branch's head
    only_dvc_yaml: bool  # gto does not list it: no tag and no artifacts.yaml names it
    events: tuple[Event, ...] = ()  # newest first, gto's order
    position: int = 0
    digest: str = ""


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
    has_stage_list: bool = False  # .gto lists the allowed stages, maybe none
