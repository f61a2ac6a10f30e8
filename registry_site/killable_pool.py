"""A pool of a worker whose processes may be killed at any moment.

With the queue in files Celery takes billiard's plain pool. There an idle process waits
for work with a lock in its hand, and a lock of billiard's is held for ever by who was
killed with it (the kernel, short of memory, does not ask): no process that follows gets
work again, while the worker looks well. With Redis each process has a pipe of its own.
"""

from __future__ import annotations

import fcntl
import tempfile
from types import TracebackType

from billiard.pool import Pool
from celery.concurrency.prefork import TaskPool


class FileLock:
    """A lock between processes that ends with the process that holds it. It does not
    keep threads of one process apart."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the pool

    def acquire(self) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_EX)

    def release(self) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN)

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


class KillablePool(Pool):  # type: ignore[misc]  # billiard has no types
    """billiard's pool, where its processes share such locks."""

    def _setup_queues(self) -> None:
        super()._setup_queues()
        # Who takes the next task, and who tells a result.
        self._inqueue._rlock = FileLock()
        self._outqueue._wlock = FileLock()


def install() -> None:
    """Let Celery use it where it takes the plain pool."""
    TaskPool.BlockingPool = KillablePool
