"""How one artifact is folded: stages on a commit that has several versions (gto has no
answer there), dates that commits bring, and what stays as it is beside an odd one."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.core.registry import Artifact, Version
from indexer.core.snapshot import NOBODY, GitTag, Instant, Json, ObjectType
from indexer.core.state import build_state
from tests.core.comparing import compare_repository
from tests.core.histories import START, Commit, History, Tag, write_repository
from tests.core.reading import read_repository
from tests.core.snapshots import ADA, commit, commit_id, snapshot, tag
from tests.services import how_many


def at(ref: str, *seconds: int) -> list[GitTag]:
    """Tags of commit 1 that say `ref`, one a date."""
    return [tag(f"{ref}#{number}", 1, when) for number, when in enumerate(seconds)]


# What happened to the versions of one commit -> at which second a stage tag there
# means which of them.
CHOICES: dict[str, tuple[list[GitTag], dict[int, str]]] = {
    "before the first registration the first, then the one registered last": (
        [*at("m@v2.0.0", 5), *at("m@v1.0.0", 9)],
        {1: "v2.0.0", 5: "v2.0.0", 8: "v2.0.0", 9: "v1.0.0", 99: "v1.0.0"},
    ),
    "a deregistration that comes first makes no first": (
        [*at("m@v1.0.0!", 0), *at("m@v2.0.0", 5), *at("m@v1.0.0", 9)],
        {-1: "v2.0.0", 1: "v2.0.0", 9: "v1.0.0"},
    ),
    "of the active ones": (
        [*at("m@v1.0.0", 1), *at("m@v2.0.0", 2), *at("m@v2.0.0!", 5)],
        {4: "v2.0.0", 5: "v1.0.0"},
    ),
    "none active: the one registered last": (
        [
            *at("m@v1.0.0", 1),
            *at("m@v2.0.0", 2),
            *at("m@v2.0.0!", 5),
            *at("m@v1.0.0!", 6),
        ],
        {5: "v1.0.0", 6: "v2.0.0"},
    ),
    "registered again counts": (
        [*at("m@v1.0.0", 1, 5), *at("m@v2.0.0", 3)],
        {4: "v2.0.0", 5: "v1.0.0"},
    ),
    "taken back it does not count by its older registration either": (
        [*at("m@v1.0.0", 1, 5), *at("m@v2.0.0", 3), *at("m@v1.0.0!", 7)],
        {6: "v1.0.0", 7: "v2.0.0"},
    ),
    "taken back with all its registrations, so that none is active": (
        [
            *at("m@v1.0.0", 1, 2),
            *at("m@v2.0.0", 3),
            *at("m@v1.0.0!", 4),
            *at("m@v2.0.0!", 5),
        ],
        {2: "v1.0.0", 4: "v2.0.0", 5: "v2.0.0"},
    ),
    "taken back and registered again": (
        [*at("m@v1.0.0", 1, 9), *at("m@v2.0.0", 3), *at("m@v1.0.0!", 5)],
        {5: "v2.0.0", 9: "v1.0.0"},
    ),
    "taken back twice": (
        [*at("m@v1.0.0", 1), *at("m@v2.0.0", 3), *at("m@v2.0.0!", 5, 6)],
        {5: "v1.0.0", 6: "v1.0.0"},
    ),
    "in one second a deregistration wins": (
        [*at("m@v1.0.0", 1), *at("m@v2.0.0", 5), *at("m@v2.0.0!", 5)],
        {5: "v1.0.0"},
    ),
    "never registered: the one that tags named last": (
        [*at("m@v1.0.0!", 1), *at("m@v2.0.0!", 2), *at("m@v3.0.0!", 3)],
        {0: "v3.0.0", 9: "v3.0.0"},
    ),
    "the first of three": (
        [
            *at("m@v3.0.0!", 0),
            *at("m@v2.0.0", 5),
            *at("m@v1.0.0", 6),
            *at("m@v3.0.0", 7),
        ],
        {1: "v2.0.0", 6: "v1.0.0", 7: "v3.0.0"},
    ),
}


@pytest.mark.parametrize("case", CHOICES.values(), ids=CHOICES)
def test_a_stage_on_a_commit_with_several_versions_means(
    case: tuple[list[GitTag], dict[int, str]],
) -> None:
    tags, expected = case
    for second, version in expected.items():
        state = build_state(snapshot(*tags, tag("m#prod", 1, second)))
        (event,) = (event for event in state.events if event.stage)
        assert event.version == version, second
        (owner,) = (v for v in state.artifacts["m"].versions if v.stage_events)
        assert owner.name == version, second


def test_each_commit_with_several_versions_chooses_among_its_own() -> None:
    state = build_state(
        snapshot(
            *(tag("m@v1.0.0", 1, 1), tag("m@v2.0.0", 1, 2), tag("m#one", 1, 5)),
            *(tag("m@v3.0.0", 2, 1), tag("m@v4.0.0", 2, 2), tag("m#two", 2, 5)),
            *(tag("m@v4.0.0!", 2, 6), tag("m#two#1", 2, 7), tag("m#two!", 2, 4)),
        )
    )
    said = {event.tag: event.version for event in state.events if event.stage}
    assert said == {
        "m#one": "v2.0.0",
        "m#two": "v4.0.0",
        "m#two#1": "v3.0.0",
        "m#two!": "v4.0.0",
    }
    assert {event.artifact for event in state.events} == {"m"}
    (v3, v4) = (state.artifacts["m"].versions[n] for n in (1, 0))
    assert (v3.stages, v4.stages) == (("two",), ())
    places = [(p.code, p.artifact, p.tag, p.commit_id) for p in state.problems]
    assert places == [
        ("several-versions-on-commit", "m", "m#one", commit_id(1)),
        ("several-versions-on-commit", "m", "m#two", commit_id(2)),
        ("several-versions-on-commit", "m", "m#two!", commit_id(2)),
        ("several-versions-on-commit", "m", "m#two#1", commit_id(2)),
    ]
    assert state.problems[0].text == (
        "Tag m#one gives a stage to a commit that has 2 versions of m; it is taken for"
        " v2.0.0, registered last before the tag. gto fails on it."
    )


@st.composite
def crowded_histories(draw: st.DrawFn) -> History:
    """Three artifacts whose commits have one or two versions each, with stages."""
    commits = tuple(Commit(seconds=START - 9, files={"n": str(n)}) for n in range(3))
    tags: dict[str, Tag] = {}
    versions = ("v1.0.0", "v2.0.0", "v9.0.0", "v10.0.0")
    for _ in range(draw(st.integers(4, 24))):
        artifact = draw(st.sampled_from("abc"))
        target = draw(st.integers(0, 2))
        kind = draw(st.integers(0, 6))
        if kind <= 2:
            ref = f"{artifact}@{versions[target + draw(st.integers(0, 1))]}"
            ref += "!" if kind == 2 else ""
        elif kind <= 5:
            ref = f"{artifact}#{draw(st.sampled_from(('prod', 'dev')))}"
        else:
            ref = f"{artifact}@deprecated"
        ref += draw(st.sampled_from(("", "#1", "#2")))
        seconds = START + draw(st.integers(0, 3))
        tags.setdefault(ref, Tag(ref, target=target, seconds=seconds))
    return History(commits, tuple(tags.values()))


@pytest.mark.fuzz
@settings(
    max_examples=how_many(60),
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
@given(crowded_histories())
def test_a_stage_that_gto_fails_on_changes_nothing_else(history: History) -> None:
    """Without such tags gto has an answer; with them the rest of ours is that one."""
    with tempfile.TemporaryDirectory() as folder:
        whole = write_repository(Path(folder) / "whole", history)
        state = build_state(read_repository(whole))
        unclear = {
            problem.tag: problem.artifact
            for problem in state.problems
            if problem.code == "several-versions-on-commit"
        }
        kept = tuple(tag for tag in history.tags if tag.ref not in unclear)
        path = write_repository(Path(folder) / "rest", replace(history, tags=kept))
        seen = read_repository(path)
        rest = build_state(seen)
        assert not rest.problems
        assert list(rest.artifacts) == list(state.artifacts)
        events = [event for event in state.events if event.tag not in unclear]
        assert events == list(rest.events)
        for name, artifact in rest.artifacts.items():
            ours = state.artifacts[name]
            assert ours.position == artifact.position
            if name not in unclear.values():
                assert replace(ours, digest="") == replace(artifact, digest="")
        compare_repository(path, seen)


def test_a_holder_is_told_with_its_stage_its_commit_and_the_tag_that_counts() -> None:
    state = build_state(
        snapshot(tag("m@v1.0.0", 1, 1), tag("m#prod#1", 1, 2), tag("m#prod#2", 1, 3))
    )
    (held,) = state.artifacts["m"].stages["prod"]
    assert (held.stage, held.version, held.commit_id) == (
        "prod", "v1.0.0", commit_id(1),
    )  # fmt: skip
    assert held.event.tag == "m#prod#2"


def model(*tags: GitTag, second: int | None = None, **options: object) -> Artifact:
    moment = None if second is None else Instant(second)
    seen = snapshot(*tags, **options)  # type: ignore[arg-type]
    return build_state(seen, at=moment).artifacts["m"]


def test_a_commit_younger_than_the_asked_moment_is_no_event() -> None:
    tags = (tag("m@v1.0.0", 1, 5), tag("m@deprecated", 1, 10))
    young, old = (commit(1, 30),), (commit(1, 12),)
    assert model(*tags, commits=young).is_active  # the commit came after
    assert not model(*tags, commits=young, second=15).is_active
    assert not model(*tags, commits=young, second=29).is_active
    assert model(*tags, commits=young, second=30).is_active
    assert model(*tags, commits=old, second=15).is_active
    (version,) = model(*tags, commits=young, second=29).versions
    assert version.committed_at is None
    (version,) = model(*tags, commits=young, second=30).versions
    assert version.committed_at == Instant(30)


def test_a_commit_with_a_stage_counts_as_of_a_moment_without_its_younger_commit() -> (
    None
):
    seen = (tag("m#prod", 1, 5), tag("m#prod!", 1, 6))
    late = (commit(1, 30),)
    (version,) = model(*seen, commits=late).versions
    assert (version.created_at, version.ref) == (Instant(30), commit_id(1))
    assert version.activated_at == Instant(5)
    (version,) = model(*seen, commits=late, second=20).versions
    assert (version.created_at, version.ref) == (Instant(6), "m#prod!")
    assert version.is_active


def test_a_version_shows_its_annotation_even_of_a_commit_younger_than_the_moment() -> (
    None
):
    files: dict[str, Json] = {"artifacts.yaml": {"m": {"description": "so"}}}
    (version,) = model(
        tag("m@v1.0.0", 1, 5), commits=(commit(1, 30, files),), second=20
    ).versions
    assert version.annotation is not None
    assert version.gto_annotation is not None
    assert (version.annotation.description, version.committed_at) == ("so", None)


def facts(version: Version) -> tuple[object, ...]:
    return (
        version.created_at,
        version.activated_at,
        version.author.name,
        version.message,
        version.ref,
    )


def test_a_version_bears_the_dates_and_words_of_its_registrations() -> None:
    bob = replace(ADA, name="Bob")
    again = tag("m@v1.0.0#1", 1, 9, message="Again")
    assert again.tag is not None
    again = replace(again, tag=replace(again.tag, tagger=bob))
    (version,) = model(
        again, tag("m@v1.0.0", 1, 5), tag("m@v1.0.0!", 1, 7), tag("m#prod", 1, 2)
    ).versions
    assert facts(version) == (Instant(9), Instant(5), "Bob", "Again", "m@v1.0.0#1")
    assert [event.moment for event in version.registrations] == [5, 9]
    assert [event.moment for event in version.deregistrations] == [7]
    assert [event.moment for event in version.events] == [2, 5, 7, 9]
    assert version.is_active


def test_without_a_registration_the_newest_stage_tag_or_the_commit_speaks() -> None:
    ended = tag("m@v1.0.0!", 1, 9)
    (version,) = model(ended, tag("m#prod", 1, 3), tag("m#dev", 1, 5)).versions
    assert facts(version) == (Instant(5), Instant(0), "Ada", "Say so", "m#dev")
    assert (version.is_registered, version.is_active) == (False, False)
    (version,) = model(ended, commits=(commit(1, 7),)).versions
    assert facts(version) == (Instant(7), Instant(7), "Ada", "Train\n", commit_id(1))
    (version,) = model(ended, commits=(commit(1, 70),), second=20).versions
    assert facts(version) == (None, Instant(9), "", "", commit_id(1))


def test_a_tag_without_a_tagger_is_by_nobody() -> None:
    said = tag("m@v1.0.0", 1, 5)
    assert said.tag is not None
    (version,) = model(replace(said, tag=replace(said.tag, tagger=None))).versions
    assert version.author == NOBODY


def test_the_head_that_an_annotation_names_is_a_version_of_its_own() -> None:
    files: dict[str, Json] = {"artifacts.yaml": {"m": {}}, "dvc.yaml": {}}
    there = (commit(2, 3, files),)
    new, head = model(tag("m@v1.0.0", 1, 5), commits=there, head=2).versions
    assert (head.name, head.commit_id, head.peeled_id) == (commit_id(2),) * 3
    assert (head.is_discovered, head.is_active, head.is_registered) == (
        True, True, False,
    )  # fmt: skip
    assert facts(head) == (Instant(3), Instant(3), "Ada", "Train\n", commit_id(2))
    assert (new.is_discovered, new.position, head.position) == (False, 0, 1)
    # On the head itself no second version is made.
    (only,) = model(tag("m@v1.0.0", 2, 5), commits=there, head=2).versions
    assert not only.is_discovered
    # And a dvc.yaml alone makes one only where no tag names the artifact.
    dvc: dict[str, Json] = {"dvc.yaml": {"artifacts": {"m": {}, "n": {}}}}
    state = build_state(
        snapshot(tag("m@v1.0.0", 1, 5), commits=(commit(2, 3, dvc),), head=2)
    )
    assert [v.name for v in state.artifacts["m"].versions] == ["v1.0.0"]
    assert [v.name for v in state.artifacts["n"].versions] == [commit_id(2)]


def test_the_newest_event_of_all_says_whether_a_model_is_deprecated() -> None:
    old = (commit(1, -9),)
    first = tag("m@v1.0.0", 1, 5)
    assert model(tag("m@deprecated", 1, 4), first, commits=old).is_active
    assert model(tag("m@deprecated", 1, 5), first, commits=old).is_active
    assert not model(tag("m@deprecated", 1, 6), first, commits=old).is_active
    assert not model(tag("m@deprecated", 1, 6), commits=old).is_active
    assert model(tag("m#prod", 1, 7), tag("m@deprecated", 1, 6)).is_active


def test_a_nested_tag_keeps_its_own_commit_from_its_peeled_one() -> None:
    plain, nested = tag("m#prod", 1, 5), tag("m#dev", 1, 6)
    assert nested.tag is not None
    inner = "e" * 40
    nested = replace(
        nested, tag=replace(nested.tag, target_id=inner, target_type=ObjectType.TAG)
    )
    artifact = model(plain, nested, commits=(commit(1, 3),))
    by_name = {version.name: version for version in artifact.versions}
    assert set(by_name) == {inner, commit_id(1)}
    assert by_name[inner].peeled_id == commit_id(1)
    assert by_name[inner].committed_at == Instant(3)
    assert {event.peeled_id for event in artifact.events} == {commit_id(1)}
