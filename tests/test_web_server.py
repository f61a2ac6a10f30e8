"""The web server under clients that are slow, many, or gone: they cost no thread, and
nobody waits for them. What a test waits for is an event, never a time."""

from __future__ import annotations

import json
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from indexer.views.hooks import MAX_BYTES
from registry_site.web_server import MOST_BODY, MOST_HEAD
from tests.process_tree import Running, environment, running, wait_until
from tests.services import free_port

THREADS = 8  # of registry_site/gunicorn_conf.py
SECONDS = 30  # after which a test fails


@dataclass
class Server:
    """The server with the application of tests/web_app.py, one worker."""

    port: int
    folder: Path
    running: Running
    stack: ExitStack

    def open(self, sent: bytes = b"") -> socket.socket:
        """A connection on which this was sent."""
        one = self.stack.enter_context(
            socket.create_connection(("127.0.0.1", self.port), SECONDS)
        )
        one.sendall(sent)
        return one

    def ask(self, path: str = "/", body: bytes = b"") -> str:
        """What is answered to a request of its own connection."""
        with socket.create_connection(("127.0.0.1", self.port), SECONDS) as one:
            one.sendall(request(path, body, "Connection: close"))
            return read_all(one)


def request(path: str, body: bytes = b"", *headers: str, method: str = "POST") -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: localhost",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def read_all(one: socket.socket) -> str:
    """All that comes until the server ends the connection."""
    said = bytearray()
    try:
        while part := one.recv(65536):
            said += part
    except ConnectionResetError:
        pass
    return said.decode("latin-1")


def read_answer(one: socket.socket) -> str:
    """One answer of a connection that stays."""
    said = b""
    while b"\r\n\r\n" not in said:
        said += one.recv(1) or pytest.fail(f"the connection ended: {said!r}")
    head, _, _ = said.decode().lower().partition("\r\n\r\n")
    left = int(head.partition("content-length:")[2].split()[0])
    while left:
        part = one.recv(left)
        assert part
        said, left = said + part, left - len(part)
    return said.decode()


def is_open(one: socket.socket) -> bool:
    """Whether the server has neither answered nor ended it."""
    one.setblocking(False)
    try:
        one.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False
    finally:
        one.settimeout(SECONDS)
    return False


WHOLE = request("/", b"x" * 9000)
HALVES = {"nothing": 0, "half a head": 30, "half a body": len(WHOLE) - 1}


Start = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the server, with other limits or options."""
    with ExitStack() as stack:

        def started(*options: str, **limits: float) -> Server:
            port = free_port()
            env = environment(
                tmp_path / "data",
                PORT=str(port),
                MUSTER_WEB_WORKERS="1",
                FOLDER=str(tmp_path),
                LIMITS=json.dumps(limits),
            )
            command = [
                sys.executable, "-m", "gunicorn",
                "--config=python:registry_site.gunicorn_conf",
                "tests.web_app", *options,
            ]  # fmt: skip
            server = stack.enter_context(running(command, env, tmp_path / "log"))
            server.wait_for("Booting worker")
            return Server(port, tmp_path, server, stack)

        yield started


@pytest.mark.parametrize("sent", HALVES.values(), ids=HALVES)
def test_who_sends_slowly_or_nothing_holds_nobody_up(start: Start, sent: int) -> None:
    server = start()
    slow = [server.open(WHOLE[:sent]) for _ in range(20 * THREADS)]
    for _ in range(3):
        assert "200 OK" in server.ask()
    assert all(is_open(one) for one in slow)
    # One that goes on is answered.
    slow[0].sendall(WHOLE[sent:])
    assert "POST / 9000" in read_answer(slow[0])


@pytest.mark.parametrize("sent", [30, len(WHOLE) - 8000], ids=["head", "body"])
def test_a_head_and_a_body_have_a_deadline_though_bytes_come(
    start: Start, sent: int
) -> None:
    server = start(HEAD_SECONDS=0.3, BODY_SECONDS=0.3)
    one = server.open(WHOLE[:sent])
    one.settimeout(0.02)
    said = b""
    for byte in WHOLE[sent:]:
        try:
            said = one.recv(100)
            break
        except TimeoutError:
            one.sendall(bytes([byte]))
    assert said.startswith(b"HTTP/1.1 408 ")


def test_an_idle_connection_costs_no_thread_and_is_ended(start: Start) -> None:
    server = start("--keep-alive=1")
    idle = [server.open() for _ in range(3 * THREADS)]
    for one in idle:
        one.sendall(request("/"))
        assert "200 OK" in read_answer(one)
    assert "200 OK" in server.ask()
    assert {read_all(one) for one in idle} == {""}


def test_who_reads_slowly_holds_nobody_up(start: Start) -> None:
    """The loop keeps what a client has not taken; of the threads that make more than
    it may keep at most half wait, and the one that waits longest is given up."""
    server = start()
    large = request("/large", b"", "Connection: close")
    slow = [server.open(large) for _ in range(3 * THREADS)]
    assert "200 OK" in server.ask()
    # Who reads has all of it meanwhile.
    said = server.ask("/large")
    assert len(said.partition("\r\n\r\n")[2]) == 30_000_000
    # Those that still wait have it when they read at last.
    assert any(len(read_all(one)) > 30_000_000 for one in reversed(slow))


def test_an_answer_without_end_is_not_held_and_ends_with_its_client(
    start: Start,
) -> None:
    server = start()
    with socket.create_connection(("127.0.0.1", server.port), SECONDS) as one:
        one.sendall(request("/endless"))
        for _ in range(2000):
            assert one.recv(65536)
    wait_until((server.folder / "ended").exists, SECONDS, "the answer's end")
    assert "200 OK" in server.ask()


def test_an_answer_that_breaks_is_not_ended_as_if_it_were_whole(start: Start) -> None:
    server = start()
    said = server.ask("/broken")
    assert not said.endswith("0\r\n\r\n")
    assert "half-way" in server.running.said
    assert "200 OK" in server.ask()


@pytest.mark.parametrize("sent", HALVES.values(), ids=HALVES)
def test_at_the_most_connections_the_oldest_that_is_missed_least_is_let_go(
    start: Start, sent: int
) -> None:
    server = start("--worker-connections=20")
    held = []
    for _ in range(20):
        held.append(server.open(WHOLE[:sent]))
        assert "200 OK" in server.ask()
    for _ in range(5):
        assert "200 OK" in server.ask()
    # Each request took the place of one.
    assert [is_open(one) for one in held].count(True) == 19


def test_idle_ones_go_before_those_whose_request_is_on_its_way(start: Start) -> None:
    server = start("--worker-connections=3")
    coming = [server.open(WHOLE[:30]), server.open(WHOLE[:-1])]
    idle = server.open(request("/"))
    assert "200 OK" in read_answer(idle)
    assert "200 OK" in server.ask()
    assert not is_open(idle)
    assert all(is_open(one) for one in coming)


def test_when_threads_have_all_a_newcomer_is_told_to_come_again(start: Start) -> None:
    server = start(f"--worker-connections={THREADS}")
    asked = [server.open(request("/wait")) for _ in range(THREADS)]
    waiting = server.folder / "waiting"
    wait_until(
        lambda: waiting.exists() and len(waiting.read_text()) == THREADS, SECONDS
    )
    for _ in range(3):
        said = server.ask()
        assert said.startswith("HTTP/1.1 503 ")
        assert "Retry-After: 5" in said
    (server.folder / "go").touch()
    for one in asked:
        assert "200 OK" in read_answer(one)
    assert "200 OK" in server.ask()


def test_what_clients_hold_together_is_bounded(start: Start) -> None:
    server = start(MOST_HELD=5_000_000)
    large = request("/", b"x" * 2_000_000)
    held = [server.open(large[:-1]) for _ in range(5)]
    wait_until(lambda: sum(map(is_open, held)) == 2, SECONDS, "three let go")
    assert "POST / 1500000" in server.ask("/", b"x" * 1_500_000)
    assert "200 OK" in server.ask()


def test_requests_come_whole_to_the_application(start: Start) -> None:
    server = start()
    assert "POST / 3000000 abc" in server.ask("/", b"abc" * 1_000_000)
    one = server.open(request("/a", b"1") + request("/b", b"22") + request("/c"))
    assert [read_answer(one).split("\r\n\r\n")[1] for _ in range(3)] == [
        "POST /a 1 1",
        "POST /b 2 22",
        "POST /c 0 ",
    ]
    one.sendall(request("/d", b"", "Expect: 100-continue", method="GET"))
    assert "GET /d" in read_answer(one)
    head, _, body = request("/e", b"xyz", "Expect: 100-continue").partition(b"\r\n\r\n")
    one.sendall(head + b"\r\n\r\n")
    assert one.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    one.sendall(body)
    assert "POST /e 3 xyz" in read_answer(one)
    old = server.open(b"GET /old HTTP/1.0\r\n\r\n")
    assert "GET /old 0" in read_all(old)
    said = server.open(request("/", b"", "Connection: close", method="HEAD"))
    assert read_all(said).endswith("\r\n\r\n")


MALFORMED = [
    (b"nonsense\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nX" * 9000 + b"\r\n\r\n", 431),
    (b"GET / HTTP/1.1\r\nX: " + b"x" * 2 * MOST_HEAD, 431),
    (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\n\r\n", 414),
    (b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (MOST_BODY + 1), 413),
    (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nContent-Length: 1e3\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\nx", 400),
    (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400),
    (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
    (
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5"
        b"\r\n\r\n0\r\n\r\n",
        400,
    ),
    (b"POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n", 501),
    (b"POST / HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n", 400),
    (b"GET / HTTP/1.1\nHost: a\n\n\r\n\r\n", 400),
]


def test_what_cannot_be_told_apart_from_the_next_is_refused(start: Start) -> None:
    """The request behind it is not answered: its beginning is not known."""
    server = start()
    for sent, status in MALFORMED:
        one = server.open(sent + request("/smuggled"))
        said = read_all(one)
        assert said.startswith(f"HTTP/1.1 {status} "), (sent[:99], said)
        assert said.count("HTTP/1.1") == 1
        assert "smuggled" not in said
    assert "200 OK" in server.ask()


def test_a_client_that_leaves_in_the_middle_is_no_error(start: Start) -> None:
    server = start("--log-level=info")
    for sent in HALVES.values():
        server.open(WHOLE[:sent]).close()
    gone = server.open(request("/large"))
    gone.recv(1)
    gone.close()
    assert "200 OK" in server.ask()
    assert "Traceback" not in server.running.said
    assert "rror" not in server.running.said


def test_ending_it_ends_what_is_being_answered_first(start: Start) -> None:
    server = start()
    one, idle = server.open(request("/wait")), server.open(request("/"))
    read_answer(idle)
    wait_until((server.folder / "waiting").exists, SECONDS)
    server.running.process.send_signal(signal.SIGTERM)
    wait_until(lambda: refused(server.port), SECONDS, "no newcomers")
    (server.folder / "go").touch()
    assert "200 OK" in read_answer(one)
    assert read_all(one) == read_all(idle) == ""
    assert server.running.process.wait(SECONDS) == 0
    assert "Traceback" not in server.running.said


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return True
    return False


def test_a_body_may_be_as_large_as_a_webhook() -> None:
    assert MOST_BODY > MAX_BYTES
