"""A connection that is changed or removed while its provider is being asked: what was
learnt of the old server must not be written to the new one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection as database

from indexer import connections, polling, turns
from indexer.connections import Wish
from indexer.models import Connection, Hook, Repository
from indexer.providers.errors import AddressRefused
from indexer.providers.registry import host_for
from indexer.repositories import remove_repository
from tests.connecting import Acme
from tests.providers.github_server import GitHubServer, serve_github
from tests.providers.wire import reply, wire

pytestmark = pytest.mark.django_db(transaction=True)

NEW_TOKEN = "ghp_CANARYofTheOtherServer0123456789"


@pytest.fixture
def other(tmp_path: Path) -> Iterator[GitHubServer]:
    root = tmp_path / "other"
    root.mkdir()
    with serve_github(root) as running:
        running.add_owner("acme")
        yield running


def wish(server: GitHubServer, **changes: Any) -> Wish:
    fields = {"address": server.url, "owner": "acme", "secret": NEW_TOKEN}
    return Wish(kind="github", **{**fields, **changes})


def moved_to(pk: int, server: GitHubServer) -> Callable[[], None]:
    def move() -> None:
        connections.change_connection(Connection.objects.get(pk=pk), wish(server))
        database.close()  # of this thread, which is the server's

    return move


@pytest.mark.parametrize("part", ["/api/v3/meta", "/orgs/acme", "/user"])
def test_K5_a_test_that_ends_late_leaves_the_new_server_alone(
    acme: Acme, other: GitHubServer, part: str
) -> None:
    """S6: the token of the new server must not go to the old one."""
    acme.add("churn")
    draft = connections.draft_connection(wish(acme.server, secret=acme.server.token))
    fault = acme.server.fault(part, before=moved_to(draft.pk, other))
    connections.test_connection(draft)
    assert fault.hits
    row = Connection.objects.get(pk=draft.pk)
    assert row.web_url == other.url
    assert row.api_url == f"{other.url}/api/v3"
    assert (row.owner_id, row.account, row.tested_at) == ("", "", None)
    asked = len(acme.server.requests)
    connections.test_connection(row)
    assert len(acme.server.requests) == asked, "the old server is asked no more"


def test_K5_no_token_goes_to_an_api_that_is_not_of_its_server(acme: Acme) -> None:
    """S4, S6: whatever wrote it into the row."""
    connection = acme.connect()
    with wire() as evil:
        evil.say(reply(b"{}"))
        Connection.objects.filter(pk=connection.pk).update(api_url=evil.url)
        connection.refresh_from_db()
        with pytest.raises(AddressRefused):
            host_for(connection)
        assert not connections.test_connection(connection).works
        assert not evil.asked


def test_Z7_a_look_at_the_old_server_writes_nothing_to_the_new_one(
    acme: Acme, other: GitHubServer
) -> None:
    acme.add("churn")
    connection = acme.connect()
    fault = acme.server.fault("/repos?", before=moved_to(connection.pk, other))
    polling.poll(connection.pk)
    assert fault.hits
    row = Connection.objects.get(pk=connection.pk)
    assert (row.web_url, row.owner_id, row.discovered_at) == (other.url, "", None)
    assert (row.state, row.lease_id) == (Connection.State.NEW, None)
    assert not Repository.objects.exists(), "those are of the old server"
    assert not Hook.objects.exists()


@pytest.mark.parametrize("part", ["/repos?", "/hooks"])
@pytest.mark.parametrize("with_repositories", [False, True])
def test_F_C1_a_connection_may_be_removed_during_a_look_at_it(
    acme: Acme,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
    part: str,
    with_repositories: bool,
) -> None:
    settings.MUSTER_PUBLIC_URL = "https://muster.example.com"
    acme.add("churn")
    connection = acme.connect()

    def remove() -> None:
        connections.remove_connection(
            Connection.objects.get(pk=connection.pk),
            with_repositories=with_repositories,
        )
        database.close()

    fault = acme.server.fault(part, before=remove)
    polling.poll(connection.pk)
    assert fault.hits
    assert not Connection.objects.exists()
    assert not Hook.objects.exists()
    assert not acme.server.hooks, "none is made that nobody knows"
    assert not [each for each in caplog.records if each.levelname == "ERROR"]


def test_F_P1_a_repository_may_be_removed_while_its_crawl_meets_a_limit(
    acme: Acme, caplog: pytest.LogCaptureFixture
) -> None:
    acme.add("churn")
    connection = acme.connect()
    polling.poll(connection.pk)

    def remove() -> None:
        remove_repository(Repository.objects.get())
        database.close()

    wait = {"Retry-After": "60"}
    fault = acme.server.fault("/graphql", before=remove, status=429, headers=wait)
    turns.crawl_owed()
    assert fault.hits
    assert not Repository.objects.exists()
    assert not [each for each in caplog.records if each.levelname == "ERROR"]
