"""Merge requests at GitLab: opened once, whatever happens to the answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from indexer.providers.errors import (
    AccessDenied,
    BadPayload,
    NotFound,
    ProviderError,
    RateLimited,
    Refused,
    Unavailable,
    Unsettled,
)
from indexer.providers.gitlab.client import GitLabClient
from indexer.providers.gitlab.merge_requests import open_merge_request
from tests.providers.gitlab.conftest import client_of
from tests.providers.gitlab_server import GitLabServer
from tests.providers.gitlab_state import ALL_SCOPES
from tests.providers.tag_orders import a_bare_repository, git

POST = "POST /api/v4/projects/"
GET = "GET /api/v4/projects/"


@pytest.fixture(autouse=True)
def served(gitlab: GitLabServer, tmp_path: Path) -> Path:
    bare, commits = a_bare_repository(tmp_path)
    git(bare, "update-ref", "refs/heads/main", commits[0])
    git(bare, "update-ref", "refs/heads/muster/churn#1", commits[1])
    git(bare, "update-ref", "refs/heads/dev", commits[2])
    gitlab.add_repository("acme/ml/churn", bare)
    return bare


def ask(client: GitLabClient, project: str = "acme/ml/churn", **what: str) -> str:
    asked = {
        "branch": "muster/churn#1", "base": "main", "title": "Add churn",
        "body": "Asked for by ada", **what,
    }  # fmt: skip
    return open_merge_request(client, project, **asked)


def address(gitlab: GitLabServer, number: int) -> str:
    return f"{gitlab.url}/acme/ml/churn/-/merge_requests/{number}"


def test_a_merge_request_is_opened_as_asked(
    gitlab: GitLabServer, client: GitLabClient
) -> None:
    assert ask(client) == address(gitlab, 1)
    (row,) = gitlab.merge_requests
    assert (row.source, row.target) == ("muster/churn#1", "main")
    assert (row.title, row.description) == ("Add churn", "Asked for by ada")
    assert (gitlab.count(GET), gitlab.count(POST)) == (1, 1)


def test_one_that_is_open_is_found_again(
    gitlab: GitLabServer, client: GitLabClient
) -> None:
    number = str(gitlab.repository("acme/ml/churn").id)
    first = ask(client)
    assert ask(client, title="Another") == first
    assert ask(client, number) == first
    assert ask(client, base="dev") == address(gitlab, 2)
    assert gitlab.count(POST) == 2


def test_one_that_was_merged_is_not_found(
    gitlab: GitLabServer, client: GitLabClient
) -> None:
    ask(client)
    gitlab.merge_requests[0].state = "merged"
    assert ask(client) == address(gitlab, 2)


def test_one_of_a_fork_or_of_other_branches_is_not_taken(
    gitlab: GitLabServer, client: GitLabClient
) -> None:
    ask(client, base="dev")
    number = gitlab.repository("acme/ml/churn").id
    (listed,) = client.rest("GET", f"/projects/{number}/merge_requests").data
    fork = listed | {"id": 2, "target_branch": "main", "source_project_id": 1}
    gitlab.fault(GET, status=200, body=[listed, fork])
    assert ask(client) == address(gitlab, 2)


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
    gitlab: GitLabServer, client: GitLabClient, fault: dict[str, Any]
) -> None:
    gitlab.fault(POST, **fault)
    client.session.seconds = 2
    try:
        ask(client)
    except (Unavailable, BadPayload):
        assert gitlab.merge_requests == []
    assert gitlab.count(POST) == 1
    client.session.seconds = 30
    assert ask(client) == address(gitlab, 1)
    assert len(gitlab.merge_requests) == 1


def test_one_that_was_opened_meanwhile_is_the_one(
    gitlab: GitLabServer, client: GitLabClient
) -> None:
    gitlab.fault(POST, before=lambda: ask(client_of(gitlab)))
    assert ask(client) == address(gitlab, 1)
    assert len(gitlab.merge_requests) == 1
    assert (gitlab.count(GET), gitlab.count(POST)) == (3, 2)


def test_where_nobody_can_be_asked_it_is_not_known(
    gitlab: GitLabServer, client: GitLabClient
) -> None:
    gitlab.fault(POST, eat_reply=True)
    gitlab.fault(GET, after=1, status=502)
    with pytest.raises(Unsettled, match="not known whether the merge request"):
        ask(client)
    assert ask(client) == address(gitlab, 1)
    assert len(gitlab.merge_requests) == 1


@pytest.mark.parametrize(
    ("status", "said", "error", "words"),
    [
        (400, {"title": ["can't be blank"]}, Refused, "title can't be blank"),
        (401, "401 Unauthorized", AccessDenied, "token"),
        (403, "403 Forbidden", Refused, "Forbidden"),
        (404, "404 Project Not Found", NotFound, "GitLab"),
        (409, ["Another open merge request"], Refused, "Another open"),
        (422, ["You can't use same project/branch"], Refused, "can't use same"),
        (429, "Retry later", RateLimited, "GitLab"),
    ],
)
def test_what_gitlab_refuses_is_said(
    gitlab: GitLabServer,
    client: GitLabClient,
    status: int,
    said: Any,
    error: type[ProviderError],
    words: str,
) -> None:
    gitlab.fault(POST, status=status, body={"message": said})
    with pytest.raises(error, match=words) as caught:
        ask(client)
    assert gitlab.token not in str(caught.value)
    assert (gitlab.merge_requests, gitlab.count(POST)) == ([], 1)


def test_the_servers_own_refusals(gitlab: GitLabServer, client: GitLabClient) -> None:
    with pytest.raises(Refused, match="can't use same"):
        ask(client, branch="main")
    with pytest.raises(Refused, match="source_branch does not exist"):
        ask(client, branch="none")
    reading = gitlab.add_token("alice", ALL_SCOPES - {"api"})
    with pytest.raises(Refused, match="higher privileges"):
        ask(client_of(gitlab, reading))
    gitlab.archive("acme/ml/churn")
    with pytest.raises(Refused, match="Forbidden"):
        ask(client)
    assert gitlab.merge_requests == []


@pytest.mark.parametrize("said", [None, 3, "", "javascript:alert(1)", "/x", "//x"])
def test_an_address_that_is_none_is_not_shown(
    gitlab: GitLabServer, client: GitLabClient, said: Any
) -> None:
    gitlab.fault(POST, status=201, body={"web_url": said})
    with pytest.raises(BadPayload):
        ask(client)
