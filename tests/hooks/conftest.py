"""A connection of each kind, with a repository and a webhook."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from indexer.models import Connection, Hook, Repository
from tests.hooks.deliveries import (
    SIGNING_SECRET,
    make_connected,
    make_connection,
    make_hook,
)
from tests.hooks.servers import PUBLIC
from tests.providers.github_server import GitHubServer, serve_github
from tests.providers.gitlab_server import GitLabServer, serve_gitlab


@pytest.fixture
def github(db: None) -> Connection:
    return make_connection()


@pytest.fixture
def churn(github: Connection) -> Repository:
    return make_connected(github)


@pytest.fixture
def hook(github: Connection, churn: Repository) -> Hook:
    return make_hook(github)


@pytest.fixture
def gitlab(db: None) -> Connection:
    return make_connection("gitlab")


@pytest.fixture
def gitlab_hook(gitlab: Connection) -> Hook:
    make_connected(gitlab, "15", "group/churn", default_branch="main")
    return make_hook(gitlab, secret=SIGNING_SECRET)


@pytest.fixture
def reachable(settings: Any, tmp_path: Path) -> None:
    """A site that providers on loopback can be asked by, and ask."""
    settings.MUSTER_DATA = tmp_path / "data"
    settings.MUSTER_ALLOW_PRIVATE = True
    settings.MUSTER_PUBLIC_URL = PUBLIC


@pytest.fixture
def server(tmp_path: Path, reachable: None) -> Iterator[GitHubServer]:
    with serve_github(tmp_path / "github") as running:
        running.add_owner("acme")
        yield running


@pytest.fixture
def gitlab_server(tmp_path: Path, reachable: None) -> Iterator[GitLabServer]:
    with serve_gitlab(tmp_path / "gitlab") as running:
        yield running
