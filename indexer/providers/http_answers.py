"""What an answer means: data, or one of `errors` with a plain sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from indexer.providers.errors import (
    AccessDenied,
    BadPayload,
    NotFound,
    ProviderError,
    Refused,
    Unavailable,
)

MAX_REASON = 200
# Data in full; 206 is a part, which nobody asked for.
WHOLE = frozenset({200, 201, 202, 203})
# The marks of GitHub's and GitLab's tokens and of our webhooks' secrets, whole or cut.
TOKEN = re.compile(
    r"\b(?:gh[a-z]_|github_pat_|GR1348941|gl(?:pat|oas|dt|rt|cbt|ptt|ft|imt|agent|wt|"
    r"soat|ffct)-|whsec_)[\w.+/=-]*",
    re.ASCII,
)
HIDDEN = "…"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: `data` is the JSON (None with 204 and 304), header names are
    in small letters."""

    status: int
    data: Any
    etag: str
    headers: Mapping[str, str]


class NotJson(Exception):
    """The text is no JSON that can be used."""


def error_for(
    status: int, place: str, reason: str, *, reading: bool, with_token: bool
) -> ProviderError:
    """The error of an answer with a status that is no success and no rate limit.
    `reason` is the provider's own, clean, or ""; `reading`: nothing was to change."""
    because = f" {place} says: “{reason}”." if reason else ""
    if status == 401:
        said = (
            f"{place} does not accept the token; it may have expired or been revoked. "
            "Enter a new one."
            if with_token
            else f"{place} answers only with a token here. Enter one."
        )
        return AccessDenied(said, status=status)
    if status in {403, 451}:
        if reading:
            return AccessDenied(
                f"{place} does not let the token read this.{because} Check the "
                "token's rights.",
                status=status,
            )
        return Refused(
            f"{place} does not let the token do this.{because} Check the token's "
            "rights.",
            status=status,
        )
    if status in {404, 410}:
        return NotFound(
            f"{place} has no such thing, or hides it from this token. Check the "
            "address and the token's rights.",
            status=status,
        )
    if status in {408, 425} or status >= 500:
        return Unavailable(
            f"{place} has a fault or is busy (status {status}). Muster tries again "
            "later.",
            status=status,
        )
    if 400 <= status < 500:
        return Refused(
            f"{place} refused the request (status {status}).{because}", status=status
        )
    return BadPayload(
        f"{place} answered with status {status}, which makes no sense here. Is the "
        "address right?",
        status=status,
    )


def elsewhere(place: str, status: int) -> BadPayload:
    """The error of a redirect that is not followed."""
    return BadPayload(
        f"{place} sends us to another address, where Muster does not follow. Check "
        "the address; is there a login page or a proxy between?",
        status=status,
    )


def check_data(
    place: str, status: int, content_type: str, body: bytes, *, may_be_empty: bool
) -> None:
    """Raise BadPayload unless an answer of success is whole JSON."""
    if may_be_empty and not body.strip():
        return
    if status not in WHOLE or not body.strip():
        raise BadPayload(
            f"{place} answered with nothing or a part where there must be data "
            f"(status {status}). Muster tries again later.",
            status=status,
        )
    refuse_page(place, status, content_type, body)
    if not _is_json(content_type):
        raise BadPayload(
            f"{place} answered with something that is not JSON. Is the address that "
            "of its API?",
            status=status,
        )
    try:
        if parse_json(body) is not None or may_be_empty:
            return
    except NotJson:
        pass
    raise BadPayload(
        f"{place} answered with data that is cut short or makes no sense. Muster tries "
        "again later.",
        status=status,
    )


def refuse_page(place: str, status: int, content_type: str, body: bytes) -> None:
    """Raise BadPayload for a web page."""
    start = body[:200].lstrip().lower()
    if "html" in content_type.lower() or start.startswith((b"<!doctype", b"<html")):
        raise BadPayload(
            f"{place} answered with a web page instead of data; is the address right, "
            "is there a login page or a proxy between?",
            status=status,
        )


def parse_json(body: bytes) -> Any:
    """JSON as the standard has it. Raises NotJson: for nonsense, and for what is
    nested so deep or so large a number that it would break whoever reads it."""
    try:
        return json.loads(body.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        pass
    raise NotJson


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def reason_of(body: bytes, secrets: Iterable[str]) -> str:
    """What the provider gives as its reason, in one clean line; "" if nothing."""
    try:
        data = parse_json(body)
    except NotJson:
        return ""
    return clean("; ".join(_parts(data)), secrets)


def _parts(data: Any) -> Iterator[str]:
    """The sentences in an answer that is an error: GitHub's `message` and `errors`,
    GitLab's `message` (a text, a list, or lists by field) and `error`."""
    if not isinstance(data, Mapping):
        return
    for name in ("message", "error", "error_description"):
        yield from _texts(data.get(name))
    errors = data.get("errors")
    for error in errors[:5] if isinstance(errors, list) else ():
        if isinstance(error, Mapping):
            yield from _texts(error.get("message") or error.get("code"))
        else:
            yield from _texts(error)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value.strip():
        yield value
    elif isinstance(value, list):
        yield from (item for item in value[:5] if isinstance(item, str))
    elif isinstance(value, Mapping):
        for name, items in list(value.items())[:5]:
            for text in _texts(items) if not isinstance(items, Mapping) else ():
                yield f"{name} {text}"


def storable(text: str) -> str:
    """Text that a database takes: JSON may hold NUL and lone surrogates."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def clean(text: str, secrets: Iterable[str]) -> str:
    """One line of at most 200 characters, all of them visible, without a token."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    text = "".join(c if c.isprintable() else " " for c in text[:10_000])
    text = " ".join(text.split()).rstrip(".")
    # Once more: what was taken out may have parted a token.
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    text = TOKEN.sub(HIDDEN, text)
    return text if len(text) <= MAX_REASON else text[: MAX_REASON - 1] + "…"
