"""A whole Muster to measure, of its own database, queue and data directory."""

from __future__ import annotations

import functools
import json
import os
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from bench.github import GitHub
from bench.measure import (
    PYTHON,
    ROOT,
    Failed,
    family,
    inherited,
    manage,
    postgres_database,
    run,
)

REDIS_NUMBER = 14  # of the server's databases; used only while it is empty
START = 60.0  # seconds until the web server must answer


@dataclass(frozen=True, slots=True)
class Muster:
    """`environment` says where its data are; `place` the same for a person. `github`
    is what it connects."""

    environment: Mapping[str, str]
    github: GitHub
    place: str = "SQLite, queue in files"

    @property
    def url(self) -> str:
        """Where its web server is, while it runs."""
        return self.environment["MUSTER_PUBLIC_URL"]

    def connect(self, owner: str, *options: str) -> None:
        """Connect an owner of `github`. A worker, if one runs, goes on from there."""
        manage(
            *("connect", "github", owner, "--address", self.github.url, *options),
            environment={**self.environment, "MUSTER_TOKEN": self.github.token},
        )

    def do(self, *work: str) -> dict[str, Any]:
        """A piece of work (bench/inside.py), what it took, and how many `requests`
        came to `github` meanwhile. Raises Failed if Muster says that it went wrong."""
        before = self.github.requests
        environment = {
            **self.environment,
            "DJANGO_SETTINGS_MODULE": "registry_site.settings",
        }
        done = run([PYTHON, "-m", "bench.inside", *work], environment=environment)
        told: dict[str, Any] = json.loads(done.output.splitlines()[-1])
        if told["trouble"]:
            raise Failed(f"{' '.join(work)}: {told['trouble']}")
        return {**told, "requests": self.github.requests - before}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the database, from outside."""
        url = self.environment.get("DATABASE_URL")
        if url:
            return _postgres(url).execute(query.encode()).fetchall()
        path = Path(self.environment["MUSTER_DATA"]) / "muster.sqlite3"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return database.execute(query).fetchall()

    def number(self, query: str) -> int:
        """The one number that a query gives."""
        return int(self.rows(query)[0][0])

    @contextmanager
    def running(self) -> Iterator[int]:
        """`manage.py up` for as long as the context lasts; its process id."""
        log = Path(self.environment["MUSTER_DATA"]) / "up.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [PYTHON, "manage.py", "up"],
                cwd=ROOT,
                env=inherited(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_until(lambda: process.poll() is not None or _answers(self.url), START)
            if process.poll() is not None:
                raise Failed(f"Muster did not start: {log.read_text()[-500:]}")
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def new_muster(folder: Path, github: GitHub) -> Muster:
    """One with SQLite and a queue in files, and its tables made."""
    folder.mkdir()
    muster = Muster(_environment(folder), github)
    manage("migrate", "--verbosity=0", environment=muster.environment)
    return muster


@contextmanager
def best_muster(folder: Path, github: GitHub) -> Iterator[Muster]:
    """One with PostgreSQL and Redis, as far as they are there; what it made in them is
    gone afterwards."""
    folder.mkdir()
    environment = _environment(folder)
    place = []
    with ExitStack() as stack:
        database = stack.enter_context(postgres_database("bench_connections"))
        if database is not None:
            environment["DATABASE_URL"] = database
        place.append("SQLite" if database is None else "PostgreSQL")
        queue = stack.enter_context(_redis())
        if queue is not None:
            environment["CELERY_BROKER_URL"] = queue
        place.append("queue in files" if queue is None else "Redis")
        muster = Muster(environment, github, ", ".join(place))
        manage("migrate", "--verbosity=0", environment=environment)
        yield muster


def workers_of(pid: int) -> list[int]:
    """The processes below `pid` that crawl: the children of Celery's worker."""
    found = []
    for one in family(pid):
        below = [child for child in family(one)[1:] if _is_worker(child)]
        if _is_worker(one):
            found += below
    return found


def wait_until(is_so: Callable[[], bool], seconds: float, pause: float = 0.2) -> None:
    """Look every `pause` seconds. Raises Failed when it does not come."""
    until = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > until:
            raise Failed(f"what was waited for did not come within {seconds:g} seconds")
        time.sleep(pause)


def _environment(folder: Path) -> dict[str, str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return {
        "MUSTER_DATA": str(folder),
        "MUSTER_DEMO": "0",
        "MUSTER_ALLOW_PRIVATE": "1",
        "MUSTER_WORKERS": "2",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "MUSTER_PUBLIC_URL": f"http://127.0.0.1:{port}",
    }


@contextmanager
def _redis() -> Iterator[str | None]:
    """The URL of an empty database at the server of MUSTER_TEST_REDIS, emptied again
    in the end; None if there is none."""
    import redis

    server = os.environ.get("MUSTER_TEST_REDIS", "")
    if not server:
        yield None
        return
    url = urlsplit(server)._replace(path=f"/{REDIS_NUMBER}").geturl()
    client = redis.Redis.from_url(url, socket_connect_timeout=3)
    try:
        usable = client.dbsize() == 0
    except redis.RedisError:
        usable = False
    try:
        yield url if usable else None
    finally:
        if usable:
            client.flushdb()
        client.close()


@functools.lru_cache(maxsize=1)
def _postgres(url: str) -> psycopg.Connection[tuple[Any, ...]]:
    """One connection, kept: to open one costs more than most queries."""
    return psycopg.connect(url, autocommit=True)


def _is_worker(pid: int) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"worker" in words


def _answers(url: str) -> bool:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
