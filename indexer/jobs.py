"""The database is the job list; the queue is only a wake-up.

A crawl is owed when somebody asked (`requested_seq > done_seq`) or its time has come
(`next_crawl_at`). Whoever takes a repository's lease does it, one at a time; the lease
runs out when its holder dies, and the scheduler wakes whatever is owed again. So a
killed worker, a lost message or a flushed queue costs a minute and never a crawl.
"""

from __future__ import annotations

import logging
import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from indexer import processes, wakeup
from indexer.ingest import LeaseLost, fence
from indexer.models import Crawl, Repository

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 3  # begun and never ended, before a repository is put aside
ASIDE = timedelta(hours=1)
FIRST_PAUSE = timedelta(minutes=1)  # after a failure; doubles with each more
LONGEST_PAUSE = timedelta(hours=1)
ENQUEUE_LIMIT = 200  # repositories in one round
LEASE_FIELDS = ("pk", "lease_id", "lease_holder", "attempts")
MAIN_VARIABLE = "MUSTER_WORKER_PID"  # a worker's children find its process id there
KEPT_CRAWLS = 50  # rows per repository


@dataclass(slots=True)
class Lease:
    """The right to crawl one repository, until it runs out or is given back."""

    repository_id: int
    lease_id: UUID
    crawl: Crawl
    seen_seq: int  # requests up to here are answered by this crawl
    lost: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raise LeaseLost if another may hold it by now."""
        if self.lost.is_set():
            raise LeaseLost(f"The lease of repository {self.repository_id} ran out.")


def database_now() -> datetime:
    """The time by the clock all workers share: PostgreSQL's, or, on SQLite, this
    machine's. A worker whose own clock is wrong does no harm then."""
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now


def owed(now: datetime) -> Q:
    """Repositories that are to be crawled now."""
    return Q(is_enabled=True) & (
        Q(requested_seq__gt=F("done_seq")) | Q(next_crawl_at__lte=now)
    )


def request_crawl(
    repository: Repository,
    *,
    trigger: Crawl.Trigger,
    by: str = "",
    wake: bool = True,
) -> None:
    """Ask for a crawl that begins after now, and `wake` a worker for it. One that
    runs already does not count: what made us ask may have come after it looked."""
    Repository.objects.filter(pk=repository.pk).update(
        requested_seq=F("requested_seq") + 1,
        requested_trigger=trigger,
        requested_by=by[:200],
        **({"enqueued_at": database_now()} if wake else {}),
    )
    if wake:
        transaction.on_commit(lambda: wakeup.wake(repository.pk))


def claim(
    repository_id: int,
    *,
    trigger: Crawl.Trigger | None = None,
    requested_by: str = "",
) -> Lease | None:
    """Take the lease of a repository that is owed a crawl, count the attempt and open
    its Crawl row; None if nothing is owed or another is at it. `trigger` None: as the
    request says."""
    lease_id = uuid4()
    with transaction.atomic():
        now = database_now()
        reap(now, repository_id)
        free = Repository.objects.filter(owed(now), pk=repository_id, lease_id=None)
        taken = free.update(
            lease_id=lease_id,
            lease_expires_at=now + settings.MUSTER_LEASE,
            lease_holder=holder(),
            attempts=F("attempts") + 1,
        )
        if not taken:
            return None
        row = Repository.objects.only(
            "requested_seq", "done_seq", "requested_trigger", "requested_by"
        ).get(pk=repository_id)
        if trigger is None:
            asked = row.requested_seq > row.done_seq
            trigger = Crawl.Trigger(
                (row.requested_trigger if asked else "") or Crawl.Trigger.SCHEDULE
            )
            requested_by = row.requested_by if asked else ""
        crawl = Crawl.objects.create(
            repository_id=repository_id,
            trigger=trigger,
            requested_by=requested_by[:200],
            lease_id=lease_id,
            started_at=now,
            phase="Connecting",
        )
    return Lease(repository_id, lease_id, crawl, row.requested_seq)


def holder() -> str:
    """Who we are, in `lease_holder`: host/main/self, the latter two as process marks.
    `main` is the worker whose child we are, or ourselves."""
    main = int(os.environ.get(MAIN_VARIABLE, os.getpid()))
    return f"{_host()}/{processes.mark(main)}/{processes.mark(os.getpid())}"


def _host() -> str:
    return socket.gethostname()[:100]


@contextmanager
def renewing(lease: Lease) -> Iterator[None]:
    """Keep the lease alive while the block runs, from a thread with a connection of
    its own. If it cannot, `lease.lost` is set."""
    stop = threading.Event()
    thread = threading.Thread(
        target=_renew, args=(lease, stop), name="muster-lease", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _renew(lease: Lease, stop: threading.Event) -> None:
    life = settings.MUSTER_LEASE.total_seconds()
    renewed = time.monotonic()
    while not stop.wait(life / 4):
        try:
            held = Repository.objects.filter(
                pk=lease.repository_id, lease_id=lease.lease_id
            ).update(lease_expires_at=database_now() + settings.MUSTER_LEASE)
            if not held:
                lease.lost.set()
                return
            renewed = time.monotonic()
        except DatabaseError as error:
            logger.warning("The lease could not be renewed, trying on: %s", error)
        finally:
            connection.close()
        if time.monotonic() - renewed > life:
            lease.lost.set()
            return


def finish(
    lease: Lease, status: Crawl.Status, *, counts: dict[str, int] | None = None
) -> None:
    """End a crawl well and give the lease back. Raises LeaseLost."""
    with transaction.atomic():
        now = database_now()
        interval = settings.MUSTER_CRAWL_INTERVAL
        fence(
            lease.repository_id,
            lease.lease_id,
            attempts=0,
            failures=0,
            last_crawl_at=now,
            last_success_at=now,
            # Spread out, or repositories added together stay together for ever.
            next_crawl_at=now + interval * random.uniform(0.9, 1.1),  # noqa: S311
        )
        _end(lease, now, status, counts=counts or {})


def fail(
    lease: Lease,
    sentence: str,
    *,
    state: Repository.State = Repository.State.FAILING,
    retry_at: datetime | None = None,
    say_when: bool = False,
) -> None:
    """End a crawl that failed: what we have stays, the next try comes after a pause
    that grows, or at `retry_at`. `say_when` adds that time to the sentence. Raises
    LeaseLost."""
    with transaction.atomic():
        now = database_now()
        fence(lease.repository_id, lease.lease_id)
        failures = Repository.objects.values_list("failures", flat=True).get(
            pk=lease.repository_id
        )
        next_at = max(now + pause(failures + 1), retry_at or now)
        if say_when:
            sentence = sentence.format(when=clock(next_at))
        fence(
            lease.repository_id,
            lease.lease_id,
            attempts=0,
            failures=failures + 1,
            state=state,
            message=sentence,
            last_crawl_at=now,
            next_crawl_at=next_at,
        )
        _end(lease, now, Crawl.Status.FAILED, message=sentence)


def pause(failures: int) -> timedelta:
    """How long to wait after so many failures in a row: doubled each time, with a
    little chance so that many do not come back at once."""
    longest: timedelta = max(LONGEST_PAUSE, settings.MUSTER_CRAWL_INTERVAL)
    grown: timedelta = min(FIRST_PAUSE * 2 ** min(failures - 1, 20), longest)
    return grown * random.uniform(1.0, 1.2)  # noqa: S311


def clock(at: datetime) -> str:
    """A time of day for a sentence."""
    return f"{at:%H:%M} UTC"


def _end(
    lease: Lease,
    now: datetime,
    status: Crawl.Status,
    *,
    message: str = "",
    counts: dict[str, int] | None = None,
) -> None:
    """Close the Crawl row and give the lease back, in the caller's transaction."""
    Repository.objects.filter(pk=lease.repository_id).update(
        done_seq=lease.seen_seq,
        lease_id=None,
        lease_expires_at=None,
        lease_holder="",
        enqueued_at=None,
    )
    crawl = lease.crawl
    crawl.status, crawl.message, crawl.finished_at = status, message, now
    crawl.counts = counts or {}
    crawl.phase, crawl.done, crawl.total = "", 0, 0
    crawl.save(
        update_fields=[
            "status", "message", "finished_at", "counts", "phase", "done", "total",
        ]
    )  # fmt: skip
    _prune(crawl)


def _prune(crawl: Crawl) -> None:
    """Keep the newest rows; of scheduled crawls in a row that found nothing new only
    the last says anything."""
    others = Crawl.objects.filter(repository_id=crawl.repository_id).exclude(
        pk=crawl.pk
    )
    newest = others.order_by("-started_at", "-pk")
    old = list(newest.values_list("pk", flat=True)[KEPT_CRAWLS - 1 :])
    if crawl.status == Crawl.Status.UNCHANGED:
        before = newest.first()
        if (
            before is not None
            and before.status == Crawl.Status.UNCHANGED
            and before.trigger == crawl.trigger == Crawl.Trigger.SCHEDULE
        ):
            old.append(before.pk)
    if old:
        others.filter(pk__in=old).delete()


def reap(now: datetime, repository_id: int | None = None) -> int:
    """End what died: leases that ran out are freed, their crawls marked as lost, and
    a repository that has killed its crawl again and again is put aside for a while.
    Returns how many leases were freed."""
    dead = Repository.objects.filter(lease_expires_at__lte=now)
    running = Crawl.objects.filter(status=Crawl.Status.RUNNING)
    if repository_id is not None:
        dead = dead.filter(pk=repository_id)
        running = running.filter(repository_id=repository_id)
    freed = 0
    for row in dead.values(*LEASE_FIELDS):
        with transaction.atomic():
            held = Repository.objects.filter(
                pk=row["pk"], lease_id=row["lease_id"], lease_expires_at__lte=now
            )
            freed += _free(held, row, now)
    # A crawl without its lease: its end could not be written.
    running.exclude(lease_id=F("repository__lease_id")).update(
        status=Crawl.Status.LOST, finished_at=now, message=_lost_sentence()
    )
    return freed


def free_leases(*, everybody: bool) -> int:
    """Free leases whose holder cannot live: all if `everybody` is known to be dead,
    else those of processes of this host that are gone. For a start after a crash.
    Returns how many."""
    now = database_now()
    freed = 0
    for row in Repository.objects.exclude(lease_id=None).values(*LEASE_FIELDS):
        host, _, rest = row["lease_holder"].partition("/")
        own = rest.partition("/")[2]
        if not everybody and (host != _host() or processes.lives(own)):
            continue
        with transaction.atomic():
            held = Repository.objects.filter(pk=row["pk"], lease_id=row["lease_id"])
            freed += _free(held, row, now)
    return freed


def _attempts(row: dict[str, Any]) -> int:
    """The attempts that count against a repository. A worker that was killed as a
    whole, or a machine that went down, says nothing about what it was reading; a child
    that died while its worker lives on does."""
    host, _, rest = row["lease_holder"].partition("/")
    main, _, own = rest.partition("/")
    whole = host == _host() and main != own and not processes.lives(main)
    counted: int = row["attempts"] - whole
    return max(0, counted)


def _free(held: QuerySet[Repository], row: dict[str, Any], now: datetime) -> int:
    attempts = _attempts(row)
    freed = held.update(
        lease_id=None,
        lease_expires_at=None,
        lease_holder="",
        enqueued_at=None,
        attempts=attempts,
    )
    if not freed:
        return 0
    repository_id = row["pk"]
    Crawl.objects.filter(
        repository_id=repository_id, status=Crawl.Status.RUNNING
    ).update(status=Crawl.Status.LOST, finished_at=now, message=_lost_sentence())
    if attempts >= MAX_ATTEMPTS:
        Repository.objects.filter(pk=repository_id).update(
            state=Repository.State.FAILING,
            message=(
                f"Muster was interrupted {attempts} times in a row while it crawled "
                "this repository, so it waits until "
                f"{clock(now + ASIDE)} before the next try. If this goes on, look in "
                "the worker's log; memory may be short."
            ),
            next_crawl_at=now + ASIDE,
            done_seq=F("requested_seq"),
            failures=F("failures") + 1,
            # One more death puts it aside again.
            attempts=MAX_ATTEMPTS - 1,
        )
    return freed


def _lost_sentence() -> str:
    return "The process that did this crawl ended in the middle. It is done again."


def take_due(limit: int = ENQUEUE_LIMIT) -> list[int]:
    """Ids of repositories to wake a worker for, the longest overdue first: owed, free,
    and not enqueued so lately that a message may still come. They count as enqueued
    from now."""
    now = database_now()
    reap(now)
    with transaction.atomic():
        due = list(
            Repository.objects.filter(owed(now), lease_id=None)
            .filter(
                Q(enqueued_at=None)
                | Q(enqueued_at__lte=now - 2 * settings.MUSTER_WAKE_INTERVAL)
            )
            .order_by(F("next_crawl_at").asc(nulls_first=True), "pk")
            .values_list("pk", flat=True)[:limit]
        )
        Repository.objects.filter(pk__in=due).update(enqueued_at=now)
    return due
