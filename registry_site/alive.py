"""A worker's sign of life, for its health check.

The main process of a worker answers `celery inspect ping` also while its pool hangs or
it takes no messages any more. So it sends itself an empty task now and then, and every
task that begins in its pool touches a file (MUSTER_ALIVE_FILE): if nobody has touched
it for longer than a task may take, nothing is begun any more. The empty task goes by a
queue of this worker alone, so neither the scheduler nor another worker matters."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import task_prerun, worker_ready
from celery.utils.nodenames import worker_direct
from kombu.exceptions import KombuError

TASK = "muster.alive"

logger = logging.getLogger(__name__)


def install(app: Celery, path: Path, *, every: float, longest: float) -> None:
    """Touch `path` whenever a task begins. A worker asks itself for one `every` so many
    seconds; one that waits behind others is not asked for again, unless it took
    `longest` and is lost."""

    def touch(**_: Any) -> None:
        path.touch()

    def ask_itself(sender: Any, **_: Any) -> None:
        touch()
        threading.Thread(
            target=_ask, args=(app, sender.hostname, path, every, longest), daemon=True
        ).start()

    task_prerun.connect(touch, weak=False)
    worker_ready.connect(ask_itself, weak=False)


def _ask(app: Celery, hostname: str, path: Path, every: float, longest: float) -> None:
    queue = worker_direct(hostname)
    asked = 0.0
    while True:
        touched = path.stat().st_mtime if path.exists() else 0.0
        now = time.time()
        if touched >= asked or now - asked > longest:
            try:
                app.send_task(TASK, queue=queue, retry=False)
                asked = now
            except (KombuError, OSError) as error:
                logger.warning("The queue cannot be reached: %s", error)
        time.sleep(every)
