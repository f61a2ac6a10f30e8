"""T7: what no tag may hold is refused before anybody is asked."""

from __future__ import annotations

import pytest

from indexer import actions
from indexer.actions import BadWish
from indexer.models import ActionLog
from tests.actions.checks import check_settled, done
from tests.actions.places import ActionPlace, Verb

Status = ActionLog.Status
ODD = (
    "x\n", "x\r\n", "a\tb", "a\0b", "a\u2028b", "a b", " x", "--exec=x", "x" * 300,
    "a..b", "\u0661", "a#b", "a@b", "\ud800",
)  # fmt: skip


@pytest.mark.parametrize("odd", ODD, ids=ascii)
def test_T7_what_no_tag_may_hold_costs_nobody_a_request(
    git_place: ActionPlace, odd: str
) -> None:
    place = git_place
    requests = len(place.server.requests)
    head = place.commits[0]
    wishes = [
        place.wish(Verb.REGISTER, artifact=odd, commit_id=head),
        place.wish(Verb.REGISTER, commit_id=head, version=odd),
        place.wish(Verb.REGISTER, commit_id=head, version=f"v1.0.0{odd}"),
        place.wish(Verb.REGISTER, commit_id=odd),
        place.wish(Verb.REGISTER, commit_id=f"{head}{odd}"),
        place.wish(Verb.ASSIGN, stage=odd, version="v1.0.0"),
        place.wish(Verb.ASSIGN, artifact=odd, stage="prod", version=head),
        place.wish(Verb.ASSIGN, stage=odd, commit_id=head),
        place.wish(Verb.UNASSIGN, stage=odd, version="v1.0.0"),
        place.wish(Verb.RESTORE, stage=odd),
    ]
    if "\0" in odd or "\ud800" in odd:
        wishes.append(place.wish(Verb.REGISTER, commit_id=head, message=odd))
        fields = {"name": "churn", "fields": {"labels": ["a", odd]}}
        wishes.append(place.wish(Verb.EDIT, fields=fields))
    for wish in wishes:
        asker = actions.Asker(place.people["eddy"], repr(wish), ActionLog.Via.API)
        with pytest.raises(BadWish) as caught:
            actions.perform(wish, asker)
        assert caught.value.refusal.sentence
    assert not ActionLog.objects.exists()
    assert len(place.server.requests) == requests


@pytest.mark.parametrize("odd", ["v1.0.0\n", "a\0b", "\ud800", "x" * 300, "--exec=x"])
def test_T7_odd_names_of_what_is_there_are_refused(
    git_place: ActionPlace, odd: str
) -> None:
    """A version to be found is looked for, not written: at most a row says so."""
    done(git_place.register(0, "v1.0.0"))
    before = git_place.tags()
    for verb in (Verb.ASSIGN, Verb.UNASSIGN, Verb.DEREGISTER):
        try:
            row = git_place.act(verb, stage="prod", version=odd)
        except BadWish:
            continue
        assert row.status == Status.REFUSED
    for verb in (Verb.DEREGISTER, Verb.DEPRECATE, Verb.REVIVE):
        try:
            row = git_place.act(verb, artifact=odd, version="v1.0.0")
        except BadWish:
            continue
        assert row.status == Status.REFUSED
    assert git_place.tags() == before


def test_T7_a_message_may_have_lines(git_place: ActionPlace) -> None:
    row = done(git_place.register(0, "v1.0.0", message="a\r\nb\tc\u2028d\n\ntag x\n"))
    assert git_place.tags() == {"churn@v1.0.0": row.object_id}
    check_settled(git_place)
