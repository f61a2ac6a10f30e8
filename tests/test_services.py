"""A server that answers on this machine is not ours to use unless it is named."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.process_tree import ROOT

NAMES = {"MUSTER_TEST_POSTGRES", "MUSTER_TEST_REDIS", "MUSTER_REQUIRE_SERVICES"}


def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """A Python of the tests, without the names of servers."""
    kept = {name: value for name, value in os.environ.items() if name not in NAMES}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        env={**kept, "PYTHONDONTWRITEBYTECODE": "1", **more},
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )


def test_no_postgresql_is_used_that_no_variable_names() -> None:
    done = run("tests.services")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Not on PostgreSQL: MUSTER_TEST_POSTGRES names none.\n"


@pytest.mark.parametrize("need", ["needs_postgres", "needs_redis"])
def test_a_server_that_is_not_named_is_missing_where_it_is_required(need: str) -> None:
    found = "both_databases" if need == "needs_postgres" else "budgets"
    words = [
        "pytest",
        "-q",
        "-m",
        need,
        "-x",
        "-p",
        "no:randomly",
        f"tests/test_{found}.py",
    ]
    done = run(*words, MUSTER_REQUIRE_SERVICES="1")
    assert done.returncode == 1
    assert "names none, and MUSTER_REQUIRE_SERVICES is set" in done.stdout
