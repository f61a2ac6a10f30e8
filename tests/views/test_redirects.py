"""X6: signing in leads nowhere but here."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from django.test import Client

EVIL = [
    "//evil.example",
    "https://evil.example/",
    "https:evil.example",
    "\\\\evil.example",
    "/\\evil.example",
    "/%09/evil.example",
    "/\t/evil.example",
    "javascript:alert(1)",
    "http:///evil.example",
    " //evil.example",
    "////evil.example",
]


@pytest.mark.parametrize("target", EVIL)
def test_X6_signing_in_never_leaves_the_site(
    charlie: Client, bob_has_a_password: str, target: str
) -> None:
    response = charlie.post(
        "/login", {"username": "bob", "password": bob_has_a_password, "next": target}
    )
    assert response.status_code == 302
    where = urlsplit(response["Location"].replace("\t", "").replace("\\", "/"))
    assert (where.scheme, where.netloc) == ("", "")


@pytest.mark.parametrize("target", EVIL)
def test_X6_a_fragment_is_led_nowhere_else(
    charlie: Client, db: None, closed: None, target: str
) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": target}
    where = urlsplit(charlie.get("/", headers=headers)["HX-Redirect"])
    assert (where.scheme, where.netloc, where.path) == ("", "", "/login")
    assert "evil" not in where.query


@pytest.mark.parametrize("target", EVIL)
def test_X6_no_referer_and_no_parameter_redirects(
    alice: Client, acme: object, target: str
) -> None:
    response = alice.post(
        "/repositories/acme/churn/-/crawl",
        {"next": target},
        headers={"Referer": target},
    )
    assert response["Location"] == "/repositories/acme/churn/"


def test_signing_in_leads_back(charlie: Client, bob_has_a_password: str) -> None:
    response = charlie.post(
        "/login",
        {"username": "bob", "password": bob_has_a_password, "next": "/?stage=prod"},
    )
    assert response["Location"] == "/?stage=prod"


def test_a_wrong_password_names_neither_part(
    charlie: Client, bob_has_a_password: str
) -> None:
    pages = [
        charlie.post("/login", {"username": name, "password": "wrong"}).content.decode()
        for name in ("bob", "nobody")
    ]
    assert "The name or the password is wrong" in pages[0]
    assert "The name or the password is wrong" in pages[1]
