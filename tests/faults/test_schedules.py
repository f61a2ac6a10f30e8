"""Random schedules of faults against a whole Muster (schedules.py says what must hold).

MUSTER_SCHEDULES says how many, half of them embedded; `make test-all` takes 300."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.clocks import has_clocks
from tests.faults.installation import has_small_disks
from tests.faults.schedules import run_all, schedule_of
from tests.faults.test_servers import leave_out
from tests.services import how_many

pytestmark = pytest.mark.slow
SEED = 20261130
COUNT = how_many(2, 300, "MUSTER_SCHEDULES")


def all_go_well(folder: Path, setup: str, count: int, *faults: str) -> None:
    schedules = [
        schedule_of(SEED + number, setup, faults=faults) for number in range(count)
    ]
    said: list[str] = []
    tally = run_all(schedules, folder, said.append)
    assert not said, "\n".join(said)
    assert tally.schedules == count


def test_embedded_everything_is_right_after_every_schedule_of_faults(
    tmp_path: Path,
) -> None:
    all_go_well(tmp_path, "embedded", max(1, COUNT // 2))


@pytest.mark.needs_postgres
@pytest.mark.needs_redis
def test_in_production_everything_is_right_after_every_schedule_of_faults(
    tmp_path: Path,
) -> None:
    all_go_well(tmp_path, "production", max(1, COUNT // 2))


def test_what_schedules_leave_out_where_it_cannot_be_done(tmp_path: Path) -> None:
    """Wrong clocks and full disks: there, or said to be left out."""
    if not has_clocks():
        leave_out("there is no C compiler to make wrong clocks")
    if not has_small_disks(tmp_path):
        pytest.skip("left out: this user mounts no small disk")


def test_a_seed_is_its_schedule() -> None:
    again = [str(schedule_of(SEED, "embedded")) for _ in range(2)]
    assert again[0] == again[1]
    assert str(schedule_of(SEED + 1, "embedded")) not in again
    only = schedule_of(SEED, "production", faults=("clock",), length=50)
    kinds = {step.kind for step in only.steps}
    assert "clock" in kinds
    assert kinds <= {"clock", "push", "crawl", "act", "look"}
