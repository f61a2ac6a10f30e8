"""C1: nothing is written without a token, and nothing by reading."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver, resolve

from indexer.models import Repository
from tests.views.addresses import HOOKS, OUR_ADDRESSES, walk

UNSAFE = ("post", "put", "patch", "delete")


@pytest.fixture
def strict_alice(db: None) -> Client:
    client = Client(enforce_csrf_checks=True)
    client.force_login(
        User.objects.create_user("alice", is_staff=True, is_superuser=True)
    )
    return client


@pytest.mark.parametrize("address", sorted({*OUR_ADDRESSES, "/admin/login/"}))
@pytest.mark.parametrize("method", UNSAFE)
def test_C1_nothing_is_written_without_a_token(
    strict_alice: Client, acme: Repository, address: str, method: str
) -> None:
    before = list(Repository.objects.values())
    for headers in ({}, {"HX-Request": "true"}):
        response = getattr(strict_alice, method)(address, headers=headers)
        assert response.status_code in {403, 405}, (method, address)
    assert list(Repository.objects.values()) == before
    assert strict_alice.session.get("_auth_user_id")


def test_C1_no_view_is_exempt_but_the_signed_webhooks() -> None:
    exempt = {
        address
        for address, pattern in walk()
        if getattr(pattern.callback, "csrf_exempt", False)
    }
    assert exempt == HOOKS
    assert get_resolver().url_patterns


@pytest.mark.parametrize("method", ["get", "head"])
def test_C1_reading_writes_nothing(
    strict_alice: Client, acme: Repository, method: str
) -> None:
    strict_alice.get("/")
    for address in OUR_ADDRESSES:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            getattr(strict_alice, method)(address)
        written = [
            query["sql"]
            for query in queries
            if query["sql"].split()[0] in {"INSERT", "UPDATE", "DELETE"}
        ]
        assert written == [], (address, resolve(address).func)


def test_C1_a_form_brings_its_token(strict_alice: Client, acme: Repository) -> None:
    html = strict_alice.get("/repositories/acme/churn/").content.decode()
    token = html.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    response = strict_alice.post(
        "/repositories/acme/churn/-/crawl", {"csrfmiddlewaretoken": token}
    )
    assert response.status_code == 302
    acme.refresh_from_db()
    assert acme.requested_seq == 1


def test_C1_a_page_without_its_token_says_what_to_do(
    strict_alice: Client, acme: Repository
) -> None:
    response = strict_alice.post("/repositories/acme/churn/-/crawl")
    assert response.status_code == 403
    assert "The form is too old" in response.content.decode()
