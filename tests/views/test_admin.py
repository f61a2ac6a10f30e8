"""Django's administration shows rows and changes none of them."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from indexer.models import (
    ActionLog,
    ApiToken,
    Delivery,
    FormerName,
    Hook,
    Repository,
    RequestBudget,
)
from tests.views.connection_rows import make_connection
from tests.views.test_hostile_text import MARKS, hostile_repository

MODELS = sorted(
    model._meta.model_name or ""
    for model in admin.site._registry
    if model._meta.app_label == "indexer"
)


SECRET = "canary-2718"


def test_the_rows_people_ask_for_are_there() -> None:
    assert {"repository", "artifact", "event", "problem", "crawl"} <= set(MODELS)
    assert {"connection", "hook", "delivery", "requestbudget"} <= set(MODELS)


def connected() -> None:
    """One row of each kind that a connection has, with credentials in them, and an API
    token."""
    connection = make_connection(
        secret=SECRET, access=SECRET, account=MARKS[0], message=MARKS[0]
    )
    hook = Hook.objects.create(connection=connection, secret=SECRET, message=MARKS[0])
    now = timezone.now()
    Delivery.objects.create(hook=hook, event=MARKS[0], received_at=now)
    RequestBudget.objects.create(connection=connection, resource=MARKS[0][:20])
    repository = Repository.objects.get()
    FormerName.objects.create(name=MARKS[0], repository=repository, until=now)
    Repository.objects.update(secret=SECRET, connection=connection)
    ActionLog.objects.create(
        key="1",
        verb=ActionLog.Verb.ASSIGN,
        status=ActionLog.Status.REFUSED,
        actor=MARKS[0],
        repository_name=MARKS[0],
        artifact=MARKS[0],
        sentence=MARKS[0],
        tag=MARKS[0],
        asked_at=now,
        ended_at=now,
    )
    ApiToken.objects.create(
        user=User.objects.get(username="alice"),
        name=MARKS[0],
        digest=SECRET,
        prefix="muster_abcdef",
        created_at=now,
    )


@pytest.mark.parametrize("name", MODELS)
def test_X1_a_row_is_shown_as_text_and_cannot_be_changed(
    alice: Client, bob: Client, name: str
) -> None:
    hostile_repository(MARKS[0])
    connected()
    row = apps.get_model("indexer", name)._default_manager.first()
    assert row is not None
    for address in (
        f"/admin/indexer/{name}/",
        f"/admin/indexer/{name}/{row.pk}/change/",
    ):
        response = alice.get(address)
        assert response.status_code == 200
        html = response.content.decode()
        assert MARKS[0] not in html
        assert "canary" not in html
        assert 'name="_save"' not in html
        assert bob.get(address).status_code == 302
    changed = alice.post(f"/admin/indexer/{name}/{row.pk}/change/", {"name": "x"})
    assert changed.status_code == 403
    assert alice.post(f"/admin/indexer/{name}/{row.pk}/delete/").status_code == 403
    assert alice.get(f"/admin/indexer/{name}/add/").status_code == 403


GUESSES = (
    "secret",
    "access__regex",
    "repository__secret__startswith",
    "connection__secret__startswith",
    "connection__access__startswith",
    "hook__secret__startswith",
    "hook__connection__secret__startswith",
)


@pytest.mark.parametrize("name", MODELS)
def test_K1_no_filter_finds_rows_by_a_credential(alice: Client, name: str) -> None:
    """Their own, or that of the repository, connection or webhook they belong to."""
    hostile_repository(MARKS[0])
    connected()
    for guess in GUESSES:
        response = alice.get(f"/admin/indexer/{name}/?{guess}=canary")
        assert response.status_code == 400, guess


def test_K1_no_search_finds_rows_by_their_credential(alice: Client) -> None:
    hostile_repository(MARKS[0])
    connected()
    searched = [
        model._meta.model_name
        for model, shown in admin.site._registry.items()
        if model._meta.app_label == "indexer" and shown.search_fields
    ]
    assert {"repository", "connection"} <= set(searched)
    for name in searched:
        response = alice.get(f"/admin/indexer/{name}/?q=canary")
        assert not response.context["cl"].queryset.exists(), name


@pytest.mark.parametrize("guess", ["digest", "digest__lt", "user__password__lt"])
def test_K1_no_filter_finds_a_token_by_its_digest(alice: Client, guess: str) -> None:
    assert alice.get(f"/admin/indexer/apitoken/?{guess}=canary").status_code == 400


def test_C11_an_admin_revokes_anybodys_token_and_the_log_says_who_did(
    alice: Client, bob: Client
) -> None:
    hostile_repository(MARKS[0])
    connected()
    token = ApiToken.objects.get()
    order = {"action": "revoke_chosen", "_selected_action": [token.pk]}

    bob.post("/admin/indexer/apitoken/", order)
    assert not ApiToken.objects.filter(revoked_at__isnull=False).exists()
    answer = alice.post("/admin/indexer/apitoken/", order, follow=True)

    assert "Tokens revoked: 1" in answer.content.decode()
    token.refresh_from_db()
    assert token.revoked_at is not None
    entry = admin.models.LogEntry.objects.get()
    assert (entry.user.username, entry.change_message) == ("alice", "Revoked.")
