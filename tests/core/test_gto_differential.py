"""Our answers equal those of the real gto, on random histories in real repositories.

`MUSTER_FUZZ` says how many (300 without it); `python -m tests.core.fuzz N` runs more
on all cores. A failure prints the smallest history that shows it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from indexer.core import gto_json
from indexer.core.state import build_state
from indexer.providers.base import Known, Remote
from indexer.providers.git.reader import GitProvider
from tests.core.comparing import (
    compare_history,
    compare_history_until,
    compare_repository,
)
from tests.core.histories import (
    Commit,
    History,
    Tag,
    histories,
    histories_until,
    write_repository,
)
from tests.core.oracle import printed
from tests.core.reading import read_repository
from tests.services import how_many

pytest.importorskip("gto", reason="gto, the oracle, is not installed")

COUNT = how_many(300)


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


@pytest.mark.fuzz
@settings(
    max_examples=max(COUNT // 6, 5),
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
@given(histories_until())
def test_the_state_at_a_time_equals_gto_with_the_tags_until_then(
    then: tuple[History, int],
) -> None:
    compare_history_until(*then)


def test_what_is_compared_is_what_the_gto_command_prints(tmp_path: Path) -> None:
    files = {"artifacts.yaml": "m: {type: model, custom: {ä: 1}}\n"}
    history = History(
        (Commit(files=files),),
        (Tag("m@v1.0.0", message="ä"), Tag("m#prod", zone="-0330")),
    )
    path = write_repository(tmp_path / "repository", history)
    state = build_state(read_repository(path))
    expected = {
        ("show",): gto_json.show_registry(state),
        ("show", "m"): gto_json.show_artifact(state, "m"),
        ("show", "m#prod", "-d", "--vs", "-1"): gto_json.show_artifact(state, "m#prod"),
        ("history",): gto_json.history(state),
    }
    for words, ours in expected.items():
        command = [sys.executable, "-c", "import gto.cli; gto.cli.app()"]
        command += [*words, "--json", "-r", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout == printed(ours) + "\n"
