"""The sockets under a ProviderSession: where they may lead, and for how long.

The address is checked when a connection is made, and the connection goes to the very
address that was checked: a name that resolves to somewhere else a moment later (DNS
rebinding) gains nothing. A watch ends a request in time however slowly the answer
comes; the time limits of sockets begin anew with every byte."""

from __future__ import annotations

import contextlib
import functools
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from indexer.providers.addresses import AllowPrivate, may_go_openly, resolve
from indexer.providers.errors import AddressRefused

CONNECT_SECONDS = 10.0  # for one address of a host that has several


class OutOfTime(Exception):
    """The time of a request is over."""


class Watch:
    """The time of one request: from `with` on, `seconds` later its socket is shut
    down and `is_over` is true."""

    def __init__(self, line: Line, seconds: float) -> None:
        self._line = line
        self._until = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self.is_over = False

    def __enter__(self) -> Self:
        self._line.watch = self
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        with self._lock:
            self._socket = None  # it may serve another request by now

    def left(self) -> float:
        """Seconds that are left. Raises OutOfTime."""
        left = self._until - time.monotonic()
        if left <= 0 or self.is_over:
            self.is_over = True
            raise OutOfTime
        return left

    def look_at(self, made: socket.socket | None) -> None:
        """The socket the request goes over. It stays the one though the connection
        forgets it, as http.client does where an answer ends with the connection."""
        with self._lock:
            self._socket = made
            if self.is_over:
                _shut_down(made)

    def _end(self) -> None:
        with self._lock:
            self.is_over = True
            _shut_down(self._socket)


class Line(threading.local):
    """What the connections of a session must know. The watch is that of the request
    which this thread is making, and `has_secret` whether it carries one."""

    watch: Watch
    has_secret = False

    def __init__(self, *, allow_private: AllowPrivate) -> None:
        self.allow_private = allow_private


class Adapter(HTTPAdapter):
    """Sends every request to the one host and port it was made for."""

    def __init__(self, scheme: str, host: str, port: int, line: Line) -> None:
        super().__init__(max_retries=0)
        pool: HTTPConnectionPool
        if scheme == "https":
            pool = _TLSPool(host, port, line=line, ssl_context=tls_context())
        else:
            pool = _PlainPool(host, port, line=line)
        self._pool = pool

    def get_connection_with_tls_context(
        self,
        request: PreparedRequest,
        verify: Any,
        proxies: Mapping[str, str] | None = None,
        cert: Any = None,
    ) -> HTTPConnectionPool:
        """Our pool, whatever the request says."""
        return self._pool

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """The pool's context verifies, always."""

    def close(self) -> None:
        """Close the connections."""
        super().close()
        self._pool.close()


@functools.cache
def tls_context() -> ssl.SSLContext:
    """Verifies certificates by this machine's authorities, as git does, so that those
    of an organisation count; and by the well-known ones."""
    context = ssl.create_default_context()
    context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    return context


class _Answer(http.client.HTTPResponse):
    """An answer whose malformed header lines are dropped: urllib3 would log them, and
    a provider may echo anything there."""

    def begin(self) -> None:
        super().begin()
        self.headers.defects.clear()
        self.headers.set_payload("")


class _PlainConnection(HTTPConnection):
    """Connects to an address that was checked, under the watch of a request."""

    response_class = _Answer

    def __init__(self, *arguments: Any, line: Line, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._line = line

    is_open = True  # anybody on the way reads what goes over it

    def connect(self) -> None:
        super().connect()
        self._line.watch.look_at(self.sock)
        self._check_secret()

    def request(self, *arguments: Any, **options: Any) -> None:
        self._line.watch.look_at(self.sock)  # of an earlier request
        self._check_secret()
        super().request(*arguments, **options)

    def _new_conn(self) -> socket.socket:
        return _connect(self, self._line)

    def _check_secret(self) -> None:
        """Before anything is sent: may a secret travel to where this leads?"""
        if self.is_open and self._line.has_secret and self.sock is not None:
            refuse_openly((self.sock.getpeername()[0],), self._line.allow_private)


class _TLSConnection(_PlainConnection, HTTPSConnection):
    """The same over TLS."""

    is_open = False


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


def _connect(connection: HTTPConnection, line: Line) -> socket.socket:
    """A socket to one of the host's addresses, each tried in turn."""
    host, port, watch = connection.host, connection.port, line.watch
    failed = OSError("no address")
    for address in _resolve(host, port, line.allow_private, watch):
        kind = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = socket.socket(kind, socket.SOCK_STREAM)
        try:
            for option in connection.socket_options or ():
                made.setsockopt(*option)
            made.settimeout(min(CONNECT_SECONDS, watch.left()))
            # By number: nothing is resolved a second time.
            made.connect((address, port))
            made.settimeout(watch.left())
        except OSError as error:
            made.close()
            failed = error
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise failed


def refuse_openly(addresses: tuple[str, ...], allow_private: AllowPrivate) -> None:
    """Raise AddressRefused for a secret that would travel in the open."""
    if not may_go_openly(addresses, allow_private):
        raise AddressRefused(
            "The address begins with http:, so the token would travel in the open. "
            "Enter the https: address."
        )


def _resolve(
    host: str, port: int, allow_private: AllowPrivate, watch: Watch
) -> tuple[str, ...]:
    """The addresses of a host. The system's resolver has a time limit of its own
    which may be beyond ours, so it is asked in a thread that can be left behind."""
    found: list[tuple[str, ...]] = []
    failed: list[Exception] = []

    def ask() -> None:
        try:
            found.append(resolve(host, port, allow_private))
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=ask, name="muster-resolve", daemon=True)
    thread.start()
    thread.join(watch.left())
    if failed:
        raise failed[0]
    if not found:
        raise OutOfTime
    return found[0]


def _shut_down(made: socket.socket | None) -> None:
    """End whatever waits for a socket. The plain socket's way, since that of TLS takes
    the object apart which another thread is using."""
    if made is not None:
        with contextlib.suppress(OSError):
            socket.socket.shutdown(made, socket.SHUT_RDWR)
