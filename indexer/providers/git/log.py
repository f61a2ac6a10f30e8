"""The commits of a branch, newest first, for a person who picks one.

Commits alone are fetched, without trees, a few hundred at first and more when somebody
looks further back. They are kept between two looks in a bare repository of their own:
the mirror belongs to whoever crawls. Of a folder of this machine nothing is copied."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from indexer.core.git_objects import parse_commit_object
from indexer.core.snapshot import GitCommit, Instant, ObjectType, Person
from indexer.providers.addresses import CleanRemote
from indexer.providers.base import Remote
from indexer.providers.errors import Refused, Unavailable
from indexer.providers.git import command
from indexer.providers.git.command import GitFailed
from indexer.providers.git.failures import explain
from indexer.providers.git.hardening import Connection
from indexer.providers.git.mirror import objects_of, open_mirror
from indexer.providers.git.objects import read_bodies
from indexer.providers.git.reader import GitProvider, system_explained

ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
PART_OF_ID = re.compile(r"[0-9a-f]{4,64}")
FIRST_DEPTH, DEEPER = 500, 10
DEEPEST = 100_000  # commits; older ones are given by their id
SEARCHED = 5_000  # commits that a search looks at, unless it is told to look at all
CHUNK = 500  # commits read at once
LARGEST = 64 * 1024  # bytes of a commit object that are read
SECONDS = 60.0  # for a fetch
PATIENCE = 20.0  # seconds to wait for another who fetches
UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f]")
NOT_THERE = re.compile(r"not our ref|unadvertised object|bad object|missing")
DEPTHS = "muster-depths"  # a file: how deep each tip was fetched


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
    """The commits of one repository. No I/O until it is asked. Raises only
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
        message, the author's name or e-mail, or the beginning of an id. Of those that
        match the first `skip` are passed over. Refused if the commit is not there."""
        if not ID.fullmatch(tip):
            raise Refused("The commit is not given by its whole id.")
        with self._opened(tip) as mirror:
            deepest = DEEPEST if search_all or not query else SEARCHED
            depth = mirror.reach(FIRST_DEPTH)
            while True:
                page = _page(mirror.path, tip, query.casefold(), skip, size, depth)
                enough = len(page.commits) == size and page.has_more
                if enough or mirror.is_whole or depth >= deepest:
                    return page
                depth = mirror.reach(min(depth * DEEPER, deepest))

    def find(self, commit_id: str) -> LoggedCommit | None:
        """One commit, by its whole id; None if the remote does not have it."""
        try:
            page = self.page(commit_id, size=1)
        except Refused:
            return None
        return page.commits[0] if page.commits else None

    @contextmanager
    def _opened(self, tip: str) -> Iterator[_Commits]:
        with system_explained():
            connection, clean = self._git.connect()
            try:
                with self._place(clean, tip) as path:
                    yield _Commits(path, connection, clean, tip)
            except GitFailed as error:
                if NOT_THERE.search(error.stderr):
                    raise Refused(
                        f"The repository has no commit {tip[:10]}, or does not give it "
                        "out. Choose another.",
                        status=404,
                    ) from None
                raise explain(error, connection) from None

    @contextmanager
    def _place(self, clean: CleanRemote, tip: str) -> Iterator[Path]:
        """The bare repository: for as long as it is looked at, or kept."""
        kind = "sha256" if len(tip) == 64 else "sha1"
        if clean.path is not None:
            with tempfile.TemporaryDirectory(prefix="muster-log-") as folder:
                path = Path(folder) / "log.git"
                borrowed = objects_of(clean.path)
                open_mirror(path, object_format=kind, borrow_from=borrowed)
                yield path
            return
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(self._folder.with_suffix(".lock")):
            open_mirror(self._folder, object_format=kind, borrow_from=None)
            try:
                yield self._folder
            except GitFailed as error:
                if error.verb != "fetch":  # what is kept is damaged: made anew
                    shutil.rmtree(self._folder, ignore_errors=True)
                raise


@dataclass(slots=True)
class _Commits:
    """The commits below one tip, as far as they were fetched."""

    path: Path
    connection: Connection
    clean: CleanRemote
    tip: str

    @property
    def is_whole(self) -> bool:
        """Whether everything is there."""
        if self.clean.path is not None:
            return True
        shallow = self.path / "shallow"
        return not shallow.exists() or not shallow.stat().st_size

    def reach(self, depth: int) -> int:
        """See to it that the commits are there so deep; returns how deep they are."""
        if self.clean.path is not None:
            return DEEPEST
        depths = self._depths()
        if depths.get(self.tip, 0) >= depth:
            return depths[self.tip]
        config = self.path / "config"
        before = config.read_bytes()
        command.fetch(
            self.path,
            self.connection,
            [self.tip],
            filtered="tree:0",
            shallow=True,
            depth=depth,
            seconds=SECONDS,
        )
        # Git wrote there that the remote has what is missing.
        config.write_bytes(before)
        depths[self.tip] = depth
        (self.path / DEPTHS).write_text(json.dumps(depths))
        return depth

    def _depths(self) -> dict[str, int]:
        try:
            found = json.loads((self.path / DEPTHS).read_text())
        except (OSError, ValueError):
            return {}
        return {str(key): int(found[key]) for key in found}


def _page(
    mirror: Path, tip: str, query: str, skip: int, size: int, most: int
) -> LogPage:
    """A page of what is there."""
    if not query:
        ids = command.rev_list(mirror, tip, skip=skip, most=size + 1)
        found = list(_read(mirror, ids[:size]))
        return LogPage(tuple(map(_shown, found)), len(ids) > size, skip + len(found))
    matched: list[LoggedCommit] = []
    searched = 0
    while searched < most:
        chunk = min(CHUNK, most - searched)
        ids = command.rev_list(mirror, tip, skip=searched, most=chunk)
        for commit in _read(mirror, ids):
            searched += 1
            if _matches(commit, query):
                matched.append(_shown(commit))
            if len(matched) > skip + size:
                return LogPage(tuple(matched[skip : skip + size]), True, searched)
        if len(ids) < chunk:
            break
    return LogPage(tuple(matched[skip : skip + size]), False, searched)


def _read(mirror: Path, ids: Sequence[str]) -> Iterator[GitCommit]:
    for body in read_bodies(mirror, ids, limit=LARGEST):
        if body.type is ObjectType.COMMIT:
            yield parse_commit_object(body.object_id, body.data)[2]


def _matches(commit: GitCommit, query: str) -> bool:
    words = (commit.message, commit.author.name, commit.author.email)
    if any(query in text.casefold() for text in words):
        return True
    return PART_OF_ID.fullmatch(query) is not None and commit.id.startswith(query)


def _shown(commit: GitCommit) -> LoggedCommit:
    subject = commit.message.strip().partition("\n")[0]
    return LoggedCommit(
        commit.id, commit.author, commit.authored, UNSEEN.sub("\ufffd", subject)
    )


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time; another waits a while."""
    until = time.monotonic() + PATIENCE
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise Unavailable(
                        "Somebody else is fetching the commits of this repository. Try "
                        "again in a moment."
                    ) from None
                time.sleep(0.05)
        yield
    finally:
        os.close(handle)
