"""Who comes first where dates alone do not say it: each rule by one history, held
against the real gto by all readings, and random histories that are full of ties."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.core.registry import Reading, RegistryState
from indexer.core.state import build_state
from tests.core.comparing import compare_repository
from tests.core.histories import START, Commit, History, Tag, write_repository
from tests.core.reading import read_repository
from tests.services import how_many

COMMITS = tuple(Commit(seconds=START - 9 + n, files={"n": str(n)}) for n in range(4))

# Tags, and by reading who holds prod: a number is the commit of that number.
Holders = list[str | int]
Case = tuple[tuple[Tag, ...], dict[Reading, Holders]]


def on(target: int, ref: str, after: int) -> Tag:
    return Tag(ref, target=target, seconds=START + after)


CASES: dict[str, Case] = {
    "assigned in one second: the version created first": (
        (
            on(0, "m@v2.0.0", 1),
            on(1, "m@v1.0.0", 2),
            on(0, "m#prod#1", 5),
            on(1, "m#prod#2", 5),
        ),
        {
            Reading.TIME: ["v2.0.0"],
            Reading.SEMVER: ["v2.0.0"],
            Reading.SEVERAL: ["v2.0.0", "v1.0.0"],
        },
    ),
    "a version is created by its newest registration": (
        (
            on(0, "m@v2.0.0", 1),
            on(1, "m@v1.0.0", 2),
            on(0, "m@v2.0.0#1", 3),
            on(0, "m#prod#1", 5),
            on(1, "m#prod#2", 5),
        ),
        {
            Reading.TIME: ["v1.0.0"],
            Reading.SEMVER: ["v2.0.0"],
            Reading.SEVERAL: ["v1.0.0", "v2.0.0"],
        },
    ),
    "created in one second too: the one that tags named first": (
        (
            on(0, "m@v9.0.0", 1),
            on(1, "m@v10.0.0", 1),
            on(0, "m#prod#1", 5),
            on(1, "m#prod#2", 5),
        ),
        {
            Reading.TIME: ["v10.0.0"],
            Reading.SEMVER: ["v10.0.0"],
            Reading.SEVERAL: ["v10.0.0", "v9.0.0"],
        },
    ),
    "created in one second, named before": (
        (
            on(0, "m@v1.0.0", 1),
            on(1, "m@v2.0.0", 2),
            on(0, "m@v1.0.0#1", 3),
            on(1, "m@v2.0.0#0", 3),
            on(0, "m#prod#2", 5),
            on(1, "m#prod#1", 5),
        ),
        {Reading.TIME: ["v1.0.0"], Reading.SEVERAL: ["v1.0.0", "v2.0.0"]},
    ),
    "one name on two commits holds a stage once": (
        (
            on(0, "m@v1.0.0", 1),
            on(1, "m@v1.0.0#1", 2),
            on(2, "m@v2.0.0", 3),
            on(0, "m#prod#1", 5),
            on(1, "m#prod#2", 6),
            on(2, "m#prod#3", 7),
        ),
        {
            Reading.TIME: ["v2.0.0"],
            Reading.SEVERAL: ["v2.0.0", "v1.0.0"],
            Reading.KANBAN: ["v2.0.0", "v1.0.0"],
        },
    ),
    "two commits without a version: the one of the older tag's name": (
        (on(0, "m#prod#2", 5), on(1, "m#prod#1", 5)),
        {Reading.TIME: [1], Reading.SEVERAL: [1, 0]},
    ),
    "such a commit stands where it got the stage first within the second": (
        (on(0, "m#prod", 5), on(1, "m#prod#2", 5), on(0, "m#prod#3", 5)),
        {Reading.TIME: [0], Reading.SEVERAL: [0, 1]},
    ),
    "such a commit stands where it got the stage last": (
        (on(0, "m#prod", 4), on(1, "m#prod#2", 5), on(0, "m#prod#3", 5)),
        {Reading.TIME: [1], Reading.SEVERAL: [1, 0]},
    ),
    "a commit without a version is created when it was given the stage": (
        (on(0, "m#prod#1", 5), on(1, "m@v1.0.0", 4), on(1, "m#prod#2", 5)),
        {Reading.TIME: ["v1.0.0"], Reading.SEVERAL: ["v1.0.0", 0]},
    ),
    "or when it was made, if that was later": (
        (
            on(0, "m#prod#1", -20),
            on(1, "m@v1.0.0", -15),
            on(1, "m#prod#2", -20),
            on(2, "m#prod#0", -20),
        ),
        {Reading.TIME: ["v1.0.0"], Reading.SEVERAL: ["v1.0.0", 0, 2]},
    ),
    "kanban: of one version's stages the one it got first": (
        (
            on(0, "m@v1.0.0", 1),
            on(0, "m#prod#1", 5),
            on(0, "m#dev#2", 4),
        ),
        {Reading.TIME: ["v1.0.0"], Reading.KANBAN: []},
    ),
    "kanban: in one second the stage that tags named first": (
        (on(0, "m@v1.0.0", 1), on(0, "m#stage#1", 5), on(0, "m#prod#2", 5)),
        {Reading.TIME: ["v1.0.0"], Reading.KANBAN: ["v1.0.0"]},
    ),
    "unassigned in the second of its assignment": (
        (on(0, "m@v1.0.0", 1), on(0, "m#prod#1", 5), on(0, "m#prod!#2", 5)),
        {Reading.TIME: []},
    ),
    "deregistered in the second of its registration": (
        (on(0, "m@v1.0.0", 5), on(0, "m@v1.0.0!", 5), on(0, "m#prod#1", 6)),
        {Reading.TIME: [], Reading.SEVERAL: []},
    ),
    "versions that differ in build metadata only: the one named later": (
        (
            on(0, "m@v1.0.0+b", 1),
            on(1, "m@v1.0.0+a", 2),
            on(0, "m#prod#1", 5),
            on(1, "m#prod#2", 4),
        ),
        {Reading.TIME: ["v1.0.0+b"], Reading.SEMVER: ["v1.0.0+a"]},
    ),
}


def holders(state: RegistryState) -> Holders:
    commits = sorted(state.commits.values(), key=lambda c: c.committed or 0)
    numbers = {commit.id: number for number, commit in enumerate(commits)}
    held = state.artifacts["m"].stages.get("prod", ())
    return [numbers.get(holder.version, holder.version) for holder in held]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_ties_fall_as_in_gto(case: Case, tmp_path: Path) -> None:
    tags, expected = case
    # Tags of another artifact, so that every commit is known by its number.
    tags += tuple(on(number, f"x@v{number}.0.0", 0) for number in range(len(COMMITS)))
    path = write_repository(tmp_path / "repository", History(COMMITS, tags))
    seen = read_repository(path)
    for reading, names in expected.items():
        assert holders(build_state(seen, reading=reading)) == names, reading
    compare_repository(path, seen)


@st.composite
def tied_histories(draw: st.DrawFn) -> History:
    """Two artifacts, few stages and three seconds, so that everything happens at once:
    versions registered again, one name on two commits, build metadata, stages of
    commits. `histories()` spreads its tags too thin to meet two ties in one place."""
    count = draw(st.integers(2, 4))
    commits = tuple(
        Commit(
            seconds=START + draw(st.integers(-1, 2)),
            files={"n": str(number)}
            | ({"artifacts.yaml": "m: {}\n"} if draw(st.booleans()) else {}),
        )
        for number in range(count)
    )
    names = draw(
        st.lists(
            st.sampled_from(
                ("v9.0.0", "v10.0.0", "v2.0.0", "v10.0.0+b", "v10.0.0+a", "")
            ),
            min_size=count,
            max_size=count,
        )
    )
    tags: dict[str, Tag] = {}
    for _ in range(draw(st.integers(6, 24))):
        artifact = draw(st.sampled_from("mmmmn"))
        target = draw(st.integers(0, count - 1))
        kind = draw(st.integers(0, 19))
        stage = draw(st.sampled_from(("prod", "prod", "dev")))
        if kind <= 7 and names[target]:
            ref = f"{artifact}@{names[target]}{'!' if kind == 0 else ''}"
        elif kind <= 18:
            # gto loses an unassignment of a commit without a version.
            ref = f"{artifact}#{stage}{'!' if kind <= 9 and names[target] else ''}"
        else:
            ref = f"{artifact}@deprecated"
        ref += draw(st.sampled_from(("", "#1", "#2", "#3", "#4", "#05")))
        seconds = START + draw(st.integers(0, 2) if "@" in ref else st.integers(2, 3))
        tags.setdefault(ref, Tag(ref, target=target, seconds=seconds))
    return History(commits, tuple(tags.values()))


COUNT = how_many(100)


@pytest.mark.fuzz
@settings(
    max_examples=COUNT,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
@given(tied_histories())
def test_ties_fall_as_in_gto_in_random_histories(history: History) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write_repository(Path(folder) / "repository", history)
        compare_repository(path, read_repository(path))
