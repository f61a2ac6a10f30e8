"""Work that nobody waits for: a thread behind a short list, one for the process."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
logger = logging.getLogger(__name__)


class Background(Generic[T]):
    """Does `work` with one item after another. `longest` items may wait; `if_lost` is
    what the log says of one whose work raised."""

    def __init__(
        self, name: str, work: Callable[[T], object], *, longest: int, if_lost: str
    ) -> None:
        self._name = name
        self._work = work
        self._if_lost = if_lost
        self._waiting: queue.Queue[T] = queue.Queue(longest)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._process = 0

    def put(self, item: T) -> None:
        """Do it soon. Raises queue.Full."""
        self._waiting.put_nowait(item)
        with self._lock:
            # A thread does not survive a fork; each process starts its own.
            alive = self._thread is not None and self._thread.is_alive()
            if not alive or self._process != os.getpid():
                self._thread = threading.Thread(
                    target=self._run, name=self._name, daemon=True
                )
                self._process = os.getpid()
                self._thread.start()

    def flush(self, seconds: float) -> bool:
        """Wait until all is done, at most so long. Whether it is."""
        until = time.monotonic() + seconds
        while self._waiting.unfinished_tasks and time.monotonic() < until:
            time.sleep(0.02)
        return not self._waiting.unfinished_tasks

    def _run(self) -> None:
        while True:
            item = self._waiting.get()
            try:
                self._work(item)
            except Exception:
                logger.exception(self._if_lost)
            finally:
                self._waiting.task_done()
