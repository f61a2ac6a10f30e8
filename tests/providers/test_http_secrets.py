"""No token is shown, whatever a provider makes of it."""

from __future__ import annotations

import json
import logging

import pytest
import requests

from indexer.providers.errors import (
    AccessDenied,
    ProviderError,
)
from indexer.providers.http import ProviderSession
from tests.providers.sessions import BROKEN, CANARY, WITH_TOKEN, refusal, shown
from tests.providers.wire import (
    End,
    Reply,
    Wire,
    head,
    reply,
)

ECHO = {
    "X-Echo": f"Bearer {CANARY}",
    "Location": f"http://127.0.0.1:1/{CANARY}",
    "WWW-Authenticate": f'Bearer realm="{CANARY}"',
    "Set-Cookie": f"{CANARY}={CANARY}",
}
ECHOES = {
    **{
        str(status): reply(json.dumps({"message": f"Bad {CANARY}"}), status, ECHO)
        for status in (200, 204, 301, 302, 304, 400, 401, 403, 404, 409, 422, 429, 500)
    },
    "no JSON": reply(CANARY, headers=ECHO),
    "a page": reply(f"<html>{CANARY}", headers=ECHO, kind=f"text/html; x={CANARY}"),
    "odd headers": Reply(
        [f"HTTP/1.1 200 X\r\n{CANARY}\r\n :{CANARY}\r\n\r\n".encode()], end=End.CLOSE
    ),
    "an odd status": Reply([f"HTTP/1.1 {CANARY}\r\n\r\n".encode()], end=End.CLOSE),
    "an odd length": reply(headers={"Content-Length": CANARY}, end=End.CLOSE),
    "an odd encoding": reply(headers={"Content-Encoding": f"gzip, {CANARY}"}),
    "odd chunks": Reply(
        [
            head(headers={"Transfer-Encoding": "chunked", "Content-Length": ""}),
            f"{CANARY}\r\n".encode(),
        ],
        end=End.CLOSE,
    ),
    **BROKEN,
}


@pytest.mark.parametrize("how", ECHOES)
def test_K3_no_log_and_no_error_shows_the_token_though_it_is_echoed(
    how: str, session: ProviderSession, wired: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wired.say(ECHOES[how])
    told: list[str] = []
    for method, headers in (
        ("GET", WITH_TOKEN),
        ("POST", {"PRIVATE-TOKEN": CANARY}),
    ):
        try:
            session.request(method, f"{wired.url}/x", headers=headers)
        except ProviderError as error:
            told.append(shown(error))
    assert CANARY not in "".join(told)
    assert caplog.records, "nothing was logged, so nothing was shown to be clean"
    logged = caplog.text + "".join(
        repr((record.args, record.exc_info)) for record in caplog.records
    )
    assert CANARY not in logged
    assert CANARY not in repr(session) + repr(vars(session))


@pytest.mark.parametrize(
    "token", [f"{CANARY}\n", f"{CANARY}\r\nX: y", f" {CANARY}", f"{CANARY}\u2026", "\0"]
)
def test_K3_a_token_that_cannot_be_one_is_refused_without_being_shown(
    token: str, session: ProviderSession, wired: Wire
) -> None:
    for headers in ({"Authorization": token}, {"PRIVATE-TOKEN": token}):
        refusal(
            AccessDenied, session, wired.url, headers=headers, match="Enter it again"
        )
    assert wired.connections == 0


def test_requests_takes_the_session_for_one_of_its_own(
    session: ProviderSession, wired: Wire
) -> None:
    """PyGithub and python-gitlab use it through these ways."""
    assert isinstance(session, requests.Session)
    prepared = session.prepare_request(requests.Request("GET", f"{wired.url}/x"))
    options = session.merge_environment_settings(wired.url, {}, True, True, None)
    answer = session.send(prepared, timeout=None, allow_redirects=True, **options)
    assert answer.json() == {}
    assert answer.ok
