"""Our answers equal those of the real gto, on random histories in real repositories.

`MUSTER_FUZZ` says how many (300 without it); `python -m tests.core.fuzz N` runs more
on all cores. A failure prints the smallest history that shows it."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings

from tests.core.comparing import compare_history
from tests.core.histories import History, histories

pytest.importorskip("gto", reason="gto, the oracle, is not installed")


@pytest.mark.fuzz
@settings(
    max_examples=int(os.environ.get("MUSTER_FUZZ", "300")),
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
@given(histories())
def test_T12_show_and_history_equal_gto_on_random_histories(history: History) -> None:
    compare_history(history)
