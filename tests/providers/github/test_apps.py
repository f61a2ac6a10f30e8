"""GitHub Apps over real HTTP, with real keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from indexer.budgets import Unlimited
from indexer.providers.base import Ability
from indexer.providers.errors import (
    AccessDenied,
    AddressRefused,
    BadPayload,
    NotFound,
    RateLimited,
    Unavailable,
)
from indexer.providers.github.apps import GitHubApp, rights_of
from indexer.providers.github.payloads import Access, Account, Installation
from tests.providers.github.conftest import ClientOf
from tests.providers.github_server import GitHubServer

AppOf = Callable[..., GitHubApp]


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()


def public(key: rsa.RSAPrivateKey) -> str:
    return (
        key.public_key()
        .public_bytes(
            serialization.Encoding.PEM,
            serialization.PublicFormat.SubjectPublicKeyInfo,
        )
        .decode()
    )


@pytest.fixture(scope="module")
def keys() -> tuple[rsa.RSAPrivateKey, rsa.RSAPrivateKey]:
    """The app's key, and another."""
    first, other = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    return first, other


@pytest.fixture
def app_id(
    github: GitHubServer, keys: tuple[rsa.RSAPrivateKey, rsa.RSAPrivateKey]
) -> int:
    return github.add_app("muster", public(keys[0]))


@pytest.fixture
def app_of(
    github: GitHubServer,
    app_id: int,
    keys: tuple[rsa.RSAPrivateKey, rsa.RSAPrivateKey],
) -> Iterator[AppOf]:
    made: list[GitHubApp] = []

    def make(**fields: str) -> GitHubApp:
        wanted = {"app_id": str(app_id), "private_key": pem(keys[0]), **fields}
        app = GitHubApp(
            f"{github.url}/api/v3", budget=Unlimited(), allow_private=True, **wanted
        )
        made.append(app)
        return app

    yield make
    for app in made:
        app.close()


def test_an_app_finds_where_it_is_installed_and_makes_a_token_there(
    github: GitHubServer, app_of: AppOf, app_id: int, client_of: ClientOf
) -> None:
    account = github.add_owner("acme")
    number = github.install(app_id, "acme")
    app = app_of()
    found = app.find_installation("acme")
    assert found == app.fetch_installation(str(number))
    assert (found.id, found.account) == (
        str(number),
        Account(str(account.id), "acme", is_organisation=True),
    )
    access = app.create_access(found.id)
    hour = access.expires_at - datetime.now(UTC)
    assert timedelta(minutes=55) < hour <= timedelta(hours=1)
    answer = client_of(access.token).rest("GET", "/installation/repositories")
    assert answer.data["total_count"] == 0


def test_an_app_is_found_at_a_person_s_account_too(
    github: GitHubServer, app_of: AppOf, app_id: int
) -> None:
    github.add_owner("alice", kind="user")
    number = github.install(app_id, "alice")
    assert app_of().find_installation("alice").id == str(number)


def test_an_app_that_is_not_installed_says_what_to_do(
    github: GitHubServer, app_of: AppOf
) -> None:
    github.add_owner("acme")
    with pytest.raises(NotFound, match="not installed for acme"):
        app_of().find_installation("acme")
    with pytest.raises(NotFound, match="no installation 99 any more"):
        app_of().fetch_installation("99")
    with pytest.raises(NotFound, match="no installation 99 any more"):
        app_of().create_access("99")


def test_a_key_of_another_app_is_said_so(
    github: GitHubServer,
    app_of: AppOf,
    keys: tuple[rsa.RSAPrivateKey, rsa.RSAPrivateKey],
) -> None:
    github.add_owner("acme")
    with pytest.raises(AccessDenied, match="private key is not") as caught:
        app_of(private_key=pem(keys[1])).find_installation("acme")
    assert caught.value.status == 401


def test_a_number_of_no_app_is_said_so(github: GitHubServer, app_of: AppOf) -> None:
    """GitHub answers 404 to whoever signs for an app that is not there."""
    github.add_owner("acme")
    github.fault("GET", times=None, status=404, body={"message": "Not found"})
    with pytest.raises(NotFound, match="no app with the number 7"):
        app_of(app_id="7").find_installation("acme")


@pytest.mark.parametrize("app_id", ["", "12 3", "1/2", "é", "1" * 41])
def test_an_odd_number_of_an_app_is_refused(app_of: AppOf, app_id: str) -> None:
    with pytest.raises(NotFound, match="App ID"):
        app_of(app_id=app_id)


@pytest.mark.parametrize("damage", ["cut", "other", "empty", "elliptic"])
def test_a_key_that_is_none_is_refused_without_being_shown(
    app_of: AppOf,
    keys: tuple[rsa.RSAPrivateKey, rsa.RSAPrivateKey],
    damage: str,
) -> None:
    """K3"""
    key = {
        "cut": pem(keys[0])[:400],
        "other": "ghp_notakey",
        "empty": "",
        "elliptic": pem(ec.generate_private_key(ec.SECP256R1())),
    }[damage]
    with pytest.raises(AccessDenied, match="cannot be read") as caught:
        app_of(private_key=key)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert not key or key[-40:] not in caught.value.sentence


def test_a_key_with_blanks_around_it_is_read(
    github: GitHubServer,
    app_of: AppOf,
    app_id: int,
    keys: tuple[rsa.RSAPrivateKey, rsa.RSAPrivateKey],
) -> None:
    github.add_owner("acme")
    github.install(app_id, "acme")
    pasted = "\n  " + pem(keys[0]).replace("\n", "\r\n") + "  \n"
    assert app_of(private_key=pasted).find_installation("acme").account.login == "acme"


def test_a_suspended_installation_is_said_so(
    github: GitHubServer, app_of: AppOf, app_id: int
) -> None:
    github.add_owner("acme")
    number = github.install(app_id, "acme")
    github.installations[number].is_suspended = True
    app = app_of()
    with pytest.raises(AccessDenied, match="suspended"):
        app.find_installation("acme")
    with pytest.raises(AccessDenied, match="suspended"):
        app.create_access(str(number))


@pytest.mark.parametrize("owner", ["..", "acme/x", "acme#", ""])
def test_an_owner_with_an_odd_name_is_never_asked_for(
    github: GitHubServer, app_of: AppOf, owner: str
) -> None:
    """S7"""
    with pytest.raises(AddressRefused):
        app_of().find_installation(owner)
    assert github.requests == []


def test_faults_stay_what_they_are(
    github: GitHubServer, app_of: AppOf, app_id: int
) -> None:
    """F-P1"""
    github.add_owner("acme")
    number = str(github.install(app_id, "acme"))
    github.fault("POST", status=503, body={"message": "busy"})
    with pytest.raises(Unavailable):
        app_of().create_access(number)
    github.secondary_limit("POST")
    with pytest.raises(RateLimited):
        app_of().create_access(number)
    assert github.count("POST") == 2
    bodies: list[Any] = [{}, [], {"token": 5}, {"token": "a b", "expires_at": "2099"}]
    for body in bodies:
        github.fault("POST", status=201, body=body)
        with pytest.raises(BadPayload):
            app_of().create_access(number)


def test_a_token_is_not_in_its_own_text() -> None:
    """K3"""
    assert "ghs_secret" not in repr(Access("ghs_secret", datetime.now(UTC)))


@pytest.mark.parametrize(
    ("permissions", "expected"),
    [
        ({"contents": "read"}, [True, False, False, False]),
        ({"contents": "write", "metadata": "read"}, [True, True, True, False]),
        (
            {"contents": "write", "organization_hooks": "write"},
            [True, True, True, True],
        ),
        ({"contents": "read", "repository_hooks": "write"}, [True, False, False, True]),
        ({"contents": "read", "organization_hooks": "read"}, [True, *[False] * 3]),
        ({}, [False] * 4),
    ],
)
def test_an_app_s_rights_are_told_by_its_permissions(
    permissions: dict[str, str], expected: list[bool]
) -> None:
    account = Account("5", "acme", is_organisation=True)
    rights = rights_of(Installation("1", account, False, permissions))
    assert [right.ability for right in rights] == list(Ability)
    assert [right.granted for right in rights] == expected
    assert all(right.sentence.endswith(".") for right in rights)
