"""Tags written by a push: to a real Git server over HTTP, and to a path."""

from __future__ import annotations

import base64
import contextlib
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.core.git_objects import tidied
from indexer.core.snapshot import Instant
from indexer.providers.base import Remote
from indexer.providers.errors import (
    AccessDenied,
    AddressRefused,
    ProviderError,
    Refused,
    Unavailable,
)
from indexer.providers.git.writer import GitTagWriter
from indexer.providers.writing import TagExists
from tests.killed_git import SHELL, START, stand_in
from tests.providers.git_server import GitServer
from tests.providers.tag_orders import (
    BOB,
    NAME,
    ODD_NAMES,
    a_bare_repository,
    check_all_win,
    check_one_winner,
    git,
    order_of,
    tags_at,
)

Served = tuple[Path, list[str]]
WriterOf = Callable[..., GitTagWriter]


@pytest.fixture
def served(git_server: GitServer) -> Served:
    return a_bare_repository(git_server.root)


@pytest.fixture(params=["http", "path"])
def writer_of(request: pytest.FixtureRequest, git_server: GitServer) -> WriterOf:
    """`writer_of(bare)`: over HTTP, and by its path."""

    def make(bare: Path, **fields: str) -> GitTagWriter:
        url = git_server.url_of(bare) if request.param == "http" else str(bare)
        return GitTagWriter(
            Remote(url, allow_local=True, allow_private=True, **fields)  # type: ignore[arg-type]
        )

    return make


@pytest.fixture
def over_http(git_server: GitServer, served: Served) -> GitTagWriter:
    return GitTagWriter(Remote(git_server.url_of(served[0]), allow_private=True))


def test_a_server_too_old_to_tell_what_it_has_is_said_to_be(
    over_http: GitTagWriter, served: Served, git_server: GitServer
) -> None:
    git_server.is_old = True
    with pytest.raises(Refused, match=r"older than 2\.32") as caught:
        over_http.write_tag(order_of(served[1][1]))
    assert caught.value.status == 426


@pytest.mark.parametrize("how", [START, SHELL, "1"])
def test_a_negotiation_that_was_killed_makes_no_old_server(
    how: str,
    over_http: GitTagWriter,
    served: Served,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    killed = stand_in(tmp_path / "stand-in", monkeypatch)
    order = order_of(served[1][1])
    over_http.write_tag(replace(order, name="churn@v0.1.0"))
    begun = killed.begun()
    first = next(n for n, one in enumerate(begun) if "--negotiate-only" in one)
    for number, nth in enumerate(range(first + 1, len(begun) + 1)):
        named = replace(order, name=f"churn@v1.{number}.0")
        killed.arm(nth, how)
        with contextlib.suppress(Unavailable):
            over_http.write_tag(named)
        killed.arm(0)
        assert over_http.write_tag(named).ref == named.name


def hook(bare: Path, name: str, script: str) -> None:
    path = bare / "hooks" / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_tag_is_written_as_ordered(
    writer_of: WriterOf, served: Served, number: int
) -> None:
    """At the head of a branch, and at commits that no ref leads to."""
    bare, commits = served
    order = order_of(commits[number])
    writer = writer_of(bare)
    assert writer.read_tag(NAME) is None
    before = tags_at(bare)
    tag = writer.write_tag(order)
    assert tag.tag is not None
    assert (tag.ref, tag.tag.name, tag.commit_id) == (NAME, NAME, commits[number])
    assert (tag.tag.tagger, tag.tag.tagged) == (order.tagger, order.at)
    assert tag.tag.message == order.message
    assert tags_at(bare) == before | {NAME: tag.object_id}
    assert writer.read_tag(NAME) == tag
    assert writer.refs().tags == tags_at(bare)
    assert git(bare, "fsck", "--no-dangling") == ""


def test_F_T1_the_same_tag_again_is_success(
    writer_of: WriterOf, served: Served
) -> None:
    bare, commits = served
    order = order_of(commits[1])
    first = writer_of(bare).write_tag(order)
    assert writer_of(bare).write_tag(order) == first
    assert writer_of(bare).write_tag(tidied(order)) == first


@pytest.mark.parametrize("what", ["tagger", "at", "message", "commit_id"])
def test_F_T2_another_tag_of_the_name_is_told(
    writer_of: WriterOf, served: Served, what: str
) -> None:
    bare, commits = served
    first = writer_of(bare).write_tag(order_of(commits[1]))
    changed = {
        "tagger": BOB, "at": Instant(1_750_000_001), "message": "Mine",
        "commit_id": commits[2],
    }[what]  # fmt: skip
    order = replace(order_of(commits[1]), **{what: changed})  # type: ignore[arg-type]
    with pytest.raises(TagExists, match="Ada Lovelace") as caught:
        writer_of(bare).write_tag(order)
    assert caught.value.there == first
    assert tags_at(bare)[NAME] == first.object_id


def test_F_T2_a_lightweight_tag_of_the_name_is_told(
    writer_of: WriterOf, served: Served
) -> None:
    bare, commits = served
    git(bare, "tag", NAME, commits[1])
    with pytest.raises(TagExists) as caught:
        writer_of(bare).write_tag(order_of(commits[1]))
    assert caught.value.there.tag is None
    assert caught.value.there.commit_id == commits[1]


def test_F_T2_a_tag_made_meanwhile_wins(served: Served, writer_of: WriterOf) -> None:
    """After the remote listed its refs, before it takes ours."""
    bare, commits = served
    hook(
        bare,
        "pre-receive",
        "unset GIT_QUARANTINE_PATH\n"
        f"exec git update-ref 'refs/tags/{NAME}' {commits[0]} >&2",
    )
    with pytest.raises(TagExists) as caught:
        writer_of(bare).write_tag(order_of(commits[1]))
    assert caught.value.there.object_id == commits[0]


def test_F_T2_one_of_twenty_at_once_succeeds(
    writer_of: WriterOf, served: Served
) -> None:
    bare, commits = served
    check_one_winner(lambda: writer_of(bare), bare, commits[1])


def test_F_T2_twenty_names_at_once_all_succeed(
    writer_of: WriterOf, served: Served
) -> None:
    bare, commits = served
    check_all_win(lambda: writer_of(bare), bare, commits[1])


def test_F_T3_a_hook_that_declines_gives_its_reason(
    writer_of: WriterOf, served: Served
) -> None:
    bare, commits = served
    before = tags_at(bare)
    hook(bare, "pre-receive", "echo 'Only on Mondays\033[31m, please' >&2; exit 1")
    with pytest.raises(Refused, match=r"Only on Mondays \[31m, please") as caught:
        writer_of(bare).write_tag(order_of(commits[1]))
    assert not isinstance(caught.value, TagExists)
    assert "\033" not in caught.value.sentence
    assert tags_at(bare) == before


def test_F_T3_a_commit_that_is_not_there_is_refused(
    writer_of: WriterOf, served: Served
) -> None:
    bare, _ = served
    before = tags_at(bare)
    tree = git(bare, "rev-parse", "main^{tree}")
    for odd in ("e" * 40, tree):
        with pytest.raises(Refused, match="has no commit"):
            writer_of(bare).write_tag(order_of(odd))
    assert tags_at(bare) == before


@pytest.mark.parametrize("name", ODD_NAMES)
def test_T7_an_odd_name_is_never_sent(
    git_server: GitServer, over_http: GitTagWriter, served: Served, name: str
) -> None:
    for ask in (
        over_http.read_tag,
        lambda n: over_http.write_tag(order_of("e" * 40, n)),
    ):
        with pytest.raises(Refused, match="Nothing was sent"):
            ask(name)
    assert git_server.requests == []


@pytest.mark.parametrize(
    "what",
    [
        {"commit_id": "e" * 39},
        {"commit_id": "main"},
        {"message": " \n "},
        {"message": "a\0b"},
        {"message": "\ud800"},
        {"message": "ok\n-----BEGIN PGP SIGNATURE-----\nx"},
        {"tagger": replace(BOB, name=" , ")},
        {"tagger": replace(BOB, email="<>")},
        {"at": Instant(-1)},
        {"at": Instant(1, 1440)},
    ],
)
def test_T7_an_odd_order_is_never_sent(
    git_server: GitServer,
    over_http: GitTagWriter,
    served: Served,
    what: dict[str, object],
) -> None:
    with pytest.raises(Refused):
        over_http.write_tag(replace(order_of(served[1][0]), **what))  # type: ignore[arg-type]
    assert git_server.requests == []


def test_F_T3_without_the_right_password_access_is_denied(
    git_server: GitServer, served: Served
) -> None:
    bare, commits = served
    git_server.username, git_server.password = "ada", "secret-CANARY"
    url = git_server.url_of(bare)
    for fields in ({}, {"username": "ada", "secret": "wrong-CANARY"}):
        writer = GitTagWriter(Remote(url, allow_private=True, **fields))  # type: ignore[arg-type]
        with pytest.raises(AccessDenied) as caught:
            writer.write_tag(order_of(commits[1]))
        assert "CANARY" not in str(caught.value)
    right = Remote(url, username="ada", secret="secret-CANARY", allow_private=True)
    assert GitTagWriter(right).write_tag(order_of(commits[1])).ref == NAME
    pair = base64.b64encode(b"ada:secret-CANARY").decode()
    assert git_server.authorizations[-1] == f"Basic {pair}"


def test_F_T3_a_repository_that_takes_no_pushes(
    over_http: GitTagWriter, served: Served
) -> None:
    bare, commits = served
    git(bare, "config", "http.receivepack", "false")
    with pytest.raises(AccessDenied, match="read-only"):
        over_http.write_tag(order_of(commits[1]))
    assert NAME not in tags_at(bare)


@pytest.mark.parametrize("status", [403, 404, 429, 500, 502])
def test_F_T3_a_server_that_fails(
    git_server: GitServer, over_http: GitTagWriter, served: Served, status: int
) -> None:
    git_server.status = status
    with pytest.raises(ProviderError) as caught:
        over_http.write_tag(order_of(served[1][1]))
    assert not isinstance(caught.value, TagExists)
    git_server.status = 0
    over_http.write_tag(order_of(served[1][1]))


def test_a_redirect_is_not_followed(
    git_server: GitServer, over_http: GitTagWriter, served: Served
) -> None:
    git_server.status, git_server.location = 301, "http://127.0.0.1:1"
    with pytest.raises(AddressRefused):
        over_http.write_tag(order_of(served[1][1]))


def test_F_T1_an_answer_that_is_lost_is_looked_up(
    git_server: GitServer, over_http: GitTagWriter, served: Served
) -> None:
    """The server takes the push and breaks off before it says so."""
    bare, commits = served
    hook(bare, "post-receive", f"touch {bare}/taken")
    git_server.lose_push = True
    tag = over_http.write_tag(order_of(commits[1]))
    assert (bare / "taken").exists()
    assert tags_at(bare)[NAME] == tag.object_id
    pushes = [path for _, path in git_server.requests if "git-receive-pack" in path]
    assert sum(path.endswith("/git-receive-pack") for path in pushes) == 1


def test_F_T1_where_nobody_can_be_asked_it_is_not_known(
    git_server: GitServer, over_http: GitTagWriter, served: Served
) -> None:
    bare, commits = served
    git_server.lose_push = git_server.lose_all_after = True
    with pytest.raises(Unavailable, match="not known whether"):
        over_http.write_tag(order_of(commits[1]))
    git_server.status, git_server.lose_push = 0, False
    git_server.lose_all_after = False
    assert over_http.write_tag(order_of(commits[1])).object_id == tags_at(bare)[NAME]
