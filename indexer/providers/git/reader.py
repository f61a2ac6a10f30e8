"""The plain Git provider: any remote that git itself can read.

A listing is one `ls-remote`. A snapshot takes the objects that are not known yet in
few bulk reads: tag objects, the commits that GTO tags lead to, their trees, and the
registry files in them. For a remote they are fetched before by object id, so that no
name of the remote ever touches a file system; a repository of this machine lends its
objects (see mirror.py)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from indexer.core.git_objects import parse_commit_object, parse_tag_object
from indexer.core.snapshot import (
    Document,
    GitCommit,
    GitTag,
    ObjectType,
    Problem,
    RepositorySnapshot,
    TagObject,
)
from indexer.core.tags import parse_tag_name
from indexer.providers.addresses import CleanRemote, parse_remote
from indexer.providers.base import Known, Listing, Progress, Remote, no_progress
from indexer.providers.errors import (
    AddressRefused,
    BadPayload,
    ProviderError,
    Unavailable,
)
from indexer.providers.git import command
from indexer.providers.git.command import Connection, GitFailed, GitMissing
from indexer.providers.git.failures import explain, explain_system, place
from indexer.providers.git.listing import parse_listing
from indexer.providers.git.mirror import objects_of, open_mirror, remove_mirror
from indexer.providers.git.objects import Header, read_bodies, read_headers
from indexer.providers.git.trees import TreeWalk
from indexer.yamlio import MAX_BYTES, parse_document, refuse_document

LISTING_SECONDS = 60.0
FETCH_SECONDS = 400.0  # all fetches of one snapshot together
MAX_TAG_BYTES = 1024 * 1024  # of one tag or commit object; the rest is not read
MAX_TAGS = 1_000_000
PIN_VERSION = (2, 37)  # the first git that knows http.curloptResolve


class GitProvider:
    """Reads one repository over git's own protocols. No I/O until it is asked."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def fetch_listing(self) -> Listing:
        """The refs as they are now, in one round trip."""
        try:
            connection = self._connect()[0]
            listing = self._list(connection)
        except GitMissing as error:
            raise Unavailable(str(error)) from error
        except OSError as error:
            raise explain_system(error) from error
        return listing

    def fetch_snapshot(
        self, listing: Listing, known: Known, progress: Progress = no_progress
    ) -> RepositorySnapshot:
        """The whole snapshot that `listing` names, reading only what is not known.

        Objects that are missing mean that the remote changed meanwhile, or that the
        mirror is damaged: the mirror is made again and the refs listed again, once."""
        try:
            connection, clean = self._connect()
            try:
                return self._read(listing, known, progress, connection, clean, first=True)
            except (_Missing, GitFailed):
                if clean.path is None:
                    remove_mirror(self._remote.mirror)
                listing = self._list(connection)
                return self._read(
                    listing, known, progress, connection, clean, first=False
                )
        except _Missing as error:
            where = place(self._connect()[0])
            raise Unavailable(
                f"{where} does not have all the objects that it lists. If this "
                "happens at every crawl, run git fsck there."
            ) from error
        except GitFailed as error:
            if error.late:
                raise Unavailable("Reading the mirror took too long.") from error
            raise Unavailable(
                "The mirror of this repository could not be read, not even after it "
                "was made anew. Check the disk of the machine that runs Muster."
            ) from error
        except GitMissing as error:
            raise Unavailable(str(error)) from error
        except OSError as error:
            raise explain_system(error) from error

    def _connect(self) -> tuple[Connection, CleanRemote]:
        """Check the address again (its name may lead elsewhere by now)."""
        remote = self._remote
        clean = parse_remote(
            remote.url,
            allow_local=remote.allow_local,
            allow_private=remote.allow_private,
        )
        secret = remote.secret or clean.secret
        username = remote.username or clean.username
        if secret and clean.scheme == "http" and not remote.allow_private:
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
        except GitFailed as error:
            raise explain(error, connection) from None
        listing = parse_listing(data)
        if len(listing.tags) > MAX_TAGS:
            raise BadPayload(f"The repository has more than {MAX_TAGS} tags.")
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
    ) -> RepositorySnapshot:
        any_id = next(iter([listing.head, *listing.tags.values()]), "") or next(
            iter(listing.tags.values()), ""
        )
        if not any_id:
            return RepositorySnapshot(
                branches=dict(listing.branches),
                default_branch=listing.default_branch,
                problems=_problems_of_head(listing),
            )
        open_mirror(
            self._remote.mirror,
            object_format="sha256" if len(any_id) == 64 else "sha1",
            borrow_from=objects_of(clean.path) if clean.path else None,
        )
        return _Reading(
            listing, known, progress, connection, self._remote.mirror,
            fetches=clean.path is None, first=first,
        ).snapshot()  # fmt: skip


class _Missing(Exception):
    """Objects that the remote listed did not arrive."""


class _Reading:
    """The reading of one snapshot: its input, and what was found so far."""

    def __init__(
        self,
        listing: Listing,
        known: Known,
        progress: Progress,
        connection: Connection,
        mirror: Path,
        *,
        fetches: bool,
        first: bool,
    ) -> None:
        self._listing = listing
        self._known = known
        self._progress = progress
        self._connection = connection
        self._mirror = mirror
        self._fetches = fetches
        self._first = first
        self._end = time.monotonic() + FETCH_SECONDS
        self._problems = list(_problems_of_head(listing))

    def snapshot(self) -> RepositorySnapshot:
        tags = self._read_tags()
        commits, tags = self._read_commits(tags)
        documents = self._read_documents(commits.values())
        head = self._listing.head if self._listing.head in commits else ""
        return RepositorySnapshot(
            tags=tuple(tags),
            branches=dict(self._listing.branches),
            default_branch=self._listing.default_branch,
            head=head,
            commits=commits,
            documents=documents,
            problems=tuple(self._problems),
        )

    def _fetch(
        self, object_ids: Iterable[str], *, filtered: str, shallow: bool, have: str = ""
    ) -> None:
        left = self._end - time.monotonic()
        try:
            command.fetch(
                self._mirror,
                self._connection,
                object_ids,
                filtered=filtered,
                shallow=shallow,
                have=have,
                seconds=max(left, 1.0),
            )
        except GitFailed as error:
            reason = explain(error, self._connection)
            if self._first and _may_pass(error, reason):
                raise _Missing from None
            raise reason from None

    # Tags ---------------------------------------------------------------------------

    def _read_tags(self) -> list[GitTag]:
        listing, known = self._listing, self._known.tags
        new = {
            object_id: ref
            for ref, object_id in listing.tags.items()
            if object_id not in known
        }
        if self._fetches:
            self._fetch_tags(new)
        self._progress("Reading tags", 0, len(new))
        headers = read_headers(self._mirror, list(new))
        objects = self._parse_tags(
            [key for key, header in headers.items() if header.type is ObjectType.TAG],
            headers,
        )
        self._progress("Reading tags", len(new), len(new))
        tags = []
        for ref, object_id in listing.tags.items():
            before = known.get(object_id)
            if before is not None:
                tags.append(before if before.ref == ref else replace(before, ref=ref))
                continue
            tag = objects.get(object_id)
            if tag is not None:
                tags.append(self._annotated(ref, object_id, tag))
            else:
                tags.append(self._lightweight(ref, object_id, headers.get(object_id)))
        return tags

    def _fetch_tags(self, new: Mapping[str, str]) -> None:
        """Fetch new tag objects and the head's commit; with their trees if tags of GTO
        are in the majority, for then the trees will be wanted next."""
        listing = self._listing
        wanted = {
            object_id: ref for object_id, ref in new.items() if ref in listing.peeled
        }
        ids = dict.fromkeys(wanted)
        if listing.head and listing.head not in self._known.commits:
            ids[listing.head] = None
        present = read_headers(self._mirror, list(ids))
        ids = {key: None for key in ids if key not in present}
        if not ids:
            return
        self._progress("Fetching", 0, len(ids))
        ours = sum(1 for ref in wanted.values() if parse_tag_name(ref) is not None)
        filtered = "blob:none" if ours * 2 >= len(wanted) else "tree:0"
        self._fetch(ids, filtered=filtered, shallow=True)
        self._progress("Fetching", len(ids), len(ids))

    def _parse_tags(
        self, ids: list[str], headers: Mapping[str, Header]
    ) -> dict[str, TagObject]:
        objects: dict[str, TagObject] = {}
        for body in read_bodies(self._mirror, ids, limit=MAX_TAG_BYTES):
            tag = parse_tag_object(body.object_id, body.data)
            if body.is_cut:
                size = headers[body.object_id].size
                flaw = f"The tag object has {size} bytes; its message is cut."
                tag = replace(tag, flaws=(*tag.flaws, flaw))
            objects[body.object_id] = tag
        return objects

    def _annotated(self, ref: str, object_id: str, tag: TagObject) -> GitTag:
        target = self._listing.peeled.get(ref)
        if target is None:
            flaw = "What the tag leads to is missing in the repository."
            tag = replace(
                tag, target_type=ObjectType.MISSING, flaws=(*tag.flaws, flaw)
            )
        elif tag.target_type in {ObjectType.TREE, ObjectType.BLOB}:
            target = None
        return GitTag(ref, object_id, tag, target)

    def _lightweight(self, ref: str, object_id: str, header: Header | None) -> GitTag:
        """A ref without a tag object we could read. What a remote did not call an
        annotated tag is not fetched: it is a commit, as good as always."""
        if header is not None:
            is_commit = header.type is ObjectType.COMMIT
            return GitTag(ref, object_id, None, object_id if is_commit else None)
        if ref not in self._listing.peeled and self._fetches:
            return GitTag(ref, object_id, None, object_id)
        if self._first:
            raise _Missing
        if self._fetches:
            raise _Missing
        self._problems.append(
            Problem(
                "object-missing",
                "The object of this tag is missing or damaged in the repository. Run "
                "git fsck there.",
                tag=ref,
            )
        )
        return GitTag(ref, object_id, None, None)

    # Commits ------------------------------------------------------------------------

    def _read_commits(
        self, tags: list[GitTag]
    ) -> tuple[dict[str, GitCommit], list[GitTag]]:
        known = self._known.commits
        wanted = dict.fromkeys(
            tag.commit_id
            for tag in tags
            if tag.commit_id and tag.tag and _is_ours(tag.ref, tag.tag.name)
        )
        if self._listing.head:
            wanted[self._listing.head] = None
        new = [commit_id for commit_id in wanted if commit_id and commit_id not in known]
        headers = read_headers(self._mirror, new)
        absent = [commit_id for commit_id in new if commit_id not in headers]
        if absent and self._fetches:
            self._fetch(absent, filtered="blob:none", shallow=True, have=self._have())
            headers |= read_headers(self._mirror, absent)
            absent = [commit_id for commit_id in absent if commit_id not in headers]
        if absent and (self._first or self._fetches):
            raise _Missing
        commits = {key: known[key] for key in wanted if key and key in known}
        commits |= self._parse_commits(
            [key for key in new if _type(headers, key) is ObjectType.COMMIT]
        )
        # A tag may say that it tags a commit, and tag something else.
        not_commits = {key for key in new if key not in commits}
        if not_commits:
            tags = [
                replace(tag, commit_id=None) if tag.commit_id in not_commits else tag
                for tag in tags
            ]
        return commits, tags

    def _parse_commits(self, ids: list[str]) -> dict[str, GitCommit]:
        self._progress("Reading commits", 0, len(ids))
        parsed: dict[str, tuple[str, GitCommit]] = {}
        for body in read_bodies(self._mirror, ids, limit=MAX_TAG_BYTES):
            tree_id, _, commit = parse_commit_object(body.object_id, body.data)
            parsed[body.object_id] = (tree_id, commit)
        if len(parsed) < len(ids) and (self._first or self._fetches):
            raise _Missing
        roots = {tree_id for tree_id, _ in parsed.values() if tree_id}
        if self._fetches and roots:
            present = read_headers(self._mirror, list(roots))
            absent = [root for root in roots if root not in present]
            if absent:
                self._fetch(absent, filtered="blob:none", shallow=False)
        walk = TreeWalk(self._mirror)
        walk.load(roots)
        if walk.missing and (self._first or self._fetches):
            raise _Missing
        commits = {}
        shared: dict[str, tuple[object, ...]] = {}
        for done, (commit_id, (tree_id, commit)) in enumerate(parsed.items()):
            if done % 1000 == 0:
                self._progress("Reading commits", done, len(ids))
            files, problems = walk.files(tree_id, commit_id) if tree_id else ((), ())
            files = shared.setdefault(tree_id, files)  # type: ignore[assignment]
            commits[commit_id] = replace(commit, files=files, problems=problems)
        self._progress("Reading commits", len(ids), len(ids))
        return commits

    def _have(self) -> str:
        """A commit that is in the mirror with its trees, if any."""
        return ""

    # Registry files -----------------------------------------------------------------

    def _read_documents(self, commits: Iterable[GitCommit]) -> dict[str, Document]:
        known = self._known.documents
        paths = {file.blob_id: file.path for commit in commits for file in commit.files}
        documents = {key: known[key] for key in paths if key in known}
        new = [blob_id for blob_id in paths if blob_id not in known]
        if not new:
            return documents
        self._progress("Reading files", 0, len(new))
        headers = read_headers(self._mirror, new)
        absent = [blob_id for blob_id in new if blob_id not in headers]
        if absent and self._fetches:
            self._fetch(absent, filtered="blob:none", shallow=False)
            headers |= read_headers(self._mirror, absent)
            absent = [blob_id for blob_id in absent if blob_id not in headers]
        if absent and (self._first or self._fetches):
            raise _Missing
        readable = []
        for blob_id in new:
            header = headers.get(blob_id)
            if header is None or header.type is not ObjectType.BLOB:
                documents[blob_id] = refuse_document(
                    blob_id, "The file is missing or damaged in the repository."
                )
            elif header.size > MAX_BYTES:
                documents[blob_id] = refuse_document(
                    blob_id,
                    f"The file has {header.size} bytes, too large to read; the limit "
                    f"is {MAX_BYTES}.",
                )
            else:
                readable.append(blob_id)
        for done, body in enumerate(
            read_bodies(self._mirror, readable, limit=MAX_BYTES)
        ):
            if done % 100 == 0:
                self._progress("Reading files", done, len(new))
            documents[body.object_id] = parse_document(body.object_id, body.data)
        unread = [blob_id for blob_id in readable if blob_id not in documents]
        if unread and (self._first or self._fetches):
            raise _Missing
        for blob_id in unread:
            documents[blob_id] = refuse_document(
                blob_id, "The file is damaged in the repository. Run git fsck there."
            )
        self._progress("Reading files", len(new), len(new))
        return documents


def _type(headers: Mapping[str, Header], object_id: str) -> ObjectType:
    header = headers.get(object_id)
    return ObjectType.MISSING if header is None else header.type


def _is_ours(ref: str, name: str) -> bool:
    """Whether a tag is GTO's by its ref or by the name inside it."""
    return parse_tag_name(name) is not None or (
        ref != name and parse_tag_name(ref) is not None
    )


def _may_pass(failure: GitFailed, reason: ProviderError) -> bool:
    """Whether a failed fetch may come from a stale listing or a damaged mirror, so
    that listing and mirror are worth making again."""
    return not failure.late and (
        "not our ref" in failure.stderr
        or "unadvertised object" in failure.stderr
        or "bad object" in failure.stderr
        or "corrupt" in failure.stderr
        or "bad pack" in failure.stderr
        or isinstance(reason, BadPayload)
    )


def _problems_of_head(listing: Listing) -> tuple[Problem, ...]:
    if listing.head or not listing.branches:
        return ()
    return (
        Problem(
            "no-default-branch",
            "The repository's HEAD names no branch that exists, so there is no default "
            "branch to read descriptions from. Set the default branch at its host.",
        ),
    )


def _refuse_old_git() -> None:
    if command.version() < PIN_VERSION:
        raise Unavailable(
            "The git of the machine that runs Muster is older than 2.37 and cannot be "
            "held to a checked address. Install a newer git, or let an administrator "
            "set MUSTER_ALLOW_PRIVATE."
        )
