"""Objects of one repository as GitHub told them, in memory: those whose bytes are
proven, and of others what is known of them."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

from indexer.core.snapshot import FileRef, ObjectType, text
from indexer.providers.errors import BadPayload
from indexer.providers.github.queries import as_object, odd, parse_id
from indexer.providers.github.raw_objects import (
    Entry,
    Signer,
    blob_bodies,
    commit_bodies,
    parse_signer,
    prove,
    signed_bodies,
    tag_bodies,
    tree_bodies,
)
from indexer.providers.objects import Header, NeedsMirror
from indexer.providers.trees import ANYWHERE, FOLDER_MODES, SYMLINK, Tree, parse_tree

MAX_BYTES = 128 * 1024 * 1024  # of one repository's objects together
MAX_SEARCHED = 300  # trees, for registry files that are probably needed

TYPES = {
    "Tag": ObjectType.TAG,
    "Commit": ObjectType.COMMIT,
    "Tree": ObjectType.TREE,
    "Blob": ObjectType.BLOB,
}


class Memory:
    """`bodies` are proven; `headers` are what GitHub says of objects that are not."""

    def __init__(self) -> None:
        self.bodies: dict[str, tuple[ObjectType, bytes]] = {}
        self.headers: dict[str, Header] = {}
        self._bytes = 0

    def __contains__(self, object_id: str) -> bool:
        return object_id in self.bodies

    def header(self, object_id: str) -> Header | None:
        """What is known of an object."""
        if object_id in self.bodies:
            kind, body = self.bodies[object_id]
            return Header(kind, len(body))
        return self.headers.get(object_id)

    def tree(self, object_id: str) -> Tree | None:
        """A tree that is here."""
        kind, body = self.bodies.get(object_id, (None, b""))
        try:
            return parse_tree(body, 20) if kind is ObjectType.TREE else None
        except ValueError:
            return None

    def registry_files(self, root: str) -> list[FileRef]:
        """The registry files below a tree, as far as its trees are here, and no more
        than a few: where other commits probably have theirs."""
        found: list[FileRef] = []
        waiting = [(b"", root)]
        for _ in range(MAX_SEARCHED):
            if not waiting:
                break
            above, tree_id = waiting.pop(0)
            tree = self.tree(tree_id)
            if tree is None:
                continue
            for name, mode, blob_id in tree.files:
                if mode != SYMLINK and (not above or name in ANYWHERE):
                    found.append(FileRef(text(above + name), blob_id))
            waiting += [(above + name + b"/", child) for name, child in tree.folders]
        return found

    def keep(
        self, kind: ObjectType, object_id: str, candidates: Iterable[bytes]
    ) -> None:
        """Keep the candidate that is the object, if one is. Raises NeedsMirror where
        all of them are too much."""
        if object_id in self.bodies:
            return
        body = prove(kind, object_id, candidates)
        if body is None:
            return
        self._bytes += len(body)
        if self._bytes > MAX_BYTES:
            raise NeedsMirror("The repository holds too much to be read over the API.")
        self.bodies[object_id] = kind, body

    def forget(self, object_id: str) -> None:
        """Keep no more than what the object is."""
        kind, body = self.bodies.pop(object_id)
        self._bytes -= len(body)
        self.headers[object_id] = Header(kind, 0)

    def take(self, node: Any) -> None:
        """Take an object of a query's answer, with those that are told inside it; null
        is one that GitHub does not have. Raises BadPayload for what is no object."""
        if node is None:
            return
        told = as_object(node, "an object")
        kind = _kind(told)
        object_id = parse_id(told.get("oid"))
        size = told.get("byteSize", 0)
        if type(size) is not int or size < 0:
            raise odd("an object")
        self.headers.setdefault(object_id, Header(kind, size))
        match kind:
            case ObjectType.TAG:
                self._take_tag(object_id, told)
            case ObjectType.COMMIT:
                self._take_commit(object_id, told)
            case ObjectType.TREE:
                self.take_tree(told)
            case _:
                self._take_blob(object_id, told)

    def take_tree(self, node: Any) -> None:
        """Take a tree, and those told inside it."""
        told = as_object(node, "a tree")
        if not isinstance(told.get("entries"), list):
            return
        entries = []
        for item in told["entries"]:
            entry = as_object(item, "a tree")
            parsed = _entry(entry)
            if parsed.mode in FOLDER_MODES and entry.get("object"):
                self.take_tree(entry["object"])
            entries.append(parsed)
        self.keep(ObjectType.TREE, parse_id(told.get("oid")), tree_bodies(entries))

    def _take_tag(self, object_id: str, told: Mapping[str, Any]) -> None:
        if "name" not in told:  # only what it is was asked for
            return
        if told.get("target") is None:  # GitHub cannot tell it
            return
        target = as_object(told["target"], "a tag")
        self.take(target)
        self.keep(
            ObjectType.TAG,
            object_id,
            tag_bodies(
                parse_id(target.get("oid")),
                _kind(target),
                words(told.get("name"), "a tag"),
                signer_of(told.get("tagger")),
                words(told.get("tagMessage"), "a tag"),
            ),
        )

    def _take_commit(self, object_id: str, told: Mapping[str, Any]) -> None:
        if "tree" not in told:
            return
        tree = as_object(told["tree"], "a commit")
        self.take_tree(tree)
        parents = as_object(told.get("parents"), "a commit")
        ids = _ids(parents.get("nodes"))
        author, committer = (
            signer_of(told.get("author")),
            signer_of(told.get("committer")),
        )
        candidates: Iterable[bytes] = ()
        signature = ""
        if told.get("signature") is not None:
            signed = as_object(told["signature"], "a signature")
            signature = words(signed.get("signature"), "a signature")
            payload = words(signed.get("payload"), "a signature")
            candidates = signed_bodies(ObjectType.COMMIT, payload, signature)
        if author and committer and parents.get("totalCount") == len(ids):
            told_so = commit_bodies(
                parse_id(tree.get("oid")),
                ids,
                author,
                committer,
                words(told.get("message"), "a commit"),
                signature=signature,
            )
            candidates = chain(candidates, told_so)
        self.keep(ObjectType.COMMIT, object_id, candidates)

    def _take_blob(self, object_id: str, told: Mapping[str, Any]) -> None:
        content = told.get("text")
        if isinstance(content, str) and not told.get("isTruncated"):
            self.keep(ObjectType.BLOB, object_id, blob_bodies(content))


def _kind(told: Mapping[str, Any]) -> ObjectType:
    name = told.get("__typename")
    if not isinstance(name, str) or name not in TYPES:
        raise odd("an object")
    return TYPES[name]


def signer_of(data: Any) -> Signer | None:
    """The person of an answer; None if there is none, or no date."""
    if data is None:
        return None
    told = as_object(data, "a person")
    name, email, date = (told.get(key) for key in ("name", "email", "date"))
    if not all(
        value is None or isinstance(value, str) for value in (name, email, date)
    ):
        raise odd("a person")
    return parse_signer(name, email, date)


def words(value: Any, what: str) -> str:
    """Text; null is none. Raises BadPayload."""
    if value is not None and not isinstance(value, str):
        raise odd(what)
    return value or ""


def _ids(nodes: Any) -> list[str]:
    if not isinstance(nodes, list):
        raise odd("a commit")
    return [parse_id(as_object(node, "a commit").get("oid")) for node in nodes]


def _entry(told: Mapping[str, Any]) -> Entry:
    mode = told.get("mode")
    if type(mode) is not int or mode < 0:
        raise odd("a tree")
    return Entry(f"{mode:o}".encode("ascii"), _name(told), parse_id(told.get("oid")))


def _name(told: Mapping[str, Any]) -> bytes:
    """An entry's name. Half a surrogate pair stays what it is: the tree is not proven
    with it, and its names are asked for in base64."""
    try:
        if "nameRaw" in told:
            return base64.b64decode(told["nameRaw"])
        return words(told.get("name"), "a tree").encode("utf-8", "surrogatepass")
    except (TypeError, ValueError):
        raise BadPayload("GitHub told a file's name that makes no sense.") from None
