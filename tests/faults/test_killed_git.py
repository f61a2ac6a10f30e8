"""F-W5: each process of git is killed in turn, as the kernel does it when memory runs
out: those that Muster starts and those that these start. Nothing that was not read may
look as if it were missing or damaged; whatever fails is mended by the next try.

A few deaths by default; in `make test-all` every process dies every death."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from indexer import actions
from indexer.crawl import crawl_repository
from indexer.index_dump import index_dump
from indexer.models import ActionLog, Crawl, Repository
from indexer.providers.base import Remote
from indexer.providers.errors import Unavailable, Unsettled
from indexer.providers.git.file_writer import GitFileWriter
from indexer.providers.git.log import CommitLog
from indexer.repositories import add_repository, mirror_path
from tests.actions.checks import check_settled, done, pass_time
from tests.actions.places import ActionPlace, act_at
from tests.faults.conftest import crawl_now
from tests.killed_git import ENDS, START, KilledGit, stand_in
from tests.providers.file_orders import (
    a_repository_with_files,
    branches_of,
    order_for,
)
from tests.providers.git_server import GitServer, serve_git
from tests.providers.raw_repository import RawRepository

Status = ActionLog.Status


@pytest.fixture
def killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KilledGit:
    return stand_in(tmp_path / "stand-in", monkeypatch)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    root = tmp_path / "served"
    root.mkdir()
    with serve_git(root) as running:
        yield running


# "": a few of all.
DEATHS = [
    pytest.param("", id="some"),
    *(pytest.param(how, marks=pytest.mark.exhaustive, id=how) for how in ENDS),
]
each_death = pytest.mark.parametrize("death", DEATHS)


def deaths(
    killed: KilledGit, work: Callable[[], object], death: str, usual: int = 2
) -> list[tuple[int, str]]:
    """Who is to die how in `work`, which is done once alive to count."""
    killed.arm(0)
    work()
    turns = range(1, len(killed.begun()) + 1)
    if death:
        return [(nth, death) for nth in turns]
    cross = [(nth, how) for nth in turns for how in ENDS]
    return random.Random(5).sample(cross, usual)


# A crawl ------------------------------------------------------------------------------


def crawled(row: Repository) -> Crawl:
    found = crawl_now(row)
    assert found is not None
    return found


def grow(remote: RawRepository, number: int) -> None:
    """A commit with folders, two tags of GTO on it, and a lightweight one."""
    tree = remote.files(
        {
            "dvc.yaml": b"artifacts:\n  churn:\n    type: model\n    path: c%d\n"
            % number,
            "models/vision/dvc.yaml": b"artifacts:\n  cats:\n    path: %d\n" % number,
            "README.md": b"# %d\n" % number,
        }
    )
    head = remote.refs.get(b"refs/heads/main")
    commit = remote.commit(tree, parents=[head] if head else [])
    remote.version(f"churn@v{number}.0.0", commit)
    remote.version(f"churn#prod#{number}", commit)
    remote.refs[b"refs/tags/light-%d" % number] = commit
    remote.refs[b"refs/heads/main"] = commit
    remote.finish()


@each_death
@pytest.mark.parametrize("by", ["path", "http"])
@pytest.mark.parametrize("is_first", [True, False], ids=["crawl", "refresh"])
def test_F_W5_a_git_killed_in_a_crawl_leaves_no_wrong_index(
    death: str,
    is_first: bool,
    by: str,
    killed: KilledGit,
    server: GitServer,
    data: Path,
) -> None:
    remote = RawRepository(server.root / "churn.git")
    grow(remote, 1)
    grow(remote, 2)
    young = dict(remote.refs)
    grow(remote, 3)
    old = dict(remote.refs)
    url = str(remote.path) if by == "path" else server.url_of(remote.path)

    def begin() -> Repository:
        killed.arm(0)
        for row in Repository.objects.all():
            shutil.rmtree(mirror_path(row.pk), ignore_errors=True)
            row.delete()
        remote.refs = dict(old if is_first else young)
        remote.finish()
        row = add_repository(url, name="acme/churn", wake=False)
        if not is_first:
            assert crawled(row).status == Crawl.Status.CHANGED
            remote.refs = dict(old)
            remote.finish()
        return row

    def crawl_again() -> None:
        row = begin()
        killed.arm(0)
        assert crawled(row).status == Crawl.Status.CHANGED

    remote.refs = dict(old)
    expected = ""
    for nth, how in deaths(killed, crawl_again, death, 3):
        expected = expected or index_dump(Repository.objects.get())
        row = begin()
        killed.arm(nth, how)
        first = crawled(row)
        killed.arm(0)
        told = (nth, how, first.status, first.message)
        if first.status == Crawl.Status.FAILED:
            assert "unexpected" not in first.message, told
            row.refresh_from_db()
            assert row.state == Repository.State.UNREACHABLE, told
            first = crawled(row)
            assert first.status == Crawl.Status.CHANGED, (told, first.message)
        assert first.status == Crawl.Status.CHANGED, told
        assert index_dump(row) == expected, told


# The commits that a person picks from -------------------------------------------------


@each_death
@pytest.mark.parametrize("by", ["path", "http"])
@pytest.mark.parametrize("is_first", [True, False], ids=["first look", "next look"])
def test_F_W5_a_git_killed_under_a_list_of_commits_leaves_no_wrong_list(
    death: str,
    is_first: bool,
    by: str,
    killed: KilledGit,
    server: GitServer,
    tmp_path: Path,
) -> None:
    remote = RawRepository(server.root / "churn.git")
    commits: list[str] = []
    for number in range(12):
        tree = remote.files({"f": b"%d" % number})
        commits.append(remote.commit(tree, parents=commits[-1:]))
        if number == 7:
            remote.refs[b"refs/heads/old"] = commits[-1]
    remote.refs[b"refs/heads/main"] = commits[-1]
    remote.finish()
    folder = tmp_path / "commits" / "1.git"
    url = str(remote.path) if by == "path" else server.url_of(remote.path)
    log = CommitLog(Remote(url, allow_local=True, allow_private=True), folder)

    def listed(tip: str) -> list[str]:
        return sorted(commit.id for commit in log.page(tip, size=30).commits)

    def begin() -> None:
        killed.arm(0)
        shutil.rmtree(folder, ignore_errors=True)
        if not is_first:
            assert listed(commits[7]) == sorted(commits[:8])
        killed.arm(0)

    def look() -> None:
        begin()
        assert listed(commits[-1]) == sorted(commits)

    for nth, how in deaths(killed, look, death):
        begin()
        killed.arm(nth, how)
        try:
            found = listed(commits[-1])
        except Unavailable:
            killed.arm(0)
            found = listed(commits[-1])
        assert found == sorted(commits), (nth, how)
        killed.arm(0)
        assert listed(commits[7]) == sorted(commits[:8]), (nth, how)


# An action ----------------------------------------------------------------------------


@pytest.fixture(params=["git", "gitlab"])
def place(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    own_site: None,
    transactional_db: None,
) -> Iterator[ActionPlace]:
    """Where a tag is written by a push."""
    with act_at(request.param, tmp_path) as found:
        yield found


@each_death
def test_F_W5_a_git_killed_in_an_action_leaves_one_tag_or_none_and_says_which(
    death: str, place: ActionPlace, killed: KilledGit
) -> None:
    done(place.register(0, "v1.0.0"))
    number = 0

    def assign() -> ActionLog:
        nonlocal number
        number += 1
        return place.assign(f"s{number}", "v1.0.0")

    for nth, how in deaths(killed, lambda: done(assign()), death):
        before = place.tags()
        killed.arm(nth, how)
        row = assign()
        killed.arm(0)
        told = (nth, how, row.status, row.sentence)
        left = place.tags()
        if row.status == Status.FAILED:
            assert left == before, told
            assert row.sentence.endswith("Nothing was written."), told
            row = place.assign(f"s{number}", "v1.0.0")
        elif row.is_open:
            assert "keeps asking" in row.sentence, told
            assert left in (before, before | {row.tag: row.object_id}), told
            pass_time(row)
            assert actions.resume_open() == 1
            row.refresh_from_db()
        assert row.status == Status.DONE, (told, row.sentence)
        assert place.tags() == before | {row.tag: row.object_id}, told
        assert row.tag == f"churn#s{number}#{len(before)}", told
        crawl_repository(place.repository.pk)
        assert place.holders()[f"s{number}"] == ["v1.0.0"], told
    check_settled(place)


@each_death
def test_F_W5_a_git_killed_while_a_file_is_written_leaves_one_commit_or_none(
    death: str, server: GitServer, killed: KilledGit
) -> None:
    bare = a_repository_with_files(server.root)
    writer = GitFileWriter(Remote(server.url_of(bare), allow_private=True))
    number = 0

    def write(nth: int = 0, how: str = START) -> None:
        """Write a commit, and once more if that fails."""
        nonlocal number
        number += 1
        order = order_for(bare, "sub/deep/dvc.yaml", content=f"a: {number}\n")
        killed.arm(nth, how)
        why = ""
        try:
            made = writer.write_file(order)
        except Unavailable as error:
            killed.arm(0)
            why = f"{nth} {how}: {error.sentence}"
            there = branches_of(bare)["main"]
            is_known = not isinstance(error, Unsettled)
            made = writer.write_file(order)
            assert there in (order.base, made), why
            assert there == order.base or not is_known, why
        if nth:
            killed.arm(0)
        assert branches_of(bare) == {"main": made}, why

    for nth, how in deaths(killed, write, death):
        write(nth, how)
