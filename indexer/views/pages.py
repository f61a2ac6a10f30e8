"""The links under a list that has more than one page."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol


class Query(Protocol):
    def query(self, **changes: Any) -> str: ...


class PageLink(NamedTuple):
    """A page's number and address; number 0 stands for the pages left out."""

    number: int
    query: str
    is_current: bool


class PageLinks(NamedTuple):
    """Every link of the pager; None where there is no page before or after."""

    before: str | None
    after: str | None
    numbers: list[PageLink]


def page_links(page: int, pages: int, filters: Query) -> PageLinks:
    """The first, the last and those around the current one."""
    wanted = sorted(
        {1, 2, page - 1, page, page + 1, pages - 1, pages} & set(range(1, pages + 1))
    )
    numbers: list[PageLink] = []
    last = 0
    for number in wanted:
        if number - last == 2:
            numbers.append(PageLink(last + 1, filters.query(page=last + 1), False))
        elif number - last > 2:
            numbers.append(PageLink(0, "", False))
        numbers.append(PageLink(number, filters.query(page=number), number == page))
        last = number
    return PageLinks(
        before=filters.query(page=page - 1) if page > 1 else None,
        after=filters.query(page=page + 1) if page < pages else None,
        numbers=numbers,
    )
