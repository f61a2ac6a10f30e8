"""Deliveries count once, in any order, and wait for nobody."""

from __future__ import annotations

import logging
import socket
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, transaction
from django.db import connection as database
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from indexer import deliveries, jobs
from indexer.background import Background
from indexer.models import Connection, Crawl, Delivery, Hook, Repository
from tests.faults.conftest import database_url
from tests.hooks.deliveries import (
    SECRET,
    SIGNING_SECRET,
    crawls_of,
    deliver,
    deliver_gitlab,
    example,
    gitlab_push,
    make_connected,
    make_hook,
)
from tests.process_tree import environment, running

pytestmark = pytest.mark.django_db


def test_W3_a_delivery_that_comes_again_counts_once(
    client: Client, hook: Hook, churn: Repository
) -> None:
    headers = {"X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958"}
    for said in ("crawl asked for", "seen before", "seen before"):
        response = deliver(client, hook, "push", example("push.1"), headers=headers)
        assert response.status_code == 202
        assert said in response.content.decode()
    assert crawls_of(churn) == 1
    row = Delivery.objects.get()
    assert (row.delivery_id, row.outcome) == (
        headers["X-GitHub-Delivery"],
        "push: crawl asked for",
    )


def test_W3_a_delivery_whose_work_failed_may_come_again(
    client: Client,
    hook: Hook,
    churn: Repository,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """GitHub repeats a delivery's id when a person sends it again."""
    headers = {"X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958"}

    def fail(*_: object, **__: object) -> None:
        raise DatabaseError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(jobs, "request_crawl", fail)
        failed = deliver(client, hook, "push", example("push.1"), headers=headers)
    assert failed.status_code == 503
    assert (crawls_of(churn), Delivery.objects.count()) == (0, 0)
    again = deliver(client, hook, "push", example("push.1"), headers=headers)
    assert b"crawl asked for" in again.content
    assert crawls_of(churn) == 1


def test_W3_an_id_belongs_to_one_webhook(
    client: Client, github: Connection, hook: Hook, churn: Repository
) -> None:
    """Nobody can use up the ids of another's deliveries."""
    headers = {"X-GitHub-Delivery": "1"}
    deliver(client, make_hook(github, churn), "push", {}, headers=headers)
    deliver(client, hook, "push", example("push.1"), headers=headers)
    assert crawls_of(churn) == 1


@pytest.mark.parametrize("value", [None, "", "x" * 101, "é", "a b"])
def test_a_delivery_without_an_id_is_known_by_its_content(
    client: Client, hook: Hook, churn: Repository, value: str | None
) -> None:
    headers: dict[str, Any] = {"X-GitHub-Delivery": value}
    for name in ("push.1", "push.1", "push.2"):
        deliver(client, hook, "push", example(name), headers=headers)
    # Twice, or three times if a minute ended between.
    assert crawls_of(churn) in {2, 3}
    assert {len(row.delivery_id) for row in Delivery.objects.all()} == {64}


def test_W3_gitlab_repeats_an_id_and_a_content(
    client: Client, gitlab_hook: Hook
) -> None:
    """The event's id is the same for all that one request to GitLab caused."""
    repository = Repository.objects.get()
    none: dict[str, Any] = {"Idempotency-Key": None, "X-Gitlab-Event-UUID": "e-1"}
    for headers, payload, expected in (
        ({"Idempotency-Key": "one"}, gitlab_push(), 1),
        ({"Idempotency-Key": "one"}, gitlab_push(), 1),
        ({"Idempotency-Key": "two"}, gitlab_push(), 2),
        (none, gitlab_push(), 3),
        (none, gitlab_push(), 3),
        (none, gitlab_push(ref="refs/tags/x"), 4),
        (none | {"X-Gitlab-Event-UUID": "e-2"}, gitlab_push(), 5),
    ):
        deliver_gitlab(
            client,
            gitlab_hook,
            "Push Hook",
            payload,
            secret=SIGNING_SECRET,
            headers=headers,
        )
        assert crawls_of(repository) == expected


def test_W3_a_hundred_deliveries_make_two_crawls(
    client: Client, hook: Hook, churn: Repository
) -> None:
    """One that runs when they come, and one after it."""
    deliver(client, hook, "push", example("push.1"))
    lease = jobs.claim(churn.pk)
    assert lease is not None
    for _ in range(99):
        assert deliver(client, hook, "push", example("push.1")).status_code == 202
    jobs.finish(lease, Crawl.Status.CHANGED)
    lease = jobs.claim(churn.pk)
    assert lease is not None
    assert lease.crawl.trigger == Crawl.Trigger.HOOK
    jobs.finish(lease, Crawl.Status.UNCHANGED)
    assert jobs.claim(churn.pk) is None
    assert Crawl.objects.count() == 2


def test_deliveries_are_kept_for_a_week(client: Client, hook: Hook) -> None:
    for days, name in ((6, "new"), (8, "old")):
        deliver(client, hook, "ping", {}, headers={"X-GitHub-Delivery": name})
        Delivery.objects.filter(delivery_id=name).update(
            received_at=timezone.now() - timedelta(days=days)
        )
    assert deliveries.forget_old() == 1
    assert Delivery.objects.get().delivery_id == "new"


def test_W6_a_delivery_costs_few_queries_however_many_there_were(
    client: Client, github: Connection, hook: Hook
) -> None:
    for number in range(30):
        make_connected(github, str(number + 1), f"acme/other-{number}")
        deliver(client, hook, "push", example("push.1"))
    with CaptureQueriesContext(database) as queries:
        deliver(client, hook, "push", example("push.2"))
    done = [
        query["sql"].split()[0]
        for query in queries
        if not query["sql"].startswith(("SAVEPOINT", "RELEASE", "PRAGMA", "SET LOCAL"))
        and "clock_timestamp" not in query["sql"]
    ]
    # The webhook; the delivery; the repository; the request; the outcome. What the
    # webhook's row shows was the same a moment ago.
    assert done == ["SELECT", "INSERT", "SELECT", "UPDATE", "UPDATE"], done


POST_ONE = """
import django
django.setup()
from django.test import Client
from indexer import wakeup
from indexer.models import Hook
from tests.hooks.deliveries import deliver, example
answer = deliver(Client(), Hook.objects.get(), "push", example("push.1"))
print(answer.status_code, "sent" if wakeup.flush(0) else "not sent yet", flush=True)
wakeup.flush(60)
"""


@pytest.mark.django_db(transaction=True)
def test_W6_the_queue_may_hang(
    reachable: None, hook: Hook, churn: Repository, settings: Any, tmp_path: Path
) -> None:
    """A Redis that takes the connection and says nothing is waited for by a thread:
    the answer is there before it."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        env = environment(
            settings.MUSTER_DATA,
            DATABASE_URL=database_url(),
            CELERY_BROKER_URL=f"redis://127.0.0.1:{silent.getsockname()[1]}/0",
            ALLOWED_HOSTS="testserver",
            DJANGO_SETTINGS_MODULE="registry_site.settings",
        )
        command = [sys.executable, "-c", POST_ONE]
        with running(command, env, tmp_path / "log") as process:
            silent.settimeout(30)
            told, _ = silent.accept()
            process.wait_for("202 not sent yet")
            told.close()
    assert crawls_of(churn) == 1


def test_W6_many_that_wait_are_sent_away(
    client: Client,
    hook: Hook,
    churn: Repository,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where rows are locked and the list is full, the provider is told to come back."""
    begun, held = threading.Event(), threading.Event()

    def work(item: object) -> None:
        begun.set()
        held.wait(30)

    full: Background[object] = Background("full", work, longest=1, if_lost="lost")
    full.put("at work")
    assert begun.wait(10)
    full.put("waits")
    monkeypatch.setattr(deliveries, "_background", full)
    monkeypatch.setattr(deliveries, "_is_locked", lambda error: True)

    def locked(*_: object, **__: object) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(jobs, "request_crawl", locked)
    assert deliver(client, hook, "push", example("push.1")).status_code == 503
    assert Delivery.objects.count() == 0
    held.set()
    assert full.flush(10)


def test_logs_hold_no_content_and_no_secret(
    client: Client, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    payload = example("push.1") | {"note": "CANARY-BODY\nFAKE 2026 ERROR root: line"}
    headers = {"X-GitHub-Delivery": "CANARY-ID", "User-Agent": "CANARY\nAGENT"}
    deliver(client, hook, "CANARY-EVENT", payload, headers=headers)
    deliver(client, hook, "push", payload, headers=headers, secret="CANARY-SECRET")
    deliver(client, hook, "push", b"CANARY-JSON", headers=headers)
    ours = [r for r in caplog.records if r.name.startswith("indexer")]
    assert ours
    for record in ours:
        said = record.getMessage()
        assert "CANARY" not in said
        assert SECRET not in said
        assert "\n" not in said


@pytest.mark.django_db(transaction=True)
def test_W6_a_crawl_that_writes_is_not_waited_for(
    hook: Hook, churn: Repository, django_db_blocker: Any
) -> None:
    """Its row is locked for as long as it writes; the request is made after that."""
    locked, done = threading.Event(), threading.Event()

    def crawl() -> None:
        with transaction.atomic():
            Repository.objects.filter(pk=churn.pk).update(head="being written")
            locked.set()
            done.wait(20)
        database.close()

    writer = threading.Thread(target=crawl)
    writer.start()
    try:
        assert locked.wait(10)
        response = deliver(Client(), hook, "push", example("push.1"))
        assert response.status_code == 202
        assert b"waits" in response.content
        assert crawls_of(churn) == 0
    finally:
        done.set()
        writer.join()
    assert deliveries.flush(20)
    assert crawls_of(churn) == 1
    assert Delivery.objects.get().outcome == "push: crawl asked for"


def together(*calls: Callable[[], HttpResponse]) -> list[HttpResponse]:
    """Make the calls at the same time, each in a thread."""
    answers: list[HttpResponse] = []
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], HttpResponse]) -> None:
        start.wait(20)
        try:
            answers.append(call())
        finally:
            database.close()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == len(calls)
    return answers


@pytest.mark.django_db(transaction=True)
def test_W6_a_flood_is_taken_and_makes_one_crawl(hook: Hook, churn: Repository) -> None:
    payload = example("push.1")
    for _ in range(10):
        answers = together(
            *[lambda: deliver(Client(), hook, "push", payload) for _ in range(10)]
        )
        assert {answer.status_code for answer in answers} == {202}
    assert deliveries.flush(30)
    assert Delivery.objects.filter(outcome="push: crawl asked for").count() == 100
    assert crawls_of(churn) == 100
    lease = jobs.claim(churn.pk)
    assert lease is not None
    jobs.finish(lease, Crawl.Status.UNCHANGED)
    assert jobs.claim(churn.pk) is None


@pytest.mark.django_db(transaction=True)
def test_W3_one_delivery_that_comes_many_times_at_once_counts_once(
    hook: Hook, churn: Repository
) -> None:
    payload, headers = example("push.1"), {"X-GitHub-Delivery": "the-same"}
    answers = together(
        *[
            lambda: deliver(Client(), hook, "push", payload, headers=headers)
            for _ in range(10)
        ]
    )
    assert {answer.status_code for answer in answers} == {202}
    assert deliveries.flush(30)
    assert (Delivery.objects.count(), crawls_of(churn)) == (1, 1)
