"""Tags written over GitLab's API, whose tagger and date are GitLab's own."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from indexer.core.snapshot import Person
from indexer.providers.errors import (
    AccessDenied,
    BadPayload,
    NotFound,
    ProviderError,
    RateLimited,
    Refused,
    Unavailable,
)
from indexer.providers.gitlab.reader import UNTOLD
from indexer.providers.gitlab.writer import GitLabTagWriter
from indexer.providers.writing import TagExists
from tests.providers.gitlab.conftest import client_of, remote_of
from tests.providers.gitlab_server import GitLabServer
from tests.providers.gitlab_state import ALL_SCOPES
from tests.providers.tag_orders import (
    NAME,
    ODD_NAMES,
    a_bare_repository,
    check_all_win,
    check_one_winner,
    git,
    order_of,
    tags_at,
)

WriterOf = Callable[..., GitLabTagWriter]
ALICE = Person("Alice", "alice@example.com")
POST = "POST /api/v4/projects/"


@pytest.fixture
def served(gitlab: GitLabServer, tmp_path: Path) -> tuple[Path, str]:
    """The repository, and the commit to tag."""
    bare, commits = a_bare_repository(tmp_path)
    gitlab.add_repository("acme/churn", bare)
    return bare, commits[1]


@pytest.fixture
def writer_of(gitlab: GitLabServer, tmp_path: Path) -> WriterOf:
    numbers = itertools.count()

    def make(token: str | None = None, seconds: float = 30) -> GitLabTagWriter:
        client = client_of(gitlab, token)
        client.session.seconds = seconds
        number = str(gitlab.repository("acme/churn").id)
        mirror = tmp_path / "mirrors" / str(next(numbers))
        return GitLabTagWriter(remote_of(gitlab, number, mirror, token), client)

    return make


@pytest.fixture
def writer(writer_of: WriterOf, served: tuple[Path, str]) -> GitLabTagWriter:
    return writer_of()


@pytest.mark.parametrize("git_enabled", [True, False])
def test_what_gitlab_made_is_what_comes_back(
    gitlab: GitLabServer,
    writer: GitLabTagWriter,
    served: tuple[Path, str],
    git_enabled: bool,
) -> None:
    """Over Git, or proven over REST: the tagger is the user of the token."""
    bare, commit = served
    gitlab.git_enabled = git_enabled
    assert writer.read_tag(NAME) is None
    order, before = order_of(commit, message="One\n\ntwo  "), tags_at(bare)
    tag = writer.write_tag(order)
    assert tags_at(bare) == before | {NAME: tag.object_id}
    assert tag.tag is not None
    assert (tag.ref, tag.tag.name, tag.commit_id) == (NAME, NAME, commit)
    assert (tag.tag.message, tag.tag.tagger) == ("One\n\ntwo", ALICE)
    assert tag.tag.tagged is not None
    assert tag.tag.tagged != order.at  # the server's clock
    assert tag.tag.flaws == ()
    assert writer.read_tag(NAME) == tag
    assert writer.refs().tags == tags_at(bare)
    assert gitlab.count(POST) == 1


def test_a_tagger_that_rest_does_not_tell(
    gitlab: GitLabServer, writer: GitLabTagWriter, served: tuple[Path, str]
) -> None:
    gitlab.git_enabled = False
    tag = writer.read_tag("churn#dev#2")
    assert tag is not None
    assert tag.tag is not None
    assert (tag.tag.message, tag.tag.flaws) == ("There before", (UNTOLD,))


def test_a_number_sign_leads_to_no_other_tag(
    writer: GitLabTagWriter, gitlab: GitLabServer, served: tuple[Path, str]
) -> None:
    bare, commit = served
    before = tags_at(bare)
    gitlab.git_enabled = False
    writer.write_tag(order_of(commit, f"{NAME}1"))
    assert writer.read_tag(NAME) is None
    writer.write_tag(order_of(commit))
    assert tags_at(bare)["churn"] == before["churn"]


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
    gitlab: GitLabServer,
    writer_of: WriterOf,
    served: tuple[Path, str],
    fault: dict[str, Any],
) -> None:
    bare, commit = served
    order, before = order_of(commit), tags_at(bare)
    gitlab.fault(POST, **fault)
    try:
        tag = writer_of(seconds=2).write_tag(order)
    except (Unavailable, BadPayload):
        assert tags_at(bare) == before
        tag = writer_of().write_tag(order)
    else:
        assert gitlab.count(POST) == 1
    assert tags_at(bare) == before | {NAME: tag.object_id}
    assert writer_of().write_tag(order) == tag
    assert tags_at(bare) == before | {NAME: tag.object_id}


def test_F_T1_a_tag_made_is_told_though_it_cannot_be_read_back(
    gitlab: GitLabServer, writer: GitLabTagWriter, served: tuple[Path, str]
) -> None:
    bare, commit = served
    gitlab.fault("upload-pack", status=502, times=None)
    gitlab.fault("/user", status=502, times=None)
    tag = writer.write_tag(order_of(commit))
    assert tag.object_id == tags_at(bare)[NAME]
    assert tag.tag is not None
    assert tag.tag.flaws == (UNTOLD,)


def test_F_T2_the_same_tag_by_another_user_is_another(
    gitlab: GitLabServer, writer_of: WriterOf, served: tuple[Path, str]
) -> None:
    """The same wish with the same words: only one of both people made it."""
    commit = served[1]
    gitlab.add_owner("bob", kind="user")
    acme, bob = gitlab.owners["acme"], gitlab.owners["bob"]
    acme.members[bob.id] = 40
    first = writer_of().write_tag(order_of(commit))
    with pytest.raises(TagExists, match="made by Alice") as caught:
        writer_of(gitlab.add_token("bob")).write_tag(order_of(commit))
    assert caught.value.there == first
    assert writer_of().write_tag(order_of(commit)) == first


@pytest.mark.parametrize("annotated", [True, False])
def test_F_T2_another_tag_of_the_name_is_told(
    writer: GitLabTagWriter, served: tuple[Path, str], annotated: bool
) -> None:
    bare, commit = served
    if annotated:
        writer.write_tag(order_of(commit, message="Mine"))
    else:
        git(bare, "tag", NAME, commit)
    with pytest.raises(TagExists) as caught:
        writer.write_tag(order_of(commit))
    assert caught.value.there.object_id == tags_at(bare)[NAME]
    assert (caught.value.there.tag is not None) is annotated


def test_F_T2_one_of_twenty_at_once_succeeds(
    writer_of: WriterOf, served: tuple[Path, str]
) -> None:
    check_one_winner(writer_of, *served)


def test_F_T2_twenty_names_at_once_all_succeed(
    writer_of: WriterOf, served: tuple[Path, str]
) -> None:
    check_all_win(writer_of, *served)


@pytest.mark.parametrize(
    ("status", "said", "error", "words"),
    [
        (400, "Target x is invalid", Refused, "Target x is invalid"),
        (401, "401 Unauthorized", AccessDenied, "token"),
        (403, "403 Forbidden", Refused, "Forbidden"),
        (404, "404 Project Not Found", NotFound, "GitLab"),
        (409, "Conflict", Refused, "Conflict"),
        (422, "Unprocessable", Refused, "Unprocessable"),
        (429, "Retry later", RateLimited, "GitLab"),
    ],
)
def test_F_T3_what_gitlab_refuses_is_said(
    gitlab: GitLabServer,
    writer: GitLabTagWriter,
    served: tuple[Path, str],
    status: int,
    said: str,
    error: type[ProviderError],
    words: str,
) -> None:
    bare, commit = served
    before = tags_at(bare)
    gitlab.fault(POST, status=status, body={"message": said})
    with pytest.raises(error, match=words) as caught:
        writer.write_tag(order_of(commit))
    assert not isinstance(caught.value, TagExists)
    assert gitlab.token not in str(caught.value)
    assert tags_at(bare) == before
    writer.write_tag(order_of(commit))


def test_F_T3_the_servers_own_refusals(
    gitlab: GitLabServer, writer_of: WriterOf, served: tuple[Path, str]
) -> None:
    bare, commit = served
    before, row = tags_at(bare), gitlab.repository("acme/churn")
    row.protected_tags = ("churn#*",)
    with pytest.raises(Refused, match="it is protected"):
        writer_of().write_tag(order_of(commit))
    row.protected_tags = ()
    with pytest.raises(Refused, match="is invalid"):
        writer_of().write_tag(order_of("e" * 40))
    reading = gitlab.add_token("alice", ALL_SCOPES - {"api"})
    with pytest.raises(Refused, match="higher privileges"):
        writer_of(reading).write_tag(order_of(commit))
    row.archived = True
    with pytest.raises(Refused, match="Forbidden"):
        writer_of().write_tag(order_of(commit))
    assert tags_at(bare) == before


def test_F_T3_a_tag_that_gitlab_made_otherwise_is_not_taken(
    gitlab: GitLabServer, writer: GitLabTagWriter, served: tuple[Path, str]
) -> None:
    other = {"name": "x", "target": "a" * 40, "commit": None}
    answers: list[Any] = [[], {}, other]
    for said in answers:
        gitlab.fault(POST, status=201, body=said)
        with pytest.raises(BadPayload):
            writer.write_tag(order_of(served[1]))


@pytest.mark.parametrize("name", ODD_NAMES)
def test_T7_an_odd_name_is_never_sent(
    gitlab: GitLabServer,
    writer: GitLabTagWriter,
    served: tuple[Path, str],
    name: str,
) -> None:
    with pytest.raises(Refused, match="Nothing was sent"):
        writer.read_tag(name)
    with pytest.raises(Refused, match="Nothing was sent"):
        writer.write_tag(order_of(served[1], name))
    assert gitlab.requests == []
