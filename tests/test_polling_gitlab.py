"""A GitLab group, connected: sub-groups, and what its last activity does not say."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from indexer import connections, polling, turns
from indexer.connections import Wish
from indexer.ingest import LeaseLost
from indexer.models import Artifact, Connection, Event, Hook, Repository, Snapshot
from tests.connecting import looked_at, names
from tests.providers.gitlab_server import GitLabServer, serve_gitlab
from tests.providers.raw_repository import RawRepository, simple_repository

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_site")]


@pytest.fixture
def remote(tmp_path: Path) -> RawRepository:
    return simple_repository(tmp_path / "churn.git")


@pytest.fixture
def gitlab(tmp_path: Path, remote: RawRepository) -> Iterator[GitLabServer]:
    root = tmp_path / "served"
    root.mkdir()
    with serve_gitlab(root) as server:
        server.add_owner("acme")
        server.add_owner("acme/ml")
        server.add_repository("acme/ml/churn", remote.path)
        server.add_repository("acme/web", simple_repository(tmp_path / "web.git").path)
        yield server


def filled(gitlab: GitLabServer, **changes: Any) -> Connection:
    wish = Wish(
        kind="gitlab",
        address=gitlab.url,
        owner="acme",
        secret=gitlab.token,
        with_hooks=False,
        **changes,
    )
    draft = connections.draft_connection(wish)
    findings = connections.test_connection(draft)
    assert findings.works, findings.sentence
    connections.connect(draft)
    looked_at(draft)
    turns.crawl_owed()
    draft.refresh_from_db()
    return draft


def test_a_group_fills_the_catalog(gitlab: GitLabServer) -> None:
    connection = filled(gitlab)
    assert (connection.state, connection.owner_kind) == ("ok", "group")
    assert names() == ["acme/ml/churn", "acme/web"]
    row = Repository.objects.get(name="acme/ml/churn")
    assert row.state == Repository.State.OK, row.message
    assert (row.provider, row.read_by) == ("gitlab", "api")
    assert Artifact.objects.count() == 2


def test_sub_groups_may_be_left_out(gitlab: GitLabServer) -> None:
    connection = filled(gitlab)
    Connection.objects.update(with_subgroups=False)
    looked_at(connection, whole=True)
    assert names() == ["acme/web"]
    assert "sub-group" in Repository.objects.get(path="acme/ml/churn").hidden_why


def test_a_push_that_moved_no_activity_is_seen_by_every_third_poll(
    gitlab: GitLabServer, remote: RawRepository, settings: Any
) -> None:
    connection = looked_at(filled(gitlab))
    events = Event.objects.count()
    remote.version("churn@v9.0.0", remote.refs[b"refs/heads/main"])
    remote.finish()
    looked_at(connection)
    assert turns.plan() == [], "a hint is all that GitLab gives"
    earlier = timezone.now() - 3 * settings.MUSTER_POLL_INTERVAL
    Repository.objects.update(checked_at=earlier)
    hook = Hook.objects.get_or_create(connection=connection, repository=None)[0]
    Hook.objects.update(last_delivery_at=timezone.now())
    looked_at(connection)
    assert turns.plan() == [], "a webhook would have told"
    Hook.objects.filter(pk=hook.pk).update(last_delivery_at=None)
    looked_at(connection)
    assert turns.crawl_owed() == 1
    assert Event.objects.count() == events + 1
    web = Repository.objects.get(name="acme/web")
    assert web.checked_at is not None
    assert web.checked_at > earlier


def test_a_push_to_another_branch_is_kept_without_a_crawl(
    gitlab: GitLabServer, remote: RawRepository
) -> None:
    connection = filled(gitlab)
    remote.refs[b"refs/heads/new"] = remote.refs[b"refs/heads/main"]
    remote.finish()
    Repository.objects.update(checked_at=None)
    gitlab.requests.clear()
    looked_at(connection)
    assert turns.plan() == []
    kept = Snapshot.objects.get(repository__name="acme/ml/churn")
    assert set(kept.branches) == {"main", "new"}
    assert gitlab.count("/api/v4") == 1, "what had activity"


def test_a_renamed_group_s_repositories_keep_their_rows(gitlab: GitLabServer) -> None:
    connection = filled(gitlab)
    before = dict(Repository.objects.values_list("provider_id", "pk"))
    gitlab.rename("acme/web", "site")
    looked_at(connection, whole=True)
    assert names() == ["acme/ml/churn", "acme/site"]
    assert dict(Repository.objects.values_list("provider_id", "pk")) == before


def test_a_lost_lease_ends_a_look(gitlab: GitLabServer) -> None:
    connection = filled(gitlab)
    Connection.objects.update(next_poll_at=None)
    lease = polling._claim(connection.pk)
    assert lease is not None
    Connection.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert polling.poll(connection.pk)
    with pytest.raises(LeaseLost):
        polling._poll(lease)
    polling._fail(lease, RuntimeError())
    connection.refresh_from_db()
    assert connection.state == Connection.State.OK
