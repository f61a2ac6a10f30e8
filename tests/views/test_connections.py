"""Connections as an admin sees them: adding one step by step, its progress, its
webhooks; and what nobody else sees."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from indexer import wakeup
from indexer.connections import progress_of, secret_of
from indexer.crypto import encrypt
from indexer.models import Connection, Crawl, FormerName, Hook, Repository
from tests.providers.github_server import GitHubServer, serve_github
from tests.providers.raw_repository import simple_repository
from tests.views.addresses import CONNECTION, OUR_ADDRESSES
from tests.views.dom import dangers, links_of, read, text_of
from tests.views.test_hostile_text import MARKS

HTMX = {"HX-Request": "true"}
PAGE = f"/connections/{CONNECTION}/"
ADDRESSES = [name for name in OUR_ADDRESSES if name.startswith("/connections")]
ONLY_POST = {f"{PAGE}{name}" for name in ("connect", "discard", "look", "hook")}
TOKEN = "canary-token-2718"


@pytest.fixture(autouse=True)
def quiet(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.MUSTER_DATA = tmp_path / "data"
    settings.MUSTER_ALLOW_PRIVATE = True
    monkeypatch.setattr(wakeup, "wake", lambda *_: None)


def make_connection(**fields: Any) -> Connection:
    """A connection that was looked at; its server is nobody's."""
    values: dict[str, Any] = {
        "uuid": CONNECTION,
        "kind": "github",
        "web_url": "http://127.0.0.1:9",
        "api_url": "http://127.0.0.1:9/api/v3",
        "server": "127.0.0.1:9",
        "owner": "acme",
        "owner_kind": "org",
        "owner_id": "7",
        "secret": encrypt(TOKEN),
        "state": Connection.State.OK,
        "added_at": timezone.now(),
        "polled_at": timezone.now(),
    }
    return Connection.objects.create(**values | fields)


@pytest.fixture
def connected(acme: Repository) -> Connection:
    """The connection that `acme/churn` belongs to."""
    made = make_connection()
    Repository.objects.filter(pk=acme.pk).update(
        connection=made,
        provider="github",
        server=made.server,
        provider_id="1",
        last_crawl_at=timezone.now(),
        checked_at=timezone.now(),
    )
    return made


def add_repository(connection: Connection, name: str, **fields: Any) -> Repository:
    values: dict[str, Any] = {
        "provider": "github",
        "url": f"https://github.com/{name}",
        "server": connection.server,
        "provider_id": name,
        "connection": connection,
        "added_at": timezone.now(),
    }
    return Repository.objects.create(name=name, **values | fields)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitHubServer]:
    """An organisation with two repositories that are taken and a fork that is not."""
    root = tmp_path / "remotes"
    root.mkdir()
    bare = simple_repository(root / "one.git").path
    with serve_github(root) as running:
        running.add_owner("acme")
        running.add_repository("acme/churn", bare)
        running.add_repository("acme/ml-risk", bare)
        running.add_repository("acme/forked", bare, fork=True)
        yield running


def typed(**changes: str) -> dict[str, str]:
    return {
        "owner": "acme",
        "secret": TOKEN,
        "with_archived": "on",
        "with_hooks": "on",
        "way": "api",
    } | changes


# Who may do what ---------------------------------------------------------------------


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


# Adding ------------------------------------------------------------------------------


def test_an_organisation_is_connected_step_by_step(
    alice: Client, server: GitHubServer
) -> None:
    empty = alice.get("/connections").content.decode()
    assert "Nothing is connected yet" in text_of(empty)
    assert "/connections/add/github" in links_of(empty)
    form = typed(address=server.url, secret=server.token)
    response = alice.post("/connections/add/github", form)
    draft = Connection.objects.get()
    assert response["Location"] == f"/connections/{draft.uuid}/review"
    assert (draft.state, draft.added_by) == ("draft", "alice")
    assert secret_of(draft) == server.token

    asked = len(server.requests)
    shell = alice.get(response["Location"]).content.decode()
    assert len(server.requests) == asked
    (trigger,) = [attrs for _, attrs in read(shell).elements if "hx-post" in attrs]
    assert trigger["hx-trigger"].startswith("load")
    assert trigger["action"] == trigger["hx-post"] == response["Location"]

    for headers in ({}, HTMX):
        found = alice.post(response["Location"], headers=headers).content.decode()
        text = text_of(found)
        assert "Connect these 2 repositories" in text
        assert "acme/ml-risk" in text
        assert "acme/forked" in text.split("What is left out")[1]
        assert ("<html" in found) == (headers == {})
        assert server.token not in found

    done = alice.post(f"/connections/{draft.uuid}/connect")
    assert done["Location"] == f"/connections/{draft.uuid}/"
    draft.refresh_from_db()
    assert (draft.state, draft.requested_seq) == ("new", 1)
    page = alice.get(done["Location"]).content.decode()
    assert "Its first look begins in a moment." in text_of(page)
    assert 'hx-trigger="every 2s"' in page


def test_a_pasted_address_of_a_page_is_understood(
    alice: Client, server: GitHubServer
) -> None:
    form = typed(address=f"{server.url}/acme", owner="", secret=server.token)
    assert alice.post("/connections/add/github", form).status_code == 302
    assert Connection.objects.get().owner == "acme"


def test_what_does_not_work_says_why_and_can_be_mended(
    alice: Client, server: GitHubServer
) -> None:
    alice.post("/connections/add/github", typed(address=server.url))
    draft = Connection.objects.get()
    review = f"/connections/{draft.uuid}/review"
    found = alice.post(review, headers=HTMX).content.decode()
    assert "This does not work yet." in text_of(found)
    assert TOKEN not in found
    assert f'action="/connections/{draft.uuid}/edit"' in found
    mended = alice.post(
        f"/connections/{draft.uuid}/edit",
        typed(address=server.url, secret=server.token),
    )
    assert mended["Location"] == review
    assert "Connect these 2" in text_of(alice.post(review).content.decode())


def test_an_empty_token_keeps_the_one_there_is(
    alice: Client, server: GitHubServer
) -> None:
    form = typed(address=server.url, secret=server.token)
    alice.post("/connections/add/github", form)
    draft = Connection.objects.get()
    changed = form | {"secret": "", "include": "ml-*"}
    edit = f"/connections/{draft.uuid}/edit"
    assert alice.post(edit, changed).status_code == 302
    draft.refresh_from_db()
    assert secret_of(draft) == server.token
    review = alice.post(f"/connections/{draft.uuid}/review").content.decode()
    assert "Connect this repository" in text_of(review)
    assert "ml-*" in alice.get(edit).content.decode()


def test_a_draft_is_discarded_with_its_token(alice: Client, db: None) -> None:
    make_connection(state="draft")
    assert alice.get(PAGE)["Location"] == f"{PAGE}review"
    assert alice.post(f"{PAGE}discard")["Location"] == "/connections"
    assert not Connection.objects.exists()


def test_what_is_connected_is_not_discarded_by_an_old_page(
    alice: Client, connected: Connection
) -> None:
    assert alice.post(f"{PAGE}discard")["Location"] == f"{PAGE}remove"
    assert Connection.objects.exists()


def test_an_owner_that_is_connected_already_is_refused_when_it_is_connected(
    alice: Client, connected: Connection
) -> None:
    draft = make_connection(uuid=uuid4(), state="draft")
    response = alice.post(f"/connections/{draft.uuid}/connect", follow=True)
    assert "connected already" in text_of(response.content.decode())
    draft.refresh_from_db()
    assert draft.state == "draft"


@pytest.mark.parametrize(
    ("kind", "changes", "field"),
    [
        ("github", {"owner": ""}, "owner"),
        ("github", {"owner": "a b"}, "owner"),
        ("github", {"owner": "x" * 501}, "owner"),
        ("github", {"address": "ftp://git.example.com"}, "address"),
        ("github", {"address": "https://a:b@git.example.com"}, "address"),
        ("github", {"secret": ""}, "secret"),
        ("github", {"secret": "with space"}, "secret"),
        ("github", {"app_id": "7"}, "app_id"),
        ("github", {"app_id": "7", "secret": ""}, "app_key"),
        ("github", {"app_id": "7", "secret": "", "app_key": "no pem"}, "app_key"),
        ("github", {"secret": "", "app_key": "no pem"}, "app_id"),
        ("github", {"way": "guess"}, "way"),
        ("github", {"include": "ml-\x01"}, "include"),
        ("gitlab", {"owner": ""}, "owner"),
        ("gitlab", {"secret": ""}, "secret"),
    ],
)
def test_bad_input_costs_a_sentence_beside_its_field(
    alice: Client, db: None, kind: str, changes: dict[str, str], field: str
) -> None:
    form = typed(address="https://git.example.com", exclude="*-sandbox") | changes
    response = alice.post(f"/connections/add/{kind}", form)
    assert response.status_code == 422
    html = response.content.decode()
    assert "errorlist" in html.split(f'id="id_{field}"')[1].split("<label")[0]
    assert "*-sandbox" in html  # what was typed is kept
    assert TOKEN not in html  # but no secret
    assert "no pem" not in html
    assert not Connection.objects.exists()


def test_a_change_that_is_refused_changes_nothing(
    alice: Client, connected: Connection
) -> None:
    form = typed(address="ftp://git.example.com", secret="another-canary-31")
    response = alice.post(f"{PAGE}edit", form)
    assert response.status_code == 422
    assert "canary" not in response.content.decode()
    connected.refresh_from_db()
    assert connected.web_url == "http://127.0.0.1:9"
    assert secret_of(connected) == TOKEN


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
    assert names("q=%00") == {"acme/churn", "acme/old", "acme/bad"}


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


# Repositories of a connection --------------------------------------------------------


def test_a_repository_says_how_and_as_of_when_it_was_read(
    bob: Client, connected: Connection, acme: Repository
) -> None:
    Repository.objects.filter(pk=acme.pk).update(
        read_by="mirror", read_by_why="Its tree is cut short.", is_archived=True
    )
    html = bob.get("/repositories/acme/churn/").content.decode()
    text = text_of(html)
    assert "Through a mirror Its tree is cut short." in text
    assert "As of just now" in text
    assert "archived" in text
    assert "Requests" not in text.split("Last crawls")[0]


def test_only_how_it_is_read_can_be_changed(
    alice: Client, connected: Connection, acme: Repository
) -> None:
    html = alice.get("/repositories/acme/churn/-/edit").content.decode()
    assert 'name="url"' not in html
    assert 'name="secret"' not in html
    answer = alice.post(
        "/repositories/acme/churn/-/edit",
        {"way": "mirror", "reading": "", "is_enabled": "on", "url": "https://x.y/z"},
    )
    assert answer.status_code == 302
    url = acme.url
    acme.refresh_from_db()
    assert (acme.way, acme.url, acme.requested_seq) == ("mirror", url, 1)
    bad = alice.post("/repositories/acme/churn/-/edit", {"way": "guess"})
    assert bad.status_code == 422


def test_a_hidden_repository_is_there_for_admins_who_ask(
    alice: Client, bob: Client, connected: Connection
) -> None:
    add_repository(
        connected, "acme/secret", hidden_at=timezone.now(), hidden_why="Made private."
    )
    page = "/repositories/acme/secret/"
    assert page not in links_of(alice.get("/repositories").content.decode())
    asked = alice.get("/repositories?state=hidden").content.decode()
    assert page in links_of(asked)
    assert "Made private." in text_of(asked)
    assert "Hidden just now" in text_of(alice.get(page).content.decode())
    for address in ("/", "/repositories?state=hidden", "/repositories?q=secret"):
        assert "acme/secret" not in bob.get(address).content.decode()
    for address in (page, f"{page}-/status", "/api/v1/repositories/acme/secret"):
        assert bob.get(address).status_code == 404
    assert "secret" not in bob.get("/api/v1/repositories").content.decode()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("/repositories/acme/old/", "/repositories/acme/churn/"),
        ("/repositories/acme/old/?page=2", "/repositories/acme/churn/?page=2"),
        ("/models/acme/old/-/churn", "/models/acme/churn/-/churn"),
        ("/models/acme/old/-/churn@v1.0.0", "/models/acme/churn/-/churn@v1.0.0"),
        ("/history/acme/old/-/churn?size=50", "/history/acme/churn/-/churn?size=50"),
        ("/models/acme/old/-/cv:detector", "/models/acme/churn/-/cv:detector"),
        ("/api/v1/repositories/acme/old", "/api/v1/repositories/acme/churn"),
        ("/api/v1/models/acme/old/-/churn", "/api/v1/models/acme/churn/-/churn"),
    ],
)
def test_a_former_name_leads_on(
    bob: Client, connected: Connection, acme: Repository, old: str, new: str
) -> None:
    FormerName.objects.create(name="acme/old", repository=acme, until=timezone.now())
    answer = bob.get(old)
    assert (answer.status_code, answer["Location"]) == (302, new)
    assert bob.get(new).status_code == 200
    # Another repository has the name now: its page is there, and no model of it.
    add_repository(connected, "acme/old")
    assert bob.get(old).status_code in {200, 404}


def test_a_former_name_tells_strangers_nothing(
    charlie: Client, acme: Repository, closed: None
) -> None:
    FormerName.objects.create(name="acme/old", repository=acme, until=timezone.now())
    answer = charlie.get("/repositories/acme/old/")
    assert answer["Location"].startswith("/login")
    assert charlie.get("/api/v1/repositories/acme/old").status_code == 401


def test_a_former_name_of_a_hidden_repository_is_gone(
    bob: Client, acme: Repository
) -> None:
    FormerName.objects.create(name="acme/old", repository=acme, until=timezone.now())
    Repository.objects.update(hidden_at=timezone.now())
    assert bob.get("/repositories/acme/old/").status_code == 404


# What a provider says ----------------------------------------------------------------


@pytest.mark.parametrize("mark", MARKS)
def test_X1_what_a_provider_says_is_text(
    alice: Client, connected: Connection, mark: str
) -> None:
    Connection.objects.update(
        message=mark,
        state="failing",
        account=mark,
        owner=mark[:200],
        phase=mark[:60],
        web_url="javascript:alert(1)",
        rights=[{"ability": mark, "granted": None, "sentence": mark}],
        include=mark,
        added_by=mark,
    )
    Repository.objects.update(
        message=mark, state="denied", hidden_why=mark, read_by_why=mark
    )
    Hook.objects.create(
        connection=connected,
        secret=encrypt("x"),
        state="refused",
        message=mark,
        last_delivery_at=timezone.now(),
        last_event=mark[:60],
        last_outcome=mark,
    )
    add_repository(connected, "acme/secret", hidden_at=timezone.now(), hidden_why=mark)
    for address in (
        "/connections",
        PAGE,
        f"{PAGE}?state=hidden",
        f"{PAGE}review",
        f"{PAGE}edit",
        f"{PAGE}remove",
        "/repositories?state=hidden",
        "/repositories/acme/churn/",
        "/repositories/acme/secret/",
    ):
        response = alice.get(address)
        assert response.status_code == 200
        html = response.content.decode()
        assert dangers(html) == [], address
        assert not [link for link in links_of(html) if "javascript:" in link.lower()]


@pytest.mark.parametrize("mark", MARKS[:5])
def test_X1_what_would_be_connected_is_text(
    alice: Client, server: GitHubServer, mark: str
) -> None:
    for row in server.rows.values():
        row.description = mark
    form = typed(address=server.url, secret=server.token)
    alice.post("/connections/add/github", form)
    draft = Connection.objects.get()
    html = alice.post(f"/connections/{draft.uuid}/review").content.decode()
    assert "Connect these 2" in text_of(html)
    assert " ".join(mark.split()) in text_of(html)
    assert dangers(html) == []
