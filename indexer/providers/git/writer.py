"""Tags written over git's own protocols, with the credential that reads.

The tag object is made in a bare repository of its own, which lasts as long as the
writing: a mirror belongs to whoever crawls. Beside it there is no more than the commit
it tags, without trees; it shows that the remote has that commit."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from indexer.core.git_objects import format_tag_object, parse_tag_object
from indexer.core.snapshot import GitTag, ObjectType
from indexer.providers.addresses import CleanRemote
from indexer.providers.base import Listing, Remote
from indexer.providers.errors import (
    AccessDenied,
    BadPayload,
    ProviderError,
    Refused,
    Unavailable,
    Unsettled,
)
from indexer.providers.git import command
from indexer.providers.git.command import GitFailed
from indexer.providers.git.failures import explain, place
from indexer.providers.git.hardening import Connection
from indexer.providers.git.listing import parse_listing
from indexer.providers.git.mirror import objects_of, open_mirror
from indexer.providers.git.objects import read_bodies, read_headers
from indexer.providers.git.reader import GitProvider, system_explained
from indexer.providers.http_answers import clean
from indexer.providers.tag_chains import most_bytes
from indexer.providers.writing import (
    TagOrder,
    check_name,
    checked,
    settle,
    written,
)

SECONDS = 60.0  # for each question to the remote
TAGS = "refs/tags/"
REPORT = re.compile(r"^([ +\-*=!])\t[^\t\n]*\t(.*)$", re.MULTILINE)
SAID = re.compile(r"^remote: ?(.*)$", re.MULTILINE)
NOT_THERE = r"not our ref|unadvertised object|bad object"
# What our git says of one that cannot tell which commits it has.
OLD_SERVER = r"does not support (wait-for-done|--negotiate-only)"
# What git says where we may read and not write.
READ_ONLY = (
    r"read[- ]only|not allowed to (push|upload|write)|[Ww]rite access|archived|"
    r"[Pp]ush access|service not enabled|returned error: 403|dubious ownership"
)


class GitTagWriter:
    """Writes tags of one repository by pushing them. No I/O until it is asked."""

    def __init__(self, remote: Remote) -> None:
        self._git = GitProvider(remote)

    def refs(self) -> Listing:
        """The refs as they are now, in one round trip."""
        return self._git.fetch_listing()

    def read_tag(self, name: str) -> GitTag | None:
        """What is there under this name now; None if there is nothing."""
        check_name(name)
        with system_explained():
            connection, clean_remote = self._git.connect()
            try:
                return self._read(connection, clean_remote, name)
            except GitFailed as error:
                raise explain(error, connection) from None

    def read_object(self, name: str, object_id: str, commit_id: str) -> GitTag:
        """The tag object that a ref of this name leads to, and the commit it tags."""
        with system_explained():
            connection, clean_remote = self._git.connect()
            try:
                return self._fetched(
                    connection, clean_remote, name, object_id, commit_id
                )
            except GitFailed as error:
                raise explain(error, connection) from None

    def write_tag(self, order: TagOrder) -> GitTag:
        """Write the tag; see writing.TagWriter."""
        order = checked(order)
        tag = written(order)
        try:
            with system_explained():
                self._write(order, tag.object_id)
        except ProviderError as error:
            return settle(
                order,
                error,
                self.read_tag,
                lambda there: there.object_id == tag.object_id,
            )
        return tag

    # Reading ------------------------------------------------------------------------

    def _read(
        self, connection: Connection, clean_remote: CleanRemote, name: str
    ) -> GitTag | None:
        ref = TAGS + name
        # HEAD beside it: an answer of nothing at all may be that of no Git server.
        data = command.ls_remote(
            connection, seconds=SECONDS, refs=("HEAD", ref, f"{ref}^{{}}")
        )
        listing = parse_listing(data) if data else self._git.fetch_listing()
        object_id = listing.tags.get(name)
        if object_id is None:
            return None
        peeled = listing.peeled.get(name)
        if peeled is None:
            return GitTag(name, object_id, None, object_id)
        return self._fetched(connection, clean_remote, name, object_id, peeled)

    def _fetched(
        self,
        connection: Connection,
        clean_remote: CleanRemote,
        name: str,
        object_id: str,
        peeled: str,
    ) -> GitTag:
        with workshop(connection, clean_remote, object_id) as mirror:
            headers = read_headers(mirror, [peeled])
            limit = most_bytes(1)
            for body in read_bodies(mirror, [object_id], limit=limit):
                tag = parse_tag_object(object_id, body.data)
                found = headers.get(peeled)
                is_commit = found is not None and found.type is ObjectType.COMMIT
                return GitTag(name, object_id, tag, peeled if is_commit else None)
        raise Unavailable(
            f"{place(connection)} does not send the tag that it lists. Try again later."
        )

    # Writing ------------------------------------------------------------------------

    def _write(self, order: TagOrder, object_id: str) -> None:
        connection, clean_remote = self._git.connect()
        where = place(connection)
        try:
            with workshop(connection, clean_remote, order.commit_id) as mirror:
                found = read_headers(mirror, [order.commit_id]).get(order.commit_id)
                if found is None or found.type is not ObjectType.COMMIT:
                    raise no_commit(where, order.commit_id)
                made = command.hash_object(mirror, "tag", format_tag_object(order))
                if made != object_id:
                    raise BadPayload("Git made another object than Muster had planned.")
                report, said = command.push_ref(
                    mirror, connection, object_id, TAGS + order.name, seconds=SECONDS
                )
        except GitFailed as error:
            if error.verb == "fetch" and re.search(NOT_THERE, error.stderr):
                raise no_commit(where, order.commit_id) from None
            raise explain_push(error, connection, "a tag of this commit") from None
        check_report(report, said, where, "the tag")


@contextmanager
def workshop(
    connection: Connection,
    clean_remote: CleanRemote,
    object_id: str,
    *,
    filtered: str = "tree:0",
) -> Iterator[Path]:
    """A bare repository that holds an object of the remote, and the commit below it,
    for as long as the context lasts; of a server without what is `filtered`."""
    with tempfile.TemporaryDirectory(prefix="muster-write-") as folder:
        mirror = Path(folder) / "one.git"
        path = clean_remote.path
        open_mirror(
            mirror,
            object_format="sha256" if len(object_id) == 64 else "sha1",
            borrow_from=objects_of(path) if path else None,
        )
        if path is None:
            fetch_more(mirror, connection, object_id, filtered=filtered, shallow=True)
        yield mirror


def fetch_more(
    mirror: Path,
    connection: Connection,
    object_id: str,
    *,
    filtered: str,
    shallow: bool = False,
    have: str = "",
) -> None:
    """Fetch an object into a workshop; see command.fetch."""
    command.fetch(
        mirror,
        connection,
        [object_id],
        filtered=filtered,
        shallow=shallow,
        have=have,
        seconds=SECONDS,
    )


def check_report(report: str, said: str, where: str, what: str) -> None:
    """Raise Refused unless git reports that the ref was made or moved, or was there
    already as it is to be. `what` is it of, "the tag"?"""
    found = REPORT.search(report)
    if found is None:
        raise Unavailable(f"{where} did not say whether it took {what}.")
    flag, summary = found.groups()
    if flag in "*= ":
        return
    words = " ".join(line for line in SAID.findall(said) if line.strip())
    reason = clean(words, ()) or clean(summary, ())
    raise Refused(f"{where} refused {what}. It says: “{reason}”.")


def no_commit(where: str, commit_id: str) -> Refused:
    """The error of a commit that is not there."""
    return Refused(
        f"{where} has no commit {commit_id[:7]} any more, or never had. Choose another "
        "commit.",
        status=404,
    )


def explain_push(
    failure: GitFailed, connection: Connection, what: str
) -> ProviderError:
    """What went wrong where we wanted to write `what`: "a tag of this commit"."""
    error = explain(failure, connection)
    where = place(connection)
    if failure.verb == "push" and (failure.signal or failure.late):
        # The remote may be at it still.
        return Unsettled(f"It is not known whether {where} took it. {error.sentence}")
    if failure.verb == "push" and not failure.late:
        if isinstance(error, AccessDenied) or re.search(READ_ONLY, failure.stderr):
            return AccessDenied(
                f"{where} does not let this credential write, or the repository is "
                "read-only. Give the credential the right to push, or enter another."
            )
        # A negotiation may have failed for other reasons: it was killed, or cut off.
        if re.search(OLD_SERVER, failure.stderr):
            return Refused(
                f"{where} runs a git older than 2.32, to which Muster cannot push "
                f"{what}. Update it, or choose the head of a branch.",
                status=426,
            )
    return error
