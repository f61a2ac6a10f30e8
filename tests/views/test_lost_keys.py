"""With a key that is lost, wrong or missing every page still comes, and says so where
a secret is wanted (threat K1: a wrong key fails loudly)."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.test import Client

from indexer.crypto import encrypt
from indexer.models import Connection, Hook, Repository
from tests.views.connection_rows import (
    HTMX,
    PAGE,
    TOKEN,
    add_repository,
    make_connection,
)
from tests.views.dom import text_of

pytestmark = pytest.mark.django_db
CLOSED = "cannot be decrypted"


@pytest.fixture
def lost(settings: Any) -> Connection:
    """A connection whose secrets no key opens any more."""
    settings.MUSTER_ENCRYPTION_KEYS = (Fernet.generate_key().decode(),)
    connection = make_connection()
    Hook.objects.create(connection=connection, secret=encrypt("x"), state="manual")
    add_repository(connection, "acme/churn")
    settings.MUSTER_ENCRYPTION_KEYS = (Fernet.generate_key().decode(),)
    return connection


@pytest.fixture
def without_key(settings: Any) -> None:
    settings.MUSTER_ENCRYPTION_KEYS = ()
    settings.EMBEDDED = False


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_K1_a_webhooks_secret_that_no_key_opens_is_said(
    alice: Client, lost: Connection, headers: dict[str, str]
) -> None:
    shown = alice.post(f"{PAGE}hook", headers=headers, follow=True)
    assert shown.status_code == 200
    assert CLOSED in text_of(shown.content.decode())


@pytest.mark.parametrize("part", ["", "edit", "review", "remove"])
def test_K1_the_pages_come_with_a_lost_key(
    alice: Client, lost: Connection, part: str
) -> None:
    assert alice.get(f"{PAGE}{part}").status_code == 200


def test_K1_the_test_and_the_edit_say_it_too(alice: Client, lost: Connection) -> None:
    found = alice.post(f"{PAGE}review", headers=HTMX)
    assert CLOSED in text_of(found.content.decode())
    changed = alice.post(
        f"{PAGE}edit",
        {"address": lost.web_url, "owner": "acme", "secret": TOKEN, "way": "api"},
    )
    assert changed.status_code == 302, "a new token is what mends it"


def test_K1_it_can_be_removed(alice: Client, lost: Connection) -> None:
    gone = alice.post(f"{PAGE}remove", {"repositories": "remove"})
    assert gone.status_code == 302
    assert not Connection.objects.exists()


@pytest.mark.parametrize(
    ("address", "form"),
    [
        ("/connections/add/github", {"owner": "acme", "secret": TOKEN, "way": "api"}),
        ("/connections/add/gitlab", {"owner": "acme", "secret": TOKEN, "way": "api"}),
        (
            "/repositories/add",
            {"url": "http://127.0.0.1:9/a/b.git", "secret": TOKEN, "reading": ""},
        ),
    ],
)
def test_K1_without_a_key_no_secret_is_taken(
    alice: Client, without_key: None, settings: Any, address: str, form: dict[str, str]
) -> None:
    settings.MUSTER_ALLOW_PRIVATE = True
    answer = alice.post(address, form)
    assert answer.status_code == 422
    html = answer.content.decode()
    assert "MUSTER_ENCRYPTION_KEYS" in text_of(html)
    assert TOKEN not in html
    assert not Connection.objects.exists()
    assert not Repository.objects.exists()


def test_K1_without_a_key_a_webhooks_secret_is_not_made(
    alice: Client, settings: Any
) -> None:
    connection = make_connection()
    settings.MUSTER_ENCRYPTION_KEYS, settings.EMBEDDED = (), False
    shown = alice.post(f"/connections/{connection.uuid}/hook", follow=True)
    assert shown.status_code == 200
    assert "MUSTER_ENCRYPTION_KEYS" in text_of(shown.content.decode())
