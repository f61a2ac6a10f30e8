"""The Celery application and its schedule."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import worker_process_init, worker_ready
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from kombu.exceptions import OperationalError

from registry_site import alive, file_queue
from registry_site.steady import Steady

# How many messages may wait when one more is put to them. One that does not get in is
# not missed: whoever takes the others does all that is owed, and the scheduler sends
# again. What there are few of finds room where crawls alone have filled theirs.
ROOM = {"muster.crawl": 40, "muster.poll": 60}
ROOM_OF_OTHERS = 100


class Muster(Celery):  # type: ignore[misc]  # Celery has no types
    """Celery, with a queue that is never long, however long nobody reads it.

    A message does not expire: that compares the clocks of two machines, and a worker
    whose clock is ahead would drop all it is sent."""

    def send_task(
        self, name: str, *args: Any, producer: Any = None, **options: Any
    ) -> Any:
        """Send it; None where enough are waiting already."""
        with self.producer_or_acquire(producer) as sender:
            if self._waiting(sender) >= ROOM.get(name, ROOM_OF_OTHERS):
                return None
            return super().send_task(name, *args, producer=sender, **options)

    def _waiting(self, producer: Any) -> int:
        """How many messages nobody has taken yet. Raises OperationalError."""
        at = producer.connection
        queue = self.conf.task_default_queue
        try:
            if getattr(producer.channel, "closed", False):
                # A message that failed half-way leaves it so, and it stays so.
                producer.revive(at.channel())
            return int(producer.channel.queue_declare(queue=queue).message_count)
        except (*at.connection_errors, *at.channel_errors) as error:
            raise OperationalError(str(error)) from error


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "registry_site.settings")
app = Muster("muster")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

try:
    broker_url = app.conf.broker_url  # the first look at the settings
except ImproperlyConfigured as error:
    # One sentence, as manage.py gives it, and not a page of where it was raised.
    sys.exit(f"Muster cannot start. {error}")
for entry in app.conf.beat_schedule.values():
    entry["schedule"] = Steady(entry["schedule"])
if broker_url.startswith("filesystem:"):
    file_queue.install()
    if "worker" in sys.argv:  # others need no pool, and its import takes long
        from registry_site import killable_pool

        killable_pool.install()
    # kombu lists the folders of a queue in files and does not make them.
    for name in ("data_folder_in", "data_folder_out", "control_folder"):
        folder = Path(app.conf.broker_transport_options[name])
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

if app.conf.worker_direct:
    alive.install(
        app,
        Path(settings.MUSTER_ALIVE_FILE),
        every=settings.MUSTER_WAKE_INTERVAL.total_seconds(),
        longest=settings.CELERY_TASK_TIME_LIMIT,
    )


@worker_ready.connect
def look_for_work(sender: Any, **_: Any) -> None:
    """A worker that starts looks at once for what is owed, not at the next half
    minute."""
    app.send_task("muster.enqueue_due", retry=False)


@worker_process_init.connect
def remember_worker(**_: Any) -> None:
    """Let a child know its worker (indexer/jobs.py says what for)."""
    os.environ["MUSTER_WORKER_PID"] = str(os.getppid())
