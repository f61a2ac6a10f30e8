"""One page of an ordered list, read by an index on SQLite and PostgreSQL alike.

The inner query of a page finds ids and touches nothing but an index; the outer one
reads the wide rows of that page only. A page of the second half is found from the
end, so that the last page is as near as the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import Case, Count, IntegerField, Model, Q, QuerySet, Value, When

T = TypeVar("T", bound=Model)

FEW = 1000  # ids that a query may list


@dataclass(frozen=True, slots=True)
class Order:
    """How rows are sorted: by `keys` and then by id, so that the order is total.

    `keyless` are rows that have nothing to sort by. Their key is the smallest, so
    they come last when descending; when ascending they are put last all the same."""

    keys: tuple[str, ...]
    keyless: Q | None = None

    def columns(self, descending: bool) -> list[str]:
        """The names to order by."""
        sign = "-" if descending else ""
        return [f"{sign}{key}" for key in (*self.keys, "id")]

    def moves(self, descending: bool) -> Q | None:
        """The rows to put last."""
        return None if descending else self.keyless


@dataclass(frozen=True, slots=True)
class Span:
    """Where a page lies: rows `first` to `last` (from 1; 0 when empty) of `total`."""

    total: int
    page: int
    pages: int
    first: int
    last: int

    @property
    def start(self) -> int:
        """The offset of the first row."""
        return max(self.first - 1, 0)


def span(total: int, page: int, size: int) -> Span:
    """The page asked for, or the last one there is."""
    pages = max(1, -(-total // size))
    page = min(max(page, 1), pages)
    start = (page - 1) * size
    return Span(total, page, pages, start + 1 if total else 0, min(start + size, total))


def page_of(
    rows: QuerySet[T],
    order: Order,
    *,
    descending: bool,
    page: int,
    size: int,
    total: int | None = None,
) -> tuple[Span, QuerySet[T]]:
    """Where the page lies, and its rows in order, to be refined and then read in one
    query. One query now, to count, unless the total is known already."""
    moved = order.moves(descending)
    columns = order.columns(descending)
    if moved is None:
        where = span(rows.count() if total is None else total, page, size)
        found = Q(pk__in=_ids(rows, columns, where.total, where.start, where.last))
        return where, _all(rows).filter(found).order_by(*columns)
    counts = rows.aggregate(all=Count("pk"), last=Count("pk", filter=moved))
    where = span(counts["all"], page, size)
    keyed = counts["all"] - counts["last"]
    found = Q()
    if where.start < keyed or not where.total:
        part = rows.exclude(moved)
        stop = min(where.last, keyed)
        found |= Q(pk__in=_ids(part, columns, keyed, where.start, stop))
    if where.last > keyed:
        part = rows.filter(moved)
        start = max(where.start - keyed, 0)
        stop = where.last - keyed
        found |= Q(pk__in=_ids(part, columns[1:], counts["last"], start, stop))
    return where, _all(rows).filter(found).order_by(_is_last(moved), *columns)


def page_of_search(
    rows: QuerySet[T], order: Order, *, descending: bool, page: int, size: int
) -> tuple[Span, QuerySet[T]]:
    """The same where `rows` are found by a look at every one (a search for words). To
    count them and then to walk an index until the page is full would be two looks, so
    the ids are read instead of counted, and where they are few, sorted as they are."""
    ids = list(rows.order_by().values_list("pk", flat=True))
    where = span(len(ids), page, size)
    moved = order.moves(descending)
    columns: list[Any] = list(order.columns(descending))
    if moved is not None:
        columns.insert(0, _is_last(moved))
    if len(ids) <= FEW:
        few = _all(rows).filter(pk__in=ids).order_by(*columns)
        return where, few[where.start : where.last]
    found = rows.order_by(*columns).values("pk")[where.start : where.last]
    return where, _all(rows).filter(pk__in=found).order_by(*columns)


def ids_in_order(rows: QuerySet[T], order: Order, *, descending: bool) -> list[int]:
    """Every id, in order: one query or two. For exports, which then read the rows
    in short queries, so that no slow reader holds a transaction open."""
    moved = order.moves(descending)
    columns = order.columns(descending)
    if moved is None:
        return list(rows.order_by(*columns).values_list("pk", flat=True))
    keyed = rows.exclude(moved).order_by(*columns).values_list("pk", flat=True)
    last = rows.filter(moved).order_by(*columns[1:]).values_list("pk", flat=True)
    return [*keyed, *last]


def _all(rows: QuerySet[T]) -> QuerySet[T]:
    return rows.model._default_manager.all()


def _is_last(moved: Q) -> Case:
    return Case(
        When(moved, then=Value(1)), default=Value(0), output_field=IntegerField()
    )


def _ids(
    rows: QuerySet[T], columns: list[str], total: int, start: int, stop: int
) -> QuerySet[T, Any]:
    """The ids at the offsets `start` to `stop` of `total`, in any order."""
    if start > total // 2:
        backwards = rows.order_by(*columns).reverse().values("pk")
        return backwards[total - stop : total - start]
    return rows.order_by(*columns).values("pk")[start:stop]
