"""History: what happened to one artifact, or to all of them.

`history_page` answers with one page of events, newest first, `history_rows` with all
of them. An event of unknown date counts as older than every other.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple, Self

from django.core.cache import cache
from django.db.models import Max, Q, QuerySet, Sum
from django.http import QueryDict
from django.utils import timezone

from indexer.models import Artifact, Event, Repository
from indexer.models.fields import UNKNOWN_TIME
from indexer.paging import Order, ids_in_order, page_of
from indexer.permissions import User, visible_repositories, within_sight
from indexer.query_string import LONGEST_SEARCH, Reader, written
from indexer.stages import ordered_stages

SIZES = (25, 50, 100)
KINDS = tuple(Event.Kind.values)
MOST_WORDS = 10
MOST_PEOPLE = 500  # in the menu, and as a list of e-mails in a query
FEW = 1000  # events
CHUNK = 1000
MENU_SECONDS = 3600

BY_TIME = Order(("at_key", "position"))


class Someone(NamedTuple):
    """Who wrote tags: the name and e-mail as Git holds them."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class HistoryFilters:
    """What the address of a history asks for. Several kinds or stages: any of them.
    `person` is part of a name or e-mail. `since` and `until` are whole days in the
    site's time zone, both included."""

    kinds: tuple[str, ...] = ()
    person: str = ""
    stages: tuple[str, ...] = ()
    repository: str = ""
    q: str = ""
    since: date | None = None
    until: date | None = None
    page: int = 1
    size: int = 50
    ascending: bool = False
    notes: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def from_query(cls, query: QueryDict, sizes: Collection[int] = SIZES) -> Self:
        """Read the address. What makes no sense falls back to the default, and
        `notes` says so."""
        read = Reader(query)
        return cls(
            kinds=read.texts("event", KINDS),
            person=read.text("person", LONGEST_SEARCH),
            stages=read.texts("stage"),
            repository=read.text("repository"),
            q=read.text("q", LONGEST_SEARCH),
            since=read.day("since"),
            until=read.day("until"),
            page=read.page(),
            size=read.size(sizes, 50),
            ascending=not read.sort(("time",), "-time")[1],
            notes=tuple(read.notes),
        )

    def query(self, **changes: Any) -> str:
        """The query string of these filters with `changes` (names of fields), which
        lead back to page 1 unless they name a page. Defaults are left out, and the
        order of the parameters is always the same."""
        new = replace(self, **({"page": 1} | changes if changes else {}))
        pairs = [("event", value) for value in new.kinds]
        pairs += [("person", new.person)] if new.person else []
        pairs += [("stage", value) for value in new.stages]
        pairs += [("repository", new.repository)] if new.repository else []
        pairs += [("q", new.q)] if new.q else []
        pairs += [("since", new.since.isoformat())] if new.since else []
        pairs += [("until", new.until.isoformat())] if new.until else []
        pairs += [("sort", "time")] if new.ascending else []
        pairs += [("size", str(new.size))] if new.size != 50 else []
        pairs += [("page", str(new.page))] if new.page != 1 else []
        return written(pairs)

    @property
    def is_narrowed(self) -> bool:
        """Whether anything is left out that the plain history shows."""
        return replace(self, page=1, size=50, ascending=False) != type(self)()


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """One page of events. `first` and `last` count from 1 and are 0 when there is
    nothing. The menus offer every kind, and the people and stages there are."""

    rows: list[Event]
    total: int
    page: int
    pages: int
    first: int
    last: int
    kinds: list[str]
    people: list[Someone]
    stages: list[str]


@dataclass(frozen=True, slots=True)
class _Menus:
    people: list[Someone]
    stages: list[str]


def history_page(
    user: User, filters: HistoryFilters, artifact: Artifact | None = None
) -> HistoryPage:
    """One page of what the person may see, of one artifact or of all. At most four
    queries, and three more for the menus where they changed."""
    counted = _counted(user, artifact)
    menus = _menus(user, artifact, counted)
    matching = _matching(user, filters, artifact, menus)
    where, rows = page_of(
        matching,
        BY_TIME,
        descending=not filters.ascending,
        page=filters.page,
        size=filters.size,
        # A few are counted as they are: it costs nothing and needs no trust.
        total=None if filters.is_narrowed or counted <= FEW else counted,
    )
    return HistoryPage(
        rows=_with_places(rows, artifact) if where.total else [],
        total=where.total,
        page=where.page,
        pages=where.pages,
        first=where.first,
        last=where.last,
        kinds=list(KINDS),
        people=menus.people[:MOST_PEOPLE],
        stages=menus.stages,
    )


def _counted(user: User, artifact: Artifact | None) -> int:
    """How many events there are, as ingest counted them: PostgreSQL would look at
    every row. One query, none for an artifact."""
    if artifact is not None:
        return artifact.event_count
    counts = visible_repositories(user).aggregate(events=Sum("event_count"))
    return counts["events"] or 0


def history_rows(
    user: User, filters: HistoryFilters, artifact: Artifact | None = None
) -> Iterator[Event]:
    """Every event of the filters, in order, whatever page they name. The ids are
    read at once, so that a crawl in between neither repeats nor skips an event."""
    menus = _menus(user, artifact, _counted(user, artifact))
    matching = _matching(user, filters, artifact, menus)
    ids = ids_in_order(matching, BY_TIME, descending=not filters.ascending)
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        found = _with_places(Event.objects.filter(pk__in=chunk), artifact)
        rows = {event.pk: event for event in found}
        yield from (rows[pk] for pk in chunk if pk in rows)


def _with_places(events: QuerySet[Event], artifact: Artifact | None) -> list[Event]:
    """Events that know their artifact and its repository. One query."""
    if artifact is None:
        return list(
            events.select_related("artifact__repository").defer(
                "artifact__search", "artifact__repository__secret"
            )
        )
    found = list(events)
    for event in found:
        event.artifact = artifact
    return found


def _matching(
    user: User, filters: HistoryFilters, artifact: Artifact | None, menus: _Menus
) -> QuerySet[Event]:
    rows = within_sight(Event.objects.all(), user)
    if artifact is not None:
        rows = rows.filter(artifact=artifact)
    if filters.repository:
        rows = rows.filter(
            repository__in=Repository.objects.filter(name=filters.repository)
        )
    if filters.kinds:
        rows = rows.filter(kind__in=filters.kinds)
    if filters.stages:
        rows = rows.filter(stage__in=filters.stages)
    if filters.since:
        rows = rows.filter(at_key__gte=_midnight(filters.since))
    if filters.until:
        rows = rows.filter(
            at_key__gt=UNKNOWN_TIME,
            at_key__lt=_midnight(filters.until + timedelta(days=1)),
        )
    if filters.person:
        rows = rows.filter(_is_person(filters.person, menus.people))
    for word in filters.q.split()[:MOST_WORDS]:
        rows = rows.filter(
            Q(message__icontains=word)
            | Q(tag__icontains=word)
            | Q(commit_id__startswith=word.lower())
        )
    return rows


def _midnight(day: date) -> int:
    """The day's begin on the site's clock, in seconds since 1970."""
    begin = timezone.make_aware(datetime.combine(day, time.min))
    return int(begin.timestamp())


def _is_person(person: str, people: list[Someone]) -> Q:
    """Events of whoever has `person` in the name or e-mail, whatever the case, in
    any script: SQLite itself folds ASCII only. `Name <e-mail>` is that e-mail."""
    if exact := re.fullmatch(r".*<([^<>]+)>", person):
        return Q(author_email=exact.group(1))
    wanted = person.casefold()
    emails = {who.email for who in people if wanted in who.email.casefold()}
    names = {who.name for who in people if wanted in who.name.casefold()}
    if len(emails) > MOST_PEOPLE or len(names) > MOST_PEOPLE:
        return Q(author_email__icontains=person) | Q(author_name__icontains=person)
    if not names:
        return Q(author_email__in=emails)
    if not emails:
        return Q(author_name__in=names)
    return Q(author_email__in=emails) | Q(author_name__in=names)


def _menus(user: User, artifact: Artifact | None, counted: int) -> _Menus:
    """The people and stages of a history. Finding them takes a look at every event,
    so it is done once per change: new events have new ids."""
    events = within_sight(Event.objects.all(), user)
    if artifact is not None:
        key = f"artifact-menus:{artifact.pk}:{counted}:{artifact.digest}"
        order = artifact.repository.stage_order
        return _remembered(key, events.filter(artifact=artifact), [order])
    repositories = visible_repositories(user).exclude(stage_order=[])
    orders = repositories.order_by().values_list("stage_order", flat=True)
    if events.query.has_filters():  # a view of one person's: not for others
        return _found_menus(events, orders)
    newest = Event.objects.aggregate(newest=Max("pk"))["newest"]
    # The count as well: of two crawls at once the later one may take the lower ids.
    return _remembered(f"history-menus:{newest}:{counted}", events, orders)


def _remembered(
    key: str, events: QuerySet[Event], orders: Iterable[Sequence[str]]
) -> _Menus:
    menus: _Menus | None = cache.get(key)
    if menus is None:
        menus = _found_menus(events, orders)
        cache.set(key, menus, MENU_SECONDS)
    return menus


def _found_menus(events: QuerySet[Event], orders: Iterable[Sequence[str]]) -> _Menus:
    people = events.order_by().values_list("author_name", "author_email").distinct()
    stages = events.order_by().values_list("stage", flat=True).distinct()
    return _Menus(
        people=sorted(
            (Someone(*person) for person in people),
            key=lambda who: (who.name.casefold(), who.name, who.email),
        ),
        stages=ordered_stages(
            (stage for stage in stages if stage), [(order, 1) for order in orders]
        ),
    )
