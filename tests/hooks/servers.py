"""Connections to the test servers, and what was asked of them about webhooks."""

from __future__ import annotations

from typing import Any

from indexer import hooks
from indexer.crypto import encrypt
from indexer.models import Connection
from indexer.providers.registry import host_for
from tests.hooks.deliveries import (
    make_connected,
    make_connection,
)
from tests.providers.github_server import GitHubServer
from tests.providers.gitlab_server import GitLabServer
from tests.providers.raw_repository import simple_repository

PUBLIC = "https://muster.example.org"


def connected(server: GitHubServer, count: int = 1, **fields: Any) -> Connection:
    """A connection to acme there, with so many repositories that were found."""
    bare = simple_repository(server.root / "churn.git").path
    connection = make_connection(
        web_url=server.url,
        api_url=f"{server.url}/api/v3",
        server=server.url.removeprefix("http://"),
        secret=encrypt(server.token),
        **fields,
    )
    for index in range(count):
        name = f"acme/model-{index:03}"
        number = server.add_repository(name, bare)
        url = f"{server.url}/{name}.git"
        make_connected(connection, number, name, url=url, default_branch="main")
    return connection


def ensure(connection: Connection) -> None:
    hooks.ensure_hooks(connection, host_for(connection))


def use_token(server: GitHubServer, connection: Connection, *scopes: str) -> None:
    """Let the connection have a token with these scopes."""
    token = server.add_token(f"ghp_{'-'.join(scopes)}".replace(":", "_"), *scopes)
    connection.secret = encrypt(token)
    connection.save(update_fields=["secret"])


def requests_of(server: GitHubServer, method: str) -> list[str]:
    """The paths that were asked for by a method, hooks only."""
    return [
        request.path
        for request in server.requests
        if request.method == method and "/hooks" in request.path
    ]


def connected_group(server: GitLabServer) -> Connection:
    bare = simple_repository(server.root / "churn.git").path
    owner_id = server.add_owner("acme")
    connection = make_connection(
        "gitlab",
        web_url=server.url,
        api_url=f"{server.url}/api/v4",
        server=server.url.removeprefix("http://"),
        owner_id=owner_id,
        secret=encrypt(server.token),
    )
    for name in ("acme/one", "acme/two"):
        number = server.add_repository(name, bare)
        make_connected(connection, number, name, default_branch="main")
    return connection
