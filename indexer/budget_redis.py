"""A connection's request budget in Redis: a hash for each kind of request, changed by
scripts, which Redis runs one at a time. Times are seconds since 1970. Nothing here is
worth keeping: it goes by itself when nobody asks for two hours."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from indexer.budget_rules import (
    ALL,
    GOES_ON,
    LEAST_RESERVE,
    LONGEST_WAIT,
    SAME_RESET,
    UNSAID_WAIT,
    Counts,
    Need,
    bounded,
    minute_of,
    next_minute,
)

if TYPE_CHECKING:
    from indexer.budgets import Told

SECONDS = 0.5  # for Redis to answer
KEPT_SECONDS = 7200
# kombu's spelling of an option in the address, and redis's own.
CERT = re.compile(r"(?<=ssl_cert_reqs=)CERT_(\w+)")

# KEYS: the resource's hash, that of all, the set of the resources. ARGV: now, cost,
# 1 if urgent, pace, minute, when the next begins, resource. Returns "" or when to come
# back. `budget_rules.wait_of` and `reserve`, in Lua.
ADMIT = f"""
local now, cost, urgent = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1'
local row = redis.call('HMGET', KEYS[1],
    'blocked', 'allowed', 'remaining', 'reset', 'minute', 'in_minute')
local blocked = math.max(tonumber(row[1] or 0),
    tonumber(redis.call('HGET', KEYS[2], 'blocked') or 0))
if blocked > now then return tostring(blocked) end
local allowed, remaining = tonumber(row[2] or nil), tonumber(row[3] or nil)
local reset = tonumber(row[4] or nil)
local open = not reset or reset <= now
if not open and remaining then
    local floor = 0
    if not urgent then
        floor = {LEAST_RESERVE}
        if allowed then
            floor = math.min(math.max(floor, math.floor(allowed / 10)),
                math.floor(allowed / 4))
        end
    end
    if remaining - cost < floor then return tostring(reset) end
end
local in_minute = 0
if row[5] == ARGV[5] then in_minute = tonumber(row[6] or 0) end
if allowed and in_minute + cost > tonumber(ARGV[4]) then return ARGV[6] end
if open then
    redis.call('HDEL', KEYS[1], 'remaining', 'reset')
elseif remaining then
    redis.call('HINCRBY', KEYS[1], 'remaining', -cost)
end
redis.call('HSET', KEYS[1], 'minute', ARGV[5], 'in_minute', in_minute + cost)
redis.call('SADD', KEYS[3], ARGV[7])
redis.call('EXPIRE', KEYS[1], {KEPT_SECONDS})
redis.call('EXPIRE', KEYS[3], {KEPT_SECONDS})
return ''
"""

# KEYS: the resource's hash, the set. ARGV: now, allowed, remaining, reset ("" is not
# known), cost, resource.
RECORD = f"""
local now = tonumber(ARGV[1])
local told, until_ = tonumber(ARGV[3]), tonumber(ARGV[4])
local row = redis.call('HMGET', KEYS[1], 'remaining', 'reset')
local remaining, reset = tonumber(row[1] or nil), tonumber(row[2] or nil)
if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], 'allowed', ARGV[2]) end
if remaining then remaining = remaining + 1 - tonumber(ARGV[5]) end
if told and until_ and until_ > now then
    if not remaining or not reset or reset <= now
            or reset < until_ - {SAME_RESET.seconds} then
        remaining, reset = told, until_
    elseif reset <= until_ + {SAME_RESET.seconds} then
        remaining = math.min(remaining, told)
    end
end
if remaining then redis.call('HSET', KEYS[1], 'remaining', remaining) end
if reset then redis.call('HSET', KEYS[1], 'reset', tostring(reset)) end
redis.call('SADD', KEYS[2], ARGV[6])
redis.call('EXPIRE', KEYS[1], {KEPT_SECONDS})
redis.call('EXPIRE', KEYS[2], {KEPT_SECONDS})
"""

# KEYS: the resource's hash, the set. ARGV: until, resource.
BLOCK = f"""
if tonumber(redis.call('HGET', KEYS[1], 'blocked') or 0) < tonumber(ARGV[1]) then
    redis.call('HSET', KEYS[1], 'blocked', ARGV[1])
end
redis.call('SADD', KEYS[2], ARGV[2])
redis.call('EXPIRE', KEYS[1], {KEPT_SECONDS})
redis.call('EXPIRE', KEYS[2], {KEPT_SECONDS})
"""

# KEYS: the hash of all, the set. ARGV: now. Returns until when.
BACK_OFF = f"""
local now = tonumber(ARGV[1])
local row = redis.call('HMGET', KEYS[1], 'blocked', 'strikes')
local last, strikes = tonumber(row[1] or 0), tonumber(row[2] or 0)
if last > now then return tostring(last) end
if now - last < {GOES_ON.seconds} then strikes = strikes + 1 else strikes = 1 end
local wait = {UNSAID_WAIT.seconds} * 2 ^ math.min(strikes - 1, 20)
local until_ = tostring(now + math.min(wait, {LONGEST_WAIT.seconds}))
redis.call('HSET', KEYS[1], 'blocked', until_, 'strikes', strikes)
redis.call('SADD', KEYS[2], '{ALL}')
redis.call('EXPIRE', KEYS[1], {KEPT_SECONDS})
redis.call('EXPIRE', KEYS[2], {KEPT_SECONDS})
return until_
"""


def client_of(url: str) -> redis.Redis:
    """A client that gives up soon. A connection that broke is made anew once."""
    return redis.Redis.from_url(
        CERT.sub(lambda match: match[1].lower(), url),
        socket_timeout=SECONDS,
        socket_connect_timeout=SECONDS,
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        decode_responses=True,
    )


def set_of(connection_id: int) -> str:
    """The key of the set of a connection's resources; each one's follows it."""
    return f"muster:budget:{connection_id}"


def read_all(
    client: redis.Redis, connection_ids: Collection[int]
) -> dict[int, list[Counts]]:
    """All that is kept of these connections, in two round trips."""
    found: dict[int, list[Counts]] = {pk: [] for pk in connection_ids}
    pipeline = client.pipeline(transaction=False)
    for pk in connection_ids:
        pipeline.smembers(set_of(pk))
    names = [
        (pk, name)
        for pk, resources in zip(connection_ids, pipeline.execute(), strict=True)
        for name in sorted(resources)
    ]
    for pk, name in names:
        pipeline.hgetall(f"{set_of(pk)}:{name}")
    for (pk, name), row in zip(names, pipeline.execute(), strict=True):
        found[pk].append(_counts(name, row))
    return found


class RedisStore:
    """The budget of one connection. Every method may raise redis.RedisError."""

    def __init__(self, client: redis.Redis, connection_id: int) -> None:
        self._client = client
        self._set = set_of(connection_id)

    def admit(self, need: Need, now: datetime) -> datetime | None:
        """Take the right to a request; None, or when to come back."""
        answer = self._run(
            ADMIT,
            [self._key(need.resource), self._key(ALL), self._set],
            [now.timestamp(), need.cost, int(need.urgent), need.pace, minute_of(now),
             next_minute(now).timestamp(), need.resource],
        )  # fmt: skip
        return _moment(answer)

    def record(self, resource: str, told: Told, now: datetime) -> None:
        """Correct the numbers by what an answer said."""
        reset_at = told.reset_at and bounded(told.reset_at, now).timestamp()
        numbers = (told.allowed, told.remaining, reset_at)
        self._run(
            RECORD,
            [self._key(resource), self._set],
            [now.timestamp(), *("" if n is None else n for n in numbers), told.cost,
             resource],
        )  # fmt: skip

    def block(self, resource: str, until: datetime) -> None:
        """Nobody asks before `until`."""
        keys = [self._key(resource), self._set]
        self._run(BLOCK, keys, [until.timestamp(), resource])

    def back_off(self, now: datetime) -> datetime:
        """Nobody asks anything for a while, longer each time in a row; until when."""
        answer = self._run(BACK_OFF, [self._key(ALL), self._set], [now.timestamp()])
        return bounded(_moment(answer) or now, now)

    def forget(self) -> None:
        """Remove it all."""
        resources = self._client.smembers(self._set)
        self._client.delete(self._set, *(self._key(str(name)) for name in resources))

    def _key(self, resource: str) -> str:
        return f"{self._set}:{resource}"

    def _run(self, script: str, keys: list[str], values: list[Any]) -> Any:
        return self._client.register_script(script)(keys=keys, args=values)


def _counts(resource: str, row: dict[str, str]) -> Counts:
    return Counts(
        resource=resource,
        allowed=_whole(row.get("allowed")),
        remaining=_whole(row.get("remaining")),
        reset_at=_moment(row.get("reset")),
        blocked_until=_moment(row.get("blocked")),
        minute=_whole(row.get("minute")) or 0,
        in_minute=_whole(row.get("in_minute")) or 0,
    )


def _whole(text: str | None) -> int | None:
    return None if text is None else int(text)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromtimestamp(float(text), UTC) if text else None
