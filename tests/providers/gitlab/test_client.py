"""The GitLab client: whole lists or an error, the token to one server only."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from indexer.budgets import Unlimited
from indexer.providers.errors import (
    AccessDenied,
    AddressRefused,
    BadPayload,
    NotFound,
    ProviderError,
    RateLimited,
    Refused,
    TooLarge,
    Unavailable,
)
from indexer.providers.gitlab.client import GitLabClient, quoted
from tests.providers.gitlab.conftest import client_of
from tests.providers.gitlab_server import GitLabServer, serve_gitlab
from tests.providers.raw_repository import simple_repository

HTML = b"<!DOCTYPE html><html><body>Sign in</body></html>"
ITEM = {"id": 1, "name": "a"}


@pytest.fixture
def listed(gitlab: GitLabServer) -> str:
    """The path of a list of 250 tags."""
    repository = simple_repository(gitlab.root / "repo", tags=1)
    head = repository.refs[b"refs/heads/main"]
    for number in range(249):
        repository.refs[b"refs/tags/release-%03d" % number] = head
    repository.finish()
    project = gitlab.add_repository("acme/churn", repository.path)
    return f"/projects/{project}/repository/tags"


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[GitLabServer]:
    """Another server, that must never hear of a token."""
    root = tmp_path / "canary"
    root.mkdir()
    with serve_gitlab(root) as server:
        yield server
        assert not server.requests


def read(client: GitLabClient, path: str) -> list[Any]:
    return client.pages(path, {"order_by": "name", "sort": "asc"}, key="name")


def test_a_list_is_read_to_its_end(
    gitlab: GitLabServer, client: GitLabClient, listed: str
) -> None:
    told: list[tuple[str, int, int]] = []
    found = client.pages(
        listed,
        key="name",
        phase="Listing",
        progress=lambda phase, done=0, total=0: told.append((phase, done, total)),
    )
    assert len({tag["name"] for tag in found}) == 250
    assert gitlab.count("/repository/tags") == 3
    assert told == [("Listing", 100, 250), ("Listing", 200, 250), ("Listing", 250, 250)]


def test_lists_that_gitlab_does_not_count_are_read_too(
    gitlab: GitLabServer,
    client: GitLabClient,
    listed: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.providers.gitlab_server.MOST_COUNTED", 10)
    assert len(read(client, listed)) == 250


# Each row: what becomes of page 2, and the error. Never a short list.
FAULTS: dict[str, tuple[dict[str, Any], type[ProviderError]]] = {
    "204": ({"status": 204}, BadPayload),
    "empty": ({"status": 200, "body": b""}, BadPayload),
    "null": ({"status": 200, "body": b"null"}, BadPayload),
    "an object": ({"status": 200, "body": {"message": "hello"}}, BadPayload),
    "a number": ({"status": 200, "body": b"7"}, BadPayload),
    "a text": ({"status": 200, "body": b'"x"'}, BadPayload),
    "names": ({"status": 200, "body": ["a", "b"]}, BadPayload),
    "nameless": ({"status": 200, "body": [{"id": 1}]}, BadPayload),
    "half JSON": ({"status": 200, "body": b'[{"id": 1}, {"i'}, BadPayload),
    "deep JSON": ({"status": 200, "body": b"[" * 100_000}, BadPayload),
    "NaN": ({"status": 200, "body": b"[NaN]"}, BadPayload),
    "html": (
        {"status": 200, "body": HTML, "headers": {"Content-Type": "text/html"}},
        BadPayload,
    ),
    "html error": (
        {"status": 502, "body": HTML, "headers": {"Content-Type": "text/html"}},
        Unavailable,
    ),
    "short": ({"status": 200, "body": [ITEM]}, Unavailable),
    "an empty page": ({"status": 200, "body": []}, Unavailable),
    "other total": ({"headers": {"X-Total": "249"}}, Unavailable),
    "odd total": ({"headers": {"X-Total": "many"}}, Unavailable),
    "in circles": ({"headers": {"X-Next-Page": "1"}}, BadPayload),
    "400": ({"status": 400, "body": {"error": "page is invalid"}}, Refused),
    "401": ({"status": 401, "body": {"message": "401 Unauthorized"}}, AccessDenied),
    "403": ({"status": 403, "body": {"message": "403 Forbidden"}}, AccessDenied),
    "404": ({"status": 404, "body": {"message": "404 Not Found"}}, NotFound),
    "405": ({"status": 405, "body": {"error": "offset of 50000"}}, Refused),
    "409": ({"status": 409, "body": {"message": "Conflict"}}, Refused),
    "422": ({"status": 422, "body": {"message": {"url": ["is bad"]}}}, Refused),
    "429": ({"status": 429, "headers": {"Retry-After": "90"}}, RateLimited),
    "500": ({"status": 500, "body": {"message": "500 Internal"}}, Unavailable),
    "503": ({"status": 503}, Unavailable),
    "504": ({"status": 504}, Unavailable),
    "reset before": ({"reset": "before"}, Unavailable),
    "reset after": ({"reset": "after"}, Unavailable),
    "cut": ({"truncate": 40}, Unavailable),
    "no HTTP": ({"raw": b"SSH-2.0-OpenSSH\r\n"}, Unavailable),
}


@pytest.mark.parametrize("name", FAULTS)
def test_F_P1_F_P2_F_P3_Z6_a_bad_second_page_is_an_error(
    name: str, gitlab: GitLabServer, client: GitLabClient, listed: str
) -> None:
    """F-P1, F-P2, F-P3, Z6: an error with a plain sentence, asked once, no token in
    it; the list is whole again when the fault is over."""
    what, kind = FAULTS[name]
    fault = gitlab.fault("page=2", **what)
    with pytest.raises(ProviderError) as raised:
        read(client, listed)
    assert type(raised.value) is kind
    assert raised.value.sentence.endswith((".", "?"))
    assert gitlab.token not in repr(raised.value)
    assert fault.hits == 1
    assert gitlab.count("page=2") == 1
    assert len(read(client, listed)) == 250


def test_D7_the_same_page_again_and_again_ends(
    gitlab: GitLabServer, client: GitLabClient
) -> None:
    page = [{"id": number, "name": f"r{number}"} for number in range(100)]
    gitlab.fault("/users", times=None, status=200, body=page)
    with pytest.raises(Unavailable):
        client.pages("/users")
    assert gitlab.count("/users") == 2


@pytest.mark.parametrize("what", [{"hang": True}, {"drip": 20}])
def test_D6_a_page_that_never_ends_is_given_up(
    what: dict[str, Any], gitlab: GitLabServer, client: GitLabClient, listed: str
) -> None:
    client.session.seconds = 1
    gitlab.fault("page=2", **what)
    with pytest.raises(Unavailable, match="took longer"):
        read(client, listed)


@pytest.mark.parametrize("paging", ["page", "id_after", "page_token"])
def test_D7_a_list_without_end_ends(
    paging: Any,
    gitlab: GitLabServer,
    client: GitLabClient,
) -> None:
    numbers = iter(range(1, 10**9))

    def more() -> None:
        fault.body = [{"id": next(numbers)} for _ in range(100)]
        token = f"page_token=t{next(numbers)}"
        fault.headers = {"Link": f'<http://x/api/v4/users?{token}>; rel="next"'}

    fault = gitlab.fault("/users", times=None, status=200, before=more)
    with pytest.raises(TooLarge):
        client.pages("/users", paging=paging, most=7)
    assert gitlab.count("/users") == 7


def test_D7_a_token_that_comes_again_ends(
    gitlab: GitLabServer, client: GitLabClient
) -> None:
    numbers = iter(range(1, 1000))

    def more() -> None:
        fault.body = [{"id": next(numbers)}]

    link = '<http://x/?page_token=same>; rel="next"'
    fault = gitlab.fault(
        "/users", times=None, status=200, headers={"Link": link}, before=more
    )
    with pytest.raises(BadPayload, match="circles"):
        client.pages("/users", paging="page_token")
    assert gitlab.count("/users") == 2


# The token ------------------------------------------------------------------------


def test_S4_a_link_to_another_host_is_not_followed(
    gitlab: GitLabServer, client: GitLabClient, listed: str, canary: GitLabServer
) -> None:
    evil = f'<{canary.url}/api/v4/projects?page=2>; rel="next"'
    gitlab.fault(lambda _: True, times=None, headers={"Link": evil})
    assert len(read(client, listed)) == 250


def test_S4_a_page_token_is_taken_and_its_host_is_not(
    gitlab: GitLabServer, client: GitLabClient, canary: GitLabServer
) -> None:
    repository = simple_repository(gitlab.root / "repo", tags=1)
    head = repository.commit(
        repository.files({f"{number:03}.txt": b"x" for number in range(150)})
    )
    repository.refs[b"refs/heads/main"] = head
    repository.finish()
    project = gitlab.add_repository("acme/churn", repository.path)
    evil = f'<{canary.url}/api/v4/x?page_token=MTAw>; rel="next"'
    gitlab.fault("/repository/tree", headers={"Link": evil})
    found = client.pages(
        f"/projects/{project}/repository/tree", key="path", paging="page_token"
    )
    assert len(found) == 150


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("way", ["GET", "POST", "page 2"])
def test_S4_a_redirect_to_another_host_gets_no_token(
    status: int,
    way: str,
    gitlab: GitLabServer,
    client: GitLabClient,
    listed: str,
    canary: GitLabServer,
) -> None:
    to = f"{canary.url}/api/v4/projects/1"
    gitlab.redirect("page=2" if way == "page 2" else "/api/v4/", to, status=status)
    ask: dict[str, Callable[[], object]] = {
        "GET": lambda: client.rest("GET", "/user"),
        "POST": lambda: client.rest("POST", "/projects/1/hooks", body={"url": "x"}),
        "page 2": lambda: read(client, listed),
    }
    with pytest.raises(BadPayload, match="another address"):
        ask[way]()


@pytest.mark.parametrize(
    "path",
    ["", "..", "a/..", "../../user", "a/./b", "a//b", "/a", "a/", "a\nb", "a\0b", "."],
)
def test_S7_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(AddressRefused):
        quoted(path)


@pytest.mark.parametrize("path", ["a/b?x=1", "a/b#c", "a/b%2e", "grüße/ml", "a b/c"])
def test_S7_every_other_path_is_one_segment(
    path: str, gitlab: GitLabServer, client: GitLabClient
) -> None:
    with pytest.raises(NotFound):
        client.rest("GET", f"/projects/{quoted(path)}")
    (request,) = gitlab.requests
    assert request.path.count("/") == 4
    assert not request.query


@pytest.mark.parametrize(
    "path", ["user", "/../user", "/a/./b", "//evil.example", "/a?b", "/a#b", "/a b", ""]
)
def test_S7_an_odd_request_is_not_sent(
    path: str, gitlab: GitLabServer, client: GitLabClient
) -> None:
    with pytest.raises(AddressRefused):
        client.rest("GET", path)
    assert not gitlab.requests


@pytest.mark.parametrize(
    ("token", "header", "value"),
    [
        ("glpat-CANARY", "private-token", "glpat-CANARY"),
        ("0a" * 32, "authorization", "Bearer " + "0a" * 32),
        ("", "private-token", None),
    ],
)
def test_which_header_a_token_travels_in(
    token: str, header: str, value: str | None, gitlab: GitLabServer
) -> None:
    gitlab.fault("/version", status=200, body={"version": "18.5.0"})
    client_of(gitlab, token).rest("GET", "/version")
    (request,) = gitlab.requests
    assert request.headers.get(header) == value


def test_K3_a_token_is_in_no_repr_log_or_error(
    gitlab: GitLabServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "glpat-CANARY-SECRET"
    client = client_of(gitlab, secret)
    gitlab.fault("/groups", status=400, body={"message": f"bad {secret}"})
    said = [repr(client)]
    for path in ("/user", "/groups"):
        with pytest.raises(ProviderError) as raised:
            client.rest("GET", path)
        said += [repr(raised.value), str(raised.value), raised.value.sentence]
    assert not [text for text in (*said, caplog.text) if secret in text]


# One request ----------------------------------------------------------------------


def test_a_conditional_request_may_be_answered_unchanged(
    gitlab: GitLabServer, client: GitLabClient
) -> None:
    first = client.rest("GET", "/user")
    again = client.rest("GET", "/user", etag=first.etag)
    assert first.etag
    assert (again.status, again.data, again.etag) == (304, None, first.etag)


def test_a_rate_limit_says_when_to_come_back(
    gitlab: GitLabServer, client: GitLabClient
) -> None:
    gitlab.rate.remaining = 0
    before = datetime.now(UTC)
    with pytest.raises(RateLimited) as raised:
        client.rest("GET", "/user")
    wait = raised.value.retry_at - before
    assert timedelta(minutes=50) < wait <= timedelta(hours=1, minutes=1)
    assert gitlab.count("/user") == 1


def test_F_P3_what_the_library_does_not_expect_is_a_plain_error(
    gitlab: GitLabServer, client: GitLabClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error in (TypeError, KeyError, RecursionError, AssertionError, RuntimeError):

        def explode(*_: object, error: type[Exception] = error, **__: object) -> None:
            raise error("glpat-x")

        monkeypatch.setattr(client.session, "request", explode)
        with pytest.raises(BadPayload):
            client.rest("GET", "/user")


def test_a_post_is_sent_once(gitlab: GitLabServer, client: GitLabClient) -> None:
    for what in ({"status": 503}, {"reset": "before"}, {"eat_reply": True}):
        gitlab.requests.clear()
        gitlab.fault("POST", **what)
        with pytest.raises(Unavailable):
            client.rest("POST", "/projects/1/hooks", body={"url": "https://x.example"})
        assert len(gitlab.requests) == 1


def test_the_budget_counts_every_request(gitlab: GitLabServer, listed: str) -> None:
    client = client_of(gitlab)
    assert isinstance(client.budget, Unlimited)
    read(client, listed)
    assert client.budget.spent == 3


def test_an_address_that_is_no_api_is_refused() -> None:
    with pytest.raises(AddressRefused):
        GitLabClient(
            "https://gitlab.example.com",
            token="",
            budget=Unlimited(),
            allow_private=False,
        )
