"""How much of a repository's registry files is kept: each file has its own limits
(indexer/yamlio.py), and all of them together have these.

A hundred files of 5 MB, ten thousand folders that share one file, or a large file that
differs at every tag: each is within the limits of one file, and together they would
take a worker more memory or time than it has. The head counts first, then the newer
commits, so that the same repository is cut the same way at every crawl."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from indexer.core.snapshot import Document, GitCommit, Json
from indexer.yamlio import refuse_document

MAX_VALUES = 1_500_000  # of all files together; one at several paths counts for each
MAX_CHARACTERS = 50_000_000
MAX_ENTRIES = 50_000  # artifacts that files of the head may name
MAX_TRIED = 2  # times what is kept: when that much was looked at, no more is read
MAX_SECONDS = 120.0  # to parse all files

TOO_MUCH = (
    "The registry files of this repository are too much to be kept together: more "
    f"than {MAX_ENTRIES} artifacts, {MAX_VALUES} values, {MAX_CHARACTERS} characters "
    f"or {MAX_SECONDS:.0f} seconds to read. The head and newer versions came first; "
    "this file was left out."
)


@dataclass(frozen=True, slots=True)
class Place:
    """At how many paths commits have a blob, and the head has it."""

    paths: int
    at_head: int


@dataclass(frozen=True, slots=True)
class Weight:
    """What a document, or several, take."""

    values: int = 0
    characters: int = 0
    entries: int = 0

    def __add__(self, other: Weight) -> Weight:
        return Weight(
            self.values + other.values,
            self.characters + other.characters,
            self.entries + other.entries,
        )

    def exceeds(self, times: int) -> bool:
        return (
            self.values > MAX_VALUES * times
            or self.characters > MAX_CHARACTERS * times
            or self.entries > MAX_ENTRIES * times
        )


class Budget:
    """Admits the documents of one snapshot, in the order of `places_in_order`."""

    def __init__(self) -> None:
        self._kept = self._tried = Weight()
        self._end = time.thread_time() + MAX_SECONDS

    def is_spent(self) -> bool:
        """Whether no further document is worth reading."""
        return self._tried.exceeds(MAX_TRIED) or time.thread_time() > self._end

    def admit(self, document: Document, place: Place) -> Document:
        """The document, or one without a value if it is too much. A smaller one after
        it may fit again."""
        if document.value is None:
            return document
        weight = weigh(document.value, place)
        self._tried += weight
        if (self._kept + weight).exceeds(1):
            return refuse(document.blob_id)
        self._kept += weight
        return document


def refuse(blob_id: str) -> Document:
    """A document that is left out because of the others."""
    return refuse_document(blob_id, TOO_MUCH)


def was_refused(document: Document) -> bool:
    """Whether it was left out because of the others: it may fit by now."""
    return document.problem == TOO_MUCH


def places_in_order(commits: Iterable[GitCommit], head: str) -> dict[str, Place]:
    """The blobs of registry files, the head's first and then those of newer commits,
    files at the root before those in folders."""
    ranked = sorted(
        commits,
        key=lambda commit: (
            commit.id != head,
            -(commit.committed.seconds if commit.committed else 0),
            commit.id,
        ),
    )
    paths: dict[str, set[str]] = {}
    at_head: dict[str, int] = {}
    seen: set[int] = set()
    for commit in ranked:
        if id(commit.files) in seen:  # commits share listings that are alike
            continue
        seen.add(id(commit.files))
        for file in sorted(commit.files, key=lambda file: "/" in file.path):
            paths.setdefault(file.blob_id, set()).add(file.path)
            if commit.id == head:
                at_head[file.blob_id] = at_head.get(file.blob_id, 0) + 1
    return {
        blob_id: Place(len(found), at_head.get(blob_id, 0))
        for blob_id, found in paths.items()
    }


def weigh(value: Json, place: Place) -> Weight:
    """What a document's value takes at all its places."""
    values, characters = 0, 0
    todo: list[Json] = [value]
    while todo:
        one = todo.pop()
        values += 1
        if isinstance(one, str):
            characters += len(one)
        elif isinstance(one, dict):
            characters += sum(map(len, one))
            todo.extend(one.values())
        elif isinstance(one, list):
            todo.extend(one)
    named = value.get("artifacts", value) if isinstance(value, dict) else None
    entries = len(named) if isinstance(named, dict) else 0
    return Weight(
        values * place.paths, characters * place.paths, entries * place.at_head
    )
