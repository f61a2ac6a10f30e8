"""Connections: what a GitHub is asked, how fast a thousand repositories are crawled,
and how soon a push is in the catalog.

The server is the tests', over real repositories, on this machine (bench/github.py).
Muster is `manage.py up` as anybody starts it: a web server, two workers, a scheduler.

*Repositories a second beyond the server's own time*: wall time, from the beginning of
the first crawl to the end of the last by their rows, less the server's share of it.
That share is the processor time of the server's process meanwhile, halved: two workers
wait, each for its own answers. Taking all of it away would flatter us."""

from __future__ import annotations

import os
import subprocess
import time
from datetime import datetime
from pathlib import Path
from statistics import quantiles

from bench.github import LARGE, OWNER, GitHub
from bench.measure import Failed, Table, processor, resident
from bench.muster import Muster, best_muster, new_muster, wait_until, workers_of

WORKERS = 2
PATIENCE = 900.0  # seconds for a first crawl
SOON = 30.0  # and for a push to be seen
THERE = "SELECT count(*) FROM indexer_repository"
CRAWLED = f"{THERE} WHERE last_crawl_at IS NOT NULL"
BUSY = f"{THERE} WHERE lease_id IS NOT NULL OR requested_seq > done_seq"
FAILED = "SELECT count(*) FROM indexer_crawl WHERE status <> 'changed'"
VERSIONS = "SELECT count(*) FROM indexer_version"
SPAN = "SELECT min(started_at), max(finished_at) FROM indexer_crawl"


def measure(folder: Path, table: Table, *, quick: bool) -> None:
    """First one large repository, then many small ones."""
    count = 200 if quick else 1_000
    with GitHub(folder / "github", count, 10) as github:
        _large(new_muster(folder / "large", github), table)
        with best_muster(folder / "many", github) as muster:
            if muster.place != "PostgreSQL, Redis":
                table.note("PostgreSQL or Redis does not answer: measured without")
            with muster.running() as pid:
                _first_crawl(muster, table, count=count, pid=pid)
                _pushes(muster, folder / "clone", table, times=10 if quick else 40)
            _again(muster, table, count=count)


def _large(muster: Muster, table: Table) -> None:
    """Requests to read it, counted by the server; nobody else asks meanwhile."""
    table.head("One repository: 300 annotated tags on 300 commits, 5 artifact files")
    muster.connect(LARGE.partition("/")[0], "--no-hooks")
    muster.do("look")
    first = muster.do("crawl", LARGE)
    table.ratio(
        "requests, first time",
        first["requests"],
        at_most=10,
        unit="",
        note=f"{first['seconds']:.2f} s",
    )
    table.fact("processes started", first["processes"], 0)
    muster.github.ask("release", "300")
    for what, most in (("with a new tag on a new commit", 3), ("nothing new", 2)):
        crawl = muster.do("crawl", LARGE)
        table.ratio(f"requests, {what}", crawl["requests"], at_most=most, unit="")


def _first_crawl(muster: Muster, table: Table, *, count: int, pid: int) -> None:
    table.head(
        f"First crawl of {count:,} repositories with 10 tags each, {WORKERS} workers, "
        f"{muster.place}"
    )
    muster.connect(OWNER)
    wait_until(lambda: muster.number(THERE) >= count, PATIENCE)
    before = muster.github.ask("spent")
    idle = sum(map(processor, workers_of(pid)))
    wait_until(lambda: muster.number(CRAWLED) >= count // 5, PATIENCE)
    small = _memory(pid)
    wait_until(lambda: muster.number(CRAWLED) >= count, PATIENCE)
    wait_until(lambda: muster.number(BUSY) == 0, SOON)
    large, after = _memory(pid), muster.github.ask("spent")
    if muster.number(FAILED):
        raise Failed("not every crawl read its repository")
    taken = sum(map(processor, workers_of(pid))) - idle
    begun, ended = (_moment(one) for one in muster.rows(SPAN)[0])
    seconds = (ended - begun).total_seconds()
    own = after["seconds"] - before["seconds"]
    table.ratio(
        "repositories a second beyond the server's own time",
        count / (seconds - own / WORKERS),
        at_least=25,
        unit="",
        note=f"{seconds:.1f} s; the server's processor {own:.1f} s",
    )
    table.note(
        f"({count / seconds:.1f} a second with the server's time; a repository takes "
        f"{taken / count * 1000:.0f} ms of a worker's processor, "
        f"{own / count * 1000:.0f} ms of the server's)"
    )
    table.note(
        f"(the machine's load was {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; "
        "alone, this part makes one of about 3)"
    )
    asked = after["requests"] - before["requests"]
    table.ratio("requests a repository", asked / count, at_most=3, unit="")
    table.ratio(
        f"a worker's memory after {count:,} against {count // 5:,}",
        large / small,
        at_most=1.1,
        note=f"{small:.0f} MB, {large:.0f} MB",
    )


def _pushes(muster: Muster, clone: Path, table: Table, *, times: int) -> None:
    """Real pushes over HTTP, one after the other, each to another repository. From the
    moment the server begins to send its first webhook until the version can be read."""
    table.head(f"{times} pushes, webhook by webhook, {muster.place}, idle workers")
    github = muster.github
    waits, doors = [], []
    for number in range(times):
        wait_until(lambda: muster.number(BUSY) == 0, SOON)
        version = f"v9.{number}.0"
        more = muster.number(VERSIONS) + 1
        push(clone, github, f"{OWNER}/model-{number + 1:04}", version)
        at = _when(muster, VERSIONS, more)
        told = github.ask("doors")
        waits.append(at - told[0]["at"])
        doors += told
    if {door["status"] for door in doors} != {202}:
        raise Failed("a webhook was not taken")
    table.ratio(
        "webhook in, to catalog changed: 95th percentile",
        _percentile(waits),
        at_most=1,
        unit=" s",
        note=f"median {_percentile(waits, 50):.2f} s",
    )
    table.ratio(
        "the door's answer: 95th percentile",
        _percentile([door["seconds"] * 1000 for door in doors]),
        at_most=100,
        unit=" ms",
        note=f"of {len(doors)} webhooks",
    )


def _again(muster: Muster, table: Table, *, count: int) -> None:
    table.head(f"Looking again at {count:,} repositories in which nothing changed")
    whole = muster.do("look-again")
    table.ratio(
        "requests: a complete listing, and the refs of all",
        whole["requests"],
        at_most=60,
        unit="",
        note=f"{whole['seconds']:.1f} s, {whole['queries']} queries",
    )
    poll = muster.do("poll")
    table.ratio("requests: an ordinary poll", poll["requests"], at_most=2, unit="")


def push(clone: Path, github: GitHub, path: str, version: str) -> None:
    """Push a new commit and a version on it. `clone` is made when it is not there: all
    the small repositories have one history."""
    scheme, _, place = github.url.partition("://")
    remote = f"{scheme}://x:{github.token}@{place}/{path}.git"
    if not clone.exists():
        _git("clone", "-q", "--bare", "--no-tags", remote, str(clone))
        _git("-C", str(clone), "branch", "first", "main")
    _git("-C", str(clone), "branch", "-f", "main", "first")
    tree = _git("-C", str(clone), "rev-parse", "first^{tree}")
    commit = _git(
        *("-C", str(clone), "commit-tree", tree, "-p", "first", "-m", f"For {version}")
    )
    _git("-C", str(clone), "update-ref", "refs/heads/main", commit)
    _git("-C", str(clone), "tag", "-a", f"model@{version}", "-m", version, commit)
    tag = f"refs/tags/model@{version}"
    _git("-C", str(clone), "push", "-q", remote, "refs/heads/main", tag)


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_TERMINAL_PROMPT": "0",
            **{
                f"GIT_{who}_{what}": value
                for who in ("AUTHOR", "COMMITTER")
                for what, value in (("NAME", "Bench"), ("EMAIL", "bench@example.com"))
            },
        },
    )
    return done.stdout.strip()


def _when(muster: Muster, query: str, wanted: int) -> float:
    """When a count has come to be what is wanted, in seconds since 1970."""
    wait_until(lambda: muster.number(query) >= wanted, SOON, 0.005)
    return time.time()


def _memory(pid: int) -> float:
    """That of the largest worker, in megabytes."""
    return max(map(resident, workers_of(pid)))


def _percentile(values: list[float], which: int = 95) -> float:
    return quantiles(values, n=100, method="inclusive")[which - 1]


def _moment(value: datetime | str) -> datetime:
    """PostgreSQL gives times, SQLite texts."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value
