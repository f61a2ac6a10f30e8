"""An organisation at a test server of GitHub, connected: what tests of discovery,
polling and the job list stand on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.utils import timezone

from indexer import connections, polling, turns
from indexer.connections import Wish
from indexer.models import Connection, Repository
from tests.providers.github_server import GitHubServer, serve_github
from tests.providers.raw_repository import RawRepository, simple_repository


class Acme:
    """The server, its organisation `acme`, and the connection to it."""

    def __init__(self, server: GitHubServer, root: Path) -> None:
        self.server = server
        self.root = root
        self.remotes: dict[str, RawRepository] = {}
        server.add_owner("acme")

    def add(self, name: str, *, owner: str = "acme", **what: Any) -> str:
        """A repository with three versions; its number."""
        folder = self.root / owner
        folder.mkdir(exist_ok=True)
        bare = folder / f"{name}-{len(self.remotes)}.git"
        remote = simple_repository(bare)
        self.remotes[f"{owner}/{name}"] = remote
        what.setdefault("pushed_at", timezone.now() - timedelta(hours=1))
        return self.server.add_repository(f"{owner}/{name}", bare, **what)

    def add_copies(self, count: int) -> None:
        """Many that hold the same, quickly."""
        first = simple_repository(self.root / "first.git").path
        for number in range(count):
            bare = self.root / f"copy-{number}.git"
            shutil.copytree(first, bare)
            self.server.add_repository(
                f"acme/copy-{number:04}",
                bare,
                pushed_at=timezone.now() - timedelta(hours=1),
            )

    def release(self, path: str, tag: str = "churn@v9.0.0") -> None:
        """Push one more version."""
        remote = self.remotes[path]
        remote.version(tag, remote.refs[b"refs/heads/main"])
        remote.finish()
        self.server.touch(path)

    def connect(self, **changes: Any) -> Connection:
        """A connection that was not looked at yet."""
        fields = {"address": self.server.url, "owner": "acme"}
        wish = Wish(kind="github", secret=self.server.token, **{**fields, **changes})
        connection = connections.draft_connection(wish)
        connections.connect(connection)
        return connection

    def filled(self, **changes: Any) -> Connection:
        """A connection whose repositories are all crawled."""
        connection = self.connect(**changes)
        polling.poll(connection.pk)
        turns.crawl_owed()
        connection.refresh_from_db()
        return connection


def looked_at(connection: Connection, *, whole: bool = False) -> Connection:
    """Poll it now; `whole`: with a complete listing."""
    if whole:
        connections.request_poll(connection, by="alice", wake=False)
    else:
        Connection.objects.filter(pk=connection.pk).update(next_poll_at=None)
    assert polling.poll(connection.pk), "the look was not owed"
    connection.refresh_from_db()
    return connection


def names(**filters: Any) -> list[str]:
    """Names of repositories in the catalog."""
    rows = Repository.objects.filter(hidden_at=None, **filters)
    return sorted(rows.values_list("name", flat=True))


@contextmanager
def serve_acme(root: Path) -> Iterator[Acme]:
    """The organisation, without repositories yet."""
    root.mkdir(exist_ok=True)
    with serve_github(root) as server:
        yield Acme(server, root)
