"""The action log is never rewritten, and outlives what it speaks of."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, transaction

from indexer.models import ActionLog, Repository
from indexer.repositories import remove_repository
from tests.actions.places import ActionPlace


def test_a_line_that_has_ended_cannot_be_changed(git_place: ActionPlace) -> None:
    row = git_place.register(0)
    for change in ({"actor": "mallory"}, {"status": "failed"}, {"ended_at": None}):
        with (
            pytest.raises(DatabaseError, match="never rewritten"),
            transaction.atomic(),
        ):
            ActionLog.objects.filter(pk=row.pk).update(**change)
    row.sentence = "It was somebody else"
    with pytest.raises(DatabaseError, match="never rewritten"), transaction.atomic():
        row.save(update_fields=["sentence"])
    with pytest.raises(TypeError):
        row.delete()
    with pytest.raises(TypeError):
        ActionLog.objects.filter(pk=row.pk).delete()
    row.refresh_from_db()
    assert (row.actor, row.status) == ("eddy", "done")


def test_a_line_outlives_model_repository_and_person(git_place: ActionPlace) -> None:
    row = git_place.register(0, "v1.0.0", message="Why")
    remove_repository(Repository.objects.get())
    git_place.people["eddy"].delete()
    row.refresh_from_db()
    assert row.repository is None
    assert row.user is None
    told = (row.actor, row.repository_name, row.artifact, row.version, row.tag)
    assert told == ("eddy", "acme/churn", "churn", "v1.0.0", "churn@v1.0.0")
    assert (row.message, row.tagger_email) == ("Why", "eddy@example.org")


def test_what_was_asked_stays_beside_what_was_done(git_place: ActionPlace) -> None:
    row = git_place.register(0)
    assert row.asked["version"] == ""  # the suggested one
    assert row.version == "v0.0.1"
    assert row.asked["commit"] == row.commit_id == git_place.commits[0]
    assert (
        row.asked_at <= (row.sent_at or row.asked_at) <= (row.ended_at or row.asked_at)
    )
