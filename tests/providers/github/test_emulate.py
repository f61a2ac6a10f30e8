"""The same client against a GitHub that others wrote: `emulate` (npm), which keeps
state. Start it by `npx emulate start -s github -p 4000` with the configuration that
`npx emulate init` writes, and name its address in MUSTER_EMULATE_URL."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from indexer.budgets import Unlimited
from indexer.providers.base import OwnerKind
from indexer.providers.errors import NotFound
from indexer.providers.github.client import GitHubClient, quoted
from indexer.providers.github.host import GitHubHost

URL = os.environ.get("MUSTER_EMULATE_URL", "")
REPOSITORY = "/repos/octocat/hello-world"
HOOK = "https://muster.example.com/hooks/github/1"

pytestmark = pytest.mark.skipif(not URL, reason="MUSTER_EMULATE_URL is not set")


@pytest.fixture
def octocat() -> Iterator[GitHubClient]:
    client = GitHubClient(
        URL, token="test_token_user1", budget=Unlimited(), allow_private=True
    )
    yield client
    client.close()


def test_it_finds_owners_and_repositories(octocat: GitHubClient) -> None:
    host = GitHubHost(octocat)
    me = host.find_owner("")
    assert (me.kind, me.path) == (OwnerKind.USER, "octocat")
    assert host.find_owner("my-org").kind is OwnerKind.ORGANISATION
    assert host.check(me).account == "octocat"
    listed = host.list_repositories(me)
    assert "octocat/hello-world" in [repository.path for repository in listed]
    assert host.fetch_repository(listed[0].id).path == listed[0].path
    with pytest.raises(NotFound):
        host.find_owner("nobody-here")


def test_a_tag_with_a_hash_in_its_name_is_not_taken_for_another(
    octocat: GitHubClient,
) -> None:
    head = octocat.rest("GET", f"{REPOSITORY}/git/ref/heads/main").data["object"]["sha"]
    names = ("churn", "churn#prod#3")
    for name in names:
        body = {"ref": f"refs/tags/{name}", "sha": head}
        octocat.rest("POST", f"{REPOSITORY}/git/refs", body=body)
    for name in names:
        path = f"{REPOSITORY}/git/ref/tags/{quoted(name)}"
        assert octocat.rest("GET", path).data["ref"] == f"refs/tags/{name}"
    octocat.rest("DELETE", f"{REPOSITORY}/git/refs/tags/{quoted(names[1])}")
    found = octocat.rest("GET", f"{REPOSITORY}/git/matching-refs/tags/").data
    assert [ref["ref"] for ref in found] == ["refs/tags/churn"], "the decoy is there"
    octocat.rest("DELETE", f"{REPOSITORY}/git/refs/tags/{quoted(names[0])}")


@pytest.mark.parametrize("repository", ["", "octocat/hello-world"])
def test_webhooks_are_made_seen_and_removed(
    octocat: GitHubClient, repository: str
) -> None:
    host = GitHubHost(octocat)
    owner = host.find_owner("my-org")
    made = host.create_hook(owner, repository, url=HOOK, secret="s3cret")
    assert made in host.list_hooks(owner, repository)
    host.delete_hook(owner, repository, made.id)
    assert made not in host.list_hooks(owner, repository)
