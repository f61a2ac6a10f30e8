"""What a plan is said to do, against the state that its tag really makes: on dense
random histories, by each reading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from indexer.core.effects import Effect, effect_of
from indexer.core.events import EventKind
from indexer.core.git_objects import (
    TagOrder,
    format_tag_object,
    parse_tag_object,
    tag_object_id,
)
from indexer.core.plans import (
    Refusal,
    Registry,
    TagPlan,
    plan_assignment,
    plan_deprecation,
    plan_deregistration,
    plan_registration,
    plan_restoration,
    plan_revival,
    plan_unassignment,
    previous_holder,
)
from indexer.core.registry import Artifact
from indexer.core.snapshot import (
    GitCommit,
    GitTag,
    Instant,
    Person,
    RepositorySnapshot,
)
from indexer.core.state import Reading, RegistryState, build_state
from tests.services import how_many

ADA = Person("Ada", "ada@example.org")
COMMITS = ("a" * 40, "b" * 40, "c" * 40)
VERSIONS = ("v1.0.0", "v1.1.0", "v2.0.0")
STAGES = ("dev", "prod")
# What no plan can know, and the fold tells.
UNTOLD = {
    "shares-commit", "has-a-stage", "greater-holds", "deregistered", "on-two-commits",
}  # fmt: skip


def git_tag(name: str, commit: str, at: int) -> GitTag:
    """As Git would keep it."""
    order = TagOrder(name, commit, "Say so", ADA, Instant(at))
    key, body = tag_object_id(format_tag_object(order), 40), format_tag_object(order)
    return GitTag(name, key, parse_tag_object(key, body), commit)


def snapshot_of(tags: Iterable[GitTag]) -> RepositorySnapshot:
    dates = (Instant(-9), Instant(-5), Instant(-1))
    return RepositorySnapshot(
        tags=tuple(tags),
        branches={"main": COMMITS[-1]},
        default_branch="main",
        head=COMMITS[-1],
        commits={
            commit: GitCommit(commit, ADA, at, ADA, at, "Train")
            for commit, at in zip(COMMITS, dates, strict=True)
        },
        documents={},
    )


@st.composite
def dense(draw: st.DrawFn) -> RepositorySnapshot:
    """One model on three commits: several versions on a commit are as likely as not."""
    tags = []
    for number in range(draw(st.integers(1, 12))):
        version, stage = draw(st.sampled_from(VERSIONS)), draw(st.sampled_from(STAGES))
        name = draw(
            st.sampled_from(
                [f"m@{version}", f"m@{version}", f"m@{version}!",
                 f"m#{stage}", f"m#{stage}", f"m#{stage}!", "m@deprecated"]
            )
        )  # fmt: skip
        commit, at = draw(st.sampled_from(COMMITS)), draw(st.integers(0, 9))
        tags.append(git_tag(f"{name}#{number}", commit, at))
    return snapshot_of(tags)


def says(state: RegistryState) -> object:
    """What a state says of the model, but for when and by whom."""
    found = state.artifacts.get("m")
    return found and (
        found.is_active,
        held(found),
        {(one.name, one.commit_id, one.is_active) for one in found.versions},
        {
            (one.name, given.stage)
            for one in found.versions
            for given in one.stage_events
            if given.is_active
        },
    )


def held(artifact: Artifact | None) -> dict[str, tuple[str, ...]]:
    if artifact is None:
        return {}
    return {
        stage: tuple(one.version for one in holders)
        for stage, holders in artifact.stages.items()
    }


def wishes(registry: Registry) -> Iterable[tuple[str, str, str, TagPlan | Refusal]]:
    """All there are: verb, version (or commit), stage, plan."""
    state = registry.state.artifacts.get("m")
    names = [one.name for one in state.versions] if state else []
    for commit in COMMITS:
        for name in VERSIONS:
            yield "register", name, "", plan_registration(registry, "m", commit, name)
        for stage in STAGES:
            yield (
                "assign",
                commit,
                stage,
                plan_assignment(registry, "m", stage, commit_id=commit),
            )
    for name in names:
        if name.startswith("v"):
            yield "deregister", name, "", plan_deregistration(registry, "m", name)
        for stage in STAGES:
            if name.startswith("v"):
                plan = plan_assignment(registry, "m", stage, version=name)
                yield "assign", name, stage, plan
            plan = plan_unassignment(registry, "m", stage, name)
            yield "unassign", name, stage, plan
    for stage in STAGES:
        before = previous_holder(state, stage)
        plan = plan_restoration(registry, "m", stage)
        yield "restore", before.name if before else "", stage, plan
    yield "deprecate", "", "", plan_deprecation(registry, "m", head=COMMITS[-1])
    yield "revive", "", "", plan_revival(registry, "m")


def is_kept(verb: str, version: str, stage: str, after: RegistryState) -> bool:
    """Whether the state holds what was asked for."""
    found = after.artifacts["m"]
    there = [one for one in found.versions if version in {one.name, one.commit_id}]
    match verb:
        case "register":
            return any(one.name == version and one.is_active for one in there)
        case "deregister":
            return not any(one.name == version and one.is_active for one in there)
        case "assign" | "restore":
            return any(
                version in {one.version, one.commit_id}
                for one in found.stages.get(stage, ())
            )
        case "unassign":
            return not any(
                given.stage == stage and given.is_active
                for one in there
                if one.name == version
                for given in one.stage_events
            )
        case "deprecate":
            return not found.is_active
        case _:
            return found.is_active


met: Counter[str] = Counter()


@settings(
    max_examples=how_many(60, 3000),
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
@given(dense(), st.sampled_from(Reading))
def check_effects(snapshot: RepositorySnapshot, reading: Reading) -> None:
    before = build_state(snapshot, reading=reading)
    registry = Registry.of(before, (tag.ref for tag in snapshot.tags))
    for verb, version, stage, plan in wishes(registry):
        if isinstance(plan, Refusal):
            continue
        tag = git_tag(plan.name, plan.commit_id, max(plan.not_before, 100))
        after = build_state(
            replace(snapshot, tags=(*snapshot.tags, tag)), reading=reading
        )
        told = effect_of(plan, before, snapshot)
        about = f"{verb} {version} {stage} by {reading}: {told}"
        changed = says(after) != says(before)
        if isinstance(told, Effect):
            met[verb] += 1
            assert changed, about
            assert is_kept(verb, version, stage, after), about
            check_told(told, plan, before, after)
        else:
            met[told.code] += 1
            assert told.code in UNTOLD, about
            kept = is_kept(verb, version, stage, after)
            already = held(before.artifacts["m"]) == held(after.artifacts["m"])
            # Of a commit another version than the tag means may hold the stage.
            assert not kept or version in COMMITS or already, about
            assert told.sentence.endswith("."), about


def check_told(
    told: Effect, plan: TagPlan, before: RegistryState, after: RegistryState
) -> None:
    """The version and the stages that it names are those of the state after."""
    found = after.artifacts["m"]
    if plan.tag.kind is EventKind.ASSIGNMENT:
        holders = [one.version for one in found.stages[plan.tag.stage or ""]]
        assert told.version in holders
    old, new = held(before.artifacts.get("m")), held(found)
    changes = {one.stage: (one.before, one.after) for one in told.changes}
    assert changes == {
        stage: (old.get(stage, ()), new.get(stage, ()))
        for stage in {*old, *new}
        if old.get(stage, ()) != new.get(stage, ())
    }


def test_what_is_planned_does_what_it_says_by_each_reading() -> None:
    met.clear()
    check_effects()
    wanted = {"register", "deregister", "assign", "unassign", "restore", "deprecate",
              "revive", *UNTOLD} - {"greater-holds"}  # fmt: skip
    assert wanted <= set(met), wanted - set(met)


def planned(reading: Reading, tags: dict[str, int], version: str) -> Effect | Refusal:
    """What giving prod to a version would do, after these tags in this order."""
    snapshot = snapshot_of(
        git_tag(name, COMMITS[number], at)
        for at, (name, number) in enumerate(tags.items())
    )
    state = build_state(snapshot, reading=reading)
    registry = Registry.of(state, tags)
    plan = plan_assignment(registry, "m", "prod", version=version)
    assert isinstance(plan, TagPlan)
    return effect_of(plan, state, snapshot)


@pytest.mark.parametrize("reading", Reading)
def test_of_two_versions_on_a_commit_only_one_can_be_given_a_stage(
    reading: Reading,
) -> None:
    tags = {"m@v1.0.0": 0, "m@v1.1.0": 0}
    told = planned(reading, tags, "v1.0.0")
    assert isinstance(told, Refusal)
    assert told.code == "shares-commit"
    assert "Assign prod to v1.1.0, or deregister v1.1.0 first." in told.sentence
    assert planned(reading, tags, "v1.1.0") == planned(
        reading, {**tags, "m@v1.0.0#1": 0, "m@v1.0.0!": 0}, "v1.1.0"
    )
    freed = planned(reading, {**tags, "m@v1.1.0!": 0}, "v1.0.0")
    assert isinstance(freed, Effect)
    assert freed.version == "v1.0.0"


def test_a_version_that_holds_its_one_stage_gets_no_other() -> None:
    tags = {"m@v1.0.0": 0, "m#dev#1": 0}
    told = planned(Reading.KANBAN, tags, "v1.0.0")
    assert isinstance(told, Refusal)
    assert told.code == "has-a-stage"
    assert "Unassign dev from it first." in told.sentence
    for reading in set(Reading) - {Reading.KANBAN}:
        assert isinstance(planned(reading, tags, "v1.0.0"), Effect)


def test_a_smaller_version_gets_no_stage_where_the_greatest_has_it() -> None:
    tags = {"m@v1.0.0": 0, "m@v2.0.0": 1, "m#prod#1": 1}
    told = planned(Reading.SEMVER, tags, "v1.0.0")
    assert isinstance(told, Refusal)
    assert told.code == "greater-holds"
    assert "Unassign prod from v2.0.0 first." in told.sentence
    for reading in set(Reading) - {Reading.SEMVER}:
        assert isinstance(planned(reading, tags, "v1.0.0"), Effect)
