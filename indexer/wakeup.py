"""Waking a worker through the queue, which may be down or hang at any time.

A page that asks for a crawl has put it into the job list already; here it only tells
the queue. That happens in a thread behind a short list: a Redis that hangs blocks the
thread and no page, and a wake-up that is lost is made good by the scheduler."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time

logger = logging.getLogger(__name__)

LONGEST_LIST = 1000
CRAWL, POLL = "muster.crawl", "muster.poll"  # tasks, of indexer/tasks.py
MESSAGE_LIFE = 90.0  # seconds; by then the scheduler has sent another

_waiting: queue.Queue[tuple[int, str]] = queue.Queue(LONGEST_LIST)
_lock = threading.Lock()
_thread: threading.Thread | None = None
_thread_pid = 0


def wake(row_id: int, task: str = CRAWL) -> None:
    """Tell a worker, soon and without waiting: of a repository to crawl, or of a
    connection to look at (POLL). Never raises."""
    global _thread, _thread_pid
    try:
        _waiting.put_nowait((row_id, task))
    except queue.Full:
        logger.debug("The queue hangs; the scheduler will wake %s.", row_id)
        return
    with _lock:
        # A thread does not survive a fork; each process starts its own.
        if _thread is None or not _thread.is_alive() or _thread_pid != os.getpid():
            _thread = threading.Thread(target=_run, name="muster-wake", daemon=True)
            _thread_pid = os.getpid()
            _thread.start()


def flush(seconds: float) -> bool:
    """Wait until all is sent, at most so long; for a process about to end."""
    until = time.monotonic() + seconds
    while _waiting.unfinished_tasks and time.monotonic() < until:
        time.sleep(0.02)
    return not _waiting.unfinished_tasks


def send(row_id: int, task: str = CRAWL) -> bool:
    """Put one message into the queue. False, with a line in the log, if it cannot be
    reached; may block as long as the transport's time limits allow."""
    from kombu.exceptions import KombuError, OperationalError

    from registry_site.celery import app

    try:
        app.send_task(task, (row_id,), expires=MESSAGE_LIFE, retry=False)
    except (OperationalError, KombuError, OSError) as error:
        logger.warning("The queue cannot be reached (%s); nothing is lost.", error)
        return False
    return True


def _run() -> None:
    while True:
        row_id, task = _waiting.get()
        try:
            send(row_id, task)
        except Exception:
            logger.exception("A wake-up could not be sent; the scheduler will.")
        finally:
            _waiting.task_done()
