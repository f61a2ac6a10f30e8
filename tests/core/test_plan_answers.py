"""What plans say, word by word, and whom a stage is given back to. That gto writes the
same tags is in test_plans.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from indexer.core.effects import StageChange, stage_changes
from indexer.core.events import UNKNOWN_MOMENT, EventKind
from indexer.core.plans import (
    LONGEST_REF,
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
    suggest_version,
)
from indexer.core.registry import Artifact, RegistryState
from indexer.core.snapshot import GitTag, Json, ObjectType
from indexer.core.state import build_state
from indexer.core.tags import ParsedTag
from indexer.core.versions import Part
from tests.core.snapshots import commit, commit_id, snapshot, tag

ONE, TWO, THREE = commit_id(1), commit_id(2), commit_id(3)
# m: v1.0.0 was in prod and is in dev, v2.0.0 was taken back, v3.0.0 is in prod; the
# commit 4 is in test. old: deprecated. gone: its only version was taken back.
TAGS = (
    *(tag("m@v1.0.0", 1, 10), tag("m@v2.0.0", 2, 20), tag("m@v2.0.0!", 2, 21)),
    *(tag("m@v3.0.0", 3, 30), tag("m#prod#1", 1, 31), tag("m#dev#2", 1, 32)),
    *(tag("m#prod#3", 3, 33), tag("m#test#4", 4, 34)),
    *(tag("old@v1.0.0", 5, 40), tag("old@deprecated", 5, 41)),
    *(tag("gone@v1.0.0", 6, 50), tag("gone@v1.0.0!", 6, 51)),
    *(tag("gone@deprecated", 6, 52),),
)
FILES: dict[str, Json] = {
    ".gto": {"stages": ["dev", "prod", "test"]},
    "artifacts.yaml": {"noted": {}},
}


def registry(*more: GitTag, files: dict[str, Json] | None = None) -> Registry:
    commits = (commit(1, 5, FILES if files is None else files),)
    seen = snapshot(*TAGS, *more, commits=commits)
    return Registry.of(build_state(seen), (one.ref for one in seen.tags))


NOW = registry()
NAMES = "letters, digits, “-”, “_” and “/”, and begins and ends with a "
REFUSED: dict[str, tuple[Callable[[], TagPlan | Refusal], str]] = {
    "bad-version": (
        lambda: plan_registration(NOW, "m", commit_id(9), "1.0"),
        "1.0 is no version. A version is v and a SemVer number: v1.0.0, v2.1.0-rc.1.",
    ),
    "bad-artifact": (
        lambda: plan_registration(NOW, "m!", ONE),
        f"A model's name has {NAMES}letter or digit; a folder may stand before it with"
        " “:”.",
    ),
    "bad-stage": (
        lambda: plan_assignment(NOW, "m", "no good", version="v1.0.0"),
        f"A stage has {NAMES}letter or digit.",
    ),
    "stage-not-listed": (
        lambda: plan_unassignment(NOW, "m", "live", "v1.0.0"),
        "live is not among the stages that the repository's .gto lists: dev, prod,"
        " test. Choose one of them, or add it there first.",
    ),
    "commit-has-stage": (
        lambda: plan_registration(NOW, "m", commit_id(4), "v9.0.0"),
        "Commit 0000000 was given a stage of m without a version, and gto then allows"
        " no version on it. Register another commit.",
    ),
    "commit-has-version": (
        lambda: plan_registration(NOW, "m", ONE, "v9.0.0"),
        "Commit 0000000 is m v1.0.0 already. A commit has one version; choose another"
        " commit.",
    ),
    "commit-had-version": (
        lambda: plan_registration(NOW, "m", TWO, "v9.0.0"),
        "Commit 0000000 was m v2.0.0 before, and can only become that again. Register"
        " v2.0.0, or choose another commit.",
    ),
    "version-exists": (
        lambda: plan_registration(NOW, "m", commit_id(9), "v1.0.0"),
        "m v1.0.0 is registered at commit 0000000. Choose another version.",
    ),
    "version-exists, taken back": (
        lambda: plan_registration(NOW, "m", commit_id(9), "v2.0.0"),
        "m v2.0.0 is registered at commit 0000000, and was deregistered there. Choose"
        " another version.",
    ),
    "unknown-version": (
        lambda: plan_deregistration(NOW, "m", "v9.0.0"),
        "m has no registered version v9.0.0.",
    ),
    "unknown-version, of no artifact": (
        lambda: plan_deregistration(NOW, "nobody", "v9.0.0"),
        "nobody has no registered version v9.0.0.",
    ),
    "unknown-version, a commit": (
        lambda: plan_deregistration(NOW, "m", commit_id(4)),
        "m has no registered version commit 0000000.",
    ),
    "unknown-version, to assign to": (
        lambda: plan_assignment(NOW, "m", "prod", version="v9.0.0"),
        "m has no registered version v9.0.0.",
    ),
    "unknown-version, to unassign from": (
        lambda: plan_unassignment(NOW, "nobody", "prod", "v9.0.0"),
        "nobody has no registered version v9.0.0.",
    ),
    "unknown-version, an annotated head": (
        lambda: plan_unassignment(NOW, "noted", "prod", ONE),
        "noted has no registered version commit 0000000.",
    ),
    "not-active": (
        lambda: plan_deregistration(NOW, "m", "v2.0.0"),
        "m v2.0.0 was deregistered already.",
    ),
    "stage-held": (
        lambda: plan_assignment(NOW, "m", "prod", version="v3.0.0"),
        "m v3.0.0 is in prod already.",
    ),
    "stage-held, by a version that is named by its commit": (
        lambda: plan_assignment(NOW, "m", "prod", commit_id=THREE),
        "m v3.0.0 is in prod already.",
    ),
    "stage-held, by a commit": (
        lambda: plan_assignment(NOW, "m", "test", commit_id=commit_id(4)),
        "m commit 0000000 is in test already.",
    ),
    "stage-not-held": (
        lambda: plan_unassignment(NOW, "m", "test", "v1.0.0"),
        "m v1.0.0 is not in test.",
    ),
    "stage-not-held, by a commit": (
        lambda: plan_unassignment(NOW, "m", "prod", commit_id(4)),
        "m commit 0000000 is not in prod.",
    ),
    "nothing-to-restore": (
        lambda: plan_restoration(NOW, "m", "test"),
        "No other version of m that is registered now was in test before. Assign the"
        " stage to a version instead.",
    ),
    "nothing-to-restore, of no artifact": (
        lambda: plan_restoration(NOW, "nobody", "test"),
        "No other version of nobody that is registered now was in test before. Assign"
        " the stage to a version instead.",
    ),
    "bad-artifact, to restore": (
        lambda: plan_restoration(NOW, "m!", "test"),
        f"A model's name has {NAMES}letter or digit; a folder may stand before it with"
        " “:”.",
    ),
    "bad-stage, to restore": (
        lambda: plan_restoration(NOW, "m", "-"),
        f"A stage has {NAMES}letter or digit.",
    ),
    "unknown-artifact": (
        lambda: plan_deprecation(NOW, "nobody", head=ONE),
        "There is no nobody in this repository.",
    ),
    "unknown-artifact, to revive": (
        lambda: plan_revival(NOW, "nobody"),
        "There is no nobody in this repository.",
    ),
    "deprecated": (
        lambda: plan_deprecation(NOW, "old", head=ONE),
        "old is deprecated already.",
    ),
    "not-deprecated": (lambda: plan_revival(NOW, "m"), "m is not deprecated."),
    "nothing-to-revive": (
        lambda: plan_revival(
            registry(tag("late@deprecated", 6, 9), files={}),
            "late",
        ),
        "late has no version and no stage to confirm. Register a version: that revives"
        " it.",
    ),
    "name-too-long": (
        lambda: plan_registration(NOW, "m" * (LONGEST_REF - 6), ONE),
        f"The tag {'m' * 40}… would have {LONGEST_REF + 1} characters; a tag may have"
        f" {LONGEST_REF}. Use a shorter name.",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_says_why_and_what_to_do(name: str) -> None:
    plan, sentence = REFUSED[name]
    assert plan() == Refusal(name.partition(",")[0], sentence)


def test_an_empty_list_of_stages_allows_none() -> None:
    plan = plan_assignment(
        registry(files={".gto": {"stages": []}}), "m", "prod", version="v1.0.0"
    )
    assert isinstance(plan, Refusal)
    assert ".gto lists: none. Choose" in plan.sentence


R, D = EventKind.REGISTRATION, EventKind.DEREGISTRATION
A, U = EventKind.ASSIGNMENT, EventKind.UNASSIGNMENT
Written = tuple[str, str, int]  # commit, words, earliest date
PLANS: dict[str, tuple[Callable[[], TagPlan | Refusal], ParsedTag, Written]] = {
    "the first version of a new model": (
        lambda: plan_registration(NOW, "new", ONE),
        ParsedTag(R, "new", version="v0.0.1"),
        (ONE, "Registering artifact new version v0.0.1", UNKNOWN_MOMENT),
    ),
    "the next patch": (
        lambda: plan_registration(NOW, "m", commit_id(9)),
        ParsedTag(R, "m", version="v3.0.1"),
        (commit_id(9), "Registering artifact m version v3.0.1", 35),
    ),
    "the next part that was asked for": (
        lambda: plan_registration(
            NOW, "m", commit_id(9), part=Part.MAJOR, message="Because"
        ),
        ParsedTag(R, "m", version="v4.0.0"),
        (commit_id(9), "Because", 35),
    ),
    "a version that was named": (
        lambda: plan_registration(NOW, "m", commit_id(9), "v7.0.0", message=" Why \n"),
        ParsedTag(R, "m", version="v7.0.0"),
        (commit_id(9), "Why", 35),
    ),
    "the version that the commit had": (
        lambda: plan_registration(NOW, "m", TWO),
        ParsedTag(R, "m", version="v2.0.0", counter="5"),
        (TWO, "Registering artifact m version v2.0.0", 35),
    ),
    "the same, named": (
        lambda: plan_registration(NOW, "m", TWO, "v2.0.0"),
        ParsedTag(R, "m", version="v2.0.0", counter="5"),
        (TWO, "Registering artifact m version v2.0.0", 35),
    ),
    "a version of what only a file names": (
        lambda: plan_registration(NOW, "noted", ONE),
        ParsedTag(R, "noted", version="v0.0.1"),
        (ONE, "Registering artifact noted version v0.0.1", 6),
    ),
    "taking a version back": (
        lambda: plan_deregistration(NOW, "m", "v3.0.0"),
        ParsedTag(D, "m", version="v3.0.0"),
        (THREE, "Deregistering artifact m version v3.0.0", 35),
    ),
    "taking a version back, with words": (
        lambda: plan_deregistration(NOW, "m", "v3.0.0", message="Bad"),
        ParsedTag(D, "m", version="v3.0.0"),
        (THREE, "Bad", 35),
    ),
    "a stage for a version": (
        lambda: plan_assignment(NOW, "m", "prod", version="v1.0.0"),
        ParsedTag(A, "m", stage="prod", counter="5"),
        (ONE, "Assigning stage prod to artifact m version v1.0.0", 35),
    ),
    "a stage for a version by its commit": (
        lambda: plan_assignment(NOW, "m", "dev", commit_id=THREE),
        ParsedTag(A, "m", stage="dev", counter="5"),
        (THREE, "Assigning stage dev to artifact m version v3.0.0", 35),
    ),
    "a stage for a commit": (
        lambda: plan_assignment(NOW, "new", "dev", commit_id=THREE),
        ParsedTag(A, "new", stage="dev", counter="1"),
        (THREE, f"Assigning stage dev to artifact new version {THREE}", UNKNOWN_MOMENT),
    ),
    "a stage with words": (
        lambda: plan_assignment(NOW, "m", "dev", version="v3.0.0", message="Better"),
        ParsedTag(A, "m", stage="dev", counter="5"),
        (THREE, "Better", 35),
    ),
    "taking a stage": (
        lambda: plan_unassignment(NOW, "m", "prod", "v3.0.0"),
        ParsedTag(U, "m", stage="prod", counter="5"),
        (THREE, "Unassigning stage 'prod' to artifact 'm' version 'v3.0.0'", 35),
    ),
    "taking a stage from who lost it to another": (
        lambda: plan_unassignment(NOW, "m", "prod", "v1.0.0", message="Gone"),
        ParsedTag(U, "m", stage="prod", counter="5"),
        (ONE, "Gone", 35),
    ),
    "giving a stage back": (
        lambda: plan_restoration(NOW, "m", "prod"),
        ParsedTag(A, "m", stage="prod", counter="5"),
        (ONE, "Assigning stage prod to artifact m version v1.0.0", 35),
    ),
    "giving a stage back, with words": (
        lambda: plan_restoration(NOW, "m", "prod", message="Worse"),
        ParsedTag(A, "m", stage="prod", counter="5"),
        (ONE, "Worse", 35),
    ),
    "giving a stage back to a commit": (
        lambda: plan_restoration(registry(tag("m#test#6", 3, 60)), "m", "test"),
        ParsedTag(A, "m", stage="test", counter="7"),
        (
            commit_id(4),
            f"Assigning stage test to artifact m version {commit_id(4)}",
            61,
        ),
    ),
    "retiring": (
        lambda: plan_deprecation(NOW, "m", head=ONE),
        ParsedTag(EventKind.DEPRECATION, "m"),
        (commit_id(4), "Deprecating artifact 'm'", 35),
    ),
    "retiring what only a file names": (
        lambda: plan_deprecation(NOW, "noted", head=ONE, message="Enough"),
        ParsedTag(EventKind.DEPRECATION, "noted"),
        (ONE, "Enough", 6),
    ),
    "reviving by the greatest version": (
        lambda: plan_revival(NOW, "old"),
        ParsedTag(R, "old", version="v1.0.0", counter="1"),
        (commit_id(5), "Reviving artifact 'old'", 42),
    ),
    "reviving by a stage": (
        lambda: plan_revival(
            registry(tag("odd#dev", 6, 9), tag("odd@deprecated", 6, 10)),
            "odd",
            message="Back",
        ),
        ParsedTag(A, "odd", stage="dev", counter="1"),
        (commit_id(6), "Back", 11),
    ),
}


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_is_a_tag_its_commit_its_words_and_its_earliest_date(name: str) -> None:
    make, parsed, (commit, message, not_before) = PLANS[name]
    plan = make()
    assert isinstance(plan, TagPlan)
    assert plan.tag == parsed
    assert (plan.commit_id, plan.message) == (commit, message)
    assert plan.not_before == not_before


def test_a_suggestion_passes_over_what_was_taken_back() -> None:
    more = (tag("m@v3.0.1", 7, 60), tag("m@v3.0.1!", 7, 61))
    assert suggest_version(registry(*more), "m") == "v3.0.2"
    assert suggest_version(NOW, "gone") == "v0.0.1"
    more = (tag("gone@v0.0.1", 7, 60), tag("gone@v0.0.1!", 7, 61))
    assert suggest_version(registry(*more), "gone") == "v0.0.2"
    assert suggest_version(registry(*more), "gone", Part.MINOR) == "v0.1.0"


def previous(*more: GitTag, stage: str = "prod", state: str = "m") -> str:
    before = previous_holder(registry(*more).state.artifacts[state], stage)
    return before.name if before else ""


def test_whom_a_stage_was_taken_from_had_it_before() -> None:
    assert previous_holder(None, "prod") is None
    assert previous() == "v1.0.0"
    assert previous(stage="dev") == ""
    assert previous(tag("m#prod#8", 4, 32)) == commit_id(4)  # after 31, before 33
    assert previous(tag("m#prod#8", 4, 30)) == "v1.0.0"
    # Nobody has it: whoever had it last.
    assert previous(tag("m#prod!#8", 3, 60), tag("m#prod!#9", 1, 61)) == "v3.0.0"
    # A version that was taken back gets nothing back.
    assert previous(tag("m#prod#8", 2, 32)) == "v1.0.0"
    assert previous(tag("m@v1.0.0!", 1, 60)) == ""
    # Unassigned since, but it had it.
    assert previous(tag("m#prod!#8", 1, 32)) == "v1.0.0"
    # Only ever taken from, never given.
    assert previous(tag("m#dev!#8", 3, 60), stage="dev") == ""
    # In one second the one that tags named first.
    tie = (tag("m@v10.0.0", 7, 10), tag("m#prod#8", 7, 31))
    assert previous(*tie) == "v1.0.0"


def test_only_stages_that_change_hands_are_told_of() -> None:
    def at(*more: GitTag) -> Artifact:
        return registry(*more).state.artifacts["m"]

    now = at()
    assert stage_changes(now, now) == stage_changes(None, None) == ()
    assert stage_changes(now, at(tag("m#prod#8", 1, 60), tag("m#live", 1, 61))) == (
        StageChange("prod", ("v3.0.0",), ("v1.0.0",)),
        StageChange("live", (), ("v1.0.0",)),
    )
    assert stage_changes(now, at(tag("m#dev!#8", 1, 60))) == (
        StageChange("dev", ("v1.0.0",), ()),
    )
    assert stage_changes(None, now)[0] == StageChange("dev", (), ("v1.0.0",))
    assert stage_changes(now, None)[0] == StageChange("dev", ("v1.0.0",), ())


def test_an_active_version_of_a_commit_comes_before_one_that_was_taken_back() -> None:
    both = registry(tag("m@v0.9.0", 1, 60), tag("m@v1.0.0!", 1, 61))
    plan = plan_registration(both, "m", ONE, "v9.0.0")
    assert isinstance(plan, Refusal)
    assert (plan.code, "m v0.9.0 already" in plan.sentence) == (
        "commit-has-version", True,
    )  # fmt: skip


def test_a_commit_is_known_by_its_own_id_and_by_that_of_a_tag_of_it() -> None:
    outer = tag("nest@v1.0.0", 1, 60)
    assert outer.tag is not None
    inner = "e" * 40
    nested = replace(
        outer, tag=replace(outer.tag, target_id=inner, target_type=ObjectType.TAG)
    )
    # A stage of the commit alone comes after it, though both are active.
    now = registry(nested, tag("nest#dev", 1, 61))
    for known in (ONE, inner):
        plan = plan_registration(now, "nest", known, "v2.0.0")
        assert isinstance(plan, Refusal)
        assert plan.code == "commit-has-version"


def test_a_commit_of_an_annotation_is_the_last_event_and_others_are_not() -> None:
    def earliest(state: RegistryState, refs: frozenset[str]) -> int:
        plan = plan_registration(Registry(state, refs), "m", commit_id(9), "v9.0.0")
        assert isinstance(plan, TagPlan)
        return plan.not_before

    tags = (tag("m@v1.0.0", 1, 10), tag("m@v2.0.0", 2, 20))
    late = commit(1, 30, {"artifacts.yaml": {"m": {}}})
    plain = commit(1, 30)
    refs = frozenset(one.ref for one in tags)
    state = build_state(snapshot(*tags, commits=(late,), head=2))
    assert earliest(state, refs) == 31
    state = build_state(snapshot(*tags, commits=(plain,), head=2))
    assert earliest(state, refs) == 21


@pytest.mark.parametrize(
    ("refs", "counter"),
    [
        ((), "1"),
        (("m#prod",), "1"),
        (("m#prod#007",), "8"),
        (("m#prod#0",), "1"),
        (("m@v1.0.0#4", "m#x!#9", "m@deprecated#12"), "13"),
        (("mm#prod#50", "x#prod#50", "m#prod#x"), "1"),
        (("m#prod#" + "9" * LONGEST_REF,), "1" + "0" * LONGEST_REF),
        (("m#prod#" + "9" * (LONGEST_REF + 1), "m#prod#3"), "4"),
        (("sub=m#prod#50", "m#prod#2"), "3"),
    ],
)
def test_the_next_counter_is_one_more_than_any_of_the_model(
    refs: tuple[str, ...], counter: str
) -> None:
    plan = plan_unassignment(
        Registry(NOW.state, frozenset(refs)), "m", "prod", "v3.0.0"
    )
    if len(counter) > LONGEST_REF:
        assert isinstance(plan, Refusal)
        assert plan.code == "name-too-long"
        return
    assert isinstance(plan, TagPlan)
    assert plan.tag.counter == counter


def test_a_counter_of_a_model_in_a_folder_is_its_own() -> None:
    refs = frozenset({"sub=m#prod#4", "m#prod#9"})
    plan = plan_assignment(
        Registry(NOW.state, refs), "sub:m", "prod", commit_id=commit_id(9)
    )
    assert isinstance(plan, TagPlan)
    assert plan.name == "sub=m#prod#5"
