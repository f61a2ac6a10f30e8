"""Tags written over GitHub's API: the object, then the ref. Neither is ever sent twice.

GitHub makes the object from its fields, so its id tells whether it is the one that was
asked for. An object without a ref is seen by nobody: whoever asks again, with the same
order, makes the same object and then the one ref."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from indexer.core.git_objects import format_tag_object, parse_tag_object, tag_object_id
from indexer.core.snapshot import GitTag, ObjectType
from indexer.providers.base import Listing, Remote
from indexer.providers.errors import BadPayload, NotFound, ProviderError, Refused
from indexer.providers.git.writer import GitTagWriter
from indexer.providers.github.client import GitHubClient, repository_path
from indexer.providers.github.memory import Memory
from indexer.providers.github.queries import as_object, odd, parse_id
from indexer.providers.github.raw_objects import Signer, tag_bodies
from indexer.providers.github.reader import GitHubProvider
from indexer.providers.github.refs import fetch_refs
from indexer.providers.github.rest_objects import RestObjects
from indexer.providers.objects import NeedsMirror
from indexer.providers.writing import (
    TagOrder,
    check_name,
    checked,
    settle,
    written,
)


class GitHubTagWriter:
    """Writes tags of one repository as whoever the client's token is. `remote` is its
    address for Git, `path` owner/name."""

    def __init__(self, remote: Remote, client: GitHubClient) -> None:
        self._remote = remote
        self._client = client
        self._path = remote.path
        self._git = GitTagWriter(remote)

    def refs(self) -> Listing:
        """The refs as they are now: one query, and one request more for many tags."""
        return GitHubProvider(self._remote, self._client).fetch_listing()

    def read_tag(self, name: str) -> GitTag | None:
        """What is there under this name now, in one request or two; None if there is
        nothing. A tag that the API cannot tell exactly is read over Git."""
        check_name(name)
        try:
            return self._read(name, {})
        except NeedsMirror:
            return self._git.read_tag(name)

    def write_tag(self, order: TagOrder) -> GitTag:
        """Write the tag; see writing.TagWriter."""
        order = checked(order)
        bodies = _candidates(order)
        base = f"{repository_path(self._path)}/git"
        try:
            made = self._post(f"{base}/tags", _tag_fields(order))
            object_id = _made_id(made, order)
            if object_id not in bodies:
                bodies[object_id] = self._body_of(object_id)
        except NeedsMirror:
            # No ref leads to it: nothing was written that anybody sees.
            raise odd("a tag that it made") from None
        ref = f"refs/tags/{order.name}"
        try:
            self._post(f"{base}/refs", {"ref": ref, "sha": object_id})
        except ProviderError as error:
            return settle(
                order,
                error,
                lambda name: self._read_or_mirror(name, bodies),
                lambda there: there.object_id in bodies,
            )
        return written(order, bodies[object_id])

    def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        """https://docs.github.com/en/rest/git/tags#create-a-tag-object and
        https://docs.github.com/en/rest/git/refs#create-a-reference"""
        try:
            return self._client.rest("POST", path, body=body).data
        except NotFound as error:
            # What GitHub says to a token that may read and not write.
            raise Refused(
                f"GitHub has no {self._path} in which this token may write tags. Give "
                "the token the right to write contents, or check that the repository "
                "is still there.",
                status=error.status,
            ) from None

    # Reading ------------------------------------------------------------------------

    def _read_or_mirror(self, name: str, known: Mapping[str, bytes]) -> GitTag | None:
        try:
            return self._read(name, known)
        except NeedsMirror:
            return self._git.read_tag(name)

    def _read(self, name: str, known: Mapping[str, bytes]) -> GitTag | None:
        """The tag; of an object that is `known` only the ref is asked for. Raises
        NeedsMirror for one that cannot be proven."""
        refs = fetch_refs(self._client, self._path, "tags", beginning=name)
        if name not in refs:
            return None
        object_id, is_tag = refs[name]
        if not is_tag:
            return GitTag(name, object_id, None, object_id)
        body = known.get(object_id) or self._body_of(object_id)
        tag = parse_tag_object(object_id, body)
        if tag.target_type is ObjectType.TAG:
            raise NeedsMirror("A tag of a tag is followed over Git.")
        is_commit = tag.target_type is ObjectType.COMMIT
        return GitTag(name, object_id, tag, tag.target_id if is_commit else None)

    def _body_of(self, object_id: str) -> bytes:
        """A tag object's bytes, proven. Raises NeedsMirror where they cannot be."""
        memory = Memory()
        RestObjects(self._client, self._path, memory).fetch_tag(object_id)
        if object_id not in memory:
            raise NeedsMirror("GitHub's API does not tell this tag exactly.")
        return memory.bodies[object_id][1]


def _tag_fields(order: TagOrder) -> dict[str, Any]:
    """The message with the line feed at its end that Git writes."""
    return {
        "tag": order.name,
        "message": f"{order.message}\n",
        "object": order.commit_id,
        "type": ObjectType.COMMIT.value,
        "tagger": {
            "name": order.tagger.name,
            "email": order.tagger.email,
            "date": order.at.local.isoformat(),
        },
    }


def _candidates(order: TagOrder) -> dict[str, bytes]:
    """What GitHub may make of an order, by id: the object that Git would make, or one
    whose message ends otherwise, or whose date is in UTC."""
    ours = format_tag_object(order)
    zone = ours.partition(b"\n\n")[0].rpartition(b" ")[2].decode("ascii")
    who = order.tagger
    signer = Signer(who.name, who.email, order.at.seconds, (zone, "+0000"))
    others = tag_bodies(
        order.commit_id, ObjectType.COMMIT, order.name, signer, order.message
    )
    return {tag_object_id(body): body for body in (ours, *others)}


def _made_id(data: Any, order: TagOrder) -> str:
    """The id of the object that GitHub made. Raises BadPayload if it is one of another
    name or commit: no ref may lead to it."""
    told = as_object(data, "a tag")
    target = as_object(told.get("object"), "a tag")
    if told.get("tag") != order.name or target.get("sha") != order.commit_id:
        raise BadPayload("GitHub made another tag than Muster asked for. Try again.")
    return parse_id(told.get("sha"))
