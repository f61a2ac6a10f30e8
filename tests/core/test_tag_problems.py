"""What tags are told of, word by word, with the place of each problem; and which tags
make an event all the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from indexer.core.registry import MAX_NAME
from indexer.core.snapshot import GitTag, Instant, Json, ObjectType, Problem, TagObject
from indexer.core.state import RegistryState, build_state
from tests.core.snapshots import commit, commit_id, snapshot, tag


def changed(made: GitTag, **facts: object) -> GitTag:
    """The tag with other facts inside its object."""
    assert made.tag is not None
    return replace(made, tag=replace(made.tag, **facts))  # type: ignore[arg-type]


def light(ref: str) -> GitTag:
    return GitTag(ref, commit_id(1), None, commit_id(1))


def off_commit(made: GitTag, target_type: ObjectType, target: str = "f" * 40) -> GitTag:
    away = changed(made, target_type=target_type, target_id=target)
    return replace(away, commit_id=None)


LONG = "m" * 81
TOO_LONG = "m" * (MAX_NAME + 1)
NO_DATE = ("The tagger has no date.",)
# A tag -> its problems by artifact, code and words; whether it is an event.
CASES: dict[str, tuple[GitTag, list[tuple[str, str, str]], bool]] = {
    "plain": (tag("m@v1.0.0"), [], True),
    "foreign": (tag("release-1"), [], False),
    "foreign and light": (light("release-1"), [], False),
    "foreign and flawed": (changed(tag("release-1"), flaws=("Odd.",)), [], False),
    "light": (
        light("m@v1.0.0"),
        [
            (
                *("m", "lightweight-tag"),
                "m@v1.0.0 is a lightweight tag, without author and date, so it counts"
                " for nothing. Make an annotated one: git tag -a.",
            )
        ],
        False,
    ),
    "light, of a name that no row can hold": (
        light(f"{TOO_LONG}@v1.0.0"),
        [
            (
                *("", "lightweight-tag"),
                f"{TOO_LONG[:80]}… is a lightweight tag, without author and date, so it"
                " counts for nothing. Make an annotated one: git tag -a.",
            )
        ],
        False,
    ),
    "another name inside": (
        tag("m@v1.0.0", name="n@v2.0.0"),
        [
            (
                *(artifact, "tag-name-differs"),
                "The tag object behind m@v1.0.0 is named n@v2.0.0, and that name"
                " counts, as in gto. Make the tag again under one name.",
            )
            for artifact in ("m", "n")
        ],
        True,
    ),
    "another name of the same artifact inside": (
        tag("m@v1.0.0", name="m@v2.0.0"),
        [
            (
                *("m", "tag-name-differs"),
                "The tag object behind m@v1.0.0 is named m@v2.0.0, and that name"
                " counts, as in gto. Make the tag again under one name.",
            )
        ],
        True,
    ),
    "a name inside that is none": (
        tag("m@v1.0.0", name="whatever"),
        [
            (
                *("m", "tag-name-differs"),
                "The tag object behind m@v1.0.0 is named whatever, which is no GTO"
                " name, so it counts for nothing; gto fails on it.",
            )
        ],
        False,
    ),
    "no name inside": (
        tag("m@v1.0.0", name=""),
        [
            (
                *("m", "tag-name-differs"),
                "The tag object behind m@v1.0.0 is named nothing, which is no GTO"
                " name, so it counts for nothing; gto fails on it.",
            )
        ],
        False,
    ),
    "a ref that is no GTO name": (
        tag("release-1", name="m@v1.0.0"),
        [
            (
                *("m", "tag-name-differs"),
                "The tag object behind release-1 is named m@v1.0.0. gto reads no tag"
                " whose ref is not a GTO name, so it counts for nothing.",
            )
        ],
        False,
    ),
    "long names are cut": (
        tag(f"{LONG}@v1.0.0", name=f"n{LONG}@v1.0.0"),
        [
            (
                *(artifact, "tag-name-differs"),
                f"The tag object behind {LONG[:80]}… is named n{LONG[:79]}…, and that"
                " name counts, as in gto. Make the tag again under one name.",
            )
            for artifact in (LONG, f"n{LONG}")
        ],
        True,
    ),
    "both names too long for a row": (
        tag(f"{TOO_LONG}@v1.0.0", name=f"{TOO_LONG}@v2.0.0"),
        [
            (
                *("", "name-too-long"),
                f"Tag {TOO_LONG[:80]}…: artifact, version and stage may have"
                f" {MAX_NAME} characters each; the tag is left out.",
            ),
            (
                *("", "tag-name-differs"),
                f"The tag object behind {TOO_LONG[:80]}… is named {TOO_LONG[:80]}…, and"
                " that name counts, as in gto. Make the tag again under one name.",
            ),
        ],
        False,
    ),
    "a stage too long": (
        tag("m#" + "s" * (MAX_NAME + 1)),
        [
            (
                *("m", "name-too-long"),
                f"Tag m#{'s' * 78}…: artifact, version and stage may have {MAX_NAME}"
                " characters each; the tag is left out.",
            )
        ],
        False,
    ),
    "a version too long": (
        tag("m@v1.0.0-" + "a" * (MAX_NAME - 6)),
        [
            (
                *("m", "name-too-long"),
                f"Tag m@v1.0.0-{'a' * 71}…: artifact, version and stage may have"
                f" {MAX_NAME} characters each; the tag is left out.",
            )
        ],
        False,
    ),
    "names as long as may be": (
        tag("m" * MAX_NAME + "@v1.0.0-" + "a" * (MAX_NAME - 7)),
        [],
        True,
    ),
    "a stage as long as may be": (tag("m#" + "s" * MAX_NAME), [], True),
    "on a blob": (
        off_commit(tag("m@v1.0.0"), ObjectType.BLOB),
        [
            (
                *("m", "tag-not-on-commit"),
                "Tag m@v1.0.0 leads to no commit (its target: blob). It is left out;"
                " tag a commit.",
            )
        ],
        False,
    ),
    "on a tag of a blob": (
        off_commit(tag("m#prod"), ObjectType.TAG),
        [
            (
                *("m", "tag-not-on-commit"),
                "Tag m#prod leads to no commit (its target: tag). It is left out; tag a"
                " commit.",
            )
        ],
        False,
    ),
    "a deprecation on a tree": (
        off_commit(tag("m@deprecated"), ObjectType.TREE),
        [
            (
                *("m", "tag-not-on-commit"),
                "Tag m@deprecated leads to no commit (its target: tree). The"
                " deprecation counts all the same.",
            )
        ],
        True,
    ),
    "a deprecation of nothing": (
        off_commit(tag("m@deprecated"), ObjectType.MISSING, ""),
        [
            (
                *("m", "tag-not-on-commit"),
                "Tag m@deprecated leads to no commit (its target: missing). It is left"
                " out; tag a commit.",
            )
        ],
        False,
    ),
    "a target that is not said, though something is there": (
        changed(tag("m@v1.0.0"), target_id="", target_type=ObjectType.MISSING),
        [
            (
                *("m", "tag-not-on-commit"),
                "Tag m@v1.0.0 leads to no commit (its target: missing). It is left out;"
                " tag a commit.",
            )
        ],
        False,
    ),
    "a tag of a tag": (
        changed(tag("m@v1.0.0"), target_id="e" * 40, target_type=ObjectType.TAG),
        [
            (
                *("m", "tag-of-tag"),
                "m@v1.0.0 tags another tag and not a commit. It counts as being on a"
                " commit of its own, as in gto; tag the commit itself.",
            )
        ],
        True,
    ),
    "a flaw": (
        changed(tag("m@v1.0.0"), flaws=("This is odd.", "That too.")),
        [("m", "tag-flaw", "Tag m@v1.0.0: This is odd. That too.")],
        True,
    ),
    "no date": (
        changed(tag("m@v1.0.0", 1, None), flaws=NO_DATE),
        [("m", "tag-without-date", "Tag m@v1.0.0: The tagger has no date.")],
        True,
    ),
    "no tagger": (
        changed(tag("m@v1.0.0", 1, None), tagger=None, flaws=("Nobody.",)),
        [("m", "tag-without-tagger", "Tag m@v1.0.0: Nobody.")],
        True,
    ),
    "a flaw of a tag whose name inside is none": (
        changed(tag("m@v1.0.0", name="x"), flaws=("Odd.",)),
        [
            (
                *("m", "tag-name-differs"),
                "The tag object behind m@v1.0.0 is named x, which is no GTO name, so it"
                " counts for nothing; gto fails on it.",
            )
        ],
        False,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_tag_problem_says_what_is_wrong_and_where(
    case: tuple[GitTag, list[tuple[str, str, str]], bool],
) -> None:
    made, problems, is_event = case
    good = tag("good@v1.0.0", 2)
    for tags in ((made, good), (good, made)):
        state = build_state(snapshot(*tags))
        assert state.problems == tuple(
            Problem(code, words, artifact=artifact, tag=made.ref)
            for artifact, code, words in problems
        )
        assert len(state.events) == 1 + is_event
        assert len(state.artifacts) == 1 + is_event


@pytest.mark.parametrize("length", [80, 81])
def test_a_name_is_cut_after_80_characters(length: int) -> None:
    ref = "m" * (length - 7) + "@v1.0.0"
    (problem,) = build_state(snapshot(light(ref))).problems
    shown = ref if length == 80 else f"{ref[:80]}…"
    assert problem.text.startswith(f"{shown} is a lightweight tag,")


def inside(made: GitTag) -> TagObject:
    assert made.tag is not None
    return made.tag


def events(state: RegistryState) -> list[tuple[str, tuple[str, ...]]]:
    return [(event.tag, event.refs) for event in state.events]


def test_two_objects_that_say_the_same_are_one_event_and_any_difference_makes_two() -> (
    None
):
    first = tag("m@v1.0.0", 1, 10, object_id="1" * 40)
    same = tag("n@v1.0.0", 1, 10, name="m@v1.0.0", object_id="2" * 40)
    assert events(build_state(snapshot(same, first))) == [
        ("m@v1.0.0", ("m@v1.0.0", "n@v1.0.0"))
    ]
    zone = changed(same, tagged=Instant(10, 120))  # the same moment on another clock
    assert len(build_state(snapshot(first, zone)).events) == 1
    ada = inside(same).tagger
    assert ada is not None
    others: list[dict[str, object]] = [
        {"name": "m@v2.0.0"},
        {"target_id": commit_id(2)},
        {"tagged": Instant(11)},
        {"tagger": replace(ada, name="Bob")},
        {"tagger": replace(ada, email="bob@example.org")},
        {"tagger": None},
        {"message": "Something else"},
    ]
    for other in others:
        assert len(build_state(snapshot(first, changed(same, **other))).events) == 2


def test_one_object_by_several_refs_is_one_event_that_knows_each_ref_once() -> None:
    one = tag("m@v1.0.0", 1, 10, object_id="1" * 40)
    refs = [replace(one, ref=f"m@v1.0.0#{number}") for number in (2, 1)]
    state = build_state(snapshot(*refs, one))
    assert events(state) == [("m@v1.0.0", ("m@v1.0.0", "m@v1.0.0#1", "m@v1.0.0#2"))]
    assert events(build_state(snapshot(one, one))) == [("m@v1.0.0", ("m@v1.0.0",))]


def test_a_tag_of_the_asked_second_counts_and_of_the_next_does_not() -> None:
    seen = snapshot(tag("m@v1.0.0", 1, 10), light("x@v1.0.0"), tag("m#prod", 1, None))
    assert len(build_state(seen, at=Instant(10)).events) == 2
    state = build_state(seen, at=Instant(9))
    assert [event.stage for event in state.events] == ["prod"]
    assert [problem.code for problem in state.problems] == ["lightweight-tag"]
    late = snapshot(changed(tag("m@v1.0.0", 1, 10), flaws=("Odd.",)), tag("n@v1.0.0"))
    assert build_state(late, at=Instant(9)).problems == ()


def test_gtos_order_of_reading_is_the_order_of_artifacts() -> None:
    state = build_state(
        snapshot(
            *(tag("a#prod", 1, 1), tag("b@v1.0.0", 2, 2), tag("c@deprecated", 3, 3)),
            *(tag("d@v1.0.0!", 4, 2), tag("e#dev!", 5, 0), tag("f@deprecated", 6, 3)),
        )
    )
    places = sorted(state.artifacts.values(), key=lambda one: one.position)
    assert [one.name for one in places] == ["c", "f", "b", "d", "e", "a"]


def test_stages_and_types_that_gto_does_not_allow_are_told_of_by_their_newest_tag() -> (
    None
):
    files: dict[str, Json] = {
        ".gto": {"stages": ["dev"], "types": ["data"]},
        "artifacts.yaml": {"m": {"type": "model"}, "n": {"type": "data"}, "o": {}},
    }
    state = build_state(
        snapshot(
            *(tag("m@v1.0.0", 1, 5), tag("m@v2.0.0", 2, 6), tag("m#dev", 1, 7)),
            *(tag("m#prod#3", 1, 8), tag("m#prod#1", 1, 9), tag("m#prod#2", 2, 7)),
            *(tag("m#live!", 2, 7), tag("m#prod!#9", 1, 20), tag("m#test", 2, 7)),
            commits=(commit(1, 1, files),),
        )
    )
    told = [
        (p.code, p.artifact, p.tag, p.path, p.commit_id, p.text) for p in state.problems
    ]
    assert told == [
        (
            *("stage-not-listed", "m", "m#prod#1", "", ""),
            "Stage prod of m is not among the stages that .gto lists. Add it there or"
            " unassign it.",
        ),
        (
            *("stage-not-listed", "m", "m#test", "", ""),
            "Stage test of m is not among the stages that .gto lists. Add it there or"
            " unassign it.",
        ),
        (
            *("type-not-listed", "m", "", "artifacts.yaml", commit_id(1)),
            "Type model of m is not among the types that .gto lists.",
        ),
    ]
    assert (state.stage_order, state.has_stage_list) == (("dev",), True)


def test_without_a_list_every_stage_and_type_is_allowed() -> None:
    configs: list[Json] = [{}, {"types": []}, {"stages": None}]
    for config in configs:
        files: dict[str, Json] = {
            ".gto": config,
            "artifacts.yaml": {"m": {"type": "model"}},
        }
        state = build_state(
            snapshot(tag("m#prod", 1, 5), commits=(commit(1, 1, files),))
        )
        assert state.problems == ()
        assert (state.stage_order, state.has_stage_list) == ((), False)


def test_problems_are_sorted_by_their_place_and_each_is_told_once() -> None:
    made = [
        Problem("b", "x", artifact="m", path="p", line=2),
        Problem("b", "x", artifact="m", path="p"),
        Problem("a", "y", artifact="m", path="p"),
        Problem("a", "x", artifact="m", path="p", commit_id="1"),
        Problem("a", "x", artifact="m", path="p"),
        Problem("a", "x", artifact="m", tag="t"),
        Problem("a", "x", artifact="m"),
        Problem("z", "x"),
    ]
    seen = replace(snapshot(), problems=(*made, *made))
    state = build_state(seen)
    assert [made.index(problem) for problem in state.problems] == [
        7, 6, 5, 4, 2, 3, 1, 0,
    ]  # fmt: skip
