"""Taking turns: which of the crawls that are owed a worker does next.

What a person or a webhook asked for comes first. All else is shared out between the
connections (and the repositories without one) in turn, those overdue longest first, so
that nobody waits behind another's thousand repositories."""

from __future__ import annotations

import random
import time
from itertools import groupby

from django.db.models import BooleanField, F, Q, Window
from django.db.models.expressions import ExpressionWrapper
from django.db.models.functions import RowNumber

from indexer import jobs
from indexer.crawl import crawl_repository
from indexer.leases import asked, database_now
from indexer.models import Repository

DRAIN_SECONDS = 30.0
PLAN_SECONDS = 1.0  # then what was asked for meanwhile is seen
ROUNDS = 16  # of each connection in one plan


def crawl_owed(repository_id: int = 0, *, seconds: float = DRAIN_SECONDS) -> int:
    """Crawl a repository if it is owed, then whatever else is, for so long. Returns
    how many crawls were begun."""
    until = time.monotonic() + seconds
    done = int(crawl_repository(repository_id) is not None) if repository_id else 0
    while time.monotonic() < until:
        begun = _follow(plan(), until)
        if not begun:
            return done
        done += begun
    return done


def _follow(ids: list[int], until: float) -> int:
    """Crawl these in their order, as far as others do not, until it is time to look
    again at what is owed."""
    renew = min(until, time.monotonic() + PLAN_SECONDS)
    begun = 0
    for pk in ids:
        begun += crawl_repository(pk) is not None
        if time.monotonic() > renew:
            break
    return begun


def plan() -> list[int]:
    """Ids of repositories to crawl, in a fair order: the first of each connection, the
    second of each, and so on. One query; workers that plan at once get what is overdue
    about as long in different orders, so that they seldom want the same row."""
    first = ExpressionWrapper(
        asked() & Q(requested_trigger__in=jobs.FIRST), output_field=BooleanField()
    )
    rows = (
        Repository.objects.filter(jobs.owed(database_now()), lease_id=None)
        .annotate(first=first)
        .annotate(
            place=Window(
                RowNumber(),
                partition_by=[F("first"), F("connection_id")],
                order_by=[F("next_crawl_at").asc(nulls_first=True), F("pk").asc()],
            )
        )
        .filter(place__lte=ROUNDS)
        .values_list("first", "connection_id", "place", "pk")
    )
    found = sorted(rows, key=lambda row: (not row[0], row[1] or 0, row[2]))
    queue: list[tuple[bool, int, float, int]] = []
    for (is_first, _), group in groupby(found, key=lambda row: (row[0], row[1])):
        ids = [row[3] for row in group]
        random.shuffle(ids)
        queue += [
            (not is_first, place, random.random(), pk)  # noqa: S311
            for place, pk in enumerate(ids)
        ]
    return [pk for *_, pk in sorted(queue)]
