"""Workers and Redis that die in the middle of a crawl over an API."""

from __future__ import annotations

import random
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from indexer.index_dump import index_dump
from indexer.models import Connection, Crawl, Repository
from tests.connecting import Acme, looked_at, serve_acme
from tests.faults.conftest import Editor, ask, crawl_now, from_scratch
from tests.faults.redis_server import RedisServer
from tests.faults.test_killed import BEAT, WORKER, begun_or_ended, freed, owed
from tests.faults.test_servers import own_redis  # noqa: F401 - a fixture
from tests.process_tree import MANAGE, kill_family, running, wait_until
from tests.providers.api_requests import Request

pytestmark = pytest.mark.django_db(transaction=True)
KILLS = 8


@pytest.fixture
def acme(
    data: Path, env: dict[str, str], settings: Any, tmp_path: Path
) -> Iterator[Acme]:
    """One repository, found by discovery and not crawled."""
    key = Fernet.generate_key().decode()
    settings.MUSTER_ENCRYPTION_KEYS, env["MUSTER_ENCRYPTION_KEYS"] = [key], key
    settings.MUSTER_WORKERS = 9
    with serve_acme(tmp_path / "remotes") as running_server:
        running_server.add("churn")
        looked_at(running_server.connect(with_hooks=False))
        yield running_server


@pytest.fixture
def editor(acme: Acme) -> Editor:
    return Editor(acme.remotes["acme/churn"], seed=20261122)


class Wanted:
    """Says when a crawl has made so many requests of GitHub; hinders none."""

    def __init__(self, requests: int) -> None:
        self.left = requests
        self.reached = threading.Event()

    def __call__(self, request: Request) -> bool:
        self.left -= 1
        if self.left <= 0:
            self.reached.set()
        return False


@pytest.mark.slow
def test_F_W1_killed_at_random_points_of_an_api_crawl_the_index_recovers(
    acme: Acme, editor: Editor, env: dict[str, str]
) -> None:
    repository = Repository.objects.get()
    crawl_now(repository)
    complete = {index_dump(repository)}
    chance = random.Random(3)
    hits = 0
    for number in range(KILLS):
        editor(40)
        acme.server.faults.clear()
        wanted = Wanted(1 + number % 3)
        acme.server.fault(wanted)
        process = subprocess.Popen(
            [*MANAGE, "crawl", repository.name],
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        begun_or_ended(repository, process)
        wait_until(
            lambda: wanted.reached.is_set() or process.poll() is not None,  # noqa: B023
            20,
            "a request",
        )
        threading.Event().wait(chance.uniform(0, 0.15))
        hits += process.poll() is None
        kill_family(process.pid)
        process.wait()
        # I1: what is seen is some complete snapshot, this one's or the one before.
        seen = index_dump(repository)
        if seen not in complete:
            repository.refresh_from_db()
            assert seen == from_scratch(repository)
            complete.add(seen)
        wait_until(lambda: freed(repository), 10, "the lease to run out")
        Repository.objects.update(attempts=0)
    assert hits >= 3, "the kills came too late to mean anything"
    crawl = crawl_now(repository)
    assert crawl is not None
    repository.refresh_from_db()
    assert (repository.state, repository.read_by) == ("ok", "api"), repository.message
    assert index_dump(repository) == from_scratch(repository)
    assert not Crawl.objects.filter(status=Crawl.Status.RUNNING).exists()
    assert Connection.objects.get().state == Connection.State.OK


@pytest.mark.needs_redis
def test_F_B1_a_redis_that_dies_in_the_middle_of_an_api_crawl_costs_nothing(
    own_redis: RedisServer,  # noqa: F811 - the fixture
    acme: Acme,
    editor: Editor,
    env: dict[str, str],
    settings: Any,
    tmp_path: Path,
) -> None:
    """It holds the queue and the budget of requests."""
    settings.CELERY_BROKER_URL = env["CELERY_BROKER_URL"] = own_redis.url
    repository = Repository.objects.get()
    with (
        running(WORKER, env, tmp_path / "worker.log") as worker,
        running(BEAT, env, tmp_path / "beat.log"),
    ):

        def crawled() -> None:
            wait_until(lambda: not owed(repository), 60, worker.said[-2000:])
            repository.refresh_from_db()
            assert repository.state == Repository.State.OK, repository.message
            assert index_dump(repository) == from_scratch(repository)

        ask(repository)
        crawled()
        for number in (1, 2):
            editor(60)
            acme.server.faults.clear()
            # It is gone before the answer to one of its requests.
            fault = acme.server.fault(
                "/graphql", after=number - 1, before=own_redis.kill
            )
            ask(repository)
            wait_until(lambda: fault.hits, 60, "the middle of a crawl")  # noqa: B023
            crawled()
            own_redis.start()
        editor(10)
        ask(repository)
        crawled()
        assert worker.process.poll() is None
    assert repository.read_by == "api"
