"""Crawls against gto: our whole process against the whole process of `gto show`."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from bench.measure import (
    PYTHON,
    ROOT,
    Failed,
    Run,
    Table,
    family,
    high_water,
    inherited,
    manage,
    run,
)
from bench.tags import add_tag, make_repository

GTO = str(Path(PYTHON).with_name("gto"))


@dataclass(frozen=True, slots=True)
class Place:
    """A repository, and the site that it is crawled into."""

    remote: Path
    environment: dict[str, str]

    @classmethod
    def make(cls, folder: Path, tags: int, *, together: bool = False) -> Place:
        """A repository of that many tags, and an empty site that knows it."""
        folder.mkdir()
        place = cls(folder / "remote.git", {"MUSTER_DATA": str(folder / "var")})
        make_repository(place.remote, tags, together=together)
        place.connect()
        return place

    def connect(self) -> None:
        """Make the site's tables and tell it of the repository; nothing is crawled."""
        manage("migrate", "--verbosity=0", environment=self.environment)
        manage(
            "add_repository",
            str(self.remote),
            *("--name", "bench/tags", "--no-wait"),
            environment=self.environment,
        )


def measure(folder: Path, table: Table, *, quick: bool) -> None:
    """First crawls of both sizes; then what is asked of the large one later."""
    table.head("First crawl and index, our whole process against `gto show --json`")
    tags = 3_000 if quick else 10_000
    _first(folder / "small", table, tags=1_000, at_least=4)
    _first(folder / "large", table, tags=tags, at_least=20)
    _first(folder / "together", table, tags=tags, at_least=20, together=True)
    table.head(f"Later crawls of {tags:,} tags, inside a running worker")
    _again(Place.make(folder / "again", tags), table)
    table.head(f"Memory at {tags:,} tags")
    place = Place.make(folder / "worker", tags)
    table.ratio(
        "worker's peak memory", worker_peak(place, tags)[0], at_most=200, unit=" MB"
    )


def _first(
    folder: Path, table: Table, *, tags: int, at_least: float, together: bool = False
) -> None:
    place = Place.make(folder, tags, together=together)
    # gto once (it takes long), ours three times, each into an empty index.
    gto = run([GTO, "show", "--json", "--repo", str(place.remote)])
    ours = [crawl(place)]
    for number in range(2):
        again = Place(place.remote, {"MUSTER_DATA": str(folder / f"again{number}")})
        again.connect()
        ours.append(crawl(again))
    best = min(ours, key=lambda run: run.seconds)
    commits = "all artifacts on one commit" if together else "a commit a version"
    table.ratio(
        f"{tags:,} tags, {commits}: times faster",
        gto.seconds / best.seconds,
        at_least=at_least,
        note=f"gto {gto.seconds:.2f} s, ours {best.seconds:.2f} s "
        f"(processor {gto.processor:.2f} s, {best.processor:.2f} s)",
    )
    _same_models(place, gto.output)


def crawl(place: Place) -> Run:
    """Crawl the site's repository in a process of its own."""
    return manage("crawl", "bench/tags", environment=place.environment)


def _same_models(place: Place, gto: str) -> None:
    """A fast answer that is wrong is no answer."""
    ours = manage(
        "show", "bench/tags", "--json", "--gto", environment=place.environment
    )
    theirs = json.loads(gto)
    if json.loads(ours.output) != theirs:
        raise Failed("our index of the measured repository differs from gto's")


def _again(place: Place, table: Table) -> None:
    first = _inside(place)
    same = [_inside(place) for _ in range(3)]
    unchanged = min(crawl.seconds for crawl in same)
    table.ratio(
        "nothing new: share of the first crawl",
        unchanged / first.seconds,
        at_most=0.1,
        unit="",
        note=f"{unchanged * 1000:.0f} ms of {first.seconds:.2f} s",
    )
    table.fact("nothing new: round trips to the remote", len(same[0].asked), 1)
    table.fact(
        "nothing new: tables written", " ".join(same[0].written), "crawl repository"
    )
    times = []
    for number in range(3):
        add_tag(place.remote, number)
        times.append(_inside(place).seconds)
    table.ratio(
        "one new tag: share of the first crawl",
        min(times) / first.seconds,
        at_most=0.25,
        unit="",
        note=f"{min(times) * 1000:.0f} ms",
    )
    whole = manage("crawl", "bench/tags", environment=place.environment).seconds
    table.note(
        f"(manage.py crawl, nothing new, with the start of Python: {whole:.2f} s)"
    )


# Runs one crawl and tells its time, its git processes and the tables it wrote.
INSIDE = """
import json, re, sys, time
import django
django.setup()
from django.db import connection
from django.test.utils import CaptureQueriesContext
from indexer import jobs
from indexer.crawl import crawl_repository
from indexer.models import Crawl, Repository

WRITES = re.compile(r'(?:INSERT INTO|UPDATE|DELETE FROM) "indexer_(\\w+)"')
asked = []
def watch(event, details):
    if event == "subprocess.Popen" and {"ls-remote", "fetch"} & set(details[1]):
        asked.append(details[1])
sys.addaudithook(watch)
repository = Repository.objects.get()
# A worker has its modules, and its wake-up, long before it crawls.
import indexer.providers.git.reader
jobs.request_crawl(repository, trigger=Crawl.Trigger.BUTTON, wake=False)
with CaptureQueriesContext(connection) as queries:
    begun = time.perf_counter()
    crawl_repository(repository.pk)
    seconds = time.perf_counter() - begun
written = {
    found[1]
    for query in queries
    if (found := WRITES.match(query["sql"]))
}
print(json.dumps(
    {"seconds": seconds, "asked": asked, "written": sorted(written)},
    default=str,
))
"""


@dataclass(frozen=True, slots=True)
class Inside:
    """What INSIDE tells: seconds, the git processes that asked the remote, and the
    tables it wrote."""

    seconds: float
    asked: list[object]
    written: list[str]


def _inside(place: Place) -> Inside:
    environment = {
        **place.environment,
        "DJANGO_SETTINGS_MODULE": "registry_site.settings",
    }
    done = run([PYTHON, "-c", INSIDE], environment=environment)
    return Inside(**json.loads(done.output.splitlines()[-1]))


def worker_peak(place: Place, tags: int) -> tuple[float, float]:
    """Let a Celery worker crawl the site's repository: the peak of its largest
    process in megabytes, and the seconds from its start to the end of the crawl."""
    # The message that `connect` left in the queue wakes it.
    environment = inherited(place.environment)
    begun = time.perf_counter()
    worker = subprocess.Popen(
        [
            *(PYTHON, "-m", "celery", "--app=registry_site.celery", "worker"),
            *("--concurrency=1", "--loglevel=ERROR"),
        ],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    peak = 0.0
    try:
        while time.perf_counter() - begun < 600:
            peak = max(peak, *map(high_water, family(worker.pid)))
            if _tags_indexed(place) >= tags:
                return peak, time.perf_counter() - begun
            time.sleep(0.05)
        raise Failed("the worker did not crawl within ten minutes")
    finally:
        worker.terminate()
        worker.wait()


def _tags_indexed(place: Place) -> int:
    import sqlite3

    path = Path(place.environment["MUSTER_DATA"]) / "muster.sqlite3"
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30) as rows:
        count: int = rows.execute("SELECT count(*) FROM indexer_tag").fetchone()[0]
    rows.close()
    return count
