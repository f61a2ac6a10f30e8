"""A database of before is brought up to date with what it holds, and taken back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps as current
from django.apps.registry import Apps
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

BEFORE = "0002_tag_gone_index"
CONNECTIONS = "0003_connections"


def migrated(name: str) -> Apps:
    """The models as they are after this migration, to which the database is taken."""
    executor = MigrationExecutor(connection)
    executor.migrate([("indexer", name)])
    return MigrationExecutor(connection).loader.project_state([("indexer", name)]).apps


def rows(apps: Any, model: str) -> Any:
    """What is in a table, as the code of that time sees it."""
    return apps.get_model("indexer", model)._default_manager


@pytest.fixture
def newest_afterwards(transactional_db: None) -> Iterator[None]:
    yield
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


def add_repositories(apps: Apps) -> None:
    """Two, as the release before knew them, with a tag and crawls."""
    now = timezone.now()
    for name in ("acme/churn", "acme/risk"):
        row = rows(apps, "Repository").create(
            name=name, url=f"https://github.com/{name}", added_at=now, state="ok"
        )
        rows(apps, "Crawl").create(
            repository=row, lease_id=uuid4(), started_at=now, status="changed"
        )
    rows(apps, "Tag").create(
        repository=row, ref="m@v1.0.0", is_annotated=True, first_seen_at=now
    )


def test_connections_come_to_a_database_of_before(newest_afterwards: None) -> None:
    before = migrated(BEFORE)
    add_repositories(before)
    known = list(rows(before, "Repository").order_by("pk").values())
    migrated(CONNECTIONS)
    found = list(rows(current, "Repository").order_by("pk").values())
    for old, new in zip(known, found, strict=True):
        assert old.items() <= new.items()
        assert new["connection_id"] is None
        assert (new["provider_id"], new["server"], new["path"]) == ("", "", "")
        assert (new["hidden_at"], new["checked_at"], new["read_by"]) == (None, None, "")
    assert set(rows(current, "Crawl").values_list("requests", flat=True)) == {0}
    assert rows(current, "Tag").get().ref == "m@v1.0.0"


def test_connections_can_be_taken_back(newest_afterwards: None) -> None:
    """The rows of what they brought stay as repositories of before."""
    now = timezone.now()
    connected = rows(current, "Connection").create(
        kind="github", server="github.com", added_at=now
    )
    row = rows(current, "Repository").create(
        name="acme/churn",
        url="https://github.com/acme/churn",
        added_at=now,
        connection=connected,
        provider_id="7",
        server="github.com",
    )
    hook = rows(current, "Hook").create(connection=connected, repository=row)
    rows(current, "Delivery").create(hook=hook, delivery_id="1", received_at=now)
    rows(current, "FormerName").create(name="old", repository=row, until=now)
    rows(current, "RequestBudget").create(connection=connected, resource="core")
    before = migrated(BEFORE)
    assert rows(before, "Repository").get().name == "acme/churn"
    assert "indexer_connection" not in connection.introspection.table_names()
    migrated(CONNECTIONS)
    assert rows(current, "Repository").get().connection_id is None
    assert not rows(current, "Connection").exists()
