"""The reading of one snapshot: tags, commits, registry files, wherever their objects
come from.

Objects that are missing mean that the remote changed since it was listed, or that the
mirror is damaged: the first reading then raises Missing, to be begun again with fresh
refs and a fresh mirror. A second reading puts up with what a repository of this
machine, or the remote itself, cannot read, and says so."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import replace

from indexer.core.git_objects import parse_commit_object
from indexer.core.snapshot import (
    Document,
    FileRef,
    GitCommit,
    GitTag,
    ObjectType,
    Problem,
    RepositorySnapshot,
)
from indexer.core.tags import parse_tag_name
from indexer.providers.base import Known, Listing, Progress
from indexer.providers.documents import (
    Budget,
    places_in_order,
    refuse,
    was_refused,
)
from indexer.providers.objects import Header, Missing, Objects, Want
from indexer.providers.tag_chains import most_bytes, read_tag_chains
from indexer.providers.trees import UNREAD_FLAWS, TreeWalk
from indexer.yamlio import MAX_BYTES, parse_document, refuse_document

MISSING_FILE = "The file is missing or damaged in the repository."
DAMAGED_FILE = "The file is damaged in the repository. Run git fsck there."
UNREAD_FILES = frozenset({MISSING_FILE, DAMAGED_FILE})


class Reading:
    """The reading of one snapshot: its input, and what was found so far."""

    def __init__(
        self,
        listing: Listing,
        known: Known,
        progress: Progress,
        objects: Objects,
        *,
        first: bool,
    ) -> None:
        self._listing = listing
        self._known = known
        self._progress = progress
        self._objects = objects
        self._first = first
        self._problems = list(problems_of_head(listing))
        # `tags` may be a part of the listing, `raw_tags` never is.
        self._most_bytes = most_bytes(max(len(listing.tags), len(listing.raw_tags)))

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

    # Tags ---------------------------------------------------------------------------

    def _read_tags(self) -> list[GitTag]:
        listing = self._listing
        # What was broken when it was read before is looked at again.
        known = {
            key: tag
            for key, tag in self._known.tags.items()
            if tag.tag is not None or tag.commit_id is not None
        }
        new = {
            object_id: ref
            for ref, object_id in listing.tags.items()
            if object_id not in known and object_id.strip("0")
        }
        if self._objects.fetches:
            self._fetch_tags(new)
        self._progress("Reading tags", 0, len(new))
        chains = read_tag_chains(self._objects, list(new), limit=self._most_bytes)
        self._progress("Reading tags", len(new), len(new))
        tags = []
        for ref, object_id in listing.tags.items():
            before = known.get(object_id)
            if before is not None:
                tags.append(before if before.ref == ref else replace(before, ref=ref))
            elif object_id in chains.tags:
                tag, commit_id = chains.peel(object_id)
                tags.append(GitTag(ref, object_id, tag, commit_id))
            else:
                header = chains.headers.get(object_id)
                tags.append(self._lightweight(ref, object_id, header))
        return tags

    def _fetch_tags(self, new: Mapping[str, str]) -> None:
        """Fetch new tag objects and the head's commit; with their trees if tags of GTO
        are in the majority, for then the trees will be wanted next. A lightweight tag
        with a name of GTO comes along: it may be an annotated one that is broken."""
        listing = self._listing
        ours = {key for key, ref in new.items() if parse_tag_name(ref) is not None}
        wanted = dict.fromkeys(
            key for key, ref in new.items() if key in ours or ref in listing.peeled
        )
        want = Want.TAGS_AND_TREES if len(ours) * 2 >= len(wanted) else Want.TAGS
        if listing.head and listing.head not in self._known.commits:
            wanted[listing.head] = None
        if wanted:
            self._objects.load(wanted, want)

    def _lightweight(self, ref: str, object_id: str, header: Header | None) -> GitTag:
        """A ref without a tag object we could read. What a remote did not call an
        annotated tag is not fetched: it is a commit, as good as always."""
        if header is not None and header.type is not ObjectType.TAG:
            is_commit = header.type is ObjectType.COMMIT
            return GitTag(ref, object_id, None, object_id if is_commit else None)
        is_broken = object_id in self._objects.unreadable or not object_id.strip("0")
        if not is_broken:
            if self._objects.fetches and ref not in self._listing.peeled:
                return GitTag(ref, object_id, None, object_id)
            if self._first or self._objects.fetches:
                raise Missing
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
        # As with tags: what was broken is looked at again.
        known = {
            key: commit
            for key, commit in self._known.commits.items()
            if not any(problem.code in UNREAD_FLAWS for problem in commit.problems)
        }
        wanted = dict.fromkeys(
            tag.commit_id
            for tag in tags
            if tag.commit_id and tag.tag and _is_ours(tag.ref, tag.tag.name)
        )
        if self._listing.head:
            wanted[self._listing.head] = None
        new = [
            commit_id for commit_id in wanted if commit_id and commit_id not in known
        ]
        headers = self._objects.load(new, Want.COMMITS)
        if self._must_have(key for key in new if key not in headers):
            raise Missing
        commits = {key: known[key] for key in wanted if key and key in known}
        commits |= self._parse_commits(
            [key for key in new if key in headers and is_commit(headers[key])]
        )
        unread = {key for key in new if key not in commits}
        if unread:
            tags = [
                replace(tag, commit_id=None) if tag.commit_id in unread else tag
                for tag in tags
            ]
        return commits, tags

    def _must_have(self, absent: Iterable[str]) -> bool:
        """Whether absent objects are a reason to begin again, or to give up."""
        return any(
            self._first
            or (self._objects.fetches and key not in self._objects.unreadable)
            for key in absent
        )

    def _parse_commits(self, ids: list[str]) -> dict[str, GitCommit]:
        self._progress("Reading commits", 0, len(ids))
        parsed: dict[str, tuple[str, GitCommit]] = {}
        for body in self._objects.bodies(ids, limit=self._most_bytes):
            tree_id, _, commit = parse_commit_object(body.object_id, body.data)
            parsed[body.object_id] = (tree_id, commit)
        if self._must_have(key for key in ids if key not in parsed):
            raise Missing
        roots = {tree_id for tree_id, _ in parsed.values() if tree_id}
        if self._objects.fetches and roots:
            self._objects.load(roots, Want.TREES)
        walk = TreeWalk(self._objects)
        walk.load(roots)
        if self._must_have(walk.missing):
            raise Missing
        commits = {}
        shared: dict[tuple[FileRef, ...], tuple[FileRef, ...]] = {}
        for done, (commit_id, (tree_id, commit)) in enumerate(parsed.items()):
            if done % 1000 == 0:
                self._progress("Reading commits", done, len(ids))
            files, problems = walk.files(tree_id, commit_id) if tree_id else ((), ())
            files = shared.setdefault(files, files)
            commits[commit_id] = replace(commit, files=files, problems=problems)
        self._progress("Reading commits", len(ids), len(ids))
        return commits

    # Registry files -----------------------------------------------------------------

    def _read_documents(self, commits: Iterable[GitCommit]) -> dict[str, Document]:
        places = places_in_order(commits, self._listing.head)
        known = {
            key: document
            for key, document in self._known.documents.items()
            if key in places
            and not was_refused(document)
            and document.problem not in UNREAD_FILES
        }
        new = [blob_id for blob_id in places if blob_id not in known]
        refused = self._refused_documents(new) if new else {}
        readable = [blob_id for blob_id in new if blob_id not in refused]
        documents: dict[str, Document] = {}
        budget = Budget()
        done = 0
        with contextlib.closing(
            self._objects.bodies(readable, limit=MAX_BYTES)
        ) as bodies:
            body = next(bodies, None)
            for blob_id, place in places.items():
                document = known.get(blob_id) or refused.get(blob_id)
                if document is None:
                    if done % 100 == 0:
                        self._progress("Reading files", done, len(new))
                    done += 1
                    if budget.is_spent():
                        document = refuse(blob_id)
                    elif body is not None and body.object_id == blob_id:
                        document = parse_document(blob_id, body.data)
                        body = next(bodies, None)
                    elif self._must_have([blob_id]):
                        raise Missing
                    else:
                        document = refuse_document(blob_id, DAMAGED_FILE)
                documents[blob_id] = budget.admit(document, place)
        if new:
            self._progress("Reading files", len(new), len(new))
        return documents

    def _refused_documents(self, new: list[str]) -> dict[str, Document]:
        """Fetch these blobs; those that are not there to read, or too large, with the
        reason."""
        self._progress("Reading files", 0, len(new))
        headers = self._objects.load(new, Want.BLOBS)
        if self._must_have(key for key in new if key not in headers):
            raise Missing
        refused: dict[str, Document] = {}
        for blob_id in new:
            header = headers.get(blob_id)
            if header is None or header.type is not ObjectType.BLOB:
                refused[blob_id] = refuse_document(blob_id, MISSING_FILE)
            elif header.size > MAX_BYTES:
                refused[blob_id] = refuse_document(
                    blob_id,
                    f"The file has {header.size} bytes, too large to read; the limit "
                    f"is {MAX_BYTES}.",
                )
        return refused


def is_commit(header: Header) -> bool:
    return header.type is ObjectType.COMMIT


def _is_ours(ref: str, name: str) -> bool:
    """Whether a tag is GTO's by its ref or by the name inside it."""
    return parse_tag_name(name) is not None or (
        ref != name and parse_tag_name(ref) is not None
    )


def problems_of_head(listing: Listing) -> tuple[Problem, ...]:
    if listing.head or not listing.branches:
        return ()
    return (
        Problem(
            "no-default-branch",
            "The repository's HEAD names no branch that exists, so there is no default "
            "branch to read descriptions from. Set the default branch at its host.",
        ),
    )
