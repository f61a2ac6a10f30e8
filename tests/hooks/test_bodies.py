"""What is taken of what a webhook sends, and what is refused."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from urllib.parse import quote_from_bytes
from uuid import uuid4

import pytest
from django.test import Client

from indexer.models import Delivery, Hook, Repository
from indexer.views import hooks as door
from tests.hooks.deliveries import (
    EXAMPLES,
    crawls_of,
    deliver,
    deliver_gitlab,
    example,
    make_connection,
    make_hook,
    signature,
)

pytestmark = pytest.mark.django_db


class Untouched(BytesIO):
    """A body that nobody may read."""

    def read(self, *_: object) -> bytes:
        raise AssertionError("the body was read")


def test_W6_what_is_too_large_is_refused_by_its_header(
    client: Client, hook: Hook
) -> None:
    for length, status in (
        (str(door.MAX_BYTES + 1), 413),
        ("9" * 5000, 413),
        ("", 411),
        ("-1", 400),
        ("1e3", 400),
    ):
        response = client.generic(
            "POST",
            f"/hooks/github/{hook.uuid}",
            b"{}",
            content_type="application/json",
            CONTENT_LENGTH=length,
            **{"wsgi.input": Untouched()},  # type: ignore[arg-type]
        )
        assert response.status_code == status, length


def test_W6_a_stranger_has_no_body_read(client: Client, hook: Hook) -> None:
    """An address nobody has is refused before anything is held in memory."""
    response = client.generic(
        "POST",
        f"/hooks/github/{uuid4()}",
        b"{}",
        content_type="application/json",
        **{"wsgi.input": Untouched()},  # type: ignore[arg-type]
    )
    assert response.status_code == 401


def test_a_large_delivery_is_taken_beyond_the_limit_of_forms(
    client: Client, hook: Hook, churn: Repository
) -> None:
    payload = example("push.1") | {"commits": ["x" * 3_000_000]}
    assert deliver(client, hook, "push", payload).status_code == 202
    assert deliver(client, hook, "push", payload, as_form=True).status_code == 202
    assert crawls_of(churn) == 2


def test_a_body_that_ends_early_is_refused(client: Client, hook: Hook) -> None:
    response = client.generic(
        "POST",
        f"/hooks/github/{hook.uuid}",
        b"{}",
        content_type="application/json",
        headers={"X-Hub-Signature-256": signature(b"{}")},
        CONTENT_LENGTH="900",
        **{"wsgi.input": BytesIO(b"{}")},  # type: ignore[arg-type]
    )
    assert response.status_code == 400
    assert b"ended early" in response.content


@pytest.mark.parametrize(
    "body",
    [
        b" ",
        b"{",
        b"[]",
        b"3",
        b"null",
        b'"text"',
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        b"<html></html>",
        b"[" * 200_000,
        b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
        b'{"repository": {"id": ' + b"9" * 5000 + b"}}",
    ],
    ids=lambda body: repr(body[:12]),
)
@pytest.mark.parametrize("as_form", [False, True])
def test_W7_what_is_no_json_object_is_refused_and_breaks_nothing(
    client: Client, hook: Hook, body: bytes, as_form: bool
) -> None:
    if as_form:
        body = b"payload=" + quote_from_bytes(body).encode()
    content_type = "application/x-www-form-urlencoded" if as_form else None
    response = client.post(
        f"/hooks/github/{hook.uuid}",
        body,
        content_type=content_type or "application/json",
        headers={"X-Hub-Signature-256": signature(body), "X-GitHub-Event": "push"},
    )
    assert response.status_code == 400


@pytest.mark.parametrize(
    "body",
    [b" ", b"x=1", b"payload", b"payload={}&payload={}", b"&" * 100, b"payload=%ff"],
)
def test_W7_a_form_has_one_payload(client: Client, hook: Hook, body: bytes) -> None:
    response = client.post(
        f"/hooks/github/{hook.uuid}",
        body,
        content_type="application/x-www-form-urlencoded",
        headers={"X-Hub-Signature-256": signature(body)},
    )
    assert response.status_code == 400


def test_W7_another_content_type_is_refused(client: Client, hook: Hook) -> None:
    for content_type in ("text/plain", "", "multipart/form-data; boundary=x"):
        response = client.post(
            f"/hooks/github/{hook.uuid}",
            b"{}",
            content_type=content_type,
            headers={"X-Hub-Signature-256": signature(b"{}")},
        )
        assert response.status_code == 415, content_type


def test_W7_every_example_of_github_is_taken(client: Client, hook: Hook) -> None:
    names = sorted(path.stem for path in EXAMPLES.glob("*.json"))
    assert len(names) > 20
    for name in names:
        for as_form in (False, True):
            response = deliver(
                client, hook, name.split(".")[0], example(name), as_form=as_form
            )
            assert response.status_code == 202, name
    assert Delivery.objects.count() == 2 * len(names)


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"repository": None},
        {"repository": []},
        {"repository": {"id": True}},
        {"repository": {"id": "186853002"}},
        {"repository": {"id": 1.5}},
        {"repository": {"id": -1}},
        {"repository": {"id": 10**400}},
        {"repository": {"id": 186853002}, "ref": ["x"]},
        {"action": "\ud800" * 9},
        {"action": "x" * 100_000},
        {"action": "a\nb"},
    ],
)
@pytest.mark.parametrize(
    "event", ["push", "create", "repository", "installation", "meta", "organization"]
)
def test_W7_odd_payloads_and_events_break_nothing(
    client: Client, hook: Hook, event: str, payload: dict[str, Any]
) -> None:
    response = deliver(client, hook, event, payload)
    assert response.status_code in {202, 400}
    gitlab = make_connection("gitlab")
    response = deliver_gitlab(client, make_hook(gitlab), "Push Hook", payload | {
        "object_kind": event, "project_id": payload.get("repository"),
    })  # fmt: skip
    assert response.status_code in {202, 400}


def test_W7_an_event_with_a_strange_name_is_ignored(client: Client, hook: Hook) -> None:
    for name in ("", "no_such_event", "x" * 5000, "é", "<script>"):
        response = deliver(client, hook, name, {"zen": "Keep it simple."})
        assert response.status_code == 202, name
        assert b"nothing to do" in response.content
    hook.refresh_from_db()
    assert hook.last_event == "unknown event"
