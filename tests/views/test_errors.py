"""C8: errors look like the rest and tell nothing of the inside."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.db import DatabaseError
from django.test import Client, RequestFactory

from indexer.models import Repository
from indexer.views import errors, health
from tests.views.dom import dangers, text_of

INSIDE = (
    "Traceback",
    "settings",
    "SECRET",
    "urlpatterns",
    "URLconf",
    "site-packages",
    "/work",
    "Django",
    "Exception",
    "sqlite",
)


def check(html: str) -> None:
    assert "<header" in html
    assert dangers(html) == []
    assert settings.SECRET_KEY not in html
    for word in INSIDE:
        assert word not in html, word


def test_C8_debug_is_off_unless_asked_for() -> None:
    assert settings.DEBUG is False


@pytest.mark.parametrize(
    "address",
    [
        "/nope",
        "/models/acme/churn/-/nothing",
        "/models/acme/churn/-/churn@v99.0.0",
        "/models/no/such/-/churn",
        "/history/acme/churn/-/nothing",
        "/repositories/no/such/",
        "/models/acme/churn/-/churn?version=nine",
        "/%00",
        "/models/acme/churn/-/a%00b",
    ],
)
def test_C8_a_404_looks_like_the_rest(
    bob: Client, acme: Repository, address: str
) -> None:
    response = bob.get(address)
    assert response.status_code == 404
    check(response.content.decode())


def test_C8_a_403_says_why(bob: Client, acme: Repository) -> None:
    response = bob.get("/repositories/add")
    assert response.status_code == 403
    check(response.content.decode())
    assert "Only an admin" in text_of(response.content.decode())


def test_C8_a_500_needs_no_database_and_tells_nothing(
    rf: RequestFactory, django_assert_num_queries: object
) -> None:
    """No `db` fixture: a query would raise."""
    response = errors.server_error(rf.get("/"))
    assert response.status_code == 500
    check(response.content.decode())


def test_C8_a_view_that_breaks_shows_the_500(
    bob: Client, acme: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("canary-3141")

    monkeypatch.setattr("indexer.views.dashboard.catalog_page", broken)
    bob.raise_request_exception = False
    response = bob.get("/")
    assert response.status_code == 500
    check(response.content.decode())
    assert b"canary" not in response.content


def test_C8_healthz_says_one_word(charlie: Client, db: None, closed: None) -> None:
    response = charlie.get("/healthz")
    assert (response.status_code, response.content) == (200, b"ok\n")


def test_C8_healthz_says_when_the_database_is_gone(
    rf: RequestFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone:
        def cursor(self) -> None:
            raise DatabaseError("password=canary-3141")

    monkeypatch.setattr(health, "connection", Gone())
    response = health.healthz(rf.get("/healthz"))
    assert (response.status_code, response.content) == (503, b"database\n")
