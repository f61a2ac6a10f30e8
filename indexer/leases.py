"""Leases: the right to work on one row of the database, a repository or a connection,
one worker at a time. It runs out when its holder dies, so that another takes over."""

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
from typing import Any, Protocol
from uuid import UUID

from django.conf import settings
from django.db import Error, InterfaceError, OperationalError, connection
from django.db.models import F, Q
from django.utils import timezone

from indexer import processes
from indexer.ingest import LeaseLost
from indexer.models import ActionLog, Connection, Repository

logger = logging.getLogger(__name__)

FIRST_PAUSE = timedelta(minutes=1)  # after a failure; doubles with each more
LONGEST_PAUSE = timedelta(hours=1)
MAIN_VARIABLE = "MUSTER_WORKER_PID"  # a worker's children find its process id there

# The connection broke, or the database was in the way: what was done may be done again
# by a new one. What a COMMIT did whose answer was lost is looked up there.
PASSING = (OperationalError, InterfaceError)
GIVE_BACK_TRIES = (0.0, 0.2, 1.0)  # seconds before each

Leased = type[Repository] | type[Connection] | type[ActionLog]


class Renewed(Protocol):
    """What is renewed: a lease of the row `pk` of `rows`."""

    @property
    def rows(self) -> Leased: ...
    @property
    def pk(self) -> int: ...
    @property
    def lease_id(self) -> UUID: ...
    @property
    def lost(self) -> threading.Event: ...


@dataclass(slots=True)
class Held:
    """The right to work on the row `pk` of `rows`, until it runs out or is given
    back. Requests up to `seen_seq` are answered by this work."""

    rows: Leased
    pk: int
    lease_id: UUID
    seen_seq: int
    lost: threading.Event = field(default_factory=threading.Event, kw_only=True)

    def check(self) -> None:
        """Raise LeaseLost if another may hold it by now."""
        if self.lost.is_set():
            name = self.rows._meta.verbose_name
            raise LeaseLost(f"The lease of {name} {self.pk} ran out.")


def take(
    rows: Leased, pk: int, lease_id: UUID, owed: Q, now: datetime, **fields: object
) -> bool:
    """Take the lease of a row that is `owed` work and free, by one UPDATE; False if
    there is nothing to do or another is at it."""
    taken = rows._default_manager.filter(owed, pk=pk, lease_id=None).update(
        lease_id=lease_id,
        lease_expires_at=now + settings.MUSTER_LEASE,
        lease_holder=holder(),
        **fields,
    )
    return bool(taken)


def hold(lease: Held) -> None:
    """Go on only while the lease is ours; the row is locked until the caller's
    transaction ends. Raises LeaseLost."""
    held = lease.rows._default_manager.filter(pk=lease.pk, lease_id=lease.lease_id)
    if not held.update(lease_id=lease.lease_id):
        name = lease.rows._meta.verbose_name
        raise LeaseLost(f"The lease of {name} {lease.pk} is another's.")


def asked() -> Q:
    """Rows of which somebody asked for work."""
    return Q(requested_seq__gt=F("done_seq"))


def ran_out(now: datetime) -> Q:
    """Leases whose holder is silent for too long: they ran out, or would last longer
    than any does, so that the clock was set back since and nobody renewed them."""
    return Q(lease_expires_at__lte=now) | Q(
        lease_expires_at__gt=now + 2 * settings.MUSTER_LEASE
    )


def not_woken_for(now: datetime) -> Q:
    """Rows of which no message is on its way that was sent lately. One of the future
    was sent before the clock was set back."""
    return (
        Q(enqueued_at=None)
        | Q(enqueued_at__lte=now - 2 * settings.MUSTER_WAKE_INTERVAL)
        | Q(enqueued_at__gt=now)
    )


def database_now() -> datetime:
    """The time by the clock all workers share: PostgreSQL's, or, on SQLite, this
    machine's. A worker whose own clock is wrong does no harm then."""
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now


def holder() -> str:
    """Who we are, in `lease_holder`: host/main/self, the latter two as process marks.
    `main` is the worker whose child we are, or ourselves."""
    main = int(os.environ.get(MAIN_VARIABLE, os.getpid()))
    return f"{host_name()}/{processes.mark(main)}/{processes.mark(os.getpid())}"


def host_name() -> str:
    return socket.gethostname()[:100]


@contextmanager
def given_back(
    rows: Leased, lease_id: UUID, free: dict[str, Any], **which: object
) -> Iterator[None]:
    """If the block raises, nobody is at the row any more: make it `free` at once, by a
    new connection, for the old one may be what failed. A lease is held by who works."""
    try:
        yield
    except BaseException:
        _give_back(rows, lease_id, free, **which)
        raise


def _give_back(
    rows: Leased, lease_id: UUID, free: dict[str, Any], **which: object
) -> None:
    for pause in GIVE_BACK_TRIES:
        time.sleep(pause)
        drop_connection()
        try:
            rows._default_manager.filter(lease_id=lease_id, **which).update(**free)
        except Error as error:
            logger.warning("A lease could not be given back: %s", error)
        else:
            return


def drop_connection() -> None:
    """Let Django open a new connection: the old one may lead to a server that died."""
    if not connection.in_atomic_block:
        connection.close()


@contextmanager
def renewing(lease: Renewed) -> Iterator[None]:
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


def _renew(lease: Renewed, stop: threading.Event) -> None:
    life = settings.MUSTER_LEASE.total_seconds()
    renewed = time.monotonic()
    while not stop.wait(life / 4):
        try:
            held = lease.rows._default_manager.filter(
                pk=lease.pk, lease_id=lease.lease_id
            ).update(lease_expires_at=database_now() + settings.MUSTER_LEASE)
            if not held:
                lease.lost.set()
                return
            renewed = time.monotonic()
        except Error as error:
            logger.warning("The lease could not be renewed, trying on: %s", error)
        finally:
            connection.close()
        if time.monotonic() - renewed > life:
            lease.lost.set()
            return


def pause(failures: int) -> timedelta:
    """How long to wait after so many failures in a row: doubled each time, with a
    little chance so that many do not come back at once."""
    longest: timedelta = max(LONGEST_PAUSE, settings.MUSTER_CRAWL_INTERVAL)
    grown: timedelta = min(FIRST_PAUSE * 2 ** min(failures - 1, 20), longest)
    return grown * random.uniform(1.0, 1.2)  # noqa: S311


def clock(at: datetime) -> str:
    """A time of day for a sentence."""
    return f"{at:%H:%M} UTC"
