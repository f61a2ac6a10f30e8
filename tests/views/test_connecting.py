"""Connecting an organisation step by step, against a server of GitHub's kind."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.test import Client

from indexer.connections import secret_of
from indexer.models import Connection
from tests.providers.github_server import GitHubServer
from tests.views.connection_rows import (
    HTMX,
    PAGE,
    TOKEN,
    make_connection,
)
from tests.views.dom import dangers, links_of, read, text_of
from tests.views.test_hostile_text import MARKS

pytestmark = pytest.mark.usefixtures("connecting")


def typed(**changes: str) -> dict[str, str]:
    return {
        "owner": "acme",
        "secret": TOKEN,
        "with_archived": "on",
        "with_hooks": "on",
        "way": "api",
    } | changes


def test_an_organisation_is_connected_step_by_step(
    alice: Client, server: GitHubServer
) -> None:
    empty = alice.get("/connections").content.decode()
    assert "Nothing is connected yet" in text_of(empty)
    assert "/connections/add/github" in links_of(empty)
    form = typed(address=server.url, secret=server.token)
    response = alice.post("/connections/add/github", form)
    draft = Connection.objects.get()
    assert response["Location"] == f"/connections/{draft.uuid}/review"
    assert (draft.state, draft.added_by) == ("draft", "alice")
    assert secret_of(draft) == server.token

    asked = len(server.requests)
    shell = alice.get(response["Location"]).content.decode()
    assert len(server.requests) == asked
    (trigger,) = [attrs for _, attrs in read(shell).elements if "hx-post" in attrs]
    assert trigger["hx-trigger"].startswith("load")
    assert trigger["action"] == trigger["hx-post"] == response["Location"]

    for headers in ({}, HTMX):
        found = alice.post(response["Location"], headers=headers).content.decode()
        text = text_of(found)
        assert "Connect these 2 repositories" in text
        assert "acme/ml-risk" in text
        assert "acme/forked" in text.split("What is left out")[1]
        assert ("<html" in found) == (headers == {})
        assert server.token not in found

    done = alice.post(f"/connections/{draft.uuid}/connect")
    assert done["Location"] == f"/connections/{draft.uuid}/"
    draft.refresh_from_db()
    assert (draft.state, draft.requested_seq) == ("new", 1)
    page = alice.get(done["Location"]).content.decode()
    assert "Its first look begins in a moment." in text_of(page)
    assert 'hx-trigger="every 2s"' in page


def test_a_pasted_address_of_a_page_is_understood(
    alice: Client, server: GitHubServer
) -> None:
    form = typed(address=f"{server.url}/acme", owner="", secret=server.token)
    assert alice.post("/connections/add/github", form).status_code == 302
    assert Connection.objects.get().owner == "acme"


def test_what_does_not_work_says_why_and_can_be_mended(
    alice: Client, server: GitHubServer
) -> None:
    alice.post("/connections/add/github", typed(address=server.url))
    draft = Connection.objects.get()
    review = f"/connections/{draft.uuid}/review"
    found = alice.post(review, headers=HTMX).content.decode()
    assert "This does not work yet." in text_of(found)
    assert TOKEN not in found
    assert f'action="/connections/{draft.uuid}/edit"' in found
    mended = alice.post(
        f"/connections/{draft.uuid}/edit",
        typed(address=server.url, secret=server.token),
    )
    assert mended["Location"] == review
    assert "Connect these 2" in text_of(alice.post(review).content.decode())


def test_a_token_that_has_to_be_pasted_again_is_asked_for(
    alice: Client, server: GitHubServer
) -> None:
    form = typed(address=server.url, owner="ac me")
    answer = alice.post("/connections/add/github", form).content.decode()
    assert "Paste it again" in text_of(answer)
    assert TOKEN not in answer


def test_an_empty_token_keeps_the_one_there_is(
    alice: Client, server: GitHubServer
) -> None:
    form = typed(address=server.url, secret=server.token)
    alice.post("/connections/add/github", form)
    draft = Connection.objects.get()
    changed = form | {"secret": "", "include": "ml-*"}
    edit = f"/connections/{draft.uuid}/edit"
    assert alice.post(edit, changed).status_code == 302
    draft.refresh_from_db()
    assert secret_of(draft) == server.token
    review = alice.post(f"/connections/{draft.uuid}/review").content.decode()
    assert "Connect this repository" in text_of(review)
    assert "ml-*" in alice.get(edit).content.decode()


def test_a_draft_is_discarded_with_its_token(alice: Client, db: None) -> None:
    make_connection(state="draft")
    assert alice.get(PAGE)["Location"] == f"{PAGE}review"
    assert alice.post(f"{PAGE}discard")["Location"] == "/connections"
    assert not Connection.objects.exists()


def test_what_is_connected_is_not_discarded_by_an_old_page(
    alice: Client, connected: Connection
) -> None:
    assert alice.post(f"{PAGE}discard")["Location"] == f"{PAGE}remove"
    assert Connection.objects.exists()


def test_an_owner_that_is_connected_already_is_refused_when_it_is_connected(
    alice: Client, connected: Connection
) -> None:
    draft = make_connection(uuid=uuid4(), state="draft")
    response = alice.post(f"/connections/{draft.uuid}/connect", follow=True)
    assert "connected already" in text_of(response.content.decode())
    draft.refresh_from_db()
    assert draft.state == "draft"


@pytest.mark.parametrize(
    ("kind", "changes", "field"),
    [
        ("github", {"owner": ""}, "owner"),
        ("github", {"owner": "a b"}, "owner"),
        ("github", {"owner": "x" * 501}, "owner"),
        ("github", {"address": "ftp://git.example.com"}, "address"),
        ("github", {"address": "https://a:b@git.example.com"}, "address"),
        ("github", {"secret": ""}, "secret"),
        ("github", {"secret": "with space"}, "secret"),
        ("github", {"app_id": "7"}, "app_id"),
        ("github", {"app_id": "7", "secret": ""}, "app_key"),
        ("github", {"app_id": "7", "secret": "", "app_key": "no pem"}, "app_key"),
        ("github", {"secret": "", "app_key": "no pem"}, "app_id"),
        ("github", {"way": "guess"}, "way"),
        ("github", {"include": "ml-\x01"}, "include"),
        ("gitlab", {"owner": ""}, "owner"),
        ("gitlab", {"owner": "", "address": "", "secret": ""}, "owner"),
        ("gitlab", {"secret": ""}, "secret"),
    ],
)
def test_bad_input_costs_a_sentence_beside_its_field(
    alice: Client, db: None, kind: str, changes: dict[str, str], field: str
) -> None:
    form = typed(address="https://git.example.com", exclude="*-sandbox") | changes
    response = alice.post(f"/connections/add/{kind}", form)
    assert response.status_code == 422
    html = response.content.decode()
    assert "errorlist" in html.split(f'id="id_{field}"')[1].split("<label")[0]
    assert "*-sandbox" in html  # what was typed is kept
    assert TOKEN not in html  # but no secret
    assert "no pem" not in html
    assert not Connection.objects.exists()


def test_a_change_that_is_refused_changes_nothing(
    alice: Client, connected: Connection
) -> None:
    form = typed(address="ftp://git.example.com", secret="another-canary-31")
    response = alice.post(f"{PAGE}edit", form)
    assert response.status_code == 422
    assert "canary" not in response.content.decode()
    connected.refresh_from_db()
    assert connected.web_url == "http://127.0.0.1:9"
    assert secret_of(connected) == TOKEN


@pytest.mark.parametrize("mark", MARKS[:5])
def test_X1_what_would_be_connected_is_text(
    alice: Client, server: GitHubServer, mark: str
) -> None:
    for row in server.rows.values():
        row.description = mark
    form = typed(address=server.url, secret=server.token)
    alice.post("/connections/add/github", form)
    draft = Connection.objects.get()
    html = alice.post(f"/connections/{draft.uuid}/review").content.decode()
    assert "Connect these 2" in text_of(html)
    assert " ".join(mark.split()) in text_of(html)
    assert dangers(html) == []
