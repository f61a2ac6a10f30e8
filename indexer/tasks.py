"""What Celery calls: doors only. Arguments are ids; running one twice is harmless, for
the job list in the database decides (indexer/jobs.py)."""

from __future__ import annotations

from celery import shared_task
from django.core.management import call_command

from indexer import actions, deliveries, jobs, polling, sign_in, turns, wakeup
from indexer.connections import remove_old_drafts
from indexer.repositories import remove_orphaned_mirrors


@shared_task(name="muster.crawl")
def crawl(repository_id: int) -> None:
    """Crawl one repository, if it is still owed, then what else is."""
    turns.crawl_owed(repository_id)


@shared_task(name="muster.poll")
def poll(connection_id: int) -> None:
    """Look at one connection, if it is still owed, then at what others are."""
    polling.poll_owed(connection_id)


@shared_task(name="muster.enqueue_due", expires=60, soft_time_limit=25, time_limit=30)
def enqueue_due() -> None:
    """Wake a worker for whatever is owed and was not woken for."""
    for connection_id in polling.take_due():
        if not wakeup.send(connection_id, wakeup.POLL):
            return
    for repository_id in jobs.take_due():
        if not wakeup.send(repository_id):
            return


@shared_task(name="muster.act", expires=60)
def act() -> None:
    """Go on with actions whose process died, or of which it is not known what came."""
    actions.resume_open()


@shared_task(name="muster.alive")
def alive() -> None:
    """Nothing: that it began says that the worker works (registry_site/alive.py)."""


@shared_task(name="muster.tidy", expires=600)
def tidy() -> None:
    """Remove what nobody needs any more."""
    remove_orphaned_mirrors()
    remove_old_drafts()
    deliveries.forget_old()
    sign_in.forget_old()
    call_command("clearsessions")
