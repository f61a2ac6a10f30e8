"""What the test servers of GitHub and GitLab share: a real HTTP/1.1 server on loopback
with routes, tokens, rate limits, conditional requests, Git over HTTP, a log of every
request, and faults on order."""

from __future__ import annotations

import hashlib
import http.client
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.providers.api_requests import (
    Delivery,
    Fault,
    Grant,
    Handler,
    Match,
    Refusal,
    Reply,
    Request,
)
from tests.providers.git_server import read_body, run_backend


class ApiServer:
    """Serves until its context ends; a subclass adds routes and state. Handlers run
    one at a time (`lock`): the state needs no thought about threads."""

    git_configuration: Sequence[str] = (
        "uploadpack.allowFilter=true",
        "uploadpack.allowAnySHA1InWant=true",
        "http.receivepack=true",
    )

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = ""
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.tokens: dict[str, Grant] = {}
        self.deliveries: list[Delivery] = []
        self.violations: list[str] = []
        self.is_checked = True  # every request and answer, by the description
        self.git_enabled = True
        self.lock = threading.RLock()
        self.stopped = threading.Event()
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = []

    # What tests use

    def fault(self, match: Match, **what: Any) -> Fault:
        """Order a fault: `match` is a part of "METHOD /path?query", a pattern found in
        it, or a function of the request. The first that takes a request has it."""
        fault = Fault(match, **what)
        self.faults.append(fault)
        return fault

    def redirect(self, match: Match, to: str, status: int = 302, **what: Any) -> Fault:
        """A fault: sent elsewhere."""
        return self.fault(match, status=status, headers={"Location": to}, **what)

    def html(self, match: Match, status: int = 200, **what: Any) -> Fault:
        """A fault: a page for people, as a proxy in between sends one."""
        page = b"<!DOCTYPE html><html><body>Please sign in</body></html>"
        headers = {"Content-Type": "text/html; charset=utf-8"}
        return self.fault(match, status=status, body=page, headers=headers, **what)

    def count(self, part: str = "") -> int:
        """How many requests came whose "METHOD /path?query" holds `part`."""
        return sum(part in str(request) for request in list(self.requests))

    def post_delivery(
        self, url: str, event: str, body: bytes, headers: dict[str, str]
    ) -> Delivery:
        """Post a webhook to `url`, wait for its answer, and keep it."""
        delivery = Delivery(url, event, headers, body)
        self.deliveries.append(delivery)
        parts = urlsplit(url)
        assert parts.hostname
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        try:
            connection.request("POST", path, body, headers)
            delivery.status = connection.getresponse().status
        except OSError:
            pass  # nobody there: status 0, as the provider would show it
        finally:
            connection.close()
        return delivery

    # What subclasses use and fill

    def route(self, method: str, pattern: str, handler: Handler) -> None:
        """`{name}` in a pattern is one segment of a path, `{name:path}` one or more;
        both are unquoted after they matched. The first route that matches answers."""
        expression = ""
        for part in re.split(r"(\{[a-z_]+(?::path)?\})", pattern):
            if part.startswith("{"):
                name, _, kind = part[1:-1].partition(":")
                expression += f"(?P<{name}>{'.+' if kind else '[^/]+'})"
            else:
                expression += re.escape(part)
        self._routes.append((method, re.compile(expression), handler))

    def not_found(self, request: Request) -> Reply:
        """No such path; a subclass says it in its provider's words."""
        return Reply(404, {"message": "Not Found"})

    def prepare(self, request: Request) -> None:
        """Before a route is asked: set `grant`, raise Refusal for a bad token or a
        budget that is used up."""

    def finish(self, request: Request, reply: Reply) -> None:
        """After: add headers that every answer has."""

    def request_faults(self, request: Request) -> list[str]:
        """What of a request does not fit the provider's own description."""
        return []

    def answer_faults(self, request: Request, reply: Reply) -> list[str]:
        """What of an answer does not fit it."""
        return []

    def repository_at(self, request: Request, path: str) -> Path | None:
        """The bare repository that Git may reach at this path (without `.git`)."""
        return None

    # The way of a request

    def answer(self, request: Request) -> Reply:
        """The real answer, without faults."""
        git = re.match(
            r"/(.+?)\.git/(info/refs|git-(?:upload|receive)-pack)$", request.path
        )
        if git:
            return self._answer_git(request, unquote(git[1]), git[2])
        try:
            with self.lock:
                self.prepare(request)
                reply = self._dispatch(request)
        except Refusal as refusal:
            reply = refusal.reply
        self._condition(request, reply)
        self.finish(request, reply)
        if self.is_checked:
            faults = self.answer_faults(request, reply)
            self.violations += [f"{request} answered: {fault}" for fault in faults]
        return reply

    def _dispatch(self, request: Request) -> Reply:
        for method, pattern, handler in self._routes:
            found = pattern.fullmatch(request.path)
            if found and method == request.method:
                values = found.groupdict()
                request.parameters = {k: unquote(v) for k, v in values.items()}
                return handler(request)
        return self.not_found(request)

    def _condition(self, request: Request, reply: Reply) -> None:
        """Give what was read an ETag, and answer 304 to who has it."""
        if request.method != "GET" or reply.status != 200:
            return
        etag = f'W/"{hashlib.sha256(reply.content).hexdigest()}"'
        reply.headers.setdefault("ETag", etag)
        wanted = request.headers.get("if-none-match", "")
        if wanted and wanted.removeprefix("W/") == etag.removeprefix("W/"):
            reply.status, reply.body = 304, None
            reply.__dict__.pop("content", None)

    def _answer_git(self, request: Request, path: str, service: str) -> Reply:
        if not self.git_enabled:
            return Reply(404, b"")
        try:
            with self.lock:
                bare = self.repository_at(request, path)
        except Refusal as refusal:
            return refusal.reply
        if bare is None:
            return Reply(404, b"Repository not found")
        query = urlsplit(request.target).query
        target = f"/{bare.name}/{service}" + (f"?{query}" if query else "")
        status, headers, content = run_backend(
            bare.parent,
            request.method,
            target,
            request.headers,
            request.body,
            *self.git_configuration,
        )
        if service == "git-receive-pack":
            with self.lock:
                self.pushed(path)
        return Reply(status, content, headers)

    def pushed(self, path: str) -> None:
        """Somebody pushed over HTTP to this repository."""

    def fault_for(self, request: Request) -> Fault | None:
        with self.lock:
            return next((f for f in self.faults if f.takes(request)), None)


@contextmanager
def serve(server: ApiServer, port: int = 0) -> Iterator[None]:
    """Run it on `port` of loopback (0: a free one) for as long as the context lasts;
    then everything it was asked and answered must have fitted the description."""

    class Handler(_Handler):
        api = server

    httpd = _HTTPServer(("127.0.0.1", port), Handler)
    server.url = f"http://127.0.0.1:{httpd.server_address[1]}"
    thread = threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.stopped.set()
        httpd.shutdown()
        httpd.server_close()
        thread.join()
    assert not server.violations, "\n".join(server.violations)


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up is no news; what a handler raised is answered 500."""


class _Handler(BaseHTTPRequestHandler):
    api: ApiServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *arguments: object) -> None:
        """Keep the tests' output clean."""

    def _handle(self) -> None:
        request = self._read()
        self.api.requests.append(request)
        if self.api.is_checked:
            faults = self.api.request_faults(request)
            self.api.violations += [f"{request}: {fault}" for fault in faults]
        fault = self.api.fault_for(request)
        if fault is None:
            self._send(request, self._answer(request))
        else:
            self._harm(request, fault)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _handle

    def _answer(self, request: Request) -> Reply:
        try:
            return self.api.answer(request)
        except Exception as error:
            self.api.violations.append(f"{request}: the test server broke: {error!r}")
            return Reply(500, {"message": repr(error)})

    def _read(self) -> Request:
        body = read_body(self)
        parts = urlsplit(self.path)
        headers = {key.lower(): value for key, value in self.headers.items()}
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        target = self.path.partition("#")[0]
        return Request(
            self.command, parts.path, query, headers, body, time.time(), target
        )

    def _harm(self, request: Request, fault: Fault) -> None:
        if fault.before:
            fault.before()
        if fault.latency:
            self.api.stopped.wait(fault.latency)
        if fault.reset == "before":
            self._drop()
            return
        if fault.hang:
            self.api.stopped.wait()
            self._drop()
            return
        if fault.raw is not None:
            self.wfile.write(fault.raw)
            self.close_connection = True
            return
        if fault.status:
            reply = Reply(fault.status, fault.body, dict(fault.headers))
        else:
            reply = self._answer(request)
            reply.headers.update(fault.headers)
        if fault.eat_reply:
            self._drop()
            return
        self._send(request, reply, fault)

    def _send(self, request: Request, reply: Reply, fault: Fault | None = None) -> None:
        content = reply.content
        request.status = reply.status
        self.send_response(reply.status)
        headers = {"Content-Type": "application/json; charset=utf-8", **reply.headers}
        if reply.status == 304 or (reply.status == 204 and not content):
            headers.pop("Content-Type")
        else:
            headers.setdefault("Content-Length", str(len(content)))
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault is None:
            self.wfile.write(content)
            return
        self._send_badly(content, fault)

    def _send_badly(self, content: bytes, fault: Fault) -> None:
        if fault.reset == "after":
            content = content[: len(content) // 2]
        if fault.truncate is not None:
            content = content[: fault.truncate]
            self.close_connection = True
        if fault.drip:
            for byte in content:
                if self.api.stopped.wait(1 / fault.drip):
                    return
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
            return
        self.wfile.write(content)
        if fault.reset == "after":
            self.wfile.flush()
            self._drop()

    def _drop(self) -> None:
        """Reset the connection, without the goodbye of TCP."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()
        self.close_connection = True
