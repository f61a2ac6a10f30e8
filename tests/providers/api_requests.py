"""The parts of an API test server: requests, answers, what a token is worth, rate
limits, and faults on order."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Grant:
    """What a token is worth. `scopes` in the provider's own words; `repositories`
    limits it to the ids named (None: all that the account may see)."""

    account: str
    scopes: frozenset[str] = frozenset()
    kind: str = "personal"
    private: bool = True  # sees private repositories
    repositories: frozenset[str] | None = None
    expires_at: datetime | None = None

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= datetime.now(UTC)


@dataclass
class Request:
    """A request as it came. `path` is still quoted; `parameters` are the pattern's,
    unquoted; `query` holds the last value of each name."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]  # names in lower case
    body: bytes
    time: float
    target: str = ""  # path and query, as they came
    parameters: dict[str, str] = field(default_factory=dict)
    grant: Grant | None = None
    status: int = 0  # of the answer, once there is one

    @cached_property
    def json(self) -> Any:
        """The body's value; None where it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def __getitem__(self, name: str) -> str:
        return self.parameters[name]

    def __str__(self) -> str:
        return f"{self.method} {self.target}"


@dataclass
class Reply:
    """An answer: `body` is bytes, or anything that becomes JSON (None: no body)."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    @cached_property
    def content(self) -> bytes:
        if self.body is None:
            return b""
        if isinstance(self.body, bytes):
            return self.body
        return json.dumps(self.body, separators=(",", ":")).encode()


Handler = Callable[[Request], Reply]
Match = str | re.Pattern[str] | Callable[[Request], bool]


class Refusal(Exception):
    """Ends a handler, from however deep, with this answer."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"{reply.status} {reply.body}")
        self.reply = reply


@dataclass
class Fault:
    """What happens to the requests that match, `times` times (None: always). With a
    `status` or `raw` bytes that is the answer; else the real one, done to harm."""

    match: Match
    times: int | None = 1
    after: int = 0  # so many that match go well first
    status: int = 0
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None  # these bytes instead of an HTTP answer
    reset: str = ""  # "before" any answer, or "after" half of one
    eat_reply: bool = False  # do it, then drop the connection
    hang: bool = False  # say nothing until the server stops
    drip: float = 0  # bytes a second of the body
    truncate: int | None = None  # end after so many bytes of the body
    latency: float = 0  # seconds before anything is said
    before: Callable[[], object] | None = None  # called before the request is handled
    hits: int = 0

    def takes(self, request: Request) -> bool:
        """Whether this request is its business; counts."""
        if self.times == 0 or not self._matches(request):
            return False
        if self.after:
            self.after -= 1
            return False
        if self.times is not None:
            self.times -= 1
        self.hits += 1
        return True

    def _matches(self, request: Request) -> bool:
        if isinstance(self.match, str):
            return self.match in str(request)
        if isinstance(self.match, re.Pattern):
            return self.match.search(str(request)) is not None
        return self.match(request)


@dataclass
class RateLimit:
    """A budget that renews itself. `enforced`: a request beyond it is refused."""

    limit: int = 5000
    remaining: int = 5000
    reset: int = field(default_factory=lambda: int(time.time()) + 3600)
    enforced: bool = True
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def used(self) -> int:
        return self.limit - self.remaining

    def spend(self, cost: int = 1) -> bool:
        """Take `cost` if there is that much."""
        with self.lock:
            if time.time() >= self.reset:
                self.remaining = self.limit
                self.reset = int(time.time()) + 3600
            if self.remaining < cost:
                return not self.enforced
            self.remaining -= cost
            return True


@dataclass
class Delivery:
    """A webhook's delivery: what was sent, and what came back (status 0: nothing)."""

    url: str
    event: str
    headers: dict[str, str]
    body: bytes
    status: int = 0


def token_of(headers: Mapping[str, str]) -> str:
    """The token in a request's headers, in any way GitHub and GitLab take it: a
    header of its own, `Authorization: Bearer` or `token`, a password; "" without."""
    if own := headers.get("private-token", ""):
        return own
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        try:
            return base64.b64decode(value).decode().partition(":")[2]
        except ValueError:
            return "\0"  # no token anybody has
    return value.strip()
