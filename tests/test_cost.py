"""What looking at a connection costs: requests to its provider, processes, queries.
How long it takes is measured in bench/connections.py."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from indexer import crawl, jobs, turns, wakeup
from indexer.models import Artifact, Crawl, Repository
from tests.connecting import Acme, looked_at, serve_acme

pytestmark = pytest.mark.django_db

MOST_QUERIES = 75  # of the first crawl of a small repository


@pytest.fixture(autouse=True)
def own_settings(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MUSTER_DATA = tmp_path / "data"
    settings.MUSTER_ALLOW_PRIVATE = True
    monkeypatch.setattr(wakeup, "wake", lambda *_: None)


@pytest.fixture
def acme(tmp_path: Path) -> Iterator[Acme]:
    with serve_acme(tmp_path / "remotes") as running:
        yield running


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The processes that Muster started."""
    found: list[object] = []
    before = subprocess.Popen.__init__

    def watched(self: Any, arguments: Any, *rest: Any, **named: Any) -> None:
        found.append(arguments)
        before(self, arguments, *rest, **named)

    monkeypatch.setattr(subprocess.Popen, "__init__", watched)
    return found


def crawled(repository: Repository) -> Crawl:
    """Crawl it now, because a person asked."""
    jobs.request_crawl(repository, trigger=Crawl.Trigger.BUTTON, wake=False)
    done = crawl.crawl_repository(repository.pk)
    assert done is not None
    return done


def test_a_small_repository_costs_two_requests_and_no_process(
    acme: Acme, started: list[object]
) -> None:
    acme.add("churn")
    looked_at(acme.connect(with_hooks=False))
    started.clear()
    before = len(acme.server.requests)
    with CaptureQueriesContext(database) as queries:
        first = crawled(Repository.objects.get())
    assert first.status == Crawl.Status.CHANGED, first.message
    assert Artifact.objects.exists()
    assert len(acme.server.requests) - before == first.requests == 2
    assert len(queries) <= MOST_QUERIES
    again = crawled(Repository.objects.get())
    assert again.status == Crawl.Status.UNCHANGED
    assert again.requests == 1
    assert not started


def test_a_crawl_of_many_tags_runs_as_many_queries_as_one_of_few(
    acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crawl, "PROGRESS_EVERY", 1e9)  # a slow one writes it more often
    for name, versions in (("few", 5), ("many", 90)):
        acme.add(name)
        remote = acme.remotes[f"acme/{name}"]
        head = remote.refs[b"refs/heads/main"]
        for number in range(versions):
            remote.version(f"churn@v9.{number}.0", head)
        remote.finish()
    looked_at(acme.connect(with_hooks=False))
    counts = []
    for repository in Repository.objects.order_by("name"):
        with CaptureQueriesContext(database) as queries:
            assert crawled(repository).status == Crawl.Status.CHANGED
        counts.append(len(queries))
    few, many = counts
    assert many <= few


def test_looks_at_many_repositories_run_few_queries(acme: Acme) -> None:
    """A complete look that compares the refs of all: a few queries more, not some for
    each."""
    connection = acme.connect()
    counts = []
    for more in (2, 20):
        for number in range(more):
            acme.add(f"model-{more}-{number}")
        looked_at(connection, whole=True)
        turns.crawl_owed()
        Repository.objects.update(next_crawl_at=timezone.now())
        with CaptureQueriesContext(database) as queries:
            looked_at(connection, whole=True)
        assert turns.plan() == []
        counts.append(len(queries))
    few, many = counts
    assert many <= few + 2
