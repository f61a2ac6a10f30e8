"""A page of a list, as every list of the API answers it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest

from indexer.api.parameters import PageParameters
from indexer.api.problems import NotThere
from indexer.paging import Span
from indexer.query_string import written
from indexer.records import Record


def page_exists(where: Span, asked: int) -> None:
    """A client that walks the pages must see where they end."""
    if asked > where.pages:
        raise NotThere(f"There is no page {asked}: the last one is {where.pages}.")


def page_links(
    parameters: PageParameters, others: dict[str, str]
) -> Callable[[int], str]:
    """What gives the query of a page that leads on, by its number."""

    def query(page: int) -> str:
        pairs = [(name, value) for name, value in others.items() if value]
        pairs += [("size", str(parameters.size))] if parameters.size != 50 else []
        return written([*pairs, ("page", str(page))])

    return query


def page_answer(
    request: HttpRequest,
    items: list[Record],
    where: Span,
    size: int,
    query: Callable[[int], str],
) -> dict[str, Any]:
    """The page with the addresses of its neighbours."""

    def link(page: int) -> str | None:
        if not 1 <= page <= where.pages:
            return None
        return f"{request.path}?{query(page)}"

    return {
        "items": items,
        "total": where.total,
        "page": where.page,
        "pages": where.pages,
        "size": size,
        "next": link(where.page + 1),
        "previous": link(where.page - 1),
    }
