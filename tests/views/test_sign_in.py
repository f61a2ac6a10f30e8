"""Coming in and going out: guessing is limited, sessions end when they should."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest
from django.contrib.auth.hashers import (
    MD5PasswordHasher,
    PBKDF2PasswordHasher,
    check_password,
    make_password,
)
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpRequest
from django.test import Client, RequestFactory
from pytest_django.fixtures import Settings

from indexer import password_hashing
from indexer.api_tokens import make_token
from indexer.models import ApiToken, SignInFailure
from indexer.password_hashing import AT_ONCE, WAITING, TooBusy, turn
from indexer.sign_in import (
    ALLOWED,
    ALLOWED_OF_ADDRESS,
    WINDOW,
    TooManyFailures,
    client_address,
    count_attempt,
)
from indexer.tasks import tidy
from tests.process_tree import wait_until
from tests.views.dom import text_of

DOORS = ("/login", "/admin/login/")
PASSWORD = "b-pass-phrase"
WRONG = "another"


class CountingHasher(MD5PasswordHasher):
    """Counts how often a password is hashed."""

    hashed = 0

    def encode(self, password: str, salt: str) -> str:
        CountingHasher.hashed += 1
        return super().encode(password, salt)


@pytest.fixture(autouse=True)
def staff(db: None, settings: Settings) -> User:
    """Bob, who may pass both doors, and whose password costs no second."""
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    return User.objects.create_user("bob", password=PASSWORD, is_staff=True)


def attempt(
    door: str = "/login", name: str = "bob", password: str = WRONG, **extra: str
) -> tuple[int, str]:
    """(status, text) of an attempt by somebody who has no session."""
    form = {"username": name, "password": password}
    response = Client().post(door, form, **extra)  # type: ignore[arg-type]
    return response.status_code, text_of(response.content.decode())


def let_time_go_by(by: timedelta) -> None:
    for failure in SignInFailure.objects.all():
        failure.at -= by
        failure.save()


@pytest.mark.parametrize("door", DOORS)
def test_C4_ten_failures_and_even_the_right_password_waits(door: str) -> None:
    for _ in range(ALLOWED):
        assert attempt(door)[0] == 200
    form = {"username": "bob", "password": PASSWORD}
    refused = Client().post(door, form)
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= WINDOW.total_seconds()
    assert "Wait 15 minutes" in text_of(refused.content.decode())
    # Being refused does not make the wait longer.
    let_time_go_by(WINDOW)
    assert attempt(door, password=PASSWORD)[0] == 302
    # What is left counts for the address, until it is tidied.
    assert SignInFailure.objects.count() == ALLOWED


def test_C4_both_doors_count_together() -> None:
    for number in range(ALLOWED):
        attempt(DOORS[number % 2])
    assert {attempt(door)[0] for door in DOORS} == {429}


def test_C4_a_success_forgives_what_was_before() -> None:
    for _ in range(ALLOWED - 1):
        attempt()
    assert attempt(password=PASSWORD)[0] == 302
    assert attempt()[0] == 200


def test_C4_who_is_signed_in_as_another_forgives_nothing() -> None:
    """The page leads on whoever has a session, without a look at the form."""
    User.objects.create_user("mallory")
    mallory = Client()
    mallory.force_login(User.objects.get(username="mallory"))
    for _ in range(ALLOWED):
        attempt()
        mallory.post("/login", {"username": "bob", "password": "wrong"})
    assert attempt()[0] == 429


@pytest.mark.parametrize("door", DOORS)
def test_C4_C12_a_name_nobody_has_is_answered_the_same(door: str) -> None:
    """Same words, same number of hashes, same limit."""
    seen = []
    for name in ("bob", "nobody"):
        CountingHasher.hashed = 0
        answers = [attempt(door, name) for _ in range(ALLOWED + 1)]
        said = [(status, text.replace(name, "NAME")) for status, text in answers]
        seen.append((said, CountingHasher.hashed))
    assert seen[0] == seen[1]
    assert seen[0][1] == ALLOWED


def test_C4_another_name_or_address_is_not_held_back() -> None:
    User.objects.create_user("alice", password=PASSWORD)
    for _ in range(ALLOWED):
        attempt()
    assert attempt(name="alice", password=PASSWORD)[0] == 302
    assert attempt(password=PASSWORD, REMOTE_ADDR="192.0.2.7")[0] == 302
    assert attempt(password=PASSWORD)[0] == 429


@pytest.mark.parametrize("is_trusted", [False, True])
def test_C4_a_forged_header_is_no_way_around(
    settings: Settings, is_trusted: bool
) -> None:
    """Of a trusted proxy only the last entry counts, which it wrote itself."""
    settings.TRUST_PROXY = is_trusted
    statuses = [
        attempt(HTTP_X_FORWARDED_FOR=f"203.0.113.{number}, 198.51.100.1")[0]
        for number in range(ALLOWED + 1)
    ]
    assert statuses == [200] * ALLOWED + [429]
    other = attempt(HTTP_X_FORWARDED_FOR="203.0.113.1, 198.51.100.2")[0]
    assert other == (200 if is_trusted else 429)


@pytest.mark.parametrize("is_trusted", [False, True])
def test_C4_whose_address_it_is(settings: Settings, is_trusted: bool) -> None:
    settings.TRUST_PROXY = is_trusted
    ask: Callable[..., HttpRequest] = RequestFactory().get
    assert client_address(ask("/")) == "127.0.0.1"
    forwarded = ask("/", headers={"X-Forwarded-For": "203.0.113.1, 198.51.100.2"})
    assert client_address(forwarded) == ("198.51.100.2" if is_trusted else "127.0.0.1")


def test_C4_a_machine_with_many_addresses_is_one() -> None:
    statuses = [
        attempt(REMOTE_ADDR=f"2001:db8:1:1::{number:x}")[0]
        for number in range(ALLOWED + 1)
    ]
    assert statuses[-1] == 429
    assert attempt(REMOTE_ADDR="2001:db8:1:2::1")[0] == 200


def test_C4_many_names_from_one_address_are_limited_together() -> None:
    statuses = [
        attempt(name=f"name-{number}")[0] for number in range(ALLOWED_OF_ADDRESS + 1)
    ]
    assert statuses == [200] * ALLOWED_OF_ADDRESS + [429]
    # For whatever name, also with the right password; elsewhere nobody waits.
    assert attempt(password=PASSWORD)[0] == 429
    assert attempt(password=PASSWORD, REMOTE_ADDR="192.0.2.7")[0] == 302
    let_time_go_by(WINDOW)
    assert attempt(password=PASSWORD)[0] == 302


def test_C4_a_success_forgives_nothing_of_other_names() -> None:
    """Or whoever has an account could guess at those of others without end."""
    for number in range(ALLOWED_OF_ADDRESS - 1):
        attempt(name=f"name-{number}")
    for _ in range(3):
        assert attempt(password=PASSWORD)[0] == 302
    assert attempt(name="another")[0] == 200
    assert attempt(password=PASSWORD)[0] == 429


def test_C4_a_network_of_many_addresses_is_one() -> None:
    for number in range(ALLOWED_OF_ADDRESS):
        attempt(name=f"n{number}", REMOTE_ADDR=f"2001:db8:1:1::{number:x}")
    assert attempt(REMOTE_ADDR="2001:db8:1:1:ffff::1")[0] == 429
    assert attempt(REMOTE_ADDR="2001:db8:1:2::1")[0] == 200


@pytest.mark.parametrize("door", DOORS)
def test_C4_who_signed_in_before_is_not_locked_out_by_others_behind_a_proxy(
    door: str,
) -> None:
    """An address may be that of a proxy which we are not told to trust."""
    User.objects.create_user("alice", password=PASSWORD, is_staff=True)
    browser = Client()
    right = {"username": "bob", "password": PASSWORD}
    assert browser.post(door, right).status_code == 302
    assert browser.post("/logout").status_code == 302
    for number in range(ALLOWED_OF_ADDRESS):
        attempt(name=f"name-{number}")
    assert attempt(door, password=PASSWORD)[0] == 429
    # For that name alone, and no more often than anybody.
    other = {"username": "alice", "password": PASSWORD}
    assert browser.post(door, other).status_code == 429
    for _ in range(ALLOWED - 1):
        wrong = {"username": "bob", "password": WRONG}
        assert browser.post(door, wrong).status_code == 200
    assert browser.post(door, right).status_code == 302


def test_C4_a_forged_cookie_is_no_way_around(settings: Settings) -> None:
    browser = Client()
    browser.post("/login", {"username": "bob", "password": PASSWORD})
    known = browser.cookies["muster_known"]
    assert known["httponly"]
    assert known["samesite"] == "Lax"
    assert "bob" not in known.value
    for number in range(ALLOWED_OF_ADDRESS):
        attempt(name=f"name-{number}")
    for value in ("", "x", known.value[:-1], known.value.replace(":", "::")):
        forger = Client()
        forger.cookies["muster_known"] = value
        right = {"username": "bob", "password": PASSWORD}
        assert forger.post("/login", right).status_code == 429


def test_C4_api_tokens_are_not_held_back(staff: User) -> None:
    _, text = make_token(staff, "CI", ApiToken.Scope.READ, None)
    for number in range(ALLOWED_OF_ADDRESS + 1):
        attempt(name=f"name-{number}")
    with turn():
        program = Client(headers={"Authorization": f"Bearer {text}"})
        assert program.get("/api/v1/models").status_code == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("door", DOORS)
def test_C4_only_so_many_hash_at_once_and_the_next_is_told_at_once(door: str) -> None:
    """Those beyond cost no attempt, and nobody hashes beside another."""
    Gate.reset()
    with ThreadPoolExecutor(AT_ONCE + WAITING + 2) as pool:
        inside = [pool.submit(hash_at_the_gate) for _ in range(AT_ONCE + WAITING)]
        door_value = partial(getattr, password_hashing._door, "_value")
        wait_until(lambda: Gate.inside and door_value() == 0, 30)
        response = Client().post(door, {"username": "bob", "password": PASSWORD})
        assert response.status_code == 503
        assert response["Retry-After"] == "5"
        assert "Try again in a few seconds" in text_of(response.content.decode())
        assert not SignInFailure.objects.exists()
        Gate.opened.set()
        for one in inside:
            one.result()
    assert Gate.most == AT_ONCE
    assert attempt(door, password=PASSWORD)[0] == 302


class Gate:
    """What a thread that may hash waits at."""

    opened = threading.Event()
    inside = most = 0

    @classmethod
    def reset(cls) -> None:
        cls.opened = threading.Event()
        cls.inside = cls.most = 0


def hash_at_the_gate() -> None:
    with turn():
        Gate.inside += 1
        Gate.most = max(Gate.most, Gate.inside)
        Gate.opened.wait(30)
        Gate.inside -= 1


@pytest.mark.django_db(transaction=True)
def test_C4_many_at_once_are_no_more_than_ten() -> None:
    request = RequestFactory().post("/login")

    def passes(_: int) -> bool:
        try:
            count_attempt(request, "bob")
        except TooManyFailures:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(8) as pool:
        passed = list(pool.map(passes, range(40)))
    assert 0 < sum(passed) <= ALLOWED


def test_C4_old_failures_are_tidied_and_hold_no_name(
    settings: Settings, tmp_path: object
) -> None:
    settings.MUSTER_DATA = tmp_path
    attempt(name="my-password-by-mistake")
    assert "mistake" not in repr(list(SignInFailure.objects.values()))
    tidy()
    assert SignInFailure.objects.count() == 2  # of the name, and of the address
    let_time_go_by(WINDOW)
    tidy()
    assert not SignInFailure.objects.exists()


def test_C2_the_session_is_another_after_signing_in(settings: Settings) -> None:
    """A key that somebody planted before is worth nothing."""
    client = Client()
    client.session.save()
    session = client.session
    session["planted"] = True
    session.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = before = session.session_key or ""
    client.post("/login", {"username": "bob", "password": PASSWORD})
    assert client.session.get("_auth_user_id")
    assert client.session.session_key != before
    planted = Client()
    planted.cookies[settings.SESSION_COOKIE_NAME] = before
    assert planted.get("/account").status_code == 302


def test_C2_signing_out_is_a_post_and_kills_the_key(settings: Settings) -> None:
    client = Client()
    client.post("/login", {"username": "bob", "password": PASSWORD})
    key = client.session.session_key or ""
    assert client.get("/logout").status_code == 405
    assert client.get("/account").status_code == 200
    assert client.post("/logout").status_code == 302
    old = Client()
    old.cookies[settings.SESSION_COOKIE_NAME] = key
    assert old.get("/account").status_code == 302


def test_C4_whoever_hashes_waits_for_the_others(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a password is set. What Django hashed before is read as ever."""
    settings.PASSWORD_HASHERS = ["indexer.password_hashing.BoundedHasher"]
    monkeypatch.setattr(password_hashing, "PATIENCE", 0.01)
    Gate.reset()
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(hash_at_the_gate)
        wait_until(lambda: Gate.inside == 1, 30)
        with pytest.raises(TooBusy):
            make_password("x")
        Gate.opened.set()
        other.result()
    assert check_password("x", PBKDF2PasswordHasher().encode("x", "salt", 1))
