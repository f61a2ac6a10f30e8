"""One piece of Muster's work in a process of its own, measured from inside: what it
asked for, what it started, how long it took. One line of JSON out.

    python -m bench.inside look | look-again | poll | crawl NAME
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any


def look() -> None:
    """Look at every connection, with a complete listing."""
    from indexer import connections, polling
    from indexer.models import Connection

    for connection in Connection.objects.all():
        connections.request_poll(connection, by="bench", wake=False)
        polling.poll(connection.pk)


def look_again() -> None:
    """The same when every repository is to be compared with the provider, too."""
    from django.utils import timezone

    from indexer.models import Repository

    Repository.objects.update(next_crawl_at=timezone.now())
    look()


def poll() -> None:
    """The ordinary look, every few minutes."""
    from indexer import polling
    from indexer.models import Connection

    Connection.objects.update(next_poll_at=None)
    for connection in Connection.objects.all():
        polling.poll(connection.pk)


def crawl(name: str) -> None:
    """Crawl a repository because a person asked for it."""
    from indexer import jobs
    from indexer.crawl import crawl_repository
    from indexer.models import Crawl, Repository

    repository = Repository.objects.get(name=name)
    jobs.request_crawl(repository, trigger=Crawl.Trigger.BUTTON, wake=False)
    crawl_repository(repository.pk)


WORK: dict[str, Callable[..., None]] = {
    "look": look,
    "look-again": look_again,
    "poll": poll,
    "crawl": crawl,
}


def main(work: str, *arguments: str) -> None:
    """Do it and tell: seconds, processes that were started, queries, and the worst
    that Muster says of a connection or crawl ("" if all is well)."""
    import django

    django.setup()
    from django.db import connection as database
    from django.test.utils import CaptureQueriesContext

    started: list[Any] = []

    def watch(event: str, details: tuple[Any, ...]) -> None:
        if event == "subprocess.Popen":
            started.append(details[0])

    sys.addaudithook(watch)
    begun = time.perf_counter()
    with CaptureQueriesContext(database) as queries:
        WORK[work](*arguments)
    told = {
        "seconds": time.perf_counter() - begun,
        "processes": len(started),
        "queries": len(queries),
        "trouble": _trouble(),
    }
    print(json.dumps(told))


def _trouble() -> str:
    from indexer.models import Connection, Crawl

    messages = Connection.objects.exclude(message="").values_list("message", flat=True)
    last = Crawl.objects.order_by("pk").last()
    return next(iter(messages), last.message if last else "")


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "registry_site.settings")
    main(*sys.argv[1:])
