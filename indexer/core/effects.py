"""What a planned tag would do, by the state in which it counts: the version that it
means, the stages that change hands; or why it would not do what was asked.

A plan says what is written. Whether that means what somebody wants depends on the
reading, and on a commit that has two versions: only the fold knows. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from indexer.core.events import EventKind
from indexer.core.git_objects import TagOrder, format_tag_object, tag_object_id
from indexer.core.plans import Refusal, TagPlan, short_version
from indexer.core.registry import (
    Artifact,
    Reading,
    RegistryState,
    StageHolder,
    Version,
)
from indexer.core.snapshot import (
    NOBODY,
    GitCommit,
    GitTag,
    Instant,
    ObjectType,
    Person,
    RepositorySnapshot,
    TagObject,
)
from indexer.core.state import build_state


@dataclass(frozen=True, slots=True)
class StageChange:
    """A stage that goes from one version to another; "" is nobody."""

    stage: str
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Effect:
    """What a tag does. `version`: the version it means ("": none)."""

    version: str
    changes: tuple[StageChange, ...]


def effect_of(
    plan: TagPlan, before: RegistryState, snapshot: RepositorySnapshot
) -> Effect | Refusal:
    """What the plan does to the state `before`, which is that of the snapshot. Refused
    is what would leave somebody with a tag and without what they asked for."""
    name = plan.tag.artifact
    after = state_after(snapshot, plan, before.reading)
    old, new = before.artifacts.get(name), after.artifacts.get(name)
    changes = stage_changes(old, new)
    if plan.tag.kind is EventKind.DEPRECATION:
        if new is None or new.is_active:
            return _nothing(name)
        return Effect("", changes)
    meant = _meant(new, plan)
    if new is None or meant is None:
        return _nothing(name)
    if plan.meant not in {"", meant.name}:
        return _another(plan, meant.name)
    if plan.tag.kind is EventKind.ASSIGNMENT:
        if not any(one.version == meant.name for one in _holding(new, plan)):
            return _not_given(plan, after.reading, new, meant)
    elif plan.tag.kind is EventKind.REGISTRATION:
        if not meant.is_active:
            return _nothing(name)
    else:
        left = [one for one in new.versions if _has_more(one, meant.name, plan)]
        if meant in left:
            return _nothing(name)
        if left:
            return _elsewhere(plan, left[0])
    return Effect(meant.name, changes)


def state_after(
    snapshot: RepositorySnapshot, plan: TagPlan, reading: Reading
) -> RegistryState:
    """The state with the planned tag. Its words and its person change no stage."""
    key = _object_id(plan)
    latest = max(
        (
            tag.tag.tagged.seconds
            for tag in snapshot.tags
            if tag.tag and tag.tag.tagged is not None
        ),
        default=0,
    )
    at = Instant(max(plan.not_before, latest + 1))
    inner = TagObject(
        key, plan.name, plan.commit_id, ObjectType.COMMIT, NOBODY, at, "-"
    )
    tag = GitTag(plan.name, key, inner, plan.commit_id)
    commits = dict(snapshot.commits)
    commits.setdefault(
        plan.commit_id, GitCommit(plan.commit_id, NOBODY, None, NOBODY, None, "")
    )
    return build_state(
        replace(snapshot, tags=(*snapshot.tags, tag), commits=commits), reading=reading
    )


def stage_changes(
    before: Artifact | None, after: Artifact | None
) -> tuple[StageChange, ...]:
    """Which stages change hands between two states of an artifact: what an action does
    beside the obvious, such as the version that a stage falls back to."""
    old, new = _holders(before), _holders(after)
    return tuple(
        StageChange(stage, old.get(stage, ()), new.get(stage, ()))
        for stage in dict.fromkeys([*old, *new])
        if old.get(stage, ()) != new.get(stage, ())
    )


def _object_id(plan: TagPlan) -> str:
    """An id for the planned tag that no tag there is has."""
    order = TagOrder(
        plan.name,
        plan.commit_id,
        plan.message or "-",
        Person("-", "-"),
        Instant(max(plan.not_before, 0)),
    )
    return tag_object_id(format_tag_object(order), len(plan.commit_id))


def _meant(artifact: Artifact | None, plan: TagPlan) -> Version | None:
    """The version that the fold gave the planned tag to."""
    key = _object_id(plan)
    for version in artifact.versions if artifact else ():
        events = [*version.registrations, *version.deregistrations]
        for given in version.stage_events:
            events += [*given.assignments, *given.unassignments]
        if any(event.tag_id == key for event in events):
            return version
    return None


def _holding(artifact: Artifact | None, plan: TagPlan) -> tuple[StageHolder, ...]:
    return artifact.stages.get(plan.tag.stage or "", ()) if artifact else ()


def _holders(artifact: Artifact | None) -> dict[str, tuple[str, ...]]:
    if artifact is None:
        return {}
    return {
        stage: tuple(holder.version for holder in holders)
        for stage, holders in artifact.stages.items()
    }


def _has_more(version: Version, name: str, plan: TagPlan) -> bool:
    """Whether it is called so, and has what the plan takes away."""
    if version.name != name:
        return False
    if plan.tag.kind is EventKind.DEREGISTRATION:
        return version.is_active
    return any(
        given.stage == plan.tag.stage and given.is_active
        for given in version.stage_events
    )


def _elsewhere(plan: TagPlan, left: Version) -> Refusal:
    return Refusal(
        "on-two-commits",
        f"{plan.tag.artifact} {left.name} is registered at two commits, "
        f"{plan.commit_id[:7]} and {left.commit_id[:7]}, and one tag takes nothing "
        "from both. Delete the tag of one of them with git first.",
    )


def _another(plan: TagPlan, meant: str) -> Refusal:
    name, stage, asked = plan.tag.artifact, plan.tag.stage, plan.meant
    do = (
        f"Assign {stage} to {meant}, or deregister {meant} first."
        if plan.tag.kind is EventKind.ASSIGNMENT
        else f"Deregister {meant} first, or {asked} itself."
    )
    return Refusal(
        "shares-commit",
        f"{name} {asked} and {meant} are registered at one commit, "
        f"{plan.commit_id[:7]}, and a tag of a stage there means {meant}. {do}",
    )


def _not_given(
    plan: TagPlan, reading: Reading, artifact: Artifact, meant: Version
) -> Refusal:
    """Why a version would not be in the stage that it is given."""
    name, stage = plan.tag.artifact, plan.tag.stage
    version = short_version(meant.name)
    if not meant.is_active:
        return Refusal(
            "deregistered",
            f"{name} {version} is deregistered, so it would not be in {stage}. "
            "Register it again first.",
        )
    had = [one for one in meant.stage_events if one.is_active and one.stage != stage]
    if reading is Reading.KANBAN and had:
        has = min(had, key=lambda one: one.assignments[-1].moment).stage
        return Refusal(
            "has-a-stage",
            f"In this repository a version has one stage, the one that it got first: "
            f"{name} {version} is in {has} and would not be in {stage}. Unassign {has} "
            "from it first.",
        )
    holders = [short_version(one.version) for one in _holding(artifact, plan)]
    if reading is Reading.SEMVER and holders:
        return Refusal(
            "greater-holds",
            f"In this repository the greatest version that has a stage holds it: "
            f"{stage} would stay with {name} {holders[0]}. Unassign {stage} from "
            f"{holders[0]} first.",
        )
    return _nothing(name)


def _nothing(name: str) -> Refusal:
    return Refusal(
        "no-effect",
        f"The tag would change nothing of {name}, by what its other tags say. Look at "
        "its history.",
    )
