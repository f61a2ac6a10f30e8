"""No text that a database cannot hold gets behind the door: at every address, in every
place where a request has text. What is only odd is answered like the rest."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.urls import get_resolver

from indexer.api.v1 import api
from indexer.limits import holds, texts_in
from indexer.models import Repository
from tests.views.addresses import HOOKS, OUR_ADDRESSES
from tests.views.dom import text_of

ADMIN = (
    "/admin/", "/admin/login/", "/admin/auth/user/", "/admin/auth/user/add/",
    "/admin/indexer/actionlog/", "/admin/indexer/repository/",
)  # fmt: skip
API = sorted(
    {
        "/api/v1" + re.sub(r"\{[^}]*\}", "churn", path.removeprefix("/api/v1"))
        for path in api.get_openapi_schema()["paths"]
    }
)
ADDRESSES = [*OUR_ADDRESSES, *ADMIN, *API]
FIELDS = sorted(
    {
        name
        for file in (Path(settings.BASE_DIR) / "templates").rglob("*.html")
        for name in re.findall(r'name="([a-z_]+)"', file.read_text())
    }
)
ODD = ("\x01\x1b", "\u202e", "\ufffe\uffff", "\U0010ffff", "é" * 3000, "%00", "{{7*7}}")


@pytest.fixture(autouse=True)
def canary(db: None) -> Iterator[None]:
    """Fails where any such text is on its way into the database."""

    def look(
        execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        assert all(map(holds, texts_in([sql, params]))), (sql, params)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(look):
        yield


def refused(client: Client, method: str, address: str, **what: Any) -> str:
    answer = client.generic(method, address, **what)
    about = (method, address, what, answer.status_code)
    assert answer.status_code == 400, about
    if address.startswith("/api/"):
        assert answer["Content-Type"] == "application/problem+json", about
        told: str = json.loads(answer.content)["detail"]
    else:
        told = text_of(answer.content.decode())
    assert "holds a character that is none" in told, about
    return told


@pytest.mark.parametrize("address", ADDRESSES)
def test_T7_text_that_is_none_gets_nowhere(
    alice: Client, acme: Repository, address: str
) -> None:
    assert "find holds" in refused(alice, "GET", f"{address}?find=a%00b")
    refused(alice, "GET", f"{address}?a%00b=1")
    refused(alice, "GET", address, headers={"X-Any": "a\0b"})
    form = "application/x-www-form-urlencoded"
    if address.startswith("/api/"):
        bodies = ('{"a": "b\\u0000"}', '{"\\u0000": 1}', '[["\\ud800"]]', '"\\uDfFf"')
        for body in bodies:
            refused(alice, "POST", address, data=body, content_type="application/json")
    else:
        for body in ("seen=a%00b", "a%00b=1"):
            refused(alice, "POST", address, data=body, content_type=form)
    if not address.endswith("/"):
        assert alice.get(f"{address}%00").status_code == 404
    # The session itself: a cookie in quotes may hold anything.
    stranger = Client(
        headers={"Cookie": f'{settings.SESSION_COOKIE_NAME}="a\\000bcdefgh"'}
    )
    refused(stranger, "GET", address)


@pytest.mark.parametrize("address", sorted({*OUR_ADDRESSES, *API}))
def test_T7_text_that_is_odd_is_answered(
    alice: Client, acme: Repository, address: str
) -> None:
    """Each field that any page has, with each odd text."""
    if address.startswith("/act/") or address == "/logout":
        return  # asks a remote
    for odd in ODD:
        query = "&".join(f"{name}={quote(odd)}" for name in FIELDS)
        assert alice.get(f"{address}?{query}").status_code < 500, (address, odd)
    query = "&".join(f"{name}=%FF%ED%A0%80" for name in FIELDS)  # no UTF-8
    assert alice.get(f"{address}?{query}").status_code < 500, address


def test_every_address_is_tried() -> None:
    assert get_resolver().url_patterns
    assert len(API) > 15
    assert {"q", "find", "seen", "key", "version"} <= set(FIELDS)
    assert HOOKS.isdisjoint(ADDRESSES)  # tests/hooks/test_bodies.py
