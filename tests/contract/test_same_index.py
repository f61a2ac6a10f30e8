"""Whichever way, the same repository gives the same snapshot, state and rows."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from indexer.demo.stories import REPOSITORIES
from indexer.models import Artifact, Connection, Crawl, Event, Repository
from tests.contract.ways import (
    WAYS,
    Ways,
    asked_for,
    crawled,
    dump_of,
    every_row,
    known_documents,
    serve_ways,
    switch,
)
from tests.core.histories import History, histories
from tests.providers import hostile
from tests.providers.raw_repository import RawRepository, simple_repository

pytestmark = pytest.mark.django_db
DEEP = int(os.environ.get("MUSTER_CONTRACT", "0"))  # histories of each way; 0: a few
TODAY = date(2026, 11, 21)
BY_MIRROR = ("names", "links")  # of the hostile ones


@pytest.fixture(params=WAYS, ids=str)
def ways(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ways]:
    with serve_ways(request.param, tmp_path / "served") as served:
        yield served


# A repository's life -----------------------------------------------------------------


def files(repository: RawRepository, number: int) -> str:
    """A tree whose dvc.yaml names one artifact for each of `number`."""
    text = b"".join(
        b"  m%d: {type: model, path: m%d.pkl}\n" % (n, n) for n in range(number)
    )
    return repository.files(
        {"dvc.yaml": b"artifacts:\n" + text, "deep/er/artifacts.yaml": b"in: {}\n"}
    )


def head_of(repository: RawRepository) -> str:
    branch = repository.head.removeprefix(b"ref: ").strip()
    return repository.refs[branch]


def push(repository: RawRepository, number: int) -> str:
    """A commit on the default branch."""
    branch = repository.head.removeprefix(b"ref: ").strip()
    commit = repository.commit(files(repository, number), parents=[head_of(repository)])
    repository.refs[branch] = commit
    return commit


def add_tag(repository: RawRepository) -> None:
    repository.version("churn@v4.0.0", head_of(repository))
    repository.version("churn#prod", head_of(repository))


def move_tag(repository: RawRepository) -> None:
    first = repository.refs[b"refs/tags/churn@v1.0.0"]
    commit = push(repository, 1)
    repository.version("churn@v1.0.0", commit)
    assert repository.refs[b"refs/tags/churn@v1.0.0"] != first


def make_lightweight(repository: RawRepository) -> None:
    repository.refs[b"refs/tags/churn@v2.0.0"] = head_of(repository)


def delete_tag(repository: RawRepository) -> None:
    del repository.refs[b"refs/tags/churn@v3.0.0"]


def change_file(repository: RawRepository) -> None:
    push(repository, 3)


def move_head_back(repository: RawRepository) -> None:
    """A force-push: to a commit that shares nothing with the ones before."""
    branch = repository.head.removeprefix(b"ref: ").strip()
    repository.refs[branch] = repository.commit(files(repository, 2), message=b"Anew\n")


def rename_branch(repository: RawRepository) -> None:
    repository.refs[b"refs/heads/trunk"] = repository.refs.pop(b"refs/heads/main")
    repository.head = b"ref: refs/heads/trunk\n"


def delete_all_tags(repository: RawRepository) -> None:
    for ref in [ref for ref in repository.refs if ref.startswith(b"refs/tags/")]:
        del repository.refs[ref]


def bring_tags_back(repository: RawRepository) -> None:
    repository.version("churn@v3.0.0", head_of(repository))
    repository.version("other@v1.0.0", push(repository, 4))


def delete_branches(repository: RawRepository) -> None:
    for ref in [ref for ref in repository.refs if ref.startswith(b"refs/heads/")]:
        del repository.refs[ref]


LIFE: tuple[Callable[[RawRepository], None], ...] = (
    add_tag,
    move_tag,
    make_lightweight,
    delete_tag,
    change_file,
    move_head_back,
    rename_branch,
    delete_all_tags,
    bring_tags_back,
    delete_branches,
)


def test_a_repository_s_life_gives_the_same_rows(ways: Ways) -> None:
    repository = simple_repository(ways.new_path())
    twin = ways.twin(repository.path)
    twin.assert_same()
    assert twin.row.read_by == ways.way.way
    for change in LIFE:
        change(repository)
        repository.finish()
        twin.assert_same()
        plain, row = twin.says()
        assert row == plain, change.__name__
    assert Event.objects.filter(repository=twin.row).exists()


def test_an_empty_repository_is_the_same_and_so_is_its_first_commit(ways: Ways) -> None:
    repository = RawRepository(ways.new_path())
    twin = ways.twin(repository.path)
    twin.assert_same()
    assert twin.row.state == Repository.State.EMPTY
    tree = files(repository, 1)
    repository.refs[b"refs/heads/main"] = repository.commit(tree)
    repository.finish()
    twin.assert_same()
    assert twin.row.state == Repository.State.OK


# Random, hostile and demo ------------------------------------------------------------


@pytest.mark.fuzz
@settings(
    max_examples=DEEP or 4,
    deadline=None,
    derandomize=not DEEP,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(history=histories(), data=st.data())
def test_random_histories_that_grow_give_the_same_rows(
    ways: Ways, history: History, data: st.DataObject
) -> None:
    """A part of it first, then all, then refs that came, went and moved at random."""
    twin = ways.write(part_of(history, data.draw(st.integers(0, len(history.tags)))))
    twin.assert_same()
    ways.grow(twin, history)
    twin.assert_same()
    shuffle_refs(twin.bare, data.draw(st.randoms(use_true_random=False)))
    twin.assert_same()
    plain, row = twin.says()
    assert row == plain


def part_of(history: History, tags: int) -> History:
    """The first so many tags, and the commits that they need."""
    kept = history.tags[:tags]
    targets = [tag.target for tag in kept if tag.target_type == "commit"]
    return replace(
        history, commits=history.commits[: max(targets, default=0) + 1], tags=kept
    )


def shuffle_refs(bare: Path, chance: random.Random) -> None:
    """Delete some tags, point others to what another points to, and call the default
    branch something else."""
    packed = bare / "packed-refs"
    lines = packed.read_text().splitlines()[1:]
    refs = dict(line.split(" ", 1)[::-1] for line in lines)
    tags = sorted(ref for ref in refs if ref.startswith("refs/tags/"))
    for ref in tags:
        match chance.randrange(4):
            case 0:
                del refs[ref]
            case 1:
                refs[ref] = chance.choice([refs[one] for one in tags if one in refs])
    refs["refs/heads/trunk"] = refs.pop("refs/heads/main")
    (bare / "HEAD").write_text("ref: refs/heads/trunk\n")
    text = "".join(f"{refs[ref]} {ref}\n" for ref in sorted(refs))
    packed.write_text("# pack-refs with: sorted \n" + text)


@pytest.mark.parametrize("name", hostile.ALL)
def test_T1_hostile_repositories_give_the_same_rows(ways: Ways, name: str) -> None:
    if ways.way.way == "mirror" and name not in BY_MIRROR and not DEEP:
        return  # the Git reader's own tests have them
    twin = ways.twin(hostile.ALL[name](ways.new_path()))
    twin.assert_same()
    assert Artifact.objects.filter(repository=twin.row, name="churn").exists()
    plain, row = twin.says()
    assert row == plain


def test_the_demo_gives_the_same_rows(ways: Ways) -> None:
    for planned in REPOSITORIES[:: 1 if DEEP else 3]:
        path = ways.new_path()
        planned.build(path, TODAY)
        twin = ways.twin(path)
        twin.assert_same()
        plain, row = twin.says()
        assert row == plain


# From one way to another -------------------------------------------------------------


def test_switching_the_way_changes_no_row_and_reads_no_file_twice(ways: Ways) -> None:
    repository = simple_repository(ways.new_path())
    twin = ways.twin(repository.path)
    twin.assert_same()
    for number, way in enumerate(("mirror", "api", "mirror", "")):
        switch(twin.row, way)
        stored = every_row(twin.row)
        assert crawled(twin.row).status == Crawl.Status.UNCHANGED
        assert every_row(twin.row) == stored
        assert twin.row.read_by == (way or ways.way.way)
        # What is new is read; of what is known, nothing is asked for.
        known, before = known_documents(twin.row), len(ways.server.requests)
        push(repository, number + 1)
        repository.version(f"churn@v{10 + number}.0.0", head_of(repository))
        repository.finish()
        twin.assert_same()
        asked = asked_for(ways.server, before)
        assert asked, "nothing was seen of what was asked"
        assert not asked & known
        assert known_documents(twin.row) > known


def test_reading_all_of_it_anew_by_another_way_changes_no_row(ways: Ways) -> None:
    path = ways.new_path()
    REPOSITORIES[1].build(path, TODAY)
    twin = ways.twin(path)
    twin.assert_same()
    before = dump_of(twin.row)
    for way in ("mirror", "api", ""):
        switch(twin.row, way)
        crawl = crawled(twin.row, afresh=True)
        assert crawl.status == Crawl.Status.CHANGED, crawl.message
        for count in ("new_tags", "moved_tags", "gone_tags"):
            assert not crawl.counts[count], crawl.counts
        assert dump_of(twin.row) == before


def test_near_its_limit_it_is_read_through_a_mirror_with_the_same_rows(
    ways: Ways, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin = ways.twin(simple_repository(ways.new_path()).path)
    monkeypatch.setattr("indexer.providers.registry._is_nearly_spent", lambda _: True)
    twin.assert_same()
    assert twin.row.read_by == Connection.Way.MIRROR
