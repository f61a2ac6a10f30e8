"""Objects over GitHub's REST, one request each: what a query cannot tell exactly, or
everything at a server without GraphQL."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any

from indexer.core.snapshot import ObjectType
from indexer.providers.errors import BadPayload, NotFound, Refused, TooLarge
from indexer.providers.github.client import GitHubClient, repository_path
from indexer.providers.github.memory import Memory, signer_of, words
from indexer.providers.github.queries import as_object, odd, parse_id
from indexer.providers.github.raw_objects import (
    FOLDER,
    Entry,
    commit_bodies,
    in_any_zone,
    signed_bodies,
    tag_bodies,
    tree_bodies,
)
from indexer.providers.objects import Header, NeedsMirror
from indexer.yamlio import MAX_BYTES

MODE = re.compile(r"0?[0-7]{5,6}")


class RestObjects:
    """Asks for objects of owner/name and puts what is proven into a memory. An object
    that GitHub does not have, or that cannot be proven, is not there afterwards."""

    def __init__(self, client: GitHubClient, path: str, memory: Memory) -> None:
        self._client = client
        self._base = f"{repository_path(path)}/git"
        self._memory = memory

    def fetch_tag(self, tag_id: str) -> None:
        """https://docs.github.com/en/rest/git/tags#get-a-tag"""
        told = self._get(f"tags/{tag_id}")
        if told is None:
            return
        target = as_object(told.get("object"), "a tag")
        try:
            kind = ObjectType(words(target.get("type"), "a tag"))
            target_id = parse_id(target.get("sha"))
        except (ValueError, BadPayload):
            return  # the tag itself does not say
        tagger = signer_of(told.get("tagger"))
        bodies = tag_bodies(
            target_id,
            kind,
            words(told.get("tag"), "a tag"),
            in_any_zone(tagger) if tagger else None,
            words(told.get("message"), "a tag"),
        )
        signed = _signed(ObjectType.TAG, told)
        self._memory.keep(ObjectType.TAG, tag_id, chain(signed, bodies))

    def fetch_commit(self, commit_id: str) -> None:
        """https://docs.github.com/en/rest/git/commits#get-a-commit-object"""
        told = self._get(f"commits/{commit_id}")
        if told is None:
            return
        tree = parse_id(as_object(told.get("tree"), "a commit").get("sha"))
        listed = told.get("parents")
        if not isinstance(listed, list):
            raise odd("a commit")
        parents = [parse_id(as_object(one, "a commit").get("sha")) for one in listed]
        author, committer = (
            signer_of(told.get("author")),
            signer_of(told.get("committer")),
        )
        bodies: Iterable[bytes] = _signed(ObjectType.COMMIT, told)
        if author and committer:
            message = words(told.get("message"), "a commit")
            by, of = in_any_zone(author), in_any_zone(committer)
            bodies = chain(bodies, commit_bodies(tree, parents, by, of, message))
        self._memory.keep(ObjectType.COMMIT, commit_id, bodies)

    def fetch_blob(self, blob_id: str) -> None:
        """https://docs.github.com/en/rest/git/blobs#get-a-blob
        One that its tree says is too large to be read anyway is not asked for."""
        header = self._memory.header(blob_id)
        if header is not None and header.size > MAX_BYTES:
            return
        told = self._get(f"blobs/{blob_id}")
        if told is None:
            return
        content = told.get("content")
        if told.get("encoding") != "base64" or not isinstance(content, str):
            return  # too large to be told
        try:
            body = base64.b64decode(content)
        except ValueError:
            raise odd("a file") from None
        self._memory.keep(ObjectType.BLOB, blob_id, [body])

    def fetch_trees(self, tree_id: str) -> None:
        """A tree and all below it. Raises NeedsMirror if GitHub cuts them short.
        https://docs.github.com/en/rest/git/trees#get-a-tree"""
        told = self._get(f"trees/{tree_id}", {"recursive": 1})
        if told is None:
            return
        if told.get("truncated"):
            raise NeedsMirror("Its folders are more than GitHub's API lists.")
        if not isinstance(told.get("tree"), list):
            raise odd("a tree")
        folders: dict[str, list[Entry]] = {"": []}
        ids = {"": tree_id}
        for item in told["tree"]:
            place, entry = _entry(item)
            above, _, _ = place.rpartition("/")
            folders.setdefault(above, []).append(entry)
            self._note_large(item, entry)
            if entry.mode == FOLDER:
                folders.setdefault(place, [])
                ids[place] = entry.object_id
        for place, entries in folders.items():
            if place in ids:
                self._memory.keep(ObjectType.TREE, ids[place], tree_bodies(entries))

    def _note_large(self, item: Mapping[str, Any], entry: Entry) -> None:
        """Remember a file that is too large to be read."""
        size = item.get("size")
        if isinstance(size, int) and size > MAX_BYTES:
            self._memory.headers[entry.object_id] = Header(ObjectType.BLOB, size)

    def fetch(
        self, object_ids: Iterable[str], kind: ObjectType, *, again: bool = False
    ) -> None:
        """These objects, or `again` those that are here too; of trees with all below
        them."""
        ways: Mapping[ObjectType, Callable[[str], None]] = {
            ObjectType.TAG: self.fetch_tag,
            ObjectType.COMMIT: self.fetch_commit,
            ObjectType.BLOB: self.fetch_blob,
            ObjectType.TREE: self.fetch_trees,
        }
        for object_id in object_ids:
            if again or object_id not in self._memory:
                ways[kind](object_id)

    def _get(
        self, what: str, parameters: Mapping[str, Any] | None = None
    ) -> dict[str, Any] | None:
        """The answer; None if there is no such object, or GitHub will not tell it, or
        tells more than we take."""
        try:
            answer = self._client.rest(
                "GET", f"{self._base}/{what}", parameters=parameters
            )
        except (NotFound, Refused, TooLarge):
            return None
        return as_object(answer.data, "an object")


def _signed(kind: ObjectType, told: Mapping[str, Any]) -> Iterable[bytes]:
    """What the object may be by its signature, if it has one."""
    proof = told.get("verification")
    if not isinstance(proof, dict) or not proof.get("signature"):
        return ()
    payload = words(proof.get("payload"), "a signature")
    return signed_bodies(kind, payload, words(proof["signature"], "a signature"))


def _entry(item: Any) -> tuple[str, Entry]:
    """An entry of a tree with all below it: its path, and the entry."""
    told = as_object(item, "a tree")
    path, mode = told.get("path"), told.get("mode")
    if not isinstance(path, str) or not isinstance(mode, str):
        raise odd("a tree")
    if not MODE.fullmatch(mode):
        raise odd("a tree")
    name = path.rpartition("/")[2].encode("utf-8", "surrogatepass")
    object_id = parse_id(told.get("sha"))
    return path, Entry(mode.lstrip("0").encode("ascii"), name, object_id)
