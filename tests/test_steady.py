"""The scheduler goes on whatever is done to its clock."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings

from registry_site.celery import app
from registry_site.steady import Steady
from tests.faults.clocks import Clock, has_clocks
from tests.faults.test_servers import leave_out
from tests.process_tree import environment, running, wait_until

BEAT = [
    sys.executable, "-m", "celery", "--app=registry_site.celery", "--quiet", "beat",
    "--scheduler=celery.beat.Scheduler", "--pidfile=",
]  # fmt: skip


def test_every_entry_is_measured_by_the_clock_that_nobody_sets() -> None:
    assert settings.CELERY_BEAT_SCHEDULE
    schedules = [entry["schedule"] for entry in app.conf.beat_schedule.values()]
    assert {type(one) for one in schedules} == {Steady}


def test_what_ran_in_the_future_is_due() -> None:
    every = Steady(timedelta(seconds=30))
    assert every.is_due(every.now() + timedelta(hours=2)) == (True, 30)
    assert every.is_due(every.now() - timedelta(seconds=31))[0]
    assert not every.is_due(every.now() - timedelta(seconds=10))[0]


def taken(queue: Path) -> set[str]:
    """The tasks of the messages that wait, which nobody will find any more."""
    tasks = set()
    for message in queue.glob("*.msg"):
        tasks.add(json.loads(message.read_bytes())["headers"]["task"])
        message.unlink()
    return tasks


@pytest.mark.parametrize("hours", [2, -2])
def test_a_scheduler_whose_clock_is_set_right_goes_on_at_once(
    tmp_path: Path, hours: int
) -> None:
    if not has_clocks():
        leave_out("there is no C compiler to make a wrong clock")
    clock = Clock(tmp_path, "beat")
    clock.set(hours * 3600)
    data = tmp_path / "data"
    env = environment(data, MUSTER_WAKE_INTERVAL="0.5") | clock.environment
    found: set[str] = set()

    def both_came() -> bool:
        found.update(taken(data / "queue"))
        return found >= {"muster.enqueue_due", "muster.act"}

    with running(BEAT, env, tmp_path / "log") as beat:
        wait_until(both_came, 40, "the first messages")
        clock.set(0)
        for _ in range(2):  # what was sent before it was set does not count
            found.clear()
            wait_until(both_came, 20, "messages after the clock was set right")
        assert beat.process.poll() is None
