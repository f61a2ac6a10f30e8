"""What a provider is: something that lists a repository's refs in one round trip and
reads a whole snapshot of it. Nothing else in Muster knows how."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from indexer.core.snapshot import (
    Document,
    GitCommit,
    GitTag,
    RepositorySnapshot,
)
from indexer.providers.addresses import AllowPrivate
from indexer.providers.errors import ProviderError


@dataclass(frozen=True, slots=True)
class Remote:
    """Where a repository is and with which right we read it. `secret` is plain text:
    it lives in memory only, and `repr` hides it. `allow_*` are the site's settings."""

    url: str
    username: str = ""
    secret: str = field(default="", repr=False)
    mirror: Path = Path()  # the folder a mirror may use; may not exist yet
    path: str = ""  # owner/name at its provider, where that is known
    provider_id: str = ""
    allow_local: bool = False
    allow_private: AllowPrivate = False


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
    has_all_branches: bool = True  # False only in what `Host.fetch_listings` gives

    @property
    def fingerprint(self) -> str:
        """A sha256 of what an index is made of, hex: the tags, the default branch and
        its head, and where there is no head, whether there are branches at all."""
        lines = _lines(self.tags)
        has_no_head = bool(self.branches) and not self.head
        lines.append(f"\0{self.default_branch}\0{self.head}\0{has_no_head}\n")
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @property
    def branches_fingerprint(self) -> str:
        """A sha256 of the branches, hex."""
        return hashlib.sha256("".join(_lines(self.branches)).encode()).hexdigest()


def _lines(refs: Mapping[str, str]) -> list[str]:
    return sorted(f"{ref}\0{object_id}\n" for ref, object_id in refs.items())


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


# A provider's server, as one credential sees it --------------------------------------


class OwnerKind(StrEnum):
    """Whose repositories a connection takes (models.Connection.OwnerKind)."""

    ORGANISATION = "org"
    USER = "user"
    GROUP = "group"
    INSTALLATION = "app"


@dataclass(frozen=True, slots=True)
class Owner:
    """An organisation, user or group. `path` is as the provider spells it; `id` is the
    provider's number and stays when it is renamed."""

    kind: OwnerKind
    id: str
    path: str


@dataclass(frozen=True, slots=True)
class RemoteRepository:
    """A repository as a listing shows it. `id` is the provider's number (as text) and
    stays when it is renamed or transferred; `path` is owner/name, groups included."""

    id: str
    path: str
    default_branch: str = ""
    description: str = ""
    is_fork: bool = False
    is_archived: bool = False
    is_private: bool = False
    is_empty: bool = False
    pushed_at: datetime | None = None  # GitLab: last activity, which is a hint only


class Ability(StrEnum):
    """What a token may be allowed to do."""

    READ = "read"  # list repositories and read them
    TAGS = "tags"  # make and delete tags
    CONTENTS = "contents"  # commit files
    HOOKS = "hooks"  # make webhooks


@dataclass(frozen=True, slots=True)
class Right:
    """Whether a token may do something (None: cannot be told without trying), and a
    sentence: how we know, or what to tick to allow it."""

    ability: Ability
    granted: bool | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Rights:
    """What a credential is and may do."""

    account: str  # whose it is: a login, an app's name
    rights: tuple[Right, ...]
    expires_at: datetime | None = None
    emails: tuple[str, ...] = ()  # of the account, verified by the provider


@dataclass(frozen=True, slots=True)
class RemoteHook:
    """A webhook at the provider that leads to `url`."""

    id: str
    url: str
    is_active: bool
    events: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RepositoryPage:
    """What changed since an `etag`: None, nothing (it costs no request of a budget);
    else the repositories pushed to last, newest first."""

    repositories: tuple[RemoteRepository, ...] | None
    etag: str = ""
    has_more: bool = False


class Host(Protocol):
    """GitHub or GitLab as one credential sees it. Every list is whole: each method
    reads every page and returns all of it, or raises; an answer that ends early, a
    page that is none, a redirect, a hint that something was held back (X-GitHub-SSO)
    raises. Raises only `errors.ProviderError`."""

    def check(self, owner: Owner | None = None) -> Rights:
        """Who the credential is and what it may do, for `owner` if given."""
        ...

    def find_owner(self, path: str) -> Owner:
        """The organisation, user or group at `path` ("" the app's installation, or
        whoever the token belongs to). Raises NotFound with what to do."""
        ...

    def list_repositories(
        self, owner: Owner, *, with_subgroups: bool, progress: Progress = no_progress
    ) -> list[RemoteRepository]:
        """All repositories of an owner that the credential may see, in an order that
        does not move while pages are read."""
        ...

    def fetch_repository(self, repository_id: str) -> RemoteRepository:
        """One, by its number, wherever it is called to now. NotFound if it is gone or
        hidden from us."""
        ...

    def pushed_lately(
        self, owner: Owner, *, with_subgroups: bool, etag: str = "", page: int = 1
    ) -> RepositoryPage:
        """A page of an owner's repositories, those pushed to last first, by a
        conditional request."""
        ...

    def fetch_listings(
        self, repositories: Sequence[RemoteRepository]
    ) -> Mapping[str, Listing | ProviderError]:
        """The refs of many repositories in few requests, by repository id; for a
        repository that could not be read alone, why. Branches that would cost more
        requests may be left out (`has_all_branches`). Raises for what concerns all."""
        ...

    def list_hooks(self, owner: Owner | None, repository: str = "") -> list[RemoteHook]:
        """Webhooks of an owner, or of the repository at a path. Refused if the
        credential may not see them."""
        ...

    def create_hook(
        self, owner: Owner | None, repository: str, *, url: str, secret: str
    ) -> RemoteHook:
        """Make one for pushes, tags and what happens to repositories. Never retried
        by itself. Refused if it may not be, with the reason."""
        ...

    def delete_hook(self, owner: Owner | None, repository: str, hook_id: str) -> None:
        """Remove it; one that is gone already is no error."""
        ...
