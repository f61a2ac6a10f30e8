"""The commits of a repository, newest first, for a person who picks one.

Commits alone are fetched, without trees: a few hundred at first, and more when somebody
looks further back. They are kept between two looks in a bare repository of their own,
since the mirror belongs to whoever crawls. Of a repository of this machine nothing is
copied, only looked at.

Git lists commits by their dates, and what it lists of a repository that is cut off
(`shallow`) is the same as of the whole one up to the first commit whose parents are not
here. No more than that is ever shown, so that pages meet however deep they were read.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import tempfile
import time
import unicodedata
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from indexer.core.git_objects import parse_commit_object
from indexer.core.snapshot import GitCommit, Instant, ObjectType, Person
from indexer.providers.addresses import CleanRemote
from indexer.providers.base import Remote
from indexer.providers.errors import BadPayload, ProviderError, Refused, Unavailable
from indexer.providers.git import command
from indexer.providers.git.command import GitFailed
from indexer.providers.git.failures import (
    explain,
    is_disk_full,
    is_worth_a_second_try,
    place,
    was_stopped,
)
from indexer.providers.git.hardening import Connection
from indexer.providers.git.mirror import objects_of, open_mirror, remove_mirror
from indexer.providers.git.objects import read_bodies, read_headers
from indexer.providers.git.reader import GitProvider, system_explained

DEPTHS = (500, 5_000, 50_000, 100_000)  # so many commits deep is fetched
DEEPEST = DEPTHS[-1]  # older commits are given by their id
SEARCHED = 5_000  # commits that a search looks at, unless it is told to look at all
LARGEST_PAGE = 200
LARGEST_COMMIT = 64 * 1024  # bytes of a commit object that are read
LONGEST_SUBJECT = 500
SECONDS = 30.0  # for each fetch
SECONDS_IN_ALL = 60.0  # for one question to the log
PATIENCE = 10.0  # seconds to wait for another who uses the folder

ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
PART_OF_ID = re.compile(r"[0-9a-f]{4,64}")
NOT_THERE = re.compile(r"not our ref|unadvertised object")
NEWEST = "muster-newest"  # a file in the folder: the tip that was fetched last
# Control characters, ends of lines, and what turns the direction of writing.
UNSEEN = frozenset({"Cc", "Cs", "Zl", "Zp"})
TURNS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LoggedCommit:
    """A commit as a list shows it: `subject` is the first line of its message."""

    id: str
    author: Person
    authored: Instant | None
    subject: str


@dataclass(frozen=True, slots=True)
class LogPage:
    """Some commits, newest first; whether there may be older ones that match, and how
    many were looked at."""

    commits: tuple[LoggedCommit, ...]
    has_more: bool
    searched: int


class CommitLog:
    """The commits of one repository. `folder` is kept between two looks and may be
    deleted at any time; beside it lies a lock. No I/O until it is asked. Raises only
    `errors.ProviderError`."""

    def __init__(self, remote: Remote, folder: Path) -> None:
        self._git = GitProvider(remote)
        self._folder = folder

    def page(
        self,
        tip: str,
        *,
        query: str = "",
        skip: int = 0,
        size: int = 30,
        search_all: bool = False,
    ) -> LogPage:
        """Commits from `tip` (a whole id) back that match `query`: literal text in the
        message or the author, or the beginning of an id. Of those that match the first
        `skip` are passed over.

        A search looks at the newest 5,000 commits, with `search_all` at the newest
        100,000: fewer commits than `size`, and yet `has_more`, mean that it ended
        there. Refused if the commit is not there."""
        if not ID.fullmatch(tip):
            raise Refused("A commit is named by its whole id here.")
        first, size = max(skip, 0), min(max(size, 1), LARGEST_PAGE)
        words = query.strip().casefold()

        def ask(commits: _Commits) -> LogPage:
            if not words:
                return _newest(commits, tip, first, size)
            most = DEEPEST if search_all else SEARCHED
            return _search(commits, tip, words, first, size, most)

        return self._asked(tip, ask)

    def find(self, commit_id: str) -> LoggedCommit | None:
        """One commit, by its whole id, whether or not a branch leads to it; None if
        the remote does not have it or does not give it out."""
        if not ID.fullmatch(commit_id):
            return None
        try:
            return self._asked(
                commit_id, lambda commits: _shown(commits.one(commit_id))
            )
        except _NotThere:
            return None

    def _asked(self, commit_id: str, ask: Callable[[_Commits], T]) -> T:
        """What the repository answers. If what is kept of it turns out to be damaged,
        it is made anew and asked again, once."""
        end = time.monotonic() + SECONDS_IN_ALL
        with system_explained():
            connection, clean = self._git.connect()
            with self._place(clean) as folder:
                try:
                    return self._ask(commit_id, ask, connection, clean, folder, end)
                except _Damaged:
                    remove_mirror(folder)
                try:
                    return self._ask(commit_id, ask, connection, clean, folder, end)
                except _Damaged as error:
                    raise error.meaning from None

    def _ask(
        self,
        commit_id: str,
        ask: Callable[[_Commits], T],
        connection: Connection,
        clean: CleanRemote,
        folder: Path,
        end: float,
    ) -> T:
        objects = objects_of(clean.path) if clean.path else None
        try:
            open_mirror(
                folder,
                object_format="sha256" if len(commit_id) == 64 else "sha1",
                borrow_from=objects,
            )
            if objects is not None:
                _write_shallow(folder, _read_shallow(objects.parent))
            return ask(_Commits(folder, connection, fetches=objects is None, end=end))
        except GitFailed as error:
            if error.late:
                raise _too_long() from None
            meaning = explain(error, connection)
            if error.verb == "cat-file" and not was_stopped(error):
                raise _Damaged(meaning) from None
            raise meaning from None

    @contextmanager
    def _place(self, clean: CleanRemote) -> Iterator[Path]:
        """The bare repository: kept, and ours alone for as long as the context lasts;
        of a repository of this machine there is nothing to keep."""
        if clean.path is not None:
            with tempfile.TemporaryDirectory(prefix="muster-log-") as made:
                yield Path(made) / "log.git"
            return
        folder = self._folder
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(folder.with_name(f"{folder.name}.lock")):
            yield folder


class _NotThere(Refused):
    """The commit is not there, or the remote does not give it out."""


class _Damaged(Exception):
    """What is here cannot be read; `meaning`, if it is made anew in vain."""

    def __init__(self, meaning: ProviderError) -> None:
        super().__init__(meaning.sentence)
        self.meaning = meaning


class _Commits:
    """The commits of a repository, as far as they are here. A commit has all its
    parents here, or is named in git's file `shallow`."""

    def __init__(
        self, folder: Path, connection: Connection, *, fetches: bool, end: float
    ) -> None:
        self._folder = folder
        self._connection = connection
        self._fetches = fetches
        self._end = end

    def one(self, commit_id: str) -> GitCommit:
        """A commit, fetched if it is not here."""
        self._have(commit_id, depth=1)
        return next(self.read([commit_id]))

    def reach(self, tip: str, limit: int) -> tuple[list[str], bool]:
        """Ids of the newest `limit` commits from `tip` back, fetched as far as they
        are not here; and whether there are older ones."""
        depth = next(depth for depth in DEPTHS if depth >= limit)
        # Nothing of this machine is ever fetched: where it is cut off, it ends.
        is_asked = self._have(tip, depth=depth) or not self._fetches
        while True:
            ids = self._list(tip, limit + 1)
            cut = _read_shallow(self._folder) if self._fetches else set()
            ends = [number for number, id_ in enumerate(ids, 1) if id_ in cut]
            # After a fetch so deep, what ends before ends at the remote too.
            if is_asked or not ends or ends[0] >= limit:
                is_cut = len(ids) == limit and bool(ends)
                return ids[:limit], len(ids) > limit or is_cut
            self._fetch(tip, depth)
            is_asked = True

    def read(self, ids: Sequence[str]) -> Generator[GitCommit, None, None]:
        """These commits, in order, which are here."""
        with contextlib.closing(
            read_bodies(self._folder, ids, limit=LARGEST_COMMIT)
        ) as bodies:
            for id_ in ids:
                body = next(bodies, None)
                if body is None or body.object_id != id_:
                    raise self._damaged()
                if time.monotonic() > self._end:
                    raise _too_long()
                yield parse_commit_object(id_, body.data)[2]

    def _have(self, commit_id: str, *, depth: int) -> bool:
        """See to it that a commit is here; whether it had to be fetched."""
        for is_fetched in (False, True):
            header = read_headers(self._folder, [commit_id]).get(commit_id)
            if header is not None:
                if header.type is not ObjectType.COMMIT:
                    raise _NotThere(
                        f"{commit_id[:10]} is not the id of a commit. Choose a commit.",
                        status=404,
                    )
                return is_fetched
            if not self._fetches:
                raise self._not_there(commit_id)
            if not is_fetched:
                self._fetch(commit_id, depth)
        raise self._damaged()

    def _list(self, tip: str, most: int) -> list[str]:
        try:
            return command.rev_list(self._folder, tip, skip=0, most=most)
        except GitFailed as error:
            if not error.is_own_word or is_disk_full(error):
                raise
            raise self._damaged() from None

    def _fetch(self, commit_id: str, depth: int) -> None:
        try:
            command.fetch(
                self._folder,
                self._connection,
                [commit_id],
                filtered="tree:0",
                shallow=True,
                depth=depth,
                have=self._known(commit_id),
                seconds=max(min(SECONDS, self._end - time.monotonic()), 1.0),
            )
        except GitFailed as error:
            if NOT_THERE.search(error.stderr):
                raise self._not_there(commit_id) from None
            meaning = explain(error, self._connection)
            # “Could not read” is said of objects, and of passwords.
            is_odd = isinstance(meaning, Unavailable | BadPayload)
            if is_odd and is_worth_a_second_try(error):
                raise _Damaged(meaning) from None
            raise meaning from None
        self._join()
        if depth > 1:
            (self._folder / NEWEST).write_text(commit_id, encoding="ascii")

    def _known(self, commit_id: str) -> str:
        """A commit that is here, so that the remote need not send again what lies
        below it; "" if there is none."""
        candidates = [commit_id]
        with contextlib.suppress(OSError, UnicodeError):
            noted = (self._folder / NEWEST).read_text(encoding="ascii")
            candidates += [noted] if ID.fullmatch(noted) else []
        headers = read_headers(self._folder, candidates)
        return next(
            (
                id_
                for id_ in candidates
                if id_ in headers and headers[id_].type is ObjectType.COMMIT
            ),
            "",
        )

    def _join(self) -> None:
        """Let no commit be cut off whose parents are here: they came by another way.
        Otherwise each fetch for one branch would shorten what is known of another."""
        cut = _read_shallow(self._folder)
        parents = {
            body.object_id: parse_commit_object(body.object_id, body.data)[1]
            for body in read_bodies(self._folder, sorted(cut), limit=LARGEST_COMMIT)
        }
        all_parents = {id_ for ids in parents.values() for id_ in ids}
        here = read_headers(self._folder, all_parents)
        joined = {id_ for id_, ids in parents.items() if here.keys() >= set(ids)}
        if joined:
            _write_shallow(self._folder, cut - joined)

    def _damaged(self) -> _Damaged:
        where = place(self._connection)
        if not self._fetches:
            return _Damaged(
                Unavailable(
                    f"Not all commits of {where} can be read. Run git fsck there."
                )
            )
        return _Damaged(
            Unavailable(
                f"The commits of {where} could not be read, not even after they were "
                "fetched anew. Check the disk of the machine that runs Muster."
            )
        )

    def _not_there(self, commit_id: str) -> _NotThere:
        return _NotThere(
            f"There is no commit {commit_id[:10]} at {place(self._connection)} any "
            "more, or never was. Choose another commit.",
            status=404,
        )


def _newest(commits: _Commits, tip: str, skip: int, size: int) -> LogPage:
    """A page of all commits."""
    ids, has_older = commits.reach(tip, min(skip + size, DEEPEST))
    shown = tuple(map(_shown, commits.read(ids[skip : skip + size])))
    return LogPage(shown, has_older, len(ids))


def _search(
    commits: _Commits, tip: str, words: str, skip: int, size: int, most: int
) -> LogPage:
    """A page of those that match, looking further back step by step."""
    matched: list[LoggedCommit] = []
    searched, has_older = 0, True
    for limit in DEPTHS:
        if limit > most or not has_older:
            break
        ids, has_older = commits.reach(tip, limit)
        with contextlib.closing(commits.read(ids[searched:])) as found:
            for commit in found:
                searched += 1
                if not _matches(commit, words):
                    continue
                matched.append(_shown(commit))
                if len(matched) > skip + size:
                    return LogPage(tuple(matched[skip:-1]), True, searched)
    return LogPage(tuple(matched[skip : skip + size]), has_older, searched)


def _matches(commit: GitCommit, words: str) -> bool:
    author = f"{commit.author.name} <{commit.author.email}>"
    return (
        words in commit.message.casefold()
        or words in author.casefold()
        or (commit.id.startswith(words) and PART_OF_ID.fullmatch(words) is not None)
    )


def _shown(commit: GitCommit) -> LoggedCommit:
    line = commit.message.strip().partition("\n")[0].rstrip()[: LONGEST_SUBJECT + 1]
    subject = "".join("\ufffd" if _is_unseen(c) else c for c in line)
    if len(subject) > LONGEST_SUBJECT:
        subject = subject[: LONGEST_SUBJECT - 1] + "…"
    return LoggedCommit(commit.id, commit.author, commit.authored, subject)


def _is_unseen(character: str) -> bool:
    return unicodedata.category(character) in UNSEEN or character in TURNS


def _too_long() -> Unavailable:
    return Unavailable("Reading the commits took too long. Try again later.")


def _read_shallow(folder: Path) -> set[str]:
    """The commits at which a bare repository is cut off."""
    try:
        lines = (folder / "shallow").read_text(encoding="ascii").split()
    except (OSError, UnicodeError):
        return set()  # none, or a file of which git itself complains
    return {line for line in lines if ID.fullmatch(line)}


def _write_shallow(folder: Path, ids: Iterable[str]) -> None:
    content = "".join(f"{id_}\n" for id_ in sorted(ids))
    if not content:
        (folder / "shallow").unlink(missing_ok=True)
        return
    # `*.lock` is what `open_mirror` clears away if we die here.
    written = folder / "muster-shallow.lock"
    written.write_text(content, encoding="ascii")
    os.replace(written, folder / "shallow")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One at a time, of all processes and threads; another waits a while."""
    end = time.monotonic() + PATIENCE
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise Unavailable(
                        "Somebody else is looking at the commits of this repository. "
                        "Try again in a moment."
                    ) from None
                time.sleep(0.05)
        yield
    finally:
        os.close(handle)
