"""Taking turns: who is crawled next, by however many workers."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.utils import timezone

from indexer import jobs, turns
from indexer.models import Connection, Crawl, Repository
from tests.builders import make_repository
from tests.connecting import Acme, looked_at

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_site")]


def make_connection(owner: str, **fields: Any) -> Connection:
    return Connection.objects.create(
        kind="github",
        web_url="https://github.com",
        api_url="https://api.github.com",
        server="github.com",
        owner=owner,
        added_at=timezone.now(),
        **{"state": Connection.State.OK, **fields},
    )


def make_due(
    owner: str, count: int, at: datetime, connection: Connection | None = None
) -> set[int]:
    return {
        make_repository(f"{owner}/{number}", next_crawl_at=at, connection=connection).pk
        for number in range(count)
    }


def test_F_C2_connections_take_turns_whoever_has_more() -> None:
    now = timezone.now()
    big, small = make_connection("big"), make_connection("small")
    many = make_due("big", 100, now - timedelta(hours=1), big)
    few = make_due("small", 5, now, small)
    alone = make_due("alone", 5, now)
    plan = turns.plan()
    for found in range(0, 15, 3):
        third = set(plan[found : found + 3])
        assert len(third & few) == len(third & alone) == 1
    assert len(set(plan) & many) == turns.ROUNDS


def test_what_a_person_or_a_webhook_asked_for_is_first() -> None:
    now = timezone.now()
    big = make_connection("big")
    make_due("big", 50, now - timedelta(hours=1), big)
    asked = [make_repository(f"asked/{n}", connection=big) for n in range(2)]
    for row, trigger in zip(
        asked, (Crawl.Trigger.BUTTON, Crawl.Trigger.HOOK), strict=True
    ):
        jobs.request_crawl(row, trigger=trigger, wake=False)
    poll = make_repository("poll/x", connection=big)
    jobs.request_crawl(poll, trigger=Crawl.Trigger.POLL, wake=False)
    plan = turns.plan()
    assert set(plan[:2]) == {row.pk for row in asked}
    assert set(turns.plan()[:2]) == {row.pk for row in asked}


def test_F_P1_of_a_connection_that_waits_only_what_a_person_asked_for_is_owed() -> None:
    now = timezone.now()
    waiting = make_connection(
        "a", state=Connection.State.WAITING, next_poll_at=now + timedelta(hours=1)
    )
    make_due("a", 3, now, waiting)
    other = make_due("b", 1, now)
    hook, button = (make_repository(name, connection=waiting) for name in ("h", "b"))
    jobs.request_crawl(hook, trigger=Crawl.Trigger.HOOK, wake=False)
    assert set(turns.plan()) == other
    assert jobs.claim(hook.pk) is None
    jobs.request_crawl(button, trigger=Crawl.Trigger.BUTTON, wake=False)
    assert turns.plan()[0] == button.pk
    lease = jobs.claim(button.pk)
    assert lease is not None
    Connection.objects.update(next_poll_at=now)
    assert len(turns.plan()) == 5, "its time has come"


@pytest.mark.parametrize(
    "fields",
    [{"state": Connection.State.DENIED}, {"is_enabled": False}],
    ids=["denied", "disabled"],
)
def test_F_P4_of_a_connection_that_may_not_be_used_nothing_is_owed(
    fields: dict[str, Any],
) -> None:
    connection = make_connection("a", **fields)
    [pk] = make_due("a", 1, timezone.now(), connection)
    jobs.request_crawl(
        Repository.objects.get(), trigger=Crawl.Trigger.BUTTON, wake=False
    )
    assert turns.plan() == []
    assert jobs.claim(pk) is None
    assert jobs.take_due() == []


def test_planning_is_one_query_however_many_there_are(
    django_assert_num_queries: Any,
) -> None:
    now = timezone.now()
    for number in range(5):
        make_due(f"o{number}", 30, now, make_connection(f"o{number}"))
    extra = int(database.vendor == "postgresql")  # asking for its clock
    with django_assert_num_queries(1 + extra):
        turns.plan()


@pytest.mark.django_db(transaction=True)
def test_F_C1_eight_workers_crawl_a_repository_once(acme: Acme) -> None:
    acme.add("churn")
    looked_at(acme.connect())
    pk = Repository.objects.get().pk
    together = threading.Barrier(8)

    def work() -> None:
        try:
            together.wait()
            turns.crawl_owed(pk, seconds=1)
        finally:
            database.close()

    before = len(acme.server.requests)
    _run(work, 8)
    assert Crawl.objects.get().status == Crawl.Status.CHANGED
    once = len(acme.server.requests) - before
    Repository.objects.update(fingerprint="", next_crawl_at=timezone.now())
    turns.crawl_owed()
    assert once <= Crawl.objects.earliest("pk").requests + 2


@pytest.mark.django_db(transaction=True)
def test_several_workers_share_what_is_owed(acme: Acme) -> None:
    acme.add_copies(30)
    looked_at(acme.connect())
    done: Counter[int] = Counter()

    def work() -> None:
        try:
            done[threading.get_ident()] = turns.crawl_owed()
        finally:
            database.close()

    _run(work, 3)
    assert sum(done.values()) == 30
    assert Crawl.objects.filter(status=Crawl.Status.CHANGED).count() == 30
    assert turns.plan() == []


def _run(work: Any, count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
