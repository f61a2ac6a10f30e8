"""Fixtures of the GitLab tests: a server over real repositories, and what asks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from indexer.budgets import Unlimited
from indexer.core.snapshot import RepositorySnapshot
from indexer.providers.base import Remote
from indexer.providers.git.reader import GitProvider
from indexer.providers.gitlab.client import GitLabClient
from indexer.providers.gitlab.host import GitLabHost
from indexer.providers.gitlab.reader import GitLabProvider
from tests.providers.conftest import read
from tests.providers.gitlab_server import GitLabServer, serve_gitlab

ProviderOf = Callable[..., GitLabProvider]


@pytest.fixture
def gitlab(tmp_path: Path) -> Iterator[GitLabServer]:
    root = tmp_path / "served"
    root.mkdir()
    with serve_gitlab(root) as server:
        yield server


def client_of(gitlab: GitLabServer, token: str | None = None) -> GitLabClient:
    return GitLabClient(
        f"{gitlab.url}/api/v4",
        token=gitlab.token if token is None else token,
        budget=Unlimited(),
        allow_private=True,
    )


@pytest.fixture
def client(gitlab: GitLabServer) -> GitLabClient:
    return client_of(gitlab)


@pytest.fixture
def host(client: GitLabClient) -> GitLabHost:
    return GitLabHost(client)


def remote_of(
    gitlab: GitLabServer, project: str, mirror: Path, token: str | None = None
) -> Remote:
    path = gitlab.projects[int(project)].path
    return Remote(
        url=f"{gitlab.url}/{path}.git",
        username="oauth2",
        secret=gitlab.token if token is None else token,
        mirror=mirror,
        path=path,
        provider_id=project,
        allow_private=True,
    )


@pytest.fixture
def provider_of(gitlab: GitLabServer, tmp_path: Path) -> ProviderOf:
    """`provider_of(project, token=)`: the reader of a project of the server."""

    def make(project: str, token: str | None = None) -> GitLabProvider:
        remote = remote_of(gitlab, project, tmp_path / "mirrors" / project, token)
        return GitLabProvider(remote, client_of(gitlab, token))

    return make


def read_with_git(path: Path, mirror: Path) -> RepositorySnapshot:
    """What the Git reader says of the same repository."""
    remote = Remote(str(path), mirror=mirror, allow_local=True, allow_private=True)
    return read(GitProvider(remote))
