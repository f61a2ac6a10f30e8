"""C3, C6, C7 and section 3 of the threats: what every answer carries."""

from __future__ import annotations

import pytest
from django.http import HttpResponseBase
from django.test import Client

from indexer.models import Repository
from tests.views.addresses import OUR_ADDRESSES

ADDRESSES = [
    *OUR_ADDRESSES,
    "/no-such-page",
    "/models/acme/churn/-/nothing",
    "/?format=csv",
    "/?format=json",
    "/activity?format=csv",
    "/api/v1/models",
    "/api/v1/openapi.json",
    "/api/v1/docs",
    "/admin/login/",
    "/static/app.css",
    "/static/theme.js",
]


def check(response: HttpResponseBase) -> None:
    for close in getattr(response, "_resource_closers", []):
        close()  # the file; response.close() would end the test's connection
    policy = {
        part.split()[0]: part.split()[1:]
        for part in response["Content-Security-Policy"].split(";")
        if part.strip()
    }
    assert policy["default-src"] == ["'none'"]
    for name in ("script-src", "style-src", "connect-src", "form-action", "font-src"):
        assert policy[name] == ["'self'"], name
    assert policy["img-src"] == ["'self'", "data:"]
    for name in ("frame-ancestors", "base-uri", "object-src"):
        assert policy[name] == ["'none'"], name
    assert response["X-Frame-Options"] == "DENY"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"
    assert response["Cross-Origin-Resource-Policy"] == "same-origin"
    assert response["Permissions-Policy"].startswith("camera=(), microphone=()")
    assert "Server" not in response
    assert "X-Powered-By" not in response
    assert "Access-Control-Allow-Origin" not in response


@pytest.mark.parametrize("address", ADDRESSES)
def test_C3_every_answer_carries_the_headers(
    alice: Client, charlie: Client, acme: Repository, address: str
) -> None:
    for person in (alice, charlie):
        check(person.get(address))
        check(person.post(address))
        check(person.get(address, headers={"HX-Request": "true"}))


@pytest.mark.parametrize(
    "address", [address for address in ADDRESSES if not address.startswith("/static/")]
)
def test_C7_no_answer_is_kept_or_mixed_up(
    bob: Client, acme: Repository, address: str
) -> None:
    response = bob.get(address)
    assert "no-store" in response["Cache-Control"]
    assert {"HX-Request", "Cookie"} <= {
        name.strip() for name in response["Vary"].split(",")
    }


def test_C7_htmx_keeps_no_page_in_the_browser(bob: Client, acme: Repository) -> None:
    assert '"historyCacheSize":0' in bob.get("/").content.decode()


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "x:80@y"])
def test_C6_a_foreign_host_is_refused(charlie: Client, db: None, host: str) -> None:
    response = charlie.get("/login", headers={"Host": host})
    assert response.status_code == 400
    assert host.encode() not in response.content


def test_C6_a_forwarded_host_is_not_believed(charlie: Client, acme: Repository) -> None:
    response = charlie.get("/", headers={"X-Forwarded-Host": "evil.example"})
    assert response.status_code == 200
    assert b"evil.example" not in response.content
