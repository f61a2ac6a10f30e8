"""Django's administration shows rows and changes none of them."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client

from indexer.models import Repository
from tests.views.test_hostile_text import MARKS, hostile_repository

MODELS = sorted(
    model._meta.model_name or ""
    for model in admin.site._registry
    if model._meta.app_label == "indexer"
)


def test_the_rows_people_ask_for_are_there() -> None:
    assert {"repository", "artifact", "event", "problem", "crawl"} <= set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_X1_a_row_is_shown_as_text_and_cannot_be_changed(
    alice: Client, bob: Client, name: str
) -> None:
    hostile_repository(MARKS[0])
    Repository.objects.update(secret="canary-2718")
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


@pytest.mark.parametrize(
    "query", ["secret=x", "secret__startswith=canary", "secret__regex=.", "q=canary"]
)
def test_K1_no_filter_finds_repositories_by_their_credential(
    alice: Client, query: str
) -> None:
    hostile_repository(MARKS[0])
    Repository.objects.update(secret="canary-2718", name="found")
    response = alice.get(f"/admin/indexer/repository/?{query}")
    assert response.status_code == (200 if query == "q=canary" else 400)
    assert b">found<" not in response.content
