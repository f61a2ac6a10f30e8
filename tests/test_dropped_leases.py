"""The connection to the database breaks anywhere in a crawl or in a look at a
connection: no lease stays behind, and what comes next finds all there is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from django.db import Error

from indexer import polling
from indexer.crawl import crawl_repository
from indexer.index_dump import index_dump
from indexer.jobs import request_crawl
from indexer.models import Connection, Crawl, Repository
from tests.actions.checks import check_index, done
from tests.actions.places import ActionPlace, act_at
from tests.connecting import Acme
from tests.dropping import points_of, trouble


@pytest.fixture
def git_place(
    tmp_path: Path, own_site: None, transactional_db: None
) -> Iterator[ActionPlace]:
    with act_at("git", tmp_path) as found:
        yield found


def test_a_crawl_whose_connection_breaks_holds_no_lease(
    git_place: ActionPlace,
) -> None:
    place, count = git_place, 0
    last = done(place.register(0, "v1.0.0")).seconds or 0

    def push() -> None:
        nonlocal count
        count += 1
        place.push_tag(f"churn#s{count}", place.commits[0], at=last + count)
        request_crawl(place.repository, trigger=Crawl.Trigger.BUTTON, wake=False)

    def crawl() -> Crawl | None:
        return crawl_repository(place.repository.pk)

    push()
    for number in points_of(crawl, 12):
        push()
        with trouble(number) as found, suppress(Error):
            crawl()
        assert found.met or number >= found.points, number
        row = Repository.objects.get()
        assert (row.lease_id, row.lease_holder) == (None, ""), found.met
        assert row.attempts == 0, found.met
        if row.requested_seq > row.done_seq:
            again = crawl()
            assert again is not None
            assert again.status in {Crawl.Status.CHANGED, Crawl.Status.UNCHANGED}
        assert place.holders()[f"s{count}"] == ["v1.0.0"], found.met
    check_index(place)


def test_a_look_at_a_connection_that_breaks_off_holds_no_lease(
    own_site: None, transactional_db: None, acme: Acme
) -> None:
    acme.add("churn")
    connection = acme.connect()

    def look() -> None:
        Connection.objects.update(
            next_poll_at=None, discovered_at=None, state=Connection.State.OK
        )
        polling.poll(connection.pk)

    look()  # a first one has more to do
    for number in points_of(look, 12):
        Connection.objects.update(next_poll_at=None, discovered_at=None)
        with trouble(number) as found, suppress(Error):
            polling.poll(connection.pk)
        assert found.met or number >= found.points, number
        row = Connection.objects.get()
        assert (row.lease_id, row.lease_holder, row.phase) == (None, "", ""), found.met
    look()
    assert Connection.objects.get().state == Connection.State.OK
    crawl_repository(Repository.objects.get().pk)
    assert index_dump(Repository.objects.get())
