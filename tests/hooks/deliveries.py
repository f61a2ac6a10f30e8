"""Deliveries of webhooks for tests: rows they can be for, and requests signed as the
providers sign them."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from base64 import b64decode, b64encode
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from indexer.crypto import encrypt
from indexer.models import Connection, Hook, Repository
from tests.builders import make_repository

SECRET = "It's a Secret to Everybody"
SIGNING_SECRET = "whsec_" + b64encode(b"thirty-two bytes of a signing key").decode()
EXAMPLES = Path(__file__).parents[1] / "fixtures/github/webhooks"
HELLO_WORLD = "186853002"  # the repository of most of GitHub's examples

numbers = count(1)


def make_connection(kind: str = "github", **fields: Any) -> Connection:
    """A connected organisation, or group."""
    web_url = f"https://{kind}.com"
    api_url = "https://api.github.com" if kind == "github" else f"{web_url}/api/v4"
    values = {
        "kind": kind,
        "web_url": web_url,
        "api_url": api_url,
        "server": f"{kind}.com",
        "owner": "acme",
        "owner_kind": "org" if kind == "github" else "group",
        "owner_id": "77",
        "secret": encrypt("a token"),
        "state": Connection.State.OK,
        "added_at": timezone.now(),
        "discovered_at": timezone.now(),
    }
    return Connection.objects.create(**(values | fields))


def make_connected(
    connection: Connection,
    provider_id: str = HELLO_WORLD,
    name: str = "acme/churn",
    **fields: Any,
) -> Repository:
    """A repository of a connection."""
    fields.setdefault("default_branch", "master")
    return make_repository(
        name,
        connection=connection,
        provider=connection.kind,
        server=connection.server,
        provider_id=provider_id,
        path=name,
        **fields,
    )


def make_hook(
    connection: Connection,
    repository: Repository | None = None,
    secret: str = SECRET,
    **fields: Any,
) -> Hook:
    """A webhook that was made at the provider."""
    fields.setdefault("state", Hook.State.MADE)
    fields.setdefault("remote_id", str(next(numbers)))
    return Hook.objects.create(
        connection=connection, repository=repository, secret=encrypt(secret), **fields
    )


def example(name: str) -> dict[str, Any]:
    """One of GitHub's own examples: push.1, repository.renamed.1."""
    payload: dict[str, Any] = json.loads((EXAMPLES / f"{name}.json").read_bytes())
    return payload


def signature(body: bytes, secret: str = SECRET) -> str:
    """What GitHub puts into X-Hub-Signature-256."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def deliver(
    client: Client,
    hook: Hook | UUID,
    event: str,
    payload: Any,
    *,
    secret: str = SECRET,
    as_form: bool = False,
    headers: dict[str, str] | None = None,
) -> HttpResponse:
    """Post as GitHub does; bytes are sent as they are. Headers given win, and None
    leaves one out."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    content_type = "application/json"
    if as_form:
        body = urlencode({"payload": body.decode()}).encode()
        content_type = "application/x-www-form-urlencoded"
    sent = {
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": f"{next(numbers):08x}-0000-11ee-8000-000000000000",
        "X-Hub-Signature-256": signature(body, secret),
    }
    uuid = hook.uuid if isinstance(hook, Hook) else hook
    return _post(client, f"/hooks/github/{uuid}", body, content_type, sent, headers)


def deliver_gitlab(
    client: Client,
    hook: Hook | UUID,
    event: str,
    payload: Any,
    *,
    secret: str = SECRET,
    is_signed: bool = False,
    at: float | None = None,
    headers: dict[str, str] | None = None,
) -> HttpResponse:
    """Post as GitLab does: with the token in plain, or signed."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    delivery_id = f"{next(numbers):08x}-4000-8000"
    sent = {"X-Gitlab-Event": event, "Idempotency-Key": delivery_id}
    if is_signed:
        timestamp = str(int(time.time() if at is None else at))
        sent |= {
            "webhook-id": delivery_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": signed(secret, delivery_id, timestamp, body),
        }
    else:
        sent["X-Gitlab-Token"] = secret
    uuid = hook.uuid if isinstance(hook, Hook) else hook
    address = f"/hooks/gitlab/{uuid}"
    return _post(client, address, body, "application/json", sent, headers)


def signed(secret: str, delivery_id: str, timestamp: str, body: bytes) -> str:
    """What GitLab puts into webhook-signature."""
    key = secret.encode()
    if secret.startswith("whsec_"):
        key = b64decode(secret.removeprefix("whsec_"))
    content = f"{delivery_id}.{timestamp}.".encode() + body
    return "v1," + b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


def gitlab_push(project_id: int = 15, **changes: Any) -> dict[str, Any]:
    """A push as GitLab's documentation shows it, shortened."""
    values = {
        "object_kind": "push",
        "event_name": "push",
        "before": "95790bf891e76fee5e1747ab589903a6a1f80f22",
        "after": "da1560886d4f094c3e6c9ef40349f7d38b5d27d7",
        "ref": "refs/heads/main",
        "project_id": project_id,
        "project": {
            "id": project_id,
            "path_with_namespace": "acme/churn",
            "default_branch": "main",
        },
        "commits": [],
        "total_commits_count": 0,
    }
    return values | changes


def crawls_of(repository: Repository) -> int:
    """How many crawls were asked for."""
    repository.refresh_from_db()
    return repository.requested_seq


def looks_at(connection: Connection) -> int:
    """How many looks at the whole connection were asked for."""
    connection.refresh_from_db()
    return connection.requested_seq


def _post(
    client: Client,
    address: str,
    body: bytes,
    content_type: str,
    sent: dict[str, str],
    headers: dict[str, str] | None,
) -> HttpResponse:
    sent = {
        name: value
        for name, value in (sent | (headers or {})).items()
        if value is not None
    }
    response: HttpResponse = client.post(  # type: ignore[assignment]
        address, body, content_type=content_type, headers=sent
    )
    return response
