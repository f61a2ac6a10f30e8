"""Tags written over GitHub's API, with every fault at either request."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from indexer.budgets import Unlimited
from indexer.core.git_objects import format_tag_object, tag_object_id
from indexer.core.snapshot import GitTag, Instant
from indexer.providers.base import Remote
from indexer.providers.errors import (
    AccessDenied,
    BadPayload,
    NotFound,
    ProviderError,
    RateLimited,
    Refused,
    Unavailable,
)
from indexer.providers.github.client import GitHubClient
from indexer.providers.github.writer import GitHubTagWriter
from indexer.providers.writing import TagExists
from tests.providers.github_server import GitHubServer
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

WriterOf = Callable[..., GitHubTagWriter]
OBJECT, REF = "/git/tags", "/git/refs"


@pytest.fixture
def served(github: GitHubServer, tmp_path: Path) -> tuple[Path, str]:
    """The repository, and the commit to tag."""
    bare, commits = a_bare_repository(tmp_path)
    github.add_repository("acme/churn", bare)
    return bare, commits[1]


@pytest.fixture
def writer_of(github: GitHubServer, tmp_path: Path) -> WriterOf:
    numbers = itertools.count()

    def make(token: str = "", seconds: float = 30) -> GitHubTagWriter:
        client = GitHubClient(
            f"{github.url}/api/v3",
            token=token or github.token,
            budget=Unlimited(),
            allow_private=True,
        )
        client.session.seconds = seconds
        remote = Remote(
            f"{github.url}/acme/churn.git",
            username="x-access-token",
            secret=token or github.token,
            mirror=tmp_path / "mirrors" / str(next(numbers)),
            path="acme/churn",
            allow_private=True,
        )
        return GitHubTagWriter(remote, client)

    return make


@pytest.fixture
def writer(writer_of: WriterOf) -> GitHubTagWriter:
    return writer_of()


def asked(github: GitHubServer) -> list[str]:
    return [
        f"{request.method} {request.target.partition('/git/')[2]}"
        for request in github.requests
    ]


def test_a_tag_takes_two_requests_and_is_the_object_git_would_make(
    github: GitHubServer, writer: GitHubTagWriter, served: tuple[Path, str]
) -> None:
    bare, commit = served
    order, before = order_of(commit), tags_at(bare)
    tag = writer.write_tag(order)
    assert asked(github) == ["POST tags", "POST refs"]
    assert tag.object_id == tag_object_id(format_tag_object(order))
    assert tags_at(bare) == before | {NAME: tag.object_id}
    assert tag.tag is not None
    assert (tag.tag.tagger, tag.tag.tagged) == (order.tagger, order.at)
    assert (tag.commit_id, tag.tag.message) == (commit, order.message)
    assert writer.read_tag(NAME) == tag
    assert asked(github)[2:] == [
        "GET matching-refs/tags/churn%23prod%233", f"GET tags/{tag.object_id}",
    ]  # fmt: skip
    assert writer.refs().tags == tags_at(bare)


def test_a_number_sign_leads_to_no_other_tag(
    writer: GitHubTagWriter, served: tuple[Path, str]
) -> None:
    bare, commit = served
    decoy = tags_at(bare)["churn"]
    assert writer.read_tag(NAME) is None
    writer.write_tag(order_of(commit, f"{NAME}1"))
    assert writer.read_tag(NAME) is None
    writer.write_tag(order_of(commit))
    assert tags_at(bare)["churn"] == decoy


@pytest.mark.parametrize(
    "at", [Instant(1_750_000_000, -210), Instant(0), Instant(1_750_000_000, 840)]
)
def test_github_may_drop_the_line_feed_at_the_end(
    github: GitHubServer,
    writer: GitHubTagWriter,
    served: tuple[Path, str],
    at: Instant,
) -> None:
    bare, commit = served
    github.strips_messages = True
    order = order_of(commit, at=at)
    tag = writer.write_tag(order)
    assert tag.object_id == tags_at(bare)[NAME]
    assert tag.object_id != tag_object_id(format_tag_object(order))
    assert writer.read_tag(NAME) == tag
    assert writer.write_tag(order) == tag


def test_F_T1_a_tag_of_another_commit_gets_no_ref(
    github: GitHubServer, writer: GitHubTagWriter, served: tuple[Path, str]
) -> None:
    bare, commit = served
    before = tags_at(bare)
    github.is_checked = False
    body: dict[str, Any] = {"sha": "a" * 40, "tag": NAME, "object": {"sha": "b" * 40}}
    answers: list[Any] = [body, {**body, "tag": "x"}, {}, [], {**body, "sha": 3}]
    for said in answers:
        github.fault(OBJECT, status=201, body=said)
        with pytest.raises(BadPayload):
            writer.write_tag(order_of(commit))
    # An object with the right fields that is not there to be proven.
    told = {**body, "object": {"sha": commit}}
    github.fault(OBJECT, status=201, body=told)
    with pytest.raises(BadPayload):
        writer.write_tag(order_of(commit))
    assert tags_at(bare) == before
    assert github.count(REF) == 0


@pytest.mark.parametrize("where", [OBJECT, REF])
@pytest.mark.parametrize(
    "fault",
    [
        {"eat_reply": True},
        {"reset": "before"},
        {"reset": "after"},
        {"status": 500},
        {"status": 502, "body": b"<html>Bad gateway</html>"},
        {"drip": 20},
        {"truncate": 10},
    ],
)
def test_F_T1_whatever_breaks_there_is_one_tag_in_the_end(
    github: GitHubServer,
    writer_of: WriterOf,
    served: tuple[Path, str],
    where: str,
    fault: dict[str, Any],
) -> None:
    """Whoever gets Unavailable asks again with the same order; who gets the tag has
    it."""
    bare, commit = served
    order, before = order_of(commit), tags_at(bare)
    github.is_checked = False
    github.fault(f"POST /api/v3/repos/acme/churn{where}", **fault)
    try:
        tag = writer_of(seconds=2).write_tag(order)
    except (Unavailable, BadPayload):
        assert tags_at(bare) == before
        tag = writer_of().write_tag(order)
    else:
        assert github.count(f"POST /api/v3/repos/acme/churn{REF}") == 1
    assert tag.object_id == tag_object_id(format_tag_object(order))
    assert tags_at(bare) == before | {NAME: tag.object_id}
    assert writer_of().write_tag(order) == tag
    assert tags_at(bare) == before | {NAME: tag.object_id}


def test_F_T1_killed_between_the_two_calls(
    github: GitHubServer, writer: GitHubTagWriter, served: tuple[Path, str]
) -> None:
    """The object is made, the ref is not; whoever comes back makes the one tag."""
    bare, commit = served
    order, before = order_of(commit), tags_at(bare)

    class Killed(BaseException):
        pass

    client = writer._client
    rest = client.rest

    def die(method: str, path: str, **options: Any) -> Any:
        if path.endswith(REF):
            raise Killed
        return rest(method, path, **options)

    client.rest = die  # type: ignore[method-assign]
    with pytest.raises(Killed):
        writer.write_tag(order)
    assert tags_at(bare) == before
    client.rest = rest  # type: ignore[method-assign]
    tag = writer.write_tag(order)
    assert tags_at(bare) == before | {NAME: tag.object_id}


def test_F_T1_an_answer_lost_takes_one_request_to_look_up(
    github: GitHubServer, writer: GitHubTagWriter, served: tuple[Path, str]
) -> None:
    github.fault(f"POST /api/v3/repos/acme/churn{REF}", eat_reply=True)
    writer.write_tag(order_of(served[1]))
    assert asked(github) == [
        "POST tags", "POST refs", "GET matching-refs/tags/churn%23prod%233",
    ]  # fmt: skip


def test_F_T1_where_nobody_can_be_asked_it_is_not_known(
    github: GitHubServer, writer: GitHubTagWriter, served: tuple[Path, str]
) -> None:
    bare, commit = served
    github.fault(f"POST /api/v3/repos/acme/churn{REF}", eat_reply=True)
    github.fault("matching-refs", status=502)
    with pytest.raises(Unavailable, match="not known whether"):
        writer.write_tag(order_of(commit))
    assert writer.write_tag(order_of(commit)).object_id == tags_at(bare)[NAME]


def test_F_T2_another_tag_of_the_name_is_told(
    github: GitHubServer, writer: GitHubTagWriter, served: tuple[Path, str]
) -> None:
    bare, commit = served
    first = writer.write_tag(order_of(commit))
    before = len(github.requests)
    with pytest.raises(TagExists, match="Ada Lovelace") as caught:
        writer.write_tag(order_of(commit, tagger=BOB))
    assert caught.value.there == first
    assert len(github.requests) - before == 4
    git(bare, "tag", "churn@v9.0.0", commit)
    with pytest.raises(TagExists) as caught:
        writer.write_tag(order_of(commit, "churn@v9.0.0"))
    assert caught.value.there == GitTag("churn@v9.0.0", commit, None, commit)


def test_F_T2_a_tag_that_the_api_cannot_tell_is_read_over_git(
    writer: GitHubTagWriter, served: tuple[Path, str]
) -> None:
    bare, commit = served
    for person in ("user.name=Eve", "user.email=eve@example.org"):
        git(bare, "config", *person.split("="))
    git(bare, "tag", "-a", "-m", "inner", "inner", commit)
    git(bare, "tag", "-a", "-m", "outer", NAME, "inner")
    with pytest.raises(TagExists) as caught:
        writer.write_tag(order_of(commit))
    there = caught.value.there
    assert there.commit_id == commit
    assert there.tag is not None
    assert (there.tag.message, there.object_id) == ("outer", tags_at(bare)[NAME])


def test_F_T2_one_of_twenty_at_once_succeeds(
    writer_of: WriterOf, served: tuple[Path, str]
) -> None:
    check_one_winner(writer_of, *served)


def test_F_T2_twenty_names_at_once_all_succeed(
    writer_of: WriterOf, served: tuple[Path, str]
) -> None:
    check_all_win(writer_of, *served)


RULES = "Repository rule violations found\n\nCannot create ref due to creations"


@pytest.mark.parametrize("where", [OBJECT, REF])
@pytest.mark.parametrize(
    ("status", "said", "error", "words"),
    [
        (401, "Bad credentials", AccessDenied, "token"),
        (403, "Resource not accessible by integration", Refused, "not accessible"),
        (403, "Repository was archived so is read-only.", Refused, "archived"),
        (404, "Not Found", Refused, "right to write contents"),
        (409, "Reference update failed", Refused, "update failed"),
        (422, RULES, Refused, "rule violations found Cannot create ref"),
        (429, "Too many requests", RateLimited, "GitHub"),
    ],
)
def test_F_T3_what_github_refuses_is_said(
    github: GitHubServer,
    writer: GitHubTagWriter,
    served: tuple[Path, str],
    where: str,
    status: int,
    said: str,
    error: type[ProviderError],
    words: str,
) -> None:
    bare, commit = served
    before = tags_at(bare)
    github.is_checked = False
    github.fault(
        f"POST /api/v3/repos/acme/churn{where}", status=status, body={"message": said}
    )
    with pytest.raises(error, match=words) as caught:
        writer.write_tag(order_of(commit))
    assert not isinstance(caught.value, TagExists)
    assert github.token not in str(caught.value)
    assert tags_at(bare) == before
    writer.write_tag(order_of(commit))


def test_F_T3_a_secondary_limit_is_waited_for(
    github: GitHubServer, writer: GitHubTagWriter, served: tuple[Path, str]
) -> None:
    github.secondary_limit(REF)
    with pytest.raises(RateLimited):
        writer.write_tag(order_of(served[1]))


def test_F_T3_the_servers_own_refusals(
    github: GitHubServer, writer_of: WriterOf, served: tuple[Path, str]
) -> None:
    bare, commit = served
    before = tags_at(bare)
    reader = github.add_token("ghp_reads", "read:org")
    with pytest.raises(Refused):
        writer_of(reader).write_tag(order_of(commit))
    with pytest.raises(Refused):
        writer_of().write_tag(order_of("e" * 40))
    github.archive("acme/churn")
    with pytest.raises(Refused, match="archived"):
        writer_of().write_tag(order_of(commit))
    github.hide("acme/churn")
    with pytest.raises(Refused, match="right to write"):
        writer_of().write_tag(order_of(commit))
    with pytest.raises(NotFound):
        writer_of().read_tag(NAME)
    assert tags_at(bare) == before


@pytest.mark.parametrize("name", ODD_NAMES)
def test_T7_an_odd_name_is_never_sent(
    github: GitHubServer,
    writer: GitHubTagWriter,
    served: tuple[Path, str],
    name: str,
) -> None:
    with pytest.raises(Refused, match="Nothing was sent"):
        writer.read_tag(name)
    with pytest.raises(Refused, match="Nothing was sent"):
        writer.write_tag(replace(order_of(served[1]), name=name))
    assert github.requests == []
