"""What columns can hold: the one place where values are made to fit.

Text from Git can have any length and, should a provider forget to clean it, any
character. PostgreSQL refuses what SQLite stores without a word (NUL, lone
surrogates, a long name in a short column), and one such value would cost a whole
crawl. So everything passes here, and both databases hold the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256

from indexer.core.snapshot import FIRST_SECOND, LAST_SECOND, Instant, Json
from indexer.models.fields import UNKNOWN_TIME

NAME_LENGTH = 255  # artifacts, versions, stages, types, labels
EMAIL_LENGTH = 320  # of an event's author: an index stands on it
ID_LENGTH = 64  # object ids, hex
SEARCH_LENGTH = 20_000  # characters of an artifact that search looks at
KEY_LENGTH = 1_000  # hex digits of a sort key: index rows have a limit
WHOLE_MAX = 2**31 - 1  # of an integer column
ODD_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")  # in JSON


def text(value: str) -> str:
    """`value` as both databases can store it: U+FFFD for NUL and surrogates."""
    if value.isascii() and "\0" not in value:
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        value = value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return value.replace("\0", "\ufffd")


def holds(value: str) -> bool:
    """Whether both databases can store it as it is."""
    return text(value) == value


def texts_in(value: object) -> Iterator[str]:
    """All texts in a JSON value, names too."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, Mapping):
            left += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple):
            left += one


def is_odd_json(body: bytes) -> bool:
    """Whether it is JSON with a text that no database holds. What is no JSON is for
    whoever reads it to refuse."""
    if not ODD_ESCAPE.search(body):
        return False
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return not all(map(holds, texts_in(value)))


def name(value: str, limit: int = NAME_LENGTH) -> str:
    """`value` cut to `limit` characters; a cut one ends in a digest of the whole, so
    that two long names never become one."""
    value = text(value)
    if len(value) <= limit:
        return value
    digest = sha256(value.encode()).hexdigest()[:12]
    return f"{value[: limit - 13]}…{digest}"


def object_id(value: str | None) -> str:
    """An object id, or "" for none."""
    if not value:
        return ""
    if len(value) <= ID_LENGTH and value.isalnum() and value.isascii():
        return value
    return name(value, ID_LENGTH)


def whole(value: int) -> int:
    """`value` within an integer column."""
    return max(-WHOLE_MAX, min(WHOLE_MAX, value))


def moment(value: Instant | None) -> datetime | None:
    """The moment in UTC, None for an unknown one."""
    if value is None or not FIRST_SECOND <= value.seconds <= LAST_SECOND:
        return None
    # fromtimestamp() asks the C library, which on some systems knows no year 2.
    return (
        value.utc if value.seconds < 0 else datetime.fromtimestamp(value.seconds, UTC)
    )


def moment_key(value: Instant | None) -> int:
    """What to sort the moment by: see UNKNOWN_TIME."""
    if value is None or not FIRST_SECOND <= value.seconds <= LAST_SECOND:
        return UNKNOWN_TIME
    return value.seconds


def sort_key(value: str) -> str:
    """Hex of the casefolded UTF-8: compares alike on both databases, whatever their
    collations."""
    return text(value).casefold().encode().hex()[:KEY_LENGTH]


def json_text(value: object) -> str:
    """`value` as JSON both databases take: no NaN, no NUL, no lone surrogate."""
    try:
        out = json.dumps(value, ensure_ascii=False, allow_nan=False)
        out.encode()
        if "\\u0000" not in out:
            return out
    except (ValueError, UnicodeEncodeError, RecursionError):
        pass  # rare, so the careful way is taken only then
    return json.dumps(clean_json(value), ensure_ascii=False, allow_nan=False)


def clean_json(value: object, depth: int = 100) -> Json:
    """A tree without what JSON or a database cannot hold. Deeper than `depth` it is
    cut; a number that is none becomes its name."""
    if depth == 0:
        return "…"
    if isinstance(value, str):
        return text(value)
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if abs(value) < float("inf") else str(value)
    if isinstance(value, dict):
        return {
            text(str(key)): clean_json(item, depth - 1) for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [clean_json(item, depth - 1) for item in value]
    return text(str(value))
