"""The same repository read over GitHub's API and over Git, for comparison."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from indexer.budgets import Unlimited
from indexer.core.snapshot import RepositorySnapshot
from indexer.providers.base import Known, Remote
from indexer.providers.git.reader import GitProvider
from indexer.providers.github.client import GitHubClient
from indexer.providers.github.reader import GitHubProvider
from tests.providers.github_server import GitHubServer
from tests.providers.raw_repository import RawRepository

FILE = b"artifacts:\n  m%d:\n    type: model\n    path: m%d.pkl\n"


@dataclass
class Place:
    """A repository that the server serves, and a folder for its mirrors."""

    server: GitHubServer
    path: str
    mirrors: Path

    def remote(self, mirror: str) -> Remote:
        return Remote(
            f"{self.server.url}/{self.path}.git",
            username="x-access-token",
            secret=self.server.token,
            mirror=self.mirrors / mirror / self.path,
            path=self.path,
            allow_private=True,
        )

    def api(self, token: str | None = None) -> GitHubProvider:
        """A reader as a crawl makes it."""
        return GitHubProvider(self.remote("api"), self.client(token))

    def client(self, token: str | None = None) -> GitHubClient:
        return GitHubClient(
            f"{self.server.url}/api/v3",
            token=self.server.token if token is None else token,
            budget=Unlimited(),
            allow_private=True,
        )

    def read(self, known: Known | None = None) -> Reading:
        """Read it over the API, with the requests that took."""
        before = len(self.server.requests)
        provider = self.api()
        listing = provider.fetch_listing()
        snapshot = provider.fetch_snapshot(listing, known or Known())
        made = self.server.requests[before:]
        return Reading(provider, snapshot, [str(one) for one in made], made)

    def read_by_git(self, known: Known | None = None) -> RepositorySnapshot:
        """Read it over Git, and see that both list the same."""
        provider = GitProvider(self.remote("git"))
        listing = provider.fetch_listing()
        told = self.api().fetch_listing()
        assert told.fingerprint == listing.fingerprint
        assert told.branches == listing.branches
        assert told.raw_tags == listing.raw_tags
        return provider.fetch_snapshot(listing, known or Known())


PlaceOf = Callable[[Path], Place]


@dataclass
class Reading:
    provider: GitHubProvider
    snapshot: RepositorySnapshot
    lines: list[str]
    requests: list[Any]

    @property
    def by_git(self) -> list[str]:
        """Requests of Git's own protocol."""
        return [line for line in self.lines if "git-upload-pack" in line]

    @property
    def asked_ids(self) -> Counter[str]:
        """How often an object was asked for by its id in a query."""
        found: Counter[str] = Counter()
        for request in self.requests:
            text = (request.json or {}).get("query", "")
            found.update(re.findall(r'oid: "([0-9a-f]{40})"', text))
        return found


def in_order(snapshot: RepositorySnapshot) -> RepositorySnapshot:
    """The snapshot with its tags by name: servers list them each in their own order."""
    return replace(
        snapshot,
        tags=tuple(sorted(snapshot.tags, key=lambda tag: tag.ref)),
        problems=tuple(sorted(snapshot.problems, key=str)),
    )


def assert_same(place: Place, known: Known | None = None) -> Reading:
    """Both ways give the same snapshot."""
    reading = place.read(known)
    assert in_order(reading.snapshot) == in_order(place.read_by_git(known))
    return reading


def tagged(path: Path, tags: int, *, files: int = 5, more: int = 0) -> RawRepository:
    """A repository with an annotated tag on each commit, registry files that all
    differ, and `more` other folders of two files."""
    repository = RawRepository(path)
    for number in range(tags):
        add_tag(repository, number, files=files, more=more)
    repository.finish()
    return repository


def add_tag(
    repository: RawRepository, number: int, *, files: int = 5, more: int = 0
) -> str:
    """A commit on main with a version; the tag's id."""
    content = {f"m{n}/dvc.yaml": FILE % (n, number) for n in range(files - 1)}
    content |= {"dvc.yaml": FILE % (99, number), "code.py": b"%d" % number}
    content |= {f"x{n}/{name}": b"" for n in range(more) for name in "ab"}
    main = repository.refs.get(b"refs/heads/main")
    commit = repository.commit(
        repository.files(content), parents=[main] if main else []
    )
    repository.refs[b"refs/heads/main"] = commit
    return repository.version(f"m0@v{number}.0.0", commit)
