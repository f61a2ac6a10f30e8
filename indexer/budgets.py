"""The request budget of a connection, shared by every worker.

A provider counts our requests and says what is left. Every request asks here first and
tells afterwards what the answer said, so that workers stop together before the limit,
wait together when told to, and leave a share for what a person waits for. In Redis
where the queue is one, otherwise in the database; a Redis that is down never stops a
crawl: the database counts meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from django.utils import timezone

# Nobody waits longer because a provider said so: GitHub's and GitLab's windows are an
# hour at most.
LONGEST_WAIT = timedelta(hours=1)
# Told to wait without for how long: "at least one minute", then exponentially longer.
# https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
UNSAID_WAIT = timedelta(minutes=1)


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
    resources: Mapping[str, Told] = field(default_factory=dict)

    def admit(self, resource: str, cost: int = 1) -> None:
        self.spent += 1

    def record(self, resource: str, told: Told) -> None:
        self.resources = {**self.resources, resource: told}

    def block(self, resource: str, until: datetime) -> None:
        """Whoever called sees the RateLimited that follows."""

    def back_off(self) -> datetime:
        return timezone.now() + UNSAID_WAIT


def budget_of(connection_id: int, *, urgent: bool = False) -> Budget:
    """The shared budget of a connection; `urgent` work may use what is kept for it."""
    raise NotImplementedError


def budget_state(connection_id: int) -> BudgetState:
    """What is left, for pages and the scheduler."""
    raise NotImplementedError
