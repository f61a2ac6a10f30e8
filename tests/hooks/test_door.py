"""The door for webhooks: who is let in."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any
from uuid import uuid4

import pytest
from cryptography.fernet import Fernet
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from indexer.models import Connection, Delivery, Hook, Repository
from tests.hooks.deliveries import (
    SECRET,
    crawls_of,
    deliver,
    deliver_gitlab,
    example,
    gitlab_push,
    looks_at,
    make_connected,
    make_connection,
    make_hook,
    signature,
)

pytestmark = pytest.mark.django_db
VECTOR = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def test_W1_the_signature_is_the_one_that_github_documents(
    client: Client, hook: Hook
) -> None:
    body = b"Hello, World!"
    assert signature(body) == VECTOR
    right = deliver(client, hook, "push", body)
    wrong = deliver(client, hook, "push", b"Hello, World?", headers={
        "X-Hub-Signature-256": VECTOR
    })  # fmt: skip
    assert right.status_code == 400  # let in, and no JSON
    assert wrong.status_code == 401


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "sha256=",
        VECTOR,
        VECTOR[:-1],
        "{right}, {right}",
        "{right},{right}",
        "{right} ",
        "{RIGHT}",
        "sha1={sha1}",
        "{bare}",
        "sha256=" + "é" * 64,
        "sha256=" + "٣" * 64,
        "sha512={bare}",
    ],
)
def test_W1_any_other_signature_is_refused(
    client: Client, hook: Hook, churn: Repository, header: str | None
) -> None:
    body = json.dumps(example("push.1")).encode()
    right = signature(body)
    headers: dict[str, Any] = {"X-Hub-Signature-256": header}
    if header is not None:
        value = header.replace("{right}", right).replace("{bare}", right[7:])
        value = value.replace("{RIGHT}", right.upper()).replace("{sha1}", "0" * 40)
        # As a web server passes bytes on.
        headers["X-Hub-Signature-256"] = value.encode().decode("latin-1")
    response = deliver(client, hook, "push", body, headers=headers)
    assert response.status_code == 401
    assert (crawls_of(churn), Delivery.objects.count()) == (0, 0)


def test_W1_sha1_alone_is_refused(client: Client, hook: Hook) -> None:
    body = json.dumps(example("push.1")).encode()
    old = "sha1=" + hmac.new(SECRET.encode(), body, hashlib.sha1).hexdigest()
    headers: dict[str, Any] = {"X-Hub-Signature": old, "X-Hub-Signature-256": None}
    assert deliver(client, hook, "push", body, headers=headers).status_code == 401


def test_W1_the_raw_body_is_signed_not_what_it_means(
    client: Client, hook: Hook, churn: Repository
) -> None:
    payload = example("push.1")
    spaced, tight = (
        json.dumps(payload, indent=4).encode(),
        json.dumps(payload, separators=(",", ":")).encode(),
    )
    headers = {"X-Hub-Signature-256": signature(tight)}
    assert deliver(client, hook, "push", spaced, headers=headers).status_code == 401
    assert deliver(client, hook, "push", spaced).status_code == 202
    assert crawls_of(churn) == 1


def test_W1_a_webhook_without_a_secret_is_off(
    client: Client, github: Connection
) -> None:
    empty = Hook.objects.create(connection=github, secret="")
    body = json.dumps(example("push.1")).encode()
    assert deliver(client, empty, "push", body, secret="").status_code == 401
    other = make_hook(make_connection(owner="other"), secret="")
    assert deliver(client, other, "push", body, secret="").status_code == 401


def test_W4_a_stranger_learns_nothing_of_which_webhooks_there_are(
    client: Client, hook: Hook, gitlab_hook: Hook
) -> None:
    answers = {
        (response.status_code, response.content, response["Content-Type"])
        for response in (
            deliver(client, uuid4(), "push", example("push.1")),
            deliver(client, hook, "push", example("push.1"), secret="another"),
            deliver(client, gitlab_hook.uuid, "push", example("push.1")),
            deliver_gitlab(client, hook.uuid, "Push Hook", gitlab_push()),
            deliver_gitlab(client, gitlab_hook, "Push Hook", gitlab_push()),
        )
    }
    assert len(answers) == 1
    assert next(iter(answers))[0] == 401


def test_W4_a_webhook_speaks_for_its_own_repository_alone(
    client: Client, github: Connection, churn: Repository
) -> None:
    other = make_connected(github, "9", "acme/other")
    own, others = make_hook(github, churn), make_hook(github, other, secret="another")
    payload = example("push.1")  # of churn
    crossed = deliver(client, others, "push", payload, secret=SECRET)
    assert crossed.status_code == 401
    response = deliver(client, others, "push", payload, secret="another")
    assert response.status_code == 202
    assert b"not of this webhook" in response.content
    assert (crawls_of(churn), crawls_of(other), looks_at(github)) == (0, 0, 0)
    deliver(client, own, "push", payload)
    assert (crawls_of(churn), crawls_of(other)) == (1, 0)


def test_W4_a_connection_speaks_for_its_own_repositories_alone(
    client: Client, github: Connection, churn: Repository
) -> None:
    """What others have connected is as unknown as what nobody has."""
    other = make_connection(owner="other")
    hook = make_hook(other)
    theirs = example("push.1")
    nobodys = example("push.1")
    nobodys["repository"]["id"] = 2**40
    for looks, listed in ((0, timezone.now()), (2, None)):
        Connection.objects.filter(pk=other.pk).update(discovered_at=listed)
        said = {
            (response.status_code, response.content)
            for payload in (theirs, nobodys)
            for response in [deliver(client, hook, "push", payload)]
        }
        assert len(said) == 1
        assert (crawls_of(churn), looks_at(github)) == (0, 0)
        assert looks_at(other) == looks


def test_the_same_number_at_another_server_is_another_repository(
    client: Client, churn: Repository
) -> None:
    ours = make_connection(server="git.acme.example", owner="ours")
    response = deliver(client, make_hook(ours), "push", example("push.1"))
    assert b"not a repository of this connection" in response.content
    assert crawls_of(churn) == 0


@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete", "options"])
def test_nothing_but_a_post_is_taken(client: Client, hook: Hook, method: str) -> None:
    response = getattr(client, method)(f"/hooks/github/{hook.uuid}")
    assert response.status_code == 405
    assert response["Allow"] == "POST"


def test_a_lost_key_is_said_in_the_log_and_may_be_mended(
    client: Client,
    hook: Hook,
    churn: Repository,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = list(settings.MUSTER_ENCRYPTION_KEYS)
    settings.MUSTER_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    response = deliver(client, hook, "push", example("push.1"))
    assert response.status_code == 503
    assert "MUSTER_ENCRYPTION_KEYS" in caplog.text
    settings.MUSTER_ENCRYPTION_KEYS = before
    assert deliver(client, hook, "push", example("push.1")).status_code == 202
    assert crawls_of(churn) == 1


def test_cookies_and_sessions_count_for_nothing(
    client: Client, hook: Hook, churn: Repository
) -> None:
    client.cookies["muster_sessionid"] = "nonsense"
    client.cookies["muster_csrftoken"] = "x" * 32
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = client.cookies
    with CaptureQueriesContext(database) as queries:
        response = deliver(strict, hook, "push", example("push.1"))
    assert response.status_code == 202
    assert "django_session" not in str(queries.captured_queries)
    assert not response.cookies
    assert "no-store" in response["Cache-Control"]
    assert response["Content-Type"] == "text/plain; charset=utf-8"


def test_it_is_reached_through_a_proxy_that_ends_tls(
    client: Client, hook: Hook, settings: Any
) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    through = {"X-Forwarded-Proto": "https"}
    response = deliver(client, hook, "push", example("push.1"), headers=through)
    assert response.status_code == 202
    plain = deliver(client, hook, "push", example("push.1"))
    assert plain.status_code == 301
    assert plain["Location"].startswith("https://")
