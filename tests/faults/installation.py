"""A whole Muster of real processes that are killed, stopped and started again: embedded
(`manage.py up`, SQLite, the queue in files) or production (gunicorn, Celery worker and
beat on PostgreSQL and a Redis of their own)."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from indexer.processes import processes
from tests.faults.clocks import Clock, has_clocks
from tests.faults.killed_git import KilledGit
from tests.faults.redis_server import RedisServer
from tests.process_tree import (
    MANAGE,
    ROOT,
    environment,
    kill_family,
    manage,
    wait_until,
)
from tests.services import POSTGRES_URL, free_port

LEASE = 3  # seconds; who is stopped for longer has lost it
WAKE = 1
DISK = "24m"
CELERY = [sys.executable, "-m", "celery", "--app=registry_site.celery", "--quiet"]
WORKER = [
    *CELERY, "worker", "--concurrency=2", "--loglevel=WARNING", "--without-gossip",
    "--without-mingle", "--without-heartbeat",
]  # fmt: skip
BEAT = [
    *CELERY, "beat", "--loglevel=WARNING", "--scheduler=celery.beat.Scheduler",
    "--pidfile=",
]  # fmt: skip
SETUPS = ("embedded", "production")
# Python keeps what it compiled, outside of the work tree: each start takes a fifth of
# the time then, and there are many.
COMPILED = {
    "PYTHONDONTWRITEBYTECODE": "",
    "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir(), "muster-compiled")),
}
# What Celery's worker (kombu 5.7) now and then ends with where Redis goes and it had
# taken messages that none of its processes has begun.
OF_KOMBU = "'NoneType' object has no attribute 'hostname'"
# Why `manage.py up` may refuse to start, in a sentence of its own.
REFUSES = ("cannot be used", "cannot be written", "Muster runs on")
START = 300.0  # seconds for what is done once; a machine may have much else to do


def has_small_disks(folder: Path) -> bool:
    """Whether this user may mount a file system of a few megabytes."""
    disk = folder / "probe"
    disk.mkdir(parents=True)
    mounted = _mount(disk)
    if mounted:
        _unmount(disk)
    disk.rmdir()
    return mounted


class Inside:
    """`tests.faults.inside` in some environment."""

    def __init__(self, env: Mapping[str, str], log: Path) -> None:
        self._lock = threading.Lock()
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.inside"],
                env={**env, "DJANGO_SETTINGS_MODULE": "registry_site.settings"},
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=out,
                text=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, what: str, **about: Any) -> Any:
        """The answer. Raises AssertionError with what went wrong there."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(f"{json.dumps({'ask': what, **about})}\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        answer = json.loads(line or '{"trouble": "it ended"}')
        assert "trouble" not in answer, f"{what}: {answer['trouble']}"
        return answer["answer"]

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


class Program:
    """One process that is started again whenever it ends, as `restart: unless-stopped`
    does; what it left behind is ended with it, as a container is."""

    def __init__(
        self, name: str, command: list[str], env: dict[str, str], log: Path
    ) -> None:
        self.name, self.command, self.env, self.log = name, command, env, log
        self.process: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        self.is_wanted = False
        self.was_killed = False  # by us: it may end

    def start(self) -> None:
        self.is_wanted, self.was_killed = True, False
        self.started = time.monotonic()
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                self.command,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=ROOT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid if self.process else 0

    def has_ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def stop(self, seconds: float = 15) -> None:
        """End it in order; what does not end in time fails the test."""
        self.is_wanted = False
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)


class Installation:
    """Its processes and servers, and the faults they are given."""

    def __init__(self, setup: str, folder: Path, stack: ExitStack) -> None:
        assert setup in SETUPS
        self.setup, self.folder = setup, folder
        self.ended_alone: list[str] = []  # processes that nobody killed
        self.counts: Counter[str] = Counter()
        self.data = folder / "data"
        self.data.mkdir(parents=True)
        self.has_small_disk = _mount(self.data)
        if self.has_small_disk:
            stack.callback(_unmount, self.data)
        (self.data / "tmp").mkdir()
        self.git = KilledGit(folder)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.redis: RedisServer | None = None
        self.env = self._environment()
        if setup == "production":
            self.redis = RedisServer(free_port(), folder)
            self.redis.start()
            stack.callback(self.redis.kill)
            self.env["CELERY_BROKER_URL"] = self.redis.url
            self.env["MUSTER_ALIVE_FILE"] = str(folder / "alive")
            self.env["DATABASE_URL"] = stack.enter_context(_database())
        manage("migrate", "-v0", env=self.env, seconds=START)
        self.programs = self._programs()
        self._tending = threading.Event()
        stack.callback(self._end)
        self.inside = Inside(self.env, folder / "inside.log")
        for program in self.programs.values():
            program.start()
        self._tender = threading.Thread(target=self._tend, daemon=True)
        self._tender.start()

    # The processes ------------------------------------------------------------------

    def _environment(self) -> dict[str, str]:
        env = environment(
            self.data,
            PORT=str(self.port),
            HTTPS="False",
            SECRET_KEY="of the tests " * 5,
            ALLOWED_HOSTS="127.0.0.1",
            MUSTER_ALLOW_LOCAL="True",
            MUSTER_ALLOW_PRIVATE="True",
            MUSTER_PUBLIC_READ="True",
            MUSTER_LEASE=str(LEASE),
            MUSTER_WAKE_INTERVAL=str(WAKE),
            MUSTER_CRAWL_INTERVAL="10",
            TMPDIR=str(self.data / "tmp"),
        )
        env["PATH"] = f"{self.git.bin}{os.pathsep}{env['PATH']}"
        return env | COMPILED

    def _programs(self) -> dict[str, Program]:
        commands = {"up": [*MANAGE, "up"]}
        if self.setup == "production":
            web = [
                sys.executable, "-m", "gunicorn",
                "--config=python:registry_site.gunicorn_conf", "registry_site.wsgi",
            ]  # fmt: skip
            commands = {"web": web, "worker": WORKER, "beat": BEAT}
        self.clocks = {name: Clock(self.folder, name) for name in commands}
        return {
            name: Program(
                name,
                command,
                self.env | self.clocks[name].environment,
                self.folder / f"{name}.log",
            )
            for name, command in commands.items()
        }

    def _tend(self) -> None:
        """Start again what ended."""
        while not self._tending.wait(0.05):
            for program in self.programs.values():
                if not program.is_wanted or not program.has_ended():
                    continue
                if not program.was_killed:
                    assert program.process is not None
                    self._ended(program, program.process.returncode)
                    if self._tending.wait(0.3):
                        return
                self._kill_left(program)
                program.start()

    def _ended(self, program: Program, status: int) -> None:
        said = program.log.read_text(errors="replace")[-1500:]
        if program.name == "up" and "ended 5 times, each soon" in said:
            self.counts["up: gave up after five kills, started again"] += 1
        elif program.name == "up" and any(words in said for words in REFUSES):
            # What was killed is still ending, or the disk is full: a unit file starts
            # it again as well.
            self.counts["up: would not start yet, started again"] += 1
        elif self.redis is not None and OF_KOMBU in said:
            self.counts["worker: ended over a lost Redis, started again"] += 1
        else:
            self.ended_alone.append(f"{program.name} ended with {status}: {said}")

    def _kill_left(self, program: Program) -> None:
        """A container's or a unit's processes end with its first one; `manage.py up`
        has a guard that sees to it itself."""
        if self.setup == "production":
            for pid in self._all(program.pid):
                signalled(pid, signal.SIGKILL)

    def _all(self, session: int = 0) -> set[int]:
        """Every process of this installation (or of one session alone), whoever its
        parent is."""
        return {
            pid
            for pid, (_, _, state) in processes().items()
            if state not in "ZX"
            and pid != self.inside.pid
            and (not session or _session(pid) == session)
            and self._is_ours(pid)
        }

    def _is_ours(self, pid: int) -> bool:
        """By what it was started with: our PATH, or, where a program has written its
        title over that, the clock that is loaded into it."""
        try:
            inherited = Path(f"/proc/{pid}/environ").read_bytes()
            return f"PATH={self.git.bin}".encode() in inherited or (
                str(self.folder) in Path(f"/proc/{pid}/maps").read_text()
            )
        except OSError:
            return False  # it ended meanwhile

    def left(self) -> list[str]:
        """Processes that run though all was ended."""
        return [_command(pid) for pid in sorted(self._all())]

    def mains(self, name: str) -> list[int]:
        """The first process of a program; embedded, that which `up` started."""
        if self.setup == "production":
            program = self.programs[name]
            return [] if program.has_ended() else [program.pid]
        up = self.programs["up"]
        if name == "up":
            return [] if up.has_ended() else [up.pid]
        return [pid for pid in _children(up.pid) if _is_of(name, _command(pid))]

    def children(self, name: str) -> list[int]:
        """The processes that do a program's work."""
        found = itertools.chain.from_iterable(map(_children, self.mains(name)))
        return sorted(pid for pid in found if not _is_git(pid))

    def gits(self) -> list[int]:
        """What Muster runs of git just now."""
        return [pid for pid in sorted(self._all()) if _is_git(pid)]

    def is_whole(self) -> bool:
        """Whether every process is there that does its work."""
        doing = (self.children("web"), self.children("worker"), self.mains("beat"))
        return all(doing)

    # Faults -------------------------------------------------------------------------

    def kill_main(self, name: str) -> bool:
        for pid in self.mains(name):
            if self.setup == "production" or name == "up":
                self.programs[name].was_killed = True
            if self.setup == "production":
                kill_family(pid)
            else:
                signalled(pid, signal.SIGKILL)
            return True
        return False

    def kill_child(self, name: str, which: int) -> bool:
        children = self.children(name)
        return bool(children) and signalled(
            children[which % len(children)], signal.SIGKILL
        )

    def stop(self, name: str, which: int) -> int:
        """Let one stand still; which, to let it go on. 0: there is none."""
        ids = self.mains(name) if name == "beat" else self.children(name)
        if not ids:
            return 0
        pid = ids[which % len(ids)]
        return pid if signalled(pid, signal.SIGSTOP) else 0

    def set_clock(self, name: str, hours: int) -> bool:
        """Set one program's clock wrong; embedded, the machine's, which all share."""
        if has_clocks():
            name = name if self.setup == "production" else "up"
            self.clocks[name].set(hours * 3600)
        return has_clocks()

    def fill_disk(self) -> bool:
        """Leave no byte for mirrors, temporary files, SQLite and the queue's files."""
        if not self.has_small_disk:
            return False
        with (self.data / "ballast").open("wb", buffering=0) as file:
            for size in (65536, 4096, 512, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(b"\0" * size)
        return True

    def clear_disk(self) -> None:
        (self.data / "ballast").unlink(missing_ok=True)

    def revive_redis(self) -> None:
        """Start it again, if it is away or stands still."""
        if self.redis is not None and not self.redis.answers():
            self.redis.kill()
            self.redis.start()

    def well_again(self) -> None:
        """End every fault."""
        self.git.calm()
        self.clear_disk()
        for pid, (_, _, state) in processes().items():
            if state == "T" and pid in self._all():
                signalled(pid, signal.SIGCONT)
        for clock in self.clocks.values():
            clock.set(0)
        self.revive_redis()

    def _end(self) -> None:
        self._tending.set()
        with contextlib.suppress(AttributeError):
            self._tender.join()
            self.inside.end()
        for program in self.programs.values():
            program.is_wanted = False
            if program.process is not None:
                kill_family(program.process.pid)
                program.process.wait()
        if hasattr(self, "inside"):
            for pid in self._all():
                signalled(pid, signal.SIGKILL)

    def end_in_order(self) -> list[str]:
        """Stop it as a person does; the processes that are left then."""
        self._tending.set()
        self._tender.join()
        for program in self.programs.values():
            program.stop()
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not self._all(), 5)
        return self.left()


@contextmanager
def installed(setup: str, folder: Path) -> Iterator[Installation]:
    """An installation for as long as the context lasts; then nothing of it is left."""
    with ExitStack() as stack:
        yield Installation(setup, folder, stack)


@contextmanager
def oracle(folder: Path) -> Iterator[Callable[[str, str], str]]:
    """What a new installation makes of the remote at an address, under a name."""
    env = environment(
        folder / "oracle",
        MUSTER_ALLOW_LOCAL="True",
        MUSTER_ALLOW_PRIVATE="True",
        **COMPILED,
    )
    manage("migrate", "-v0", env=env, seconds=START)
    inside = Inside(env, folder / "oracle.log")
    try:
        yield lambda name, url: str(inside.ask("from_scratch", name=name, url=url))
    finally:
        inside.end()


@contextmanager
def _database() -> Iterator[str]:
    """A database of its own at the server of the tests; its address."""
    name = f"muster_faults_{os.getpid()}_{time.monotonic_ns() // 1000 % 10**9}"
    with psycopg.connect(POSTGRES_URL, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"'.encode())
    try:
        yield urlsplit(POSTGRES_URL)._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(POSTGRES_URL, autocommit=True) as server:
            server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


def _mount(folder: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    return not subprocess.run(command, check=False, capture_output=True).returncode


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _children(pid: int) -> list[int]:
    return [one for one, (parent, _, _) in processes().items() if parent == pid]


def _command(pid: int) -> str:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return line.replace(b"\0", b" ").decode(errors="replace")


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


def _is_of(name: str, command: str) -> bool:
    """Whether a command line, or the title that a program gave itself, is that of the
    web server, the worker or the scheduler."""
    if "gunicorn" in command:
        return name == "web"
    words = {"worker": ("celeryd", " worker "), "beat": (" beat ", "celery beat")}
    return name in words and any(word in command for word in words[name])


def _is_git(pid: int) -> bool:
    try:
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return False
    return name == "git" or name.startswith("git-")


def signalled(pid: int, number: signal.Signals) -> bool:
    """Send a signal; False if there is no such process any more."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
