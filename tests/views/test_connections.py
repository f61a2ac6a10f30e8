"""Connections as an admin sees them: who comes in, progress, webhooks, removing."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from indexer.connection_facts import progress_of
from indexer.crypto import encrypt
from indexer.models import Connection, Crawl, Hook, Repository
from tests.views.addresses import OUR_ADDRESSES
from tests.views.connection_rows import (
    HTMX,
    PAGE,
    TOKEN,
    add_repository,
)
from tests.views.dom import links_of, read, text_of

pytestmark = pytest.mark.usefixtures("connecting")

ADDRESSES = [name for name in OUR_ADDRESSES if name.startswith("/connections")]
ONLY_POST = {f"{PAGE}{name}" for name in ("connect", "discard", "look", "hook")}


@pytest.mark.parametrize("method", ["get", "head", "post", "put", "delete"])
@pytest.mark.parametrize("address", ADDRESSES)
def test_only_an_admin_comes_in(
    bob: Client, charlie: Client, connected: Connection, address: str, method: str
) -> None:
    before = list(Connection.objects.values())
    refused = getattr(bob, method)(address)
    assert refused.status_code == 403
    assert TOKEN not in refused.content.decode()
    assert "127.0.0.1:9" not in refused.content.decode()
    away = getattr(charlie, method)(address)
    assert away.status_code == 302
    assert away["Location"].startswith("/login?next=/")
    assert list(Connection.objects.values()) == before


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_admin_comes_in_and_reading_changes_nothing(
    alice: Client, connected: Connection, address: str
) -> None:
    before = list(Connection.objects.values())
    expected = 405 if address in ONLY_POST else 200
    response = alice.get(address)
    assert response.status_code == expected
    assert TOKEN not in response.content.decode()
    assert connected.secret not in response.content.decode()
    assert list(Connection.objects.values()) == before


@pytest.mark.parametrize("address", ADDRESSES)
def test_C1_nothing_happens_without_the_forms_token(
    connected: Connection, address: str
) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.create_user("alice", is_staff=True))
    before = list(Connection.objects.values())
    for headers in ({}, HTMX):
        assert strict.post(address, headers=headers).status_code == 403
    assert list(Connection.objects.values()) == before


def test_readers_are_not_led_to_connections(
    bob: Client, alice: Client, connected: Connection
) -> None:
    for address in ("/", "/repositories", "/repositories/acme/churn/"):
        links = links_of(bob.get(address).content.decode())
        assert not [link for link in links if "/connections" in link]
    assert "/connections" in links_of(alice.get("/repositories").content.decode())
    shown = links_of(alice.get("/repositories/acme/churn/").content.decode())
    assert PAGE in shown


def test_an_unknown_connection_or_kind_is_not_there(alice: Client, db: None) -> None:
    assert alice.get(f"/connections/{uuid4()}/").status_code == 404
    assert alice.get("/connections/add/bitbucket").status_code == 404


# Watching ----------------------------------------------------------------------------


def test_the_page_asks_again_only_while_work_goes_on(
    alice: Client, connected: Connection
) -> None:
    assert "every " not in alice.get(PAGE).content.decode()
    new = add_repository(connected, "acme/new", requested_seq=1)
    html = alice.get(PAGE).content.decode()
    (poll,) = [attrs for _, attrs in read(html).elements if "every " in str(attrs)]
    assert (poll["id"], poll["hx-trigger"]) == ("now", "every 2s")
    assert "1 of 2 read" in text_of(html)
    during = alice.get(poll["hx-get"], headers=HTMX | {"HX-Target": "now"})
    assert "HX-Trigger" not in during
    assert "<html" not in during.content.decode()

    Repository.objects.filter(pk=new.pk).update(
        last_crawl_at=timezone.now(), state="ok", done_seq=1
    )
    after = alice.get(poll["hx-get"], headers=HTMX | {"HX-Target": "now"})
    assert "connection-moved" in after["HX-Trigger"]
    assert "every " not in after.content.decode()
    hooks = alice.get(PAGE, headers=HTMX | {"HX-Target": "hooks"}).content.decode()
    assert "Webhooks are made after the first look." in text_of(hooks)
    assert "<html" not in hooks
    assert "2 repositories" in text_of(after.content.decode())


def test_the_pace_of_a_crawl_that_has_just_begun_is_its_own(
    connected: Connection, acme: Repository
) -> None:
    """Ten crawls within ten seconds are one a second, not ten a minute."""
    now = timezone.now()
    for number in range(10):
        Crawl.objects.create(
            repository=acme,
            status=Crawl.Status.CHANGED,
            lease_id=uuid4(),
            started_at=now - timedelta(seconds=10 - number),
            finished_at=now - timedelta(seconds=9 - number),
        )
    for number in range(20):
        add_repository(connected, f"acme/new-{number}")
    progress = progress_of(connected)
    assert progress.per_second == pytest.approx(1.0, rel=0.3)
    assert progress.seconds_left == pytest.approx(20.0, rel=0.3)


def test_what_runs_and_what_failed_is_named(
    alice: Client, connected: Connection
) -> None:
    running = add_repository(connected, "acme/running")
    Crawl.objects.create(
        repository=running,
        lease_id=uuid4(),
        started_at=timezone.now(),
        phase="Reading tags",
        done=40,
        total=120,
    )
    add_repository(
        connected,
        "acme/failing",
        state="denied",
        message="The token may not read it.",
        last_crawl_at=timezone.now(),
    )
    text = text_of(alice.get(PAGE).content.decode())
    assert "acme/running Reading tags 40 of 120" in text
    assert "acme/failing The token may not read it." in text


def test_waiting_is_a_state_with_a_time_and_no_error(
    alice: Client, bob: Client, connected: Connection
) -> None:
    until = timezone.now().replace(hour=14, minute=5) + timedelta(days=1)
    Connection.objects.update(state="waiting", next_poll_at=until)
    for address in ("/connections", PAGE):
        html = alice.get(address).content.decode()
        assert f"Waiting for GitHub until {until:%Y-%m-%d} 14:05 UTC." in text_of(html)
        assert "badge-bad" not in html
    foot = text_of(bob.get("/").content.decode())
    assert f"waiting for GitHub until {until:%Y-%m-%d} 14:05 UTC" in foot
    assert "cannot be" not in foot


def test_the_foot_says_which_connections_cannot_be_looked_at(
    bob: Client, connected: Connection
) -> None:
    assert "cannot be looked at" not in text_of(bob.get("/").content.decode())
    Connection.objects.update(state="denied", message="The token was taken back.")
    foot = text_of(bob.get("/").content.decode())
    assert "1 connection cannot be looked at" in foot
    assert "taken back" not in foot


def test_a_refused_token_leads_to_where_a_new_one_is_entered(
    alice: Client, connected: Connection
) -> None:
    assert "Enter a new token" not in alice.get(PAGE).content.decode()
    Connection.objects.update(state="denied", message="The token was taken back.")
    html = alice.get(PAGE).content.decode()
    assert f'href="{PAGE}edit">Enter a new token</a>' in html
    Connection.objects.update(state="new")
    assert "The next look begins in a moment." in alice.get(PAGE).content.decode()


def test_a_look_is_asked_for_by_a_button(alice: Client, connected: Connection) -> None:
    assert alice.post(f"{PAGE}look")["Location"] == PAGE
    fragment = alice.post(f"{PAGE}look", headers=HTMX).content.decode()
    assert "Look again now" not in text_of(fragment)
    assert 'hx-trigger="every 2s"' in fragment
    connected.refresh_from_db()
    assert connected.requested_seq == 2


@pytest.mark.parametrize("state", ["denied", "unreachable", "failing"])
def test_a_failure_stays_in_sight_while_another_look_is_owed(
    alice: Client, connected: Connection, state: str
) -> None:
    """What was asked for is still owed after a failure; nothing moves before then."""
    Connection.objects.update(
        state=state,
        message="It is down.",
        requested_seq=3,
        next_poll_at=timezone.now() + timedelta(minutes=5),
    )
    for address in ("/connections", PAGE):
        html = alice.get(address).content.decode()
        assert "It is down." in text_of(html)
        assert "badge-bad" in html
        assert "every " not in html


def test_its_repositories_are_searched_and_narrowed(
    alice: Client, connected: Connection
) -> None:
    add_repository(connected, "acme/old", is_archived=True, state="ok")
    add_repository(connected, "acme/bad", state="gone", message="It is gone.")
    gone = {"hidden_at": timezone.now(), "hidden_why": "Made private."}
    add_repository(connected, "acme/secret", **gone)
    Repository.objects.create(
        name="other/one", url="https://git.example.com/o", added_at=timezone.now()
    )
    target = HTMX | {"HX-Target": "repositories"}

    def names(query: str) -> set[str]:
        html = alice.get(f"{PAGE}?{query}", headers=target).content.decode()
        assert "<html" not in html
        known = ("acme/churn", "acme/old", "acme/bad", "acme/secret", "other/one")
        return {name for name in known if f"/repositories/{name}/" in links_of(html)}

    assert names("") == {"acme/churn", "acme/old", "acme/bad"}
    assert names("state=archived") == {"acme/old"}
    assert names("state=problems") >= {"acme/bad"}
    assert names("state=hidden") == {"acme/secret"}
    assert names("q=old") == {"acme/old"}


def test_a_repository_waits_calmly_for_what_its_connection_waits_for(
    alice: Client, connected: Connection
) -> None:
    new = add_repository(connected, "acme/new", requested_seq=1)
    page = "/repositories/acme/new/"
    assert "Waiting for a worker" in text_of(alice.get(page).content.decode())
    until = timezone.now().replace(hour=14, minute=5) + timedelta(days=1)
    Connection.objects.update(state="waiting", next_poll_at=until)
    for address in (page, "/repositories", PAGE):
        html = alice.get(address).content.decode()
        assert f"Waiting for GitHub until {until:%Y-%m-%d} 14:05 UTC." in text_of(html)
        assert "Waiting for a worker" not in text_of(html)
        assert "badge-bad" not in html
        assert 'hx-trigger="every 1s"' not in html
    # What a person asked for does not wait.
    Repository.objects.filter(pk=new.pk).update(requested_trigger="button")
    assert "Waiting for a worker" in text_of(alice.get(page).content.decode())
    Connection.objects.update(state="denied")
    html = alice.get(page).content.decode()
    assert "GitHub refuses the token of its connection." in text_of(html)


def test_a_crawl_that_waits_is_no_failure(
    alice: Client, connected: Connection, acme: Repository
) -> None:
    Repository.objects.update(
        state="waiting", message="Waiting for GitHub until 14:05 UTC."
    )
    Crawl.objects.create(
        repository=acme,
        status=Crawl.Status.WAITING,
        lease_id=uuid4(),
        started_at=timezone.now(),
        finished_at=timezone.now(),
        requests=7,
    )
    html = alice.get("/repositories/acme/churn/").content.decode()
    assert "Waiting for GitHub until 14:05 UTC." in text_of(html)
    assert "badge-bad" not in html
    foot = text_of(alice.get("/").content.decode())
    assert "cannot be read" not in foot


# Webhooks ----------------------------------------------------------------------------


def test_a_hooks_secret_is_shown_to_who_asks_for_it_and_only_then(
    alice: Client, connected: Connection, settings: Settings
) -> None:
    settings.MUSTER_PUBLIC_URL = "https://muster.example.org"
    hook = Hook.objects.create(
        connection=connected, secret=encrypt("hook-canary-31"), state="manual"
    )
    page = alice.get(PAGE).content.decode()
    assert "hook-canary" not in page
    for headers in ({}, HTMX):
        shown = alice.post(f"{PAGE}hook", headers=headers)
        text = text_of(shown.content.decode())
        assert "hook-canary-31" in text
        assert f"https://muster.example.org/hooks/github/{hook.uuid}" in text
        assert "application/json" in text
        assert "no-store" in shown["Cache-Control"]
    assert "hook-canary" not in alice.get(PAGE).content.decode()


def test_the_last_delivery_is_shown(alice: Client, connected: Connection) -> None:
    Hook.objects.create(
        connection=connected,
        secret=encrypt("x"),
        state="made",
        last_delivery_at=timezone.now(),
        last_event="push",
        last_outcome="A crawl of acme/churn was asked for.",
    )
    text = text_of(alice.get(PAGE).content.decode())
    assert "just now : push A crawl of acme/churn was asked for." in text
    assert "Show how to make it by hand" not in text
    assert "1 webhook" in text_of(alice.get("/connections").content.decode())


# Removing ----------------------------------------------------------------------------


@pytest.mark.parametrize("choice", ["keep", "remove"])
def test_it_is_removed_with_or_without_its_repositories(
    alice: Client, connected: Connection, choice: str
) -> None:
    text = text_of(alice.get(f"{PAGE}remove").content.decode())
    assert "Its token is forgotten" in text
    assert alice.post(f"{PAGE}remove", {"repositories": "x"}).status_code == 422
    assert alice.post(f"{PAGE}remove").status_code == 422
    assert Connection.objects.exists()
    response = alice.post(f"{PAGE}remove", {"repositories": choice})
    assert response["Location"] == "/connections"
    assert not Connection.objects.exists()
    assert Repository.objects.exists() == (choice == "keep")
