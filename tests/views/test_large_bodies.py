"""A body over the limit is a 413 in the shape of where it was sent, and no 500."""

from __future__ import annotations

import json

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from indexer.accounts import keep_role
from indexer.api_tokens import make_token
from indexer.models import ApiToken, Repository, Role
from indexer.views.hooks import MAX_BYTES
from tests.api.acting import VERBS
from tests.views.dom import text_of

LARGE = "x" * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
FORM = "application/x-www-form-urlencoded"
PAGES = (
    "/login",
    "/admin/login/",
    "/logout",
    "/account",
    "/account/password",
    "/account/tokens",
    "/account/providers/add",
    "/repositories/add",
    "/repositories/acme/churn/-/edit",
    "/connections/add/github",
    "/act/assign/acme/churn/-/churn",
    "/act/add/acme/churn",
    "/admin/auth/user/add/",
)


@pytest.mark.parametrize("address", PAGES)
@pytest.mark.parametrize("checks", [False, True], ids=["", "csrf"])
def test_a_form_that_is_too_large_says_so(
    alice: Client, acme: Repository, address: str, checks: bool
) -> None:
    """With checks of the CSRF token it is Django's middleware that reads the form."""
    client = Client(enforce_csrf_checks=checks)
    client.cookies = alice.cookies
    client.cookies[settings.CSRF_COOKIE_NAME] = "x" * 32
    response = client.post(address, f"name={LARGE}", content_type=FORM)
    assert response.status_code == 413
    assert "at most 2.5 MB" in text_of(response.content.decode())


@pytest.mark.parametrize(
    "address", ["/", "/login?next=/", "/activity", "/healthz", "/nope"]
)
def test_what_reads_no_body_answers_as_without(
    charlie: Client, acme: Repository, address: str
) -> None:
    without = charlie.get(address).status_code
    assert charlie.generic("GET", address, LARGE, FORM).status_code == without


@pytest.fixture
def token(db: None) -> str:
    user = User.objects.create_user("eddy")
    keep_role(user, Role.EDITOR)
    return make_token(user, "CI", ApiToken.Scope.ACT, None)[1]


@pytest.mark.parametrize("kind", ["application/json", FORM, "text/plain", ""])
def test_the_api_answers_a_problem(
    alice: Client, acme: Repository, token: str, kind: str
) -> None:
    body = json.dumps({"repository": LARGE})
    for verb in VERBS:
        for client, headers in (
            (Client(), {"Authorization": f"Bearer {token}"}),
            (alice, {}),
        ):
            response = client.post(f"/api/v1/{verb}", body, kind, headers=headers)
            assert response.status_code == 413, verb
            assert response["Content-Type"] == "application/problem+json"
            told = json.loads(response.content)
            assert told["type"] == "urn:muster:problem:too-large"
            assert "2.5 MB" in told["detail"]


def test_the_door_for_webhooks_has_a_limit_of_its_own() -> None:
    """tests/hooks/test_bodies.py tries it."""
    assert MAX_BYTES > 5 * settings.DATA_UPLOAD_MAX_MEMORY_SIZE
