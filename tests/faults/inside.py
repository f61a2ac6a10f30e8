"""A look into an installation from outside of its processes: `python -m
tests.faults.inside` in its environment takes questions as lines of JSON and answers
each with one. The same, in an empty installation, is the oracle: what a Muster that
knows nothing makes of a remote."""

from __future__ import annotations

import hashlib
import json
import sys
import traceback
from collections.abc import Callable
from datetime import datetime
from typing import Any

import django
from django.db import connection, transaction


def person(name: str) -> dict[str, str]:
    """An admin with an account, a password and an API token for acting."""
    from django.contrib.auth.models import User

    from indexer.api_tokens import make_token
    from indexer.models import Account, ApiToken, Role

    user = User.objects.create_user(name, password=name)
    Account.objects.create(
        user=user,
        role=Role.ADMIN,
        name=name.capitalize(),
        email=f"{name}@muster.example",
    )
    _, text = make_token(user, "faults", ApiToken.Scope.ACT, None)
    return {"token": text, "salt": f"{user.pk}\0"}


def admit(name: str, url: str) -> None:
    """Add a repository and wake nobody; the scheduler does."""
    from indexer.repositories import add_repository

    add_repository(url, name=name, wake=False)


def remove(name: str) -> None:
    from indexer.models import Repository
    from indexer.repositories import remove_repository

    remove_repository(Repository.objects.get(name=name))


def rows(names: list[str]) -> dict[str, list[Any]]:
    """These repositories, their crawls, and the actions on them, oldest first."""
    from indexer.models import ActionLog, Crawl, Repository

    return {
        "repositories": list(
            Repository.objects.filter(name__in=names).order_by("name").values()
        ),
        "crawls": list(
            Crawl.objects.filter(repository__name__in=names).order_by("pk").values()
        ),
        "actions": list(
            ActionLog.objects.filter(repository_name__in=names).order_by("pk").values()
        ),
    }


def dump(name: str) -> str:
    """One repository's index, as it was at one moment."""
    from indexer.index_dump import index_dump
    from indexer.models import Repository

    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        return index_dump(Repository.objects.get(name=name))


def from_scratch(name: str, url: str) -> str:
    """The index that a first crawl makes, here, where nothing is known of it."""
    from indexer.crawl import crawl_repository
    from indexer.models import Crawl, Repository
    from indexer.repositories import remove_repository

    admit(name, url)
    repository = Repository.objects.get(name=name)
    try:
        crawl = crawl_repository(repository.pk)
        assert crawl is not None
        assert crawl.status == Crawl.Status.CHANGED, crawl.message
        return dump(name)
    finally:
        remove_repository(repository)


def pass_pauses(names: list[str]) -> int:
    """As if the pause were over after which an open action is asked about again."""
    from indexer.leases import database_now
    from indexer.models import ActionLog

    waiting = ActionLog.objects.filter(
        repository_name__in=names, status__in=ActionLog.OPEN, lease_id=None
    )
    return waiting.update(lease_expires_at=database_now())


def drop_connections() -> int:
    """End every connection to this database but ours, as a restart or a firewall
    would. How many there were."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return int(cursor.fetchone()[0])


QUESTIONS: dict[str, Callable[..., Any]] = {
    "person": person,
    "admit": admit,
    "remove": remove,
    "rows": rows,
    "dump": dump,
    "from_scratch": from_scratch,
    "pass_pauses": pass_pauses,
    "drop_connections": drop_connections,
}


def key_digest(salt: str, key: str) -> str:
    """What a row of the action log keeps of an idempotency key."""
    return hashlib.sha256(f"{salt}{key}".encode()).hexdigest()


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def main() -> None:
    django.setup()
    for line in sys.stdin:
        question = json.loads(line)
        try:
            said = QUESTIONS[question.pop("ask")](**question)
            answer = {"answer": said}
        except Exception:
            answer = {"trouble": traceback.format_exc()}
        connection.close()
        sys.stdout.write(f"{json.dumps(answer, default=_plain)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
