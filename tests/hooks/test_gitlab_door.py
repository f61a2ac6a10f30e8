"""W2: GitLab's two ways to say that a delivery is its own."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from django.test import Client

from indexer.models import Connection, Hook
from tests.hooks.deliveries import (
    SECRET,
    SIGNING_SECRET,
    crawls_of,
    deliver_gitlab,
    gitlab_push,
    make_connected,
    make_hook,
    signed,
)

pytestmark = pytest.mark.django_db


def test_W2_a_token_in_plain_is_compared_and_lets_in(
    client: Client, gitlab: Connection
) -> None:
    repository = make_connected(gitlab, "15", default_branch="main")
    hook = make_hook(gitlab)
    for token in ("", "x", SECRET[:-1], SECRET + " ", "é", f"{SECRET},{SECRET}"):
        headers = {"X-Gitlab-Token": token}
        response = deliver_gitlab(
            client, hook, "Push Hook", gitlab_push(), headers=headers
        )
        assert response.status_code == 401, token
    missing: dict[str, Any] = {"X-Gitlab-Token": None}
    refused = deliver_gitlab(client, hook, "Push Hook", gitlab_push(), headers=missing)
    assert refused.status_code == 401
    assert crawls_of(repository) == 0
    right = deliver_gitlab(client, hook, "Push Hook", gitlab_push())
    assert right.status_code == 202
    assert crawls_of(repository) == 1


@pytest.mark.parametrize("secret", [SECRET, SIGNING_SECRET])
def test_W2_a_signature_lets_in(
    client: Client, gitlab: Connection, secret: str
) -> None:
    repository = make_connected(gitlab, "15", default_branch="main")
    hook = make_hook(gitlab, secret=secret)
    response = deliver_gitlab(
        client, hook, "Push Hook", gitlab_push(), secret=secret, is_signed=True
    )
    assert response.status_code == 202
    assert crawls_of(repository) == 1


def test_W2_one_of_several_signatures_is_enough(
    client: Client, gitlab_hook: Hook
) -> None:
    body, now = json.dumps(gitlab_push()).encode(), str(int(time.time()))
    right = signed(SIGNING_SECRET, "one", now, body)
    wrong = signed("whsec_AAAA", "one", now, body)
    for value, status in (
        (f"{wrong} {right}", 202),
        (f"v1a,abc {right}", 202),
        (wrong, 401),
        (right.replace("v1,", "v2,"), 401),
        (right.removeprefix("v1,"), 401),
        (f"{right},{wrong}", 401),
        (" ".join([wrong] * 20 + [right]), 401),
        ("", 401),
        ("é", 401),
    ):
        headers = {
            "webhook-id": "one",
            "webhook-timestamp": now,
            "webhook-signature": value,
        }
        response = deliver_gitlab(
            client, gitlab_hook, "Push Hook", body, headers=headers, secret="no"
        )
        assert response.status_code == status, value


@pytest.mark.parametrize(
    ("seconds", "status"), [(0, 202), (-280, 202), (280, 202), (-320, 401), (320, 401)]
)
def test_W2_an_old_delivery_cannot_be_played_again(
    client: Client, gitlab_hook: Hook, seconds: int, status: int
) -> None:
    response = deliver_gitlab(
        client,
        gitlab_hook,
        "Push Hook",
        gitlab_push(),
        secret=SIGNING_SECRET,
        is_signed=True,
        at=time.time() + seconds,
    )
    assert response.status_code == status


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("webhook-timestamp", "now"),
        ("webhook-timestamp", "-5"),
        ("webhook-timestamp", "9" * 5000),
        ("webhook-timestamp", "٣"),
        ("webhook-timestamp", None),
        ("webhook-id", None),
        ("webhook-id", "another"),
        ("webhook-id", "a b"),
    ],
)
def test_W2_all_that_is_signed_counts(
    client: Client, gitlab_hook: Hook, header: str, value: str | None
) -> None:
    headers: dict[str, Any] = {header: value and value.encode().decode("latin-1")}
    response = deliver_gitlab(
        client,
        gitlab_hook,
        "Push Hook",
        gitlab_push(),
        secret=SIGNING_SECRET,
        is_signed=True,
        headers=headers,
    )
    assert response.status_code == 401


def test_W2_a_wrong_signature_is_not_made_good_by_a_right_token(
    client: Client, gitlab_hook: Hook
) -> None:
    response = deliver_gitlab(
        client,
        gitlab_hook,
        "Push Hook",
        gitlab_push(),
        secret=SIGNING_SECRET,
        is_signed=True,
        at=time.time() - 4000,
        headers={"X-Gitlab-Token": SIGNING_SECRET},
    )
    assert response.status_code == 401
