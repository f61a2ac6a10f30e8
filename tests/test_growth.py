"""However a repository grows, and by whatever ways its crawls went, its index is the
one made from scratch: after every crawl, row by row, and its events in gto's order.

The growths are random (tests/growing.py): out of memory by the Git reader's own
`Reading`, and, fewer, over real Git, from this machine and through a mirror."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer import additions, jobs, limits
from indexer import crawl as crawling
from indexer.core.state import Reading
from indexer.crawl import crawl_repository
from indexer.history import HistoryFilters, history_rows
from indexer.index_dump import index_dump
from indexer.ingest import ingest
from indexer.models import Crawl, Repository
from indexer.providers.base import Known
from indexer.providers.registry import provider_for
from indexer.repositories import mirror_path
from indexer.snapshot_rows import registry_state
from tests.builders import make_repository
from tests.growing import GrowingRepository, MemoryProvider, Step, steps
from tests.providers.git_server import GitServer, serve_git
from tests.services import how_many

pytestmark = [pytest.mark.django_db, pytest.mark.fuzz]
NAME = "acme/grown"
# What every crawl counts of the whole; the rest is what changed.
COUNTED = ("tags", "artifacts", "models", "versions", "events", "problems")
READINGS = tuple(Reading)


@pytest.fixture(autouse=True)
def own_site_open(own_site: None, settings: Any) -> None:
    settings.MUSTER_PUBLIC_READ = settings.MUSTER_ALLOW_LOCAL = True


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    with serve_git(tmp_path_factory.mktemp("remotes")) as running:
        yield running


class Growth:
    """A remote, its index that grows, and how both are looked at. `url`: "" reads out
    of memory."""

    def __init__(self, remote: GrowingRepository, url: str = "") -> None:
        self.remote = remote
        self.memory = None if url else MemoryProvider(remote)
        self.row = make_repository(NAME, **({"url": url} if url else {}))
        self.short = 0  # crawls that took the short way

    def take(self, step: Step) -> None:
        self.remote.take(step)
        if step.kind == "reading":
            reading = READINGS[self.remote.readings % len(READINGS)]
            Repository.objects.filter(pk=self.row.pk).update(reading=reading.value)

    def look(self) -> None:
        """Crawl, and compare with the index from scratch."""
        jobs.request_crawl(self.row, trigger=Crawl.Trigger.BUTTON, wake=False)
        with ExitStack() as stack:
            if self.memory is not None:
                stack.enter_context(
                    patch.object(crawling, "provider_for", return_value=self.memory)
                )
            short_way = stack.enter_context(
                patch.object(
                    crawling, "ingest_additions", wraps=additions.ingest_additions
                )
            )
            crawl = crawl_repository(self.row.pk)
        assert crawl is not None
        assert crawl.status != Crawl.Status.FAILED, crawl.message
        self.short += short_way.called
        self.row.refresh_from_db()
        dump, counts = self._from_scratch()
        assert index_dump(self.row) == dump
        if crawl.status == Crawl.Status.CHANGED:
            for name in COUNTED:
                assert crawl.counts[name] == counts[name]
        self._compare_order()

    def _from_scratch(self) -> tuple[str, dict[str, int]]:
        """The index of a Muster that knows nothing, and what it counted; nothing of it
        stays."""
        with transaction.atomic():
            Repository.objects.filter(pk=self.row.pk).update(name="acme/aside")
            lease_id = uuid4()
            fresh = make_repository(
                NAME, url=self.row.url, reading=self.row.reading, lease_id=lease_id
            )
            provider = self.memory or provider_for(fresh)
            listing = provider.fetch_listing()
            counts = ingest(
                fresh,
                provider.fetch_snapshot(listing, Known()),
                lease_id=lease_id,
                now=timezone.now(),
                fingerprint=crawling.fingerprint_of(fresh, listing),
            )
            dump = index_dump(fresh)
            shutil.rmtree(mirror_path(fresh.pk), ignore_errors=True)
            transaction.set_rollback(True)
        return dump, counts.as_json()

    def _compare_order(self) -> None:
        """`/activity` has gto's order, which is that of `manage.py history`."""
        events = registry_state(self.row).events
        filters = HistoryFilters(repository=NAME)
        shown = [event.tag_id for event in history_rows(AnonymousUser(), filters)]
        assert shown == [limits.object_id(event.tag_id) for event in events]


def grow(growth: Growth, taken: list[Step], *, forced: bool) -> None:
    """Let it grow and look now and then, at the end always. `forced`: the short way
    whatever there is, and not only among many tags."""
    with ExitStack() as stack:
        if forced:
            stack.enter_context(patch.object(additions, "FEWEST_TAGS", 0))
            stack.enter_context(patch.object(additions, "LARGEST_SHARE", 10.0))
        growth.look()
        for step in taken:
            growth.take(step)
            if step.look:
                growth.look()
        growth.look()


def growths(
    count: int, most: int
) -> Callable[[Callable[[list[Step], bool], None]], Callable[[], None]]:
    """So many growths of at most so many steps."""

    def decorate(test: Callable[[list[Step], bool], None]) -> Callable[[], None]:
        drawn = given(taken=steps(most), forced=st.sampled_from((True, True, False)))
        health = list(HealthCheck)
        all_of_them: Callable[[], None] = settings(
            max_examples=count, deadline=None, suppress_health_check=health
        )(drawn(test))
        return all_of_them

    return decorate


def test_I0_a_grown_index_is_the_one_from_scratch() -> None:
    short: list[int] = []

    @growths(how_many(8, 500), 24)
    def grow_in_memory(taken: list[Step], forced: bool) -> None:
        with tempfile.TemporaryDirectory() as folder:
            growth = Growth(GrowingRepository(Path(folder) / "grown.git", is_odd=True))
            try:
                grow(growth, taken, forced=forced)
            finally:
                growth.row.delete()
            short.append(growth.short)

    grow_in_memory()
    # Histories without one would prove nothing; of few, none may have one.
    assert sum(short) * 10 >= len(short) or len(short) < 100


@pytest.mark.parametrize("way", ["local", "mirror"])
def test_I0_so_it_is_over_git(way: str, server: GitServer) -> None:
    numbers = itertools.count()

    @growths(max(how_many(20, 500) // 20, 1), 9)
    def grow_over_git(taken: list[Step], forced: bool) -> None:
        remote = GrowingRepository(server.root / f"{way}-{next(numbers)}.git")
        url = server.url_of(remote.path) if way == "mirror" else str(remote.path)
        growth = Growth(remote, url)
        try:
            grow(growth, taken, forced=forced)
        finally:
            shutil.rmtree(mirror_path(growth.row.pk), ignore_errors=True)
            growth.row.delete()

    grow_over_git()
