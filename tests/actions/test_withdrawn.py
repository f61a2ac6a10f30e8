"""Z3: whose token is sent where, at each provider, and rights that go in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from indexer import action_rows, action_steps, actions, visibility
from indexer.actions import NotAllowed
from indexer.connection_addresses import Place as Server
from indexer.models import Account, ActionLog, Connection, ProviderToken, Role
from indexer.provider_tokens import keep_token
from indexer.providers.errors import Unsettled
from indexer.providers.git.file_writer import GitFileWriter
from indexer.repositories import remove_repository
from tests.actions.checks import check_settled, done, order_in, pass_time
from tests.actions.places import ActionPlace, Verb, connection_of, give_token
from tests.actions.test_faults import heal, lose_answers
from tests.providers.api_requests import Request, token_of

Status, Right = ActionLog.Status, ActionLog.Right
API_KINDS = pytest.mark.parametrize("kind", ["github", "gitlab"])
MakePlace = Callable[[str], ActionPlace]


def writes(place: ActionPlace, since: int = 0) -> list[str]:
    """What was sent to be written."""
    asked = [
        request if isinstance(request, str) else
        " ".join(request) if isinstance(request, tuple) else str(request)
        for request in place.server.requests[since:]
    ]  # fmt: skip
    return [
        one
        for one in asked
        if "receive-pack" in one or ("/git/" in one and one.startswith("POST"))
    ]


def tokens(place: ActionPlace, since: int = 0) -> set[str]:
    """Whose tokens were sent with what was to be written."""
    requests: list[Any] = list(place.server.requests[since:])
    return {
        token_of(request.headers)
        for request in requests
        if isinstance(request, Request)
        and ("receive-pack" in str(request) or "POST" in str(request))
        and ("receive-pack" in str(request) or "/git/" in str(request))
    } - {""}


def another_token(place: ActionPlace, name: str) -> str:
    server: Any = place.server
    if place.kind == "github":
        return str(server.add_token(f"ghp_{name}", "repo"))
    return str(server.add_token("alice"))


@API_KINDS
def test_Z3_without_a_token_of_ones_own_nothing_is_sent(
    make_place: MakePlace, kind: str
) -> None:
    place = make_place(kind)
    ProviderToken.objects.filter(user=place.people["eddy"]).delete()
    before = len(place.server.requests)
    row = place.register(0, "v1.0.0")
    assert (row.status, row.code) == (Status.REFUSED, "no-token")
    assert "on your account page" in row.sentence
    assert place.server.requests[before:] == []
    assert place.tags() == {}
    # Another's is of no use to them, nor theirs to another.
    give_token(place.people["eddy"], place, another_token(place, "eddy"))
    done(place.register(0, "v1.0.0"))
    check_settled(place)


@API_KINDS
def test_Z3_each_writes_by_their_own_token(make_place: MakePlace, kind: str) -> None:
    place = make_place(kind)
    own = {name: another_token(place, name) for name in ("eddy", "erna")}
    for name, secret in own.items():
        give_token(place.people[name], place, secret)
    for number, name in enumerate(own):
        before = len(place.server.requests)
        row = done(place.register(number, by=name))
        assert row.right == Right.OWN
        assert tokens(place, before) == {own[name]}
        assert "Requested-by" not in place.body(row.tag)


@API_KINDS
def test_Z3_a_connection_that_shares_writing_says_who_asked(
    make_place: MakePlace, kind: str
) -> None:
    place = make_place(kind)
    ProviderToken.objects.all().delete()
    Connection.objects.update(shares_writing=True)
    before = len(place.server.requests)
    row = done(place.register(0, "v1.0.0", message="Because"))
    assert row.right == Right.SHARED
    assert place.body(row.tag).endswith(
        "Because\n\nRequested-by: eddy (Eddy <eddy@example.org>)"
    )
    assert tokens(place, before) == {str(getattr(place.server, "token"))}  # noqa: B009
    check_settled(place)


@API_KINDS
def test_Z3_a_token_goes_to_no_other_server(make_place: MakePlace, kind: str) -> None:
    """A token for another address, or another kind, is none for this connection."""
    place = make_place(kind)
    connection = connection_of(place)
    eddy = place.people["eddy"]
    ProviderToken.objects.filter(user=eddy).delete()
    other = "http://127.0.0.1:1"
    for web_url, of_kind in (
        (other, kind),
        (connection.web_url, "gitlab" if kind == "github" else "github"),
    ):
        server = Server(web_url, connection.api_url, "elsewhere", "")
        keep_token(eddy, kind=of_kind, place=server, secret="elsewhere-CANARY")
        row = place.register(0, "v1.0.0")
        assert (row.status, row.code) == (Status.REFUSED, "no-token")
    assert "elsewhere-CANARY" not in repr(
        [getattr(request, "headers", "") for request in place.server.requests]
    )


@API_KINDS
def test_Z3_a_token_that_was_revoked_is_not_replaced(
    make_place: MakePlace, kind: str
) -> None:
    place = make_place(kind)
    server: Any = place.server
    secret = another_token(place, "eddy")
    give_token(place.people["eddy"], place, secret)
    del server.tokens[secret]
    before = len(place.server.requests)
    row = place.register(0, "v1.0.0")
    assert row.status in {Status.REFUSED, Status.FAILED}
    assert "token" in row.sentence
    assert row.sentence.endswith("Nothing was written.")
    assert tokens(place, before) <= {secret}
    assert place.tags() == {}
    give_token(place.people["eddy"], place, str(server.token))
    done(place.register(0, "v1.0.0"))


def test_Z3_who_may_not_act_leaves_no_row(git_place: ActionPlace) -> None:
    eddy = git_place.people["eddy"]
    requests = len(git_place.server.requests)
    with pytest.raises(NotAllowed, match="need the role editor"):
        git_place.register(0, by="vera")
    type(eddy).objects.filter(pk=eddy.pk).update(is_active=False)
    git_place.people["eddy"].refresh_from_db()
    with pytest.raises(NotAllowed):
        git_place.register(0)
    visibility.hide(git_place.repository, "test", timezone.now())
    with pytest.raises(NotAllowed, match="no such repository"):
        git_place.register(0, by="erna")
    assert not ActionLog.objects.exists()
    assert len(git_place.server.requests) == requests


# Taken away in between ----------------------------------------------------------------


def lose_role(place: ActionPlace) -> None:
    Account.objects.filter(user=place.people["eddy"]).update(role=Role.VIEWER)


def become_inactive(place: ActionPlace) -> None:
    eddy = place.people["eddy"]
    type(eddy).objects.filter(pk=eddy.pk).update(is_active=False)


def leave(place: ActionPlace) -> None:
    place.people["eddy"].delete()


def lose_token(place: ActionPlace) -> None:
    ProviderToken.objects.filter(user=place.people["eddy"]).delete()


def hide(place: ActionPlace) -> None:
    place.repository.refresh_from_db()
    visibility.hide(place.repository, "test", timezone.now())


LOSSES = [lose_role, become_inactive, leave, lose_token, hide]


@pytest.mark.parametrize("is_there", [False, True], ids=["unwritten", "written"])
@pytest.mark.parametrize("lose", [leave, hide])
def test_Z3_a_right_taken_away_before_it_is_done(
    make_place: MakePlace,
    monkeypatch: pytest.MonkeyPatch,
    lose: Callable[[ActionPlace], None],
    is_there: bool,
) -> None:
    """Between the order and whoever goes on with it: refused, unless it is done. Of
    other losses test_rights.py tells."""
    place = make_place("github")
    done(place.register(0, "v1.0.0"))
    if is_there:
        lose_answers(place)
        row = place.assign("prod", "v1.0.0")
        heal(place)
    else:
        down: Any = place.server
        with monkeypatch.context() as patch:
            patch.setattr(action_steps, "outcome_of", lambda _: None)
            down.fault("POST /api/v3/repos/acme/churn/git/tags", status=502)
            row = place.assign("prod", "v1.0.0")
    assert row.status == Status.WRITING, row.sentence
    ordered, requests = order_in(row), len(place.server.requests)
    lose(place)
    pass_time(row)
    assert actions.resume_open() == 1
    row.refresh_from_db()
    assert order_in(row) == ordered
    assert writes(place, requests) == []
    assert (row.tag in place.tags()) is is_there
    if is_there:
        done(row)
    else:
        assert (row.status, row.code) == (Status.REFUSED, "not-allowed")
        assert "taken away" in row.sentence
    assert (row.actor, row.ended_at is None) == ("eddy", False)


@pytest.mark.parametrize("lose", LOSSES)
def test_Z3_a_right_taken_away_while_one_waits(
    make_place: MakePlace,
    monkeypatch: pytest.MonkeyPatch,
    lose: Callable[[ActionPlace], None],
) -> None:
    """After the click was let through, before anything is sent."""
    place = make_place("github")
    begin, requests = action_rows.begin, len(place.server.requests)

    def slowly(*arguments: Any) -> Any:
        held = begin(*arguments)
        lose(place)
        return held

    monkeypatch.setattr(action_rows, "begin", slowly)
    row = place.register(0, "v1.0.0")
    assert (row.status, row.code) == (
        Status.REFUSED, "no-token" if lose is lose_token else "not-allowed",
    )  # fmt: skip
    assert place.server.requests[requests:] == []
    assert ActionLog.objects.get().status == Status.REFUSED


def test_Z3_a_repository_that_was_removed_tells_nothing_any_more(
    git_place: ActionPlace,
) -> None:
    done(git_place.register(0, "v1.0.0"))
    lose_answers(git_place)
    row = git_place.assign("prod", "v1.0.0")
    remove_repository(git_place.repository)
    pass_time(row)
    assert actions.resume_open() == 1
    row.refresh_from_db()
    assert (row.status, row.code) == (Status.UNKNOWN, "not-known")
    assert "removed" in row.sentence


def test_Z3_a_token_revoked_after_the_tag_was_written(
    make_place: MakePlace,
) -> None:
    """The remote refuses the try that follows, and yet the tag is there."""
    place = make_place("github")
    server: Any = place.server
    done(place.register(0, "v1.0.0"))
    secret = another_token(place, "eddy")
    give_token(place.people["eddy"], place, secret)
    lose_answers(place)
    row = place.assign("prod", "v1.0.0")
    heal(place)
    del server.tokens[secret]
    pass_time(row)
    assert actions.resume_open() == 1
    row.refresh_from_db()
    done(row)
    check_settled(place)
    assert place.holders() == {"prod": ["v1.0.0"]}


@pytest.mark.parametrize("what", ["right", "token"])
def test_Z3_an_edit_that_may_be_there_keeps_nobody_from_the_model(
    make_place: MakePlace, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Of a commit nobody else can tell whether it was written: that is said at once."""
    place = make_place("github")
    server: Any = place.server
    secret = another_token(place, "eddy")
    give_token(place.people["eddy"], place, secret)
    fields = {"file": "dvc.yaml", "branch": "main", "name": "churn"}
    with monkeypatch.context() as patch:
        patch.setattr(GitFileWriter, "write_file", unsettled)
        row = place.act(Verb.EDIT, fields={**fields, "fields": {"desc": "New"}})
    assert row.status == Status.WRITING, row.sentence
    if what == "right":
        lose_role(place)
    else:
        del server.tokens[secret]
    pass_time(row)
    assert actions.resume_open() == 1
    row.refresh_from_db()
    assert (row.status, row.code) == (Status.UNKNOWN, "not-known")
    assert "may have written it" in row.sentence
    done(place.register(0, by="erna"))


def unsettled(*_: object) -> str:
    raise Unsettled("Nobody knows.")
