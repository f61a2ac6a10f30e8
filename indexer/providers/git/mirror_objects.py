"""A mirror as a source of objects: what it lacks is fetched from its remote by id."""

from __future__ import annotations

import heapq
import time
from collections.abc import Collection, Generator, Iterable, Sequence
from pathlib import Path

from indexer.core.snapshot import GitCommit
from indexer.providers.base import Progress, no_progress
from indexer.providers.errors import Unavailable
from indexer.providers.git import command
from indexer.providers.git.command import GitFailed
from indexer.providers.git.failures import (
    explain,
    is_worth_a_second_try,
    may_be_one_object,
    place,
)
from indexer.providers.git.hardening import Connection
from indexer.providers.git.objects import read_bodies, read_headers
from indexer.providers.objects import Body, Header, Missing, Want

MAX_UNREADABLE = 20  # objects a remote lists and cannot read
MAX_FETCHES = 200  # of one kind, to single out objects that a remote cannot read
NEWEST = 50  # commits that are tried as what the remote need not send again

# What is wanted -> git's filter, and whether no more than one commit deep.
FETCHES = {
    Want.TAGS: ("tree:0", True),
    Want.TAGS_AND_TREES: ("blob:none", True),
    Want.COMMITS: ("blob:none", True),
    Want.TREES: ("blob:none", False),
    Want.BLOBS: ("blob:none", False),
}


class MirrorObjects:
    """Objects of the mirror at a path, which `mirror.open_mirror` made. `fetches`: it
    has a remote to ask. `first`: a failure may be mended by fresh refs or a fresh
    mirror, so it raises Missing. `end` is when all fetching must be over, by
    `time.monotonic()`; `known` are commits that the mirror may hold."""

    def __init__(
        self,
        mirror: Path,
        connection: Connection,
        *,
        fetches: bool,
        first: bool,
        end: float,
        head: str = "",
        known: Iterable[GitCommit] = (),
        progress: Progress = no_progress,
    ) -> None:
        self.fetches = fetches
        self.unreadable: set[str] = set()
        self._mirror = mirror
        self._connection = connection
        self._first = first
        self._end = end
        self._head = head
        self._known = known
        self._progress = progress

    def load(self, object_ids: Collection[str], want: Want) -> dict[str, Header]:
        """Have these objects here, and tell the headers of those that are."""
        headers = self.headers(object_ids)
        absent = [key for key in object_ids if key not in headers]
        if not absent or not self.fetches:
            return headers
        is_long = want in {Want.TAGS, Want.TAGS_AND_TREES}
        if is_long:
            self._progress("Fetching", 0, len(absent))
        self._fetch(absent, want)
        if is_long:
            self._progress("Fetching", len(absent), len(absent))
        return headers | self.headers(absent)

    def load_level(self, tree_ids: Collection[str]) -> None:
        """Trees came with their commit."""

    def headers(self, object_ids: Collection[str]) -> dict[str, Header]:
        """Type and size by id of objects that are here."""
        return read_headers(self._mirror, object_ids)

    def bodies(
        self, object_ids: Sequence[str], *, limit: int
    ) -> Generator[Body, None, None]:
        """Those of these objects that are here, in order, each cut at `limit`."""
        return read_bodies(self._mirror, object_ids, limit=limit)

    def _fetch(self, object_ids: list[str], want: Want) -> None:
        """Fetch objects into the mirror. One that the remote itself cannot read fails
        a whole fetch; after a second look at the refs it is singled out by halves."""
        filtered, shallow = FETCHES[want]
        have = self._have() if shallow else ""
        waiting = [object_ids]
        for _ in range(MAX_FETCHES):
            if not waiting:
                return
            wanted = waiting.pop()
            try:
                command.fetch(
                    self._mirror,
                    self._connection,
                    wanted,
                    filtered=filtered,
                    shallow=shallow,
                    have=have,
                    seconds=max(self._end - time.monotonic(), 1.0),
                )
            except GitFailed as error:
                if self._first and is_worth_a_second_try(error):
                    raise Missing from None
                if not may_be_one_object(error):
                    raise explain(error, self._connection) from None
                if len(wanted) == 1:
                    self._give_up(wanted[0])
                else:
                    half = len(wanted) // 2
                    waiting += [wanted[:half], wanted[half:]]
        raise Unavailable(
            f"{place(self._connection)} has too many objects that it cannot read "
            "itself. Run git fsck there."
        )

    def _give_up(self, object_id: str) -> None:
        """Go on without an object. Without the head, or too many, there is no going
        on: a remote that fails must not look like one whose tags are broken."""
        self.unreadable.add(object_id)
        is_too_much = len(self.unreadable) > MAX_UNREADABLE
        if is_too_much or object_id == self._head:
            raise Unavailable(
                f"{place(self._connection)} cannot read objects of its own that it "
                "lists. Run git fsck there."
            )

    def _have(self) -> str:
        """The newest commit that the mirror holds with its trees: the remote need not
        send what it shares with that one. "" if there is none."""
        newest = heapq.nlargest(
            NEWEST,
            self._known,
            key=lambda commit: commit.committed.seconds if commit.committed else 0,
        )
        present = self.headers([commit.id for commit in newest])
        return next((commit.id for commit in newest if commit.id in present), "")
