"""Whatever a provider answers: the index stays as it was, a plain sentence says why,
the next try comes when it makes sense, and once it is over one crawl repairs all."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from indexer import connections, polling
from indexer.budgets import forget_budget
from indexer.connections import Wish
from indexer.crawl import crawl_repository
from indexer.index_dump import index_dump
from indexer.models import Connection, Crawl, Repository
from indexer.providers.git import reader as git_reader
from indexer.providers.http import ProviderSession
from tests.connecting import looked_at
from tests.contract.troubles import (
    FAULTS,
    UNSAID,
    FromTheMiddle,
    Trouble,
    assert_plain,
    order,
)
from tests.contract.ways import WAYS, Ways, crawled, every_row, serve_ways
from tests.providers.raw_repository import RawRepository, simple_repository

pytestmark = pytest.mark.django_db
MOST_REQUESTS = 12  # of one crawl or look that fails
NOTHING_TO_GIT = {"204", "empty"}
FAILED = 3  # looks that failed before
SLACK = timedelta(seconds=5)
API = tuple(way for way in WAYS if way.name in {"github", "gitlab"})


@pytest.fixture(params=API, ids=str)
def ways(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ways]:
    with serve_ways(request.param, tmp_path / "served") as served:
        served.server.is_checked = False
        yield served


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """`impatient(seconds)`: so long and no longer may an answer take."""

    def wait_only(seconds: float) -> None:
        defaults: Any = ProviderSession.__init__.__kwdefaults__
        monkeypatch.setitem(defaults, "seconds", seconds)
        monkeypatch.setattr(git_reader, "LISTING_SECONDS", 2 * seconds)
        monkeypatch.setattr(git_reader, "FETCH_SECONDS", 4 * seconds)

    return wait_only


def release(repository: RawRepository) -> None:
    """A tag on a new commit with another dvc.yaml."""
    tree = repository.files({"dvc.yaml": b"artifacts: {churn: {type: model}, b: {}}\n"})
    commit = repository.commit(tree, parents=[repository.refs[b"refs/heads/main"]])
    repository.refs[b"refs/heads/main"] = commit
    repository.version("churn@v9.0.0", commit)
    repository.finish()


def when_due(row: Repository) -> Crawl | None:
    """The crawl of the schedule, its time come."""
    Repository.objects.filter(pk=row.pk).update(next_crawl_at=timezone.now())
    crawl = crawl_repository(row.pk)
    row.refresh_from_db()
    return crawl


def waits(at: datetime | None) -> timedelta:
    assert at is not None
    return at - timezone.now()


def heal(ways: Ways) -> Connection:
    """The fault is over, and what was to be waited for has come."""
    ways.server.faults.clear()
    connection = ways.connect()
    connection.refresh_from_db()
    if connection.state == Connection.State.DENIED:
        wish = Wish(
            kind=ways.way.kind,
            address=ways.server.url,
            owner="acme",
            secret=ways.server.token,
            with_hooks=False,
        )
        connections.change_connection(connection, wish)
    forget_budget(connection.pk)
    return looked_at(connection)


@pytest.mark.parametrize("place", ["listing", "middle"])
@pytest.mark.parametrize("trouble", FAULTS, ids=str)
def test_F_P1_F_P3_F_P4_a_crawl_that_meets_trouble(
    ways: Ways, trouble: Trouble, place: str, impatient: Callable[[float], None]
) -> None:
    repository = simple_repository(ways.new_path())
    twin = ways.twin(repository.path)
    row, connection = twin.row, ways.connect()
    crawled(row)
    before, stored = index_dump(row), every_row(row)
    release(repository)

    state, wait = trouble.state, trouble.wait
    if ways.way.kind == "gitlab":  # is read by Git, which tells less
        wait = wait and (UNSAID if trouble.name.startswith("429") else wait)
    if trouble.is_slow:
        impatient(0.7)
    order(ways.server, trouble, "" if place == "listing" else FromTheMiddle())
    pauses = []
    for number in range(1, 4):
        asked = len(ways.server.requests)
        crawl = when_due(row)
        asked = len(ways.server.requests) - asked
        connection.refresh_from_db()
        if number > 1 and connection.state != Connection.State.OK:
            assert crawl is None, "nobody is asked meanwhile"
            assert asked == 0
            continue
        assert crawl is not None
        assert 0 < asked <= MOST_REQUESTS
        if trouble.name in NOTHING_TO_GIT:
            state = Repository.State(row.state)  # a break, or no Git server
            assert state in {Repository.State.FAILING, Repository.State.UNREACHABLE}
        assert (row.state, crawl.message) == (state, row.message), row.message
        assert_plain(row.message, ways.server.token)
        assert index_dump(row) == before
        assert every_row(row) == stored
        if wait is None:
            assert row.failures == number
            pauses.append(waits(row.next_crawl_at))
        else:
            assert row.failures == 0
            assert abs(waits(row.next_crawl_at) - wait) < SLACK
            assert connection.next_poll_at == row.next_crawl_at
            assert connection.message == row.message
    for shorter, longer in itertools.pairwise(pauses):
        assert longer > 1.5 * shorter
    assert connection.state == {
        "401": Connection.State.DENIED,
        "waiting": Connection.State.WAITING,
    }.get(trouble.name if trouble.name == "401" else row.state, Connection.State.OK)

    impatient(30)
    assert heal(ways).state == Connection.State.OK
    crawl = when_due(row)
    assert crawl is not None
    assert crawl.status == Crawl.Status.CHANGED, crawl.message
    crawled(twin.plain)
    twin.compare_rows()
    assert (row.state, row.message, row.failures) == ("ok", "", 0)


# Discovery and polling ---------------------------------------------------------------


@pytest.fixture
def filled(ways: Ways, monkeypatch: pytest.MonkeyPatch) -> Ways:
    """Five repositories, crawled, in pages of two."""
    for module in ("github.client", "github.host", "gitlab.client"):
        monkeypatch.setattr(f"indexer.providers.{module}.PER_PAGE", 2)
    path = simple_repository(ways.new_path()).path
    for number in range(5):
        ways.server.add_repository(f"acme/n{number}", path)
    looked_at(ways.connect(), whole=True)
    for row in Repository.objects.all():
        crawled(row)
    looked_at(ways.connect())
    return ways


def fails_calmly(ways: Ways, trouble: Trouble, *, whole: bool) -> None:
    """Looks at the provider in trouble change nothing but state, sentence and time."""
    connection = ways.connect()
    rows, indexed = list(Repository.objects.values()), index_dump()
    pauses = []
    # Not its first failures, whose pauses are all that of a poll.
    Connection.objects.update(failures=FAILED, poll_etag="")
    for number in range(FAILED + 1, FAILED + 4):
        asked = len(ways.server.requests)
        connection = looked_at(connection, whole=whole)
        asked = len(ways.server.requests) - asked
        assert 0 < asked <= MOST_REQUESTS
        assert connection.state == trouble.of_connection, connection.message
        assert_plain(connection.message, ways.server.token)
        assert list(Repository.objects.values()) == rows
        assert index_dump() == indexed
        if connection.state == Connection.State.DENIED:
            assert not polling.poll(connection.pk), "the token is used no more"
            break
        if trouble.wait is not None:
            assert abs(waits(connection.next_poll_at) - trouble.wait) < SLACK
            assert connection.failures == FAILED
            break
        assert connection.failures == number
        pauses.append(waits(connection.next_poll_at))
    for shorter, longer in itertools.pairwise(pauses):
        assert longer > 1.5 * shorter


@pytest.mark.parametrize("trouble", FAULTS, ids=str)
def test_Z6_F_P2_a_listing_that_breaks_on_its_second_page_changes_nothing(
    filled: Ways, trouble: Trouble, impatient: Callable[[float], None]
) -> None:
    filled.server.add_repository("acme/more", simple_repository(filled.new_path()).path)
    filled.server.delete(Repository.objects.earliest("pk").path)
    seen: list[str] = []

    def is_second(request: Any) -> bool:
        if "/repos?" in str(request) or "/projects?" in str(request):
            seen.append(str(request))
        return len(seen) > 1

    if trouble.is_slow:
        impatient(0.7)
    fault = order(filled.server, trouble, is_second)
    fails_calmly(filled, trouble, whole=True)
    assert fault.hits
    impatient(30)
    heal(filled)
    looked_at(filled.connect(), whole=True)
    shown = Repository.objects.filter(hidden_at=None)
    assert sorted(shown.values_list("path", flat=True)) == [
        "acme/more", "acme/n1", "acme/n2", "acme/n3", "acme/n4",
    ]  # fmt: skip


# A poll that fails ends as a listing that fails: some will do.
@pytest.mark.parametrize("trouble", FAULTS[::3], ids=str)
def test_F_P1_F_P3_a_poll_that_meets_trouble(
    filled: Ways, trouble: Trouble, impatient: Callable[[float], None]
) -> None:
    if trouble.is_slow:
        impatient(0.7)
    order(filled.server, trouble, "/api/")
    fails_calmly(filled, trouble, whole=False)
    impatient(30)
    assert heal(filled).state == Connection.State.OK
