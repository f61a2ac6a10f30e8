"""The job list: what is owed, who does it, and what happens when they die."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from indexer import jobs, leases, processes, wakeup
from indexer.background import Background
from indexer.ingest import LeaseLost
from indexer.models import Crawl, Repository
from tests.builders import make_repository

pytestmark = pytest.mark.django_db


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What would have gone into the queue."""
    ids: list[int] = []
    monkeypatch.setattr(wakeup, "wake", ids.append)
    return ids


def request(repository: Repository) -> None:
    jobs.request_crawl(repository, trigger=Crawl.Trigger.BUTTON, by="alice", wake=False)


def claimed(repository: Repository) -> jobs.Lease:
    request(repository)
    lease = jobs.claim(repository.pk)
    assert lease is not None
    return lease


def expire(repository: Repository) -> None:
    Repository.objects.filter(pk=repository.pk).update(
        lease_expires_at=timezone.now() - timedelta(seconds=1)
    )


def test_nothing_owed_nothing_claimed() -> None:
    assert jobs.claim(make_repository().pk) is None


def test_a_request_is_claimed_with_its_trigger_and_who_asked() -> None:
    lease = claimed(make_repository())
    assert (lease.crawl.trigger, lease.crawl.requested_by) == ("button", "alice")


def test_what_is_due_is_claimed_as_scheduled() -> None:
    repository = make_repository(next_crawl_at=timezone.now())
    lease = jobs.claim(repository.pk)
    assert lease is not None
    assert lease.crawl.trigger == Crawl.Trigger.SCHEDULE


def test_a_disabled_repository_is_not_crawled() -> None:
    repository = make_repository(is_enabled=False, next_crawl_at=timezone.now())
    request(repository)
    assert jobs.claim(repository.pk) is None
    assert jobs.take_due() == []


def test_F_C1_a_repository_is_claimed_once() -> None:
    repository = make_repository()
    claimed(repository)
    request(repository)
    assert jobs.claim(repository.pk) is None


def test_a_second_message_finds_nothing_to_do() -> None:
    repository = make_repository()
    jobs.finish(claimed(repository), Crawl.Status.UNCHANGED)
    assert jobs.claim(repository.pk) is None


def test_F_K1_a_request_during_a_crawl_causes_one_more() -> None:
    repository = make_repository()
    lease = claimed(repository)
    request(repository)
    request(repository)
    jobs.finish(lease, Crawl.Status.CHANGED)
    second = jobs.claim(repository.pk)
    assert second is not None
    jobs.finish(second, Crawl.Status.UNCHANGED)
    assert jobs.claim(repository.pk) is None


def test_after_a_success_the_next_crawl_is_due_after_the_interval() -> None:
    repository = make_repository(failures=3)
    jobs.finish(claimed(repository), Crawl.Status.CHANGED)
    repository.refresh_from_db()
    assert repository.next_crawl_at is not None
    wait = (repository.next_crawl_at - timezone.now()).total_seconds()
    assert 269 < wait < 331
    assert (repository.failures, repository.attempts) == (0, 0)
    assert repository.lease_id is None


def test_a_failure_keeps_the_time_of_the_last_success_and_waits_longer_each_time() -> (
    None
):
    repository = make_repository()
    jobs.finish(claimed(repository), Crawl.Status.CHANGED)
    repository.refresh_from_db()
    success = repository.last_success_at
    waits = []
    for _ in range(10):
        jobs.fail(claimed(repository), "It is down.")
        repository.refresh_from_db()
        assert repository.next_crawl_at is not None
        waits.append((repository.next_crawl_at - timezone.now()).total_seconds())
    assert repository.last_success_at == success
    assert 59 < waits[0] < 73
    assert 119 < waits[1] < 145
    assert max(waits) < 3600 * 1.2 + 1
    assert waits[-1] > 3590


def test_a_failure_says_when_it_tries_again() -> None:
    repository = make_repository()
    jobs.fail(claimed(repository), "Odd. Again at {when}.", say_when=True)
    repository.refresh_from_db()
    assert repository.next_crawl_at is not None
    assert (
        repository.message == f"Odd. Again at {leases.clock(repository.next_crawl_at)}."
    )


def test_F_P1_a_remote_that_names_a_time_is_left_alone_until_then() -> None:
    repository = make_repository()
    until = timezone.now() + timedelta(hours=3)
    jobs.wait(claimed(repository), "Too many.", retry_at=until)
    repository.refresh_from_db()
    assert repository.next_crawl_at == until
    assert jobs.take_due() == []


def test_F_W1_a_lease_that_ran_out_is_taken_over_and_its_crawl_marked() -> None:
    repository = make_repository()
    first = claimed(repository)
    expire(repository)
    second = jobs.claim(repository.pk)
    assert second is not None
    first.crawl.refresh_from_db()
    assert first.crawl.status == Crawl.Status.LOST
    assert first.crawl.finished_at is not None


def test_F_W4_whoever_lost_the_lease_cannot_end_the_crawl() -> None:
    repository = make_repository()
    first = claimed(repository)
    expire(repository)
    assert jobs.claim(repository.pk) is not None
    with pytest.raises(LeaseLost):
        jobs.finish(first, Crawl.Status.CHANGED)
    with pytest.raises(LeaseLost):
        jobs.fail(first, "No.")
    repository.refresh_from_db()
    assert repository.state == Repository.State.NEW
    assert repository.lease_id is not None


def test_F_W2_after_three_deaths_a_repository_is_put_aside_and_tried_once_an_hour() -> (
    None
):
    repository = make_repository()
    request(repository)
    for _ in range(3):
        assert jobs.claim(repository.pk) is not None
        expire(repository)
    assert jobs.take_due() == []
    repository.refresh_from_db()
    assert repository.state == Repository.State.FAILING
    assert "interrupted 3 times" in repository.message
    assert repository.next_crawl_at is not None
    wait = repository.next_crawl_at - timezone.now()
    assert timedelta(minutes=59) < wait <= timedelta(hours=1)
    Repository.objects.update(next_crawl_at=timezone.now())
    lease = jobs.claim(repository.pk)
    assert lease is not None, "not for ever"
    jobs.finish(lease, Crawl.Status.CHANGED)
    repository.refresh_from_db()
    assert repository.attempts == 0


def test_a_button_brings_back_at_once_what_was_put_aside() -> None:
    repository = make_repository()
    request(repository)
    for _ in range(3):
        assert jobs.claim(repository.pk) is not None
        expire(repository)
    jobs.take_due()
    assert jobs.claim(repository.pk) is None
    request(repository)
    assert jobs.claim(repository.pk) is not None


def test_a_crawl_without_a_lease_is_reaped() -> None:
    repository = make_repository()
    stray = Crawl.objects.create(
        repository=repository, lease_id=uuid4(), started_at=timezone.now()
    )
    jobs.take_due()
    stray.refresh_from_db()
    assert stray.status == Crawl.Status.LOST


def test_a_running_crawl_with_its_lease_is_left_alone() -> None:
    lease = claimed(make_repository())
    jobs.take_due()
    lease.crawl.refresh_from_db()
    assert lease.crawl.status == Crawl.Status.RUNNING


def test_what_is_due_comes_oldest_first_and_once_a_minute() -> None:
    now = timezone.now()
    ids = [
        make_repository(f"a/{n}", next_crawl_at=now - timedelta(seconds=n)).pk
        for n in range(5)
    ]
    assert jobs.take_due(limit=3) == [ids[4], ids[3], ids[2]]
    assert jobs.take_due(limit=3) == [ids[1], ids[0]]
    assert jobs.take_due() == []
    Repository.objects.update(enqueued_at=now - timedelta(seconds=61))
    assert len(jobs.take_due()) == 5, "messages that were lost are sent again"


def test_F_C2_a_slow_repository_does_not_hold_up_the_others() -> None:
    now = timezone.now()
    slow = make_repository("a/slow", next_crawl_at=now - timedelta(days=1))
    assert jobs.claim(slow.pk) is not None
    others = [make_repository(f"a/{n}", next_crawl_at=now).pk for n in range(199)]
    assert sorted(jobs.take_due(limit=200)) == others


def test_a_request_wakes_a_worker_once_it_is_committed(
    sent: list[int], django_capture_on_commit_callbacks: object
) -> None:
    repository = make_repository()
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        jobs.request_crawl(repository, trigger=Crawl.Trigger.BUTTON)
        assert sent == []
    assert sent == [repository.pk]


def test_old_crawls_are_forgotten() -> None:
    repository = make_repository()
    for _ in range(jobs.KEPT_CRAWLS + 5):
        jobs.finish(claimed(repository), Crawl.Status.CHANGED)
    assert Crawl.objects.count() == jobs.KEPT_CRAWLS


def test_of_scheduled_crawls_that_found_nothing_only_the_last_is_kept() -> None:
    repository = make_repository()
    jobs.finish(claimed(repository), Crawl.Status.CHANGED)
    for _ in range(4):
        Repository.objects.update(next_crawl_at=timezone.now())
        lease = jobs.claim(repository.pk)
        assert lease is not None
        jobs.finish(lease, Crawl.Status.UNCHANGED)
    assert list(Crawl.objects.order_by("pk").values_list("status", "trigger")) == [
        ("changed", "button"),
        ("unchanged", "schedule"),
    ]


def gone_process() -> str:
    """The mark of a process that has ended."""
    child = os.fork()
    if child == 0:
        signal.pause()
    mark = processes.mark(child)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return mark


def held_by(repository: Repository, holder: str) -> None:
    Repository.objects.filter(pk=repository.pk).update(lease_holder=holder)


def test_leases_of_dead_processes_of_this_machine_are_freed_at_a_start() -> None:
    host, gone = socket.gethostname(), gone_process()
    dead, alive, elsewhere = (make_repository(f"a/{n}") for n in range(3))
    for repository in (dead, alive, elsewhere):
        claimed(repository)
    held_by(dead, f"{host}/{gone}/{gone}")
    held_by(elsewhere, f"x{host}/{gone}/{gone}")
    assert jobs.free_leases(everybody=False) == 1
    dead.refresh_from_db()
    assert dead.lease_id is None
    assert not dead.crawls.filter(status=Crawl.Status.RUNNING).exists()
    assert jobs.free_leases(everybody=True) == 2


def test_F_W1_a_worker_killed_as_a_whole_does_not_count_against_the_repository() -> (
    None
):
    host, main, child = socket.gethostname(), gone_process(), gone_process()
    repository = make_repository()
    request(repository)
    for _ in range(10):
        assert jobs.claim(repository.pk) is not None
        held_by(repository, f"{host}/{main}/{child}")
        expire(repository)
    assert jobs.take_due() == [repository.pk]


def test_F_W2_a_child_that_died_while_its_worker_lives_counts() -> None:
    host, child = socket.gethostname(), gone_process()
    repository = make_repository()
    request(repository)
    for _ in range(3):
        assert jobs.claim(repository.pk) is not None
        held_by(repository, f"{host}/{processes.mark(os.getpid())}/{child}")
        expire(repository)
    assert jobs.take_due() == []


@pytest.mark.django_db(transaction=True)
def test_a_lease_is_renewed_while_the_work_goes_on(settings: object) -> None:
    settings.MUSTER_LEASE = timedelta(seconds=0.4)  # type: ignore[attr-defined]
    repository = make_repository()
    lease = claimed(repository)
    with leases.renewing(lease):
        time.sleep(0.8)
        repository.refresh_from_db()
        assert repository.lease_expires_at is not None
        assert repository.lease_expires_at > timezone.now()
        lease.check()
    assert "muster-lease" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.django_db(transaction=True)
def test_a_lease_that_was_taken_over_is_noticed(settings: object) -> None:
    settings.MUSTER_LEASE = timedelta(seconds=0.2)  # type: ignore[attr-defined]
    repository = make_repository()
    lease = claimed(repository)
    with leases.renewing(lease):
        Repository.objects.update(lease_id=uuid4())
        assert lease.lost.wait(3)
        with pytest.raises(LeaseLost):
            lease.check()


def test_F_B1_a_queue_that_hangs_never_blocks_who_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = threading.Event()
    monkeypatch.setattr(wakeup, "send", lambda *_: held.wait(10))
    short = Background("short", wakeup._send, longest=3, if_lost="lost")
    monkeypatch.setattr(wakeup, "_background", short)
    begun = time.monotonic()
    for number in range(100):
        wakeup.wake(number)
    assert time.monotonic() - begun < 0.5
    assert not wakeup.flush(0.05)
    held.set()
    assert wakeup.flush(5)


def test_a_lease_of_the_future_is_nobodys_for_the_clock_was_set_back() -> None:
    repository = make_repository()
    claimed(repository)
    now = leases.database_now()
    rows = Repository.objects.filter(pk=repository.pk)
    rows.update(lease_expires_at=now + timedelta(hours=2))
    assert jobs.reap(now) == 1
    repository.refresh_from_db()
    assert repository.lease_id is None
    assert repository.crawls.get().status == Crawl.Status.LOST


def test_a_lease_that_was_just_renewed_is_kept() -> None:
    claimed(make_repository())
    before = timezone.now() - timedelta(seconds=1)  # who reaps looked at the time first
    assert jobs.reap(before) == 0


def test_a_message_of_the_future_was_sent_before_the_clock_was_set_back() -> None:
    repository = make_repository()
    request(repository)
    rows = Repository.objects.filter(pk=repository.pk)
    rows.update(enqueued_at=leases.database_now() + timedelta(hours=2))
    assert jobs.take_due() == [repository.pk]
    assert jobs.take_due() == []
