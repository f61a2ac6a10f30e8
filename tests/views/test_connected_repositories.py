"""Repositories of a connection on their pages: how they were read, hidden ones, former
names, and what a provider says of them."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from indexer.crypto import encrypt
from indexer.models import Connection, FormerName, Hook, Repository
from tests.views.connection_rows import (
    PAGE,
    add_repository,
)
from tests.views.dom import dangers, links_of, text_of
from tests.views.test_hostile_text import MARKS

pytestmark = pytest.mark.usefixtures("connecting")


def test_a_repository_says_how_and_as_of_when_it_was_read(
    bob: Client, connected: Connection, acme: Repository
) -> None:
    Repository.objects.filter(pk=acme.pk).update(
        read_by="mirror", read_by_why="Its tree is cut short.", is_archived=True
    )
    html = bob.get("/repositories/acme/churn/").content.decode()
    text = text_of(html)
    assert "Through a mirror Its tree is cut short." in text
    assert "As of just now" in text
    assert "archived" in text
    assert "Requests" not in text.split("Last crawls")[0]


def test_only_how_it_is_read_can_be_changed(
    alice: Client, connected: Connection, acme: Repository
) -> None:
    html = alice.get("/repositories/acme/churn/-/edit").content.decode()
    assert 'name="url"' not in html
    assert 'name="secret"' not in html
    answer = alice.post(
        "/repositories/acme/churn/-/edit",
        {"way": "mirror", "reading": "", "is_enabled": "on", "url": "https://x.y/z"},
    )
    assert answer.status_code == 302
    url = acme.url
    acme.refresh_from_db()
    assert (acme.way, acme.url, acme.requested_seq) == ("mirror", url, 1)
    bad = alice.post("/repositories/acme/churn/-/edit", {"way": "guess"})
    assert bad.status_code == 422


def test_a_hidden_repository_is_there_for_admins_who_ask(
    alice: Client, bob: Client, connected: Connection
) -> None:
    add_repository(
        connected, "acme/secret", hidden_at=timezone.now(), hidden_why="Made private."
    )
    page = "/repositories/acme/secret/"
    assert page not in links_of(alice.get("/repositories").content.decode())
    asked = alice.get("/repositories?state=hidden").content.decode()
    assert page in links_of(asked)
    assert "Made private." in text_of(asked)
    assert "Hidden just now" in text_of(alice.get(page).content.decode())
    for address in ("/", "/repositories?state=hidden", "/repositories?q=secret"):
        assert "acme/secret" not in bob.get(address).content.decode()
    for address in (page, f"{page}-/status", "/api/v1/repositories/acme/secret"):
        assert bob.get(address).status_code == 404
    assert "secret" not in bob.get("/api/v1/repositories").content.decode()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("/repositories/acme/old/", "/repositories/acme/churn/"),
        ("/repositories/acme/old/?page=2", "/repositories/acme/churn/?page=2"),
        ("/models/acme/old/-/churn", "/models/acme/churn/-/churn"),
        ("/models/acme/old/-/churn@v1.0.0", "/models/acme/churn/-/churn@v1.0.0"),
        ("/history/acme/old/-/churn?size=50", "/history/acme/churn/-/churn?size=50"),
        ("/models/acme/old/-/cv:detector", "/models/acme/churn/-/cv:detector"),
        ("/api/v1/repositories/acme/old", "/api/v1/repositories/acme/churn"),
        ("/api/v1/models/acme/old/-/churn", "/api/v1/models/acme/churn/-/churn"),
    ],
)
def test_a_former_name_leads_on(
    bob: Client, connected: Connection, acme: Repository, old: str, new: str
) -> None:
    FormerName.objects.create(name="acme/old", repository=acme, until=timezone.now())
    answer = bob.get(old)
    assert (answer.status_code, answer["Location"]) == (302, new)
    assert bob.get(new).status_code == 200
    # Another repository has the name now: its page is there, and no model of it.
    add_repository(connected, "acme/old")
    assert bob.get(old).status_code in {200, 404}


def test_a_former_name_tells_strangers_nothing(
    charlie: Client, acme: Repository, closed: None
) -> None:
    FormerName.objects.create(name="acme/old", repository=acme, until=timezone.now())
    answer = charlie.get("/repositories/acme/old/")
    assert answer["Location"].startswith("/login")
    assert charlie.get("/api/v1/repositories/acme/old").status_code == 401


def test_a_former_name_of_a_hidden_repository_is_gone(
    bob: Client, acme: Repository
) -> None:
    FormerName.objects.create(name="acme/old", repository=acme, until=timezone.now())
    Repository.objects.update(hidden_at=timezone.now())
    assert bob.get("/repositories/acme/old/").status_code == 404


@pytest.mark.parametrize("mark", MARKS)
def test_X1_what_a_provider_says_is_text(
    alice: Client, connected: Connection, mark: str
) -> None:
    Connection.objects.update(
        message=mark,
        state="failing",
        account=mark,
        owner=mark[:200],
        phase=mark[:60],
        web_url="javascript:alert(1)",
        rights=[{"ability": mark, "granted": None, "sentence": mark}],
        include=mark,
        added_by=mark,
    )
    Repository.objects.update(
        message=mark, state="denied", hidden_why=mark, read_by_why=mark
    )
    Hook.objects.create(
        connection=connected,
        secret=encrypt("x"),
        state="refused",
        message=mark,
        last_delivery_at=timezone.now(),
        last_event=mark[:60],
        last_outcome=mark,
    )
    add_repository(connected, "acme/secret", hidden_at=timezone.now(), hidden_why=mark)
    for address in (
        "/connections",
        PAGE,
        f"{PAGE}?state=hidden",
        f"{PAGE}review",
        f"{PAGE}edit",
        f"{PAGE}remove",
        "/repositories?state=hidden",
        "/repositories/acme/churn/",
        "/repositories/acme/secret/",
    ):
        response = alice.get(address)
        assert response.status_code == 200
        html = response.content.decode()
        assert dangers(html) == [], address
        assert not [link for link in links_of(html) if "javascript:" in link.lower()]
