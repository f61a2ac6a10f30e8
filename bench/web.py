"""The web server under many connections: how many requests a second it answers, and how
long one takes while others hold their connections and say nothing, or a byte a second.

    python -m bench web
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from bench.measure import PYTHON, ROOT, Table, inherited, manage, run

IDLE, SLOW = 200, 50
PAGES = {
    "list of models": "/?type=any",
    "page of a model": "/models/{repository}/-/{artifact}",
    "model by the API": "/api/v1/models/{repository}/-/{artifact}",
    "healthz": "/healthz",
}
SLOW_BODIES = (
    "/login",
    "/api/v1/actions",
    f"/hooks/github/{'0' * 8}-0000-4000-8000-{'0' * 12}",
)
NAMES = (
    "from indexer.models import Artifact; "
    "one = Artifact.objects.select_related('repository').order_by('pk').first(); "
    "print(one.repository.name, one.name)"
)


def measure(folder: Path, table: Table, *, quick: bool) -> None:
    """Fill an index, serve it as `make run` does, and ask."""
    models = 500 if quick else 2_000
    data = {"MUSTER_DATA": str(folder / "data"), "MUSTER_DEMO": "0"}
    fill = ["--models", str(models), "--repositories", str(models // 10)]
    run([PYTHON, "bench/fill_index.py", *fill], environment=data)
    named = manage("shell", "--no-imports", "-c", NAMES, environment=data)
    repository, artifact = named.output.split()[-2:]
    with served(data, folder / "log") as port:
        table.head(f"Requests a second, 8 connections kept alive, {models:,} models")
        for what, path in PAGES.items():
            full = path.format(repository=repository, artifact=artifact)
            rate = asyncio.run(throughput(port, full, 2 if quick else 6))
            table.note(f"{what:<58} {rate:>7.0f}/s")
        quiet = asyncio.run(waits(port, "/healthz", 100))
        table.head(f"With {IDLE} idle connections and {SLOW} slow ones")
        table.note(f"{'healthz, 95th of 100, without them':<58} {quiet:>6.0f} ms")
        for what, path, most in (("healthz", "/healthz", 200), ("list", "/", 1000)):
            waited = asyncio.run(besieged(port, path))
            table.ratio(f"{what}, 95th of 100", waited, at_most=most, unit=" ms")


@contextmanager
def served(data: dict[str, str], log: Path) -> Iterator[int]:
    """A site of `manage.py up`; its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [PYTHON, "manage.py", "up"],
            cwd=ROOT,
            env=inherited({**data, "PORT": str(port)}),
            stdout=out,
            stderr=out,
        )
    try:
        while b"Ctrl-C ends it." not in log.read_bytes():
            if process.poll() is not None:
                raise SystemExit(log.read_text())
            time.sleep(0.1)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


async def throughput(port: int, path: str, seconds: float, clients: int = 8) -> float:
    """Answers a second to clients that ask again as soon as they have one."""
    until = time.monotonic() + seconds

    async def client() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        count = 0
        while time.monotonic() < until:
            await ask(reader, writer, path)
            count += 1
        writer.close()
        return count

    begun = time.monotonic()
    counts = await asyncio.gather(*(client() for _ in range(clients)))
    return sum(counts) / (time.monotonic() - begun)


async def waits(port: int, path: str, times: int) -> float:
    """The 95th of 100 waits for an answer over a new connection, in milliseconds."""
    found = []
    for _ in range(times):
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(5):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                await ask(reader, writer, path)
                writer.close()
        except TimeoutError:
            return 5000.0
        found.append((time.perf_counter() - begun) * 1000)
        await asyncio.sleep(0.02)
    return sorted(found)[times * 95 // 100 - 1]


async def ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str
) -> None:
    """One request and its whole answer."""
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    if " 200 " not in head.partition("\r\n")[0]:
        raise SystemExit(f"{path}: {head}")
    await reader.readexactly(int(head.partition("content-length:")[2].split()[0]))


async def besieged(port: int, path: str) -> float:
    """`waits` while others hold connections."""
    async with held_connections(port):
        return await waits(port, path, 100)


@asynccontextmanager
async def held_connections(port: int) -> AsyncIterator[None]:
    """IDLE connections that were used once, and SLOW ones, half in their headers."""
    heads = [
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
        for _ in range(SLOW // 2)
    ]
    bodies = [
        f"POST {SLOW_BODIES[number % 3]} HTTP/1.1\r\nHost: localhost\r\n"
        "Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n".encode()
        for number in range(SLOW - len(heads))
    ]
    tasks = [
        *(asyncio.create_task(hold(port, "idle", b"")) for _ in range(IDLE)),
        *(asyncio.create_task(hold(port, "slow", begun)) for begun in heads + bodies),
    ]
    await asyncio.sleep(3)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def hold(port: int, kind: str, begun: bytes) -> None:
    """Keep a connection busy in its way; open another when the server ends it."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            if kind == "idle":
                async with asyncio.timeout(2):
                    await ask(reader, writer, "/healthz")
                await reader.read()
            else:
                writer.write(begun)
                while not reader.at_eof():
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(1)
            writer.close()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    import sys

    measure(Path(sys.argv[1]), Table(), quick=os.environ.get("QUICK", "") == "1")
