"""What a person is told of webhooks: how to make one by hand, and how they are; and the
same at GitLab."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from indexer import hooks
from indexer.crypto import decrypt
from indexer.hook_facts import hook_state, instructions
from indexer.models import Hook, Repository
from indexer.providers.registry import host_for
from tests.hooks.deliveries import (
    deliver,
    deliver_gitlab,
    example,
    gitlab_push,
    make_connected,
    make_connection,
)
from tests.hooks.servers import (
    PUBLIC,
    connected,
    connected_group,
    ensure,
    requests_of,
    use_token,
)
from tests.providers.github_server import GitHubServer
from tests.providers.gitlab_server import GitLabServer

pytestmark = pytest.mark.django_db

# By hand -----------------------------------------------------------------------------


def test_without_any_right_a_person_is_told(server: GitHubServer) -> None:
    connection = connected(server, 9)
    use_token(server, connection, "public_repo")
    ensure(connection)
    assert not server.hooks
    assert not requests_of(server, "POST")
    assert len(requests_of(server, "GET")) == 1 + hooks.REFUSALS
    state = hook_state(connection)
    assert state.state == Hook.State.MANUAL
    assert "admin:org_hook" in state.sentence
    use_token(server, connection, "admin:org_hook")
    ensure(connection)
    assert hook_state(connection).state == Hook.State.MADE


def test_one_made_by_hand_is_enough(server: GitHubServer, client: Client) -> None:
    connection = connected(server, 2)
    use_token(server, connection, "public_repo")
    ensure(connection)
    row = Hook.objects.get(repository=None)
    deliver(client, row, "ping", {}, secret=instructions(row).secret)
    use_token(server, connection, "repo")
    ensure(connection)
    assert not server.hooks
    assert "tells Muster of changes" in hook_state(connection).sentence
    assert hooks.is_healthy(connection)


@pytest.mark.parametrize(
    ("url", "is_private_allowed", "said"),
    [
        ("", True, "set MUSTER_PUBLIC_URL"),
        ("muster.example.org", True, "set MUSTER_PUBLIC_URL"),
        ("http://muster.example.org", False, "https://"),
        ("ftp://muster.example.org", True, "https://"),
        ("http://127.0.0.1:8000", True, ""),
    ],
)
def test_an_address_that_a_provider_can_reach_is_needed(
    server: GitHubServer,
    settings: Any,
    url: str,
    is_private_allowed: bool,
    said: str,
) -> None:
    connection = connected(server)
    host = host_for(connection)
    settings.MUSTER_PUBLIC_URL = url
    settings.MUSTER_ALLOW_PRIVATE = is_private_allowed
    if not said:
        hooks.ensure_hooks(connection, host)
        assert len(server.hooks) == 1
        return
    hooks.ensure_hooks(connection, host)
    state = hook_state(connection)
    assert state.state == Hook.State.MANUAL
    assert said in state.sentence
    assert not server.requests


def test_who_wants_none_gets_none(server: GitHubServer) -> None:
    connection = connected(server, with_hooks=False)
    ensure(connection)
    assert not server.requests
    assert hook_state(connection).state == Hook.State.MANUAL


@pytest.mark.parametrize(
    ("fields", "page"),
    [
        ({}, "https://github.com/organizations/acme/settings/hooks/new"),
        ({"owner_kind": "user"}, ""),
        (
            {"credential": "app", "app_id": "1"},
            "https://github.com/organizations/acme/settings/apps",
        ),
        (
            {"credential": "app", "owner_kind": "user"},
            "https://github.com/settings/apps",
        ),
        (
            {"kind": "gitlab", "owner": "acme/ml"},
            "https://gitlab.com/groups/acme/ml/-/hooks",
        ),
        ({"kind": "gitlab", "owner_kind": "user"}, ""),
    ],
)
def test_it_says_what_to_type_where(
    reachable: None, fields: dict[str, str], page: str
) -> None:
    connection = make_connection(**fields)
    hook = hooks.owner_hook(connection)
    told = instructions(hook)
    assert told.page == page
    assert told.address == f"{PUBLIC}/hooks/{connection.kind}/{hook.uuid}"
    assert told.secret == decrypt(hook.secret)
    assert told.secret not in repr(told)
    assert told.events
    own = Hook(connection=connection, secret=hook.secret)
    own.repository = make_connected(connection, "9", "acme/one")
    ending = "-/hooks" if connection.kind == "gitlab" else "settings/hooks/new"
    assert instructions(own).page.endswith(f"/acme/one/{ending}")


# Showing and trusting ----------------------------------------------------------------


def test_a_webhook_is_trusted_once_something_came(
    server: GitHubServer, client: Client
) -> None:
    connection = connected(server)
    assert not hooks.is_healthy(connection)
    ensure(connection)
    assert not hooks.is_healthy(connection)
    assert "nothing has come yet" in hook_state(connection).sentence
    row = Hook.objects.get()
    deliver(client, row, "push", example("push.1"), secret=decrypt(row.secret))
    assert hooks.is_healthy(connection)
    state = hook_state(connection)
    assert state.last_event == "push"
    assert state.last_delivery_at is not None
    long_ago = timezone.now() - timedelta(days=8)
    Hook.objects.update(last_delivery_at=long_ago, checked_at=long_ago)
    assert not hooks.is_healthy(connection)
    ensure(connection)  # nothing is pushed, and the webhook is there
    assert hooks.is_healthy(connection)


def test_those_of_repositories_are_trusted_when_none_is_missing(
    server: GitHubServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "MADE_AT_ONCE", 2)
    connection = connected(server, 3)
    use_token(server, connection, "repo")
    ensure(connection)
    row = Hook.objects.exclude(repository=None).first()
    assert row is not None
    deliver(client, row, "ping", {}, secret=decrypt(row.secret))
    assert not hooks.is_healthy(connection)
    ensure(connection)
    assert hooks.is_healthy(connection)
    assert "3 repositories" in hook_state(connection).sentence


def test_all_are_removed_when_a_connection_goes(server: GitHubServer) -> None:
    connection = connected(server, 3)
    use_token(server, connection, "repo")
    ensure(connection)
    assert len(server.hooks) == 3
    server.delete("acme/model-001")
    hooks.remove_hooks(connection, host_for(connection))
    gone = Repository.objects.get(name="acme/model-001").provider_id
    assert [str(hook.repository) for hook in server.hooks.values()] == [gone]


@pytest.mark.parametrize("status", [403, 404, 500])
def test_removing_never_fails(server: GitHubServer, status: int) -> None:
    connection = connected(server)
    ensure(connection)
    server.fault("DELETE", status=status, times=None)
    hooks.remove_hooks(connection, host_for(connection))
    server.tokens.clear()
    hooks.remove_hooks(connection, host_for(connection))


# GitLab ------------------------------------------------------------------------------


def test_a_group_gets_one_webhook_whose_deliveries_are_let_in(
    gitlab_server: GitLabServer, client: Client
) -> None:
    connection = connected_group(gitlab_server)
    for _ in range(2):
        ensure(connection)
    ((kind, _), (made,)) = next(iter(gitlab_server.hooks.items()))
    assert kind == "group"
    assert made["push_events"]
    assert made["tag_push_events"]
    row = Hook.objects.get()
    assert made["url"] == f"{PUBLIC}/hooks/gitlab/{row.uuid}"
    token = gitlab_server.secrets[str(made["id"])]
    one = connection.repositories.get(name="acme/one")
    payload = gitlab_push(int(one.provider_id))
    for is_signed in (False, True):
        response = deliver_gitlab(
            client, row, "Push Hook", payload, secret=token, is_signed=is_signed
        )
        assert response.content == b"push: crawl asked for\n"


def test_where_groups_have_none_each_repository_gets_one(
    gitlab_server: GitLabServer,
) -> None:
    gitlab_server.has_group_hooks = False
    connection = connected_group(gitlab_server)
    for _ in range(2):
        ensure(connection)
    assert {kind for kind, _ in gitlab_server.hooks} == {"project"}
    assert [len(found) for found in gitlab_server.hooks.values()] == [1, 1]
    assert hook_state(connection).in_repositories == 2
    hooks.remove_hooks(connection, host_for(connection))
    assert not any(gitlab_server.hooks.values())
