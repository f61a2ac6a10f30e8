"""Which of an owner's repositories a connection takes: patterns, forks, archived ones.

A pattern is one line, as a shell reads it: `*` anything within a name, `?` one
character, `[ab]` one of these, `**` any number of groups. Without a slash it is about
the name alone (`ml-*`), with one about the whole path (`acme/ml-*`). Letters count
the same small and large, as they do at GitHub and GitLab."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import quote

from indexer.connection_addresses import WishRefused
from indexer.models import Connection
from indexer.providers.base import RemoteRepository

MAX_PATTERNS = 1000
MAX_LENGTH = 200
MAX_PATH = 500  # as it stands in an address
EVERYWHERE = "**"


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line; `parts` are those of a path, small."""

    text: str
    parts: tuple[str, ...]

    def matches(self, path: str) -> bool:
        """Whether it is about the repository at `path`."""
        return _match(self.parts, tuple(path.lower().split("/")))


@dataclass(frozen=True, slots=True)
class Selection:
    """What a connection takes."""

    include: tuple[Pattern, ...]
    exclude: tuple[Pattern, ...]
    with_forks: bool
    with_archived: bool

    def why_not(self, repository: RemoteRepository) -> str:
        """Why a repository is left out, in a few words; "" if it is taken."""
        if len(quote(repository.path)) > MAX_PATH:
            return f"its path is longer than {MAX_PATH} characters"
        if self.include and not _first(self.include, repository.path):
            return "no pattern names it"
        excluded = _first(self.exclude, repository.path)
        if excluded:
            return f"excluded by “{excluded.text}”"
        if repository.is_fork and not self.with_forks:
            return "a fork"
        if repository.is_archived and not self.with_archived:
            return "archived"
        return ""


def selection_of(connection: Connection) -> Selection:
    """What a connection takes. Raises WishRefused for patterns that are none."""
    return Selection(
        parse_patterns("include", connection.include),
        parse_patterns("exclude", connection.exclude),
        connection.with_forks,
        connection.with_archived,
    )


def parse_patterns(field: str, text: str) -> tuple[Pattern, ...]:
    """The patterns of a field, one a line. Raises WishRefused, with the field."""
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line]
    if len(lines) > MAX_PATTERNS:
        raise WishRefused(
            field, f"There are {len(lines)} patterns; at most {MAX_PATTERNS} are taken."
        )
    return tuple(_parse(field, line) for line in lines)


def _parse(field: str, line: str) -> Pattern:
    shown = line if len(line) <= 60 else f"{line[:60]}…"
    why = ""
    parts = tuple(line.lower().strip("/").split("/"))
    if len(line) > MAX_LENGTH:
        why = f"is longer than {MAX_LENGTH} characters"
    elif "://" in line:
        why = "is an address; write a path such as acme/ml-*"
    elif not line.isprintable() or " " in line:
        why = "has a space or a character that cannot be seen; write one a line"
    elif "," in line or ";" in line:
        why = "has a comma; write one pattern a line"
    elif any(not part for part in parts):
        why = "has nothing between two slashes"
    elif any(part.count("[") != part.count("]") for part in parts):
        why = "has a “[” without its “]”"
    if why:
        raise WishRefused(field, f"The pattern “{shown}” {why}.")
    return Pattern(line, parts if "/" in line.strip("/") else (EVERYWHERE, *parts))


def _first(patterns: tuple[Pattern, ...], path: str) -> Pattern | None:
    return next((pattern for pattern in patterns if pattern.matches(path)), None)


def _match(pattern: tuple[str, ...], path: tuple[str, ...]) -> bool:
    """Part by part: `places` are the parts of the pattern that may come next, so that
    no pattern takes longer than its length times the path's."""
    places = _open(pattern, {0})
    for part in path:
        nexts = set()
        for place in places:
            if place == len(pattern):
                continue
            if pattern[place] == EVERYWHERE:
                nexts.add(place)
            elif fnmatchcase(part, pattern[place]):
                nexts.add(place + 1)
        places = _open(pattern, nexts)
    return len(pattern) in places


def _open(pattern: tuple[str, ...], places: set[int]) -> set[int]:
    """`**` may also stand for nothing."""
    found = set(places)
    for place in sorted(places):
        while place < len(pattern) and pattern[place] == EVERYWHERE:
            place += 1
            found.add(place)
    return found
