"""The connection to the database breaks anywhere in an action, or in the crawl that
follows: there is one tag, the row says so, and nobody is kept from the model."""

from __future__ import annotations

import time

from indexer.actions import Asker, perform
from indexer.models import ActionLog, Repository
from tests.actions.checks import check_settled, done
from tests.actions.places import ActionPlace, Verb
from tests.dropping import points_of, trouble

SOON = 20.0  # seconds; a lease that nobody works under would hold for 45


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
        stage, began = f"s{number}", time.monotonic()
        wish = place.wish(Verb.ASSIGN, stage=stage, version="v1.0.0")
        asker = Asker(place.people["eddy"], stage, ActionLog.Via.PAGE)
        with trouble(number) as found:
            row = perform(wish, asker)
        about = f"point {number}, {found.met}"
        assert found.met, about
        assert row.status == "done", (about, row.code, row.sentence)
        assert place.holders().get(stage) == ["v1.0.0"], about
        check_free()
        assert time.monotonic() - began < SOON, about
    check_settled(place)
