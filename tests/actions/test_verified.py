"""Whose an address is: an editor may enter any, so the log says who has verified it,
and a tag by another's right names the account, which nobody chooses."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable

import pytest

from indexer.accounts import keep_identity
from indexer.actions import BadWish
from indexer.models import ActionLog, Connection
from indexer.provider_tokens import try_token
from tests.actions.checks import done
from tests.actions.places import ActionPlace, Verb
from tests.actions.test_pages import shown, signed_in
from tests.api.acting import Program
from tests.views.dom import text_of

MakePlace = Callable[[str], ActionPlace]
UNVERIFIED = "an address that nobody verified"


@pytest.fixture
def place(make_place: MakePlace) -> ActionPlace:
    """At GitLab, where every token is that of alice@example.com."""
    return make_place("gitlab")


def as_said(program: Program, place: ActionPlace, row: ActionLog) -> list[str]:
    """Who has verified the address of an action: by the API, JSON, CSV, the page and
    the administration."""
    admin = signed_in(place, "alice")
    place.people["alice"].is_staff = place.people["alice"].is_superuser = True
    place.people["alice"].save()
    address = f"/actions?action={row.uuid}"
    (one,) = json.loads(admin.get(f"{address}&format=json").getvalue())
    table = csv.DictReader(
        io.StringIO(admin.get(f"{address}&format=csv").getvalue().decode())
    )
    page = text_of(admin.get(address).content.decode())
    told = page.partition(f"{row.tagger_email} , ")[2]
    told = told.split(" by API token", 1)[0].partition("verified by ")[2].split(" ")[0]
    cell = text_of(
        admin.get(f"/admin/indexer/actionlog/?q={row.artifact}").content.decode()
    )
    assert (row.email_verified_by or "nobody") in cell
    return [
        program.get(f"actions/{row.uuid}")["email_verified_by"],
        one["email_verified_by"],
        next(table)["e-mail verified by"],
        told,
    ]


def test_an_address_is_verified_by_the_server_where_the_token_was_tested(
    place: ActionPlace,
) -> None:
    eddy, program = place.people["eddy"], Program(place)
    server = place.repository.connection.server  # type: ignore[union-attr]
    keep_identity(eddy, name="Eddy", email="Alice@Example.com")
    eddy.refresh_from_db()
    before = done(place.register(0, "v1.0.0"))
    assert as_said(program, place, before) == [""] * 4
    assert UNVERIFIED in text_of(shown(signed_in(place, "eddy"), "register"))
    client = signed_in(place, "eddy")
    assert "Nobody has verified" in text_of(client.get("/account").content.decode())
    # The server says so once it is asked.
    assert try_token(eddy.provider_tokens.get()).works
    after = done(place.register(1, "v2.0.0"))
    assert as_said(program, place, after) == [server] * 4
    assert f"verified by {server}" in text_of(shown(client, "register"))
    assert f"{server} says that" in text_of(client.get("/account").content.decode())
    # What is in the log stays.
    before.refresh_from_db()
    assert before.email_verified_by == ""
    # Another address is another matter; so is a server that no admin knows.
    keep_identity(eddy, name="Eddy", email="boss@example.com")
    eddy.refresh_from_db()
    assert done(place.register(2, "v3.0.0")).email_verified_by == ""
    keep_identity(eddy, name="Eddy", email="alice@example.com")
    eddy.provider_tokens.update(web_url="https://mine.example.org")
    eddy.refresh_from_db()
    Connection.objects.update(shares_writing=True)
    row = done(place.assign("prod", "v1.0.0"))
    assert row.email_verified_by == ""
    # By the connection's token: the account stands in it, whatever its person entered.
    assert place.body(row.tag).endswith(
        "\n\nRequested-by: eddy (Eddy <alice@example.com>)"
    )


@pytest.mark.parametrize(
    "message",
    ["Requested-by: alice", "Why\n\n requested-BY : alice", "a\r\nRequested-by:alice"],
)
def test_nobody_writes_that_line_by_themselves(
    git_place: ActionPlace, message: str
) -> None:
    with pytest.raises(BadWish, match="written by Muster alone"):
        git_place.register(0, message=message)
    with pytest.raises(BadWish, match="written by Muster alone"):
        git_place.act(Verb.EDIT, message=message, fields={})
    done(git_place.register(0, message="It was requested-by: alice"))
