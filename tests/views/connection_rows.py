"""Connections and their repositories as rows: what a look at a provider leaves."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from indexer.crypto import encrypt
from indexer.models import Connection, Repository
from tests.views.addresses import CONNECTION

HTMX = {"HX-Request": "true"}
PAGE = f"/connections/{CONNECTION}/"
TOKEN = "canary-token-2718"


def make_connection(**fields: Any) -> Connection:
    """A connection that was looked at; its server is nobody's."""
    values: dict[str, Any] = {
        "uuid": CONNECTION,
        "kind": "github",
        "web_url": "http://127.0.0.1:9",
        "api_url": "http://127.0.0.1:9/api/v3",
        "server": "127.0.0.1:9",
        "owner": "acme",
        "owner_kind": "org",
        "owner_id": "7",
        "secret": encrypt(TOKEN),
        "state": Connection.State.OK,
        "added_at": timezone.now(),
        "polled_at": timezone.now(),
    }
    return Connection.objects.create(**values | fields)


def add_repository(connection: Connection, name: str, **fields: Any) -> Repository:
    values: dict[str, Any] = {
        "provider": "github",
        "url": f"https://github.com/{name}",
        "server": connection.server,
        "provider_id": name,
        "connection": connection,
        "added_at": timezone.now(),
    }
    return Repository.objects.create(name=name, **values | fields)
