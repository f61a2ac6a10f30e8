"""A server that says exactly what a test tells it, byte for byte, and notes what it
was asked. For answers no decent server gives: dripping, hanging, cut, endless."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import Enum
from pathlib import Path
from typing import IO

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Headers = Mapping[str, str]


class End(Enum):
    """What becomes of the connection after an answer."""

    KEEP = "keep"
    CLOSE = "close"
    RESET = "reset"
    HANG = "hang"


@dataclass(frozen=True, slots=True)
class Reply:
    """Pieces of bytes, with `pause` seconds before each, and what comes after."""

    pieces: Iterable[bytes]
    pause: float = 0
    end: End = End.KEEP


def reply(
    body: bytes | str = b"{}",
    status: int = 200,
    headers: Headers | None = None,
    *,
    kind: str = "application/json; charset=utf-8",
    length: int | None = None,
    end: End = End.KEEP,
) -> Reply:
    """A plain answer; `length` for a Content-Length that is not the body's."""
    return Reply([head(body, status, headers, kind=kind, length=length)], end=end)


def head(
    body: bytes | str = b"",
    status: int = 200,
    headers: Headers | None = None,
    *,
    kind: str = "application/json",
    length: int | None = None,
) -> bytes:
    """The bytes of an answer."""
    content = body.encode() if isinstance(body, str) else body
    lines = {
        "Date": http_date(datetime.now(UTC)),
        "Content-Type": kind,
        "Content-Length": str(len(content) if length is None else length),
        **(headers or {}),
    }
    text = f"HTTP/1.1 {status} X\r\n"
    text += "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    return text.encode("latin-1") + b"\r\n" + content


def drip(content: bytes, pause: float = 0.05) -> Reply:
    """One byte at a time."""
    return Reply([content[at : at + 1] for at in range(len(content))], pause)


def http_date(at: datetime) -> str:
    return format_datetime(at, usegmt=True)


@dataclass
class Asked:
    """A request as it came."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.line.split(" ")[1]


@dataclass
class Wire:
    """The server. Gives `replies` in order; the last one stays."""

    host: str
    port: int
    scheme: str = "http"
    replies: list[Reply] = field(default_factory=lambda: [reply()])
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    server_names: list[str | None] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def root(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The address of its API."""
        return f"{self.root}/api/v3"

    def say(self, *replies: Reply) -> None:
        self.replies[:] = replies

    def _next(self) -> Reply:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, client.makefile("rb") as source:
            while (asked := _read(source)) is not None:
                self.asked.append(asked)
                answer = self._next()
                for piece in answer.pieces:
                    if answer.pause and self.stopping.wait(answer.pause):
                        return
                    client.sendall(piece)
                if answer.end is End.RESET:
                    linger = struct.pack("ii", 1, 0)
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                if answer.end is End.HANG:
                    self.stopping.wait()
                if answer.end is not End.KEEP:
                    return


@contextmanager
def wire(
    host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[Wire]:
    """A server on loopback, for as long as the block runs."""
    with socket.create_server((host, port)) as listener:
        server = Wire(host, listener.getsockname()[1], "https" if tls else "http")
        if tls:
            tls.sni_callback = lambda _, name, __: server.server_names.append(name)
        threads: list[threading.Thread] = []

        def answer(client: socket.socket) -> None:
            with contextlib.suppress(OSError):
                server._serve(tls.wrap_socket(client, True) if tls else client)
            client.close()

        def accept() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                server.connections += 1
                client.settimeout(20)
                thread = threading.Thread(target=answer, args=(client,), daemon=True)
                threads.append(thread)
                thread.start()

        acceptor = threading.Thread(target=accept, daemon=True)
        acceptor.start()
        try:
            yield server
        finally:
            server.stopping.set()
            listener.shutdown(socket.SHUT_RDWR)
            acceptor.join()


def _read(source: IO[bytes]) -> Asked | None:
    line = source.readline().decode("latin-1").strip()
    if not line:
        return None
    headers: dict[str, str] = {}
    while text := source.readline().decode("latin-1").strip():
        name, _, value = text.partition(":")
        headers[name.lower()] = value.strip()
    length = int(headers.get("content-length", "0"))
    return Asked(line, headers, source.read(length))


def make_certificate(folder: Path, *names: str) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS for these names, and the authority's file to be trusted."""
    authority, key = _certificate("Muster's tests", None, None)
    own, own_key = _certificate(names[0], (authority, key), names)
    paths = [folder / name for name in ("authority.pem", "chain.pem", "key.pem")]
    paths[0].write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(own.public_bytes(serialization.Encoding.PEM))
    paths[2].write_bytes(
        own_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(paths[1], paths[2])
    return context, paths[0]


def _certificate(
    name: str,
    issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None,
    names: tuple[str, ...] | None,
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(issuer is None, None), critical=True)
    )
    if names:
        known = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(known, critical=False)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key
