"""Registry files of commits: every `dvc.yaml`, and `artifacts.yaml` and `.gto` at the
root, found by walking trees level by level, each tree read once.

A tree may be hostile: twelve objects can stand for ten thousand million files. So
nothing here grows with the number of paths: a tree's content is counted and searched
once, however often and wherever it occurs."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from indexer.core.snapshot import FileRef, ObjectType, Problem, text
from indexer.providers.objects import Objects

MAX_ENTRIES = 1_000_000  # of one commit's tree, all folders together
MAX_DEPTH = 64
MAX_SECONDS = 60.0
MAX_TREE_BYTES = 32 * 1024 * 1024  # of one folder
MAX_FILES = 10_000  # registry files of one commit
# Of all commits together: paths of registry files, those of folders in folders
# counting in each; and how many of them, with what is there, differ.
MAX_PATHS = 1_500_000
MAX_FILES_IN_ALL = 400_000
MAX_PATH = 1_000  # characters

ANYWHERE = frozenset({b"dvc.yaml"})
AT_ROOT = frozenset({b"artifacts.yaml", b".gto"})
WANTED = ANYWHERE | AT_ROOT
UNSAFE = frozenset({b"", b".", b"..", b".git"})
FOLDER_MODES = frozenset({b"40000", b"040000"})
SYMLINK = b"120000"


@dataclass(frozen=True, slots=True)
class Tree:
    """What matters of one folder: registry files (name, mode, id) and sub-folders."""

    files: tuple[tuple[bytes, bytes, str], ...]
    folders: tuple[tuple[bytes, str], ...]
    entries: int


@dataclass(frozen=True, slots=True)
class Found:
    """What is below one folder: paths relative to it, in no order."""

    files: tuple[tuple[bytes, bytes, str], ...]  # path, mode, id
    entries: int
    depth: int
    flaw: str = ""  # code of a problem: why it is not all


TreeFiles = tuple[tuple[FileRef, ...], tuple[Problem, ...]]


def parse_tree(body: bytes, id_bytes: int) -> Tree:
    """A tree object. Raises ValueError if it is malformed."""
    files: list[tuple[bytes, bytes, str]] = []
    folders: list[tuple[bytes, str]] = []
    entries, at, end = 0, 0, len(body)
    find = body.find
    while at < end:
        nul = find(b"\0", at)
        after = nul + 1 + id_bytes
        if nul < 0 or after > end:
            raise ValueError("a tree ends in the middle of an entry")
        space = find(b" ", at, nul)
        if space < 0:
            raise ValueError("a tree's entry has no mode")
        entries += 1
        mode = body[at:space]
        name = body[space + 1 : nul]
        if mode in FOLDER_MODES:
            if name not in UNSAFE and b"/" not in name:
                folders.append((name, body[nul + 1 : after].hex()))
        elif name in WANTED and mode != b"160000":
            files.append((name, mode, body[nul + 1 : after].hex()))
        at = after
    return Tree(tuple(files), tuple(folders), entries)


class TreeWalk:
    """Finds the registry files of many trees of one repository."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._trees: dict[str, Tree | None] = {}  # None: cannot be read
        self._flaws: dict[str, str] = {}
        self._found: dict[str, Found] = {}
        self._end = time.monotonic() + MAX_SECONDS
        self._paths = 0
        self._refs: dict[FileRef, FileRef] = {}
        self.missing: set[str] = set()

    def load(self, roots: Collection[str]) -> None:
        """Read these trees and all below them, a level at a time."""
        level = {root for root in roots if root not in self._trees}
        for _ in range(MAX_DEPTH):
            if not level or time.monotonic() > self._end:
                return
            self._load_level(level)
            level = {
                child
                for parent in level
                if (tree := self._trees[parent]) is not None
                for _, child in tree.folders
                if child not in self._trees
            }

    def files(self, root: str, commit_id: str) -> TreeFiles:
        """The registry files of a tree that was loaded, sorted by path, and what was
        wrong with it."""
        found = self._search(root)
        flaw = found.flaw
        if not flaw and found.entries > MAX_ENTRIES:
            flaw = "tree-too-large"
        if not flaw and (
            len(found.files) > MAX_FILES or len(self._refs) > MAX_FILES_IN_ALL
        ):
            flaw = "too-many-files"
        listed = found.files
        problems: list[Problem] = []
        if flaw:
            problems.append(Problem(flaw, FLAWS[flaw], commit_id=commit_id))
        if flaw in {"tree-too-large", "too-many-files"}:
            tree = self._trees.get(root)
            listed = tree.files if tree is not None else ()
        files: list[FileRef] = []
        for raw, mode, blob_id in listed:
            if raw.rpartition(b"/")[2] in AT_ROOT and b"/" in raw:
                continue
            path = text(raw)
            if mode == SYMLINK:
                sentence = (
                    f"{path} is a symbolic link, which Muster does not follow. Put "
                    "the file itself there."
                )
                problems.append(
                    Problem("symlink", sentence, path=path, commit_id=commit_id)
                )
            elif len(path) > MAX_PATH:
                sentence = (
                    f"The path of a dvc.yaml has more than {MAX_PATH} characters."
                )
                shown = path[:MAX_PATH]
                problems.append(
                    Problem("path-too-long", sentence, path=shown, commit_id=commit_id)
                )
            else:
                # Commits have most files in common: kept once.
                file = FileRef(path, blob_id)
                files.append(self._refs.setdefault(file, file))
        files.sort(key=lambda file: file.path)
        problems.sort(key=lambda problem: problem.path)
        return tuple(files), tuple(problems)

    def _load_level(self, level: set[str]) -> None:
        ids = sorted(level)
        begun = time.monotonic()
        self._objects.load_level(ids)
        self._end += time.monotonic() - begun  # waiting is no walking
        headers = self._objects.headers(ids)
        readable = []
        for tree_id in ids:
            self._trees[tree_id] = None
            header = headers.get(tree_id)
            if header is None:
                self.missing.add(tree_id)
                self._flaws[tree_id] = "tree-missing"
            elif header.type is not ObjectType.TREE:
                self._flaws[tree_id] = "tree-damaged"
            elif header.size > MAX_TREE_BYTES:
                self._flaws[tree_id] = "tree-too-large"
            else:
                self._flaws[tree_id] = "tree-damaged"  # until it was read
                readable.append(tree_id)
        for body in self._objects.bodies(readable, limit=MAX_TREE_BYTES):
            try:
                tree = parse_tree(body.data, len(body.object_id) // 2)
            except ValueError:
                continue  # its flaw is noted above
            self._trees[body.object_id] = tree
            del self._flaws[body.object_id]

    def _search(self, root: str) -> Found:
        """Everything below `root`, each tree once: from the leaves up, on a stack of
        our own, for a tree may be deeper than Python's."""
        stack = [root]
        while stack:
            tree_id = stack[-1]
            if tree_id in self._found:
                stack.pop()
                continue
            tree = self._trees.get(tree_id)
            if tree is None:
                flaw = self._flaws.get(tree_id) or self._unread()
                self._found[tree_id] = Found((), 0, 0, flaw)
                continue
            waiting = [child for _, child in tree.folders if child not in self._found]
            if waiting:
                stack.extend(waiting)
                continue
            self._found[tree_id] = self._join(tree)
        return self._found[root]

    def _unread(self) -> str:
        """Why a tree was never read: out of time, or too deep."""
        return "tree-too-large" if time.monotonic() > self._end else "tree-too-deep"

    def _join(self, tree: Tree) -> Found:
        files = list(tree.files)
        entries, depth, flaw = tree.entries, 0, ""
        found: Mapping[str, Found] = self._found
        for name, child in tree.folders:
            below = found[child]
            entries += below.entries
            depth = max(depth, below.depth + 1)
            flaw = flaw or below.flaw
            if below.files and len(files) <= MAX_FILES:
                files.extend(
                    (name + b"/" + path, mode, blob_id)
                    for path, mode, blob_id in below.files
                    if path.rpartition(b"/")[2] in ANYWHERE
                )
        self._paths += len(files)
        if len(files) > MAX_FILES or self._paths > MAX_PATHS:
            flaw, files = "too-many-files", []
        elif depth > MAX_DEPTH:  # by a way round that shares folders
            flaw, files = flaw or "tree-too-deep", []
        return Found(tuple(files), entries, depth, flaw)


UNREAD_FLAWS = frozenset({"tree-missing", "tree-damaged"})
FLAWS = {
    "tree-missing": (
        "A folder of this commit is missing in the repository, so registry files in it "
        "were not read. Run git fsck in the repository."
    ),
    "tree-damaged": (
        "A folder of this commit is damaged, so registry files in it were not read. "
        "Run git fsck in the repository."
    ),
    "tree-too-large": (
        f"The tree of this commit is too large: more than {MAX_ENTRIES} entries, or "
        f"more than {MAX_SECONDS:.0f} seconds to read. Only registry files at its root "
        "were read."
    ),
    "tree-too-deep": (
        f"The tree of this commit is too large: it has folders more than {MAX_DEPTH} "
        "levels deep. Registry files below that were not read."
    ),
    "too-many-files": (
        f"The tree of this commit is too large: more than {MAX_FILES} dvc.yaml files, "
        f"or more than {MAX_FILES_IN_ALL} at all commits together. Only registry files "
        "at its root were read."
    ),
}
