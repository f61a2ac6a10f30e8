"""Names inside tag objects that differ from the ref: gto's answer where it has one."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.core.state import RegistryState, build_state
from tests.core.comparing import compare_repository
from tests.core.histories import START, Commit, History, Tag, write_repository
from tests.core.oracle import ask_gto
from tests.core.reading import read_repository

TWO = (Commit(files={"a": "1"}), Commit(files={"a": "2"}))

CASES: dict[str, tuple[Tag, ...]] = {
    "another artifact": (Tag("m@v1.0.0", name="other@v2.0.0"),),
    "a ref that is no GTO name": (Tag("v1.0.0", name="m@v1.0.0"), Tag("x@v1.0.0")),
    "a ref of another action": (
        Tag("m@v1.0.0", seconds=START + 1),
        Tag("m@v3.0.0", name="m#prod", seconds=START),
        Tag("m#dev", name="m@v2.0.0", target=1, seconds=START),
        Tag("m#prod", target=1, seconds=START + 3),
    ),
    "a deprecation that registers": (Tag("m@deprecated", name="m@v1.0.0"),),
    "a registration that deprecates": (
        Tag("m@v1.0.0", name="m@deprecated", seconds=START + 1),
        Tag("m@v2.0.0"),
    ),
    "one event by two refs": (
        Tag("m@v1.0.0"),
        Tag("n@v1.0.0", name="m@v1.0.0"),
    ),
    "one event in two time zones": (
        Tag("m@v1.0.0"),
        Tag("n@v1.0.0", name="m@v1.0.0", zone="+0200"),
    ),
    "a tag of a tag": (
        Tag("inner"),
        Tag("m@v1.0.0", target=0, target_type="tag"),
        Tag("m#prod", target=0),
        Tag("m#dev", target=0, target_type="tag", seconds=START + 2),
    ),
    "a deprecation of a blob": (
        Tag("m@v1.0.0"),
        Tag("m@deprecated", target_type="blob", seconds=START + 5),
    ),
}


def state_of(path: Path, *tags: Tag) -> RegistryState:
    return build_state(
        read_repository(write_repository(path / "repository", History(TWO, tags)))
    )


@pytest.mark.parametrize("tags", CASES.values(), ids=CASES)
def test_T5_a_name_inside_that_differs_means_what_gto_says(
    tags: tuple[Tag, ...], tmp_path: Path
) -> None:
    path = write_repository(tmp_path / "repository", History(TWO, tags))
    snapshot = read_repository(path)
    compare_repository(path, snapshot)
    assert build_state(snapshot).problems


def test_T5_the_difference_is_a_problem_of_both_names(tmp_path: Path) -> None:
    state = state_of(tmp_path, Tag("m@v1.0.0", name="other@v2.0.0"))
    places = [(p.code, p.artifact, p.tag) for p in state.problems]
    assert places == [
        ("tag-name-differs", "m", "m@v1.0.0"),
        ("tag-name-differs", "other", "m@v1.0.0"),
    ]
    assert list(state.artifacts) == ["other"]


def test_two_refs_of_one_tag_object_are_one_event(tmp_path: Path) -> None:
    state = state_of(tmp_path, Tag("m@v1.0.0"), Tag("n@v1.0.0", name="m@v1.0.0"))
    (event,) = state.events
    assert event.refs == ("m@v1.0.0", "n@v1.0.0")


def test_T6_a_lightweight_tag_is_a_problem_and_no_event(tmp_path: Path) -> None:
    state = state_of(tmp_path, Tag("m@v1.0.0", is_lightweight=True))
    assert state.artifacts == {}
    (problem,) = state.problems
    assert (problem.code, problem.artifact) == ("lightweight-tag", "m")
    assert "git tag -a" in problem.text


def again(ref: str, target: int) -> Tag:
    """A second ref to the tag object of another: a forgotten `-a`."""
    return Tag(ref, target=target, target_type="tag", is_lightweight=True)


# What gto reads first of the two refs to m#prod: before or after the registration.
SECOND_REFS: dict[str, tuple[Tag, ...]] = {
    "a deprecation": (again("m@deprecated", 1),),
    "a deprecation of another artifact": (again("n@deprecated", 1),),
    "a registration": (again("m@v9.0.0", 1),),
    "a deregistration": (again("n@v9.0.0!", 1),),
    "another stage": (again("m#dev", 1),),
    "all of them": (
        *(again("m@deprecated", 1), again("m@v9.0.0", 1)),
        *(again("m@v9.0.0!", 1), again("m#a", 1), again("m#z!", 1)),
    ),
    "no name of GTO's": (again("v1.0.0", 1),),
    "a version that a deprecation's ref names first": (
        again("a@deprecated", 0),
        again("m@deprecated", 1),
    ),
}


@pytest.mark.parametrize("seconds", [START - 1, START, START + 1])
@pytest.mark.parametrize("more", SECOND_REFS.values(), ids=SECOND_REFS)
def test_a_second_ref_on_a_stage_tag_leaves_the_stage_to_its_version(
    more: tuple[Tag, ...], seconds: int, tmp_path: Path
) -> None:
    stage = Tag("m#prod", seconds=seconds)
    history = History(TWO, (Tag("m@v1.0.0"), stage, *more))
    path = write_repository(tmp_path / "repository", history)
    snapshot = read_repository(path)
    compare_repository(path, snapshot)
    state = build_state(snapshot)
    (holder,) = state.artifacts["m"].stages["prod"]
    assert holder.version == "v1.0.0"
    (event,) = (event for event in state.events if event.stage)
    assert len(event.refs) == 1 + sum(
        ref.target == 1 and ref.ref != "v1.0.0" for ref in more
    )


def test_a_second_ref_on_an_unassignment_takes_the_stage_from_the_version(
    tmp_path: Path,
) -> None:
    tags = (
        *(Tag("m@v1.0.0"), Tag("m#prod", seconds=START + 1)),
        *(Tag("m#prod!", seconds=START + 2), again("m@deprecated", 2)),
    )
    path = write_repository(tmp_path / "repository", History(TWO, tags))
    snapshot = read_repository(path)
    compare_repository(path, snapshot)
    assert build_state(snapshot).artifacts["m"].stages == {}


def test_of_two_objects_that_say_one_thing_the_one_read_beside_its_version_counts(
    tmp_path: Path,
) -> None:
    tags = (
        *(Tag("m@v1.0.0"), Tag("m#prod", seconds=START)),
        Tag("m@deprecated", name="m#prod", seconds=START, zone="-0800"),
    )
    path = write_repository(tmp_path / "repository", History(TWO, tags))
    snapshot = read_repository(path)
    compare_repository(path, snapshot)
    (event,) = (event for event in build_state(snapshot).events if event.stage)
    assert (event.version, event.refs) == ("v1.0.0", ("m#prod", "m@deprecated"))
    assert event.at is not None
    assert event.at.offset == 0


def test_a_stage_tag_whose_every_ref_comes_before_its_version_is_of_the_commit(
    tmp_path: Path,
) -> None:
    tags = (
        *(Tag("m@deprecated", name="m#prod"), again("n@deprecated", 0)),
        Tag("m@v1.0.0"),
    )
    path = write_repository(tmp_path / "repository", History(TWO, tags))
    snapshot = read_repository(path)
    compare_repository(path, snapshot)
    (holder,) = build_state(snapshot).artifacts["m"].stages["prod"]
    assert holder.version == holder.commit_id


def test_one_tag_object_by_refs_of_two_actions_is_one_event_though_two_to_gto(
    tmp_path: Path,
) -> None:
    tags = (
        Tag("m#dev", seconds=START),
        Tag("m@v1.0.0", seconds=START + 1),
        again("m@v2.0.0", 0),
    )
    path = write_repository(tmp_path / "repository", History(TWO, tags))
    with ask_gto(path) as gto:
        assert gto.history().count('"event": "assignment"') == 2
    (event,) = (e for e in build_state(read_repository(path)).events if e.stage)
    assert event.refs == ("m#dev", "m@v2.0.0")
    assert event.version == "v1.0.0"
