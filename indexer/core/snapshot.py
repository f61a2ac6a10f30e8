"""What a provider saw of one repository, frozen: the only input of the core.

A provider (`indexer/providers/*`) fills these; nothing here reads a network, a
clock, a setting or a row. All text is clean: valid Unicode without NUL and without
lone surrogates, whatever bytes Git held (`text()` makes it so).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import TypeAlias

# A JSON-safe tree: no NaN, no NUL, no integer of a hundred digits.
Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

# Years 1 and 9999 are left out, so that no time zone can push a date over the edge.
FIRST_SECOND = -62104060800  # 0002-01-01T00:00:00Z
LAST_SECOND = 253370764799  # 9998-12-31T23:59:59Z


def text(raw: bytes) -> str:
    """Decode bytes of Git for people and databases: UTF-8, with U+FFFD for what is
    not, and for NUL (PostgreSQL stores none)."""
    return raw.decode("utf-8", "replace").replace("\0", "\ufffd")


def ref_text(raw: bytes) -> str:
    r"""Decode a ref's name without loss: a byte that is not UTF-8 becomes ``\xff``.
    Git forbids the backslash in ref names, so two names never become one."""
    return raw.decode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class Person:
    """A name and an e-mail as Git wrote them; either may be empty."""

    name: str
    email: str


NOBODY = Person("", "")


@dataclass(frozen=True, slots=True, order=True)
class Instant:
    """A moment as Git wrote it. Order and equality of moments go by `seconds`
    (UTC, since 1970, may be negative); `offset` is minutes east of UTC."""

    seconds: int
    offset: int = 0

    @property
    def utc(self) -> datetime:
        """The moment in UTC; `seconds` lies in FIRST_SECOND..LAST_SECOND."""
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    @property
    def local(self) -> datetime:
        """The moment on the clock of whoever wrote it (an offset of a day or more
        is no time zone: UTC then)."""
        if abs(self.offset) >= 24 * 60:
            return self.utc
        return self.utc.astimezone(timezone(timedelta(minutes=self.offset)))


class ObjectType(StrEnum):
    COMMIT = "commit"
    TREE = "tree"
    BLOB = "blob"
    TAG = "tag"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class TagObject:
    """The annotated tag object behind a ref, parsed (core/tag_objects.py).

    `name` is the name *inside* the object, which decides (gto). `tagged` is None
    when there is no date that can be read: unknown, never 1970. `flaws` says in
    plain words what was unreadable. `message` is stripped, without signature."""

    object_id: str
    name: str
    target_id: str
    target_type: ObjectType
    tagger: Person | None
    tagged: Instant | None
    message: str
    signature: bytes = b""
    flaws: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GitTag:
    """A ref under refs/tags/. `tag` is None for a lightweight one.

    `commit_id` is the commit reached by peeling every tag, None if there is none
    (a blob, a tree, a missing object)."""

    ref: str  # without refs/tags/
    object_id: str
    tag: TagObject | None
    commit_id: str | None


@dataclass(frozen=True, slots=True)
class FileRef:
    """A registry file in a commit's tree: where, and which blob."""

    path: str
    blob_id: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Input we could not read or must point out, shown with its place.

    `code` is stable (`tag-without-tagger`), `text` one plain sentence that says
    what is wrong and what to do. The place is a tag, or a path (and line, commit).
    `artifact` is the one concerned, "" for the whole repository."""

    code: str
    text: str
    artifact: str = ""
    tag: str = ""
    path: str = ""
    line: int | None = None
    commit_id: str = ""


@dataclass(frozen=True, slots=True)
class GitCommit:
    """A commit that matters: the default branch's head, or one a tag names.

    `files` are its registry files (every dvc.yaml, artifacts.yaml and .gto at the
    root), sorted by path; commits with the same listing share one tuple.
    `problems` is what reading its tree met."""

    id: str
    author: Person
    authored: Instant | None
    committer: Person
    committed: Instant | None
    message: str
    files: tuple[FileRef, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A registry file's content, parsed once per blob (indexer/yamlio.py): a value, or
    why there is none (`problem`, with its `line` if known). Where there are both, the
    problem says what of the file the value leaves out."""

    blob_id: str
    value: Json = None
    problem: str = ""
    line: int | None = None


@dataclass(frozen=True, slots=True)
class RepositorySnapshot:
    """One repository at one moment. `complete` is a promise: every ref and every
    object asked for arrived. Only a complete snapshot may be ingested."""

    tags: tuple[GitTag, ...] = ()
    branches: Mapping[str, str] = field(default_factory=dict)  # name -> commit id
    default_branch: str = ""  # "" when there is none
    head: str = ""  # commit id of the default branch, "" when empty
    commits: Mapping[str, GitCommit] = field(default_factory=dict)
    documents: Mapping[str, Document] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    complete: bool = True
