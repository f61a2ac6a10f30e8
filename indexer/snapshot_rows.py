"""A repository's snapshot as rows, and back.

`load_rows` reads what is stored; `StoredSnapshot.snapshot()` and `.known()` give it to
the core and to a provider; `write_snapshot` makes the rows those of a new snapshot by
the difference. A tag that vanished or moved keeps its row, with `gone_at`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from indexer import limits
from indexer.bulk import Row, Table, write_difference
from indexer.core.snapshot import (
    Document,
    FileRef,
    GitCommit,
    GitTag,
    Instant,
    ObjectType,
    Person,
    Problem,
    RepositorySnapshot,
    TagObject,
)
from indexer.core.state import Reading, RegistryState, build_state
from indexer.models import Commit, FileSet, Repository, Snapshot, Tag
from indexer.models import Document as DocumentRow
from indexer.providers.base import Known

TAGS = Table(
    Tag,
    (
        "repository",
        "ref",
        "ref_key",
        "object_id",
        "commit_id",
        "is_annotated",
        "name",
        "target_id",
        "target_type",
        "tagger_name",
        "tagger_email",
        "has_tagger",
        "tagged_seconds",
        "tagged_offset",
        "message",
        "signature",
        "flaws",
    ),
)
NEW_TAGS = Table(Tag, (*TAGS.columns, "first_seen_at"))
GONE_TAGS = Table(Tag, ("last_seen_at", "gone_at", "replaced_by"))
FILE_SETS = Table(FileSet, ("repository", "digest", "files"))
COMMITS = Table(
    Commit,
    (
        "repository",
        "commit_id",
        "author_name",
        "author_email",
        "authored_seconds",
        "authored_offset",
        "committer_name",
        "committer_email",
        "committed_seconds",
        "committed_offset",
        "message",
        "file_set",
        "problems",
    ),
)
DOCUMENTS = Table(DocumentRow, ("repository", "blob_id", "value", "problem", "line"))
SNAPSHOTS = Table(
    Snapshot, ("repository", "default_branch", "head", "branches", "problems")
)

BRANCHES = Table(Snapshot, ("branches",))


@dataclass(frozen=True, slots=True)
class TagCounts:
    """What became of a repository's tags."""

    total: int = 0
    new: int = 0
    moved: int = 0
    gone: int = 0


@dataclass(slots=True)
class StoredSnapshot:
    """What the rows of one repository hold, each value beside its row's id."""

    tags: dict[str, tuple[int, GitTag]] = field(default_factory=dict)  # by ref
    commits: dict[str, tuple[int, GitCommit]] = field(default_factory=dict)
    documents: dict[str, tuple[int, Document]] = field(default_factory=dict)
    file_sets: dict[str, int] = field(default_factory=dict)  # digest -> row
    rest: Row | None = None  # of SNAPSHOTS

    def known(self) -> Known:
        """What a provider need not read again."""
        return Known(
            tags={tag.object_id: tag for _, tag in self.tags.values()},
            commits={key: commit for key, (_, commit) in self.commits.items()},
            documents={key: one for key, (_, one) in self.documents.items()},
        )

    def snapshot(self) -> RepositorySnapshot:
        """The snapshot that was written last, tags by ref."""
        branch, head, branches, problems = "", "", {}, []
        if self.rest is not None:
            _, _, branch, head, branches_text, problems_text = self.rest
            branches = json.loads(branches_text)
            problems = json.loads(problems_text)
        return RepositorySnapshot(
            tags=tuple(self.tags[ref][1] for ref in sorted(self.tags)),
            branches=branches,
            default_branch=branch,
            head=head,
            commits={key: commit for key, (_, commit) in self.commits.items()},
            documents={key: one for key, (_, one) in self.documents.items()},
            problems=tuple(Problem(**one) for one in problems),
        )


def load_snapshot(repository: Repository) -> RepositorySnapshot:
    """The repository's last snapshot (empty before its first crawl). Five queries."""
    return load_rows(repository.pk).snapshot()


def load_known(repository: Repository) -> Known:
    """What a provider need not read again. Five queries."""
    return load_rows(repository.pk).known()


def registry_state(
    repository: Repository, *, reading: Reading | None = None, at: Instant | None = None
) -> RegistryState:
    """The state the repository's rows mean: by another reading than its own, or as of
    a moment, without a look at Git."""
    return build_state(
        load_snapshot(repository), reading=reading or repository.stage_reading, at=at
    )


@dataclass(frozen=True, slots=True)
class Selection:
    """A part of a snapshot: the tags that are events of some artifacts (by row), the
    commits these name and `commits`, and the files of all of them and `documents`."""

    artifacts: Sequence[int] = ()
    commits: Iterable[str] = ()
    documents: Iterable[str] = ()


def load_rows(repository_id: int, selection: Selection | None = None) -> StoredSnapshot:
    """Read the rows of one repository's snapshot: all in five queries, or a part."""
    stored = StoredSnapshot()
    people: dict[tuple[str, str], Person] = {}

    def person(name: str, email: str) -> Person:
        found = people.get((name, email))
        if found is None:
            found = people[(name, email)] = Person(name, email)
        return found

    def instant(seconds: int | None, offset: int) -> Instant | None:
        return None if seconds is None else Instant(seconds, offset)

    for row in _tag_rows(repository_id, selection):
        stored.tags[row[2]] = (row[0], _tag(row, person, instant))

    def rows_of(table: Table, column: str, keys: Iterable[object]) -> Iterable[Row]:
        """All rows, or those of the selection."""
        where = f'"repository_id" = {int(repository_id)}'
        if selection is None:
            return table.select(where, [])
        return table.select_in(column, list(dict.fromkeys(keys)), where)

    named = [tag.commit_id for _, tag in stored.tags.values() if tag.commit_id]
    commit_rows = list(
        rows_of(
            COMMITS, "commit_id", [*named, *(selection.commits if selection else ())]
        )
    )
    files_of: dict[int, tuple[FileRef, ...]] = {}
    sets = [row[12] for row in commit_rows if row[12] is not None]
    for row_id, _, digest, files in rows_of(FILE_SETS, "id", sets):
        stored.file_sets[digest] = row_id
        files_of[row_id] = tuple(
            FileRef(path, blob_id) for path, blob_id in json.loads(files)
        )
    for row in commit_rows:
        stored.commits[row[2]] = (
            row[0],
            GitCommit(
                id=row[2],
                author=person(row[3], row[4]),
                authored=instant(row[5], row[6]),
                committer=person(row[7], row[8]),
                committed=instant(row[9], row[10]),
                message=row[11],
                files=files_of.get(row[12], ()),
                problems=_problems(row[13]),
            ),
        )
    blobs = [one.blob_id for files in files_of.values() for one in files]
    for row_id, _, blob_id, value, problem, line in rows_of(
        DOCUMENTS, "blob_id", [*blobs, *(selection.documents if selection else ())]
    ):
        tree = None if value is None else json.loads(value)
        stored.documents[blob_id] = (row_id, Document(blob_id, tree, problem, line))
    stored.rest = next(SNAPSHOTS.select('"repository_id" = %s', [repository_id]), None)
    return stored


def _tag_rows(repository_id: int, selection: Selection | None) -> Iterable[Row]:
    there = '"repository_id" = %s AND "gone_at" IS NULL'
    if selection is None:
        return TAGS.select(there, [repository_id])
    if not selection.artifacts:
        return ()
    marks = ", ".join(["%s"] * len(selection.artifacts))
    return TAGS.select(
        f'{there} AND "object_id" IN (SELECT "tag_id" FROM "indexer_event" '  # noqa: S608
        f'WHERE "artifact_id" IN ({marks}))',
        [repository_id, *selection.artifacts],
    )


def stored_file_sets(
    repository_id: int, commits: Iterable[GitCommit]
) -> dict[str, int]:
    """The rows there are of these commits' listings: digest -> row."""
    digests = {files_digest(commit.files) for commit in commits if commit.files}
    rows = FILE_SETS.select_in(
        "digest", list(digests), f'"repository_id" = {int(repository_id)}'
    )
    return {row[2]: row[0] for row in rows}


def write_snapshot(
    repository_id: int,
    stored: StoredSnapshot,
    snapshot: RepositorySnapshot,
    *,
    now: datetime,
    last_seen: datetime | None,
) -> TagCounts:
    """Make the rows those of `snapshot`, inside the caller's transaction. `last_seen`
    is when the tags that are gone were surely there: the last success."""
    counts = _write_tags(
        repository_id, stored, snapshot.tags, now=now, last_seen=last_seen or now
    )
    _write_documents(repository_id, stored, snapshot)
    _write_commits(repository_id, stored, snapshot)
    wanted: Row = (
        None,
        repository_id,
        limits.text(snapshot.default_branch),
        limits.object_id(snapshot.head),
        limits.json_text(dict(snapshot.branches)),
        _problems_text(snapshot.problems),
    )
    write_difference(
        SNAPSHOTS,
        {} if stored.rest is None else {repository_id: stored.rest},
        {repository_id: wanted},
    )
    return counts


def write_branches(repository_id: int, branches: Mapping[str, str]) -> None:
    """Make the branches these, inside the caller's transaction; the rest stays."""
    text = limits.json_text(dict(branches))
    rows = BRANCHES.select('"repository_id" = %s', [repository_id])
    BRANCHES.update([(row_id, text) for row_id, _ in rows])


def _write_tags(
    repository_id: int,
    stored: StoredSnapshot,
    tags: Sequence[GitTag],
    *,
    now: datetime,
    last_seen: datetime,
) -> TagCounts:
    new: list[GitTag] = []
    moved: dict[str, int] = {}  # ref -> the row it had
    reread: list[Row] = []  # the same object, read better by a newer Muster
    refs = set()
    for tag in tags:
        refs.add(tag.ref)
        before = stored.tags.get(tag.ref)
        if before is None:
            new.append(tag)
        elif before[1] is tag or before[1] == tag:
            continue
        elif before[1].object_id == tag.object_id:
            reread.append((before[0], *_tag_row(repository_id, tag)))
        else:
            moved[tag.ref] = before[0]
            new.append(tag)
    ids = NEW_TAGS.reserve(len(new))
    replaced_by = {
        moved[tag.ref]: row_id
        for tag, row_id in zip(new, ids, strict=True)
        if tag.ref in moved
    }
    vanished = [row_id for ref, (row_id, _) in stored.tags.items() if ref not in refs]
    # The old rows go first: a ref has one row at a time that is not gone.
    GONE_TAGS.update(
        [
            (row_id, last_seen, now, replaced_by.get(row_id))
            for row_id in (*vanished, *replaced_by)
        ]
    )
    NEW_TAGS.insert(
        [
            (row_id, *_tag_row(repository_id, tag), now)
            for tag, row_id in zip(new, ids, strict=True)
        ]
    )
    TAGS.update(reread)
    return TagCounts(
        total=len(tags),
        new=len(new) - len(moved),
        moved=len(moved),
        gone=len(vanished),
    )


def _write_documents(
    repository_id: int, stored: StoredSnapshot, snapshot: RepositorySnapshot
) -> None:
    DOCUMENTS.delete(
        [
            row_id
            for blob_id, (row_id, _) in stored.documents.items()
            if blob_id not in snapshot.documents
        ]
    )
    new: list[Row] = []
    changed: list[Row] = []
    for blob_id, document in snapshot.documents.items():
        before = stored.documents.get(blob_id)
        if before is not None and (before[1] is document or before[1] == document):
            continue
        value = None if document.value is None else limits.json_text(document.value)
        row: Row = (
            repository_id,
            limits.object_id(blob_id),
            value,
            limits.text(document.problem),
            None if document.line is None else limits.whole(document.line),
        )
        if before is None:
            new.append((None, *row))
        else:
            changed.append((before[0], *row))
    _insert(DOCUMENTS, new)
    DOCUMENTS.update(changed)


def _write_commits(
    repository_id: int, stored: StoredSnapshot, snapshot: RepositorySnapshot
) -> None:
    digests: dict[int, str] = {}  # of listings, by id(): commits share the tuples
    used: dict[str, tuple[FileRef, ...]] = {}
    listing: dict[str, str] = {}  # commit -> digest of its files
    for commit in snapshot.commits.values():
        if not commit.files:
            continue
        digest = digests.get(id(commit.files))
        if digest is None:
            digest = files_digest(commit.files)
            digests[id(commit.files)] = digest
            used[digest] = commit.files
        listing[commit.id] = digest
    sets = {key: row for key, row in stored.file_sets.items() if key in used}
    new_sets = [digest for digest in used if digest not in sets]
    ids = FILE_SETS.reserve(len(new_sets))
    sets.update(zip(new_sets, ids, strict=True))
    FILE_SETS.insert(
        [
            (sets[digest], repository_id, digest, _files_text(used[digest]))
            for digest in new_sets
        ]
    )
    new: list[Row] = []
    changed: list[Row] = []
    for key, commit in snapshot.commits.items():
        before = stored.commits.get(key)
        if before is not None and (before[1] is commit or before[1] == commit):
            continue
        row = _commit_row(repository_id, commit, sets.get(listing.get(key, "")))
        if before is None:
            new.append((None, *row))
        else:
            changed.append((before[0], *row))
    COMMITS.delete(
        [
            row_id
            for key, (row_id, _) in stored.commits.items()
            if key not in snapshot.commits
        ]
    )
    _insert(COMMITS, new)
    COMMITS.update(changed)
    FILE_SETS.delete([row for key, row in stored.file_sets.items() if key not in used])


def _insert(table: Table, rows: list[Row]) -> None:
    """Insert rows whose ids are still open."""
    ids = table.reserve(len(rows))
    table.insert([(row_id, *row[1:]) for row_id, row in zip(ids, rows, strict=True)])


def _tag_row(repository_id: int, tag: GitTag) -> Row:
    ref = limits.text(tag.ref)
    key = sha256(ref.encode()).hexdigest()
    inner = tag.tag
    front = (repository_id, ref, key, limits.object_id(tag.object_id))
    if inner is None:
        return (
            *front,
            limits.object_id(tag.commit_id),
            *(False, "", "", "", "", "", False, None, 0, "", b"", "[]"),
        )
    tagger = inner.tagger or Person("", "")
    return (
        *front,
        limits.object_id(tag.commit_id),
        True,
        limits.text(inner.name),
        limits.object_id(inner.target_id),
        inner.target_type.value,
        limits.text(tagger.name),
        limits.text(tagger.email),
        inner.tagger is not None,
        None if inner.tagged is None else inner.tagged.seconds,
        0 if inner.tagged is None else limits.whole(inner.tagged.offset),
        limits.text(inner.message),
        inner.signature,
        limits.json_text(list(inner.flaws)) if inner.flaws else "[]",
    )


def _tag(row: Row, person: Any, instant: Any) -> GitTag:
    if not row[6]:
        return GitTag(row[2], row[4], None, row[5] or None)
    return GitTag(
        ref=row[2],
        object_id=row[4],
        tag=TagObject(
            object_id=row[4],
            name=row[7],
            target_id=row[8],
            target_type=ObjectType(row[9]),
            tagger=person(row[10], row[11]) if row[12] else None,
            tagged=instant(row[13], row[14]),
            message=row[15],
            signature=bytes(row[16]),
            flaws=() if row[17] == "[]" else tuple(json.loads(row[17])),
        ),
        commit_id=row[5] or None,
    )


def _commit_row(repository_id: int, commit: GitCommit, file_set: int | None) -> Row:
    return (
        repository_id,
        limits.object_id(commit.id),
        limits.text(commit.author.name),
        limits.text(commit.author.email),
        None if commit.authored is None else commit.authored.seconds,
        0 if commit.authored is None else limits.whole(commit.authored.offset),
        limits.text(commit.committer.name),
        limits.text(commit.committer.email),
        None if commit.committed is None else commit.committed.seconds,
        0 if commit.committed is None else limits.whole(commit.committed.offset),
        limits.text(commit.message),
        file_set,
        _problems_text(commit.problems),
    )


def files_digest(files: Iterable[FileRef]) -> str:
    """Names a listing: equal digests, equal listings."""
    return sha256(_files_text(files).encode()).hexdigest()


def _files_text(files: Iterable[FileRef]) -> str:
    return limits.json_text([[one.path, one.blob_id] for one in files])


def _problems_text(problems: Sequence[Problem]) -> str:
    if not problems:
        return "[]"
    return limits.json_text([asdict(problem) for problem in problems])


def _problems(stored: str) -> tuple[Problem, ...]:
    if stored == "[]":
        return ()
    return tuple(Problem(**one) for one in json.loads(stored))
