"""The request budget of a connection: the same rules wherever it is kept."""

from __future__ import annotations

import logging
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from indexer import budget_rules, budgets
from indexer.budgets import (
    Budget,
    Told,
    budget_of,
    budget_state,
    budget_states,
    forget_budget,
    waiting_sentence,
)
from indexer.models import Connection, RequestBudget
from indexer.providers.errors import RateLimited
from tests.faults.redis_server import RedisServer
from tests.faults.test_servers import leave_out
from tests.process_tree import ROOT
from tests.services import REDIS_URL, free_port

pytestmark = pytest.mark.django_db(transaction=True)

STORES = ["database", pytest.param("redis", marks=pytest.mark.needs_redis)]
START = datetime(2026, 3, 12, 14, 0, 30, tzinfo=UTC)


class Clock:
    """Django's clock, stopped."""

    def __init__(self) -> None:
        self.now = START

    def pass_(self, **delta: float) -> datetime:
        self.now += timedelta(**delta)
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timezone, "now", lambda: clock.now)
    return clock


@pytest.fixture(autouse=True)
def rested(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test leaves Redis alone because of another's."""
    monkeypatch.setattr(budgets, "_outage", budgets._Outage())


def make_connection(kind: str = "github", server: str = "") -> Connection:
    """With a number that no other test's has: they share a Redis."""
    return Connection.objects.create(
        pk=uuid4().int >> 70,
        kind=kind,
        added_at=START,
        server=server or f"{kind}.com",
    )


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, settings: Any) -> str:
    """Where the budget is kept."""
    name: str = request.param
    settings.CELERY_BROKER_URL = (
        REDIS_URL if name == "redis" else "filesystem://localhost/"
    )
    return name


@pytest.fixture
def connection(store: str) -> Iterator[Connection]:
    connection = make_connection()
    yield connection
    forget_budget(connection.pk)


def told(
    remaining: int, *, allowed: int = 5000, seconds: float = 1800, cost: int = 1
) -> Told:
    """What an answer says: the window ends so long after START."""
    return Told(allowed, remaining, START + timedelta(seconds=seconds), cost)


def admitted(budget: Budget, tries: int, resource: str = "core") -> int:
    """How many of so many requests are let through."""
    for count in range(tries):
        try:
            budget.admit(resource)
        except RateLimited:
            return count
    return tries


def refused(budget: Budget, resource: str = "core") -> datetime:
    """When a request that is refused may come back."""
    with pytest.raises(RateLimited) as caught:
        budget.admit(resource)
    return caught.value.retry_at


def left(connection: Connection, resource: str = "core") -> int | None:
    (state,) = [
        state
        for state in budget_state(connection.pk).resources
        if state.resource == resource
    ]
    return state.remaining


def test_who_knows_nothing_asks(connection: Connection, clock: Clock) -> None:
    budget = budget_of(connection.pk)
    assert budget_state(connection.pk).resources == ()
    budget.admit("core", 2000)
    assert admitted(budget, 9) == 9
    assert budget.spent == 10
    assert left(connection) is None
    assert budget_state(connection.pk).waits_until is None


def test_scheduled_work_leaves_a_share_to_what_is_urgent(
    connection: Connection, clock: Clock
) -> None:
    scheduled, urgent = (budget_of(connection.pk, urgent=u) for u in (False, True))
    scheduled.record("core", told(503))
    assert admitted(scheduled, 9) == 3
    assert refused(scheduled) == START + timedelta(seconds=1800)
    assert left(connection) == 500
    assert budget_state(connection.pk).waits_until == START + timedelta(seconds=1800)
    urgent.admit("core", 495)
    assert admitted(urgent, 9) == 5
    assert refused(urgent) == START + timedelta(seconds=1800)
    assert left(connection) == 0
    # Another kind of request has its own.
    assert admitted(scheduled, 3, "graphql") == 3


@pytest.mark.parametrize(
    ("allowed", "kept"), [(5000, 500), (12500, 1250), (200, 20), (60, 15), (10, 2)]
)
def test_the_share_fits_what_is_allowed(
    allowed: int, kept: int, connection: Connection, clock: Clock
) -> None:
    assert budget_rules.reserve(allowed) == kept
    budget = budget_of(connection.pk)
    budget.record("core", told(kept + 4, allowed=allowed))
    assert admitted(budget, 9) == 4


def test_a_window_that_has_passed_is_open_again(
    connection: Connection, clock: Clock
) -> None:
    budget = budget_of(connection.pk)
    budget.record("core", told(0))
    refused(budget)
    clock.pass_(seconds=1800)
    assert budget_state(connection.pk).waits_until is None
    assert left(connection) is None
    assert admitted(budget, 3) == 3
    budget.record("core", told(4990, seconds=5400))
    assert left(connection) == 4990


def test_within_a_window_the_smaller_number_counts(
    connection: Connection, clock: Clock
) -> None:
    one, other = budget_of(connection.pk), budget_of(connection.pk)
    one.record("core", told(4000))
    other.record("core", told(4100))  # an answer that was overtaken
    assert left(connection) == 4000
    other.record("core", told(4200, seconds=1803))  # the same window, all but
    assert left(connection) == 4000
    other.record("core", told(3000, seconds=1799))
    assert left(connection) == 3000
    one.record("core", told(4999, seconds=-5))  # of a window that is over
    one.record("core", told(9, seconds=900))  # of an earlier one
    assert left(connection) == 3000
    one.record("core", told(4999, seconds=3590))  # a new one
    assert left(connection) == 4999


def test_everybody_counts_before_the_answer_comes(
    connection: Connection, clock: Clock
) -> None:
    one, other = budget_of(connection.pk), budget_of(connection.pk)
    one.record("core", told(4000))
    for _ in range(5):
        one.admit("core")
        other.admit("core")
    assert left(connection) == 3990
    one.record("core", told(3999))
    assert left(connection) == 3990
    one.record("core", told(3950))  # somebody else uses the token too
    assert left(connection) == 3950
    other.record("core", told(3990))
    assert left(connection) == 3950


def test_what_cost_nothing_is_given_back_once(
    connection: Connection, clock: Clock
) -> None:
    budget = budget_of(connection.pk)
    budget.record("core", told(4000))
    for _ in range(3):
        budget.admit("core")
        budget.record("core", told(4000, cost=0))
    assert left(connection) == 4000
    budget.record("core", told(4000, cost=0))  # of nobody's request
    assert left(connection) == 4000


def test_an_answer_that_says_little_changes_little(
    connection: Connection, clock: Clock
) -> None:
    budget = budget_of(connection.pk)
    budget.record("core", Told())
    budget.record("core", told(4000))
    budget.record("core", Told(remaining=3))
    budget.record("core", Told(reset_at=START + timedelta(seconds=10)))
    assert left(connection) == 4000
    budget.record("core", Told(allowed=6000))
    (state,) = budget_state(connection.pk).resources
    assert (state.allowed, state.remaining) == (6000, 4000)


def test_who_is_told_to_wait_waits_however_urgent(
    connection: Connection, clock: Clock
) -> None:
    urgent = budget_of(connection.pk, urgent=True)
    until = START + timedelta(minutes=9)
    urgent.block("core", until)
    urgent.block("core", START + timedelta(minutes=1))  # never shorter
    assert refused(urgent) == until
    assert refused(budget_of(connection.pk)) == until
    state = budget_state(connection.pk)
    assert state.waits_until == until
    assert state.resources[0].blocked_until == until
    assert admitted(urgent, 1, "graphql") == 1
    clock.pass_(minutes=9)
    assert admitted(urgent, 1) == 1
    assert budget_state(connection.pk).waits_until is None


def test_nobody_waits_longer_than_an_hour_because_of_a_providers_clock(
    connection: Connection, clock: Clock
) -> None:
    budget = budget_of(connection.pk)
    budget.block("core", START + timedelta(days=365))
    assert refused(budget) == START + timedelta(hours=1)
    budget.record("graphql", told(0, seconds=86400))
    assert refused(budget, "graphql") == START + timedelta(hours=1)


def test_F_P1_waits_without_a_time_grow_while_they_go_on(
    connection: Connection, clock: Clock
) -> None:
    budget = budget_of(connection.pk)
    waits = []
    for _ in range(9):
        until = budget.back_off()
        # Workers that are told in the same moment do not make it longer.
        assert budget_of(connection.pk).back_off() == until
        for resource in ("core", "graphql"):
            assert refused(budget, resource) == until
        assert budget_state(connection.pk).waits_until == until
        waits.append((until - clock.now).total_seconds() / 60)
        clock.now = until
        assert admitted(budget, 1) == 1
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    clock.pass_(minutes=11)
    assert budget.back_off() == clock.now + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("kind", "resource", "urgent", "pace"),
    [
        ("github", "core", False, 720),
        ("github", "core", True, 800),
        ("github", "graphql", False, 1350),
        ("github", "graphql", True, 1500),
        ("gitlab", "core", True, 1500),
    ],
)
def test_the_pace_stays_below_the_secondary_limits(
    kind: str, resource: str, urgent: bool, pace: int, store: str, clock: Clock
) -> None:
    connection = make_connection(kind)
    budget = budget_of(connection.pk, urgent=urgent)
    budget.record(resource, told(10_000, allowed=10_000))
    for _ in range(2):
        budget.admit(resource, pace - 3)
        assert admitted(budget, 9, resource) == 3
        next_minute = clock.now.replace(second=0) + timedelta(minutes=1)
        assert refused(budget, resource) == next_minute
        clock.now = next_minute
    forget_budget(connection.pk)


def test_a_server_of_ones_own_sets_the_pace(clock: Clock, store: str) -> None:
    """GitHub Enterprise Server has no secondary limits but those it speaks of."""
    connection = make_connection(server="ghe.example.com")
    budget = budget_of(connection.pk)
    budget.record("core", told(10_000, allowed=10_000))
    more = budget_rules.PACES["github.com"]["core"] + 1
    assert admitted(budget, more) == more
    forget_budget(connection.pk)


def test_what_is_kept_goes_with_the_connection(
    connection: Connection, clock: Clock, store: str
) -> None:
    budget = budget_of(connection.pk)
    budget.record("core", told(0))
    budget.back_off()
    forget_budget(connection.pk)
    assert budget_state(connection.pk) == budgets.BudgetState()
    assert admitted(budget, 1) == 1
    forget_budget(connection.pk)
    if store == "redis":
        client = redis.Redis.from_url(REDIS_URL)
        assert client.keys(f"muster:budget:{connection.pk}*") == []
        client.close()


def test_a_connection_that_is_gone_has_no_budget(
    connection: Connection, clock: Clock
) -> None:
    pk = connection.pk
    connection.delete()
    budget = budget_of(pk)
    budget.admit("core")
    budget.record("core", told(0))
    budget.block("core", START + timedelta(hours=1))
    assert budget.back_off() > clock.now
    assert admitted(budget, 1) == 1
    assert budget.spent == 2
    assert budget_state(pk) == budgets.BudgetState()


def test_several_workers_never_take_more_than_there_is(
    connection: Connection,
) -> None:
    """Threads, each with connections of its own, from one start."""
    now = timezone.now()
    budget_of(connection.pk).record(
        "core", Told(5000, 620, now + timedelta(minutes=20))
    )
    counts: list[int] = []
    start = threading.Barrier(8)

    def work() -> None:
        try:
            budget = budget_of(connection.pk)
            start.wait()
            counts.append(admitted(budget, 40))
        finally:
            database.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counts) == 8
    assert sum(counts) == 120
    assert left(connection) == 500


WORK = """
import sys, django
django.setup()
from indexer.budgets import budget_of
from indexer.providers.errors import RateLimited
budget = budget_of(int(sys.argv[1]), urgent=True)
print("ready", flush=True)
sys.stdin.readline()
for _ in range(60):
    try:
        budget.admit("core")
    except RateLimited:
        break
print(budget.spent)
"""


def test_several_processes_never_take_more_than_there_is(
    connection: Connection, store: str, settings: Any, tmp_path: Path
) -> None:
    until = timezone.now() + timedelta(minutes=20)
    budget_of(connection.pk).record("core", Told(5000, 100, until))
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORK, str(connection.pk)],
            cwd=ROOT,
            env={
                "DJANGO_SETTINGS_MODULE": "registry_site.settings",
                "MUSTER_DATA": str(tmp_path),
                "DATABASE_URL": address_of(database.settings_dict),
                "CELERY_BROKER_URL": settings.CELERY_BROKER_URL,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    counts = [int(worker.communicate(timeout=60)[0]) for worker in workers]
    assert sum(counts) == 100
    assert left(connection) == 0


def address_of(kept: dict[str, Any]) -> str:
    """DATABASE_URL of the tests' database."""
    if kept["ENGINE"].endswith("sqlite3"):
        return f"sqlite:///{kept['NAME']}"
    place = f"{kept['HOST']}:{kept['PORT'] or 5432}"
    return f"postgres://{kept['USER']}:{kept['PASSWORD']}@{place}/{kept['NAME']}"


# The database alone ------------------------------------------------------------------


def test_a_request_costs_one_UPDATE(clock: Clock, settings: Any) -> None:
    settings.CELERY_BROKER_URL = "filesystem://localhost/"
    connection = make_connection()
    budget = budget_of(connection.pk)
    budget.admit("core")
    budget.record("core", told(4000))
    with CaptureQueriesContext(database) as queries:
        for number in range(1, 11):
            budget.admit("core")
            budget.record("core", told(4000 - number))
    assert len(queries) == 10, [query["sql"] for query in queries]
    assert all(query["sql"].startswith("UPDATE") for query in queries)
    assert RequestBudget.objects.get().remaining == 3990
    others = [make_connection().pk for _ in range(3)]
    with CaptureQueriesContext(database) as queries:
        states = budget_states([connection.pk, *others])
    assert len(queries) == 1
    assert [len(state.resources) for state in states.values()] == [1, 0, 0, 0]


# Redis that fails --------------------------------------------------------------------


@pytest.fixture
def own_redis(tmp_path: Path, settings: Any) -> Iterator[RedisServer]:
    """A Redis of this test alone, to be killed."""
    if shutil.which("redis-server") is None:
        leave_out("redis-server is not installed")
    server = RedisServer(free_port(), tmp_path)
    server.start()
    settings.CELERY_BROKER_URL = server.url
    yield server
    server.kill()


def wake_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if its rest were over."""
    monkeypatch.setattr(budgets._outage, "until", 0.0)


@pytest.mark.needs_redis
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_F_B1_a_redis_that_dies_or_hangs_leaves_it_to_the_database(
    how: signal.Signals,
    own_redis: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    connection = make_connection()
    budget = budget_of(connection.pk)
    now = timezone.now()
    until = now + timedelta(minutes=20)
    budget.record("core", Told(5000, 4000, until))
    assert RequestBudget.objects.count() == 0
    own_redis.signal(how)
    begun = time.monotonic()
    budget.admit("core")
    assert time.monotonic() - begun < 3
    budget.record("core", Told(5000, 3000, until))
    assert left(connection) == 3000
    assert RequestBudget.objects.get().remaining == 3000
    wake_redis(monkeypatch)
    budget.back_off()  # asks it again, in vain
    refused(budget)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1, said
    assert "the database counts" in said[0]
    if how == signal.SIGSTOP:
        own_redis.signal(signal.SIGCONT)
    else:
        assert own_redis.process is not None
        own_redis.process.wait()
        own_redis.start()
    wake_redis(monkeypatch)
    assert admitted(budget, 1) == 1  # and again by Redis
    own_redis.signal(signal.SIGKILL)
    budget_of(connection.pk, urgent=True).record("core", Told(5000, 10, until))
    assert len(caplog.records) == 2


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:1/0", "redis://no.such.host.invalid/0", "redis://x:y/0"]
)
def test_F_B1_a_redis_that_cannot_be_reached_never_stops_a_crawl(
    url: str, settings: Any, clock: Clock
) -> None:
    settings.CELERY_BROKER_URL = url
    connection = make_connection()
    budget = budget_of(connection.pk)
    budget.record("core", told(502))
    assert admitted(budget, 9) == 2
    assert RequestBudget.objects.get().remaining == 500
    forget_budget(connection.pk)
    assert RequestBudget.objects.count() == 0


@pytest.mark.needs_redis
def test_a_redis_that_was_emptied_learns_from_the_next_answer(
    own_redis: RedisServer, clock: Clock
) -> None:
    connection = make_connection()
    budget = budget_of(connection.pk)
    budget.record("core", told(4000))
    budget.admit("core")
    own_redis.flush()
    assert admitted(budget, 3) == 3
    budget.record("core", told(3996))
    assert left(connection) == 3996


@pytest.mark.needs_redis
def test_nothing_stays_in_redis_for_ever(own_redis: RedisServer, clock: Clock) -> None:
    connection = make_connection()
    budget = budget_of(connection.pk)
    budget.admit("core")
    budget.record("graphql", told(4000))
    budget.block("search", START + timedelta(hours=1))
    budget.back_off()
    client = redis.Redis.from_url(own_redis.url)
    keys = client.keys()
    assert len(keys) == 5
    assert all(0 < client.ttl(key) <= 7200 for key in keys)
    client.close()


@pytest.mark.parametrize(
    ("url", "option"),
    [
        ("rediss://h/0?ssl_cert_reqs=CERT_NONE", "none"),
        ("rediss://h/0?ssl_cert_reqs=required", "required"),
        ("rediss://h/0", "required"),
    ],
)
def test_kombus_spelling_of_an_address_is_understood(url: str, option: str) -> None:
    client = budgets._redis(url)
    assert client is not None
    made: Any = client.connection_pool.make_connection()
    assert made.cert_reqs.name.lower().removeprefix("cert_") == option


@pytest.mark.parametrize(
    "url", ["amqp://h", "filesystem://h/", "sentinel://h", "", "x"]
)
def test_another_queue_is_no_redis(url: str) -> None:
    assert budgets._redis(url) is None


def test_a_wait_is_said_in_whole_minutes() -> None:
    assert waiting_sentence("GitHub", START) == "Waiting for GitHub until 14:01 UTC."
    later = START.replace(second=0)
    assert waiting_sentence("GitLab", later) == "Waiting for GitLab until 14:00 UTC."
