"""How many queries each page costs: written down, and the same for 1 and 30 rows.

`UPDATE_QUERY_COUNTS=1 pytest tests/views/test_query_counts.py` renews the file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from indexer.api_tokens import make_token
from indexer.models import ActionLog, ApiToken, Connection, Hook, Repository

RECORD = Path(__file__).parents[1] / "query_counts.json"
CONNECTION = "6f1a2a52-0c5c-4d57-9d5a-6a3b1f1f4c10"
PAGES = {
    "models": "/",
    "models, searched": "/?q=model&stage=prod&sort=-assigned",
    "models, a fragment": "/?q=model",
    "model": "/models/acme/many/-/model-000",
    "history": "/history/acme/many/-/model-000",
    "activity": "/activity",
    "actions": "/actions",
    "actions, a fragment": "/actions?person=alice",
    "repositories": "/repositories",
    "repository": "/repositories/acme/many/",
    "status of a crawl": "/repositories/acme/many/-/status",
    "first crawls": "/first-crawls",
    "API tokens": "/account/tokens",
    "connections": "/connections",
    "connection": f"/connections/{CONNECTION}/",
    "connection, its progress": f"/connections/{CONNECTION}/?seen=0",
}


@pytest.fixture(autouse=True)
def connected(db: None) -> Connection:
    """A connection with a repository that waits for its first crawl."""
    made = Connection.objects.create(
        uuid=CONNECTION,
        kind="github",
        web_url="https://github.com",
        api_url="https://api.github.com",
        server="github.com",
        owner="acme",
        owner_kind="org",
        state=Connection.State.OK,
        added_at=timezone.now(),
    )
    Hook.objects.create(connection=made, secret="")
    return made


def queries(client: Client, name: str) -> list[str]:
    """The queries of one page, after one that filled the caches of its menus."""
    headers = {"HX-Request": "true"} if "fragment" in name else {}
    if "progress" in name:
        headers = {"HX-Request": "true", "HX-Target": "now"}
    client.get(PAGES[name], headers=headers)
    with CaptureQueriesContext(connection) as caught:
        assert client.get(PAGES[name], headers=headers).status_code == 200
    return [query["sql"] for query in caught]


def belong_to_the_connection(count: int) -> None:
    """As many of its repositories failed."""
    Repository.objects.bulk_create(
        Repository(
            name=f"acme/repository-{number:03}",
            connection=Connection.objects.get(),
            state=Repository.State.DENIED,
            added_at=timezone.now(),
        )
        for number in range(count)
    )


def has_tokens(count: int) -> None:
    """Alice does, as many."""
    for number in range(count):
        make_token(User.objects.get(), str(number), ApiToken.Scope.READ, None)


def has_asked(count: int) -> None:
    """Alice did, as often."""
    repository = Repository.objects.get(name="acme/many")
    ActionLog.objects.bulk_create(
        ActionLog(
            key=str(number),
            verb=ActionLog.Verb.REGISTER,
            status=ActionLog.Status.DONE,
            user=User.objects.get(),
            actor="alice",
            repository=repository,
            repository_name=repository.name,
            artifact=f"model-{number:03}",
            version="v1.0.0",
            asked_at=timezone.now(),
            ended_at=timezone.now(),
        )
        for number in range(count)
    )


@pytest.mark.parametrize("name", PAGES)
def test_a_page_costs_the_recorded_queries(
    alice: Client, many: Callable[[int], Repository], name: str
) -> None:
    cache.clear()
    many(30)
    belong_to_the_connection(30)
    has_tokens(30)
    has_asked(30)
    found = queries(alice, name)
    recorded = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    if os.environ.get("UPDATE_QUERY_COUNTS"):
        recorded[name] = len(found)
        RECORD.write_text(json.dumps(dict(sorted(recorded.items())), indent=2) + "\n")
    assert len(found) == recorded.get(name), "\n".join(found)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_costs_the_same_for_one_row(
    alice: Client, many: Callable[[int], Repository], name: str
) -> None:
    cache.clear()
    many(1)
    belong_to_the_connection(1)
    has_tokens(1)
    has_asked(1)
    found = queries(alice, name)
    assert len(found) <= json.loads(RECORD.read_text())[name], "\n".join(found)


def test_the_list_of_models_costs_at_most_ten() -> None:
    recorded = json.loads(RECORD.read_text())
    assert max(count for name, count in recorded.items() if "models" in name) <= 10
