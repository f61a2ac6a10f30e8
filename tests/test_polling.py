"""Polling: what is asked of a provider, what follows from its answers, and what a
limit, a refusal or an outage becomes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone

from indexer import connections, jobs, polling, tasks, turns, wakeup
from indexer.crypto import encrypt
from indexer.models import (
    Connection,
    Crawl,
    Delivery,
    Event,
    Hook,
    Repository,
    Snapshot,
)
from tests.connecting import Acme, looked_at

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_site")]


def asked(acme: Acme, before: int) -> list[str]:
    """What the server was asked since `before` requests."""
    return [str(request) for request in acme.server.requests[before:]]


def test_nothing_new_costs_one_free_request(acme: Acme) -> None:
    acme.add("churn")
    acme.add("risk")
    connection = looked_at(acme.filled())
    before = len(acme.server.requests)
    earlier = timezone.now()
    connection = looked_at(connection)
    assert len(asked(acme, before)) == 1
    assert acme.server.requests[-1].headers["if-none-match"] == connection.poll_etag
    assert not Repository.objects.exclude(checked_at__gt=earlier).exists()
    assert turns.plan() == []


def test_a_push_is_seen_and_crawled(acme: Acme) -> None:
    acme.add("churn")
    acme.add("risk")
    connection = looked_at(acme.filled())
    events = Event.objects.count()
    acme.release("acme/risk")
    looked_at(connection)
    row = Repository.objects.get(name="acme/risk")
    assert turns.plan() == [row.pk]
    assert turns.crawl_owed() == 1
    assert Event.objects.count() == events + 1
    assert row.crawls.latest("started_at").trigger == Crawl.Trigger.POLL


def test_a_push_that_changed_no_tag_is_looked_at_and_not_crawled(acme: Acme) -> None:
    acme.add("churn")
    connection = looked_at(acme.filled())
    at = timezone.now().replace(microsecond=0) - timedelta(minutes=1)
    acme.server.touch("acme/churn", at)
    looked_at(connection)
    assert turns.plan() == []
    assert Repository.objects.get().pushed_at == at
    before = len(acme.server.requests)
    looked_at(connection)
    assert len(asked(acme, before)) <= 1, "and not again"


def test_a_second_push_in_the_same_second_is_seen(acme: Acme) -> None:
    """GitHub counts whole seconds, so `pushed_at` is the same after it."""
    acme.add("churn")
    connection = looked_at(acme.filled())
    at = timezone.now()
    acme.server.touch("acme/churn", at)
    connection = looked_at(connection)
    assert turns.plan() == []
    acme.release("acme/churn")
    acme.server.touch("acme/churn", at)
    looked_at(connection)
    assert turns.plan() == [Repository.objects.get().pk]


def push_branch(acme: Acme, branch: bytes = b"new") -> None:
    remote = acme.remotes["acme/churn"]
    remote.refs[b"refs/heads/" + branch] = remote.refs[b"refs/heads/main"]
    remote.finish()
    acme.server.touch("acme/churn", timezone.now() - timedelta(minutes=1))


def branches() -> set[str]:
    """Of the one repository, as they are kept."""
    return set(Snapshot.objects.get().branches)


def test_a_push_to_another_branch_is_kept_without_a_crawl(acme: Acme) -> None:
    acme.add("churn")
    connection = looked_at(acme.filled())
    push_branch(acme)
    before = len(acme.server.requests)
    looked_at(connection)
    assert len(asked(acme, before)) == 2, "what was pushed to, and its refs"
    assert turns.plan() == []
    assert branches() == {"main", "new"}
    row = Repository.objects.get()
    jobs.request_crawl(row, trigger=Crawl.Trigger.BUTTON, wake=False)
    assert turns.crawl_owed() == 1
    assert row.crawls.latest("started_at").status == Crawl.Status.UNCHANGED


def test_branches_are_left_to_a_crawl_where_one_is_under_way(acme: Acme) -> None:
    """It may have listed the refs before the push."""
    acme.add("churn")
    connection = looked_at(acme.filled())
    row = Repository.objects.get()
    jobs.request_crawl(row, trigger=Crawl.Trigger.BUTTON, wake=False)
    lease = jobs.claim(row.pk)
    assert lease is not None
    push_branch(acme)
    looked_at(connection)
    assert branches() == {"main"}
    jobs.finish(lease, Crawl.Status.UNCHANGED)
    assert turns.crawl_owed() == 1
    assert branches() == {"main", "new"}


@pytest.mark.parametrize("odd", [False, True])
def test_branches_that_a_batch_does_not_tell_are_left_to_a_crawl(
    acme: Acme, odd: bool
) -> None:
    """More than a hundred, or names that JSON cannot hold. A look asks no more for
    them."""
    acme.add("churn")
    connection = looked_at(acme.filled())
    for number in range(1 if odd else 100):
        push_branch(acme, b"new-%d\xff" % number if odd else b"new-%d" % number)
    before = len(acme.server.requests)
    looked_at(connection)
    assert len(asked(acme, before)) == 2
    assert (turns.plan(), branches()) == ([], {"main"})
    jobs.request_crawl(Repository.objects.get(), trigger=Crawl.Trigger.BUTTON)
    assert turns.crawl_owed() == 1
    assert len(branches()) == (2 if odd else 101)
    assert Repository.objects.get().state == Repository.State.OK


def test_what_a_batch_cannot_tell_is_left_to_a_crawl(acme: Acme) -> None:
    """A ref that JSON cannot hold: the crawl reads it through a mirror."""
    acme.add("churn")
    connection = looked_at(acme.filled())
    remote = acme.remotes["acme/churn"]
    remote.refs[b"refs/tags/\xff"] = remote.refs[b"refs/heads/main"]
    remote.finish()
    acme.server.touch("acme/churn", timezone.now() - timedelta(minutes=1))
    connection = looked_at(connection)
    assert turns.crawl_owed() == 1
    row = Repository.objects.get()
    assert (row.state, row.read_by) == (Repository.State.OK, Connection.Way.MIRROR)
    looked_at(connection)
    assert turns.plan() == [], "and not again"


def test_tags_that_moved_nothing_are_found_by_the_daily_look(
    acme: Acme, settings: Any
) -> None:
    acme.add("churn")
    connection = looked_at(acme.filled())
    remote = acme.remotes["acme/churn"]
    remote.version("churn@v9.0.0", remote.refs[b"refs/heads/main"])
    remote.finish()
    looked_at(connection)
    assert turns.plan() == []
    Repository.objects.update(
        next_crawl_at=timezone.now() + 0.2 * settings.MUSTER_RECONCILE_INTERVAL
    )
    looked_at(connection)
    assert turns.plan() == [Repository.objects.get().pk]


def test_after_a_crawl_the_next_is_due_within_the_reconcile_interval(
    acme: Acme, settings: Any
) -> None:
    acme.add("churn")
    acme.filled()
    row = Repository.objects.get()
    assert row.next_crawl_at is not None
    wait = row.next_crawl_at - timezone.now()
    assert (
        0.7 * settings.MUSTER_RECONCILE_INTERVAL
        < wait
        <= settings.MUSTER_RECONCILE_INTERVAL
    )


@pytest.mark.slow
def test_looking_again_at_a_thousand_costs_sixty_requests(acme: Acme) -> None:
    acme.add_copies(1000)
    connection = acme.connect(with_hooks=False)
    looked_at(connection)
    assert Repository.objects.count() == 1000
    turns.crawl_owed(Repository.objects.earliest("pk").pk, seconds=0)
    crawled = Repository.objects.earliest("pk")
    # As if all of them had been crawled: what they hold is the same.
    from indexer import crawl as crawling
    from indexer.providers.registry import provider_for

    listing = provider_for(crawled).fetch_listing()
    rows = list(Repository.objects.all())
    for row in rows:
        row.fingerprint = crawling.fingerprint_of(row, listing)
    Repository.objects.bulk_update(rows, ["fingerprint"], batch_size=200)
    Repository.objects.update(
        state=Repository.State.OK,
        done_seq=F("requested_seq"),
        next_crawl_at=timezone.now(),
    )
    before = len(acme.server.requests)
    connection = looked_at(connection, whole=True)
    assert connection.state == Connection.State.OK, connection.message
    assert turns.plan() == []
    assert len(asked(acme, before)) <= 60


def test_F_P1_a_limit_is_a_state_with_a_time(acme: Acme) -> None:
    acme.add("churn")
    connection = looked_at(acme.filled())
    before = list(Repository.objects.values())
    acme.server.secondary_limit("/orgs/acme", retry_after=600, times=None)
    connection = looked_at(connection)
    assert connection.state == Connection.State.WAITING
    assert connection.next_poll_at is not None
    wait = connection.next_poll_at - timezone.now()
    assert timedelta(minutes=9) < wait < timedelta(minutes=11)
    at = f"{connection.next_poll_at:%H:%M} UTC"
    assert connection.message == f"Waiting for GitHub until {at}."
    assert connection.failures == 0
    assert list(Repository.objects.values()) == before
    asked_before = len(acme.server.requests)
    assert not polling.poll(connection.pk)
    connections.request_poll(connection, by="alice", wake=False)
    assert not polling.poll(connection.pk), "not even when somebody asks"
    assert len(acme.server.requests) == asked_before


def test_F_P1_a_crawl_that_meets_the_limit_waits_with_all_of_its_connection(
    acme: Acme,
) -> None:
    for name in ("churn", "risk", "fraud"):
        acme.add(name)
    connection = looked_at(acme.connect())
    acme.server.secondary_limit("/api/", retry_after=600, times=None)
    assert turns.crawl_owed() == 1, "the others are not tried"
    connection.refresh_from_db()
    assert connection.state == Connection.State.WAITING
    crawl = Crawl.objects.get()
    assert crawl.status == Crawl.Status.WAITING
    row = crawl.repository
    assert row.state == Repository.State.WAITING
    assert row.message.startswith("Waiting for GitHub until ")
    assert row.failures == 0
    assert row.next_crawl_at == connection.next_poll_at
    Connection.objects.update(next_poll_at=timezone.now())
    assert len(turns.plan()) == 2


def test_F_P4_a_refused_token_is_used_no_more_until_it_is_changed(acme: Acme) -> None:
    acme.add("churn")
    connection = looked_at(acme.filled())
    before = list(Repository.objects.values())
    token = acme.server.token
    grant = acme.server.tokens.pop(token)
    connection = looked_at(connection)
    assert connection.state == Connection.State.DENIED
    assert "token" in connection.message
    assert list(Repository.objects.values()) == before
    jobs.request_crawl(
        Repository.objects.get(), trigger=Crawl.Trigger.BUTTON, wake=False
    )
    requests = len(acme.server.requests)
    connections.request_poll(connection, by="alice", wake=False)
    assert not polling.poll(connection.pk)
    assert turns.plan() == []
    assert len(acme.server.requests) == requests
    acme.server.tokens["ghp_new"] = grant
    connections.change_connection(
        connection,
        connections.Wish(
            kind="github", address=acme.server.url, owner="acme", secret="ghp_new"
        ),
    )
    connection.refresh_from_db()
    assert looked_at(connection).state == Connection.State.OK
    assert len(turns.plan()) == 1


def test_F_P4_a_crawl_whose_token_is_refused_stops_the_connection(acme: Acme) -> None:
    for name in ("churn", "risk"):
        acme.add(name)
    connection = looked_at(acme.connect())
    acme.server.tokens.clear()
    assert turns.crawl_owed() == 1
    connection.refresh_from_db()
    assert connection.state == Connection.State.DENIED


def test_F_P5_a_crawl_that_finds_nothing_asks_for_a_complete_look(acme: Acme) -> None:
    acme.add("churn")
    connection = looked_at(acme.filled())
    acme.server.delete("acme/churn")
    Connection.objects.update(discovered_at=timezone.now() - timedelta(hours=1))
    jobs.request_crawl(Repository.objects.get(), trigger=Crawl.Trigger.HOOK, wake=False)
    turns.crawl_owed()
    connection.refresh_from_db()
    assert connection.requested_seq > connection.done_seq
    looked_at(connection)
    assert Repository.objects.get().hidden_at is not None


def test_an_outage_is_a_sentence_and_a_pause_that_grows(acme: Acme) -> None:
    acme.add("churn")
    connection = looked_at(acme.filled())
    acme.server.fault("/orgs/acme", status=503, times=None)
    waits = []
    for _ in range(5):
        connection = looked_at(connection)
        assert connection.state == Connection.State.UNREACHABLE
        assert connection.next_poll_at is not None
        waits.append((connection.next_poll_at - timezone.now()).total_seconds())
    assert waits[-1] > 2 * waits[0]
    connections.request_poll(connection, wake=False)
    assert polling.take_due() == [], "a webhook does not shorten the pause"
    acme.server.faults.clear()
    connections.request_poll(connection, by="alice", wake=False)
    assert polling.poll(connection.pk)
    connection.refresh_from_db()
    assert (connection.state, connection.failures) == ("ok", 0)
    assert connection.done_seq == connection.requested_seq


def test_an_owner_that_is_gone_is_a_sentence(acme: Acme) -> None:
    acme.add("churn")
    connection = looked_at(acme.filled())
    acme.server.accounts.clear()
    acme.server.is_checked = False
    connection = looked_at(connection, whole=True)
    assert connection.state == Connection.State.FAILING
    assert connection.message
    assert Repository.objects.get().hidden_at is None


def test_a_lost_key_is_said_on_connection_and_repository(
    acme: Acme, settings: Any
) -> None:
    acme.add("churn")
    connection = looked_at(acme.filled())
    from cryptography.fernet import Fernet

    settings.MUSTER_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    connection = looked_at(connection)
    assert "MUSTER_ENCRYPTION_KEYS" in connection.message
    row = Repository.objects.get()
    jobs.request_crawl(row, trigger=Crawl.Trigger.BUTTON, wake=False)
    turns.crawl_owed()
    row.refresh_from_db()
    assert "MUSTER_ENCRYPTION_KEYS" in row.message
    assert row.state == Repository.State.FAILING


def test_webhooks_that_ask_again_and_again_have_one_look(acme: Acme) -> None:
    connection = looked_at(acme.connect())
    for _ in range(3):
        connections.request_poll(connection, wake=False)
    assert not polling.poll(connection.pk), "just looked at"
    Connection.objects.update(polled_at=timezone.now() - polling.REST)
    assert polling.poll(connection.pk)
    connection.refresh_from_db()
    assert connection.done_seq == connection.requested_seq


def test_F_C1_a_connection_is_looked_at_by_one_worker(acme: Acme) -> None:
    connection = acme.connect()
    lease = polling._claim(connection.pk)
    assert lease is not None
    assert not polling.poll(connection.pk)
    Connection.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert polling.poll(connection.pk), "its holder died"


def test_looks_leave_a_worker_to_crawls(acme: Acme, settings: Any) -> None:
    settings.MUSTER_WORKERS = 2
    first = acme.connect()
    acme.server.add_owner("umbrella")
    second = acme.connect(owner="umbrella")
    assert polling._claim(first.pk) is not None
    assert not polling.poll(second.pk)


def test_due_connections_are_woken_for(
    acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme.add("churn")
    connection = acme.connect()
    sent: list[tuple[Any, ...]] = []

    def send(*what: Any) -> bool:
        sent.append(what)
        return True

    monkeypatch.setattr(wakeup, "send", send)
    tasks.enqueue_due()
    assert sent == [(connection.pk, wakeup.POLL)]
    tasks.enqueue_due()
    assert len(sent) == 1, "once"
    tasks.poll(connection.pk)
    tasks.enqueue_due()
    assert len(sent) == 1, "the poll has woken a worker"
    Repository.objects.update(enqueued_at=None)
    tasks.enqueue_due()
    assert sent[1:] == [(Repository.objects.get().pk, wakeup.CRAWL)]
    tasks.crawl(Repository.objects.get().pk)
    assert Event.objects.exists()


def test_old_drafts_and_deliveries_are_tidied_away(acme: Acme) -> None:
    kept = acme.connect()
    Connection.objects.create(
        kind="github",
        state="draft",
        secret=encrypt("x"),
        added_at=timezone.now() - timedelta(days=2),
    )
    hook = Hook.objects.create(connection=kept, secret=encrypt("y"))
    for days in (1, 8):
        Delivery.objects.create(
            hook=hook,
            delivery_id=str(days),
            event="push",
            received_at=timezone.now() - timedelta(days=days),
        )
    tasks.tidy()
    assert Connection.objects.get() == kept
    assert Delivery.objects.get().delivery_id == "1"
