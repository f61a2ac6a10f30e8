"""The Celery application and its schedule."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "registry_site.settings")
app = Celery("muster")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_ready.connect
def look_for_work(sender: Any, **_: Any) -> None:
    """A worker that starts looks at once for what is owed, not at the next half
    minute."""
    app.send_task("muster.enqueue_due", expires=60, retry=False)
