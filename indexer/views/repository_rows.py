"""Rows of repositories as lists show them: with what runs, and narrowed by a search
and a state. The page of all repositories and that of a connection share them."""

from __future__ import annotations

from django.db.models import Prefetch, Q, QuerySet

from indexer.connection_facts import FAILING
from indexer.models import Crawl, Repository

REPOSITORIES_A_PAGE = 100
PROBLEMS, ARCHIVED, HIDDEN = "problems", "archived", "hidden"
STATES = {PROBLEMS: "With problems", ARCHIVED: "Archived", HIDDEN: "Hidden"}


def with_crawl(rows: QuerySet[Repository]) -> QuerySet[Repository]:
    """Each with the crawl that runs now, if any, as `running`, and its connection."""
    running = Crawl.objects.filter(status=Crawl.Status.RUNNING)
    return (
        rows.select_related("connection")
        .defer("secret", "connection__secret", "connection__access")
        .prefetch_related(Prefetch("crawls", running, to_attr="running"))
    )


def clean_search(text: str) -> str:
    """A search as a person typed it, without what no database takes."""
    return text.strip()[:200]


def narrowed(
    rows: QuerySet[Repository], *, q: str = "", state: str = "", hidden: bool
) -> QuerySet[Repository]:
    """Those that match a search and a state. Hidden ones only come by their own state,
    and only if `hidden` says that this person may see them."""
    if state == HIDDEN and hidden:
        rows = rows.filter(hidden_at__isnull=False)
    else:
        rows = rows.filter(hidden_at__isnull=True)
    if q:
        rows = rows.filter(
            Q(name__icontains=q) | Q(url__icontains=q) | Q(message__icontains=q)
        )
    if state == PROBLEMS:
        rows = rows.filter(Q(problem_count__gt=0) | FAILING)
    elif state == ARCHIVED:
        rows = rows.filter(is_archived=True)
    return rows


def state_choices(state: str, *, hidden: bool) -> list[tuple[str, str, bool]]:
    """(value, words, whether it is on) of the menu of states."""
    return [
        (value, words, value == state)
        for value, words in STATES.items()
        if value != HIDDEN or hidden
    ]
