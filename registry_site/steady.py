"""The scheduler's intervals, by a clock that nobody sets.

Celery measures them by the machine's clock. Once that was two hours ahead and is set
right, each entry seems to have run two hours in the future, and nothing is sent until
then: no worker is woken, no action gone on with."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from celery.schedules import schedstate, schedule

_BEGUN = datetime.now(UTC), time.monotonic()


class Steady(schedule):  # type: ignore[misc]  # Celery has no types
    """Every so often. What the scheduler before this one wrote into its file may be of
    any clock: an entry that ran later than now is due."""

    def now(self) -> datetime:
        """The time at the start of this process, and how long that is ago."""
        at, counter = _BEGUN
        return at + timedelta(seconds=time.monotonic() - counter)

    def is_due(self, last_run_at: datetime) -> schedstate:
        if self.maybe_make_aware(last_run_at) > self.now():
            return schedstate(is_due=True, next=self.seconds)
        return super().is_due(last_run_at)
