"""The client over real HTTP: whole lists or an error, to our own server only."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from indexer.budgets import Unlimited
from indexer.providers.base import OwnerKind
from indexer.providers.errors import (
    AccessDenied,
    AddressRefused,
    BadPayload,
    NotFound,
    ProviderError,
    RateLimited,
    Refused,
    Unavailable,
)
from indexer.providers.github.client import (
    GitHubClient,
    quoted,
    repository_path,
    segment,
)
from indexer.providers.github.host import GitHubHost
from tests.providers.api_server import ApiServer
from tests.providers.github.conftest import ClientOf
from tests.providers.github_server import GitHubServer

PAGE_2 = "&page=2&"
IN_AN_HOUR = int(datetime.now(UTC).timestamp()) + 3600
LATER = format_datetime(datetime.now(UTC) + timedelta(minutes=30), usegmt=True)
JSON = {"Content-Type": "application/json; charset=utf-8"}
PRIMARY = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(IN_AN_HOUR)}
SECONDARY = {"message": "You have exceeded a secondary rate limit. Please wait."}
VIEWER = "query { viewer { login } }"

# What happens to page 2, and what must come of it.
FAULTS: dict[str, tuple[dict[str, Any], type[ProviderError]]] = {
    "204": ({"status": 204}, BadPayload),
    "empty": ({"status": 200, "headers": JSON}, BadPayload),
    "null": ({"status": 200, "body": b"null"}, BadPayload),
    "an object": ({"status": 200, "body": {"message": "busy"}}, BadPayload),
    "a list of texts": ({"status": 200, "body": ["churn"]}, BadPayload),
    "a deep list": ({"status": 200, "body": b"[" * 100_000}, BadPayload),
    "an endless number": (
        {"status": 200, "body": b'[{"id":' + b"1" * 5000 + b"}]"},
        BadPayload,
    ),
    "not UTF-8": ({"status": 200, "body": b'[{"id":"\xff"}]'}, BadPayload),
    "truncated JSON": ({"status": 200, "body": b'[{"id": 1}, {"i'}, BadPayload),
    "a cut body": ({"truncate": 100}, Unavailable),
    "202": ({"status": 202, "body": {}}, Unavailable),
    "304 unasked": ({"status": 304}, BadPayload),
    "401": ({"status": 401, "body": {"message": "Bad credentials"}}, AccessDenied),
    "403": ({"status": 403, "body": {"message": "No access"}}, AccessDenied),
    "403, primary limit": (
        {"status": 403, "headers": PRIMARY, "body": {"message": "exceeded"}},
        RateLimited,
    ),
    "403, secondary limit": (
        {"status": 403, "headers": {"Retry-After": "90"}, "body": SECONDARY},
        RateLimited,
    ),
    "403, secondary limit, unsaid": ({"status": 403, "body": SECONDARY}, RateLimited),
    "404": ({"status": 404, "body": {"message": "Not Found"}}, NotFound),
    "422": ({"status": 422, "body": {"message": "Validation Failed"}}, Refused),
    "429, seconds": ({"status": 429, "headers": {"Retry-After": "90"}}, RateLimited),
    "429, a date": ({"status": 429, "headers": {"Retry-After": LATER}}, RateLimited),
    **{
        str(status): ({"status": status, "body": {"message": "Oops"}}, Unavailable)
        for status in (500, 502, 503, 504)
    },
    "502, HTML": ({"status": 502, "body": b"<html>Bad gateway"}, Unavailable),
    "reset": ({"reset": "before"}, Unavailable),
    "reset in the body": ({"reset": "after"}, Unavailable),
    "no HTTP": ({"raw": b"\0\0\0"}, Unavailable),
}


@pytest.fixture
def acme(github: GitHubServer, bare: Path) -> GitHubServer:
    """250 repositories of acme: three pages."""
    for number in range(250):
        github.add_repository(f"acme/model-{number:03}", bare)
    return github


@pytest.mark.parametrize("fault", FAULTS)
def test_a_list_is_whole_or_an_error_whatever_page_2_is(
    acme: GitHubServer, host: GitHubHost, fault: str
) -> None:
    """F-P1, F-P2, F-P3, Z6"""
    owner = host.find_owner("acme")
    what, error = FAULTS[fault]
    acme.fault(PAGE_2, **what)
    with pytest.raises(error) as caught:
        host.list_repositories(owner)
    assert type(caught.value) is error
    assert caught.value.sentence.endswith((".", "?"))
    if isinstance(caught.value, RateLimited):
        wait = caught.value.retry_at - datetime.now(UTC)
        assert timedelta(seconds=30) < wait < timedelta(hours=2)
    assert acme.count(PAGE_2) == 1, "nothing is repeated"
    # And without it, the same host reads the same list.
    assert len(host.list_repositories(owner)) == 250


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_of_page_2_is_an_error_and_takes_no_token_along(
    acme: GitHubServer, elsewhere: ApiServer, host: GitHubHost, status: int
) -> None:
    """S4, F-P2"""
    owner = host.find_owner("acme")
    acme.redirect(PAGE_2, f"{elsewhere.url}/api/v3/x?page=2", status)
    with pytest.raises(BadPayload):
        host.list_repositories(owner)
    assert elsewhere.requests == []


def test_web_pages_are_no_lists(acme: GitHubServer, host: GitHubHost) -> None:
    """F-P2"""
    owner = host.find_owner("acme")
    acme.html(PAGE_2)
    with pytest.raises(BadPayload, match="web page"):
        host.list_repositories(owner)


def test_a_link_to_another_server_is_not_followed(
    acme: GitHubServer, elsewhere: ApiServer, host: GitHubHost
) -> None:
    """S4"""
    acme.link_base = elsewhere.url
    assert len(host.list_repositories(host.find_owner("acme"))) == 250
    assert elsewhere.requests == []
    assert acme.count(PAGE_2) == 1


def test_addresses_in_answers_are_not_followed(
    acme: GitHubServer, elsewhere: ApiServer, client: GitHubClient
) -> None:
    """S4, S7"""
    row = {"id": 1, "login": "acme", "type": "User", "url": f"{elsewhere.url}/user"}
    acme.fault(lambda r: r.path == "/api/v3/user", status=200, body=row)
    assert GitHubHost(client).find_owner("").kind is OwnerKind.USER
    assert elsewhere.requests == []


def test_a_list_without_an_end_is_given_up(
    acme: GitHubServer, host: GitHubHost
) -> None:
    """D7"""
    owner = host.find_owner("acme")
    again = {"Link": f'<{acme.url}/api/v3/orgs/acme/repos?page=2>; rel="next"'}
    body = [{"id": 7}]
    acme.fault("/repos?", times=None, status=200, body=body, headers=again)
    with pytest.raises(BadPayload, match="again"):
        host.list_repositories(owner)
    assert acme.count("/repos?") == 2


def test_pages_that_are_new_for_ever_are_given_up(
    acme: GitHubServer, client: GitHubClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D7"""
    monkeypatch.setattr("indexer.providers.github.client.MAX_PAGES", 5)
    for number in range(10):
        again = {"Link": '<https://api.github.com/?page=9>; rel="next"'}
        acme.fault(
            f"page={number + 1}&",
            status=200,
            body=[{"id": number}],
            headers=again,
        )
    with pytest.raises(BadPayload, match="more than 5 pages"):
        client.pages("/orgs/acme/repos")


def test_what_single_sign_on_holds_back_is_no_whole_list(
    acme: GitHubServer, host: GitHubHost
) -> None:
    """Z6"""
    owner = host.find_owner("acme")
    acme.sso = "partial-results; organizations=21955855"
    with pytest.raises(AccessDenied, match="single sign-on"):
        host.list_repositories(owner)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../../user", "a/b", "o?x", "o#", "a b", "a\n", "é", "%2e%2e"],
)
def test_a_name_that_is_none_is_never_asked(name: str) -> None:
    """S7"""
    with pytest.raises(AddressRefused):
        segment(name)
    with pytest.raises(AddressRefused):
        repository_path(f"acme/{name}")
    with pytest.raises(AddressRefused):
        repository_path(f"{name}/churn")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "user",
        "//evil.example/user",
        "https://evil.example/user",
        "/repos/o/r/git/ref/tags/../../user",
        "/repos/o/r/git/ref/tags/%2e%2e/%2E%2E/user",
        "/repos/o/r#x",
        "/repos/o/r?x=1",
        "/repos/o/r\n",
        "/repos/o/r\\..",
    ],
)
def test_a_path_that_is_none_is_never_sent(
    github: GitHubServer, client: GitHubClient, path: str
) -> None:
    """S7"""
    with pytest.raises(AddressRefused):
        client.rest("GET", path)
    with pytest.raises(AddressRefused):
        client.pages(path)
    assert github.requests == []


def test_a_tag_with_a_hash_in_its_name_is_not_taken_for_another(
    github: GitHubServer, client: GitHubClient, bare: Path
) -> None:
    github.add_repository("acme/churn", bare)
    path = f"{repository_path('acme/churn')}/git/ref/tags"
    decoy = client.rest("GET", f"{path}/{quoted('churn')}").data
    wanted = client.rest("GET", f"{path}/{quoted('churn#prod#3')}").data
    assert decoy["ref"] == "refs/tags/churn"
    assert wanted["ref"] == "refs/tags/churn#prod#3"
    assert wanted["object"]["type"] == "tag"
    assert github.requests[-1].target.endswith("/git/ref/tags/churn%23prod%233")


def test_an_unchanged_answer_is_asked_for_by_its_etag(
    github: GitHubServer, client: GitHubClient, bare: Path
) -> None:
    github.add_repository("acme/churn", bare)
    first = client.rest("GET", "/repos/acme/churn")
    again = client.rest("GET", "/repos/acme/churn", etag=first.etag)
    assert first.etag
    assert (again.status, again.data) == (304, None)
    github.touch("acme/churn")
    assert client.rest("GET", "/repos/acme/churn", etag=first.etag).status == 200


def test_every_request_says_who_asks_and_for_what(
    github: GitHubServer, client: GitHubClient
) -> None:
    client.rest("GET", "/user")
    headers = github.requests[-1].headers
    assert headers["user-agent"] == "Muster"
    assert headers["accept"] == "application/vnd.github+json"
    assert headers["x-github-api-version"] == "2022-11-28"
    assert headers["authorization"] == f"token {github.token}"


def test_nothing_secret_is_logged_or_told(
    github: GitHubServer, client: GitHubClient, caplog: pytest.LogCaptureFixture
) -> None:
    """K3"""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("github.Requester").setLevel(logging.DEBUG)
    secret = "webhook-secret-0123456789"
    github.add_owner("acme")
    owner = GitHubHost(client).find_owner("acme")
    github.fault("hooks", status=500, body={"message": f"no {github.token}"})
    with pytest.raises(Unavailable) as caught:
        GitHubHost(client).create_hook(owner, "", url="https://x.test", secret=secret)
    error: BaseException | None = caught.value
    while error is not None:
        assert github.token not in f"{error!r}"
        assert secret not in f"{error!r}"
        error = error.__cause__ or error.__context__
    assert github.token not in caplog.text
    assert secret not in caplog.text
    assert github.token not in repr(vars(client))


def test_headers_that_make_no_sense_are_a_plain_error(
    github: GitHubServer, client: GitHubClient
) -> None:
    """F-P3"""
    odd = {"X-RateLimit-Remaining": "many", "X-RateLimit-Limit": "5000"}
    github.fault("/user", status=200, body={"id": 1}, headers=odd)
    with pytest.raises(BadPayload):
        client.rest("GET", "/user")


# Queries -----------------------------------------------------------------------------


def query_fault(github: GitHubServer, body: Any, **headers: str) -> None:
    github.fault("POST /api/graphql", status=200, body=body, headers=headers)


def test_a_query_goes_to_the_address_of_queries(
    github: GitHubServer, client: GitHubClient
) -> None:
    answer = client.graphql(VIEWER)
    assert answer.data["data"] == {"viewer": {"login": "robot"}}
    assert json.loads(github.requests[-1].body) == {"query": VIEWER, "variables": {}}


@pytest.mark.parametrize(
    ("api_url", "expected"),
    [
        ("https://api.github.com", "https://api.github.com/graphql"),
        ("https://ghe.example.com/api/v3", "https://ghe.example.com/api/graphql"),
        ("http://127.0.0.1:4000/", "http://127.0.0.1:4000/graphql"),
    ],
)
def test_queries_have_their_own_address(api_url: str, expected: str) -> None:
    client = GitHubClient(api_url, token="t", budget=Unlimited(), allow_private=True)
    assert client._requester.graphql_url == expected


def test_errors_of_a_part_are_left_to_who_asked(
    github: GitHubServer, client: GitHubClient
) -> None:
    errors = [{"type": "NOT_FOUND", "path": ["r1"], "message": "Could not resolve"}]
    query_fault(github, {"data": {"r0": {}, "r1": None}, "errors": errors})
    assert client.graphql(VIEWER).data["errors"] == errors


def test_a_limit_of_queries_says_until_when_though_its_status_is_200(
    github: GitHubServer, client: GitHubClient
) -> None:
    """F-P1"""
    errors = [{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}]
    query_fault(github, {"errors": errors}, **PRIMARY)
    with pytest.raises(RateLimited) as caught:
        client.graphql(VIEWER)
    assert abs(caught.value.retry_at.timestamp() - IN_AN_HOUR) < 5


def test_a_secondary_limit_of_queries_does_too(
    github: GitHubServer, client: GitHubClient
) -> None:
    query_fault(github, SECONDARY, **{"Retry-After": "120"})
    with pytest.raises(RateLimited) as caught:
        client.graphql(VIEWER)
    wait = caught.value.retry_at - datetime.now(UTC)
    assert timedelta(seconds=100) < wait <= timedelta(seconds=121)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (
            {"errors": [{"type": "FORBIDDEN", "message": "not accessible"}]},
            AccessDenied,
        ),
        ({"data": None, "errors": [{"type": "NOT_FOUND", "message": "no"}]}, NotFound),
        ({"errors": [{"message": "Parse error on \u202e\x1b[0m"}]}, Refused),
        ({"errors": [{"type": "RESOURCE_LIMITS_EXCEEDED"}], "data": {}}, Unavailable),
        (
            {
                "data": {"r0": None},
                "errors": [
                    {
                        "message": "Something went wrong while executing your query. "
                        "This may be the result of a timeout."
                    }
                ],
            },
            Unavailable,
        ),
        ({"errors": []}, BadPayload),
        ({"errors": "many"}, BadPayload),
        ({"errors": ["many"], "data": {}}, BadPayload),
        ({"data": []}, BadPayload),
        ([], BadPayload),
        ({}, BadPayload),
    ],
)
def test_a_query_that_failed_is_a_plain_error(
    github: GitHubServer, client: GitHubClient, body: Any, error: type[ProviderError]
) -> None:
    query_fault(github, body)
    with pytest.raises(error) as caught:
        client.graphql(VIEWER)
    assert type(caught.value) is error
    assert caught.value.sentence.isprintable()


@pytest.mark.parametrize("status", [502, 504])
def test_a_query_that_took_too_long_is_not_repeated(
    github: GitHubServer, client: GitHubClient, status: int
) -> None:
    github.fault("POST /api/graphql", status=status, body={"message": "timeout"})
    with pytest.raises(Unavailable) as caught:
        client.graphql(VIEWER)
    assert caught.value.status == status
    assert github.count("POST") == 1


def test_a_wrong_token_is_said_so(github: GitHubServer, client_of: ClientOf) -> None:
    """F-P4"""
    client = client_of("ghp_wrong")
    with pytest.raises(AccessDenied, match="Enter a new one") as caught:
        client.rest("GET", "/user")
    assert caught.value.status == 401
    with pytest.raises(AccessDenied, match="Enter a new one"):
        client.graphql(VIEWER)
