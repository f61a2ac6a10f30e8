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
ODD = ("\x01\x1b", "\u202e", "\ufffe\uffff", "\U0010ffff", "é" * 300, "%00", "{{7*7}}")


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


def test_T7_text_that_is_none_gets_nowhere(alice: Client, acme: Repository) -> None:
    for address in ADDRESSES:
        check_refused_at(alice, address)


def check_refused_at(client: Client, address: str) -> None:
    assert "find holds" in refused(client, "GET", f"{address}?find=a%00b")
    refused(client, "GET", f"{address}?a%00b=1")
    refused(client, "GET", address, headers={"X-Any": "a\0b"})
    kind, bodies = "application/x-www-form-urlencoded", ["seen=a%00b", "a%00b=1"]
    if address.startswith("/api/"):
        kind = "application/json"
        bodies = ['{"a": "b\\u0000"}', '{"\\u0000": 1}', '[["\\ud800"]]', '"\\uDfFf"']
    for body in bodies:
        refused(client, "POST", address, data=body, content_type=kind)
    if not address.endswith("/"):
        assert client.get(f"{address}%00").status_code == 404, address
    # The session itself: a cookie in quotes may hold anything.
    cookie = f'{settings.SESSION_COOKIE_NAME}="a\\000bcdefgh"'
    refused(Client(headers={"Cookie": cookie}), "GET", address)


def test_T7_text_that_is_odd_is_answered(alice: Client, acme: Repository) -> None:
    """In each field that any page has. (Forms of actions ask a remote.)"""
    for address in sorted({*OUR_ADDRESSES, *API} - {"/logout"}):
        if address.startswith("/act/"):
            continue
        for odd in (quote("".join(ODD)), "%FF%ED%A0%80"):  # the second is no UTF-8
            query = "&".join(f"{name}={odd}" for name in FIELDS)
            assert alice.get(f"{address}?{query}").status_code < 500, (address, odd)


def test_every_address_is_tried() -> None:
    assert get_resolver().url_patterns
    assert len(API) > 15
    assert {"q", "find", "seen", "key", "version"} <= set(FIELDS)
    assert HOOKS.isdisjoint(ADDRESSES)  # tests/hooks/test_bodies.py
