from __future__ import annotations

import gc
import random
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.core import gto_json
from indexer.core.events import EventKind
from indexer.core.git_objects import parse_tag_object
from indexer.core.registry import Reading
from indexer.core.snapshot import (
    Document,
    GitTag,
    Instant,
    Json,
    ObjectType,
    Problem,
    RepositorySnapshot,
)
from indexer.core.state import RegistryState, build_state
from tests.core.histories import START, histories, write_repository
from tests.core.reading import read_repository
from tests.core.snapshots import commit, commit_id, snapshot, tag


def holders(state: RegistryState, artifact: str = "m") -> dict[str, list[str]]:
    stages = state.artifacts[artifact].stages
    return {stage: [h.version for h in held] for stage, held in stages.items()}


def versions(state: RegistryState, artifact: str = "m") -> list[str]:
    return [version.name for version in state.artifacts[artifact].versions]


def codes(state: RegistryState) -> list[str]:
    return [problem.code for problem in state.problems]


def test_an_empty_repository_has_an_empty_state() -> None:
    state = build_state(RepositorySnapshot())
    assert (state.artifacts, state.events, state.problems) == ({}, (), ())
    assert gto_json.show_registry(state) == {}
    assert gto_json.history(state) == []
    with pytest.raises(gto_json.UnknownArtifact):
        gto_json.show_artifact(state, "m")


@pytest.mark.parametrize("was_enabled", [True, False])
def test_the_search_for_cycles_is_afterwards_as_it_was(was_enabled: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if was_enabled else gc.disable)()
        build_state(snapshot(tag("m@v1.0.0")))
        assert gc.isenabled() is was_enabled
    finally:
        (gc.enable if before else gc.disable)()


def test_the_latest_version_is_the_greatest_by_semver() -> None:
    state = build_state(
        snapshot(
            tag("m@v1.10.0", 1, 1),
            tag("m@v1.9.0", 2, 2),
            tag("m@v2.0.0", 3, 3),
            tag("m@v2.0.0!", 3, 4),
        )
    )
    latest = state.artifacts["m"].latest
    assert latest is not None
    assert latest.name == "v1.10.0"
    assert versions(state) == ["v2.0.0", "v1.10.0", "v1.9.0"]


def test_a_stage_falls_back_when_its_holder_goes() -> None:
    tags = [
        tag("m@v1.0.0", 1, 1),
        tag("m@v2.0.0", 2, 2),
        tag("m#prod#1", 1, 3),
        tag("m#prod#2", 2, 4),
    ]
    assert holders(build_state(snapshot(*tags))) == {"prod": ["v2.0.0"]}
    unassigned = build_state(snapshot(*tags, tag("m#prod!#3", 2, 5)))
    assert holders(unassigned) == {"prod": ["v1.0.0"]}
    deregistered = build_state(snapshot(*tags, tag("m@v2.0.0!", 2, 5)))
    assert holders(deregistered) == {"prod": ["v1.0.0"]}


def test_the_four_readings_differ() -> None:
    seen = snapshot(
        tag("m@v1.0.0", 1, 1),
        tag("m@v2.0.0", 2, 2),
        tag("m#prod#1", 2, 3),
        tag("m#dev#2", 1, 4),
        tag("m#prod#3", 1, 5),
    )
    by = {r: holders(build_state(seen, reading=r)) for r in Reading}
    assert by[Reading.TIME] == {"dev": ["v1.0.0"], "prod": ["v1.0.0"]}
    assert by[Reading.SEMVER] == {"dev": ["v1.0.0"], "prod": ["v2.0.0"]}
    assert by[Reading.SEVERAL] == {"dev": ["v1.0.0"], "prod": ["v1.0.0", "v2.0.0"]}
    assert by[Reading.KANBAN] == {"dev": ["v1.0.0"], "prod": ["v2.0.0"]}


def test_stages_of_versions_agree_with_stages_of_the_artifact() -> None:
    state = build_state(
        snapshot(tag("m@v1.0.0", 1, 1), tag("m#prod", 1, 2), tag("m#dev", 1, 3))
    )
    assert state.artifacts["m"].versions[0].stages == ("dev", "prod")


def test_T3_unknown_dates_come_before_all_others_and_are_flagged() -> None:
    first = tag("m@v1.0.0", 1, None)
    assert first.tag is not None
    first = replace(first, tag=replace(first.tag, flaws=("No date.",)))
    state = build_state(
        snapshot(
            *(first, tag("m#prod#9", 1, None), tag("m#prod!#8", 1, -(10**9))),
            *(tag("m@v2.0.0", 2, None), tag("m#prod#7", 2, -(10**9) - 1)),
        )
    )
    assert [e.at and e.at.seconds for e in state.events][-3:] == [None] * 3
    assert holders(state) == {"prod": ["v2.0.0"]}
    assert codes(state) == ["tag-without-date"]
    shown = gto_json.history(state, ascending=True)[0]
    assert isinstance(shown, dict)
    assert shown["timestamp"] is None


def test_the_state_at_a_time_is_what_the_tags_until_then_say() -> None:
    files: dict[str, Json] = {"artifacts.yaml": {"m": {}, "new": {}}}
    seen = snapshot(
        tag("m@v1.0.0", 1, 10),
        tag("m#prod#1", 1, 20),
        tag("m@v2.0.0", 2, 30),
        tag("m#prod#2", 2, 40),
        tag("m@deprecated", 2, 50),
        tag("later@v1.0.0", 2, 60),
        tag("undated@v1.0.0", 2, None),
        commits=(commit(2, 25, files),),
        head=2,
    )

    def at(seconds: int) -> RegistryState:
        return build_state(seen, at=Instant(seconds))

    assert list(at(5).artifacts) == ["undated"]
    assert holders(at(20)) == {"prod": ["v1.0.0"]}
    assert at(20).artifacts["m"].annotation is None
    assert list(at(25).artifacts) == ["m", "new", "undated"]
    assert at(25).artifacts["m"].annotation is not None
    assert holders(at(39)) == {"prod": ["v1.0.0"]}
    assert holders(at(40)) == {"prod": ["v2.0.0"]}
    assert at(40).artifacts["m"].is_active
    assert not at(50).artifacts["m"].is_active
    assert list(at(60).artifacts) == ["later", "m", "new", "undated"]
    assert len(at(10).events) == 2


def test_before_its_registration_a_stage_is_of_the_commit() -> None:
    seen = snapshot(tag("m#prod#1", 1, 10), tag("m@v1.0.0", 1, 20))
    assert holders(build_state(seen)) == {"prod": ["v1.0.0"]}
    then = build_state(seen, at=Instant(15))
    assert holders(then) == {"prod": [commit_id(1)]}


def test_only_a_dvc_yaml_names_it_so_gto_does_not_list_it() -> None:
    files: dict[str, Json] = {
        "dvc.yaml": {"artifacts": {"a": {"type": "model"}, "both": {"type": "dvc"}}},
        "sub/dvc.yaml": {"artifacts": {"b": {"path": "x"}, "tagged": {}}},
        "artifacts.yaml": {"c": {"type": "data"}, "both": {"type": "gto"}},
    }
    state = build_state(
        snapshot(tag("sub=tagged@v1.0.0", 2, 5), commits=(commit(1, 9, files),))
    )
    only = {name for name, a in state.artifacts.items() if a.only_dvc_yaml}
    assert only == {"a", "sub:b"}
    assert list(state.artifacts) == ["a", "both", "c", "sub:b", "sub:tagged"]
    gto = gto_json.show_registry(state, gto_only=True)
    assert list(gto) == ["sub:tagged", "c", "both"]
    assert list(gto_json.show_registry(state))[3:] == ["a", "sub:b"]
    both = state.artifacts["both"]
    assert both.annotation is not None
    assert both.annotation.type == "dvc"
    (version,) = both.versions
    assert version.gto_annotation is not None
    assert version.gto_annotation.type == "gto"
    assert version.is_discovered
    annotation = state.artifacts["sub:b"].annotation
    assert annotation is not None
    assert annotation.path == "sub/x"
    assert state.artifacts["a"].is_active
    with pytest.raises(gto_json.UnknownArtifact):
        gto_json.show_artifact(state, "a", gto_only=True)
    (shown,) = gto_json.show_artifact(state, "a")
    assert isinstance(shown, dict)
    assert shown["discovered"] is True


def test_each_version_has_the_annotation_of_its_own_commit() -> None:
    state = build_state(
        snapshot(
            tag("m@v1.0.0", 1, 5),
            tag("m@v2.0.0", 2, 6),
            commits=(
                commit(1, 1, {"artifacts.yaml": {"m": {"description": "old"}}}),
                commit(2, 2, {"dvc.yaml": {"artifacts": {"m": {"desc": "new"}}}}),
            ),
            head=2,
        )
    )
    new, old = state.artifacts["m"].versions
    assert new.annotation is not None
    assert old.annotation is not None
    assert (new.annotation.description, old.annotation.description) == ("new", "old")


def test_a_stage_outside_the_config_is_shown_and_a_problem() -> None:
    files: dict[str, Json] = {
        ".gto": {"stages": ["dev"], "types": ["data"]},
        "artifacts.yaml": {"m": {"type": "model"}},
    }
    state = build_state(
        snapshot(
            tag("m@v1.0.0", 1, 5),
            tag("m#prod#1", 1, 6),
            tag("m#prod#2", 1, 7),
            commits=(commit(1, 1, files),),
        )
    )
    assert state.stage_order == ("dev",)
    assert holders(state) == {"prod": ["v1.0.0"]}
    assert [(p.code, p.tag, p.path) for p in state.problems] == [
        ("stage-not-listed", "m#prod#2", ""),
        ("type-not-listed", "", "artifacts.yaml"),
    ]


def test_a_bad_file_shared_by_commits_is_one_problem_at_the_head() -> None:
    bad: dict[str, Json] = {"artifacts.yaml": []}
    first, documents = commit(1, 1, bad)
    second = replace(commit(2, 2)[0], files=first.files)
    seen = snapshot(
        tag("m@v1.0.0", 1, 5), commits=((first, documents), (second, {})), head=2
    )
    (problem,) = build_state(seen).problems
    assert (problem.code, problem.commit_id) == ("file-wrong-shape", commit_id(2))


def test_an_unreadable_file_is_a_problem_with_its_line() -> None:
    made, documents = commit(1, 1, {"dvc.yaml": None})
    broken = {key: Document(key, problem="A bad key.", line=3) for key in documents}
    (problem,) = build_state(snapshot(commits=((made, broken),))).problems
    assert problem == Problem(
        "unreadable-file",
        "A bad key.",
        path="dvc.yaml",
        line=3,
        commit_id=commit_id(1),
    )
    (problem,) = build_state(snapshot(commits=((made, {}),))).problems
    assert problem.code == "unreadable-file"


@pytest.mark.parametrize(
    "name", ["m" * 256 + "@v1.0.0", "m#" + "s" * 256, "m@v1.0.0-" + "a" * 250]
)
def test_P8_names_no_row_can_hold_are_problems(name: str) -> None:
    state = build_state(snapshot(tag(name, 1, 1), tag("n@v1.0.0", 1, 1)))
    assert codes(state) == ["name-too-long"]
    assert list(state.artifacts) == ["n"]
    assert all(len(problem.artifact) <= 255 for problem in state.problems)


def test_commits_that_did_not_arrive_cost_nothing_else() -> None:
    seen = snapshot(tag("m@v1.0.0", 1, 5), tag("m#prod", 2, 6))
    state = build_state(replace(seen, commits={}, documents={}))
    assert versions(state) == ["v1.0.0", commit_id(2)]
    gto_json.show_artifact(state, "m")


def test_an_equal_digest_means_equal_rows_and_no_other_artifact_changes_it() -> None:
    tags = [tag("m@v1.0.0", 1, 5), tag("m#prod", 1, 6), tag("n@v1.0.0", 2, 7)]
    before = build_state(snapshot(*tags)).artifacts
    after = build_state(snapshot(*tags, tag("n#prod", 2, 8))).artifacts
    assert before["m"].digest == after["m"].digest
    assert before["n"].digest != after["n"].digest
    assert len(before["m"].digest) == 64
    other = build_state(snapshot(*tags), reading=Reading.KANBAN).artifacts
    assert other["m"].digest != before["m"].digest
    tied = build_state(snapshot(*tags, tag("a@v1.0.0", 3, 6))).artifacts
    assert tied["m"].digest == before["m"].digest  # its place in a second is no part


def test_a_nested_tag_is_on_its_inner_tag_and_knows_the_commit() -> None:
    outer = tag("m@v1.0.0", 1, 5)
    assert outer.tag is not None
    inner_id = "e" * 40
    nested = replace(
        outer,
        tag=replace(outer.tag, target_id=inner_id, target_type=ObjectType.TAG),
    )
    state = build_state(snapshot(nested))
    (version,) = state.artifacts["m"].versions
    assert (version.commit_id, version.peeled_id) == (inner_id, commit_id(1))
    assert codes(state) == ["tag-of-tag"]


def strange_tags() -> st.SearchStrategy[GitTag]:
    """Any tag objects at all, by names that are GTO's or nearly."""
    names = st.sampled_from(
        ("m@v1.0.0", "m#prod", "m#prod!#1", "m@deprecated", "m@created", "n@v1.0.0!")
    ) | st.text(max_size=8)
    bodies = st.builds(
        lambda on, kind, name, rest: (
            f"object {on:040x}\ntype {kind}\ntag {name}\n".encode(
                "utf-8", "surrogatepass"
            )
            + rest
        ),
        st.integers(0, 3),
        st.sampled_from(("commit", "tag", "blob", "?")),
        names,
        st.sampled_from((b"tagger A <a@x> 5 +0000\n\nx", b"tagger <> 7\n"))
        | st.binary(),
    )
    objects = st.none() | st.builds(
        lambda body: parse_tag_object(f"{hash(body) % 2**160:040x}", body), bodies
    )
    return st.builds(
        lambda ref, inside, peeled: GitTag(
            ref, inside.object_id if inside else commit_id(1), inside, peeled
        ),
        names,
        objects,
        st.none() | st.integers(1, 3).map(commit_id),
    )


@settings(max_examples=60)
@given(st.lists(strange_tags(), max_size=8), st.randoms(use_true_random=False))
def test_any_tags_have_a_state_whatever_their_order(
    tags: list[GitTag], chance: random.Random
) -> None:
    shuffled = list(tags)
    chance.shuffle(shuffled)
    for reading in Reading:
        state = build_state(snapshot(*tags), reading=reading)
        assert build_state(snapshot(*shuffled), reading=reading) == state
        gto_json.show_registry(state, deprecated=True)
        gto_json.history(state)
        for name in state.artifacts:
            gto_json.show_artifact(state, name, deprecated=True)


@settings(max_examples=15, deadline=None)
@given(history=histories(), chance=st.randoms(use_true_random=False))
def test_order_of_input_and_foreign_tags_change_nothing(
    history: object, chance: random.Random, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any") / "repository"
    seen = read_repository(write_repository(folder, history))  # type: ignore[arg-type]
    state = build_state(seen)
    tags = list(seen.tags)
    chance.shuffle(tags)
    commits = list(seen.commits.items())
    chance.shuffle(commits)
    assert build_state(replace(seen, tags=tuple(tags), commits=dict(commits))) == state
    foreign = [tag("release-9", 9, START), tag("m@created", 9, START)]
    assert build_state(replace(seen, tags=(*tags, *foreign))) == state


def many_tags(count: int, artifacts: int) -> RepositorySnapshot:
    tags: list[GitTag] = []
    for number in range(count):
        name = f"m{number % artifacts}"
        turn = number // artifacts
        on = 10 + number - (turn % 2) * artifacts
        ref = f"{name}@v0.{turn}.0" if turn % 2 == 0 else f"{name}#prod#{turn}"
        tags.append(tag(ref, on, number, object_id=f"{number:040x}"))
    seen = snapshot(*tags)
    commits = {commit_id(n): commit(n, n)[0] for n in range(10, 10 + count)}
    return replace(seen, commits=commits)


def seconds_to_fold(seen: RepositorySnapshot) -> float:
    best = 60.0
    for _ in range(2):
        started = time.process_time()
        build_state(seen)
        best = min(best, time.process_time() - started)
    return best


@pytest.mark.measures_time
def test_folding_is_not_quadratic_in_the_tags_of_an_artifact() -> None:
    few = seconds_to_fold(many_tags(1_000, 1))
    many = seconds_to_fold(many_tags(8_000, 1))
    assert many < 24 * few  # 8 times the tags; quadratic would be 64 times


@pytest.mark.measures_time
def test_many_versions_and_stages_on_one_commit_are_not_quadratic() -> None:
    def crowd(count: int) -> RepositorySnapshot:
        return snapshot(
            *(tag(f"m@v0.{n}.0", 1, n, object_id=f"{n:040x}") for n in range(count)),
            *(
                tag(f"m#s{n}", 1, n, object_id=f"{count + n:040x}")
                for n in range(count)
            ),
        )

    state = build_state(crowd(3))
    assert holders(state) == {"s0": ["v0.0.0"], "s1": ["v0.1.0"], "s2": ["v0.2.0"]}
    few, many = seconds_to_fold(crowd(500)), seconds_to_fold(crowd(4_000))
    assert many < 24 * few


def test_events_of_every_kind_are_in_gtos_order(tmp_path: Path) -> None:
    state = build_state(
        snapshot(
            tag("m@v1.0.0", 1, 5),
            tag("m@v1.0.0!", 1, 5),
            tag("m#prod", 1, 5),
            tag("m#prod!", 1, 5),
            tag("m@deprecated", 1, 5),
        )
    )
    assert [event.kind for event in state.events] == [
        EventKind.UNASSIGNMENT,
        EventKind.ASSIGNMENT,
        EventKind.DEREGISTRATION,
        EventKind.REGISTRATION,
        EventKind.DEPRECATION,
    ]
