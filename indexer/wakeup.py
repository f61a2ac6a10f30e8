"""Waking a worker through the queue, which may be down or hang at any time.

A page that asks for a crawl has put it into the job list already; here it only tells
the queue. That happens in a thread behind a short list: a Redis that hangs blocks the
thread and no page, and a wake-up that is lost is made good by the scheduler."""

from __future__ import annotations

import logging
import queue

from indexer.background import Background

logger = logging.getLogger(__name__)

LONGEST_LIST = 1000
CRAWL, POLL = "muster.crawl", "muster.poll"  # tasks, of indexer/tasks.py


def wake(row_id: int, task: str = CRAWL) -> None:
    """Tell a worker, soon and without waiting: of a repository to crawl, or of a
    connection to look at (POLL). Never raises."""
    try:
        _background.put((row_id, task))
    except queue.Full:
        logger.debug("The queue hangs; the scheduler will wake %s.", row_id)


def flush(seconds: float) -> bool:
    """Wait until all is sent, at most so long; for a process about to end."""
    return _background.flush(seconds)


def send(row_id: int, task: str = CRAWL) -> bool:
    """Put one message into the queue. False if enough wait there already, or, with a
    line in the log, if it cannot be reached; may block as long as the transport's time
    limits allow."""
    from kombu.exceptions import KombuError, OperationalError

    from registry_site.celery import app

    try:
        return app.send_task(task, (row_id,), retry=False) is not None
    except (OperationalError, KombuError, OSError) as error:
        logger.warning("The queue cannot be reached (%s); nothing is lost.", error)
        return False


def _send(message: tuple[int, str]) -> None:
    send(*message)


_background: Background[tuple[int, str]] = Background(
    "muster-wake",
    _send,
    longest=LONGEST_LIST,
    if_lost="A wake-up could not be sent; the scheduler will.",
)
