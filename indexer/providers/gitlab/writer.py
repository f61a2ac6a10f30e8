"""Tags written over GitLab's API, in one request.

GitLab takes a name, a commit and a message. The tagger and the date are its own: the
user of the token and the server's clock. So what is there is read back, and a tag is
taken for the one that was asked for by what was asked and by who made it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from indexer.core.git_objects import parse_tag_object
from indexer.core.snapshot import GitTag
from indexer.providers.base import Listing, Remote
from indexer.providers.errors import (
    AccessDenied,
    AddressRefused,
    BadPayload,
    NotFound,
    ProviderError,
)
from indexer.providers.git.writer import GitTagWriter
from indexer.providers.gitlab.assembly import prove_tag, unproven_tag
from indexer.providers.gitlab.client import GitLabClient
from indexer.providers.gitlab.payloads import (
    Signer,
    TagInfo,
    parse_people,
    parse_tag,
)
from indexer.providers.gitlab.reader import UNTOLD, GitLabProvider
from indexer.providers.gitlab.refs import project_path
from indexer.providers.writing import TagOrder, check_name, checked, settle

# What Git says where it is off, closed to this token, or elsewhere by now.
NO_GIT = (AccessDenied, AddressRefused, BadPayload, NotFound)


class GitLabTagWriter:
    """Writes tags of one repository as the user of the client's token. `remote` is its
    address for Git."""

    def __init__(self, remote: Remote, client: GitLabClient) -> None:
        self._remote = remote
        self._client = client
        self._tags = (
            f"{project_path(remote.provider_id or remote.path)}/repository/tags"
        )
        self._git = GitTagWriter(remote)

    def refs(self) -> Listing:
        """The refs as they are now: one `ls-remote`, or a few requests."""
        return GitLabProvider(self._remote, self._client).fetch_listing()

    def read_tag(self, name: str) -> GitTag | None:
        """What is there under this name now; None if there is nothing. Over Git, and
        where that is closed over REST, which may not tell the tagger."""
        check_name(name)
        try:
            return self._git.read_tag(name)
        except NO_GIT:
            info = self._ask(name)
            return None if info is None else self._told(info)

    def write_tag(self, order: TagOrder) -> GitTag:
        """Write the tag, and return what GitLab made: its tagger and date are not
        those of the order. See writing.TagWriter."""
        order = checked(order)
        try:
            info = self._post(order)
        except ProviderError as error:
            return settle(
                order, error, self.read_tag, lambda there: self._is_ours(there, order)
            )
        return self._made(info)

    def _post(self, order: TagOrder) -> TagInfo:
        """https://docs.gitlab.com/api/tags/#create-a-new-tag"""
        body = {
            "tag_name": order.name,
            "ref": order.commit_id,
            "message": order.message,
        }
        info = parse_tag(self._client.rest("POST", self._tags, body=body).data)
        made = info.name, info.commit.id if info.commit else "", info.is_annotated
        if made != (order.name, order.commit_id, True):
            raise BadPayload("GitLab made another tag than Muster asked for.")
        return info

    def _made(self, info: TagInfo) -> GitTag:
        """The tag that was made, as Git holds it; else as far as REST tells it."""
        commit_id = info.commit.id if info.commit else ""
        try:
            return self._git.read_object(info.name, info.target, commit_id)
        except ProviderError:
            # It is written, whatever happens now: what is known of it is the answer.
            return self._told(info)

    # Reading ------------------------------------------------------------------------

    def _ask(self, name: str) -> TagInfo | None:
        """The tag by REST. Those whose names contain it are listed with it, which
        tells a tag that is not there from a repository that is not.
        https://docs.gitlab.com/api/tags/#list-all-project-repository-tags"""
        listed = self._client.pages(self._tags, {"search": f"^{name}"}, key="name")
        return next(
            (info for info in map(parse_tag, listed) if info.name == name), None
        )

    def _told(self, info: TagInfo) -> GitTag:
        """The tag as REST tells it: proven if the user of the token made it, else
        without a tagger."""
        commit_id = info.commit.id if info.commit else None
        if not info.is_annotated:
            return GitTag(info.name, info.target, None, commit_id)
        try:
            people = self._people()
        except ProviderError:
            people = ()
        body = prove_tag(info, people)
        if body is not None:
            tag = parse_tag_object(info.target, body)
        else:
            tag = parse_tag_object(info.target, unproven_tag(info))
            tag = replace(tag, tagged=info.created_at, flaws=(UNTOLD,))
        return GitTag(info.name, info.target, tag, commit_id)

    def _people(self) -> tuple[Signer, ...]:
        return parse_people(self._client.rest("GET", "/user").data)

    def _is_ours(self, there: GitTag, order: TagOrder) -> bool:
        """Whether a tag is the one that was ordered. Who made it is asked for only
        where everything else is the same."""
        tag = there.tag
        if tag is None or tag.tagger is None:
            return False
        found: tuple[Any, ...] = tag.name, there.commit_id, tag.message
        if found != (order.name, order.commit_id, order.message.strip()):
            return False
        tagger = tag.tagger.name, tag.tagger.email
        return tagger in {(who.name, who.email) for who in self._people()}
