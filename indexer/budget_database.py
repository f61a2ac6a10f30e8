"""A connection's request budget in the database: models.RequestBudget. One UPDATE for
each request, whose conditions are the rules, so that workers cannot take the same
request twice."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING

from django.db.models import Case, Exists, F, Q, QuerySet, Value, When
from django.db.models.functions import Least

from indexer.budget_rules import (
    ALL,
    GOES_ON,
    LEAST_RESERVE,
    SAME_RESET,
    Counts,
    Need,
    bounded,
    minute_of,
    unsaid_wait,
    wait_of,
)
from indexer.models import RequestBudget

if TYPE_CHECKING:
    from indexer.budgets import Told

FIELDS = (
    "resource",
    "allowed",
    "remaining",
    "reset_at",
    "blocked_until",
    "minute",
    "in_minute",
)
TRIES = 5


def read_all(connection_ids: Collection[int]) -> dict[int, list[Counts]]:
    """All that is kept of these connections. Runs one query."""
    found: dict[int, list[Counts]] = {pk: [] for pk in connection_ids}
    rows = RequestBudget.objects.filter(connection_id__in=connection_ids)
    for row in rows.order_by("resource").values("connection_id", *FIELDS):
        found[row.pop("connection_id")].append(Counts(**row))
    return found


class DatabaseStore:
    """The budget of one connection, as one piece of work sees it."""

    def __init__(self, connection_id: int) -> None:
        self._connection_id = connection_id
        # What our last answer said, less what we took since, by resource: there is no
        # more than that in the row, so an answer that says the same tells nothing.
        self._known: dict[str, Told] = {}
        self._taken: dict[str, int] = {}

    def admit(self, need: Need, now: datetime) -> datetime | None:
        """Take the right to a request; None, or when to come back."""
        for _ in range(TRIES):
            if self._take(need, now):
                taken = self._taken.get(need.resource, 0) + need.cost
                self._taken[need.resource] = taken
                return None
            kept = read_all([self._connection_id])[self._connection_id]
            rows = {counts.resource: counts for counts in kept}
            if need.resource not in rows:
                self._make(need.resource)
                continue
            waits = [
                until
                for name in (ALL, need.resource)
                if name in rows and (until := wait_of(rows[name], need, now))
            ]
            if waits:
                return max(waits)
        return None  # it changes as we look; a request more or less does no harm

    def record(self, resource: str, told: Told, now: datetime) -> None:
        """Correct the row by what an answer said."""
        if self._says_nothing_new(resource, told):
            return
        if not self._rows(resource).update(**_corrected(told, now)):
            self._make(resource)
            self._rows(resource).update(**_corrected(told, now))
        self._known[resource] = told
        self._taken[resource] = 0

    def block(self, resource: str, until: datetime) -> None:
        """Nobody asks before `until`."""
        self._make(resource)
        self._rows(resource).filter(
            Q(blocked_until=None) | Q(blocked_until__lt=until)
        ).update(blocked_until=until)

    def back_off(self, now: datetime) -> datetime:
        """Nobody asks anything for a while, longer each time in a row; until when."""
        self._make(ALL)
        row = self._rows(ALL).values("blocked_until", "strikes").get()
        last, strikes = row["blocked_until"], row["strikes"]
        if last is not None and last > now:
            return bounded(last, now)
        strikes = strikes + 1 if last is not None and now - last < GOES_ON else 1
        until = now + unsaid_wait(strikes)
        self._rows(ALL).filter(blocked_until=last).update(
            blocked_until=until, strikes=strikes
        )
        return until

    def forget(self) -> None:
        """Remove it all."""
        RequestBudget.objects.filter(connection_id=self._connection_id).delete()

    def _rows(self, resource: str) -> QuerySet[RequestBudget]:
        return RequestBudget.objects.filter(
            connection_id=self._connection_id, resource=resource
        )

    def _make(self, resource: str) -> None:
        RequestBudget.objects.bulk_create(
            [RequestBudget(connection_id=self._connection_id, resource=resource)],
            ignore_conflicts=True,
        )

    def _take(self, need: Need, now: datetime) -> int:
        minute = minute_of(now)
        in_window = Q(reset_at__gt=now)
        free = Q(reset_at=None) | Q(reset_at__lte=now) | Q(remaining=None) | _has(need)
        paced = Q(allowed=None) | ~Q(minute=minute)
        paced |= Q(in_minute__lte=need.pace - need.cost)
        blocked = self._rows(ALL).filter(blocked_until__gt=now)
        return (
            self._rows(need.resource)
            .filter(Q(blocked_until=None) | Q(blocked_until__lte=now))
            .filter(free, paced)
            .filter(~Exists(blocked))
            .update(
                remaining=Case(When(in_window, then=F("remaining") - need.cost)),
                reset_at=Case(When(in_window, then=F("reset_at"))),
                minute=minute,
                in_minute=Case(
                    When(minute=minute, then=F("in_minute") + need.cost),
                    default=Value(need.cost),
                ),
            )
        )

    def _says_nothing_new(self, resource: str, told: Told) -> bool:
        known = self._known.get(resource)
        return (
            known is not None
            and known.allowed == told.allowed
            and known.remaining is not None
            and told.remaining is not None
            and known.reset_at is not None
            and told.reset_at is not None
            and told.cost == 1
            and abs(known.reset_at - told.reset_at) <= SAME_RESET
            and told.remaining >= known.remaining - self._taken.get(resource, 0)
        )


def _has(need: Need) -> Q:
    """There is one left for work of this urgency (rules.reserve, in SQL)."""
    after = need.cost - 1
    if need.urgent:
        return Q(remaining__gt=after)
    tenth = Q(allowed=None) | Q(remaining__gt=F("allowed") / 10 + after)
    return (Q(remaining__gt=LEAST_RESERVE + after) & tenth) | Q(
        remaining__gt=F("allowed") / 4 + after
    )


def _corrected(told: Told, now: datetime) -> dict[str, object]:
    """The fields as an answer corrects them. Within a window the smaller number of
    requests is the later one; of an earlier window nothing counts."""
    back = 1 - told.cost
    allowed: dict[str, object] = (
        {} if told.allowed is None else {"allowed": told.allowed}
    )
    reset_at = told.reset_at
    if told.remaining is None or reset_at is None or reset_at <= now:
        return {**allowed, "remaining": F("remaining") + back}
    reset_at = bounded(reset_at, now)
    is_new = (
        Q(reset_at=None)
        | Q(reset_at__lte=now)
        | Q(reset_at__lt=reset_at - SAME_RESET)
        | Q(remaining=None)
    )
    is_old = Q(reset_at__gt=reset_at + SAME_RESET)
    return {
        **allowed,
        "remaining": Case(
            When(is_new, then=Value(told.remaining)),
            When(is_old, then=F("remaining") + back),
            default=Least(F("remaining") + back, Value(told.remaining)),
        ),
        "reset_at": Case(When(is_new, then=Value(reset_at)), default=F("reset_at")),
    }
