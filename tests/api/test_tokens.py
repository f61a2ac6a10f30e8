"""API tokens before the API: who they let in, and what they may do (threats C1, C11,
K1, K3)."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any, cast

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.http import HttpRequest
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import include, path
from django.utils import timezone
from ninja import NinjaAPI

from indexer.api.authentication import SessionAuth, TokenAuth
from indexer.api.problems import add_problem_handlers
from indexer.api_tokens import USE_NOTED_EVERY, make_token, revoke
from indexer.models import ApiToken

READ, ACT = ApiToken.Scope.READ, ApiToken.Scope.ACT
UNSAFE = ("post", "put", "patch", "delete")

# An API that writes, with the very doors of ours.
writing = NinjaAPI(
    urls_namespace="writing", auth=[TokenAuth(), SessionAuth()], docs_url=None
)
add_problem_handlers(writing)


@writing.api_operation(["GET", "POST", "PUT", "PATCH", "DELETE"], "/thing")
def thing(request: HttpRequest) -> dict[str, str]:
    return {"by": cast(User, request.user).get_username()}


urlpatterns = [
    path("writing/", writing.urls),
    path("", include("registry_site.urls")),  # a page of error has links
]


@pytest.fixture
def bob(db: None) -> User:
    return User.objects.create_user("bob", password=None)


@pytest.fixture
def closed(settings: Any) -> None:
    settings.MUSTER_PUBLIC_READ = False


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def refused(answer: Any, status: int, kind: str) -> None:
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    body = json.loads(answer.content)
    assert body["type"] == f"urn:muster:problem:{kind}"
    assert body["detail"].endswith(".")


@pytest.mark.usefixtures("registry")
class TestC11WhoIsLetIn:
    @pytest.mark.parametrize("scope", [READ, ACT])
    def test_C11_a_token_reads_as_its_person(
        self, client: Client, bob: User, closed: None, scope: ApiToken.Scope
    ) -> None:
        _, text = make_token(bob, "CI", scope, timezone.now() + timedelta(days=1))

        assert client.get("/api/v1/models").status_code == 401
        answer = client.get("/api/v1/models", headers=bearer(text))

        assert answer.status_code == 200
        assert json.loads(answer.content)["total"] == 3

    @pytest.mark.parametrize("open_reading", [True, False])
    @pytest.mark.parametrize(
        "end",
        [
            lambda token: revoke(ApiToken.objects.all()),
            lambda token: ApiToken.objects.update(expires_at=timezone.now()),
            lambda token: User.objects.update(is_active=False),
            lambda token: token.user.delete(),
        ],
        ids=["revoked", "expired", "switched off", "gone"],
    )
    def test_C11_a_token_that_ended_is_refused_though_anybody_may_read(
        self,
        client: Client,
        bob: User,
        settings: Any,
        open_reading: bool,
        end: Callable[[ApiToken], object],
    ) -> None:
        """Z8: with its person go the tokens."""
        settings.MUSTER_PUBLIC_READ = open_reading
        token, text = make_token(bob, "CI", READ, None)
        client.force_login(User.objects.create_user("carol"))
        assert client.get("/api/v1/models", headers=bearer(text)).status_code == 200
        end(token)

        answer = client.get("/api/v1/models", headers=bearer(text))

        refused(answer, 401, "bad-token")
        assert answer["WWW-Authenticate"].startswith("Bearer ")
        assert 'error="invalid_token"' in answer["WWW-Authenticate"]
        assert ApiToken.objects.exists() == bool(User.objects.filter(username="bob"))

    @pytest.mark.parametrize(
        "header",
        [
            "",
            "Bearer",
            "Bearer ",
            "Bearer muster_nothing",
            "Token muster_x",
            "Bearer é",
        ],
    )
    def test_C11_a_header_that_names_nobody_is_never_read_past(
        self, client: Client, settings: Any, header: str
    ) -> None:
        settings.MUSTER_PUBLIC_READ = True
        client.force_login(User.objects.create_user("carol"))
        answer = client.get("/api/v1/models", headers={"Authorization": header})
        refused(answer, 401, "bad-token")

    def test_C11_the_digest_or_the_prefix_of_a_token_is_no_token(
        self, client: Client, bob: User, closed: None
    ) -> None:
        token, text = make_token(bob, "CI", READ, None)
        for guess in (token.digest, token.prefix, text[:-1], text + "x", text.upper()):
            answer = client.get("/api/v1/models", headers=bearer(guess))
            refused(answer, 401, "bad-token")

    def test_a_password_that_a_proxy_in_front_asked_for_is_not_ours(
        self, client: Client, settings: Any
    ) -> None:
        settings.MUSTER_PUBLIC_READ = True
        answer = client.get("/api/v1/models", headers={"Authorization": "Basic eDp5"})
        assert answer.status_code == 200

    def test_a_stranger_is_told_how_to_say_who_asks(
        self, client: Client, closed: None
    ) -> None:
        answer = client.get("/api/v1/models")
        refused(answer, 401, "sign-in-needed")
        assert answer["WWW-Authenticate"] == 'Bearer realm="Muster"'

    def test_C11_its_last_use_is_noted_once_a_minute(
        self, client: Client, bob: User, closed: None
    ) -> None:
        token, text = make_token(bob, "CI", READ, None)

        def asked() -> int:
            with CaptureQueriesContext(connection) as queries:
                client.get("/api/v1/resolve?ref=", headers=bearer(text))
            return len([one for one in queries if one["sql"].startswith("UPDATE")])

        assert (asked(), asked()) == (1, 0)
        token.refresh_from_db()
        assert token.last_used_at is not None
        ApiToken.objects.update(last_used_at=token.last_used_at - USE_NOTED_EVERY)
        assert (asked(), asked()) == (1, 0)

    def test_C11_a_token_is_found_by_one_query(
        self, client: Client, bob: User, closed: None
    ) -> None:
        client.force_login(bob)
        _, text = make_token(bob, "CI", READ, None)
        client.get("/api/v1/repositories", headers=bearer(text))
        with CaptureQueriesContext(connection) as queries:
            client.get("/api/v1/repositories", headers=bearer(text))
        tables = [query["sql"].split(" FROM ")[1].split()[0] for query in queries]
        assert tables[0] == '"indexer_apitoken"'
        assert '"django_session"' not in tables
        assert len([name for name in tables if "user" in name or "token" in name]) == 1


class TestC1WritingThroughTheSameDoors:
    @pytest.fixture(autouse=True)
    def machinery(self, db: None, settings: Any) -> None:
        settings.ROOT_URLCONF = __name__
        settings.MUSTER_PUBLIC_READ = True

    @pytest.mark.parametrize("method", UNSAFE)
    def test_C1_a_token_needs_no_csrf_token_and_looks_at_no_cookie(
        self, bob: User, method: str
    ) -> None:
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(User.objects.create_superuser("alice"))
        _, text = make_token(bob, "CI", ACT, None)

        answer = getattr(strict, method)("/writing/thing", headers=bearer(text))

        assert answer.status_code == 200
        assert json.loads(answer.content) == {"by": "bob"}

    @pytest.mark.parametrize("method", UNSAFE)
    def test_C11_a_token_to_read_never_writes_whoever_it_is_of(
        self, method: str
    ) -> None:
        strict = Client()
        alice = User.objects.create_superuser("alice")
        strict.force_login(alice)
        _, text = make_token(alice, "CI", READ, None)

        assert strict.get("/writing/thing", headers=bearer(text)).status_code == 200
        answer = getattr(strict, method)("/writing/thing", headers=bearer(text))

        refused(answer, 403, "scope-too-small")
        assert 'error="insufficient_scope"' in answer["WWW-Authenticate"]

    @pytest.mark.parametrize("method", UNSAFE)
    def test_C1_a_session_writes_only_with_its_csrf_token(
        self, bob: User, method: str
    ) -> None:
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(bob)
        assert strict.get("/writing/thing").status_code == 200
        refused(getattr(strict, method)("/writing/thing"), 403, "csrf-token-needed")

    @pytest.mark.parametrize("method", UNSAFE)
    def test_C1_a_bad_token_does_not_write_as_the_session(
        self, bob: User, method: str
    ) -> None:
        client = Client()
        client.force_login(bob)
        answer = getattr(client, method)("/writing/thing", headers=bearer("muster_x"))
        refused(answer, 401, "bad-token")


def test_K1_K3_neither_the_database_nor_a_log_holds_a_token(
    client: Client,
    bob: User,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """K1, K3: also where it is refused, and where the answer fails."""
    settings.DEBUG = True
    settings.MUSTER_PUBLIC_READ = False
    token, text = make_token(bob, "CI", READ, None)
    secret = text.removeprefix(token.prefix)

    with caplog.at_level(logging.DEBUG), CaptureQueriesContext(connection) as queries:
        answers = [
            client.get("/api/v1/models", headers=bearer(text)),
            client.get("/api/v1/nothing", headers=bearer(text)),
            client.post("/api/v1/models", headers=bearer(text)),
            client.get("/models/none/-/none", headers=bearer(text)),
            client.get("/api/v1/models", headers={"Authorization": f"Token {text}"}),
        ]
        monkeypatch.setattr("indexer.api.v1.catalog_page", lambda *_: 1 / 0)
        answers.append(client.get("/api/v1/models", headers=bearer(text)))
        revoke(ApiToken.objects.all())
        answers.append(client.get("/api/v1/models", headers=bearer(text)))
    dump = StringIO()
    call_command("dumpdata", stdout=dump)

    assert [one.status_code for one in answers] == [200, 404, 405, 302, 401, 500, 401]
    assert token.digest in dump.getvalue()
    assert secret not in dump.getvalue()
    assert "ZeroDivisionError" in caplog.text
    assert secret not in caplog.text
    assert secret not in "".join(query["sql"] for query in queries)
    for answer in answers:
        assert secret.encode() not in answer.content
    assert secret not in repr(token) + str(token) + str(vars(token))


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    "address",
    [
        "models",
        "models/acme/churn/-/churn@v1.0.0",
        "models/no/such/-/x",
        "openapi.json",
    ],
)
def test_head_answers_as_get_without_the_body(
    client: Client, settings: Any, address: str
) -> None:
    settings.MUSTER_PUBLIC_READ = True
    got = client.get(f"/api/v1/{address}")
    head = client.head(f"/api/v1/{address}")

    assert head.content == b""
    assert head.status_code == got.status_code
    assert head["Content-Type"] == got["Content-Type"]
    assert head["Content-Length"] == str(len(got.content))


def test_the_description_names_both_ways_in(db: None, client: Client) -> None:
    described = json.loads(client.get("/api/v1/openapi.json").content)
    schemes = described["components"]["securitySchemes"]
    assert (schemes["TokenAuth"]["type"], schemes["TokenAuth"]["scheme"]) == (
        "http",
        "bearer",
    )
    assert schemes["SessionAuth"]["in"] == "cookie"
    listing = described["paths"]["/api/v1/models"]["get"]
    assert listing["security"] == [{"TokenAuth": []}, {"SessionAuth": []}]
