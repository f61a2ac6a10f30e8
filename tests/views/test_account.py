"""A person's own page, what their role lets them do, their tokens at providers."""

from __future__ import annotations

import re
import socket
from datetime import timedelta
from io import StringIO
from typing import Any
from unittest import mock
from uuid import uuid4

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from indexer.accounts import (
    IdentityRefused,
    check_identity,
    keep_identity,
    keep_role,
)
from indexer.api_tokens import make_token, revoke, tokens_in_force
from indexer.crypto import decrypt, encrypt
from indexer.models import Account, ApiToken, Connection, ProviderToken, Role
from indexer.permissions import can_act, can_manage, can_read, role_of
from indexer.sign_in import ALLOWED
from tests.providers.github_server import GitHubServer
from tests.views.addresses import CONNECTION
from tests.views.connection_rows import TOKEN, make_connection
from tests.views.dom import text_of

ADD = "/account/providers/add"
TEST = f"/account/providers/{CONNECTION}/test"
REMOVE = f"/account/providers/{CONNECTION}/remove"
CANARY = "ghp_CANARY2718281828"
IDENTITY = {"name": "Bob Reader", "email": "bob@example.com"}


def person(name: str) -> User:
    return User.objects.get(username=name)


@pytest.fixture
def edith(db: None) -> Client:
    """She may act."""
    user = User.objects.create_user("edith")
    keep_role(user, Role.EDITOR)
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def ours(db: None, server: GitHubServer) -> GitHubServer:
    """A server that an admin connected."""
    address = server.url.partition("://")[2]
    make_connection(
        uuid=uuid4(), web_url=server.url, api_url=f"{server.url}/api/v3", server=address
    )
    return server


def token_of(name: str, **fields: Any) -> ProviderToken:
    """A token at a server that nobody runs."""
    values = {
        "uuid": CONNECTION,
        "kind": "github",
        "server": "127.0.0.1:9",
        "web_url": "http://127.0.0.1:9",
        "api_url": "http://127.0.0.1:9/api/v3",
        "secret": encrypt(TOKEN),
        "added_at": timezone.now(),
    }
    return ProviderToken.objects.create(user=person(name), **values | fields)


@pytest.mark.parametrize(
    ("fields", "role", "expected"),
    [
        ({}, "", Role.VIEWER),
        ({}, "viewer", Role.VIEWER),
        ({}, "editor", Role.EDITOR),
        ({}, "admin", Role.ADMIN),
        ({"is_staff": True}, "viewer", Role.ADMIN),
        ({"is_superuser": True}, "", Role.ADMIN),
        ({"is_active": False}, "admin", None),
        ({"is_active": False, "is_superuser": True}, "", None),
    ],
)
def test_who_may_do_what(
    db: None, closed: None, fields: dict[str, bool], role: str, expected: Role | None
) -> None:
    user = User.objects.create_user("somebody", **fields)  # type: ignore[arg-type]
    if role:
        keep_role(user, role)
    user = User.objects.get()
    assert role_of(user) == expected
    assert can_read(user) is (expected is not None)
    assert can_act(user) is (expected in {Role.EDITOR, Role.ADMIN})
    assert can_manage(user) is (expected is Role.ADMIN)


def test_a_stranger_has_no_role(db: None) -> None:
    nobody = AnonymousUser()
    assert role_of(nobody) is None
    assert not can_act(nobody)
    assert not can_manage(nobody)


def test_a_role_is_asked_for_once(bob: Client) -> None:
    user = person("bob")
    with CaptureQueriesContext(connection) as queries:
        assert not can_act(user)
        assert not can_manage(user)
    assert len(queries) == 1


@pytest.mark.parametrize(
    ("address", "method", "statuses"),
    [  # of a stranger, a viewer, an editor, an admin
        ("/account", "get", (302, 200, 200, 200)),
        ("/account", "post", (302, 302, 302, 302)),
        ("/account/password", "get", (302, 200, 200, 200)),
        ("/account/password", "post", (302, 422, 422, 422)),
        (ADD, "get", (302, 403, 200, 200)),
        (ADD, "post", (302, 403, 422, 422)),
        (TEST, "get", (302, 405, 405, 405)),
        (TEST, "post", (302, 403, 404, 404)),
        (REMOVE, "get", (302, 405, 405, 405)),
        (REMOVE, "post", (302, 404, 404, 404)),
    ],
)
def test_each_role_at_each_address(
    charlie: Client,
    bob: Client,
    edith: Client,
    alice: Client,
    address: str,
    method: str,
    statuses: tuple[int, ...],
) -> None:
    """The token is of somebody else: not even an admin learns that it is there."""
    User.objects.create_user("dora")
    token_of("dora")
    found = tuple(
        getattr(client, method)(address, IDENTITY).status_code
        for client in (charlie, bob, edith, alice)
    )
    assert found == statuses
    assert ProviderToken.objects.count() == 1
    assert charlie.get(address)["Location"].startswith("/login?next=")


def test_the_name_leads_to_the_page_which_says_the_role(edith: Client) -> None:
    assert 'href="/account"' in edith.get("/").content.decode()
    assert "edith · Editor" in text_of(edith.get("/account").content.decode())


def test_name_and_email_are_kept_and_the_role_with_them(edith: Client) -> None:
    shown = edith.get("/account").content.decode()
    assert 'value="edith"' in shown
    assert edith.post("/account", IDENTITY).status_code == 302
    found = Account.objects.values("name", "email", "role").get()
    assert found == IDENTITY | {"role": "editor"}


@pytest.mark.parametrize(
    "text",
    ["a<b", "a>b", "a\nb", "a\rb", "a\x00b", "a\x85b", "a\u2028b", "\x1b[0m", ".,"],
)
def test_T7_what_would_break_a_line_of_git_is_refused(text: str) -> None:
    with pytest.raises(IdentityRefused):
        check_identity(text)


@pytest.mark.parametrize(
    "changes", [{"name": ""}, {"email": ""}, {"name": "a<b"}, {"email": "a<b@c.de"}]
)
def test_an_editor_must_have_both(edith: Client, changes: dict[str, str]) -> None:
    assert edith.post("/account", IDENTITY | changes).status_code == 422
    assert Account.objects.get().name == "edith"


def test_a_viewer_needs_neither(bob: Client) -> None:
    assert bob.post("/account", {"name": "", "email": ""}).status_code == 302


def change_password(client: Client, old: str, new: str = "quite another") -> int:
    form = {"old_password": old, "new_password1": new, "new_password2": new}
    return client.post("/account/password", form).status_code


def test_C2_a_new_password_ends_the_other_sessions(
    bob: Client, bob_has_a_password: str
) -> None:
    bob.force_login(person("bob"))
    other = Client()
    other.force_login(person("bob"))
    key = bob.session.session_key
    assert other.get("/account").status_code == 200
    assert change_password(bob, bob_has_a_password) == 302
    assert bob.get("/account").status_code == 200
    assert bob.session.session_key != key
    assert other.get("/account").status_code == 302
    assert person("bob").check_password("quite another")


@pytest.mark.parametrize(
    "new",
    [
        *("short", "password123", "12345"),
        *("bobbobbob", "BobBobBob!", "bob-2026-bob", "20262026bob", "b\uff4fbbobbob"),
        *("builder-builder", "builder2026builder", "example.com2", "bob@example.com"),
    ],
)
def test_C12_a_poor_password_is_refused(
    bob: Client, bob_has_a_password: str, new: str
) -> None:
    user = person("bob")
    User.objects.filter(pk=user.pk).update(email="bob@example.com")
    keep_identity(user, name="Bob Builder", email="")
    bob.force_login(person("bob"))
    assert change_password(bob, bob_has_a_password, new) == 422
    assert person("bob").check_password(bob_has_a_password)


@pytest.mark.parametrize("new", ["bob-and-his-rockets", "rabobank-holiday-trip"])
def test_a_password_may_hold_the_name_beside_enough_else(
    bob: Client, bob_has_a_password: str, new: str
) -> None:
    bob.force_login(person("bob"))
    assert change_password(bob, bob_has_a_password, new) == 302


@pytest.mark.parametrize(
    ("name", "password"),
    [("ada", "adaada12"), ("ada", "adaadaada"), ("al", "alalalal"), ("al", "al123456")],
)
def test_C12_a_name_is_no_password_for_whatever_sets_one(
    db: None, name: str, password: str
) -> None:
    """createsuperuser and changepassword ask the same rules as the page."""
    with pytest.raises(ValidationError, match="little more than your name"):
        validate_password(password, User(username=name))
    User.objects.create_user(name)
    with (
        mock.patch("getpass.getpass", return_value=password),
        pytest.raises(CommandError, match="Aborting password change"),
    ):
        call_command("changepassword", name, stdout=StringIO(), stderr=StringIO())


def tokens_of(user: User) -> None:
    """Three: one that works, one of use to nobody, one that is revoked."""
    make_token(user, "CI of churn", ApiToken.Scope.ACT, None)
    yesterday = timezone.now() - timedelta(days=1)
    make_token(user, "old", ApiToken.Scope.READ, yesterday)
    gone, _ = make_token(user, "gone", ApiToken.Scope.READ, None)
    revoke(ApiToken.objects.filter(pk=gone.pk))


@pytest.mark.parametrize("revokes", [True, False])
def test_a_new_password_revokes_the_tokens_unless_they_are_to_stay(
    bob: Client,
    bob_has_a_password: str,
    revokes: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    user = person("bob")
    tokens_of(user)
    alices = make_token(User.objects.create_user("al"), "a", ApiToken.Scope.READ, None)
    bob.force_login(user)
    html = bob.get("/account/password").content.decode()
    assert "Revoke my API token too" in html
    assert "CI of churn" in html
    assert "gone" not in html
    assert '<input type="checkbox" name="revokes"' in html
    assert "checked" in html.split('name="revokes"')[1].split(">")[0]
    form = {
        "old_password": bob_has_a_password,
        "new_password1": "quite another",
        "new_password2": "quite another",
    }
    more = {"revokes": "on"} if revokes else {}
    said = bob.post("/account/password", form | more, follow=True)
    text = text_of(said.content.decode())
    assert ("Your API tokens are revoked: 1." in text) is revokes
    assert ("API tokens of yours that work on: 1." in text) is not revokes
    assert ("work on: 1" in caplog.text) is not revokes
    assert tokens_in_force(user).count() == (0 if revokes else 1)
    assert tokens_in_force(alices[0].user).count() == 1


def test_a_refused_password_revokes_nothing(
    bob: Client, bob_has_a_password: str
) -> None:
    user = person("bob")
    tokens_of(user)
    bob.force_login(user)
    form = {"old_password": "wrong", "new_password1": "x", "new_password2": "x"}
    assert bob.post("/account/password", form | {"revokes": "on"}).status_code == 422
    assert tokens_in_force(user).count() == 1


def test_who_has_no_tokens_is_not_asked(bob: Client, bob_has_a_password: str) -> None:
    bob.force_login(person("bob"))
    assert "revokes" not in bob.get("/account/password").content.decode()


def test_the_administration_and_the_command_say_that_tokens_work_on(
    alice: Client, bob: Client, caplog: pytest.LogCaptureFixture
) -> None:
    user = person("bob")
    tokens_of(user)
    form = {"usable_password": "true"} | dict.fromkeys(
        ("password1", "password2"), "quite another"
    )
    said = alice.post(f"/admin/auth/user/{user.pk}/password/", form, follow=True)
    assert "API tokens of bob that work on: 1." in text_of(said.content.decode())
    caplog.clear()
    with mock.patch("getpass.getpass", return_value="yet another one"):
        call_command("changepassword", "bob", stdout=StringIO())
    assert "API tokens of theirs that work on: 1" in caplog.text


def test_C4_the_old_password_cannot_be_guessed_there_either(
    bob: Client, bob_has_a_password: str
) -> None:
    bob.force_login(person("bob"))
    for _ in range(ALLOWED):
        assert change_password(bob, "wrong") == 422
    assert change_password(bob, bob_has_a_password) == 429


def enter(client: Client, server: str, secret: str, address: str = "") -> str:
    """What the page says after a token was entered."""
    form = {"server": server, "address": address, "secret": secret}
    shown = client.post(ADD, form, follow=True)
    return shown.content.decode()


@pytest.mark.usefixtures("ours")
def test_a_token_is_entered_tested_and_forgotten(
    edith: Client, server: GitHubServer
) -> None:
    for name in ("edith-at-github", "second"):
        server.add_owner(name, kind="user")
    server.add_token(CANARY, "repo", account="edith-at-github")
    shown = text_of(enter(edith, "another-github", CANARY, server.url))
    assert "as edith-at-github" in shown
    assert "Make and delete tags" in shown
    assert "Commit files" in shown
    assert "Make webhooks" not in shown
    token = ProviderToken.objects.get()
    assert token.tested_at is not None
    # Another for the same server takes its place.
    server.add_token("ghp_second", account="second")
    enter(edith, "another-github", "ghp_second", server.url)
    assert decrypt(ProviderToken.objects.get().secret) == "ghp_second"
    page = f"/account/providers/{ProviderToken.objects.get().uuid}"
    assert "second" in edith.post(f"{page}/test", follow=True).content.decode()
    assert edith.post(f"{page}/remove").status_code == 302
    assert not ProviderToken.objects.exists()


def test_a_token_goes_to_its_own_server_only(
    edith: Client, server: GitHubServer, connected: Connection
) -> None:
    """That of the connection in the list is nobody's: the other hears nothing."""
    before = len(server.requests)
    shown = enter(edith, connected.web_url, CANARY)
    assert len(server.requests) == before
    assert "notice-error" in shown
    assert ProviderToken.objects.get().api_url == connected.api_url


def test_an_admin_enters_one_for_a_server_that_is_not_connected_yet(
    alice: Client, server: GitHubServer
) -> None:
    server.add_token(CANARY, "repo")
    assert "notice-error" not in enter(alice, "another-github", CANARY, server.url)
    assert ProviderToken.objects.get().tested_at is not None


def test_S1_an_editor_cannot_look_around_the_network(
    edith: Client, server: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server, a closed port, a name that does not exist: one answer for all, and
    nobody is asked, not even for an address."""
    asked: list[object] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *names, **_: asked.append(names))
    said = set()
    for address in (
        server.url,
        server.url.removeprefix("http://"),
        "http://127.0.0.1:9",
        "https://10.0.0.7",
        "https://no.such.host.invalid",
        "ftp://x",
        "https://[",
    ):
        form = {"server": "another-github", "address": address, "secret": CANARY}
        shown = edith.post(ADD, form)
        assert shown.status_code == 422
        said.add(shown.content.decode().replace(address, "").replace("&#x27;", ""))
    # What differs is what was typed and the form's own secret.
    assert len({re.sub(r'"[\w/+=]{64}"', "", page) for page in said}) == 1
    assert "Ask an admin to connect it" in said.pop()
    assert (asked, server.requests) == ([], [])
    assert not ProviderToken.objects.exists()


def test_S1_nor_by_a_token_whose_server_is_not_connected_any_more(
    edith: Client, server: GitHubServer
) -> None:
    token_of("edith", web_url=server.url, api_url=f"{server.url}/api/v3")
    shown = edith.post(TEST, follow=True).content.decode()
    assert "Ask an admin to connect it" in shown
    assert server.requests == []


@pytest.mark.usefixtures("ours")
def test_a_token_the_server_refuses_is_said(
    edith: Client, server: GitHubServer
) -> None:
    shown = enter(edith, "another-github", "ghp_unknown", server.url)
    assert "notice-error" in shown
    assert ProviderToken.objects.get().tested_at is None


@pytest.mark.parametrize(
    ("wanted", "address", "secret"),
    [
        ("another-github", "", CANARY),
        ("another-github", "ftp://git.example.com", CANARY),
        ("another-github", "https://gitlab.com", CANARY),
        ("https://elsewhere.example.com", "", CANARY),
        ("https://github.com", "", ""),
        ("https://github.com", "", f"{CANARY} x"),
    ],
)
def test_what_is_no_server_or_token_is_refused(
    edith: Client, wanted: str, address: str, secret: str
) -> None:
    form = {"server": wanted, "address": address, "secret": secret}
    shown = edith.post(ADD, form)
    assert shown.status_code == 422
    assert CANARY not in shown.content.decode()
    assert not ProviderToken.objects.exists()


def test_S1_private_addresses_are_not_asked(alice: Client, settings: Settings) -> None:
    settings.MUSTER_ALLOW_PRIVATE = False
    for address in (
        "http://127.0.0.1:9",
        "https://127.0.0.1",
        "https://169.254.169.254",
    ):
        form = {"server": "another-github", "address": address, "secret": CANARY}
        assert alice.post(ADD, form).status_code == 422


@pytest.mark.usefixtures("ours")
def test_K1_a_persons_token_is_kept_encrypted_and_shown_nowhere(
    alice: Client, edith: Client, server: GitHubServer
) -> None:
    server.add_token(CANARY, "repo")
    shown = enter(edith, "another-github", CANARY, server.url)
    token = ProviderToken.objects.get()
    assert decrypt(token.secret) == CANARY
    pages = [shown, repr(token), str(token), repr(list(ProviderToken.objects.values()))]
    pages += [edith.get(address).content.decode() for address in ("/account", ADD)]
    address = f"/admin/auth/user/{token.user_id}/change/"
    pages.append(alice.get(address).content.decode())
    for page in pages:
        assert CANARY not in page
    for page in pages[-3:]:
        assert token.secret not in page
    for guess in ("provider_tokens__secret__startswith", "password__startswith"):
        refused = alice.get(f"/admin/auth/user/?{guess}=x")
        assert refused.status_code == 400, guess


def test_K1_a_persons_token_comes_along_when_keys_change(
    bob: Client, settings: Settings
) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.MUSTER_ENCRYPTION_KEYS = [old]
    token_of("bob")
    settings.MUSTER_ENCRYPTION_KEYS = [new, old]
    out = StringIO()
    call_command("reencrypt", stdout=out)
    assert "1 × token of person" in out.getvalue()
    settings.MUSTER_ENCRYPTION_KEYS = [new]
    assert decrypt(ProviderToken.objects.get().secret) == TOKEN


def test_K1_a_lost_key_is_said_and_the_page_still_comes(
    edith: Client, settings: Settings
) -> None:
    settings.MUSTER_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    token_of("edith", web_url="https://github.com")
    settings.MUSTER_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    shown = edith.post(TEST, follow=True)
    assert "cannot be decrypted" in text_of(shown.content.decode())


def test_Z8_a_persons_tokens_go_with_the_person(edith: Client) -> None:
    token_of("edith")
    person("edith").delete()
    assert not ProviderToken.objects.exists()
    assert not Account.objects.exists()
    assert edith.get("/account").status_code == 302


def test_the_page_costs_the_same_for_many_tokens(edith: Client) -> None:
    costs = []
    for count in (1, 30):
        for number in range(ProviderToken.objects.count(), count):
            url = f"https://git-{number}.example.com"
            token_of("edith", uuid=_uuid(number), web_url=url)
        with CaptureQueriesContext(connection) as queries:
            assert edith.get("/account").status_code == 200
        costs.append(len(queries))
    assert costs[0] == costs[1] <= 6


def _uuid(number: int) -> str:
    return f"{number:08x}{CONNECTION[8:]}"


def test_an_admin_gives_a_role_in_the_administration(
    alice: Client, bob: Client
) -> None:
    bob_user = person("bob")
    address = f"/admin/auth/user/{bob_user.pk}/change/"
    assert "account-0-role" in alice.get(address).content.decode()
    form = {
        "username": "bob",
        "is_active": "on",
        "date_joined_0": "2026-01-01",
        "date_joined_1": "00:00:00",
        "account-TOTAL_FORMS": "1",
        "account-INITIAL_FORMS": "0",
        "account-0-user": str(bob_user.pk),
        "account-0-role": "editor",
    }
    assert alice.post(address, form).status_code == 302
    assert role_of(person("bob")) is Role.EDITOR
    assert "Editor" in alice.get("/admin/auth/user/").content.decode()
    assert bob.post(address, form).status_code == 302  # to sign in


def test_a_role_from_the_command_line(bob: Client, alice: Client) -> None:
    out = StringIO()
    call_command("role", "bob", "editor", stdout=out)
    assert out.getvalue() == "bob: Editor\n"
    assert role_of(person("bob")) is Role.EDITOR
    call_command("role", "alice", "viewer", stdout=out)
    assert "admins whatever their role" in out.getvalue()
    with pytest.raises(CommandError, match="Nobody signs in as dave"):
        call_command("role", "dave", "editor")


def test_an_admin_by_role_may_manage(bob: Client) -> None:
    assert bob.get("/connections").status_code == 403
    keep_role(person("bob"), Role.ADMIN)
    assert bob.get("/connections").status_code == 200
