"""A bare repository as the test servers read it: by libgit2, so that nothing of
Muster's own reading is in it, and raw, so that nothing is made nicer."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType

KINDS = {
    ObjectType.COMMIT: "commit",
    ObjectType.TREE: "tree",
    ObjectType.BLOB: "blob",
    ObjectType.TAG: "tag",
}
IS_ID = re.compile(r"[0-9a-f]{40}")
SIGNATURE = re.compile(rb"^-----BEGIN (?:PGP|SSH|SIGNED)[^\n]*-----$", re.M)


@dataclass(frozen=True)
class Person:
    """Who and when of a tag or commit; `date` None where the line makes no sense."""

    name: str
    email: str
    date: datetime | None


@dataclass(frozen=True)
class GitObject:
    """An object with its bytes. The headers of a tag or commit are parsed on need."""

    oid: str
    kind: str
    data: bytes

    def header(self, name: str) -> str | None:
        """The first header of this name, its continuation lines joined."""
        return next(iter(self.headers(name)), None)

    def headers(self, name: str) -> list[str]:
        head = self.data.partition(b"\n\n")[0]
        key = re.escape(name.encode())
        found = re.findall(rb"^" + key + rb" (.*(?:\n .*)*)", head, re.M)
        return [text(value.replace(b"\n ", b"\n")) for value in found]

    @property
    def raw_message(self) -> bytes:
        return self.data.partition(b"\n\n")[2]

    @property
    def message(self) -> str:
        return text(self.raw_message, self.header("encoding") or "utf-8")

    @property
    def signature(self) -> str:
        """A tag's, at the end of its message, or a commit's own header; "" unsigned."""
        if self.kind == "commit":
            return self.header("gpgsig") or ""
        found = SIGNATURE.search(self.raw_message)
        return text(self.raw_message[found.start() :]) if found else ""

    def person(self, name: str) -> Person | None:
        line = self.header(name)
        return None if line is None else parse_person(line)

    @property
    def parents(self) -> list[str]:
        return self.headers("parent")

    def entries(self) -> Iterator[tuple[int, bytes, str]]:
        """A tree's: mode, name, object id."""
        at = 0
        while at < len(self.data):
            space = self.data.index(b" ", at)
            end = self.data.index(b"\0", space)
            mode = int(self.data[at:space], 8)
            yield mode, self.data[space + 1 : end], self.data[end + 1 : end + 21].hex()
            at = end + 21


def kind_of(mode: int) -> str:
    """What a tree's entry of this mode is."""
    return {0o040000: "tree", 0o160000: "commit"}.get(mode & 0o170000, "blob")


def text(data: bytes, encoding: str = "utf-8") -> str:
    """Bytes as a provider shows them: what is no text becomes U+FFFD."""
    try:
        return data.decode(encoding, "replace")
    except LookupError:
        return data.decode("utf-8", "replace")


def parse_person(line: str) -> Person:
    """`Name <email> seconds ±hhmm`, as far as it is that."""
    found = re.fullmatch(r"(.*?) ?<([^>]*)>(?: (-?\d+) ([+-]\d{4}))?.*", line, re.S)
    if not found:
        return Person(line, "", None)
    date = None
    if found[3]:
        minutes = int(found[4][1:3]) * 60 + int(found[4][3:])
        offset = timedelta(minutes=-minutes if found[4][0] == "-" else minutes)
        try:
            date = datetime.fromtimestamp(int(found[3]), timezone(offset))
        except (ValueError, OverflowError, OSError):
            date = None
    return Person(found[1], found[2], date)


class ObjectStore:
    """One bare repository; refs are read from its files at each call, so that a push by
    any way is seen at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._git = pygit2.Repository(str(path))

    def get(self, oid: str) -> GitObject | None:
        """The object, or None if it is not there."""
        try:
            kind, data = self._git.read(oid)
        except (KeyError, ValueError, pygit2.GitError):
            return None
        return GitObject(oid, KINDS[ObjectType(kind)], data)

    def write(self, kind: str, data: bytes) -> str:
        """Store an object; its id."""
        type_ = next(key for key, value in KINDS.items() if value == kind)
        return str(self._git.write(type_, data))

    def refs(self, prefix: str = "refs/") -> dict[str, str]:
        """Refs below a prefix, sorted by name -> object id."""
        found: dict[bytes, str] = {}
        packed = self.path / "packed-refs"
        if packed.exists():
            for line in packed.read_bytes().splitlines():
                if line[:1] not in b"#^" and len(line) > 41:
                    found[line[41:]] = line[:40].decode()
        base = os.fsencode(self.path)
        for folder, _, names in os.walk(os.path.join(base, b"refs")):
            for name in names:
                file = os.path.join(folder, name)
                if not name.endswith(b".lock"):
                    value = self._value(file)
                    if value:
                        found[os.path.relpath(file, base)] = value
        listed = ((text(ref), value) for ref, value in sorted(found.items()))
        return {ref: value for ref, value in listed if ref.startswith(prefix)}

    def _value(self, file: bytes) -> str:
        try:
            with open(file, "rb") as handle:
                value = handle.read().strip().decode("latin-1")
        except OSError:
            return ""
        return value if IS_ID.fullmatch(value) else ""

    @property
    def default_branch(self) -> str:
        """The branch HEAD names, whether it exists or not."""
        head = (self.path / "HEAD").read_text().strip()
        return head.removeprefix("ref: refs/heads/")

    def resolve(self, expression: str) -> str | None:
        """What `git rev-parse` would say: an id, a ref in any spelling, HEAD; with
        `^{}`, `^{commit}`, `^{tree}` after it, and `:path` after that."""
        revision, colon, path = expression.partition(":")
        revision, caret, kind = revision.partition("^{")
        oid = self._revision(revision)
        if oid and caret:
            oid = self.peel(oid, kind.removesuffix("}") or "commit")
        if oid and colon:
            entry = self.entry(oid, path)
            return entry[1] if entry else None
        return oid

    def _revision(self, revision: str) -> str | None:
        if IS_ID.fullmatch(revision):
            return revision if self.get(revision) else None
        if revision in {"", "HEAD"}:
            revision = f"refs/heads/{self.default_branch}"
        refs = self.refs()
        for prefix in ("", "refs/", "refs/tags/", "refs/heads/"):
            if prefix + revision in refs:
                return refs[prefix + revision]
        return None

    def peel(self, oid: str, kind: str = "commit") -> str | None:
        """Follow tags (and for a tree, a commit) to an object of this kind."""
        for _ in range(100):
            found = self.get(oid)
            if found is None:
                return None
            if found.kind == kind:
                return oid
            follow = {"tag": "object", "commit": "tree"}.get(found.kind)
            if follow is None or (found.kind == "commit" and kind != "tree"):
                return None
            oid = found.header(follow) or ""
        return None

    def entry(self, oid: str, path: str) -> tuple[int, str] | None:
        """Mode and id of what lies at a path of a commit, tag or tree; "" the tree."""
        tree = self.peel(oid, "tree")
        mode = 0o040000
        for part in filter(None, path.split("/")):
            found = self.get(tree) if tree else None
            if found is None or found.kind != "tree":
                return None
            wanted = part.encode()
            hit = next((e for e in found.entries() if e[1] == wanted), None)
            if hit is None:
                return None
            mode, _, tree = hit
        return (mode, tree) if tree else None

    def walk(self, oid: str) -> Iterator[tuple[int, bytes, str]]:
        """All entries of a tree and the trees in it: mode, whole path, id."""
        waiting = [self._entries(oid, b"")]
        while waiting:
            entry = next(waiting[-1], None)
            if entry is None:
                waiting.pop()
                continue
            yield entry
            mode, path, child = entry
            if kind_of(mode) == "tree":
                waiting.append(self._entries(child, path + b"/"))

    def _entries(self, oid: str, base: bytes) -> Iterator[tuple[int, bytes, str]]:
        tree = self.get(oid)
        for mode, name, child in tree.entries() if tree else ():
            yield mode, base + name, child

    def history(self, oid: str, path: str = "") -> Iterator[str]:
        """Commits from here, newest first; with a path, those that changed it."""
        start = self.peel(oid)
        if start is None:
            return
        for commit in self._git.walk(start, pygit2.enums.SortMode.TIME):
            if not path or self._changed(commit, path):
                yield str(commit.id)

    def _changed(self, commit: pygit2.Commit, path: str) -> bool:
        here = self.entry(str(commit.id), path)
        before = [self.entry(str(parent), path) for parent in commit.parent_ids]
        return here not in before if before else here is not None

    def set_ref(self, ref: str, oid: str) -> None:
        """Make or move a ref."""
        self._git.references.create(ref, oid, force=True)

    def delete_ref(self, ref: str) -> None:
        self._git.references.delete(ref)


@lru_cache(maxsize=2000)
def open_store(path: Path) -> ObjectStore:
    """The store of a bare repository, kept open."""
    return ObjectStore(path)
