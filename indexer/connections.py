"""Connecting an organisation or group: adding, testing, changing and removing the right
to read it. What is in it is found by `discovery`, looked at again by `polling`.

A connection begins as a draft: its token is stored encrypted, tested, and shown to
nobody again; whoever adds it sees what the token may do and which repositories would
be connected, and then connects them or discards the draft."""

from __future__ import annotations

from dataclasses import dataclass, field

from indexer.models import Connection, Repository
from indexer.providers.base import Ability, RemoteRepository, Right


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks to connect. `secret` None keeps the one there is."""

    kind: str  # Connection.Kind
    address: str = ""  # of the server; "" is github.com or gitlab.com
    owner: str = ""  # organisation, group or user; its page's address does, too
    secret: str | None = field(default=None, repr=False)
    app_id: str = ""  # of a GitHub App; then `secret` is its private key
    installation_id: str = ""  # "" is found by the owner
    include: str = ""
    exclude: str = ""
    with_forks: bool = False
    with_archived: bool = True
    with_subgroups: bool = True
    way: str = Connection.Way.API
    with_hooks: bool = True


@dataclass(frozen=True, slots=True)
class Findings:
    """What a test found: the answer to "will this work?"."""

    works: bool  # it may be connected
    sentence: str  # what was found, or what is wrong and what to do
    account: str = ""
    rights: tuple[Right, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A repository that would not be connected, and why ("a fork")."""

    repository: RemoteRepository
    why: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What a connection would take from its owner."""

    chosen: tuple[RemoteRepository, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


def draft_connection(wish: Wish, *, by: str = "") -> Connection:
    """Store a draft. Reaches nothing but the address's name. Raises AddressRefused
    with a sentence for whoever typed it (its `field` says which)."""
    raise NotImplementedError


def change_connection(connection: Connection, wish: Wish, *, by: str = "") -> None:
    """Change it, and look again. Another server empties the token: it is never sent
    elsewhere. Raises AddressRefused."""
    raise NotImplementedError


def test_connection(connection: Connection) -> Findings:
    """Ask the provider who the token is and what it may do, find the owner, and keep
    the answer on the row. Never raises for what the provider says."""
    raise NotImplementedError


def preview(connection: Connection) -> Preview:
    """A whole listing, sorted by what its patterns say. Raises ProviderError."""
    raise NotImplementedError


def connect(connection: Connection, *, by: str = "") -> None:
    """Make a draft a connection: the first discovery and its webhooks are owed now."""
    raise NotImplementedError


def request_poll(connection: Connection, *, by: str = "") -> None:
    """Ask for a complete look at the provider now."""
    raise NotImplementedError


def remove_connection(connection: Connection, *, with_repositories: bool) -> None:
    """Forget the right to read. Its repositories go too, or stay as they are, to be
    read without its token; its webhooks are removed at the provider where we may."""
    raise NotImplementedError


def secret_of(connection: Connection) -> str:
    """The token or key in the clear. Raises crypto.WrongKey."""
    raise NotImplementedError


def progress_of(connection: Connection) -> Progress:
    """How far a first crawl is. Runs three queries."""
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Progress:
    """The crawls of a connection: what is done, to do, failing and hidden.
    `seconds_left` None: nothing to go by yet. `per_second` is of the last minute."""

    done: int
    total: int
    running: tuple[Repository, ...] = ()
    waiting: int = 0  # for a rate limit
    failing: int = 0
    hidden: int = 0
    per_second: float = 0.0
    seconds_left: float | None = None


__all__ = ["Ability", "Connection"]
