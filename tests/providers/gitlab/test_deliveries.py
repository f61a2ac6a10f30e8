"""The GitLab test server tells its webhooks what GitLab would."""

from __future__ import annotations

import json
from pathlib import Path

from indexer.hook_events import Asks, read_gitlab
from indexer.hook_signatures import is_from_gitlab
from indexer.providers.gitlab.host import GitLabHost
from tests.providers.gitlab_server import GitLabServer
from tests.providers.raw_repository import simple_repository


def test_a_push_is_told_to_the_group_and_signed(
    gitlab: GitLabServer, host: GitLabHost
) -> None:
    repository = simple_repository(gitlab.root / "repo", tags=1)
    project = gitlab.add_repository("acme/churn", repository.path)
    gitlab.delivers = gitlab.signs = True
    host.create_hook(
        host.find_owner("acme"), "", url="http://127.0.0.1:9/hook", secret="s3cret"
    )
    with gitlab.pushing("acme/churn"):
        repository.version("churn@v2.0.0", repository.refs[b"refs/heads/main"])
        repository.finish()
    (delivery,) = gitlab.deliveries
    assert delivery.headers["X-Gitlab-Event"] == "Tag Push Hook"
    now = float(delivery.headers["webhook-timestamp"])
    assert is_from_gitlab(delivery.headers, delivery.body, "s3cret", now)
    assert not is_from_gitlab(delivery.headers, delivery.body, "other", now)
    meaning = read_gitlab("Tag Push Hook", json.loads(delivery.body))
    assert (meaning.asks, meaning.repository_id) == (Asks.CRAWL, project)


def test_W5_more_than_three_tags_are_told_by_nobody(
    gitlab: GitLabServer, host: GitLabHost, tmp_path: Path
) -> None:
    repository = simple_repository(gitlab.root / "repo", tags=1)
    gitlab.add_repository("acme/churn", repository.path)
    gitlab.delivers = True
    host.create_hook(None, "acme/churn", url="http://127.0.0.1:9/", secret="s")
    with gitlab.pushing("acme/churn"):
        for number in range(2, 6):
            head = repository.refs[b"refs/heads/main"]
            repository.version(f"churn@v{number}.0.0", head)
        repository.finish()
    assert gitlab.deliveries == []
