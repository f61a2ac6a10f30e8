"""The request budget of a connection, shared by every worker.

A provider counts our requests and says what is left. Every request asks here first and
tells afterwards what the answer said, so that workers stop together before the limit,
wait together when told to, and leave a share for what a person waits for. In Redis
where the queue is one, otherwise in the database; a Redis that is down never stops a
crawl: the database counts meanwhile."""

from __future__ import annotations

import functools
import logging
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar

import redis
from django.conf import settings
from django.utils import timezone

from indexer import budget_database, budget_redis
from indexer.budget_database import DatabaseStore
from indexer.budget_redis import RedisStore
from indexer.budget_rules import (
    ALL,
    UNSAID_WAIT,
    Counts,
    Need,
    bounded,
    pace,
    wait_of,
)
from indexer.models import Connection
from indexer.providers.errors import RateLimited

T = TypeVar("T")
logger = logging.getLogger(__name__)

REDIS_PAUSE = 30.0  # seconds for which a Redis that failed is left alone
# What crawls use; of other kinds none is waited for.
OF_CRAWLS = frozenset({"core", "graphql"})


@dataclass(frozen=True, slots=True)
class ResourceState:
    """What is left of one kind of request. None: the provider has not said."""

    resource: str  # "core", "graphql": as the provider calls it
    allowed: int | None = None
    remaining: int | None = None
    reset_at: datetime | None = None
    blocked_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class BudgetState:
    """What is left of a connection's requests; for pages and the scheduler."""

    resources: tuple[ResourceState, ...] = ()
    # When scheduled work may go on; None: now.
    waits_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What an answer said of the limits."""

    allowed: int | None = None
    remaining: int | None = None
    reset_at: datetime | None = None
    cost: int = 1  # of the request that was answered; 0: free (304)


class Budget(Protocol):
    """The budget of one connection, for one piece of work. `spent` counts the
    requests made through it."""

    spent: int

    def admit(self, resource: str, cost: int = 1) -> None:
        """Take the right to one request. Raises errors.RateLimited, with when to come
        back, if there is none left for work of this urgency."""
        ...

    def record(self, resource: str, told: Told) -> None:
        """What the answer said."""
        ...

    def block(self, resource: str, until: datetime) -> None:
        """Nobody asks before `until`: the provider said so."""
        ...

    def back_off(self) -> datetime:
        """Nobody asks anything for a while: the provider said so and not for how
        long. Longer each time it goes on. Returns until when."""
        ...


@dataclass(slots=True)
class Unlimited:
    """A budget that only counts: for a token that belongs to no connection yet."""

    spent: int = 0

    def admit(self, resource: str, cost: int = 1) -> None:
        self.spent += 1

    def record(self, resource: str, told: Told) -> None:
        """There is nobody to tell."""

    def block(self, resource: str, until: datetime) -> None:
        """Whoever called sees the RateLimited that follows."""

    def back_off(self) -> datetime:
        return timezone.now() + UNSAID_WAIT


class Store(Protocol):
    """Where the budget of one connection is kept, for all workers."""

    def admit(self, need: Need, now: datetime) -> datetime | None:
        """Take the right to a request; None, or when to come back."""
        ...

    def record(self, resource: str, told: Told, now: datetime) -> None:
        """Correct the numbers by what an answer said."""
        ...

    def block(self, resource: str, until: datetime) -> None:
        """Nobody asks before `until`."""
        ...

    def back_off(self, now: datetime) -> datetime:
        """Nobody asks anything for a while, longer each time in a row; until when."""
        ...


@dataclass(slots=True)
class _Outage:
    """Of this process: until when Redis is left alone (by time.monotonic), and whether
    it was said that it fails."""

    until: float = 0.0
    was_said: bool = False

    def begin(self, error: Exception) -> None:
        """Leave Redis alone for a while."""
        self.until = time.monotonic() + REDIS_PAUSE
        if not self.was_said:
            logger.warning(
                "Redis cannot be used (%s); the database counts requests meanwhile.",
                type(error).__name__,
            )
        self.was_said = True


_outage = _Outage()


def _either(in_redis: Callable[[redis.Redis], T], in_database: Callable[[], T]) -> T:
    """What Redis says, if there is one and it answers, else what the database says."""
    client = _redis(settings.CELERY_BROKER_URL)
    if client is not None and time.monotonic() >= _outage.until:
        try:
            answer = in_redis(client)
        except (redis.RedisError, OSError) as error:
            _outage.begin(error)
        else:
            _outage.was_said = False
            return answer
    return in_database()


class SharedBudget:
    """The budget of a connection that all workers share."""

    def __init__(self, connection_id: int, *, urgent: bool) -> None:
        self.spent = 0
        self._connection_id = connection_id
        self._urgent = urgent
        self._database = DatabaseStore(connection_id)

    @functools.cached_property
    def _place(self) -> tuple[str, str] | None:
        """The connection's kind and server; None if it is gone. Runs one query."""
        rows = Connection.objects.filter(pk=self._connection_id)
        return rows.values_list("kind", "server").first()

    def admit(self, resource: str, cost: int = 1) -> None:
        """Take the right to one request. Raises RateLimited."""
        if self._place:  # who is gone has no budget, and nothing to come back to
            kind, server = self._place
            limit = pace(server, resource, urgent=self._urgent)
            need = Need(resource, cost, self._urgent, limit)
            now = timezone.now()
            until = self._ask(lambda store: store.admit(need, now))
            if until is not None:
                until = bounded(until, now)
                place = Connection.Kind(kind).label
                raise RateLimited(waiting_sentence(place, until), until)
        self.spent += 1

    def record(self, resource: str, told: Told) -> None:
        """What the answer said."""
        if self._place:
            now = timezone.now()
            self._ask(lambda store: store.record(resource, told, now))

    def block(self, resource: str, until: datetime) -> None:
        """Nobody asks before `until`, an hour from now at most."""
        if self._place:
            until = bounded(until, timezone.now())
            self._ask(lambda store: store.block(resource, until))

    def back_off(self) -> datetime:
        """Nobody asks anything for a while. Returns until when."""
        now = timezone.now()
        if not self._place:
            return now + UNSAID_WAIT
        return self._ask(lambda store: store.back_off(now))

    def _ask(self, question: Callable[[Store], T]) -> T:
        return _either(
            lambda client: question(RedisStore(client, self._connection_id)),
            lambda: question(self._database),
        )


def budget_of(connection_id: int, *, urgent: bool = False) -> Budget:
    """The shared budget of a connection; `urgent` work may use what is kept for it."""
    return SharedBudget(connection_id, urgent=urgent)


def budget_state(connection_id: int) -> BudgetState:
    """What is left, for pages and the scheduler. Runs one query, or none."""
    return budget_states([connection_id])[connection_id]


def budget_states(connection_ids: Collection[int]) -> dict[int, BudgetState]:
    """What is left of each of these connections. Runs one query, or none."""
    now = timezone.now()
    rows = _either(
        lambda client: budget_redis.read_all(client, connection_ids),
        lambda: budget_database.read_all(connection_ids),
    )
    return {pk: _budget_state(rows[pk], now) for pk in connection_ids}


def forget_budget(connection_id: int) -> None:
    """Remove all that is kept of a connection that goes."""
    database = DatabaseStore(connection_id)
    _either(lambda client: RedisStore(client, connection_id).forget(), database.forget)
    database.forget()


def waiting_sentence(place: str, until: datetime) -> str:
    """The sentence of a state, not of an error: `Waiting for GitHub until 14:05
    UTC.`, in whole minutes, rounded up."""
    minute = until.astimezone(UTC) + timedelta(seconds=59)
    return f"Waiting for {place} until {minute:%H:%M} UTC."


def _budget_state(rows: list[Counts], now: datetime) -> BudgetState:
    of_all = next((row.blocked_until for row in rows if row.resource == ALL), None)
    waits = [of_all] if of_all is not None and of_all > now else []
    states = []
    for row in rows:
        if row.resource == ALL:
            continue
        need = Need(row.resource, 1, urgent=False, pace=sys.maxsize)
        until = wait_of(row, need, now)
        if until is not None and row.resource in OF_CRAWLS:
            waits.append(until)
        states.append(_state(row, of_all, now))
    return BudgetState(tuple(states), max(waits, default=None))


def _state(row: Counts, of_all: datetime | None, now: datetime) -> ResourceState:
    blocks = [at for at in (row.blocked_until, of_all) if at is not None and at > now]
    is_open = row.reset_at is None or row.reset_at <= now
    return ResourceState(
        resource=row.resource,
        allowed=row.allowed,
        remaining=None if is_open else row.remaining,
        reset_at=None if is_open else row.reset_at,
        blocked_until=max(blocks, default=None),
    )


@functools.lru_cache(maxsize=8)
def _redis(url: str) -> redis.Redis | None:
    """A client of the queue's Redis, one for the process; None if the queue is no
    Redis, or its address is malformed."""
    if not url.startswith(("redis://", "rediss://")):
        return None
    try:
        return budget_redis.client_of(url)
    except (ValueError, redis.RedisError):
        return None
