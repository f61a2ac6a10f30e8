"""The database is the job list; the queue is only a wake-up.

A crawl is owed when somebody asked (`requested_seq > done_seq`) or its time has come
(`next_crawl_at`). Whoever takes a repository's lease does it, one at a time; the lease
runs out when its holder dies, and the scheduler wakes whatever is owed again. So a
killed worker, a lost message or a flushed queue costs a minute and never a crawl.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet

from indexer import processes, wakeup
from indexer.budgets import Budget, Unlimited
from indexer.ingest import fence
from indexer.leases import (
    Held,
    asked,
    clock,
    database_now,
    given_back,
    host_name,
    not_woken_for,
    pause,
    ran_out,
    take,
)
from indexer.models import Connection, Crawl, Repository

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 3  # begun and never ended, before a repository is put aside
ASIDE = timedelta(hours=1)
ENQUEUE_LIMIT = 200  # repositories in one round
AT_ONCE = 500  # ids in one UPDATE
WOKEN_AT_ONCE = 8
FEWEST_WAIT = timedelta(seconds=1)
# What a person waits for: it goes first, and may use the requests kept for it.
URGENT = (Crawl.Trigger.BUTTON, Crawl.Trigger.COMMAND, Crawl.Trigger.ACTION)
# What is taken before all that is scheduled.
FIRST = (*URGENT, Crawl.Trigger.HOOK)
LEASE_FIELDS = ("pk", "lease_id", "lease_holder", "attempts")
FREE: dict[str, Any] = {
    "lease_id": None,
    "lease_expires_at": None,
    "lease_holder": "",
    "enqueued_at": None,
}
# Of a crawl that neither ended nor died: it says nothing against the repository.
BROKEN_OFF: dict[str, Any] = FREE | {"attempts": F("attempts") - 1}
KEPT_CRAWLS = 50  # rows per repository


@dataclass(slots=True)
class Lease(Held):
    """The right to crawl one repository."""

    crawl: Crawl
    budget: Budget = field(default_factory=Unlimited)  # of its connection, if any

    @property
    def repository_id(self) -> int:
        return self.pk


def owed(now: datetime) -> Q:
    """Repositories that are to be crawled now. Of a connection that waits for a rate
    limit, only those a person asked for, by the share kept for that; of one whose
    token is refused, none. Names columns of the repository alone, so that an UPDATE
    checks it anew on the row it locks."""
    waiting = Connection.objects.filter(
        state=Connection.State.WAITING, next_poll_at__gt=now
    )
    barred = Connection.objects.filter(
        Q(state__in=(Connection.State.DENIED, Connection.State.DRAFT))
        | Q(is_enabled=False)
    )
    return (
        Q(is_enabled=True, hidden_at=None)
        & (asked() | Q(next_crawl_at__lte=now))
        & ~Q(connection_id__in=barred.values("pk"))
        & (by_person() | ~Q(connection_id__in=waiting.values("pk")))
    )


def by_person() -> Q:
    """Repositories whose crawl a person waits for."""
    return asked() & Q(requested_trigger__in=URGENT)


def request_crawl(
    repository: Repository,
    *,
    trigger: Crawl.Trigger,
    by: str = "",
    wake: bool = True,
) -> None:
    """Ask for a crawl that begins after now, and `wake` a worker for it. One that
    runs already does not count: what made us ask may have come after it looked."""
    request_crawls([repository.pk], trigger=trigger, by=by, wake=wake)


def request_crawls(
    ids: Sequence[int], *, trigger: Crawl.Trigger, by: str = "", wake: bool = True
) -> None:
    """`request_crawl` for many. A few workers are woken; they do all that is owed."""
    fields: dict[str, Any] = {
        "requested_seq": F("requested_seq") + 1,
        "requested_trigger": trigger,
        "requested_by": by[:200],
    }
    if wake:
        fields["enqueued_at"] = database_now()
    for start in range(0, len(ids), AT_ONCE):
        part = ids[start : start + AT_ONCE]
        Repository.objects.filter(pk__in=part).update(**fields)
    if wake:
        for pk in ids[:WOKEN_AT_ONCE]:
            transaction.on_commit(partial(wakeup.wake, pk))


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
    with (
        given_back(Repository, lease_id, BROKEN_OFF, pk=repository_id),
        transaction.atomic(),
    ):
        now = database_now()
        _free_dead(Repository.objects.filter(pk=repository_id), now)
        is_ours = take(
            Repository,
            repository_id,
            lease_id,
            owed(now),
            now,
            attempts=F("attempts") + 1,
        )
        if not is_ours:
            return None
        # Whatever else runs is without its lease: its end could not be written.
        _lose(Crawl.objects.filter(repository_id=repository_id), now)
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
    return Lease(Repository, repository_id, lease_id, row.requested_seq, crawl)


def finish(
    lease: Lease,
    status: Crawl.Status,
    *,
    counts: dict[str, int] | None = None,
    requests: int = 0,
    **fields: object,
) -> None:
    """End a crawl well and give the lease back; `fields` are written with its row.
    Raises LeaseLost."""
    with transaction.atomic():
        now = database_now()
        interval = next_look(lease.repository_id)
        fence(
            lease.repository_id,
            lease.lease_id,
            attempts=0,
            failures=0,
            last_crawl_at=now,
            last_success_at=now,
            checked_at=lease.crawl.started_at,
            # Spread out, or repositories added together stay together for ever.
            next_crawl_at=now + interval,
            **fields,
        )
        _end(lease, now, status, counts=counts or {}, requests=requests)


def next_look(repository_id: int) -> timedelta:
    """How long after a look at a repository the next one is due by itself. What a
    connection polls is seen to change by that; it is looked at all the same within
    MUSTER_RECONCILE_INTERVAL."""
    polled = Repository.objects.filter(
        pk=repository_id, connection__is_enabled=True
    ).exists()
    if polled:
        return reconcile_pause()
    interval: timedelta = settings.MUSTER_CRAWL_INTERVAL
    return interval * random.uniform(0.9, 1.1)  # noqa: S311


def reconcile_pause() -> timedelta:
    """Until the next look at a repository that is polled, spread out."""
    interval: timedelta = settings.MUSTER_RECONCILE_INTERVAL
    return interval * random.uniform(0.8, 1.0)  # noqa: S311


def wait(lease: Lease, sentence: str, *, retry_at: datetime, requests: int = 0) -> None:
    """End a crawl that has to wait for a rate limit: a state with a time, which does
    not count as a failure; what we have stays. All that its connection has on schedule
    waits as well. Raises LeaseLost."""
    with transaction.atomic():
        now = database_now()
        retry_at = max(retry_at, now + FEWEST_WAIT)
        fence(
            lease.repository_id,
            lease.lease_id,
            attempts=0,
            state=Repository.State.WAITING,
            message=sentence,
            next_crawl_at=retry_at,
        )
        _end(lease, now, Crawl.Status.WAITING, message=sentence, requests=requests)
        connection_waits(
            Connection.objects.filter(repositories=lease.repository_id),
            sentence,
            retry_at,
        )


def connection_waits(
    connections: QuerySet[Connection], sentence: str, until: datetime
) -> None:
    """Nothing scheduled is asked of these connections before `until`."""
    ids = connections.exclude(
        state__in=(Connection.State.DENIED, Connection.State.DRAFT)
    ).values_list("pk", flat=True)
    Connection.objects.filter(pk__in=list(ids)).update(
        state=Connection.State.WAITING, message=sentence, next_poll_at=until
    )


def fail(
    lease: Lease,
    sentence: str,
    *,
    state: Repository.State = Repository.State.FAILING,
    say_when: bool = False,
    requests: int = 0,
) -> None:
    """End a crawl that failed: what we have stays, the next try comes after a pause
    that grows. `say_when` adds that time to the sentence. Raises LeaseLost."""
    with transaction.atomic():
        now = database_now()
        fence(lease.repository_id, lease.lease_id)
        failures = Repository.objects.values_list("failures", flat=True).get(
            pk=lease.repository_id
        )
        next_at = now + pause(failures + 1)
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
        _end(lease, now, Crawl.Status.FAILED, message=sentence, requests=requests)


def _end(
    lease: Lease,
    now: datetime,
    status: Crawl.Status,
    *,
    message: str = "",
    counts: dict[str, int] | None = None,
    requests: int = 0,
) -> None:
    """Close the Crawl row and give the lease back, in the caller's transaction."""
    Repository.objects.filter(pk=lease.repository_id).update(
        done_seq=lease.seen_seq, **FREE
    )
    crawl = lease.crawl
    crawl.status, crawl.message, crawl.finished_at = status, message, now
    crawl.counts, crawl.requests = counts or {}, requests
    crawl.phase, crawl.done, crawl.total = "", 0, 0
    crawl.save(
        update_fields=[
            "status", "message", "finished_at", "counts", "requests", "phase", "done",
            "total",
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


def reap(now: datetime) -> int:
    """End what died: leases that ran out are freed, their crawls marked as lost, and
    a repository that has killed its crawl again and again is put aside for a while.
    Returns how many leases were freed."""
    freed = _free_dead(Repository.objects.all(), now)
    # A crawl without its lease: its end could not be written.
    _lose(Crawl.objects.exclude(lease_id=F("repository__lease_id")), now)
    return freed


def _free_dead(repositories: QuerySet[Repository], now: datetime) -> int:
    """Free the leases that ran out. Returns how many."""
    freed = 0
    for row in repositories.filter(ran_out(now)).values(*LEASE_FIELDS):
        with transaction.atomic():
            held = Repository.objects.filter(
                ran_out(now), pk=row["pk"], lease_id=row["lease_id"]
            )
            freed += _free(held, row, now)
    return freed


def _lose(crawls: QuerySet[Crawl], now: datetime) -> None:
    """Mark those of these crawls that run as lost."""
    crawls.filter(status=Crawl.Status.RUNNING).update(
        status=Crawl.Status.LOST,
        finished_at=now,
        message="The process that did this crawl ended in the middle. It is done "
        "again.",
    )


def free_leases(*, everybody: bool) -> int:
    """Free leases whose holder cannot live: all if `everybody` is known to be dead,
    else those of processes of this host that are gone. For a start after a crash.
    Returns how many."""
    now = database_now()
    freed = 0
    for row in Repository.objects.exclude(lease_id=None).values(*LEASE_FIELDS):
        if not everybody and not is_dead_here(row["lease_holder"]):
            continue
        with transaction.atomic():
            held = Repository.objects.filter(pk=row["pk"], lease_id=row["lease_id"])
            freed += _free(held, row, now)
    for looked in Connection.objects.exclude(lease_id=None).values(*LEASE_FIELDS[:3]):
        if everybody or is_dead_here(looked["lease_holder"]):
            freed += Connection.objects.filter(
                pk=looked["pk"], lease_id=looked["lease_id"]
            ).update(**FREE)
    return freed


def is_dead_here(holder: str) -> bool:
    """Whether it names a process of this host that is gone."""
    host, _, rest = holder.partition("/")
    return host == host_name() and not processes.lives(rest.partition("/")[2])


def _attempts(row: dict[str, Any]) -> int:
    """The attempts that count against a repository. A worker that was killed as a
    whole, or a machine that went down, says nothing about what it was reading; a child
    that died while its worker lives on does."""
    host, _, rest = row["lease_holder"].partition("/")
    main, _, own = rest.partition("/")
    whole = host == host_name() and main != own and not processes.lives(main)
    counted: int = row["attempts"] - whole
    return max(0, counted)


def _free(held: QuerySet[Repository], row: dict[str, Any], now: datetime) -> int:
    attempts = _attempts(row)
    freed = held.update(attempts=attempts, **FREE)
    if not freed:
        return 0
    repository_id = row["pk"]
    _lose(Crawl.objects.filter(repository_id=repository_id), now)
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


def take_due(limit: int = ENQUEUE_LIMIT) -> list[int]:
    """Ids of repositories to wake a worker for, the longest overdue first: owed, free,
    and not enqueued so lately that a message may still come. They count as enqueued
    from now."""
    now = database_now()
    reap(now)
    with transaction.atomic():
        due = list(
            Repository.objects.filter(owed(now), lease_id=None)
            .filter(not_woken_for(now))
            .order_by(F("next_crawl_at").asc(nulls_first=True), "pk")
            .values_list("pk", flat=True)[:limit]
        )
        Repository.objects.filter(pk__in=due).update(enqueued_at=now)
    return due
