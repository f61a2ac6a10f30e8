"""The plain Git provider: any remote that git itself can read.

A listing is one `ls-remote`. A snapshot takes the objects that are not known yet in
few bulk reads: tag objects, the commits that GTO tags lead to, their trees, and the
registry files in them. For a remote they are fetched before by object id, so that no
name of the remote ever touches a file system; a repository of this machine lends its
objects (see mirror.py)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from indexer.core.snapshot import RepositorySnapshot
from indexer.providers.addresses import CleanRemote, may_go_openly, parse_remote
from indexer.providers.base import Known, Listing, Progress, Remote, no_progress
from indexer.providers.errors import (
    AddressRefused,
    BadPayload,
    NotFound,
    TooLarge,
    Unavailable,
)
from indexer.providers.git import command
from indexer.providers.git.command import GitFailed
from indexer.providers.git.failures import (
    explain,
    explain_mirror,
    explain_system,
    place,
    was_stopped,
)
from indexer.providers.git.hardening import Connection, GitMissing
from indexer.providers.git.listing import parse_listing
from indexer.providers.git.mirror import objects_of, open_mirror, remove_mirror
from indexer.providers.git.mirror_objects import MirrorObjects
from indexer.providers.objects import Missing, Objects
from indexer.providers.reading import Reading, problems_of_head

LISTING_SECONDS = 60.0
FETCH_SECONDS = 360.0  # all fetches of one snapshot together
MAX_TAGS = 300_000  # what half a gigabyte of memory holds
PIN_VERSION = (2, 37)  # the first git that knows http.curloptResolve


class GitProvider:
    """Reads one repository over git's own protocols. No I/O until it is asked. With
    `wrap` the objects are taken from what it makes of those of the mirror."""

    def __init__(
        self, remote: Remote, *, wrap: Callable[[Objects], Objects] | None = None
    ) -> None:
        self._remote = remote
        self._wrap = wrap

    def fetch_listing(self) -> Listing:
        """The refs as they are now, in one round trip."""
        with system_explained():
            return self._list(self.connect()[0])

    def fetch_snapshot(
        self, listing: Listing, known: Known, progress: Progress = no_progress
    ) -> RepositorySnapshot:
        """The whole snapshot that `listing` names, reading only what is not known.

        Objects that are missing mean that the remote changed meanwhile, or that the
        mirror is damaged: the mirror is made again and the refs listed again, once."""
        end = time.monotonic() + FETCH_SECONDS
        with system_explained():
            return self._fetch_snapshot(listing, known, progress, end)

    def _fetch_snapshot(
        self, listing: Listing, known: Known, progress: Progress, end: float
    ) -> RepositorySnapshot:
        connection, clean = self.connect()
        try:
            try:
                return self._read(
                    listing, known, progress, connection, clean, first=True, end=end
                )
            except (Missing, GitFailed) as error:
                if isinstance(error, GitFailed) and was_stopped(error):
                    raise
                if clean.path is None:
                    remove_mirror(self._remote.mirror)
                listing = self._list(connection)
                return self._read(
                    listing, known, progress, connection, clean, first=False, end=end
                )
        except Missing as error:
            raise Unavailable(
                f"{place(connection)} does not have all the objects that it lists. If "
                "this happens at every crawl, run git fsck there."
            ) from error
        except GitFailed as error:
            raise explain_mirror(error, connection) from error

    def open_objects(self, listing: Listing, known: Known, *, first: bool) -> Objects:
        """The mirror as a source of single objects, for a reader that gets most of
        them elsewhere. Raises as `fetch_snapshot`; what it returns raises GitFailed
        too."""
        end = time.monotonic() + FETCH_SECONDS
        with system_explained():
            connection, clean = self.connect()
            return self._open(
                connection, clean, listing, known, no_progress, first, end
            )

    def connect(self) -> tuple[Connection, CleanRemote]:
        """Check the address again (its name may lead elsewhere by now)."""
        remote = self._remote
        try:
            clean = parse_remote(
                remote.url,
                allow_local=remote.allow_local,
                allow_private=remote.allow_private,
            )
        except AddressRefused as error:
            if isinstance(error.__cause__, Unavailable):  # no answer from DNS today
                raise error.__cause__ from None
            if remote.allow_local and _is_gone(remote.url):
                raise NotFound(error.sentence) from None
            raise
        secret = remote.secret or clean.secret
        username = remote.username or clean.username
        if (
            secret
            and clean.scheme == "http"
            and not may_go_openly(clean.addresses, remote.allow_private)
        ):
            raise AddressRefused(
                "The address begins with http:, so the password would travel in the "
                "open. Enter the https: address."
            )
        url = clean.url
        if clean.addresses and clean.scheme == "git":
            url = url.replace(f"//{clean.host}", f"//{clean.addresses[0]}", 1)
        if clean.addresses and clean.scheme in {"http", "https"}:
            _refuse_old_git()
        connection = Connection(
            url=url,
            scheme=clean.scheme,
            host=clean.host,
            port=clean.port,
            username=username,
            secret=secret if clean.scheme in {"http", "https"} else "",
            addresses=clean.addresses,
        )
        return connection, clean

    def _list(self, connection: Connection) -> Listing:
        try:
            data = command.ls_remote(connection, seconds=LISTING_SECONDS)
            is_proven = bool(data) or command.speaks_git(
                connection, seconds=LISTING_SECONDS
            )
        except GitFailed as error:
            raise explain(error, connection) from None
        if not is_proven:
            raise BadPayload(
                f"{place(connection)} gives an empty answer that is not that of a Git "
                "server. Check that the address is that of a Git repository."
            )
        listing = parse_listing(data)
        if len(listing.tags) > MAX_TAGS:
            raise TooLarge(
                f"The repository has more than {MAX_TAGS} tags, too many to index."
            )
        return listing

    def _read(
        self,
        listing: Listing,
        known: Known,
        progress: Progress,
        connection: Connection,
        clean: CleanRemote,
        *,
        first: bool,
        end: float,
    ) -> RepositorySnapshot:
        if not listing.head and not listing.tags:
            return RepositorySnapshot(
                branches=dict(listing.branches),
                default_branch=listing.default_branch,
                problems=problems_of_head(listing),
            )
        objects = self._open(connection, clean, listing, known, progress, first, end)
        wrapped = self._wrap(objects) if self._wrap is not None else objects
        return Reading(listing, known, progress, wrapped, first=first).snapshot()

    def _open(
        self,
        connection: Connection,
        clean: CleanRemote,
        listing: Listing,
        known: Known,
        progress: Progress,
        first: bool,
        end: float,
    ) -> MirrorObjects:
        any_id = listing.head or next(iter(listing.tags.values()), "")
        open_mirror(
            self._remote.mirror,
            object_format="sha256" if len(any_id) == 64 else "sha1",
            borrow_from=objects_of(clean.path) if clean.path else None,
        )
        return MirrorObjects(
            self._remote.mirror,
            connection,
            fetches=clean.path is None,
            first=first,
            end=end,
            head=listing.head,
            known=known.commits.values(),
            progress=progress,
        )


@contextmanager
def system_explained() -> Iterator[None]:
    """Turn errors of this machine into ours."""
    try:
        yield
    except GitMissing as error:
        raise Unavailable(str(error)) from error
    except OSError as error:
        raise explain_system(error) from error


def _is_gone(url: str) -> bool:
    return os.path.isabs(url) and not os.path.exists(url)


def _refuse_old_git() -> None:
    try:
        version = command.version()
    except GitFailed as error:
        raise Unavailable(
            "The git of the machine that runs Muster could not be asked for its "
            "version. Muster tries again later."
        ) from error
    if version < PIN_VERSION:
        raise Unavailable(
            "The git of the machine that runs Muster is older than 2.37 and cannot be "
            "held to a checked address. Install a newer git, or let an administrator "
            "set MUSTER_ALLOW_PRIVATE."
        )
