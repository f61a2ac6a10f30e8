"""A process that acts and is killed: `python -m tests.actions.killed`, on the database
of the test that starts it.

It takes jobs as lines of JSON and makes a process for each, which kills itself with
SIGKILL where it is told to; it answers each line with how that process ended."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

import django


def die(*_: object, **__: object) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)
    raise AssertionError("not reached")


def before(owner: Any, name: str, nth: int = 1) -> None:
    """Die when this is called for the nth time."""
    real: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def call(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        return die() if calls == nth else real(*arguments, **options)

    setattr(owner, name, call)


def after(owner: Any, name: str) -> None:
    """Die when this was done."""
    real: Callable[..., Any] = getattr(owner, name)

    def call(*arguments: Any, **options: Any) -> Any:
        real(*arguments, **options)
        die()

    setattr(owner, name, call)


def kill_at(point: str) -> None:
    from indexer import action_rows, action_steps, crawl, jobs
    from indexer.providers.git.writer import GitTagWriter
    from indexer.providers.github.writer import GitHubTagWriter

    match point:
        case "the row is made":
            after(action_steps, "_still_allowed")
        case "before the order":
            before(action_rows.Held, "fix")
        case "the order is fixed":
            after(action_rows.Held, "fix")
        case "the object is made":  # GitHub: of two requests the first
            before(GitHubTagWriter, "_post", nth=2)
        case "the tag is written":
            after(GitHubTagWriter, "write_tag")
            after(GitTagWriter, "write_tag")
        case "the end is not committed":
            after(action_rows.Held, "end")
        case "the crawl is not committed":
            after(jobs, "request_crawls")
        case "before the index":
            before(action_steps, "index")
        case "in the index":
            before(crawl, "_persist")
        case _:
            raise ValueError(point)


def act(job: dict[str, Any]) -> None:
    from django.contrib.auth.models import User

    from indexer.actions import Asker, perform
    from indexer.models import ActionLog, Repository
    from indexer.wishes import Wish

    kill_at(job["point"])
    wish = Wish(
        ActionLog.Verb(job["verb"]),
        Repository.objects.get(pk=job["repository"]),
        "churn",
        **job["what"],
    )
    user = User.objects.get(username=job["by"])
    perform(wish, Asker(user, job["key"], ActionLog.Via.PAGE))


def main() -> None:
    django.setup()
    import indexer.actions  # noqa: F401 - once, not in each child

    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            try:
                act(json.loads(line))
            finally:
                os._exit(3)
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
