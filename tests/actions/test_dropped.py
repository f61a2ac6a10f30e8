"""The connection to the database breaks anywhere in an action, or in the crawl that
follows: there is one tag, the row says so, and nobody is kept from the model."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from indexer.actions import Asker, Busy, perform, resume_open
from indexer.core.snapshot import GitTag
from indexer.leases import database_now
from indexer.models import ActionLog, Repository
from indexer.providers.git.writer import GitTagWriter
from indexer.providers.writing import TagOrder
from tests.actions.checks import check_settled, done, pass_time
from tests.actions.places import ActionPlace, Verb
from tests.dropping import points_of, trouble
from tests.process_tree import wait_until


def check_free() -> None:
    """No lease is held: nobody is at anything."""
    assert not ActionLog.objects.exclude(lease_id=None).exists()
    assert not Repository.objects.exclude(lease_id=None).exists()


def test_F_T1_a_connection_that_breaks_anywhere_keeps_nobody_from_the_model(
    place: ActionPlace,
) -> None:
    done(place.register(0, "v1.0.0"))
    usual = 12 if place.kind == "git" else 3
    points = points_of(lambda: done(place.assign("first", "v1.0.0")), usual)
    for number in points:
        stage = f"s{number}"
        wish = place.wish(Verb.ASSIGN, stage=stage, version="v1.0.0")
        asker = Asker(place.people["eddy"], stage, ActionLog.Via.PAGE)
        with trouble(number) as found:
            row = perform(wish, asker)
        about = f"point {number}, {found.met}"
        assert found.met or number >= found.points, about
        assert row.status == "done", (about, row.code, row.sentence)
        assert place.holders().get(stage) == ["v1.0.0"], about
        check_free()
    check_settled(place)


def test_F_T1_a_database_that_stays_away_is_said_and_holds_up_nobody_for_long(
    git_place: ActionPlace, settings: Any
) -> None:
    done(git_place.register(0, "v1.0.0"))
    wish = git_place.wish(Verb.ASSIGN, stage="prod", version="v1.0.0")
    asker = Asker(git_place.people["eddy"], "one", ActionLog.Via.PAGE)
    with trouble(30, times=99), pytest.raises(Busy, match="cannot reach its database"):
        perform(wish, asker)
    row = ActionLog.objects.get(verb=Verb.ASSIGN)
    assert row.is_open
    # Nobody could give its lease back; it is as short as any.
    assert row.lease_expires_at is not None
    assert row.lease_expires_at <= database_now() + settings.MUSTER_LEASE
    pass_time(row)
    assert resume_open() == 1
    row.refresh_from_db()
    done(row)
    check_settled(git_place)


def test_F_T1_who_is_at_it_for_long_keeps_it(
    git_place: ActionPlace, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease is shorter than a slow remote may take, and is renewed."""
    usual, settings.MUSTER_LEASE = settings.MUSTER_LEASE, timedelta(seconds=2)
    write = GitTagWriter.write_tag

    def slow(writer: GitTagWriter, order: TagOrder) -> GitTag:
        first = ActionLog.objects.get(status="writing").lease_expires_at
        assert first is not None
        rows = ActionLog.objects.filter(lease_expires_at__gt=first)
        wait_until(lambda: rows.exists() and database_now() > first, 30)
        assert resume_open() == 0
        settings.MUSTER_LEASE = usual
        return write(writer, order)

    monkeypatch.setattr(GitTagWriter, "write_tag", slow)
    assert done(git_place.register(0, "v1.0.0")).tries == 1
    check_settled(git_place)
