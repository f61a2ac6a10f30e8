"""A connected group whose GitLab lets nobody read over Git, and then does."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from indexer import connections, polling, turns, wakeup
from indexer.connections import Wish
from indexer.models import Connection, Repository, Tag
from indexer.providers.gitlab.reader import UNTOLD
from tests.providers.gitlab_server import GitLabServer
from tests.providers.raw_repository import WHEN, simple_repository

pytestmark = pytest.mark.django_db


def test_taggers_are_filled_in_once_git_is_open(
    gitlab: GitLabServer,
    settings: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.MUSTER_DATA = tmp_path / "data"
    settings.MUSTER_ALLOW_PRIVATE = True
    monkeypatch.setattr(wakeup, "wake", lambda *_: None)
    repository = simple_repository(gitlab.root / "repo", tags=2)
    head = repository.refs[b"refs/heads/main"]
    name = b"churn#prod#1"
    bob = b"Bob Stranger <bob@example.com> %d +0200" % WHEN
    repository.tag(name, repository.tag_body(head, name, tagger=bob))
    repository.finish()
    gitlab.add_repository("acme/churn", repository.path)
    gitlab.git_enabled = False

    wish = Wish(
        kind="gitlab",
        address=gitlab.url,
        owner="acme",
        secret=gitlab.token,
        with_hooks=False,
    )
    connection = connections.draft_connection(wish)
    connections.connect(connection)
    polling.poll(connection.pk)
    turns.crawl_owed()
    row = Repository.objects.get(path="acme/churn")
    assert row.state == Repository.State.OK, row.message
    assert (row.read_by, "refused" in row.read_by_why) == ("api", True)
    assert Tag.objects.get(ref="churn#prod#1").flaws == [UNTOLD]
    assert Tag.objects.get(ref="churn@v1.0.0").flaws == []

    gitlab.git_enabled = True
    Repository.objects.update(checked_at=timezone.now() - timedelta(days=2))
    Connection.objects.update(next_poll_at=None)
    polling.poll(connection.pk)
    assert turns.crawl_owed() == 1
    row.refresh_from_db()
    assert (row.read_by, row.read_by_why) == ("api", "")
    tag = Tag.objects.get(ref="churn#prod#1", gone_at=None)
    assert (tag.flaws, tag.tagger_name) == ([], "Bob Stranger")
