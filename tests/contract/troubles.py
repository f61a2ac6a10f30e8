"""What a provider may answer instead of what it should, and what must come of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from indexer.models import Connection, Repository
from tests.providers.api_requests import Fault, Request
from tests.providers.api_server import ApiServer

JSON = {"Content-Type": "application/json"}
HTML = {"Content-Type": "text/html; charset=utf-8"}
PAGE = b"<!DOCTYPE html><html><body>Please sign in</body></html>"
TOLD = timedelta(minutes=10)  # what a provider that limits us says
UNSAID = timedelta(minutes=1)
# Words that no sentence for a person holds.
JARGON = re.compile(
    r"Error|Exception|Traceback|xpect|object at|None|null|[{}<>]|HTTP\w*Connection|"
    r"[Rr]etries|\b0x|Errno|gh[a-z]_\w|glpat-"
)


@dataclass(frozen=True)
class Trouble:
    """`what` happens to a request (see Fault); the state of the repository it was for,
    and of the connection, if it met it; how long to wait where that is said."""

    name: str
    state: Repository.State
    what: dict[str, Any] | Callable[[], dict[str, Any]]
    wait: timedelta | None = None

    def __str__(self) -> str:
        return self.name

    @property
    def is_slow(self) -> bool:
        """Whether somebody has to lose patience."""
        return self.name in {"hang", "drip"}

    @property
    def of_connection(self) -> Connection.State:
        """What a connection's state is after it. One that found no owner fails."""
        if self.state == Repository.State.GONE:
            return Connection.State.FAILING
        return Connection.State(self.state)


def says(status: int, message: str, **headers: str) -> dict[str, Any]:
    """An answer of a provider that refuses."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"status": status, "body": {"message": message}, "headers": JSON | names}


def used_up() -> dict[str, Any]:
    reset = str(int((datetime.now(UTC) + TOLD).timestamp()))
    limit = {"X_RateLimit_Limit": "5000", "X_RateLimit_Remaining": "0"}
    return says(403, "API rate limit exceeded", X_RateLimit_Reset=reset, **limit)


def at_a_date() -> dict[str, Any]:
    date = format_datetime(datetime.now(UTC) + TOLD, usegmt=True)
    return says(429, "Too many requests", Retry_After=date)


def json(body: Any) -> dict[str, Any]:
    return {"status": 200, "body": body, "headers": JSON}


State = Repository.State
SECONDS = str(int(TOLD.total_seconds()))
FAULTS = (
    Trouble("401", State.DENIED, says(401, "Bad credentials")),
    Trouble("403", State.DENIED, says(403, "Resource not accessible")),
    Trouble("403-used-up", State.WAITING, used_up, TOLD),
    Trouble(
        "403-too-fast",
        State.WAITING,
        says(403, "You have exceeded a secondary rate limit", Retry_After=SECONDS),
        TOLD,
    ),
    Trouble(
        "403-unsaid",
        State.WAITING,
        says(403, "You have exceeded a secondary rate limit"),
        UNSAID,
    ),
    Trouble("404", State.GONE, says(404, "Not Found")),
    Trouble("409", State.FAILING, says(409, "Git Repository is busy")),
    Trouble("422", State.FAILING, says(422, "Validation Failed")),
    Trouble(
        "429", State.WAITING, says(429, "Too many requests", Retry_After=SECONDS), TOLD
    ),
    Trouble("429-date", State.WAITING, at_a_date, TOLD),
    Trouble("429-unsaid", State.WAITING, says(429, "Too many requests"), UNSAID),
    *(
        Trouble(str(status), State.UNREACHABLE, says(status, "Oops"))
        for status in (500, 502, 503, 504)
    ),
    Trouble(
        "503-html",
        State.UNREACHABLE,
        {"status": 503, "body": PAGE, "headers": HTML},
    ),
    Trouble("reset", State.UNREACHABLE, {"reset": "before"}),
    Trouble("reset-in-the-middle", State.UNREACHABLE, {"reset": "after"}),
    Trouble("hang", State.UNREACHABLE, {"hang": True}),
    Trouble("drip", State.UNREACHABLE, {"drip": 8}),
    Trouble("cut", State.UNREACHABLE, {"truncate": 9}),
    Trouble(
        "cut-json", State.FAILING, {"status": 200, "body": b'[{"id', "headers": JSON}
    ),
    Trouble("html", State.FAILING, {"status": 200, "body": PAGE, "headers": HTML}),
    Trouble("null", State.FAILING, json(b"null")),
    Trouble("null-inside", State.FAILING, json({"data": None})),
    Trouble("another-shape", State.FAILING, json({"data": {"repository": 7}})),
    Trouble("a-list", State.FAILING, json([1])),
    Trouble(
        "no-json",
        State.FAILING,
        {"status": 200, "body": b"OK", "headers": {"Content-Type": "text/plain"}},
    ),
    Trouble("204", State.FAILING, {"status": 204}),
    Trouble("empty", State.FAILING, {"status": 200, "body": b"", "headers": JSON}),
    Trouble(
        "302", State.FAILING, {"status": 302, "headers": {"Location": "http://[::1]/"}}
    ),
)


class FromTheMiddle:
    """Takes all requests from the first that asks for objects: the listing went
    well."""

    def __init__(self) -> None:
        self.began = False

    def __call__(self, request: Request) -> bool:
        body = request.body
        self.began |= b"command=fetch" in body or b"oid: " in body
        return self.began


def order(server: ApiServer, trouble: Trouble, match: Any) -> Fault:
    """Every request that matches meets it from now on."""
    what = trouble.what() if callable(trouble.what) else trouble.what
    return server.fault(match, times=None, **what)


def assert_plain(sentence: str, token: str) -> None:
    """A sentence or two for a person, and no secret."""
    assert sentence.endswith((".", "?", ")")), sentence
    assert sentence[:1].isupper() or sentence[:1].isdigit(), sentence
    assert len(sentence) <= 400, sentence
    assert token not in sentence
    assert not JARGON.search(sentence), sentence
