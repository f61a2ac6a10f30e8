"""Filters in an address: reading what people typed, and writing it again.

Reading never raises. A value that makes no sense is left out, and a sentence says
so: pages show it, the API answers 400 with it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from datetime import date
from urllib.parse import quote

from django.http import QueryDict

LONGEST_SEARCH = 200  # characters
LONGEST_VALUE = 400
MOST_VALUES = 50  # of one parameter
LAST_PAGE = 1_000_000


class Reader:
    """Reads parameters one by one and collects a note for each bad value."""

    def __init__(self, query: QueryDict) -> None:
        self.query = query
        self.notes: list[str] = []

    def text(self, name: str, longest: int = LONGEST_VALUE) -> str:
        """The last value, stripped; "" where there is none."""
        value = self._clean(name, self.query.get(name) or "", longest)
        return " ".join(value.split())

    def texts(self, name: str, allowed: Collection[str] = ()) -> tuple[str, ...]:
        """Every value that is not empty, each once, in the given order; where
        `allowed` names values, only those."""
        values = [
            self._clean(name, value, LONGEST_VALUE)
            for value in self.query.getlist(name)[:MOST_VALUES]
        ]
        if len(self.query.getlist(name)) > MOST_VALUES:
            self.notes.append(
                f"{name} is given more than {MOST_VALUES} times: "
                f"only the first {MOST_VALUES} count."
            )
        values = [value for value in dict.fromkeys(values) if value]
        if allowed:
            for value in values:
                if value not in allowed:
                    self.notes.append(_not_one_of(name, value, allowed))
            values = [value for value in values if value in allowed]
        return tuple(values)

    def choice(self, name: str, allowed: Collection[str], default: str) -> str:
        """The value if it is one of `allowed`, else `default`."""
        value = self.text(name)
        if not value or value in allowed:
            return value or default
        self.notes.append(_not_one_of(name, value, allowed))
        return default

    def sort(self, allowed: Collection[str], default: str) -> tuple[str, bool]:
        """A field and whether it descends: `-activity` is ("activity", True)."""
        value = self.text("sort") or default
        if value.removeprefix("-") not in allowed:
            self.notes.append(_not_one_of("sort", value, allowed))
            value = default
        return value.removeprefix("-"), value.startswith("-")

    def page(self) -> int:
        """The page, from 1."""
        value = self.text("page")
        if not value:
            return 1
        if re.fullmatch(r"[0-9]{1,9}", value) and 1 <= int(value) <= LAST_PAGE:
            return int(value)
        self.notes.append(f"page is {_shown(value)}; it is a number from 1.")
        return 1

    def size(self, sizes: Collection[int], default: int) -> int:
        """How many rows a page has: one of `sizes`."""
        value = self.text("size")
        if not value:
            return default
        if re.fullmatch(r"[0-9]{1,9}", value) and int(value) in sizes:
            return int(value)
        allowed = (
            f"a number from {sizes[0]} to {sizes[-1]}"
            if isinstance(sizes, range)
            else ", ".join(map(str, sizes))
        )
        self.notes.append(f"size is {_shown(value)}; it is {allowed}.")
        return default

    def day(self, name: str) -> date | None:
        """A day like 2026-01-31."""
        value = self.text(name)
        if not value:
            return None
        try:
            if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
                raise ValueError(value)
            day = date.fromisoformat(value)
            # One day of room for time zones at both ends of the calendar.
            if not 2 <= day.year <= 9998:
                raise ValueError(value)
        except ValueError:
            self.notes.append(
                f"{name} is {_shown(value)}; it is a day like 2026-01-31."
            )
            return None
        return day

    def _clean(self, name: str, value: str, longest: int) -> str:
        if len(value) > longest:
            self.notes.append(
                f"{name} is longer than {longest} characters: the rest was left out."
            )
            value = value[:longest]
        return value.strip()


def written(pairs: Iterable[tuple[str, str]]) -> str:
    """A query string, without its `?`; the order of `pairs` is kept."""
    return "&".join(
        f"{quote(name, safe='')}={quote(value, safe='/:@,')}" for name, value in pairs
    )


def _shown(value: str) -> str:
    return f"“{value[:40]}…”" if len(value) > 40 else f"“{value}”"


def _not_one_of(name: str, value: str, allowed: Collection[str]) -> str:
    return f"{name} is {_shown(value)}; it is one of {', '.join(allowed)}."
