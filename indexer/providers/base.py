"""What a provider is: something that lists a repository's refs in one round trip and
reads a whole snapshot of it. Nothing else in Muster knows how."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from indexer.core.snapshot import (
    Document,
    GitCommit,
    GitTag,
    RepositorySnapshot,
)


@dataclass(frozen=True, slots=True)
class Remote:
    """Where a repository is and with which right we read it. `secret` is plain text:
    it lives in memory only, and `repr` hides it. `allow_*` are the site's settings."""

    url: str
    username: str = ""
    secret: str = field(default="", repr=False)
    mirror: Path = Path()  # the folder a mirror may use; may not exist yet
    allow_local: bool = False
    allow_private: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """The remote's refs, from one round trip: what is there now, by object id."""

    tags: Mapping[str, str]  # ref without refs/tags/ (snapshot.ref_text) -> object id
    branches: Mapping[str, str]  # without refs/heads/ -> commit id
    default_branch: str = ""
    head: str = ""
    raw_tags: Mapping[str, bytes] = field(default_factory=dict)  # text -> exact bytes
    # Ref -> what its annotated tag leads to, where the remote could tell.
    peeled: Mapping[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """A sha256 of the tags, the default branch and its head, hex."""
        lines = [f"{ref}\0{object_id}\n" for ref, object_id in self.tags.items()]
        lines.sort()
        lines.append(f"\0{self.default_branch}\0{self.head}\n")
        return hashlib.sha256("".join(lines).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Known:
    """Objects read before, by id, so that they are never asked for again."""

    tags: Mapping[str, GitTag] = field(default_factory=dict)  # by object id
    commits: Mapping[str, GitCommit] = field(default_factory=dict)
    documents: Mapping[str, Document] = field(default_factory=dict)


class Progress(Protocol):
    """Told how far reading is: a phase in plain words, done of total (0: unknown)."""

    def __call__(self, phase: str, done: int = 0, total: int = 0) -> None: ...


def no_progress(phase: str, done: int = 0, total: int = 0) -> None:
    """Progress nobody watches."""


class Provider(Protocol):
    """Reads one repository. Raises only `errors.ProviderError`."""

    def fetch_listing(self) -> Listing:
        """The refs as they are now, in one round trip."""
        ...

    def fetch_snapshot(
        self, listing: Listing, known: Known, progress: Progress = no_progress
    ) -> RepositorySnapshot:
        """The whole snapshot that `listing` names, reading only what is not known."""
        ...


ProviderFactory = Callable[[Remote], Provider]
