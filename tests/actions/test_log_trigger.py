"""The trigger that keeps the action log: on every column that says something, taken
back and brought again by its migration."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.migrations.executor import MigrationExecutor

from indexer.models import ActionLog
from tests.actions.checks import done
from tests.actions.places import ActionPlace

BEFORE = "0006_action_log"
KEPT = importlib.import_module("indexer.migrations.0008_verified_addresses").KEPT
# Links that go when what they lead to goes, and whose turn it is.
FREE = {
    "id", "user", "repository", "lease_id", "lease_holder", "lease_expires_at",
}  # fmt: skip


@pytest.fixture
def newest_afterwards(transactional_db: None) -> Iterator[None]:
    yield
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


def rewrite(row: ActionLog) -> None:
    with transaction.atomic():
        ActionLog.objects.filter(pk=row.pk).update(sentence="Somebody else did")


def test_every_column_that_says_something_is_kept() -> None:
    names = {field.name for field in ActionLog._meta.concrete_fields}
    assert names - FREE == set(KEPT)


def test_a_row_is_kept_whole_once_it_has_ended(git_place: ActionPlace) -> None:
    row = done(git_place.register(0))
    values: dict[str, object] = {**ActionLog.objects.values().get()}
    for name in KEPT:
        with (
            pytest.raises(DatabaseError, match="never rewritten"),
            transaction.atomic(),
        ):
            ActionLog.objects.filter(pk=row.pk).update(**{name: values[name]})
    with pytest.raises(DatabaseError, match="never rewritten"), transaction.atomic():
        row.save()
    with pytest.raises(TypeError):
        row.delete()
    assert ActionLog.objects.values().get() == values


def test_the_trigger_is_taken_back_and_brought_again(
    git_place: ActionPlace, newest_afterwards: None
) -> None:
    row = done(git_place.register(0))
    MigrationExecutor(connection).migrate([("indexer", BEFORE)])
    rewrite(row)
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
    with pytest.raises(DatabaseError, match="never rewritten"):
        rewrite(row)
