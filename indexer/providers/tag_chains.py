"""Annotated tag objects, and what each leads to in the end.

A tag object says what it tags and of what kind that is; neither need be true. Here
every target is looked up, so that a commit is a commit that exists."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from indexer.core.git_objects import parse_tag_object
from indexer.core.snapshot import ObjectType, TagObject
from indexer.providers.objects import Header, Objects

# How much is read of one tag or commit object, by how many tags there are: all of them
# together must fit into memory, and few have a message of more than a page.
MAX_BYTES = ((1_000, 128 * 1024), (20_000, 8 * 1024))
MAX_BYTES_OF_MANY = 2 * 1024
MAX_CHAIN = 20  # tags of tags of tags


@dataclass(slots=True)
class TagChains:
    """Tag objects by id, and the headers of all that was asked for or tagged."""

    tags: dict[str, TagObject] = field(default_factory=dict)
    headers: dict[str, Header] = field(default_factory=dict)

    def peel(self, object_id: str) -> tuple[TagObject, str | None]:
        """The tag object, with a flaw added where its target is not what it says, and
        the commit it leads to, None if there is none."""
        tag = self.tags[object_id]
        header = self.headers.get(tag.target_id)
        if header is None:
            flaw = "What the tag points to is missing in the repository."
            tag = replace(tag, target_type=ObjectType.MISSING, flaws=(*tag.flaws, flaw))
            return tag, None
        if header.type is not tag.target_type:
            flaw = f"The tag points to a {header.type} and calls it {tag.target_type}."
            tag = replace(tag, target_type=header.type, flaws=(*tag.flaws, flaw))
        target = tag.target_id
        for _ in range(MAX_CHAIN):
            inner = self.tags.get(target)
            if inner is None:
                break
            target = inner.target_id
        last = self.headers.get(target)
        is_commit = last is not None and last.type is ObjectType.COMMIT
        return tag, target if is_commit else None


def most_bytes(tags: int) -> int:
    """How much is read of one object of a repository with so many tags; the rest of
    its message is not."""
    for most_tags, most in MAX_BYTES:
        if tags <= most_tags:
            return most
    return MAX_BYTES_OF_MANY


def read_tag_chains(
    objects: Objects, object_ids: Collection[str], *, limit: int
) -> TagChains:
    """Read these objects as far as they are tags, each cut at `limit` bytes, and the
    tags that those tag."""
    chains = TagChains()
    todo = list(object_ids)
    for _ in range(MAX_CHAIN):
        if not todo:
            break
        headers = objects.headers(todo)
        chains.headers |= headers
        ids = [key for key in headers if headers[key].type is ObjectType.TAG]
        targets: dict[str, None] = {}
        for body in objects.bodies(ids, limit=limit):
            tag = parse_tag_object(body.object_id, body.data)
            if body.is_cut:
                flaw = (
                    f"The tag object has {headers[body.object_id].size} bytes; its "
                    "message is cut."
                )
                tag = replace(tag, flaws=(*tag.flaws, flaw))
            chains.tags[body.object_id] = tag
            if tag.target_id and tag.target_id not in chains.headers:
                targets[tag.target_id] = None
        todo = list(targets)
    return chains
