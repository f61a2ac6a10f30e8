"""What Celery calls: doors only. Arguments are ids; running one twice is harmless, for
the job list in the database decides (indexer/jobs.py)."""

from __future__ import annotations

from celery import shared_task
from django.core.management import call_command

from indexer import actions, deliveries, jobs, polling, sign_in, turns, wakeup
from indexer.connections import remove_old_drafts
from indexer.models import Connection, Repository
from indexer.repositories import remove_orphaned_mirrors


@shared_task(name="muster.crawl")
def crawl(repository_id: int) -> None:
    """Crawl one repository, if it is still owed, then what else is."""
    turns.crawl_owed(repository_id)


@shared_task(name="muster.poll")
def poll(connection_id: int) -> None:
    """Look at one connection, if it is still owed, then at what others are."""
    polling.poll_owed(connection_id)


@shared_task(name="muster.enqueue_due", soft_time_limit=25, time_limit=30)
def enqueue_due() -> None:
    """Wake a worker for whatever is owed and was not woken for."""
    _wake(Connection, polling.take_due(), wakeup.POLL)
    _wake(Repository, jobs.take_due(), wakeup.CRAWL)


def _wake(rows: type[Connection] | type[Repository], ids: list[int], task: str) -> None:
    """Send for each; those that the queue did not take count as not woken for."""
    for sent, pk in enumerate(ids):
        if not wakeup.send(pk, task):
            left = rows._default_manager.filter(pk__in=ids[sent:])
            left.update(enqueued_at=None)
            return


@shared_task(name="muster.act")
def act() -> None:
    """Go on with actions whose process died, or of which it is not known what came."""
    actions.resume_open()


@shared_task(name="muster.alive")
def alive() -> None:
    """Nothing: that it began says that the worker works (registry_site/alive.py)."""


@shared_task(name="muster.tidy")
def tidy() -> None:
    """Remove what nobody needs any more."""
    remove_orphaned_mirrors()
    remove_old_drafts()
    deliveries.forget_old()
    sign_in.forget_old()
    call_command("clearsessions")
