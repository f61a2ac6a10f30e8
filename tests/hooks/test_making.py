"""Webhooks are made at the provider, kept, and made again when they vanish."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from indexer import hooks
from indexer.crypto import decrypt
from indexer.hook_facts import hook_state
from indexer.models import Connection, Hook
from indexer.providers.registry import host_for
from tests.hooks.deliveries import (
    deliver,
)
from tests.hooks.servers import (
    PUBLIC,
    connected,
    ensure,
    requests_of,
    use_token,
)
from tests.providers.github_server import GitHubServer

pytestmark = pytest.mark.django_db

# One for the whole organisation ------------------------------------------------------


def test_an_organisation_gets_one_webhook(server: GitHubServer) -> None:
    connection = connected(server, 3)
    ensure(connection)
    (made,) = server.hooks.values()
    row = Hook.objects.get()
    assert made.owner == "acme"
    assert made.url == f"{PUBLIC}/hooks/github/{row.uuid}"
    assert made.content_type == "json"
    assert {"push", "create", "delete", "repository"} <= set(made.events)
    assert (row.state, row.remote_id, row.message) == ("made", str(made.id), "")
    assert made.secret == decrypt(row.secret)
    assert len(made.secret) > 40
    assert made.secret not in row.secret


def test_its_deliveries_are_let_in(server: GitHubServer, client: Client) -> None:
    ensure(connected(server))
    (made,) = server.hooks.values()
    row = Hook.objects.get()
    assert deliver(client, row, "ping", {}, secret=made.secret).status_code == 202


def test_one_that_is_there_is_kept(server: GitHubServer) -> None:
    connection = connected(server)
    for _ in range(3):
        ensure(connection)
    assert len(requests_of(server, "POST")) == 1
    assert len(requests_of(server, "GET")) == 3
    assert len(server.hooks) == 1


def test_another_ones_webhook_is_left_alone(server: GitHubServer) -> None:
    connection = connected(server)
    ensure(connection)
    (ours,) = server.hooks.values()
    Hook.objects.all().delete()  # of another Muster, or an older one
    ensure(connection)
    assert ours.id in server.hooks
    assert len(server.hooks) == 2


def test_one_that_vanished_is_made_again(server: GitHubServer) -> None:
    connection = connected(server)
    ensure(connection)
    uuid = Hook.objects.get().uuid
    server.hooks.clear()
    ensure(connection)
    (made,) = server.hooks.values()
    row = Hook.objects.get()
    assert (row.uuid, row.remote_id) == (uuid, str(made.id))


def test_one_that_was_switched_off_is_made_anew(server: GitHubServer) -> None:
    connection = connected(server)
    ensure(connection)
    (old,) = server.hooks.values()
    old.is_active = False
    ensure(connection)
    (made,) = server.hooks.values()
    assert made.is_active
    assert made.id != old.id
    assert Hook.objects.get().remote_id == str(made.id)


def test_one_that_leads_to_an_old_address_is_made_anew(
    server: GitHubServer, settings: Any
) -> None:
    connection = connected(server)
    ensure(connection)
    settings.MUSTER_PUBLIC_URL = "https://models.example.org/muster"
    ensure(connection)
    (made,) = server.hooks.values()
    row = Hook.objects.get()
    assert made.url == f"https://models.example.org/muster/hooks/github/{row.uuid}"


def test_F_P_a_lost_answer_makes_no_second_webhook(server: GitHubServer) -> None:
    connection = connected(server)
    server.fault("POST /api/v3/orgs/acme/hooks", eat_reply=True)
    ensure(connection)
    assert Hook.objects.get().state == Hook.State.WANTED
    assert len(server.hooks) == 1
    ensure(connection)
    (made,) = server.hooks.values()
    row = Hook.objects.get()
    assert (row.state, row.remote_id) == (Hook.State.MADE, str(made.id))
    assert len(requests_of(server, "POST")) == 1


def test_of_two_of_ours_one_stays(server: GitHubServer) -> None:
    connection = connected(server)
    ensure(connection)
    (made,) = server.hooks.values()
    twin = type(made)(4711, made.url, made.secret, ["push"], owner="acme")
    server.hooks[twin.id] = twin
    ensure(connection)
    assert list(server.hooks) == [made.id]


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_F_P_nothing_is_concluded_from_a_fault(
    server: GitHubServer, status: int
) -> None:
    connection = connected(server)
    ensure(connection)
    before = Hook.objects.values().get()
    server.fault("GET /api/v3/orgs/acme/hooks", status=status, times=None)
    ensure(connection)
    assert Hook.objects.values().get() == before
    assert len(requests_of(server, "POST")) == 1


def test_a_token_that_is_refused_changes_nothing(server: GitHubServer) -> None:
    connection = connected(server)
    ensure(connection)
    before = Hook.objects.values().get()
    server.tokens.clear()
    ensure(connection)
    assert Hook.objects.values().get() == before


# One for each repository -------------------------------------------------------------


def test_without_the_right_for_the_organisation_each_repository_gets_one(
    server: GitHubServer,
) -> None:
    connection = connected(server, 3)
    use_token(server, connection, "repo")
    ensure(connection)
    assert {hook.repository for hook in server.hooks.values()} == set(server.rows)
    rows = Hook.objects.exclude(repository=None)
    assert {row.state for row in rows} == {Hook.State.MADE}
    assert len({decrypt(row.secret) for row in rows}) == 3
    state = hook_state(connection)
    assert (state.state, state.in_repositories) == (Hook.State.MADE, 3)
    count = len(requests_of(server, "GET"))
    ensure(connection)  # they were looked at a moment ago
    assert len(requests_of(server, "GET")) == count + 1
    assert len(server.hooks) == 3


def test_a_users_repositories_get_one_each(server: GitHubServer) -> None:
    connection = connected(server, 2, owner_kind="user")
    ensure(connection)
    assert len(server.hooks) == 2
    assert all(hook.repository for hook in server.hooks.values())


def test_archived_hidden_and_switched_off_ones_get_none(server: GitHubServer) -> None:
    connection = connected(server, 4)
    use_token(server, connection, "repo")
    rows = list(connection.repositories.order_by("pk"))
    own = connection.repositories
    own.filter(pk=rows[0].pk).update(is_archived=True)
    own.filter(pk=rows[1].pk).update(hidden_at=timezone.now())
    own.filter(pk=rows[2].pk).update(is_enabled=False)
    ensure(connection)
    assert [str(hook.repository) for hook in server.hooks.values()] == [
        rows[3].provider_id
    ]


def test_many_are_made_in_several_rounds_each_once(
    server: GitHubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider takes only so many new things at once."""
    monkeypatch.setattr(hooks, "MADE_AT_ONCE", 4)
    connection = connected(server, 10)
    use_token(server, connection, "repo")
    counts = []
    for _ in range(4):
        ensure(connection)
        counts.append(len(server.hooks))
    assert counts == [4, 8, 10, 10]
    assert len(requests_of(server, "POST")) == 10


def test_a_vanished_one_of_a_repository_is_made_again_within_a_day(
    server: GitHubServer,
) -> None:
    connection = connected(server, 2)
    use_token(server, connection, "repo")
    ensure(connection)
    server.hooks.clear()
    ensure(connection)
    assert not server.hooks
    Hook.objects.update(checked_at=timezone.now() - timedelta(hours=25))
    ensure(connection)
    assert len(server.hooks) == 2


def test_when_the_organisation_gets_its_own_those_of_repositories_go(
    server: GitHubServer,
) -> None:
    connection = connected(server, 3)
    use_token(server, connection, "repo")
    ensure(connection)
    use_token(server, connection, "repo", "admin:org_hook")
    ensure(connection)
    (made,) = server.hooks.values()
    assert made.owner == "acme"
    assert Hook.objects.get().repository is None


def test_F_P_one_that_fails_stops_no_other(server: GitHubServer) -> None:
    connection = connected(server, 5)
    use_token(server, connection, "repo")
    server.fault("POST /api/v3/repos/acme/model-001/", status=500, times=None)
    server.fault("GET /api/v3/repos/acme/model-003/", truncate=1, times=None)
    for _ in range(2):
        ensure(connection)
    assert len(server.hooks) == 3
    server.faults.clear()
    ensure(connection)
    assert len(server.hooks) == 5


def test_F_P_a_server_that_is_down_is_left_alone(server: GitHubServer) -> None:
    connection = connected(server, 9)
    use_token(server, connection, "repo")
    server.fault("/repos/acme/", status=503, times=None)
    ensure(connection)
    assert len(requests_of(server, "GET")) == 1 + hooks.FAILURES


def test_F_P_a_rate_limit_ends_the_round(server: GitHubServer) -> None:
    connection = connected(server, 9)
    use_token(server, connection, "repo")
    server.secondary_limit("GET /api/v3/repos/acme/", after=2)
    ensure(connection)
    assert len(server.hooks) == 2
    assert len(requests_of(server, "GET")) == 1 + 3


def test_an_apps_webhook_is_asked_for_where_the_app_may_make_none(
    server: GitHubServer,
) -> None:
    connection = connected(server, 2)
    use_token(server, connection, "repo")
    connection.credential = Connection.Credential.APP
    host = host_for(Connection.objects.get())
    hooks.ensure_hooks(connection, host)
    assert not server.hooks
    assert hook_state(connection).state == Hook.State.MANUAL
    assert "GitHub App" in hook_state(connection).sentence
