"""gunicorn's worker of Muster: a client has a thread only while its answer is made.

gunicorn's own worker of threads gives a thread to every connection from its first byte
on, so a few clients that send a byte a second, or read none, hold the whole site. Here
one loop (asyncio) talks to all clients:

1. It reads a request whole, head and body, each within a deadline from its first byte
   to its last.
2. A thread makes the answer with gunicorn's own code, and hands over what it wrote.
3. The loop sends it. Only an answer that is far ahead of its client makes a thread
   wait, and never more than half of the threads at once.

How long a request is, gunicorn's parser alone decides, for the loop as for the thread.
A body without a length (chunked) is refused: Django reads none.

What clients may hold is bounded, by number and by bytes. Over the bound the oldest that
wait for nothing are let go, then the oldest whose request or answer is on its way: an
honest one is that for a moment only."""

from __future__ import annotations

import asyncio
import errno
import io
import resource
import socket
from concurrent.futures import CancelledError
from contextlib import suppress
from enum import Enum, auto
from typing import Any

from gunicorn.http import RequestParser
from gunicorn.http.body import LengthReader
from gunicorn.workers.base import Worker
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker

KIB, MIB = 1024, 1024 * 1024
HEAD_SECONDS = 15.0  # from the first byte of a head to its last
BODY_SECONDS = 60.0  # the same of a body
SEND_SECONDS = 120.0  # for the last megabytes of an answer
STALL_SECONDS = 60.0  # that a thread waits for its client to take AHEAD / 2
LINGER_SECONDS = 2.0  # that a refused client may still send, so that it reads why
MOST_HEAD = 64 * KIB
MOST_BODY = 26 * MIB  # more than the largest webhook (indexer/views/hooks.py)
MOST_HELD = 128 * MIB  # of bodies and answers of all clients
PIECE = 64 * KIB  # of an answer, handed from a thread to the loop at once
AHEAD = 4 * MIB  # of an answer, that its client has not taken yet
MOST_FILES = 8192


class Phase(Enum):
    """Where a client stands."""

    IDLE = auto()  # it has asked for nothing
    COMING = auto()  # its request is on its way
    WORK = auto()  # a thread has it, or will have it
    GOING = auto()  # its answer is on its way


class Refused(Exception):
    """A request that no thread gets; the sentence says why."""

    def __init__(self, status: str, sentence: str) -> None:
        super().__init__(sentence)
        later = "Retry-After: 5\r\n" if status.startswith("503") else ""
        self.answer = (
            f"HTTP/1.1 {status}\r\nConnection: close\r\n{later}"
            "Content-Type: text/plain; charset=utf-8\r\n"
            f"Content-Length: {len(sentence) + 1}\r\n\r\n{sentence}\n"
        ).encode()


TOO_SLOW = "408 Request Timeout", "The request did not come in time."
TOO_LARGE = "413 Content Too Large", "A request has at most 25 MB."
HEAD_TOO_LARGE = "431 Request Header Fields Too Large", "The headers are too large."
NO_LENGTH = "411 Length Required", "A body says its length (Content-Length)."
TOO_MANY = "503 Service Unavailable", "Too many ask at once. Ask again in a moment."


class Client:
    """One connection."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        address: Any,
        server: Any,
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.address = address
        self.server = server
        self.loop = asyncio.get_running_loop()
        self.body_size = 0
        self.enter(Phase.IDLE)

    def enter(self, phase: Phase) -> None:
        """It is in this phase from now on."""
        self.phase = phase
        self.since = self.loop.time()

    @property
    def held(self) -> int:
        """The bytes that we keep for it."""
        return self.body_size + self.writer.transport.get_write_buffer_size()

    def drop(self) -> None:
        """End it at once. One that was sending is told why, if it still listens."""
        if self.phase is Phase.COMING:
            self.writer.write(Refused(*TOO_MANY).answer)
        if self.phase in {Phase.WORK, Phase.GOING}:
            self.writer.transport.abort()
        self.writer.close()


class Exchange:
    """A request and its answer, as gunicorn's code for a thread takes them: it asks
    this for the connection, its parser and its socket. `sendall` gathers what is to be
    sent, and now and then hands it to the loop."""

    initialized, is_http2 = True, False

    def __init__(self, worker: BufferingWorker, client: Client, request: Any) -> None:
        self.worker = worker
        self.peer = client
        self.client, self.server = client.address, client.server
        self.request = request
        self.parser = self.sock = self
        self.gathered: list[bytes] = []
        self.size = 0
        self.broken = False

    def init(self) -> None:
        """The connection is ready."""

    def __next__(self) -> Any:
        return self.request

    def finish_body(self, *, deadline: float) -> bool:
        """All of it has been read before."""
        return True

    def sendall(self, data: bytes) -> None:
        """Send this, in the end. Raises ConnectionResetError when the client is gone,
        or too slow."""
        self.gathered.append(data)
        self.size += len(data)
        if self.size < PIECE:
            return
        passing = self.worker.pass_on(self.peer, self.take())
        try:
            asyncio.run_coroutine_threadsafe(passing, self.peer.loop).result()
        except (OSError, RuntimeError, CancelledError) as error:
            passing.close()
            self.broken = True
            raise ConnectionResetError(errno.ECONNRESET, "the client left") from error

    def take(self) -> bytes:
        """What was gathered and not handed over."""
        data = b"".join(self.gathered)
        self.gathered, self.size = [], 0
        return data

    def setblocking(self, _: bool) -> None:
        """Nothing here blocks."""

    def gettimeout(self) -> float:
        return 0.0

    def shutdown(self, _: int) -> None:
        """gunicorn ends an answer that failed half-way."""
        self.broken = True
        raise OSError(errno.ENOTCONN, "the loop closes it")

    def close(self) -> None:
        self.broken = True


class BufferingWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """The worker; `registry_site/gunicorn_conf.py` names it."""

    loop: asyncio.AbstractEventLoop | None = None

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """TLS is spoken by a proxy."""
        if cfg.is_ssl:
            raise ValueError("Muster speaks no TLS: let a proxy do that.")

    def init_process(self) -> None:
        """Begin: this returns when the worker ends."""
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = MOST_FILES if most == resource.RLIM_INFINITY else min(most, MOST_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
        self.tpool = self.get_thread_pool()
        self.clients: set[Client] = set()
        self.stalled: dict[Client, None] = {}
        self.talks: set[asyncio.Task[None]] = set()
        Worker.init_process(self)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: end, and what is being answered first."""
        self.alive = False
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self.stopping.set)

    def run(self) -> None:
        """Serve until the worker is to end."""
        asyncio.run(self.serve())
        self.tpool.shutdown(wait=False)

    async def serve(self) -> None:
        """Take clients in, and in the end let them go."""
        self.stopping = asyncio.Event()
        self.loop = loop = asyncio.get_running_loop()
        for listener in self.sockets:
            listener.setblocking(False)
            loop.add_reader(listener.fileno(), self.accept, listener)
        while self.alive and self.is_parent_alive():
            self.notify()
            await _event(self.stopping, 1.0)
        for listener in self.sockets:
            loop.remove_reader(listener.fileno())
            listener.close()
        # Whoever is idle may be sending a request already; it is answered, and told
        # that it was the last (RFC 9112, section 9.6).
        begun = loop.time()
        grace = float(self.cfg.graceful_timeout)
        while self.clients and loop.time() - begun < grace:
            self.notify()
            await asyncio.sleep(0.02)
            if loop.time() - begun > min(STOP_KEEPALIVE_LINGER, grace / 2):
                for client in self.clients:
                    if client.phase is Phase.IDLE:
                        client.drop()

    def accept(self, listener: Any) -> None:
        """Take one client in, or tell it that there are too many."""
        try:
            sock, address = listener.accept()
        except OSError as error:
            if error.errno in {errno.EMFILE, errno.ENFILE}:
                self.make_room(list(self.clients))
            return  # else another worker has it, or it left already
        full = len(self.talks) >= self.worker_connections
        if full and not self.make_room(list(self.clients)):
            with suppress(OSError):
                sock.setblocking(False)
                sock.send(Refused(*TOO_MANY).answer)
            sock.close()
            return
        assert self.loop is not None  # noqa: S101 - it calls us
        talk = self.loop.create_task(self.talk(sock, address, listener.getsockname()))
        self.talks.add(talk)
        talk.add_done_callback(self.talks.discard)

    async def talk(self, sock: socket.socket, address: Any, server: Any) -> None:
        """One client, from its first request to its last."""
        sock.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=sock, limit=MOST_HEAD)
        client = Client(reader, writer, address, server)
        self.clients.add(client)
        try:
            while (request := await self.request_of(client)) is not None:
                if not await self.answer(client, request):
                    break
        except Refused as refused:
            self.log.info("%s: %s", address, refused)
            client.enter(Phase.GOING)
            await _refuse(client, refused)
        except (OSError, asyncio.IncompleteReadError):
            writer.transport.abort()
        except Exception:
            self.log.exception("A client's connection failed")
            writer.transport.abort()
        finally:
            self.clients.discard(client)
            writer.close()

    async def request_of(self, client: Client) -> Any:
        """The client's next request with its body, or None if it has none. Raises
        Refused, or an error when the client leaves."""
        client.enter(Phase.IDLE)
        try:
            async with asyncio.timeout(self.cfg.keepalive):
                first = await client.reader.read(1)
        except TimeoutError:
            return None
        if not first:
            return None
        client.enter(Phase.COMING)
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                head = first + await client.reader.readuntil(b"\r\n\r\n")
        except TimeoutError:
            raise Refused(*TOO_SLOW) from None
        except asyncio.LimitOverrunError:
            raise Refused(*HEAD_TOO_LARGE) from None
        try:
            request = next(RequestParser(self.cfg, iter([head]), client.address))
        except Exception as error:
            told = Exchange(self, client, None)
            self.handle_error(None, told, client.address, error)
            refused = Refused("400 Bad Request", "The request is malformed.")
            refused.answer = told.take() or refused.answer
            raise refused from None
        request.body = await self.body_of(client, request)
        return request

    async def body_of(self, client: Client, request: Any) -> io.BytesIO:
        """The body that a head announces, whole. Raises Refused."""
        source = request.body.reader
        if not isinstance(source, LengthReader):
            raise Refused(*NO_LENGTH)
        if source.length > MOST_BODY:
            raise Refused(*TOO_LARGE)
        if request._expected_100_continue:
            request._expected_100_continue = False
            if source.length:
                client.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = io.BytesIO()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while missing := source.length - client.body_size:
                    part = await client.reader.read(min(missing, PIECE))
                    if not part:
                        raise asyncio.IncompleteReadError(b"", missing)
                    client.body_size += body.write(part)
                    self.bound_held()
        except TimeoutError:
            raise Refused(*TOO_SLOW) from None
        body.seek(0)
        return body

    async def answer(self, client: Client, request: Any) -> bool:
        """Have a thread answer, and send that. Whether the client may ask again."""
        client.enter(Phase.WORK)
        exchange = Exchange(self, client, request)
        may_ask = await client.loop.run_in_executor(self.tpool, self.handle, exchange)
        client.body_size = 0
        if exchange.broken:
            client.drop()
            return False
        client.enter(Phase.GOING)
        client.writer.write(exchange.take())
        await _sent(client, SEND_SECONDS)
        return bool(may_ask)

    async def pass_on(self, client: Client, data: bytes) -> None:
        """Send a piece of an answer that a thread is making. Raises OSError."""
        transport = client.writer.transport
        if transport.is_closing():
            raise ConnectionResetError(errno.ECONNRESET, "the client left")
        client.writer.write(data)
        self.bound_held()
        if transport.get_write_buffer_size() <= AHEAD:
            return
        # A client that reads nothing must not hold a thread that others wait for.
        if len(self.stalled) >= max(1, self.cfg.threads // 2):
            next(iter(self.stalled)).drop()
        self.stalled[client] = None
        transport.set_write_buffer_limits(high=AHEAD, low=AHEAD // 2)
        try:
            async with asyncio.timeout(STALL_SECONDS):
                await client.writer.drain()
        finally:
            self.stalled.pop(client, None)

    def bound_held(self) -> None:
        """Let clients go while all together hold too much."""
        holding = [client for client in self.clients if client.held > PIECE]
        while sum(client.held for client in holding) > MOST_HELD:
            if not self.make_room(holding):
                return

    def make_room(self, clients: list[Client]) -> bool:
        """Let the one of these go that does so little that it is missed least; False
        if threads have them all."""
        free = [one for one in clients if one.phase is not Phase.WORK]
        if not free:
            return False
        oldest = min(free, key=lambda one: (one.phase is not Phase.IDLE, one.since))
        self.clients.discard(oldest)
        clients.remove(oldest)
        oldest.drop()
        return True


async def _event(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


async def _sent(client: Client, seconds: float) -> None:
    """Wait until a client has taken all that was written. Raises OSError."""
    transport = client.writer.transport
    if transport.get_write_buffer_size():
        transport.set_write_buffer_limits(high=0)
        async with asyncio.timeout(seconds):
            await client.writer.drain()


async def _refuse(client: Client, refused: Refused) -> None:
    """Tell a client why, and read on for a moment: a connection that is closed before
    what it sent is read loses the answer (RFC 9112, section 9.6)."""
    with suppress(OSError):
        client.writer.write(refused.answer)
        client.writer.write_eof()
        async with asyncio.timeout(LINGER_SECONDS):
            while await client.reader.read(PIECE):
                pass
