"""Writing an annotated tag: what every way of doing it promises.

Git's own "it exists already" decides who was first. The object's id is known before
anything is sent, so that after an answer that was lost the remote is asked what is
there, and the same tag is never written twice nor another one taken for it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from indexer.core.git_objects import (
    TagOrder,
    format_tag_object,
    has_signature,
    parse_tag_object,
    tag_object_id,
    tidied,
)
from indexer.core.plans import LONGEST_REF
from indexer.core.snapshot import LAST_SECOND, GitTag
from indexer.core.tags import parse_tag_name
from indexer.providers.base import Listing
from indexer.providers.errors import (
    BadPayload,
    ProviderError,
    Refused,
    Unavailable,
    Unsettled,
)

__all__ = ["TagExists", "TagOrder", "TagWriter"]

ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# What `git check-ref-format` and `git tag` refuse of names that have only characters of
# GTO's.
NOT_A_REF = re.compile(r"^[-/]|//|\.\.|(?:^|/)\.|\.(?:/|$)|\.lock(?:/|$)")
# Of a provider's refusals, those after which another's tag may be there.
MAY_EXIST = frozenset({0, 400, 409, 422})


class TagExists(Refused):
    """The name is taken by another tag: `there`."""

    def __init__(self, there: GitTag, *, status: int = 0) -> None:
        super().__init__(
            f"The tag {there.ref} exists already{_origin(there)}. Nothing was written. "
            "Look at what is there now, and ask again if it is still wanted.",
            status=status,
        )
        self.there = there


class TagWriter(Protocol):
    """Writes tags of one repository. Raises only `errors.ProviderError`."""

    def read_tag(self, name: str) -> GitTag | None:
        """What is at the remote under this name now, tag object and all, in one
        request or two; None if there is nothing."""
        ...

    def write_tag(self, order: TagOrder) -> GitTag:
        """Write the tag, and return what is there then. The same tag there already (an
        answer was lost, a click came twice) is success. Raises TagExists if the name
        is taken by another, Refused with the remote's reason, and Unsettled where it
        is not known whether the tag was written: to be asked again with the same
        order, never with another name."""
        ...

    def refs(self) -> Listing:
        """The refs as they are now: whether something changed meanwhile."""
        ...


def check_name(name: str) -> None:
    """Raise Refused for a name that is not a tag of GTO's which Git can hold."""
    is_ref = len(name.encode("utf-8", "replace")) <= LONGEST_REF
    if parse_tag_name(name) is None or NOT_A_REF.search(name) or not is_ref:
        shown = "".join(c if c.isprintable() else "\ufffd" for c in name[:60])
        raise Refused(
            f"“{shown}” cannot be the name of a tag that Muster writes. Nothing was "
            "sent."
        )


def checked(order: TagOrder) -> TagOrder:
    """The order as Git writes it. Raises Refused for one that cannot be written, before
    anything is sent."""
    check_name(order.name)
    if not ID.fullmatch(order.commit_id):
        raise Refused("The commit is not given by its whole id. Nothing was sent.")
    order = tidied(order)
    words = (order.tagger.name, order.tagger.email, order.message)
    if not all(map(_is_text, words)):
        raise Refused(
            "The message, the name or the e-mail holds characters that Git cannot "
            "keep. Nothing was sent."
        )
    if not order.tagger.name or not order.tagger.email:
        raise Refused("A tag needs a person with a name and an e-mail. Enter both.")
    if not order.message or has_signature(order.message):
        raise Refused(
            "A tag needs a message, and one that does not look like a signature. "
            "Change the message."
        )
    if not 0 <= order.at.seconds <= LAST_SECOND or abs(order.at.offset) >= 24 * 60:
        raise Refused("The date of the tag is none that Git can keep.")
    return order


def written(order: TagOrder, body: bytes = b"") -> GitTag:
    """The tag of an order, as a crawl reads it; `body` if it became another object
    than the one we make."""
    body = body or format_tag_object(order)
    object_id = tag_object_id(body, len(order.commit_id))
    return GitTag(
        order.name, object_id, parse_tag_object(object_id, body), order.commit_id
    )


def settle(
    order: TagOrder,
    error: ProviderError,
    read: Callable[[str], GitTag | None],
    is_same: Callable[[GitTag], bool],
) -> GitTag:
    """What became of a write that failed with `error`: the tag if it is there all the
    same. Raises TagExists, or the error."""
    may_be_there = isinstance(error, Unavailable | BadPayload) or (
        isinstance(error, Refused) and error.status in MAY_EXIST
    )
    if not may_be_there:
        raise error
    try:
        there = read(order.name)
    except ProviderError as trouble:
        raise Unsettled(
            "It is not known whether the tag was written: the remote could not be "
            f"asked. {trouble.sentence}"
        ) from None
    if there is None:
        raise error
    if is_same(there):
        return there
    raise TagExists(there, status=error.status) from None


def _is_text(value: str) -> bool:
    """Whether UTF-8 can hold it, and a C string."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


def _origin(there: GitTag) -> str:
    """By whom and when a tag was made, as far as it says."""
    if there.tag is None or there.tag.tagger is None:
        return ""
    by = f" (made by {there.tag.tagger.name}"
    if there.tag.tagged is not None:
        by += f", {there.tag.tagged.utc:%Y-%m-%d %H:%M:%S} UTC"
    return by + ")"
