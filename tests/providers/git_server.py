"""A small Git server over HTTP for tests: the real `git http-backend`, on loopback,
with a password if wanted, and with faults."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

GIT = shutil.which("git") or "git"


@dataclass
class GitServer:
    """Serves every repository below `root`. A fault counts for all that follows."""

    root: Path
    url: str = ""
    username: str = ""
    password: str = ""
    status: int = 0  # answer everything with this status
    location: str = ""  # and, for a redirect, this
    hang: bool = False  # accept and say nothing
    drip: bool = False  # a byte a second
    truncate: int = 0  # cut packs after so many bytes
    is_old: bool = False  # be able to do no more than git 2.31
    configuration: tuple[str, ...] = ()  # of its git: `name=value`
    lose_push: bool = False  # take what is pushed, and break off without a word
    lose_all_after: bool = False  # and from then on answer everything with 502
    challenge: str = "Basic realm=tests"
    requests: list[tuple[str, str]] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)
    before_fetch: list[object] = field(default_factory=list)  # callables, run once
    stopped: threading.Event = field(default_factory=threading.Event)

    def url_of(self, repository: Path) -> str:
        return f"{self.url}/{repository.relative_to(self.root)}"

    def round_trips(self) -> int:
        return len(self.requests)


@contextmanager
def serve_git(root: Path, port: int = 0) -> Iterator[GitServer]:
    """A server on a free port of loopback, for as long as the context lasts."""
    server = GitServer(root)

    class Handler(_Handler):
        git = server

    httpd = _Server(("127.0.0.1", port), Handler)
    httpd.daemon_threads = True
    server.url = f"http://127.0.0.1:{httpd.server_address[1]}"
    thread = threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopped.set()
        httpd.shutdown()
        httpd.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    def handle_error(self, *about: Any) -> None:
        """Say nothing of clients that were killed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(*about)


def read_body(handler: BaseHTTPRequestHandler) -> bytes:
    """The body of a request, whole or in chunks."""
    if handler.headers.get("Transfer-Encoding") != "chunked":
        return handler.rfile.read(int(handler.headers.get("Content-Length", "0")))
    body = b""
    while size := int(handler.rfile.readline(), 16):
        body += handler.rfile.read(size)
        handler.rfile.readline()
    handler.rfile.readline()
    return body


class _Handler(BaseHTTPRequestHandler):
    git: GitServer

    def log_message(self, *arguments: object) -> None:
        """Keep the tests' output clean."""

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(read_body(self))

    def _answer(self, body: bytes) -> None:
        git = self.git
        git.requests.append((self.command, self.path))
        given = self.headers.get("Authorization", "")
        if given:
            git.authorizations.append(given)
        if git.hang:
            git.stopped.wait()
            return
        if git.status:
            self.send_response(git.status)
            if git.location:
                self.send_header("Location", git.location + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if git.password:
            pair = base64.b64encode(f"{git.username}:{git.password}".encode()).decode()
            if given != f"Basic {pair}":
                self.send_response(401)
                self.send_header("WWW-Authenticate", git.challenge)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
        if b"command=fetch" in body:
            for call in git.before_fetch:
                call()  # type: ignore[operator]
            git.before_fetch.clear()
        self._backend(body)

    def _backend(self, body: bytes) -> None:
        status, headers, content = run_backend(
            self.git.root,
            self.command,
            self.path,
            dict(self.headers.items()),
            body,
            *self.git.configuration,
        )
        if self.git.is_old:
            content = content.replace(b" wait-for-done", b" wait-for-gone")
        if self.git.lose_push and self.path.endswith("/git-receive-pack"):
            self.git.status = 502 if self.git.lose_all_after else 0
            self.close_connection = True
            return
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.git.drip:
            for byte in content:
                if self.git.stopped.wait(1):
                    return
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
            return
        if self.git.truncate and len(content) > self.git.truncate:
            content = content[: self.git.truncate]
            self.wfile.write(content)
            self.wfile.flush()
            self.close_connection = True
            return
        self.wfile.write(content)


def run_backend(
    root: Path,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes,
    *configuration: str,
) -> tuple[int, dict[str, str], bytes]:
    """What `git http-backend` answers for the repositories below `root`: a status,
    headers, content. `configuration` are `name=value` of git's own."""
    address = urlsplit(target)
    given = {key.lower(): value for key, value in headers.items()}
    options = [part for value in configuration for part in ("-c", value)]
    result = subprocess.run(
        [GIT, "-c", "safe.directory=*", *options, "http-backend"],
        input=body,
        capture_output=True,
        check=False,
        env={
            "PATH": os.pathsep.join((os.path.dirname(GIT), "/usr/bin", "/bin")),
            "GIT_PROJECT_ROOT": str(root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": given.get("git-protocol", ""),
            "REQUEST_METHOD": method,
            "PATH_INFO": address.path,
            "QUERY_STRING": address.query,
            "CONTENT_TYPE": given.get("content-type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": given.get("content-encoding", ""),
        },
    )
    head, _, content = result.stdout.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").splitlines()
    answered = dict(line.split(": ", 1) for line in lines if line)
    status = answered.pop("Status", "200 OK")
    return int(status.split()[0]), answered, content


def wait_until(done: object, seconds: float = 10) -> None:
    """Poll `done` (a callable) until it is true."""
    end = time.monotonic() + seconds
    while not done():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
