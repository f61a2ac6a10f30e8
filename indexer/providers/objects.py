"""Where a reading gets Git's objects from: a mirror, or a provider's API.

`Reading`, `TreeWalk` and `read_tag_chains` see objects by id as the bytes Git hashed,
whatever way they came, so that the same repository gives the same snapshot."""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from indexer.core.snapshot import ObjectType


@dataclass(frozen=True, slots=True)
class Header:
    """What an object is, without reading it; its size in bytes."""

    type: ObjectType
    size: int


@dataclass(frozen=True, slots=True)
class Body:
    """An object's content, cut at the limit that was asked for (`is_cut`)."""

    object_id: str
    type: ObjectType
    data: bytes
    is_cut: bool


class Want(StrEnum):
    """What is to be there with the objects that are asked for."""

    TAGS = "tags"  # tag objects or commits, with the commits that they lead to
    TAGS_AND_TREES = "tags and trees"  # and with the trees of those commits
    COMMITS = "commits"  # with their trees
    TREES = "trees"  # with those below them
    BLOBS = "blobs"


class Missing(Exception):
    """Objects that the remote listed are not there: list again and read again."""


class NeedsMirror(Exception):
    """An API cannot read this repository (`reason`, a sentence for its page): all of
    it is to be read through a mirror."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Objects(Protocol):
    """Objects of one repository by id. Reading them raises `Missing` if fresh refs may
    help, `NeedsMirror`, or an `errors.ProviderError`."""

    @property
    def fetches(self) -> bool:
        """Whether objects that are not here can be asked for elsewhere."""
        ...

    @property
    def unreadable(self) -> Collection[str]:
        """Ids that the remote lists and cannot read itself: given up."""
        ...

    def load(self, object_ids: Collection[str], want: Want) -> dict[str, Header]:
        """Have these objects here, asking for those that are not; the headers of those
        that are here now."""
        ...

    def load_level(self, tree_ids: Collection[str]) -> None:
        """The trees of one level of a walk are read next: have them here. Nothing to
        do where trees come with their commit."""
        ...

    def headers(self, object_ids: Collection[str]) -> dict[str, Header]:
        """Type and size by id of objects that are here. One that is missing or damaged
        is left out."""
        ...

    def bodies(
        self, object_ids: Sequence[str], *, limit: int
    ) -> Generator[Body, None, None]:
        """Those of these objects that are here, in order, each cut at `limit` bytes.
        One that is missing or damaged is left out."""
        ...
