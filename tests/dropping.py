"""A database that gets in the way at one point of some work: before a statement, after
one whose answer is lost, before a COMMIT or after it.

On PostgreSQL the server ends the connection's process there, as an administrator or a
restart does. On SQLite another holds the lock for longer than one waits; where it
cannot, because the work holds it, the statement fails as on a disk that has trouble."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import OperationalError, connections

from tests.services import EXHAUSTIVE


@dataclass
class Trouble:
    """Counts the points of some work. At the one that is `chosen` the connection
    breaks, and at those after it, as often as `times` says; `met` says what was done
    there."""

    chosen: int = -1
    times: int = 1
    points: int = 0
    met: str = ""

    def __enter__(self) -> Trouble:
        self.wrapper = connections["default"]
        self.commit = self.wrapper._commit  # type: ignore[attr-defined]
        self.wrapper._commit = self._committing  # type: ignore[attr-defined]
        self.wrapper.execute_wrappers.append(self._executing)
        return self

    def __exit__(self, *_: object) -> None:
        self.wrapper.execute_wrappers.remove(self._executing)
        del self.wrapper._commit  # type: ignore[attr-defined]

    def _executing(
        self,
        execute: Callable[..., Any],
        sql: str,
        params: Any,
        many: Any,
        context: Any,
    ) -> Any:
        def work() -> Any:
            return execute(sql, params, many, context)

        self._point(f"before {sql[:60]}", work)
        answer = work()
        if not sql.lstrip().startswith("SELECT"):
            self._point(f"after {sql[:60]}")
        return answer

    def _committing(self) -> None:
        self._point("before COMMIT")
        self.commit()
        self._point("after COMMIT")

    def _point(self, what: str, work: Callable[[], Any] | None = None) -> None:
        self.points += 1
        if self.points > self.chosen >= 0 and self.times:
            self.times -= 1
            self.met = what
            self._break(work)

    def _break(self, work: Callable[[], Any] | None) -> None:
        if self.wrapper.vendor != "postgresql":
            if work is not None:
                self._lock_out(work)
            raise OperationalError("disk I/O error")
        import psycopg

        settings = self.wrapper.get_connection_params()
        names = {"dbname", "user", "password", "host", "port"}
        with psycopg.connect(
            **{name: settings[name] for name in names & settings.keys()},
            autocommit=True,
        ) as other:
            other.execute(
                "SELECT pg_terminate_backend(%s, 5000)",
                [self.wrapper.connection.info.backend_pid],
            )
        with self.wrapper.wrap_database_errors:
            self.wrapper.connection.execute("SELECT 1")  # as it is said

    def _lock_out(self, work: Callable[[], Any]) -> None:
        """Do it while another writes. Raises OperationalError, if it writes."""
        name = self.wrapper.settings_dict["NAME"]
        with closing(sqlite3.connect(name, timeout=0, isolation_level=None)) as other:
            try:
                other.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return  # the work itself holds the lock
            self.wrapper.connection.execute("PRAGMA busy_timeout=0")
            work()


@contextmanager
def trouble(chosen: int = -1, times: int = 1) -> Iterator[Trouble]:
    with Trouble(chosen, times) as found:
        yield found


def points_of(work: Callable[[], object], usual: int) -> list[int]:
    """The points of some work to break it at: all in `make test-all`, else so many,
    spread over the whole."""
    with trouble() as found:
        work()
    assert found.points > usual
    if EXHAUSTIVE:
        return list(range(found.points))
    return [found.points * one // usual for one in range(usual)]
