"""Muster as real processes, for tests: each with a data directory of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from indexer.processes import processes

ROOT = Path(__file__).resolve().parent.parent
# Without setproctitle, which a development tool brings along: processes that name
# themselves anew could not be found by their command line or their environment.
UNTITLED = str(ROOT / "tests/untitled")
MANAGE = [sys.executable, str(ROOT / "manage.py")]


def environment(data: Path, **more: str) -> dict[str, str]:
    """The environment of an installation in `data`, and of nobody else's."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH"}
    }
    return {
        **kept,
        "MUSTER_DATA": str(data),
        "MUSTER_DEMO": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, (UNTITLED, kept.get("PYTHONPATH")))),
        **more,
    }


def manage(
    *arguments: str, env: dict[str, str], check: bool = True, seconds: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run one management command to its end."""
    done = subprocess.run(
        [*MANAGE, *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        cwd=ROOT,
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def wait_until(done: Callable[[], object], seconds: float = 20, what: str = "") -> None:
    """Ask `done` again and again until it is true."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, f"it did not happen in {seconds} s: {what}"
        time.sleep(0.03)


def marked(data: Path) -> set[int]:
    """Processes, zombies aside, that have this data directory in their environment."""
    mark = f"MUSTER_DATA={data}".encode()
    found = set()
    for pid, (_, _, state) in processes().items():
        try:
            inherited = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if mark in inherited and state not in "ZX":
            found.add(pid)
    return found


@dataclass
class Running:
    """A program that was started, and what it has written so far."""

    process: subprocess.Popen[bytes]
    log: Path
    env: dict[str, str] = field(repr=False)

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for(self, text: str, seconds: float = 30) -> None:
        """Wait until it has written `text`; fail at once if it ends before."""

        def written() -> bool:
            assert text in self.said or self.process.poll() is None, self.said
            return text in self.said

        wait_until(written, seconds, f"{text!r} in: {self.said[-3000:]}")

    def end(self, number: signal.Signals = signal.SIGTERM, seconds: float = 10) -> int:
        """Send a signal and wait; the status."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


@contextmanager
def running(
    command: list[str], env: dict[str, str], log: Path, *, session: bool = True
) -> Iterator[Running]:
    """A program in a session of its own, which is killed whole at the end."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            command,
            env=env,
            stdout=out,
            stderr=out,
            cwd=ROOT,
            start_new_session=session,
        )
    try:
        yield Running(process, log, env)
    finally:
        kill_family(process.pid)
        process.wait()


def kill_family(pid: int) -> None:
    """SIGKILL a process and all that came from it, the same instant for all."""
    table = processes()
    todo, family = [pid], []
    while todo:
        one = todo.pop()
        family.append(one)
        todo += [child for child, (parent, _, _) in table.items() if parent == one]
    for one in family:
        try:
            os.kill(one, signal.SIGKILL)
        except ProcessLookupError:
            continue
