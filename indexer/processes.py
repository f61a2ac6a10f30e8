"""A tree of child processes that ends as one: for `manage.py up`.

Each child leads a process group of its own, so Ctrl-C reaches only us and we end them
in order. A guard, a small process forked first, reads a pipe whose other end only we
hold: when we die without a word (`kill -9`), it sees the end of the pipe and ends what
we left. What a child started itself is found through the parents' ids, also where it
has a session of its own (git does).
"""

from __future__ import annotations

import errno
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

GRACE = 2.5  # seconds between asking to end and ending
RESTARTS = 5  # short lives of one child in a row, and all ends
SHORT_LIFE = 20.0  # seconds; a slow machine may need most of them to start a program

# (pid, when it started): pids are used again, pairs are not.
Process = tuple[int, str]


@dataclass(slots=True)
class Child:
    """One program of the tree, and how to start and end it."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    stop_signal: signal.Signals = signal.SIGTERM
    running: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    short_lives: int = 0
    rest: bytes = b""  # of a line not ended yet


class TreeFailed(Exception):
    """A child ends again and again; the message says which, for a person."""


class Tree:
    """The children, their output line by line, and their end."""

    def __init__(self, children: Sequence[Child], out: IO[str]) -> None:
        self.children = children
        self.out = out
        self.width = max(len(child.name) for child in children)
        self.selector = selectors.DefaultSelector()
        self.guard = Guard()
        self.quiet = False

    def start(self) -> None:
        """Start every child."""
        for child in self.children:
            self._start(child)

    def tend(self, seconds: float) -> None:
        """For so long, pass on what children write and start again who ended. Raises
        TreeFailed."""
        for key, _ in self.selector.select(seconds):
            self._read(key.data)
        for child in self.children:
            if child.running is not None and child.running.poll() is not None:
                self._restart(child)

    def stop(self) -> None:
        """End every child and all they started, within GRACE and a little."""
        running = [
            (child.running.pid, child.stop_signal)
            for child in self.children
            if child.running is not None
        ]
        self.quiet = True  # last words of what is being ended help nobody
        end_processes(running, tend=self._tidy)
        for child in self.children:
            if child.running is not None:
                child.running.wait()
        self.guard.dismiss()

    def _start(self, child: Child) -> None:
        child.started = time.monotonic()
        child.running = subprocess.Popen(
            child.command,
            env=dict(child.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        self.guard.watch(child.running.pid, child.stop_signal)
        if child.running.stdout is None:
            raise AssertionError("a pipe was asked for")
        os.set_blocking(child.running.stdout.fileno(), False)
        self.selector.register(child.running.stdout, selectors.EVENT_READ, child)

    def _restart(self, child: Child) -> None:
        process = child.running
        if process is None:
            return
        self._read(child)
        if process.stdout is not None and not process.stdout.closed:
            self.selector.unregister(process.stdout)
            process.stdout.close()
        is_short = time.monotonic() - child.started < SHORT_LIFE
        child.short_lives = child.short_lives + 1 if is_short else 0
        if child.short_lives == RESTARTS:
            raise TreeFailed(
                f"The {child.name} process ended {RESTARTS} times, each soon after its "
                f"start ({_how(process.returncode)}). Its last lines above say why."
            )
        self._say(child, f"ended ({_how(process.returncode)}), starting it again")
        # What it left behind must not work beside its successor.
        end_processes([(process.pid, signal.SIGKILL)], wait=0)
        self._start(child)

    def _read(self, child: Child) -> None:
        """Pass on what a child has written, by whole lines."""
        process = child.running
        if process is None or process.stdout is None or process.stdout.closed:
            return
        while True:
            try:
                data = os.read(process.stdout.fileno(), 65536)
            except BlockingIOError:
                return
            if not data:
                self.selector.unregister(process.stdout)
                process.stdout.close()
                if child.rest:
                    self._say(child, child.rest.decode("utf-8", "replace"))
                    child.rest = b""
                return
            *lines, child.rest = (child.rest + data).split(b"\n")
            if len(child.rest) > 65536:
                lines.append(child.rest)
                child.rest = b""
            for line in lines:
                self._say(child, line.decode("utf-8", "replace"))

    def _tidy(self) -> None:
        """While ending: keep pipes from filling up, and bury the dead."""
        for child in self.children:
            self._read(child)
            if child.running is not None:
                child.running.poll()

    def _say(self, child: Child, line: str) -> None:
        if self.quiet:
            return
        try:
            self.out.write(f"{child.name.ljust(self.width)} | {line.rstrip()}\n")
            self.out.flush()
        except OSError as error:
            # Whoever read our output is gone; the work goes on.
            if error.errno not in {errno.EPIPE, errno.EIO}:
                raise


class Guard:
    """Ends the processes it watches when the process that made it dies."""

    def __init__(self) -> None:
        reading, self.writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.writing)
            _guard(reading)
        os.close(reading)

    def watch(self, pid: int, stop_signal: signal.Signals) -> None:
        """From now on it ends `pid` too, but no later process that has its number."""
        self._send(f"{int(stop_signal)} {mark(pid)}\n")

    def dismiss(self) -> None:
        """All is ended already."""
        self._send("done\n")
        os.close(self.writing)
        os.waitpid(self.pid, 0)

    def _send(self, line: str) -> None:
        try:
            os.write(self.writing, line.encode())
        except BrokenPipeError:
            pass  # somebody killed the guard; the tree still ends in order


def _guard(reading: int) -> None:
    """The guard's whole life. Never returns."""
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        text = b""
        while data := os.read(reading, 4096):
            text += data
        lines = text.decode().split("\n")
        if "done" not in lines:
            table = processes()
            roots = []
            for line in filter(None, lines):
                stop_signal, _, marked = line.partition(" ")
                pid, _, started = marked.partition("@")
                if table.get(int(pid), (0, started, ""))[1] == started:
                    roots.append((int(pid), signal.Signals(int(stop_signal))))
            end_processes(roots)
    finally:
        os._exit(0)


def end_processes(
    roots: Iterable[tuple[int, signal.Signals]],
    *,
    wait: float = GRACE,
    tend: object = None,
) -> None:
    """End processes and all that came from them: each root by its own signal, and
    after `wait` seconds whatever is left by SIGKILL. `tend` is called meanwhile."""
    roots = list(roots)
    table = processes()
    family: set[Process] = set()
    for pid, _ in roots:
        family |= _with_descendants(pid, table)
    for pid, number in roots:
        if number is signal.SIGKILL:
            for one, _ in _with_descendants(pid, table):
                _signal(one, number)
        elif pid in table:
            _signal(pid, number)
    until = time.monotonic() + wait
    while time.monotonic() < until:
        if callable(tend):
            tend()
        table = processes()
        family = {one for one in family if _alive(one, table)}
        for pid, _ in list(family):
            family |= _with_descendants(pid, table)
        if not family:
            break
        time.sleep(0.05)
    table = processes()
    for pid, _ in list(family):
        family |= _with_descendants(pid, table)
    for process in family:
        if _alive(process, table):
            _signal(process[0], signal.SIGKILL)
    for pid, _ in roots:
        try:
            os.killpg(pid, signal.SIGKILL)  # what its group still holds
        except (ProcessLookupError, PermissionError):
            pass  # the group is empty


def processes() -> dict[int, tuple[int, str, str]]:
    """Every process: pid -> (parent's pid, when it started, state)."""
    if not Path("/proc/self/stat").exists():
        return _processes_of_ps()
    table: dict[int, tuple[int, str, str]] = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            text = Path(f"/proc/{entry}/stat").read_text(errors="replace")
        except OSError:
            continue  # it ended meanwhile
        # The command's name, in parentheses, may hold anything.
        fields = text.rpartition(")")[2].split()
        table[int(entry)] = (int(fields[1]), fields[19], fields[0])
    return table


def _processes_of_ps() -> dict[int, tuple[int, str, str]]:
    """The same where there is no /proc (macOS)."""
    listing = subprocess.run(
        ["ps", "-axo", "pid=,ppid=,state=,lstart="],
        capture_output=True,
        text=True,
        check=False,
    )
    table: dict[int, tuple[int, str, str]] = {}
    for line in listing.stdout.splitlines():
        pid, parent, state, started = line.split(None, 3)
        table[int(pid)] = (int(parent), started, state[:1])
    return table


def mark(pid: int) -> str:
    """A process by its id and start, so that a later one with the same id differs."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        found = processes().get(pid) if not Path("/proc/self/stat").exists() else None
        return f"{pid}@{found[1]}" if found else f"{pid}@"
    return f"{pid}@{text.rpartition(')')[2].split()[19]}"


def lives(marked: str) -> bool:
    """Whether the process that `mark` described still runs on this machine."""
    pid, _, started = marked.partition("@")
    if not pid.isdigit() or not started:
        return False
    return _alive((int(pid), started), processes())


def _with_descendants(
    pid: int, table: Mapping[int, tuple[int, str, str]]
) -> set[Process]:
    if pid not in table:
        return set()
    children: dict[int, list[int]] = {}
    for one, (parent, _, _) in table.items():
        children.setdefault(parent, []).append(one)
    found: set[Process] = set()
    todo = [pid]
    while todo:
        one = todo.pop()
        found.add((one, table[one][1]))
        todo += children.get(one, [])
    return found


def _alive(process: Process, table: Mapping[int, tuple[int, str, str]]) -> bool:
    pid, started = process
    return pid in table and table[pid][1] == started and table[pid][2] not in "ZX"


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass  # it ended meanwhile


def _how(status: int) -> str:
    if status < 0:
        return f"by {signal.Signals(-status).name}"
    return f"status {status}"


def python(*arguments: str) -> list[str]:
    """A command line that runs this Python."""
    return [sys.executable, *arguments]
