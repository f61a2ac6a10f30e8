"""Snapshots made in memory, for tests of the core that need no Git."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from indexer.core.snapshot import (
    Document,
    FileRef,
    GitCommit,
    GitTag,
    Instant,
    Json,
    ObjectType,
    Person,
    RepositorySnapshot,
    TagObject,
)

ADA = Person("Ada", "ada@example.org")


def commit_id(number: int) -> str:
    return f"{number:040x}"


def commit(
    number: int, seconds: int | None = 0, files: Mapping[str, Json] | None = None
) -> tuple[GitCommit, dict[str, Document]]:
    """A commit with registry files, and their documents."""
    documents: dict[str, Document] = {}
    refs: list[FileRef] = []
    for path, value in sorted((files or {}).items()):
        blob = f"{path} of {number}"
        documents[blob] = (
            replace(value, blob_id=blob)
            if isinstance(value, Document)
            else Document(blob, value)
        )
        refs.append(FileRef(path, blob))
    when = None if seconds is None else Instant(seconds)
    made = GitCommit(commit_id(number), ADA, when, ADA, when, "Train\n", tuple(refs))
    return made, documents


def tag(
    ref: str,
    on: int = 1,
    seconds: int | None = 10,
    *,
    name: str | None = None,
    object_id: str | None = None,
    message: str = "Say so",
) -> GitTag:
    """An annotated tag of commit `on`."""
    object_id = object_id or f"{hash((ref, on, seconds, name)) % 2**160:040x}"
    inside = TagObject(
        object_id=object_id,
        name=ref if name is None else name,
        target_id=commit_id(on),
        target_type=ObjectType.COMMIT,
        tagger=ADA,
        tagged=None if seconds is None else Instant(seconds),
        message=message,
    )
    return GitTag(ref, object_id, inside, commit_id(on))


def snapshot(
    *tags: GitTag,
    commits: tuple[tuple[GitCommit, dict[str, Document]], ...] = (),
    head: int = 1,
) -> RepositorySnapshot:
    """A snapshot of `tags`; commits not given are there without files."""
    known: dict[str, GitCommit] = {}
    documents: dict[str, Document] = {}
    for number in range(1, 10):
        known[commit_id(number)] = commit(number)[0]
    for made, more in commits:
        known[made.id] = made
        documents |= more
    return RepositorySnapshot(
        tags=tags,
        branches={"main": commit_id(head)},
        default_branch="main",
        head=commit_id(head),
        commits=known,
        documents=documents,
    )
