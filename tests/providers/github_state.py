"""What a GitHub test server knows beside the repositories themselves: accounts, rows of
repositories, webhooks, apps and their installations."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.providers.object_store import ObjectStore, open_store


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def stamp(when: datetime) -> str:
    """A time as GitHub's API writes it."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Account:
    """An organisation ("org") or a user ("user")."""

    id: int
    login: str
    kind: str = "org"

    @property
    def type(self) -> str:
        return "Organization" if self.kind == "org" else "User"


@dataclass
class Repository:
    """A row over a bare repository. `is_hidden`: no token sees it any more."""

    id: int
    owner: Account
    name: str
    bare: Path
    is_private: bool = False
    is_fork: bool = False
    is_archived: bool = False
    is_hidden: bool = False
    is_disabled: bool = False
    description: str | None = None
    created_at: datetime = field(default_factory=now)
    pushed_at: datetime = field(default_factory=now)
    updated_at: datetime = field(default_factory=now)
    seen_refs: dict[str, str] = field(default_factory=dict)  # by the webhooks

    @property
    def path(self) -> str:
        return f"{self.owner.login}/{self.name}"

    @property
    def store(self) -> ObjectStore:
        return open_store(self.bare)


@dataclass
class Hook:
    """A webhook; `secret` is what deliveries are signed with."""

    id: int
    url: str
    secret: str
    events: list[str]
    owner: str = ""  # of an organisation, or
    repository: int = 0  # of a repository
    is_active: bool = True
    content_type: str = "json"
    insecure_ssl: str = "0"
    created_at: datetime = field(default_factory=now)
    pings: int = 0


@dataclass
class Pull:
    """A pull request within a repository; `head` and `base` are branches."""

    id: int
    number: int
    repository: int
    author: Account
    title: str
    body: str | None
    head: str
    base: str
    state: str = "open"
    is_draft: bool = False
    created_at: datetime = field(default_factory=now)


@dataclass
class App:
    """A GitHub App; its JWTs are checked with `public_key` (PEM)."""

    id: int
    slug: str
    owner: Account
    public_key: str
    permissions: dict[str, str]
    events: list[str] = field(default_factory=list)
    created_at: datetime = field(default_factory=now)


@dataclass
class Installation:
    """An app at an account, for the repositories of these ids (None: all)."""

    id: int
    app: App
    account: Account
    permissions: dict[str, str]
    repositories: frozenset[str] | None = None
    is_suspended: bool = False
    created_at: datetime = field(default_factory=now)


@dataclass
class Conventions:
    """What GitHub does with a message is not documented everywhere: each way it could
    be is tested."""

    tag_with_signature: bool = True  # Tag.message ends with the signature
    tag_line_feed: bool = True  # Tag.message keeps its last line feed
    commit_line_feed: bool = False  # Commit.message keeps its last line feed


JSON = dict[str, Any]
