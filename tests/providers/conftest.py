"""Fixtures of the provider tests: a provider on a fresh mirror, and a Git server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from indexer.core.snapshot import RepositorySnapshot
from indexer.providers.base import Known, Provider, Remote
from indexer.providers.git.reader import GitProvider
from tests.providers.git_server import GitServer, serve_git
from tests.providers.sessions import (  # noqa: F401 - fixtures
    budget,
    session,
    session_of,
    tls_server,
    wired,
)

ProviderOf = Callable[..., GitProvider]


@pytest.fixture
def provider_of(tmp_path: Path) -> ProviderOf:
    """`provider_of(url, **fields of Remote)`: local paths and loopback allowed."""

    def make(url: str | Path, **fields: object) -> GitProvider:
        options: dict[str, object] = {
            "mirror": tmp_path / "mirrors" / "1",
            "allow_local": True,
            "allow_private": True,
            **fields,
        }
        return GitProvider(Remote(str(url), **options))  # type: ignore[arg-type]

    return make


@pytest.fixture
def git_server(tmp_path: Path) -> Iterator[GitServer]:
    root = tmp_path / "served"
    root.mkdir()
    with serve_git(root) as server:
        yield server


def read(provider: Provider, known: Known | None = None) -> RepositorySnapshot:
    """A listing and the snapshot of it."""
    return provider.fetch_snapshot(provider.fetch_listing(), known or Known())


def known_of(snapshot: RepositorySnapshot) -> Known:
    """What the index would know after this snapshot."""
    return Known(
        tags={tag.object_id: tag for tag in snapshot.tags},
        commits=snapshot.commits,
        documents=snapshot.documents,
    )
