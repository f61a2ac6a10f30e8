"""The queue only wakes: no message in it expires by anybody's clock, and it stays short
however long nobody reads it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from celery.beat import Scheduler
from django.db.models import F

from indexer import tasks, wakeup
from indexer.models import Repository
from registry_site import celery as site
from registry_site import file_queue
from tests.builders import make_repository
from tests.services import REDIS_URL

CLOCKS = ("expires", "eta")  # headers that a worker holds against its own clock


class Queue:
    """An application of Muster with a queue of its own."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder, self.name = url, folder, f"test-{uuid4()}"
        self.app = site.Muster("test", set_as_current=False)
        self.app.conf.update(
            broker_url=url,
            task_default_queue=self.name,
            beat_schedule=site.app.conf.beat_schedule,
            task_ignore_result=True,
        )
        if not url.startswith("redis:"):
            file_queue.Transport.global_state.clear()  # type: ignore[no-untyped-call]
            self.app.conf.broker_transport_options = {
                "data_folder_in": str(folder),
                "data_folder_out": str(folder),
                "control_folder": str(folder / "control"),
            }

    def messages(self) -> list[dict[str, object]]:
        """The headers of all that wait."""
        if self.url.startswith("redis:"):
            with redis.Redis.from_url(self.url) as client:
                texts = client.lrange(self.name, 0, -1)
        else:
            texts = [file.read_bytes() for file in self.folder.glob("*.msg")]
        return [json.loads(text)["headers"] for text in texts]

    def close(self) -> None:
        self.app.close()
        if self.url.startswith("redis:"):
            with redis.Redis.from_url(self.url) as client:
                client.delete(self.name, f"_kombu.binding.{self.name}")


@pytest.fixture(params=["files", pytest.param("redis", marks=pytest.mark.needs_redis)])
def queue(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Queue]:
    """Each kind of queue; what Muster sends goes there."""
    found = Queue(
        REDIS_URL if request.param == "redis" else "filesystem://localhost/", tmp_path
    )
    monkeypatch.setattr(site, "app", found.app)
    yield found
    found.close()


def beat(queue: Queue) -> None:
    """As the scheduler sends all that it has, once."""
    scheduler = Scheduler(app=queue.app, lazy=True)
    scheduler.setup_schedule()
    for entry in scheduler.schedule.values():
        scheduler.apply_async(entry, producer=scheduler.producer)


def test_no_message_expires_by_the_clock_of_a_worker(queue: Queue) -> None:
    """A worker a minute ahead dropped 34 of 35."""
    wakeup.send(1)
    wakeup.send(1, wakeup.POLL)
    site.look_for_work(None)
    beat(queue)
    found = queue.messages()
    assert {one["task"] for one in found} == {
        "muster.crawl", "muster.poll", "muster.enqueue_due", "muster.act", "muster.tidy"
    }  # fmt: skip
    assert [one[name] for one in found for name in CLOCKS] == [None] * 2 * len(found)


def test_a_queue_that_nobody_reads_stays_short_and_holds_each_kind(
    queue: Queue,
) -> None:
    for row in range(60):
        assert wakeup.send(row) is (row < site.ROOM["muster.crawl"])
    for row in range(60):
        wakeup.send(row, wakeup.POLL)
    for _ in range(60):  # half an hour
        beat(queue)
    found = Counter(one["task"] for one in queue.messages())
    assert found.total() == site.ROOM_OF_OTHERS
    assert found["muster.crawl"] == site.ROOM["muster.crawl"]
    assert found["muster.poll"] == site.ROOM["muster.poll"] - site.ROOM["muster.crawl"]
    assert found["muster.act"] > 10
    assert found["muster.enqueue_due"] > 10


@pytest.mark.django_db
def test_what_the_queue_does_not_take_counts_as_not_woken_for(queue: Queue) -> None:
    names = [f"acme/r{number}" for number in range(site.ROOM["muster.crawl"] + 5)]
    for name in names:
        make_repository(name)
    Repository.objects.update(requested_seq=F("done_seq") + 1, enqueued_at=None)
    tasks.enqueue_due()
    assert len(queue.messages()) == site.ROOM["muster.crawl"]
    assert Repository.objects.filter(enqueued_at=None).count() == 5
