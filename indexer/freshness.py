"""How old the index is: one line for every page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min, Q
from django.db.models.functions import Coalesce

from indexer.connection_facts import FAILING
from indexer.models import Connection, Repository
from indexer.permissions import User, visible_repositories

UNREACHABLE = (
    Connection.State.DENIED,
    Connection.State.UNREACHABLE,
    Connection.State.FAILING,
)


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old what one sees is. `new` repositories wait for their first crawl;
    `oldest` is when the one looked at longest ago was as we show it, None before the
    first; `failing` could not be read the last time. Of `waiting` connections none is
    asked before `waits_until`, as `waits_for` (a kind of provider) wants;
    `unreachable` ones cannot be looked at."""

    repositories: int
    new: int
    failing: int
    oldest: datetime | None
    waiting: int = 0
    waits_for: str | None = None
    waits_until: datetime | None = None
    unreachable: int = 0

    @property
    def done(self) -> int:
        """Repositories that were crawled at least once."""
        return self.repositories - self.new

    @property
    def waits_for_name(self) -> str:
        """GitHub or GitLab."""
        return str(Connection.Kind(self.waits_for).label) if self.waits_for else ""


def index_freshness(user: User) -> Freshness:
    """Of what a person may see. One query."""
    enabled = Q(is_enabled=True)
    waiting = Q(connection__state=Connection.State.WAITING)
    found = visible_repositories(user).aggregate(
        repositories=Count("pk"),
        new=Count("pk", filter=enabled & Q(state=Repository.State.NEW)),
        failing=Count("pk", filter=enabled & FAILING),
        oldest=Min(Coalesce("checked_at", "last_success_at"), filter=enabled),
        waiting=Count("connection", filter=waiting, distinct=True),
        waits_for=Min("connection__kind", filter=waiting),
        waits_until=Min("connection__next_poll_at", filter=waiting),
        unreachable=Count(
            "connection", filter=Q(connection__state__in=UNREACHABLE), distinct=True
        ),
    )
    return Freshness(**found)
