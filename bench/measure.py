"""Running and timing processes, and the table that says how it went."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable


class Failed(Exception):
    """A process that was to be measured ended badly; the text says which and how."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a process took: seconds of wall time, seconds of processor with its
    children's, megabytes of memory at its peak (its own, or that of its largest
    child), and what it printed."""

    seconds: float
    processor: float
    megabytes: float
    output: str


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """This machine's environment and `environment`. Bytecode is kept: without it the
    start of Python would compile our modules, while gto's were compiled by pip."""
    kept = {**os.environ, **environment}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return kept


def run(
    arguments: Sequence[str], *, environment: Mapping[str, str] | None = None
) -> Run:
    """Run a process to its end and measure it. Raises Failed."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        arguments,
        cwd=ROOT,
        env=inherited(environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # communicate() would reap the process and lose its resource usage.
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        output = process.stdout.read()
        complaint = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        last = (complaint or output).strip().splitlines()[-1:]
        raise Failed(f"{' '.join(arguments)} ended with {process.returncode}: {last}")
    processor = usage.ru_utime + usage.ru_stime
    return Run(seconds, processor, usage.ru_maxrss / 1024, output)


def manage(*arguments: str, environment: Mapping[str, str]) -> Run:
    """Run a command of manage.py."""
    return run([PYTHON, "manage.py", *arguments], environment=environment)


def family(pid: int) -> list[int]:
    """The process and its children, by /proc."""
    found = [pid]
    for parent in found:
        children = Path(f"/proc/{parent}/task/{parent}/children")
        if children.exists():
            found += [int(child) for child in children.read_text().split()]
    return found


def high_water(pid: int) -> float:
    """The most memory a process ever had, in megabytes; 0 if it is gone."""
    return _memory(pid, "VmHWM")


def resident(pid: int) -> float:
    """The memory a process has, in megabytes; 0 if it is gone."""
    return _memory(pid, "VmRSS")


def processor(pid: int) -> float:
    """The seconds of processor that a process took so far; 0 if it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return 0.0
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int, line_of: str) -> float:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return next(
        (int(line.split()[1]) / 1024 for line in text.splitlines() if line_of in line),
        0.0,
    )


@dataclass(slots=True)
class Table:
    """What was measured against what is required."""

    short: int = 0
    _seen: list[str] = field(default_factory=list)

    def head(self, title: str) -> None:
        """Begin a part."""
        print(f"\n{title}")

    def ratio(
        self,
        what: str,
        measured: float,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
        unit: str = "×",
        note: str = "",
    ) -> None:
        """One line: what, measured, required, whether it holds."""
        holds = (at_least is None or measured >= at_least) and (
            at_most is None or measured <= at_most
        )
        self.short += not holds
        wanted = f"≥ {at_least:g}" if at_least is not None else f"≤ {at_most:g}"
        self._print(
            what, f"{measured:.3g}{unit}", f"{wanted}{unit}", holds=holds, note=note
        )

    def fact(self, what: str, measured: object, required: object) -> None:
        """One line whose measured value must be the required one."""
        holds = measured == required
        self.short += not holds
        self._print(what, str(measured), str(required), holds=holds, note="")

    def note(self, text: str) -> None:
        """A line that is measured and not required."""
        print(f"  {text}")

    def _print(
        self, what: str, measured: str, required: str, *, holds: bool, note: str
    ) -> None:
        verdict = "ok" if holds else "SHORT"
        line = f"  {what:<58} {measured:>9}  {required:>9}  {verdict:<5}  {note}"
        print(line.rstrip(), flush=True)


@contextmanager
def postgres_database(name: str) -> Iterator[str | None]:
    """The URL of a new, empty PostgreSQL database that is dropped in the end; None if
    MUSTER_TEST_POSTGRES names no server that answers."""
    import psycopg
    from psycopg import sql

    server = os.environ.get("MUSTER_TEST_POSTGRES", "")
    if not server:
        yield None
        return
    try:
        connection = psycopg.connect(server, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError:
        yield None
        return
    unique = sql.Identifier(f"{name}_{os.getpid()}")
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(unique)
    with connection:
        connection.execute(drop)
        connection.execute(sql.SQL("CREATE DATABASE {}").format(unique))
    try:
        yield f"{server.rpartition('/')[0]}/{name}_{os.getpid()}"
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(drop)
