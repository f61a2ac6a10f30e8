"""Polling: what changed at a connection's provider, asked with few requests.

    take the connection's lease → a complete listing, where it is due → what was pushed
    to lately, by a conditional request → the refs of what may have changed, in batches
    → ask for a crawl where they differ; where only branches do, write these

A repository is looked at when its `pushed_at` is another than before, and at least
once in MUSTER_RECONCILE_INTERVAL, for a push of more than three tags raises no event.
GitLab writes its last activity at most once an hour, so its repositories are also
looked at with every third poll, or every twelfth where webhooks can be trusted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import DataError, Error, IntegrityError, transaction
from django.db.models import F, Q, QuerySet

from indexer import hooks, jobs
from indexer.connection_owner import owner_of
from indexer.crawl import fingerprint_of, same_index
from indexer.crypto import WrongKey
from indexer.discovery import discover
from indexer.ingest import LeaseLost
from indexer.leases import (
    Held,
    asked,
    clock,
    database_now,
    drop_connection,
    given_back,
    hold,
    not_woken_for,
    pause,
    ran_out,
    renewing,
    take,
)
from indexer.models import Connection, Crawl, Repository
from indexer.providers import errors
from indexer.providers.base import Host, Listing, RemoteRepository
from indexer.providers.registry import host_for
from indexer.snapshot_rows import write_branches

logger = logging.getLogger(__name__)

MAX_PAGES = 30  # of what was pushed lately; then a complete listing is cheaper
# Part of MUSTER_RECONCILE_INTERVAL after which a poll looks at a repository: before
# a crawl of its own is due.
EARLY = 0.25
GITLAB_POLLS, GITLAB_POLLS_WITH_HOOK = 3, 12
# A time of a push counts whole seconds: another in the same second does not move it.
SETTLED = timedelta(seconds=5)
REST = timedelta(seconds=10)  # between two looks, if only webhooks ask
FREE = {**jobs.FREE, "phase": "", "done": 0, "total": 0}
FINE = (Repository.State.OK, Repository.State.EMPTY)
STATE_OF: Mapping[type[errors.ProviderError], Connection.State] = {
    errors.AccessDenied: Connection.State.DENIED,
    errors.NotFound: Connection.State.FAILING,
    errors.Unavailable: Connection.State.UNREACHABLE,
    errors.RateLimited: Connection.State.WAITING,
}


def owed(now: datetime) -> Q:
    """Connections to look at now. One that failed or waits for a rate limit waits
    until its time comes; one whose token was refused is not used until it changes.
    Webhooks that ask again and again have one look for all of them."""
    due = Q(next_poll_at__isnull=True) | Q(next_poll_at__lte=now)
    rested = Q(polled_at__isnull=True) | Q(polled_at__lte=now - REST)
    well = Q(state__in=(Connection.State.NEW, Connection.State.OK))
    return (
        Q(is_enabled=True)
        & ~Q(state__in=(Connection.State.DRAFT, Connection.State.DENIED))
        & (due | (asked() & well & rested))
    )


def take_due() -> list[int]:
    """Ids of connections to wake a worker for; they count as woken from now."""
    now = database_now()
    _reap(Connection.objects.all(), now)
    with transaction.atomic():
        due = list(
            Connection.objects.filter(owed(now), lease_id=None)
            .filter(not_woken_for(now))
            .order_by(F("next_poll_at").asc(nulls_first=True), "pk")
            .values_list("pk", flat=True)
        )
        Connection.objects.filter(pk__in=due).update(enqueued_at=now)
    return due


def poll(connection_id: int) -> bool:
    """Look at a connection's provider, if that is owed and nobody else is at it.
    Whatever goes wrong becomes a state and a sentence on the connection; its
    repositories keep what they have. Whether it was looked at."""
    lease = _claim(connection_id)
    if lease is None:
        return False
    with renewing(lease), given_back(Connection, lease.lease_id, FREE, pk=lease.pk):
        try:
            _poll(lease)
        except LeaseLost:
            logger.warning("The look at connection %s lost its lease.", lease.pk)
        except (errors.ProviderError, WrongKey) as error:
            _fail(lease, error)
        except Error as error:
            drop_connection()
            if not Connection.objects.filter(pk=lease.pk).exists():
                logger.info("Connection %s was removed during a look at it.", lease.pk)
            elif isinstance(error, DataError | IntegrityError):
                logger.exception("The look at connection %s failed", lease.pk)
                _fail(lease, error)  # it would again, at once
            else:
                raise  # the scheduler wakes another
        except Exception as error:
            logger.exception("The look at connection %s failed", lease.pk)
            _fail(lease, error)
    return True


def poll_owed(connection_id: int, *, seconds: float = 30.0) -> None:
    """Look at a connection, then at whatever others are owed a look, for so long."""
    until = time.monotonic() + seconds
    poll(connection_id)
    while time.monotonic() < until:
        now = database_now()
        rows = Connection.objects.filter(owed(now), lease_id=None)
        following = rows.order_by("next_poll_at", "pk").values_list("pk", flat=True)
        if not any(poll(pk) for pk in following[:5]):
            return


def _claim(connection_id: int) -> Held | None:
    lease_id = uuid4()
    with (
        given_back(Connection, lease_id, FREE, pk=connection_id),
        transaction.atomic(),
    ):
        now = database_now()
        _reap(Connection.objects.all(), now)
        # Crawls that somebody waits for find a worker.
        most = max(1, settings.MUSTER_WORKERS - 1)
        if Connection.objects.exclude(lease_id=None).count() >= most:
            return None
        if not take(Connection, connection_id, lease_id, owed(now), now):
            return None
        seen = Connection.objects.values_list("requested_seq", flat=True)
        return Held(Connection, connection_id, lease_id, seen.get(pk=connection_id))


def _reap(connections: QuerySet[Connection], now: datetime) -> None:
    connections.filter(ran_out(now)).update(**FREE)


def _poll(lease: Held) -> None:
    connection = Connection.objects.get(pk=lease.pk)
    now = database_now()
    host = host_for(connection)
    look = _Look(connection, host, lease, now)
    if _is_discovery_due(connection, now):
        _say(lease, "Listing repositories")
        found = discover(connection, host, lease, look.progress)
        connection.refresh_from_db()
        look.at(found.changed)
        etag = ""
        hooks.ensure_hooks(connection, host)
    else:
        changed, etag = _pushed_since(connection, host, now)
        look.at(changed)
    look.at_rest_is_fine()
    _finish(lease, etag)


def _is_discovery_due(connection: Connection, now: datetime) -> bool:
    at = connection.discovered_at
    return (
        connection.requested_seq > connection.done_seq
        or at is None
        or at <= now - settings.MUSTER_DISCOVERY_INTERVAL
        or owner_of(connection) is None
    )


def _pushed_since(
    connection: Connection, host: Host, now: datetime
) -> tuple[dict[int, RemoteRepository], str]:
    """The repositories that were pushed to since we looked at them, by row, and the
    etag of the answer. The list is read until all of a page is older than what we
    know; an answer that nothing changed costs nothing."""
    owner = owner_of(connection) or host.find_owner(connection.owner)
    known = {
        row.provider_id: row
        for row in _rows(connection).only("provider_id", "pushed_at")
    }
    newest = max(
        (row.pushed_at for row in known.values() if row.pushed_at), default=None
    )
    changed: dict[int, RemoteRepository] = {}
    first_etag = connection.poll_etag
    for number in range(1, MAX_PAGES + 1 if known else 1):
        page = host.pushed_lately(
            owner,
            with_subgroups=connection.with_subgroups,
            etag=connection.poll_etag if number == 1 else "",
            page=number,
        )
        if page.repositories is None:
            return {}, connection.poll_etag
        if number == 1:
            first_etag = page.etag
        for remote in page.repositories:
            row = known.get(remote.id)
            if row is not None and row.pushed_at != remote.pushed_at:
                changed[row.pk] = remote
        oldest = page.repositories[-1].pushed_at if page.repositories else None
        if not page.has_more or (newest and oldest and oldest <= newest):
            break
    if any(_is_fresh(remote, now) for remote in changed.values()):
        first_etag = ""  # the same answer may hold another push next time
    return changed, first_etag


def _is_fresh(remote: RemoteRepository, now: datetime) -> bool:
    """Whether another push may still come in the second of its last one. `now` is
    when the look began, before anything was asked."""
    at = remote.pushed_at
    return at is not None and at > now - SETTLED


def _rows(connection: Connection) -> QuerySet[Repository]:
    """What polling is about: a connection's repositories in the catalog."""
    return Repository.objects.filter(
        connection=connection, hidden_at=None, is_enabled=True
    ).exclude(provider_id="")


@dataclass(slots=True)
class _Look:
    """Looks at the refs of repositories, during one poll."""

    connection: Connection
    host: Host
    lease: Held
    now: datetime
    unknown: set[int] = field(default_factory=set)  # rows that may have changed

    def progress(self, phase: str, done: int = 0, total: int = 0) -> None:
        """Told how far a listing is."""
        self.lease.check()
        _say(self.lease, phase, done, total)

    def at(self, changed: Mapping[int, RemoteRepository]) -> None:
        """Look at what may have changed and at what nobody looked at for long. Writes
        nothing before all of it is known, so that what was pushed is not forgotten
        when a limit is met in between."""
        rows = {
            row.pk: row
            for row in _rows(self.connection)
            .filter(Q(pk__in=list(changed)) | self._old())
            .defer("secret")
            .order_by("pk")
        }
        # One that was never read is owed its first crawl, which sees it all.
        asked_of = {
            pk: changed.get(pk) or _remote(row)
            for pk, row in rows.items()
            if row.fingerprint
        }
        if asked_of:
            _say(self.lease, "Looking for changes", 0, len(asked_of))
        found = self.host.fetch_listings(list(asked_of.values())) if asked_of else {}
        self.lease.check()
        unchanged: list[int] = []
        differing: list[int] = []
        # Row -> the listing of one whose branches are told, and its fingerprint.
        branches: dict[int, tuple[Listing, str]] = {}
        for pk, remote in asked_of.items():
            listing = found.get(remote.id)
            if not isinstance(listing, Listing):
                # Its own crawl has other ways to read it, or says why it cannot.
                (differing.append if pk in changed else self.unknown.add)(pk)
                continue
            fingerprint = fingerprint_of(rows[pk], listing)
            if not same_index(fingerprint, rows[pk].fingerprint):
                differing.append(pk)
                continue
            if listing.has_all_branches:
                branches[pk] = listing, fingerprint
            if rows[pk].state in FINE:
                unchanged.append(pk)
        with transaction.atomic():
            hold(self.lease)
            differing += [
                pk
                for pk, (listing, fingerprint) in branches.items()
                if not _keep_branches(rows[pk], listing, fingerprint)
            ]
            self._write(unchanged, differing, rows, changed)

    def at_rest_is_fine(self) -> None:
        """At GitHub all other repositories are as they were: whatever is pushed moves
        `pushed_at`."""
        if self.connection.kind == Connection.Kind.GITHUB:
            _rows(self.connection).filter(
                state__in=FINE, requested_seq__lte=F("done_seq")
            ).exclude(fingerprint="").exclude(pk__in=self.unknown).update(
                checked_at=self.now
            )

    def _old(self) -> Q:
        """Repositories that are to be looked at though nothing was said of them."""
        early = settings.MUSTER_RECONCILE_INTERVAL * EARLY
        old = Q(state__in=FINE) & Q(next_crawl_at__lte=self.now + early)
        if self.connection.kind == Connection.Kind.GITLAB:
            told = hooks.is_healthy(self.connection)
            polls = GITLAB_POLLS_WITH_HOOK if told else GITLAB_POLLS
            # Half a poll of slack: a poll is never on the second.
            before = self.now - (polls - 0.5) * settings.MUSTER_POLL_INTERVAL
            old |= Q(state__in=FINE) & (Q(checked_at=None) | Q(checked_at__lte=before))
        return old

    def _write(
        self,
        unchanged: Sequence[int],
        differing: Sequence[int],
        rows: Mapping[int, Repository],
        changed: Mapping[int, RemoteRepository],
    ) -> None:
        for part in _parts(unchanged):
            Repository.objects.filter(pk__in=part, lease_id=None).update(
                checked_at=self.now, next_crawl_at=self.now + jobs.reconcile_pause()
            )
        jobs.request_crawls(differing, trigger=Crawl.Trigger.POLL)
        pushed = []
        for pk, remote in changed.items():
            if (
                pk in rows
                and pk not in self.unknown
                and not _is_fresh(remote, self.now)
            ):
                rows[pk].pushed_at = remote.pushed_at
                pushed.append(rows[pk])
        Repository.objects.bulk_update(pushed, ["pushed_at"], batch_size=200)


def _keep_branches(row: Repository, listing: Listing, fingerprint: str) -> bool:
    """Write the branches of a listing that differs from the rows in nothing else, which
    is not worth a crawl. Whether that was possible: nobody crawls it, and the rows are
    still those that were looked at."""
    if fingerprint == row.fingerprint:
        return True
    same = Repository.objects.filter(
        pk=row.pk, lease_id=None, fingerprint=row.fingerprint
    )
    if not same.update(fingerprint=fingerprint):
        return False
    write_branches(row.pk, listing.branches)
    return True


def _remote(row: Repository) -> RemoteRepository:
    """A row as a listing would name it."""
    return RemoteRepository(
        id=row.provider_id, path=row.path, default_branch=row.default_branch
    )


def _parts(ids: Sequence[int]) -> Iterable[Sequence[int]]:
    for start in range(0, len(ids), jobs.AT_ONCE):
        yield ids[start : start + jobs.AT_ONCE]


def _say(lease: Held, phase: str, done: int = 0, total: int = 0) -> None:
    Connection.objects.filter(pk=lease.pk, lease_id=lease.lease_id).update(
        phase=phase[:60], done=max(0, done), total=max(0, total)
    )


def _finish(lease: Held, etag: str) -> None:
    now = database_now()
    with transaction.atomic():
        # A crawl may have met a limit or a refusal meanwhile.
        Connection.objects.filter(pk=lease.pk, lease_id=lease.lease_id).exclude(
            Q(state=Connection.State.DENIED)
            | Q(state=Connection.State.WAITING, next_poll_at__gt=now)
        ).update(
            state=Connection.State.OK,
            message="",
            next_poll_at=now + settings.MUSTER_POLL_INTERVAL,
        )
        _end(
            lease,
            done_seq=lease.seen_seq,
            failures=0,
            polled_at=now,
            poll_etag=etag[:200],
        )


def _fail(lease: Held, error: Exception) -> None:
    """Write why a look failed and when the next comes. What was asked for is still
    owed then."""
    now = database_now()
    row = Connection.objects.only("failures", "kind").filter(pk=lease.pk).first()
    if row is None:
        return  # removed meanwhile
    state, failures = Connection.State.FAILING, row.failures + 1
    for kind, found in STATE_OF.items():
        if isinstance(error, kind):
            state = found
    next_at = now + max(pause(failures), settings.MUSTER_POLL_INTERVAL)
    if isinstance(error, errors.RateLimited):
        next_at, failures = max(error.retry_at, now + jobs.FEWEST_WAIT), row.failures
        sentence = f"Waiting for {row.provider_name} until {clock(next_at)}."
    elif isinstance(error, errors.ProviderError):
        sentence = error.sentence
    elif isinstance(error, WrongKey):
        sentence = str(error)
    else:
        sentence = (
            f"Muster met an error it did not expect ({type(error).__name__}). It will "
            f"try again at {clock(next_at)}; the log has the details."
        )
    _end(lease, state=state, message=sentence, failures=failures, next_poll_at=next_at)


def _end(lease: Held, **fields: Any) -> None:
    """Write, and give the lease back."""
    Connection.objects.filter(pk=lease.pk, lease_id=lease.lease_id).update(
        **FREE, **fields
    )
