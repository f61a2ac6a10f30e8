"""What an answer says of the limits: how many requests are left, and until when to
wait. Every value is the provider's, so none is believed without bounds.

GitHub: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
GitLab: https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from indexer.budget_rules import LONGEST_WAIT
from indexer.budgets import Told

SHORTEST_WAIT = timedelta(seconds=1)
# A provider's clock may be wrong by so much before its times are put right; below it
# the correction would be less exact than the times.
SKEW = timedelta(seconds=30)
NUMBER = re.compile(r"\s*(\d{1,18})(?:\.\d+)?\s*", re.ASCII)
MOMENT = 1_000_000_000  # a smaller number counts seconds from now
MOST = 1_000_000_000  # a larger count is none
# Kinds of request that are counted apart; GitHub has more, for what we do not use.
RESOURCES = frozenset({"core", "graphql", "search", "code_search"})
OTHER = "other"


def read_told(headers: Mapping[str, str], now: datetime, *, cost: int) -> Told:
    """What is left, by `headers` (whose names may be in any case)."""
    return Told(
        allowed=_count(headers, "limit"),
        remaining=_count(headers, "remaining"),
        reset_at=_reset_at(headers, now),
        cost=cost,
    )


def read_resource(headers: Mapping[str, str], guess: str) -> str:
    """Which kind of request the provider counted it as."""
    said = headers.get("x-ratelimit-resource")
    if said is None:
        return guess
    return said if said in RESOURCES else OTHER


def says_limited(status: int, headers: Mapping[str, str], reason: str) -> bool:
    """Whether a refusal is for too many requests and not for a missing right."""
    if status == 429:
        return True
    told = reason.lower()
    return status == 403 and (
        "retry-after" in headers
        or says_used_up(headers)
        or "rate limit" in told
        or "abuse detection" in told
    )


def says_used_up(headers: Mapping[str, str]) -> bool:
    """Whether none are left of what may be asked in a window."""
    return _count(headers, "remaining") == 0


def read_wait(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """When to come back, as the answer says; None if it does not, or not in earnest."""
    after = headers.get("retry-after", "")
    number = _number(after)
    until = None
    if number is not None:
        until = _later(now, number)
    elif after:
        until = _date(after)
        if until is not None:
            until -= _skew(headers, now)
    if until is not None and until > now:
        return _bounded(until, now)
    return None


def read_reset(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """When there are requests again, where the answer says that none are left."""
    if not says_used_up(headers):
        return None
    until = _reset_at(headers, now)
    return _bounded(until, now) if until is not None else None


def _limit(headers: Mapping[str, str], name: str) -> str:
    return headers.get(f"x-ratelimit-{name}") or headers.get(f"ratelimit-{name}") or ""


def _reset_at(headers: Mapping[str, str], now: datetime) -> datetime | None:
    number = _number(_limit(headers, "reset"))
    if number is None:
        return None
    if number < MOMENT:
        return _later(now, number)
    try:
        at = datetime.fromtimestamp(number, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return min(at - _skew(headers, now), now + LONGEST_WAIT)


def _count(headers: Mapping[str, str], name: str) -> int | None:
    number = _number(_limit(headers, name))
    return number if number is not None and number <= MOST else None


def _skew(headers: Mapping[str, str], now: datetime) -> timedelta:
    """How far the provider's clock is ahead of ours."""
    date = _date(headers.get("date", ""))
    if date is None or abs(date - now) < SKEW:
        return timedelta()
    return date - now


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
        return date.replace(tzinfo=date.tzinfo or UTC).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None


def _number(text: str) -> int | None:
    match = NUMBER.fullmatch(text)
    return int(match[1]) if match else None


def _later(now: datetime, seconds: int) -> datetime:
    return now + min(timedelta(seconds=min(seconds, 10**6)), LONGEST_WAIT)


def _bounded(until: datetime, now: datetime) -> datetime:
    return min(max(until, now + SHORTEST_WAIT), now + LONGEST_WAIT)
