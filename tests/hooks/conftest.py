"""A connection of each kind, with a repository and a webhook."""

from __future__ import annotations

import pytest

from indexer.models import Connection, Hook, Repository
from tests.hooks.deliveries import (
    SIGNING_SECRET,
    make_connected,
    make_connection,
    make_hook,
)


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
