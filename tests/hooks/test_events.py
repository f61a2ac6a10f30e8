"""What comes of each event: a crawl, a look at all repositories, or nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from indexer.models import Connection, Crawl, Hook, Repository
from tests.hooks.deliveries import (
    HELLO_WORLD,
    SIGNING_SECRET,
    crawls_of,
    deliver,
    deliver_gitlab,
    example,
    gitlab_push,
    looks_at,
)

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "name", ["push.1", "push.5", "create.1", "create.5", "delete.1", "delete.4"]
)
def test_a_change_of_refs_asks_for_a_crawl_and_writes_nothing_else(
    client: Client, hook: Hook, churn: Repository, name: str
) -> None:
    """W3: the payload is a hint."""
    kept = {"requested_seq", "requested_trigger", "enqueued_at"}
    before: dict[str, Any] = dict(Repository.objects.values().get(pk=churn.pk))
    response = deliver(client, hook, name.split(".")[0], example(name))
    assert response.content.decode().strip().endswith("crawl asked for")
    after: dict[str, Any] = dict(Repository.objects.values().get(pk=churn.pk))
    assert {key for key in before if before[key] != after[key]} <= kept
    assert after["requested_seq"] == before["requested_seq"] + 1
    assert after["requested_trigger"] == Crawl.Trigger.HOOK
    hook.refresh_from_db()
    assert hook.last_event == name.split(".")[0]
    assert hook.last_outcome == response.content.decode().strip()
    assert hook.last_delivery_at is not None


@pytest.mark.parametrize(
    ("ref", "default", "expected"),
    [
        ("refs/heads/feature", "master", 0),
        ("refs/heads/master", "master", 1),
        ("refs/heads/master", "old", 1),
        ("refs/heads/old", "old", 1),
        ("refs/heads/feature", "", 1),
        ("refs/tags/feature", "master", 1),
        ("refs/heads/refs/heads/master", "master", 0),
    ],
)
def test_a_branch_that_is_not_read_asks_for_nothing(
    client: Client, hook: Hook, churn: Repository, ref: str, default: str, expected: int
) -> None:
    Repository.objects.filter(pk=churn.pk).update(default_branch=default)
    assert deliver(client, hook, "push", example("push.5") | {"ref": ref})
    assert crawls_of(churn) == expected


@pytest.mark.parametrize(
    "name",
    [
        "repository.created.1",
        "repository.deleted.1",
        "repository.edited.1",
        "repository.privatized.2",
        "repository.publicized.3",
        "repository.renamed.1",
        "repository.transferred.3",
        "installation.created.1",
        "installation.deleted.1",
        "installation.suspend.1",
        "installation_repositories.added.1",
        "installation_repositories.removed.1",
    ],
)
def test_what_happens_to_repositories_asks_for_a_look_at_all(
    client: Client, hook: Hook, github: Connection, name: str
) -> None:
    response = deliver(client, hook, name.split(".")[0], example(name))
    assert b"a look at all repositories asked for" in response.content
    assert looks_at(github) == 1


@pytest.mark.parametrize("action", ["archived", "unarchived"])
def test_archiving_asks_for_a_look_at_all(
    client: Client, hook: Hook, github: Connection, action: str
) -> None:
    payload = example("repository.edited.1") | {"action": action}
    deliver(client, hook, "repository", payload)
    assert looks_at(github) == 1


def test_a_renamed_organisation_asks_for_a_look_at_all(
    client: Client, hook: Hook, github: Connection
) -> None:
    payload = {"action": "renamed", "organization": {"id": 1}}
    deliver(client, hook, "organization", payload)
    assert looks_at(github) == 1


def test_an_app_hears_of_its_own_installation(
    client: Client, github: Connection, hook: Hook
) -> None:
    payload = example("installation_repositories.added.1")
    Connection.objects.filter(pk=github.pk).update(installation_id="1")
    deliver(client, hook, "installation_repositories", payload)
    assert looks_at(github) == 0
    own = str(payload["installation"]["id"])
    Connection.objects.filter(pk=github.pk).update(installation_id=own)
    deliver(client, hook, "installation_repositories", payload)
    assert looks_at(github) == 1


@pytest.mark.parametrize("name", ["ping.1", "ping.4"])
def test_a_ping_is_noted_and_asks_for_nothing(
    client: Client, hook: Hook, github: Connection, churn: Repository, name: str
) -> None:
    response = deliver(client, hook, "ping", example(name))
    assert response.status_code == 202
    assert response.content == b"ping: nothing to do\n"
    assert (crawls_of(churn), looks_at(github)) == (0, 0)
    hook.refresh_from_db()
    assert hook.last_event == "ping"


@pytest.mark.parametrize("event", ["member", "membership", "team", "star", "issues"])
def test_what_does_not_concern_us_is_noted_and_asks_for_nothing(
    client: Client, hook: Hook, github: Connection, churn: Repository, event: str
) -> None:
    payload = {"action": "added", "repository": {"id": int(HELLO_WORLD)}}
    response = deliver(client, hook, event, payload)
    assert response.content == f"{event} added: nothing to do\n".encode()
    assert (crawls_of(churn), looks_at(github)) == (0, 0)


def test_a_push_to_what_we_do_not_know_asks_for_a_look_unless_there_was_one(
    client: Client, github: Connection, hook: Hook
) -> None:
    payload = example("push.1")
    payload["repository"]["id"] = 4711
    deliver(client, hook, "push", payload)
    assert looks_at(github) == 0
    github.discovered_at = timezone.now() - timedelta(minutes=11)
    github.save(update_fields=["discovered_at"])
    deliver(client, hook, "push", payload)
    assert looks_at(github) == 1


def test_a_hidden_repository_is_looked_for_and_a_switched_off_one_let_be(
    client: Client, github: Connection, hook: Hook, churn: Repository
) -> None:
    Repository.objects.filter(pk=churn.pk).update(hidden_at=timezone.now())
    deliver(client, hook, "push", example("push.1"))
    assert (crawls_of(churn), looks_at(github)) == (0, 1)
    Repository.objects.filter(pk=churn.pk).update(hidden_at=None, is_enabled=False)
    deliver(client, hook, "push", example("push.1"))
    assert (crawls_of(churn), looks_at(github)) == (0, 1)


def test_a_connection_that_is_switched_off_is_told_nothing(
    client: Client, github: Connection, hook: Hook, churn: Repository
) -> None:
    Connection.objects.filter(pk=github.pk).update(is_enabled=False)
    response = deliver(client, hook, "push", example("push.1"))
    assert b"switched off" in response.content
    assert crawls_of(churn) == 0


def test_a_deleted_webhook_is_to_be_made_again(client: Client, hook: Hook) -> None:
    deliver(client, hook, "meta", {"action": "deleted", "hook_id": 999_999})
    hook.refresh_from_db()
    assert hook.state == Hook.State.MADE
    payload = {"action": "deleted", "hook_id": int(hook.remote_id)}
    deliver(client, hook, "meta", payload)
    hook.refresh_from_db()
    assert (hook.state, hook.remote_id) == (Hook.State.WANTED, "")


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        ("Push Hook", gitlab_push()),
        ("Push Hook", gitlab_push(after="0" * 40)),
        ("Push Hook", gitlab_push(project=None)),
        (
            "Tag Push Hook",
            gitlab_push(
                object_kind="tag_push", event_name="tag_push", ref="refs/tags/a@v1"
            ),
        ),
        (
            "Tag Push Hook",
            gitlab_push(
                object_kind="tag_push",
                event_name="tag_push",
                ref="refs/tags/a@v1",
                after="0" * 40,
            ),
        ),
    ],
)
def test_W2_a_push_at_gitlab_asks_for_a_crawl(
    client: Client, gitlab_hook: Hook, event: str, payload: dict[str, Any]
) -> None:
    deliver_gitlab(client, gitlab_hook, event, payload, secret=SIGNING_SECRET)
    assert crawls_of(Repository.objects.get()) == 1


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ("Project Hook", "project_create"),
        ("Project Hook", "project_destroy"),
        ("System Hook", "project_rename"),
        ("System Hook", "project_transfer"),
        ("System Hook", "project_update"),
        ("Subgroup Hook", "subgroup_create"),
        ("Subgroup Hook", "subgroup_destroy"),
    ],
)
def test_what_happens_to_projects_asks_for_a_look_at_all(
    client: Client, gitlab: Connection, gitlab_hook: Hook, event: str, name: str
) -> None:
    payload = {"event_name": name, "project_id": 22, "path": "churn"}
    deliver_gitlab(client, gitlab_hook, event, payload, secret=SIGNING_SECRET)
    assert looks_at(gitlab) == 1


def test_gitlabs_other_events_are_ignored(
    client: Client, gitlab: Connection, gitlab_hook: Hook
) -> None:
    for event, kind in (("Issue Hook", "issue"), ("Member Hook", "member")):
        payload = {"object_kind": kind, "project": {"id": 15}}
        response = deliver_gitlab(
            client, gitlab_hook, event, payload, secret=SIGNING_SECRET
        )
        assert response.content == f"{kind}: nothing to do\n".encode()
    assert (crawls_of(Repository.objects.get()), looks_at(gitlab)) == (0, 0)
