"""What the tests need from the machine, and what happens where it is missing.

A test says its need by a marker (`needs_postgres`, `needs_redis`, `needs_chromium`,
`needs_caddy`). On a bare machine such a test is skipped and the last lines of the run
name what was left out and why; with MUSTER_REQUIRE_SERVICES=1 (CI) the missing service
fails it.
A server is used only where its variable names it: one that happens to answer on this
machine may be somebody's.

Tests marked `exhaustive` (full crosses, many random histories, fault schedules) run
with MUSTER_EXHAUSTIVE=1 alone, which is what `make test-all` sets."""

from __future__ import annotations

import functools
import os
import shutil
import socket
import sys
from collections import Counter
from urllib.parse import urlsplit

import pytest

POSTGRES_URL = os.environ.get("MUSTER_TEST_POSTGRES", "")
REDIS_URL = os.environ.get("MUSTER_TEST_REDIS", "")
REQUIRED = os.environ.get("MUSTER_REQUIRE_SERVICES", "") not in {"", "0"}
EXHAUSTIVE = os.environ.get("MUSTER_EXHAUSTIVE", "") not in {"", "0"}
CHROMIUM_NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
)

# Tests that use the database and that its kind makes no difference to: one is enough.
ONE_DATABASE = ("tests/browser/", "tests/contract/", "tests/providers/")
# What another kind of database can change: how rows are written and compared, paging,
# search, query counts, leases and races, triggers, odd text. These run on PostgreSQL
# always; the others that use a database do in `make test-all`.
BOTH_DATABASES = (
    "tests/actions/test_dropped",
    "tests/actions/test_log_",
    "tests/actions/test_together",
    "tests/api/test_history",
    "tests/api/test_models",
    "tests/hooks/test_once",
    "tests/models/",
    "tests/test_additions",
    "tests/test_backup",
    "tests/test_budgets",
    "tests/test_catalog",
    "tests/test_cost",
    "tests/test_crawl",
    "tests/test_discovery",
    "tests/test_dropped",
    "tests/test_exports",
    "tests/test_growth",
    "tests/test_history",
    "tests/test_ingest",
    "tests/test_jobs",
    "tests/test_polling",
    "tests/test_resolve",
    "tests/test_snapshot_rows",
    "tests/test_stages",
    "tests/test_turns",
    "tests/views/test_action_log",
    "tests/views/test_dashboard",
    "tests/views/test_history",
    "tests/views/test_hostile_text",
    "tests/views/test_plain_text",
    "tests/views/test_query_counts",
    "tests/views/test_sign_in",
)

left_out: Counter[str] = Counter()


def how_many(usual: int, exhaustive: int = 0, variable: str = "MUSTER_FUZZ") -> int:
    """How many random cases a test takes: as many as the variable says; else `usual`,
    or in `make test-all` the greater number `exhaustive`."""
    asked = int(os.environ.get(variable) or 0)
    return asked or (max(usual, exhaustive) if EXHAUSTIVE else usual)


@functools.cache
def missing_postgres() -> str:
    """Why PostgreSQL cannot be used, "" if it can."""
    import psycopg

    if not POSTGRES_URL:
        return "MUSTER_TEST_POSTGRES names none"
    try:
        psycopg.connect(POSTGRES_URL, connect_timeout=3).close()
    except psycopg.Error as error:
        return f"no PostgreSQL at {_place(POSTGRES_URL)} ({_first_line(error)})"
    return ""


@functools.cache
def missing_redis() -> str:
    """Why Redis cannot be used, "" if it can."""
    import redis

    if not REDIS_URL:
        return "MUSTER_TEST_REDIS names none"
    client = redis.Redis.from_url(REDIS_URL, socket_connect_timeout=3, socket_timeout=3)
    try:
        client.ping()
    except redis.RedisError as error:
        return f"no Redis at {_place(REDIS_URL)} ({_first_line(error)})"
    finally:
        client.close()
    return ""


def chromium_path() -> str:
    """The installed Chromium, "" if there is none."""
    named = os.environ.get("MUSTER_TEST_CHROMIUM", "")
    if named:
        return shutil.which(named) or ""
    return next(filter(None, map(shutil.which, CHROMIUM_NAMES)), "")


@functools.cache
def missing_chromium() -> str:
    """Why no browser test can run, "" if one can."""
    return "" if chromium_path() else "Chromium is not installed"


@functools.cache
def missing_caddy() -> str:
    """Why no proxy can be tried, "" if one can."""
    return "" if shutil.which("caddy") else "Caddy is not installed"


NEEDS = {
    "needs_caddy": missing_caddy,
    "needs_postgres": missing_postgres,
    "needs_redis": missing_redis,
    "needs_chromium": missing_chromium,
}


def free_port() -> int:
    """A TCP port of loopback that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or ''}".rstrip(":")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a second run take only what another database could change."""
    parser.addoption(
        "--only-database",
        action="store_true",
        help="only the tests that use the database (for the run on PostgreSQL)",
    )


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Drop tests without a database where `--only-database` asks for it, and the
    exhaustive ones unless MUSTER_EXHAUSTIVE does."""
    only_database = config.getoption("--only-database")
    kept: list[pytest.Item] = []
    dropped: list[pytest.Item] = []
    for item in items:
        wanted = EXHAUSTIVE or item.get_closest_marker("exhaustive") is None
        wanted = wanted and (not only_database or _uses_database(item))
        (kept if wanted else dropped).append(item)
    if dropped:
        config.hook.pytest_deselected(items=dropped)
    items[:] = kept


def _uses_database(item: pytest.Item) -> bool:
    if item.nodeid.startswith(ONE_DATABASE):
        return False
    if not EXHAUSTIVE and not item.nodeid.startswith(BOTH_DATABASES):
        return False
    fixtures = getattr(item, "fixturenames", ())
    return item.get_closest_marker("django_db") is not None or bool(
        {"db", "transactional_db", "live_server"} & set(fixtures)
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, or fail, a test whose need is not there."""
    for marker, missing in NEEDS.items():
        if item.get_closest_marker(marker) is None:
            continue
        reason = missing()
        if reason and REQUIRED:
            pytest.fail(f"{reason}, and MUSTER_REQUIRE_SERVICES is set", pytrace=False)
        elif reason:
            pytest.skip(f"left out: {reason}")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count what was left out (with xdist this runs where the reports arrive)."""
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason.startswith("left out: "):
            left_out[reason.removeprefix("left out: ")] += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in the last lines what this run did not try."""
    if not left_out:
        return
    terminalreporter.section("left out on this machine")
    for reason, count in sorted(left_out.items()):
        terminalreporter.write_line(f"{count} tests: {reason}")


def main() -> int:
    """Print PostgreSQL's address for the run on it; 1 if there is none."""
    if reason := missing_postgres():
        if not REQUIRED:
            sys.stderr.write(f"Not on PostgreSQL: {reason}.\n")
            return 1
        sys.exit(f"{reason}, and MUSTER_REQUIRE_SERVICES is set")
    sys.stdout.write(f"{POSTGRES_URL}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
