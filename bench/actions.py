"""Acting: how soon after the click the new state is on the page, what GitHub is asked
for it, and what a hundred at once on one model make.

GitHub is the tests' server in a process of its own (bench/github.py). The click and the
page that follows are asked of Muster's views in one process, without a web server
between; the server's own time is in the numbers.

    python -m bench.actions click|together      the inside, in a process of its own"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from itertools import pairwise
from pathlib import Path
from statistics import quantiles
from typing import Any

from bench.github import LARGE, OWNER, GitHub
from bench.measure import PYTHON, Table, manage, postgres_database, run

PEOPLE = 10
AT_ONCE = 40  # threads, each with a connection: a PostgreSQL takes a hundred
FIELD = re.compile(r'<input type="hidden" name="(key|seen)" value="([^"]*)"')


def measure(folder: Path, table: Table, *, quick: bool) -> None:
    """On PostgreSQL if it answers, else on SQLite."""
    clicks, at_once = (12, 30) if quick else (40, 100)
    with (
        postgres_database("bench_actions") as url,
        GitHub(folder / "github", 2, 10) as github,
    ):
        environment = {
            "MUSTER_DATA": str(folder / "data"),
            "MUSTER_ALLOW_PRIVATE": "1",
            "DJANGO_SETTINGS_MODULE": "registry_site.settings",
            **({"DATABASE_URL": url} if url else {}),
        }
        manage("migrate", "--verbosity=0", environment=environment)
        for owner in (OWNER, LARGE.partition("/")[0]):
            manage(
                *("connect", "github", owner, "--address", github.url, "--no-hooks"),
                environment={**environment, "MUSTER_TOKEN": github.token},
            )

        def inside(work: str, *words: str) -> Any:
            command = [PYTHON, "-m", "bench.actions", work, *words]
            done = run(command, environment={**environment, "TOKEN": github.token})
            return json.loads(done.output.splitlines()[-1])

        inside("crawl")
        place = "PostgreSQL" if url else "SQLite"
        for what, owner in (("10 tags", f"{OWNER}/"), ("300 tags", LARGE)):
            table.head(f"Assigning a stage, {place}: a repository of {what}")
            repository, name = inside("model", owner)
            before = github.requests
            told = inside("click", repository, name, str(clicks))
            table.ratio(
                "click to visible, 95th percentile",
                quantiles(told["seconds"], n=20)[-1],
                at_most=1,
                unit=" s",
                note=f"median {sorted(told['seconds'])[clicks // 2]:.2f} s",
            )
            table.ratio(
                "requests to GitHub for a tag",
                (github.requests - before) / clicks,
                at_most=4,
                unit="",
            )
        table.head(f"{at_once} at once on one model by {PEOPLE} people, {place}")
        told = inside("together", *inside("model", LARGE), str(at_once))
        table.fact("each ended, done or refused", told["ended"], at_once)
        table.fact("tags at GitHub for those done", told["tags"], told["done"])
        table.fact("numbers without a gap or a repeat", told["gaps"], 0)
        table.note(
            f"{told['done']} done, {told['refused']} refused with a reason, "
            f"{told['seconds']:.1f} s in all"
        )


def main(work: str, *words: str) -> None:
    """One piece of work inside Muster, and what it told as JSON."""
    import django

    django.setup()
    print(json.dumps(WORK[work](*words)))


def crawl() -> None:
    from indexer import polling, turns
    from indexer.models import Connection

    for pk in Connection.objects.values_list("pk", flat=True):
        polling.poll(pk)
    turns.crawl_owed()


def model(beginning: str) -> list[str]:
    """A repository whose name begins so, and a model of it with two versions."""
    from indexer.models import Artifact

    rows = Artifact.objects.filter(
        repository__name__startswith=beginning, version_count__gte=2
    ).order_by("repository__name", "name")
    found = rows.select_related("repository")[0]
    return [found.repository.name, found.name]


def _people() -> list[Any]:
    from django.contrib.auth.models import User

    from indexer.connection_addresses import Place
    from indexer.models import Account, Connection
    from indexer.provider_tokens import keep_token

    connection = Connection.objects.all()[0]
    place = Place(connection.web_url, connection.api_url, connection.server, "")
    found = []
    for number in range(PEOPLE):
        user, _ = User.objects.get_or_create(username=f"p{number}")
        Account.objects.update_or_create(
            user=user,
            defaults={
                "role": "editor",
                "name": f"P{number}",
                "email": f"p{number}@example.org",
            },
        )
        secret = os.environ["TOKEN"]
        keep_token(user, kind=connection.kind, place=place, secret=secret)
        found.append(User.objects.get(pk=user.pk))
    return found


def _versions(repository: str, name: str) -> list[str]:
    """Two versions on two commits."""
    from indexer.models import Version

    rows = Version.objects.filter(
        artifact__name=name,
        artifact__repository__name=repository,
        is_active=True,
        is_registered=True,
    )
    found = {row.commit_id: row.name for row in rows.order_by("-rank")}
    return list(found.values())[:2]


def click(repository: str, name: str, times: str) -> dict[str, Any]:
    """Seconds from the click to the page with the new state."""
    from django.conf import settings
    from django.test import Client
    from django.urls import reverse

    client = Client(SERVER_NAME=settings.ALLOWED_HOSTS[0])
    client.force_login(_people()[0])
    versions = _versions(repository, name)
    address = reverse("act", args=["assign", repository, name])
    seconds = []
    for number in range(int(times)):
        fields = {
            "version": versions[number % 2],
            "stage": "*",
            "new_stage": "bench",
        }
        page = client.post(address, fields).content.decode()
        hidden = {key: unescape(value) for key, value in FIELD.findall(page)}
        begun = time.perf_counter()
        done = client.post(address, fields | hidden | {"step": "write"})
        if done.status_code != 302:
            found = re.findall(r"<span>([^<]{20,})", done.content.decode())
            raise SystemExit(f"HTTP {done.status_code}: {found[:2]}")
        shown = client.get(done.headers["Location"]).content.decode()
        seconds.append(time.perf_counter() - begun)
        if f"bench is assigned to {name} {versions[number % 2]}" not in shown:
            raise SystemExit("The page does not show the new state.")
    return {"seconds": seconds}


def together(repository: str, name: str, count: str) -> dict[str, Any]:
    """Many at once: assignments of the two versions to five stages."""
    from django.db import connection as database

    from indexer.actions import Asker, Busy, perform
    from indexer.core.tags import parse_tag_name
    from indexer.models import ActionLog, Repository
    from indexer.wishes import Wish
    from indexer.write_ways import way_of

    people, versions = _people(), _versions(repository, name)
    row = Repository.objects.select_related("connection").get(name=repository)
    first = ActionLog.objects.count()

    def ask(number: int) -> str:
        wish = Wish(
            ActionLog.Verb.ASSIGN,
            Repository.objects.get(pk=row.pk),
            name,
            version=versions[number % 2],
            stage=f"s{number % 5}",
        )
        asker = Asker(people[number % PEOPLE], str(number), ActionLog.Via.API)
        try:
            while True:
                try:
                    return str(perform(wish, asker).status)
                except Busy:
                    continue
        finally:
            database.close()

    begun = time.perf_counter()
    with ThreadPoolExecutor(min(int(count), AT_ONCE)) as pool:
        results = list(pool.map(ask, range(int(count))))
    seconds = time.perf_counter() - begun
    rows = list(ActionLog.objects.order_by("pk")[first:])
    done = {one.tag for one in rows if one.status == ActionLog.Status.DONE}
    listing = way_of(row, people[0]).writer.refs()
    parsed = [parse_tag_name(tag) for tag in done]
    numbers = sorted(int(one.counter or "0") for one in parsed if one)
    gaps = sum(later - one != 1 for one, later in pairwise(numbers))
    return {
        "ended": sum(one.ended_at is not None for one in rows),
        "done": results.count("done"),
        "refused": sum(bool(one.sentence) for one in rows if one.tag not in done),
        "tags": len(done & set(listing.tags)),
        "gaps": gaps,
        "seconds": seconds,
    }


WORK: dict[str, Callable[..., Any]] = {
    "crawl": crawl,
    "model": model,
    "click": click,
    "together": together,
}

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "registry_site.settings")
    main(*sys.argv[1:])
