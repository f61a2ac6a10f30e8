"""From the bytes of `git ls-remote --symref` to a Listing."""

from __future__ import annotations

import io
import re

from indexer.core.snapshot import ref_text
from indexer.providers.base import Listing
from indexer.providers.errors import BadPayload

ID = re.compile(rb"[0-9a-f]{40}|[0-9a-f]{64}")
TAGS, HEADS = b"refs/tags/", b"refs/heads/"


def parse_listing(data: bytes) -> Listing:
    """Refs by name and id. Other refs than tags, branches and HEAD are passed over;
    a line that is none of git's raises BadPayload."""
    tags: dict[str, str] = {}
    raw_tags: dict[str, bytes] = {}
    peeled: dict[str, str] = {}
    branches: dict[str, str] = {}
    default_branch = head = ""
    if data and not data.endswith(b"\n"):
        raise BadPayload("The remote's list of refs ends in the middle of a line.")
    for line in io.BytesIO(data):  # one at a time: there may be a million
        left, _, ref = line.rstrip(b"\n").partition(b"\t")
        if left.startswith(b"ref: "):
            if ref == b"HEAD" and left.startswith(b"ref: " + HEADS):
                default_branch = ref_text(left[5 + len(HEADS) :])
            continue
        if not ref or not ID.fullmatch(left):
            raise BadPayload("The remote's list of refs has a line that is no ref.")
        object_id = left.decode("ascii")
        if ref.startswith(TAGS):
            if ref.endswith(b"^{}"):
                peeled[ref_text(ref[10:-3])] = object_id
            else:
                name = ref_text(ref[10:])
                tags[name] = object_id
                raw_tags[name] = ref[10:]
        elif ref.startswith(HEADS):
            branches[ref_text(ref[11:])] = object_id
        elif ref == b"HEAD":
            head = object_id
    return Listing(
        tags=tags,
        branches=branches,
        default_branch=default_branch,
        head=head,
        raw_tags=raw_tags,
        peeled=peeled,
    )
