"""How long a session of an API waits, and how much it reads."""

from __future__ import annotations

import gzip
import itertools
import socket
import threading
import time
from pathlib import Path

import pytest

from indexer.providers.errors import (
    TooLarge,
    Unavailable,
)
from indexer.providers.http import ProviderSession
from tests.providers.sessions import GZIP, NAME, WITH_TOKEN, SessionOf, refusal, trust
from tests.providers.wire import (
    End,
    Reply,
    Wire,
    drip,
    head,
    reply,
)

SHORT = 0.6  # seconds in all, where a test waits for the end of them

SLOW = {
    "says nothing": Reply([], end=End.HANG),
    "drips its headers": drip(head(b"{}"), 0.02),
    "drips its body": Reply([head(length=10_000), *[b" "] * 10_000], 0.02),
    "drips without a length": Reply(
        [b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\n\r\n{}", *[b" "] * 999],
        0.02,
        End.CLOSE,
    ),
    "ends its headers never": Reply([head()[:-2], *[b"x: y\r\n"] * 9], 0.1, End.HANG),
    "says 100 Continue for ever": Reply(
        itertools.repeat(b"HTTP/1.1 100 X\r\n\r\n"), 0.001
    ),
    "sends a cut chunk": Reply(
        [head(headers={"Transfer-Encoding": "chunked", "Content-Length": ""}), b"ff\r"],
        end=End.HANG,
    ),
}


@pytest.mark.parametrize("how", SLOW)
def test_D6_a_request_ends_in_its_time_however_slow_the_answer(
    how: str, session_of: SessionOf, wired: Wire
) -> None:
    wired.say(SLOW[how])
    session = session_of(seconds=SHORT)
    begun = time.monotonic()
    refusal(
        Unavailable,
        session,
        f"{wired.url}/x",
        headers=WITH_TOKEN,
        match="took longer than 0.6 seconds",
    )
    assert time.monotonic() - begun < SHORT + 2


def test_D6_redirects_share_the_time_of_their_request(
    session_of: SessionOf, wired: Wire
) -> None:
    moved = head(b"", 302, {"Location": "/api/v3/x"})
    wired.say(Reply([moved], 0.25))
    session = session_of(seconds=SHORT)
    refusal(Unavailable, session, f"{wired.url}/x", match="took longer")


def test_D6_a_TLS_server_that_never_shakes_hands_is_given_up_on(
    session_of: SessionOf,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        session = session_of(url, seconds=SHORT)
        refusal(Unavailable, session, f"{url}/x", match="took longer")


def test_D6_a_TLS_answer_that_drips_is_ended(
    session_of: SessionOf,
    tls_server: tuple[Wire, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wired, authority = tls_server
    trust(monkeypatch, authority)
    wired.say(SLOW["drips its headers"])
    url = f"https://{NAME}:{wired.port}"
    session = session_of(url, seconds=SHORT)
    refusal(Unavailable, session, f"{url}/x", match="took longer")


def test_a_late_end_leaves_the_next_request_alone(
    session_of: SessionOf, wired: Wire
) -> None:
    wired.say(Reply([], end=End.HANG), reply())
    session = session_of(seconds=SHORT)
    refusal(Unavailable, session, f"{wired.url}/x")
    assert session.get(f"{wired.url}/x").json() == {}
    assert threading.active_count() < 20  # no watch of a request that ended is left


def test_requests_of_several_threads_do_not_end_each_other(
    session_of: SessionOf, wired: Wire
) -> None:
    session = session_of(seconds=5)
    results: list[int] = []

    def ask() -> None:
        for _ in range(20):
            results.append(session.get(f"{wired.url}/x").status_code)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [200] * 80


def test_D7_an_answer_too_large_is_not_read_to_its_end(
    session_of: SessionOf, wired: Wire
) -> None:
    wired.say(
        Reply(itertools.chain([head(length=10**12)], itertools.repeat(b"x" * 65536)))
    )
    session = session_of(max_bytes=1024 * 1024)
    error = refusal(TooLarge, session, f"{wired.url}/x", match="1,024 KiB")
    assert error.status == 200


def test_D7_a_gzip_bomb_counts_as_what_it_becomes(
    session_of: SessionOf, wired: Wire
) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    assert len(bomb) < 100_000
    wired.say(reply(bomb.decode("latin-1").encode("latin-1"), headers=GZIP))
    session = session_of(max_bytes=1024 * 1024)
    refusal(TooLarge, session, f"{wired.url}/x")


def test_a_compressed_answer_is_read(session: ProviderSession, wired: Wire) -> None:
    wired.say(reply(gzip.compress(b'{"a": "\xc3\xa4"}'), headers=GZIP))
    assert session.get(f"{wired.url}/x").json() == {"a": "ä"}
