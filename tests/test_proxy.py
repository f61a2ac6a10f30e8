"""deploy/Caddyfile: a real Caddy in front of the web service of compose.yaml."""

from __future__ import annotations

import os
import re
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.services import free_port
from tests.test_compose import NAME, ROOT, Deployment

pytestmark = [pytest.mark.needs_caddy, pytest.mark.slow]
OTHER = "hooks.example.org"
MANY = 40  # more than web has threads


class Front(Deployment):
    """Web and the proxy before it, on SQLite."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, f"sqlite:///{folder}/data/muster.sqlite3")
        self.https, http, alive = free_port(), free_port(), free_port()
        text = (ROOT / "deploy/Caddyfile").read_text(encoding="utf-8")
        for theirs, ours in {
            "admin off": f"admin off\n\thttps_port {self.https}\n\thttp_port {http}",
            "web:8000": f"127.0.0.1:{self.port}",
            ":9080": f":{alive}",
            "{$SITE_ADDRESS} {": "{$SITE_ADDRESS} {\n\ttls internal",  # no public name
        }.items():
            assert theirs in text
            text = text.replace(theirs, ours)
        self.caddyfile = folder / "Caddyfile"
        self.caddyfile.write_text(in_words_of(caddy_version(), text))

    def start_proxy(self) -> None:
        with (self.folder / "proxy.log").open("wb") as log:
            self.processes["proxy"] = subprocess.Popen(
                ["caddy", "run", "--adapter=caddyfile", f"--config={self.caddyfile}"],
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": str(self.folder),
                    "SITE_ADDRESS": f"{NAME}, {OTHER}",
                },
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def connect(self, name: str = NAME) -> ssl.SSLSocket:
        """A connection to the proxy, by the name of the site."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        plain = socket.create_connection(("127.0.0.1", self.https), timeout=30)
        return context.wrap_socket(plain, server_hostname=name)

    def status(self, request: bytes, name: str = NAME) -> bytes:
        """The beginning of the answer to a request, b"" if there is none."""
        try:
            with self.connect(name) as connection:
                connection.sendall(request)
                return connection.makefile("rb").readline()
        except OSError:
            return b""


def caddy_version() -> tuple[int, ...]:
    said = subprocess.run(["caddy", "version"], capture_output=True, check=True)
    found = re.search(rb"(\d+)\.(\d+)\.(\d+)", said.stdout)
    assert found
    return tuple(map(int, found.groups()))


def in_words_of(version: tuple[int, ...], text: str) -> str:
    """The Caddyfile as an older Caddy reads it: Debian 12 has 2.6.2."""
    if version >= (2, 6, 4):
        return text
    text = text.replace("request_buffers 4MB", "buffer_requests\n\tmax_buffer_size 4MB")
    return text.replace("response_buffers 1MB", "")


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    made = Front(tmp_path_factory.mktemp("front"))
    assert made.run(made.command("migrate")).returncode == 0
    made.collect_static()
    made.start("web")
    made.wait("web is healthy", lambda: made.is_healthy("web"), 60)
    made.start_proxy()
    made.wait("the proxy answers", lambda: b" 200 " in made.status(get("/healthz")), 60)
    yield made
    made.stop()


def get(path: str, name: str = NAME) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode()


def post(path: str, length: int, name: str = NAME) -> bytes:
    """The head of a form, of one who has the cookie: its body is read, then."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: {name}\r\nContent-Length: {length}\r\n"
        f"Origin: https://{name}\r\nCookie: __Host-csrftoken={'x' * 32}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    ).encode()


def test_the_proxy_speaks_tls_for_the_names_of_the_site(front: Front) -> None:
    # The site knows that it was reached over https: no redirect to it.
    assert b" 302 " in front.status(get("/"))
    assert b" 200 " in front.status(get("/login"))
    assert b" 400 " in front.status(get("/", OTHER), OTHER)  # Django was not told of it
    assert front.status(get("/", "another.example.org"), "another.example.org") == b""
    # A webhook's body comes through whole.
    hook = post("/hooks/github/0", 3_000_000)
    assert b" 404 " in front.status(hook + b"x" * 3_000_000)


def test_slow_requests_occupy_the_proxy_and_not_the_site(front: Front) -> None:
    """More of them than web has threads, none of which says all it has to say."""
    with ExitStack() as stack:
        for number in range(MANY):
            slow = stack.enter_context(front.connect())
            begun = post("/login", 1000) if number % 2 else get("/login")[:-2]
            slow.sendall(begun + b"x" * 10)
        for _ in range(10):
            assert b" 200 " in front.status(get("/healthz"))
