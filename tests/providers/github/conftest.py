"""Fixtures of the GitHub tests: a server of its own for each, and clients of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from indexer.budgets import Unlimited
from indexer.providers.github.client import GitHubClient
from indexer.providers.github.host import GitHubHost
from tests.providers.api_server import ApiServer, serve
from tests.providers.github.readers import Place, PlaceOf
from tests.providers.github_server import GitHubServer, serve_github
from tests.providers.raw_repository import RawRepository

ClientOf = Callable[..., GitHubClient]


@pytest.fixture
def github(tmp_path: Path) -> Iterator[GitHubServer]:
    with serve_github(tmp_path / "github") as server:
        yield server


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[ApiServer]:
    """Another server, where nothing of ours may ever arrive."""
    server = ApiServer(tmp_path)
    with serve(server):
        yield server


@pytest.fixture
def client_of(github: GitHubServer) -> Iterator[ClientOf]:
    """`client_of(token)`: a client of the server; by default with all rights."""
    made: list[GitHubClient] = []

    def make(token: str | None = None) -> GitHubClient:
        client = GitHubClient(
            f"{github.url}/api/v3",
            token=github.token if token is None else token,
            budget=Unlimited(),
            allow_private=True,
        )
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(client_of: ClientOf) -> GitHubClient:
    return client_of()


@pytest.fixture
def host(client: GitHubClient) -> GitHubHost:
    return GitHubHost(client)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A repository with one commit, and a tag beside a decoy: `churn` would be reached
    by an address with a raw “#” in it."""
    raw = RawRepository(tmp_path / "churn.git")
    commit = raw.commit(raw.files({"README.md": b"churn\n"}))
    raw.refs[b"refs/heads/main"] = commit
    raw.refs[b"refs/tags/churn"] = commit
    raw.version("churn#prod#3", commit)
    raw.finish()
    return raw.path


@pytest.fixture
def place_of(github: GitHubServer, tmp_path: Path) -> PlaceOf:
    """`place_of(bare)`: a repository at the server."""
    numbers = itertools.count()

    def make(bare: Path) -> Place:
        path = f"acme/r{next(numbers)}"
        github.add_repository(path, bare)
        return Place(github, path, tmp_path / "mirrors")

    return make
