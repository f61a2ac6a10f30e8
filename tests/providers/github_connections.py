"""Lists of GraphQL as GitHub gives them: pages by cursors."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

from tests.providers.github_state import JSON

MOST = 100  # nodes of a connection


class QueryError(Exception):
    """An error with one of GitHub's types, for the field that raised it."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


class Connection:
    """A page of a list; nodes are made when they are asked for."""

    def __init__(
        self,
        page: Sequence[tuple[str, Any]],
        total: int,
        make: Callable[[Any], Any],
        before: bool,
        after: bool,
    ) -> None:
        self._page = page
        self._make = make
        self.totalCount = total
        self.pageInfo = {
            "hasPreviousPage": before,
            "hasNextPage": after,
            "startCursor": cursor(page[0][0]) if page else None,
            "endCursor": cursor(page[-1][0]) if page else None,
        }

    @cached_property
    def nodes(self) -> list[Any]:
        return [self._make(item) for _, item in self._page]

    @property
    def edges(self) -> list[JSON]:
        made = zip(self._page, self.nodes, strict=True)
        return [{"cursor": cursor(key), "node": node} for (key, _), node in made]


def cursor(key: str) -> str:
    return base64.b64encode(f"cursor:{key}".encode()).decode()


def connection(
    name: str,
    items: Iterable[tuple[str, Any]],
    make: Callable[[Any], Any],
    asked: dict[str, Any],
) -> Connection:
    """A page of (key, item): `first` after a cursor, or `last` before one. A cursor
    names the item, so that it holds while others come and go."""
    listed = list(items)
    size = asked.get("first") or asked.get("last")
    if size is None:
        sentence = "You must provide a `first` or `last` value to properly paginate "
        raise QueryError("MISSING_PAGINATION_BOUNDARIES", f"{sentence}`{name}`.")
    if size > MOST:
        sentence = f"Requesting {size} records on the `{name}` connection exceeds the "
        raise QueryError("EXCESSIVE_PAGINATION", f"{sentence}`first` limit of 100.")
    keys = [cursor(key) for key, _ in listed]
    start, end = 0, len(listed)
    if asked.get("after"):
        start = _place(keys, asked["after"]) + 1
    if asked.get("before"):
        end = _place(keys, asked["before"])
    if asked.get("first"):
        end = min(end, start + size)
    else:
        start = max(start, end - size)
    more = end < len(listed)
    return Connection(listed[start:end], len(listed), make, start > 0, more)


def _place(keys: list[str], wanted: str) -> int:
    if wanted not in keys:
        text = f"`{wanted}` does not appear to be a valid cursor."
        raise QueryError("INVALID_CURSOR_ARGUMENTS", text)
    return keys.index(wanted)
