"""A session of an API and a server that says what it is told to, for the tests."""

from __future__ import annotations

import socket
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from indexer.budgets import Told, Unlimited
from indexer.providers import http_sockets
from indexer.providers.errors import (
    ProviderError,
)
from indexer.providers.http import ProviderSession
from tests.providers.wire import (
    End,
    Reply,
    Wire,
    head,
    make_certificate,
    reply,
    wire,
)

CANARY = "ghp_CANARY0123456789"
WITH_TOKEN = {"Authorization": f"Bearer {CANARY}"}


class Noted(Unlimited):
    """A budget that notes what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, Told]] = []
        self.blocked: dict[str, datetime] = {}
        self.backed_off = 0

    def record(self, resource: str, told: Told) -> None:
        self.told.append((resource, told))

    def block(self, resource: str, until: datetime) -> None:
        self.blocked[resource] = until

    def back_off(self) -> datetime:
        self.backed_off += 1
        return timezone.now() + timedelta(minutes=1)


@pytest.fixture
def wired() -> Iterator[Wire]:
    with wire() as wired:
        yield wired


@pytest.fixture
def budget() -> Noted:
    return Noted()


SessionOf = Callable[..., ProviderSession]


@pytest.fixture
def session_of(wired: Wire, budget: Noted) -> Iterator[SessionOf]:
    """`session_of(url="", **options)`: loopback is allowed."""
    made: list[ProviderSession] = []

    def make(url: str = "", **options: Any) -> ProviderSession:
        options = {
            "place": "GitHub",
            "budget": budget,
            "allow_private": True,
            **options,
        }
        made.append(ProviderSession(url or wired.url, **options))
        return made[-1]

    yield make
    for session in made:
        session.close()


@pytest.fixture
def session(session_of: SessionOf) -> ProviderSession:
    return session_of()


def refusal(
    kind: type[ProviderError],
    session: ProviderSession,
    url: str,
    *,
    method: str = "GET",
    match: str | None = None,
    **options: Any,
) -> ProviderError:
    """The error of a request; a whole sentence that shows no token."""
    with pytest.raises(kind, match=match) as caught:
        session.request(method, url, **options)
    error = caught.value
    assert type(error) is kind
    assert error.sentence[-1] in ".?"
    assert CANARY not in shown(error)
    return error


def shown(error: BaseException) -> str:
    """All that anybody could print of an error and of what led to it."""
    text = "".join(traceback.format_exception(error))
    found: BaseException | None = error
    while found is not None:
        text += f"{found}{found!r}{found.args}"
        found = found.__cause__ or found.__context__
    return text


def name_server(
    monkeypatch: pytest.MonkeyPatch, *answers: str | tuple[str, ...]
) -> list[object]:
    """Answers of the system's resolver, in order, the last for ever; and a list of
    what was asked."""
    asked: list[object] = []
    left = [answer if isinstance(answer, tuple) else (answer,) for answer in answers]

    def getaddrinfo(host: object, port: object, **_: object) -> list[object]:
        asked.append(host)
        found = left.pop(0) if len(left) > 1 else left[0]
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in found
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


NAME = "api.example.test"


@pytest.fixture
def tls_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[tuple[Wire, Path]]:
    """A server with a certificate for NAME, and the file of who issued it."""
    context, authority = make_certificate(tmp_path, NAME)
    name_server(monkeypatch, "127.0.0.1")
    with wire(tls=context) as wired:
        yield wired, authority


def trust(monkeypatch: pytest.MonkeyPatch, authority: Path) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    fresh = http_sockets.tls_context.__wrapped__
    monkeypatch.setattr(http_sockets, "tls_context", fresh)


GZIP = {"Content-Encoding": "gzip"}
BROKEN = {
    "nothing at all": Reply([], end=End.CLOSE),
    "a reset": Reply([], end=End.RESET),
    "a reset in the headers": Reply([head()[:30]], end=End.RESET),
    "a body that is cut": reply(b"[1, 2", length=5000, end=End.CLOSE),
    "a reset in the body": reply(b"[1, 2", length=5000, end=End.RESET),
    "a chunk that is cut": Reply(
        [
            head(headers={"Transfer-Encoding": "chunked", "Content-Length": ""}),
            b"ff\r\n[]",
        ],
        end=End.CLOSE,
    ),
    "no HTTP": Reply([b"SSH-2.0-OpenSSH_9.2\r\n\r\n"], end=End.CLOSE),
    "too many headers": reply(headers={f"x-{n}": "y" for n in range(200)}),
    "too long a header": reply(headers={"x": "y" * 70_000}),
    "gzip that is none": reply(b"{}", headers=GZIP),
}
