"""Pull requests at GitHub: opened once, whatever happens to the answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from indexer.providers.errors import (
    AccessDenied,
    BadPayload,
    ProviderError,
    RateLimited,
    Refused,
    Unavailable,
    Unsettled,
)
from indexer.providers.github.client import GitHubClient
from indexer.providers.github.pulls import open_pull
from tests.providers.github.conftest import ClientOf
from tests.providers.github_server import GitHubServer
from tests.providers.tag_orders import a_bare_repository, git

POST = "POST /api/v3/repos/acme/churn/pulls"
GET = "GET /api/v3/repos/acme/churn/pulls"


@pytest.fixture(autouse=True)
def served(github: GitHubServer, tmp_path: Path) -> Path:
    """With two branches that are each a commit ahead or behind."""
    bare, commits = a_bare_repository(tmp_path)
    for branch in ("main", "muster/churn#1"):
        git(bare, "update-ref", f"refs/heads/{branch}", commits[len(branch) > 4])
    git(bare, "update-ref", "refs/heads/dev", commits[2])
    github.add_repository("acme/churn", bare)
    return bare


def ask(client: GitHubClient, **what: str) -> str:
    asked = {
        "branch": "muster/churn#1", "base": "main", "title": "Add churn",
        "body": "Asked for by ada", **what,
    }  # fmt: skip
    return open_pull(client, "acme/churn", **asked)


def test_a_pull_request_is_opened_as_asked(
    github: GitHubServer, client: GitHubClient
) -> None:
    assert ask(client) == f"{github.url}/acme/churn/pull/1"
    (pull,) = github.pulls.values()
    assert (pull.head, pull.base) == ("muster/churn#1", "main")
    assert (pull.title, pull.body) == ("Add churn", "Asked for by ada")
    assert (github.count(GET), github.count(POST)) == (1, 1)


def test_one_that_is_open_is_found_again(
    github: GitHubServer, client: GitHubClient
) -> None:
    first = ask(client)
    assert ask(client, title="Another") == first
    assert ask(client, base="dev") == f"{github.url}/acme/churn/pull/2"
    assert github.count(POST) == 2


def test_one_that_was_closed_is_not_found(
    github: GitHubServer, client: GitHubClient
) -> None:
    first = ask(client)
    for pull in github.pulls.values():
        pull.state = "closed"
    assert ask(client) != first


def test_one_of_a_fork_or_of_other_branches_is_not_taken(
    github: GitHubServer, client: GitHubClient
) -> None:
    """GitHub passes over a filter that it does not understand."""
    ask(client, base="dev")
    listed = client.rest("GET", "/repos/acme/churn/pulls").data
    fork: dict[str, Any] = dict(listed[0])
    fork["base"] = fork["base"] | {"ref": "main"}
    fork["head"] = fork["head"] | {"repo": fork["head"]["repo"] | {"id": 1}}
    gone = fork | {"id": 2, "head": fork["head"] | {"repo": None}}
    github.is_checked = False
    github.fault(GET, status=200, body=[*listed, fork, gone])
    assert ask(client).endswith("/pull/2")


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
def test_whatever_breaks_there_is_one_in_the_end(
    github: GitHubServer, client: GitHubClient, fault: dict[str, Any]
) -> None:
    github.is_checked = False
    github.fault(POST, **fault)
    client.session.seconds = 2
    try:
        ask(client)
    except (Unavailable, BadPayload):
        assert github.pulls == {}
    assert github.count(POST) == 1
    client.session.seconds = 30
    assert ask(client) == f"{github.url}/acme/churn/pull/1"
    assert len(github.pulls) == 1


def test_one_that_was_opened_meanwhile_is_the_one(
    github: GitHubServer, client: GitHubClient, client_of: ClientOf
) -> None:
    other = client_of()
    github.fault(POST, before=lambda: ask(other))
    assert ask(client) == f"{github.url}/acme/churn/pull/1"
    assert len(github.pulls) == 1
    assert (github.count(GET), github.count(POST)) == (3, 2)


def test_where_nobody_can_be_asked_it_is_not_known(
    github: GitHubServer, client: GitHubClient
) -> None:
    github.fault(POST, eat_reply=True)
    github.fault(GET, after=1, status=502)
    with pytest.raises(Unsettled, match="not known whether the pull request"):
        ask(client)
    assert ask(client) == f"{github.url}/acme/churn/pull/1"
    assert len(github.pulls) == 1


@pytest.mark.parametrize(
    ("status", "said", "error", "words"),
    [
        (401, "Bad credentials", AccessDenied, "token"),
        (403, "Resource not accessible by integration", Refused, "not accessible"),
        (404, "Not Found", Refused, "right to write pull requests"),
        (422, "Validation Failed", Refused, "Validation Failed"),
        (429, "Too many requests", RateLimited, "GitHub"),
    ],
)
def test_what_github_refuses_is_said(
    github: GitHubServer,
    client: GitHubClient,
    status: int,
    said: str,
    error: type[ProviderError],
    words: str,
) -> None:
    github.is_checked = False
    github.fault(POST, status=status, body={"message": said})
    with pytest.raises(error, match=words) as caught:
        ask(client)
    assert github.token not in str(caught.value)
    assert (github.pulls, github.count(POST)) == ({}, 1)


def test_the_servers_own_refusals(
    github: GitHubServer, client: GitHubClient, client_of: ClientOf, served: Path
) -> None:
    git(served, "update-ref", "refs/heads/same", "refs/heads/main")
    with pytest.raises(Refused, match="No commits between main and same"):
        ask(client, branch="same")
    with pytest.raises(Refused, match="head is not a branch"):
        ask(client, branch="none")
    with pytest.raises(Refused, match="right to write pull requests"):
        ask(client_of(github.add_token("ghp_reads", "read:org")))
    assert github.pulls == {}


@pytest.mark.parametrize("address", [None, 3, "", "javascript:alert(1)", "/x", "//x"])
def test_an_address_that_is_none_is_not_shown(
    github: GitHubServer, client: GitHubClient, address: Any
) -> None:
    github.is_checked = False
    github.fault(POST, status=201, body={"html_url": address})
    with pytest.raises(BadPayload):
        ask(client)
