"""How old the index is: one line for every page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min, Q

from indexer.models import Repository
from indexer.permissions import User, visible_repositories


@dataclass(frozen=True, slots=True)
class Freshness:
    """`new` repositories wait for their first crawl; `oldest` is when the one looked
    at longest ago was last read, None before the first; `failing` could not be read
    the last time."""

    repositories: int
    new: int
    failing: int
    oldest: datetime | None

    @property
    def done(self) -> int:
        """Repositories that were crawled at least once."""
        return self.repositories - self.new


def index_freshness(user: User) -> Freshness:
    """Of what a person may see. One query."""
    enabled = Q(is_enabled=True)
    found = visible_repositories(user).aggregate(
        repositories=Count("pk"),
        new=Count("pk", filter=enabled & Q(state=Repository.State.NEW)),
        failing=Count(
            "pk",
            filter=enabled
            & ~Q(
                state__in=[
                    Repository.State.NEW,
                    Repository.State.OK,
                    Repository.State.EMPTY,
                ]
            ),
        ),
        oldest=Min("last_success_at", filter=enabled),
    )
    return Freshness(**found)
