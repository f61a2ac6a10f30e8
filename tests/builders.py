"""Rows for tests, made as in life: a snapshot through the real core and ingest, so that
no test can stand on rows that could not be.

    history = History().register("churn", "v1.0.0").assign("churn", "prod", "v1.0.0")
    repository = ingest_history("acme/churn", history)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha1
from typing import Any
from uuid import uuid4

from django.utils import timezone

from indexer.core.snapshot import (
    Document,
    FileRef,
    GitCommit,
    GitTag,
    Instant,
    Json,
    ObjectType,
    Person,
    Problem,
    RepositorySnapshot,
    TagObject,
)
from indexer.ingest import IngestCounts, ingest
from indexer.models import Repository

START = int(datetime(2025, 1, 1, 9, 0, tzinfo=UTC).timestamp())
HOUR = 3600
ALICE = Person("Alice", "alice@example.com")
BOB = Person("Bob", "bob@example.com")


def object_id(*parts: object) -> str:
    """A made-up object id, the same for the same parts."""
    return sha1(repr(parts).encode(), usedforsecurity=False).hexdigest()


@dataclass
class History:
    """A Git history that grows by GTO's actions. Each method returns the history;
    each event is an hour after the one before unless `at` says otherwise."""

    tags: list[GitTag] = field(default_factory=list)
    commits: dict[str, GitCommit] = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    clock: int = START
    head: str = ""
    commit_of: dict[tuple[str, str], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.head:
            self.commit()

    def commit(self, files: dict[str, Json] | None = None, message: str = "") -> str:
        """A new commit on the default branch with these registry files; without
        `files` it has those of the commit before. Returns its id."""
        self.clock += HOUR
        number = len(self.commits)
        if files is None:
            listing = self.commits[self.head].files if self.head else ()
        else:
            listing = tuple(
                FileRef(path, self._document(path, value))
                for path, value in sorted(files.items())
            )
        key = object_id("commit", number, self.clock)
        self.commits[key] = GitCommit(
            id=key,
            author=ALICE,
            authored=Instant(self.clock, 60),
            committer=BOB,
            committed=Instant(self.clock, 60),
            message=message or f"Commit {number}",
            files=listing,
        )
        self.head = key
        return key

    def annotate(self, **artifacts: dict[str, Any]) -> History:
        """A commit whose dvc.yaml declares these artifacts."""
        self.commit({"dvc.yaml": {"artifacts": dict(artifacts)}})
        return self

    def tag(
        self,
        name: str,
        commit_id: str = "",
        *,
        at: int | None = None,
        by: Person | None = ALICE,
        message: str = "",
        ref: str = "",
        dated: bool = True,
        target_type: ObjectType = ObjectType.COMMIT,
    ) -> History:
        """An annotated tag, on the head unless `commit_id` says where."""
        self.clock = self.clock + HOUR if at is None else at
        target = commit_id or self.head
        key = object_id("tag", name, target, self.clock, by, message)
        tagged = Instant(self.clock, 120) if dated else None
        self.tags.append(
            GitTag(
                ref=ref or name,
                object_id=key,
                tag=TagObject(
                    object_id=key,
                    name=name,
                    target_id=target,
                    target_type=target_type,
                    tagger=by,
                    tagged=tagged,
                    message=message or f"Tag {name}",
                    flaws=() if dated else ("Its date cannot be read.",),
                ),
                commit_id=target if target_type is ObjectType.COMMIT else None,
            )
        )
        return self

    def lightweight(self, ref: str, commit_id: str = "") -> History:
        """A tag without a tag object: no event."""
        target = commit_id or self.head
        self.tags.append(GitTag(ref, target, None, target))
        return self

    def register(
        self, artifact: str, version: str, *, on: str = "", **tag: Any
    ) -> History:
        """Register a version on a commit of its own."""
        commit_id = on or self.commit()
        self.commit_of[(artifact, version)] = commit_id
        return self.tag(f"{_in_tag(artifact)}@{version}", commit_id, **tag)

    def deregister(self, artifact: str, version: str, **tag: Any) -> History:
        """Deregister a version."""
        commit_id = self.commit_of[(artifact, version)]
        return self.tag(f"{_in_tag(artifact)}@{version}!", commit_id, **tag)

    def assign(self, artifact: str, stage: str, version: str, **tag: Any) -> History:
        """Give a stage to a version."""
        commit_id = self.commit_of[(artifact, version)]
        number = len(self.tags) + 1
        return self.tag(f"{_in_tag(artifact)}#{stage}#{number}", commit_id, **tag)

    def unassign(self, artifact: str, stage: str, version: str, **tag: Any) -> History:
        """Take a stage from a version."""
        commit_id = self.commit_of[(artifact, version)]
        number = len(self.tags) + 1
        return self.tag(f"{_in_tag(artifact)}#{stage}!#{number}", commit_id, **tag)

    def deprecate(self, artifact: str, **tag: Any) -> History:
        """Retire an artifact."""
        return self.tag(f"{_in_tag(artifact)}@deprecated", self.head, **tag)

    def without(self, *refs: str) -> History:
        """The same history after these tags were deleted."""
        self.tags = [tag for tag in self.tags if tag.ref not in refs]
        return self

    def snapshot(self, **changes: Any) -> RepositorySnapshot:
        """What a provider would see of it now."""
        named = {tag.commit_id for tag in self.tags} | {self.head}
        commits = {key: one for key, one in self.commits.items() if key in named}
        blobs = {file.blob_id for one in commits.values() for file in one.files}
        whole = RepositorySnapshot(
            tags=tuple(sorted(self.tags, key=lambda tag: tag.ref)),
            branches={"main": self.head},
            default_branch="main",
            head=self.head,
            commits=commits,
            documents={key: self.documents[key] for key in sorted(blobs)},
            problems=tuple(self.problems),
        )
        return replace(whole, **changes)

    def _document(self, path: str, value: Json) -> str:
        blob_id = object_id("blob", path, json.dumps(value, sort_keys=True))
        self.documents[blob_id] = Document(blob_id, value)
        return blob_id


def _in_tag(artifact: str) -> str:
    """An artifact's name as tags write it: `dir=name` for `dir:name`."""
    return artifact.replace(":", "=", 1)


def make_repository(name: str = "acme/churn", **fields: Any) -> Repository:
    """A repository that was added and not crawled yet."""
    fields.setdefault("url", f"https://git.example.com/{name}.git")
    fields.setdefault("host", "git.example.com")
    fields.setdefault("added_at", timezone.now())
    return Repository.objects.create(name=name, **fields)


def ingest_snapshot(
    repository: Repository, snapshot: RepositorySnapshot
) -> IngestCounts:
    """Ingest as a crawl does: under a lease, and with its result in the repository's
    state."""
    lease_id = uuid4()
    now = timezone.now()
    Repository.objects.filter(pk=repository.pk).update(lease_id=lease_id)
    counts = ingest(repository, snapshot, lease_id=lease_id, now=now)
    Repository.objects.filter(pk=repository.pk).update(
        lease_id=None,
        state=Repository.State.OK if snapshot.head else Repository.State.EMPTY,
        last_crawl_at=now,
        last_success_at=now,
    )
    repository.refresh_from_db()
    return counts


def ingest_history(
    name: str | Repository, history: History | None = None, **fields: Any
) -> Repository:
    """A repository that was crawled with this history. Give the repository again to
    crawl it again."""
    repository = (
        name if isinstance(name, Repository) else make_repository(name, **fields)
    )
    ingest_snapshot(repository, (history or History()).snapshot())
    return repository


def ingest_many(names: Sequence[str], history: History) -> list[Repository]:
    """Several repositories with one history."""
    return [ingest_history(name, history) for name in names]
