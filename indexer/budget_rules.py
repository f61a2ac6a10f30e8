"""The rules of a request budget, the same wherever it is kept. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

# The row that concerns every kind of request.
ALL = "all"
# Nobody waits longer because a provider said so: GitHub's and GitLab's windows are an
# hour at most.
LONGEST_WAIT = timedelta(hours=1)
# Told to wait without for how long: "at least one minute", then exponentially longer.
# https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
UNSAID_WAIT = timedelta(minutes=1)
# It goes on if the last such wait ended no longer ago.
GOES_ON = timedelta(minutes=10)
# Resets this near to each other are the same; answers of one window differ a little.
SAME_RESET = timedelta(seconds=10)
# Kept for what a person waits for: a tenth of what is allowed, but at least this many,
# and at most a quarter where little is allowed.
LEAST_RESERVE = 20
# Requests in a minute, below the secondary limits that two servers document: GitHub's
# are 900 points (a read is one) and 2,000 for GraphQL, GitLab.com's is 2,000 requests.
# A server of one's own has none, or says so when it is reached.
PACES: dict[str, dict[str, int]] = {
    "github.com": {"core": 800, "graphql": 1500},
    "gitlab.com": {"core": 1500, "graphql": 1500},
}
UNPACED = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Counts:
    """One kind of request of a connection, as it is kept. None: not known."""

    resource: str
    allowed: int | None = None
    remaining: int | None = None
    reset_at: datetime | None = None
    blocked_until: datetime | None = None
    minute: int = 0
    in_minute: int = 0


@dataclass(frozen=True, slots=True)
class Need:
    """What a request asks for. `pace`: requests in a minute for work of its urgency."""

    resource: str
    cost: int
    urgent: bool
    pace: int


def pace(server: str, resource: str, *, urgent: bool) -> int:
    """Requests in a minute at a server. Scheduled work leaves a tenth to what is
    urgent."""
    known = PACES.get(server)
    if known is None:
        return UNPACED
    whole = known.get(resource, min(known.values()))
    return whole if urgent else whole * 9 // 10


def reserve(allowed: int | None) -> int:
    """How many requests scheduled work leaves alone."""
    if allowed is None:
        return LEAST_RESERVE
    return min(max(LEAST_RESERVE, allowed // 10), allowed // 4)


def wait_of(counts: Counts, need: Need, now: datetime) -> datetime | None:
    """When a request may be asked for again; None: now."""
    if counts.blocked_until is not None and counts.blocked_until > now:
        return counts.blocked_until
    floor = 0 if need.urgent else reserve(counts.allowed)
    if (
        counts.remaining is not None
        and counts.reset_at is not None
        and counts.reset_at > now
        and counts.remaining - need.cost < floor
    ):
        return counts.reset_at
    if (
        counts.allowed is not None
        and counts.minute == minute_of(now)
        and counts.in_minute + need.cost > need.pace
    ):
        return next_minute(now)
    return None


def minute_of(now: datetime) -> int:
    """The minute since 1970."""
    return int(now.timestamp() // 60)


def next_minute(now: datetime) -> datetime:
    """When the next minute begins."""
    return now.replace(second=0, microsecond=0) + timedelta(minutes=1)


def unsaid_wait(strikes: int) -> timedelta:
    """How long to wait the `strikes`th time in a row."""
    doubled: int = 2 ** min(strikes - 1, 20)
    return min(UNSAID_WAIT * doubled, LONGEST_WAIT)


def bounded(until: datetime, now: datetime) -> datetime:
    """No later than is ever sensible."""
    return min(until, now + LONGEST_WAIT)
