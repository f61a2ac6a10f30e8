"""Our answers equal those of the real gto, on random histories in real repositories.

`MUSTER_FUZZ` says how many (300 without it); `python -m tests.core.fuzz N` runs more
on all cores. A failure prints the smallest history that shows it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from indexer.providers.base import Known, Remote
from indexer.providers.git.reader import GitProvider
from tests.core.comparing import compare_history, compare_repository
from tests.core.histories import History, histories, write_repository

pytest.importorskip("gto", reason="gto, the oracle, is not installed")

COUNT = int(os.environ.get("MUSTER_FUZZ", "300"))


@pytest.mark.fuzz
@settings(
    max_examples=COUNT,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
@given(histories())
def test_T12_show_and_history_equal_gto_on_random_histories(history: History) -> None:
    compare_history(history)


@pytest.mark.fuzz
@settings(
    max_examples=max(COUNT // 10, 5),
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
@given(histories())
def test_what_the_git_reader_reads_equals_gto_too(history: History) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write_repository(Path(folder) / "repository", history)
        remote = Remote(url=str(path), mirror=Path(folder) / "mirror", allow_local=True)
        reader = GitProvider(remote)
        compare_repository(path, reader.fetch_snapshot(reader.fetch_listing(), Known()))
