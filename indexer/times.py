"""Moments in words: how long ago, and exactly. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

_AGES = (
    (timedelta(days=365), "year"),
    (timedelta(days=30), "month"),
    (timedelta(days=7), "week"),
    (timedelta(days=1), "day"),
    (timedelta(hours=1), "hour"),
    (timedelta(minutes=1), "minute"),
)


def relative(at: datetime, now: datetime) -> str:
    """How long before (or after) `now` a moment was, in its largest whole unit."""
    age = abs(now - at)
    for size, unit in _AGES:
        if age >= size:
            count = age // size
            words = f"{count} {unit}{'s' if count > 1 else ''}"
            return f"{words} ago" if at < now else f"in {words}"
    return "just now" if at <= now else "in a moment"


def local_time(at: datetime, offset: int) -> datetime:
    """The moment on the clock of who wrote it; `offset` is minutes east of UTC."""
    if abs(offset) >= 24 * 60:
        return at.astimezone(UTC)
    return at.astimezone(timezone(timedelta(minutes=offset)))


def exact(at: datetime, offset: int) -> str:
    """`2026-03-12 14:05:33 +01:00 (13:05:33 UTC)`; the day again where it differs."""
    utc, local = at.astimezone(UTC), local_time(at, offset)
    if not local.utcoffset():
        return f"{utc:%Y-%m-%d %H:%M:%S} UTC"
    zone = f"{local:%z}"
    same_day = utc.date() == local.date()
    shown = f"{utc:%H:%M:%S}" if same_day else f"{utc:%Y-%m-%d %H:%M:%S}"
    return f"{local:%Y-%m-%d %H:%M:%S} {zone[:3]}:{zone[3:5]} ({shown} UTC)"
