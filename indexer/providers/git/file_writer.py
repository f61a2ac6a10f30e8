"""Files written as commits over git's own protocols, with the credential that reads.

Nothing is checked out: in a bare repository that lasts as long as the writing, the
folders on the way to the file are written again with the one entry changed, byte for
byte as they were otherwise, and a commit of them is pushed. Git decides who was first:
the branch is moved only from where the order thought it was."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from indexer.core.git_objects import parse_commit_object
from indexer.core.snapshot import ObjectType
from indexer.providers.addresses import CleanRemote
from indexer.providers.base import Remote
from indexer.providers.errors import (
    BadPayload,
    ProviderError,
    Refused,
    Unavailable,
    Unsettled,
)
from indexer.providers.file_writing import (
    MAX_BYTES,
    BranchMoved,
    FileOrder,
    check_id,
    check_path,
    checked,
    format_commit_object,
)
from indexer.providers.git import command
from indexer.providers.git.command import GitFailed
from indexer.providers.git.failures import (
    explain,
    is_disk_full,
    last_words,
    place,
)
from indexer.providers.git.hardening import Connection
from indexer.providers.git.listing import parse_listing
from indexer.providers.git.objects import read_bodies, read_headers
from indexer.providers.git.reader import GitProvider, system_explained
from indexer.providers.git.writer import (
    NOT_THERE,
    SECONDS,
    check_report,
    explain_push,
    fetch_more,
    no_commit,
    workshop,
)
from indexer.providers.trees import MAX_TREE_BYTES
from indexer.providers.writing import MAY_EXIST

HEADS = "refs/heads/"
MAX_COMMIT_BYTES = 1024 * 1024
FILES = frozenset({b"100644", b"100664", b"100755"})
FOLDERS = frozenset({b"40000", b"040000"})
KINDS = {b"120000": "a symbolic link", b"160000": "a submodule"}
LFS = "version https://git-lfs.github.com/spec/"


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a folder, exactly as Git holds it."""

    mode: bytes
    name: bytes
    id: str

    @property
    def key(self) -> bytes:
        """By what Git puts the entries of a folder in order."""
        return self.name + b"/" if self.mode in FOLDERS else self.name


@dataclass(frozen=True, slots=True)
class Way:
    """The folders from the root to a file, with all that they hold (none of it where
    there is no such folder yet), and the file's own entry, if it is there."""

    folders: tuple[tuple[Entry, ...], ...]
    file: Entry | None


class GitFileWriter:
    """Writes files of one repository by pushing commits. No I/O until it is asked."""

    def __init__(self, remote: Remote) -> None:
        self._git = GitProvider(remote)

    def read_file(self, commit_id: str, path: str) -> tuple[str, str] | None:
        """Blob id and text of a file at a commit; see file_writing.FileWriter."""
        check_id(commit_id)
        check_path(path)
        with self._at(commit_id) as (mirror, connection, clean_remote):
            found = _walk(mirror, _tree_of(mirror, connection, commit_id), path).file
            if found is None:
                return None
            if clean_remote.path is None:
                fetch_more(mirror, connection, found.id, filtered="blob:none")
            for body in read_bodies(mirror, [found.id], limit=MAX_BYTES):
                return found.id, _text(path, body.data, is_cut=body.is_cut)
            raise Unavailable(
                f"{place(connection)} does not send {path}, which it lists. Try again "
                "later."
            )

    def write_file(self, order: FileOrder) -> str:
        """Write the commit, and return its id; see file_writing.FileWriter."""
        order = checked(order)
        with self._at(order.base) as (mirror, connection, clean_remote):
            commit_id = _make_commit(mirror, connection, order)
            try:
                _push(mirror, connection, order, commit_id)
            except ProviderError as error:
                self._settle(mirror, connection, clean_remote, order, commit_id, error)
            return commit_id

    @contextmanager
    def _at(self, commit_id: str) -> Iterator[tuple[Path, Connection, CleanRemote]]:
        """A workshop that holds a commit and its folders. What git says is
        explained."""
        with system_explained():
            connection, clean_remote = self._git.connect()
            try:
                with workshop(
                    connection, clean_remote, commit_id, filtered="blob:none"
                ) as mirror:
                    yield mirror, connection, clean_remote
            except GitFailed as error:
                if error.verb == "fetch" and re.search(NOT_THERE, error.stderr):
                    raise no_commit(place(connection), commit_id) from None
                raise explain(error, connection) from None

    # What became of it --------------------------------------------------------------

    def _settle(
        self,
        mirror: Path,
        connection: Connection,
        clean_remote: CleanRemote,
        order: FileOrder,
        commit_id: str,
        error: ProviderError,
    ) -> None:
        """Return if a push that failed with `error` put the commit into the branch all
        the same. Raises BranchMoved, or the error."""
        may_be_there = isinstance(error, Unavailable | BadPayload) or (
            isinstance(error, Refused) and error.status in MAY_EXIST
        )
        if not may_be_there:
            raise error
        before = "" if order.is_new_branch else order.base
        try:
            there = self._branch(connection, order.branch)
            is_written = there == commit_id or (
                # Somebody may have gone on from it by now.
                there not in {"", before}
                and self._is_below(
                    mirror, connection, clean_remote, order.base, commit_id, there
                )
            )
        except GitFailed as trouble:
            raise _not_known(explain(trouble, connection)) from None
        except ProviderError as trouble:
            raise _not_known(trouble) from None
        if is_written:
            return
        if there == before:
            raise error
        raise BranchMoved(order.branch, there, is_new=order.is_new_branch) from None

    def _branch(self, connection: Connection, branch: str) -> str:
        """Where the branch is now; "" if it is not there."""
        # HEAD beside it: an answer of nothing at all may be that of no Git server.
        data = command.ls_remote(
            connection, seconds=SECONDS, refs=("HEAD", HEADS + branch)
        )
        listing = parse_listing(data) if data else self._git.fetch_listing()
        return listing.branches.get(branch, "")

    def _is_below(
        self,
        mirror: Path,
        connection: Connection,
        clean_remote: CleanRemote,
        base: str,
        commit_id: str,
        there: str,
    ) -> bool:
        """Whether what is in the branch stands on our commit."""
        if clean_remote.path is None:
            # No more than the commits since `base`, and those without folders.
            fetch_more(mirror, connection, there, filtered="tree:0", have=base)
        return command.is_ancestor(mirror, commit_id, there)


# Making the commit ------------------------------------------------------------------


def _make_commit(mirror: Path, connection: Connection, order: FileOrder) -> str:
    """The commit of an order, with its folders and its file, in the workshop."""
    tree_id = _tree_of(mirror, connection, order.base)
    way = _walk(mirror, tree_id, order.path)
    if (way.file.id if way.file else None) != order.before:
        raise Refused(
            f"{order.path} at commit {order.base[:7]} is not the file that this change "
            "was made for. Nothing was written. Look at the file again."
        )
    blob_id = command.hash_object(mirror, "blob", order.content.encode())
    if blob_id == order.before:
        raise Refused(
            f"{order.path} is like that already. Nothing was written, and nothing "
            "needs to be."
        )
    mode = way.file.mode if way.file else b"100644"
    names = order.path.encode().split(b"/")
    made = Entry(mode, names[-1], blob_id)
    try:
        for folder, name in zip(way.folders[::-1], [*names[-2::-1], b""], strict=True):
            body = _format_tree(folder, made)
            made = Entry(b"40000", name, command.hash_object(mirror, "tree", body))
        body = format_commit_object(order, made.id)
        return command.hash_object(mirror, "commit", body)
    except GitFailed as error:
        if not error.is_own_word or is_disk_full(error):
            raise
        raise Refused(
            f"A folder on the way to {order.path} is damaged, and Git makes no new one "
            f"of it: “{last_words(error.stderr)}”. Nothing was written. Run git fsck "
            "in the repository."
        ) from None


def _push(
    mirror: Path, connection: Connection, order: FileOrder, commit_id: str
) -> None:
    try:
        report, said = command.push_ref(
            mirror,
            connection,
            commit_id,
            HEADS + order.branch,
            before="" if order.is_new_branch else order.base,
            seconds=SECONDS,
        )
    except GitFailed as error:
        raise explain_push(
            error, connection, "a change on top of this commit"
        ) from None
    check_report(report, said, place(connection), "the change")


def _not_known(trouble: ProviderError) -> Unsettled:
    return Unsettled(
        "It is not known whether the change was written: the remote could not be "
        f"asked. {trouble.sentence}"
    )


# Reading folders --------------------------------------------------------------------


def _tree_of(mirror: Path, connection: Connection, commit_id: str) -> str:
    """The tree of a commit of the workshop. Raises Refused if it is none."""
    found = read_headers(mirror, [commit_id]).get(commit_id)
    if found is not None and found.type is ObjectType.COMMIT:
        for body in read_bodies(mirror, [commit_id], limit=MAX_COMMIT_BYTES):
            tree_id, _, _ = parse_commit_object(commit_id, body.data)
            if tree_id:
                return tree_id
    raise no_commit(place(connection), commit_id)


def _walk(mirror: Path, tree_id: str, path: str) -> Way:
    """The way to a file. Raises Refused where something else is in the way."""
    names = path.encode().split(b"/")
    folders: list[tuple[Entry, ...]] = []
    found: Entry | None = Entry(b"40000", b"", tree_id)
    for depth, name in enumerate(names):
        folders.append(_entries(mirror, found.id, path) if found else ())
        found = next((entry for entry in folders[-1] if entry.name == name), None)
        if found is None:
            continue
        is_last = depth == len(names) - 1
        if found.mode not in (FILES if is_last else FOLDERS):
            where = b"/".join(names[: depth + 1]).decode()
            raise _in_the_way(where, found, "a file" if is_last else "a folder")
    return Way(tuple(folders), found)


def _entries(mirror: Path, tree_id: str, path: str) -> tuple[Entry, ...]:
    """What a folder holds. Raises Unavailable if it is not there or damaged."""
    for body in read_bodies(mirror, [tree_id], limit=MAX_TREE_BYTES):
        if body.type is ObjectType.TREE and not body.is_cut:
            try:
                return tuple(_parse_tree(body.data, len(tree_id) // 2))
            except ValueError:
                break
    raise Unavailable(
        f"A folder on the way to {path} cannot be read: it is missing, damaged or too "
        "large. Run git fsck in the repository."
    )


def _parse_tree(body: bytes, id_bytes: int) -> Iterator[Entry]:
    """All of a tree object, in its order. Raises ValueError if it is malformed."""
    at = 0
    while at < len(body):
        nul = body.index(b"\0", at)
        mode, space, name = body[at:nul].partition(b" ")
        at = nul + 1 + id_bytes
        if not space or at > len(body):
            raise ValueError("an entry of a tree is cut short")
        yield Entry(mode, name, body[nul + 1 : at].hex())


def _format_tree(folder: tuple[Entry, ...], made: Entry) -> bytes:
    """A folder with one entry replaced or added, the others as they were."""
    entries = [made if entry.name == made.name else entry for entry in folder]
    if made not in entries:
        at = sum(entry.key < made.key for entry in entries)
        entries.insert(at, made)
    return b"".join(
        entry.mode + b" " + entry.name + b"\0" + bytes.fromhex(entry.id)
        for entry in entries
    )


def _in_the_way(where: str, found: Entry, wanted: str) -> Refused:
    kind = "a folder" if found.mode in FOLDERS else KINDS.get(found.mode, "a file")
    return Refused(
        f"{where} is {kind} and not {wanted}, so Muster leaves it alone. Nothing was "
        "written. Choose another path, or change it with Git."
    )


def _text(path: str, data: bytes, *, is_cut: bool) -> str:
    """A file's content. Raises Refused for one that Muster does not change."""
    if is_cut:
        raise Refused(
            f"{path} is larger than {MAX_BYTES // 1024} KiB, the most that Muster "
            "changes. Change it with Git."
        )
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise Refused(f"{path} is not text in UTF-8. Change it with Git.")
    if text.startswith(LFS):
        raise Refused(
            f"{path} is kept in Git LFS, and only a pointer to it is in Git. Change it "
            "with Git, or take it out of LFS."
        )
    return text
