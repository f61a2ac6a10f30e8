"""All tags or branches of a repository over REST: more than a query tells at once, or
a server without GraphQL."""

from __future__ import annotations

import re
from typing import Any, Literal

from indexer.providers.base import Listing
from indexer.providers.errors import BadPayload, Refused, Unavailable
from indexer.providers.github.client import GitHubClient, quoted, repository_path
from indexer.providers.github.queries import (
    as_object,
    odd,
    parse_id,
    ref_name,
    refuse_another,
)

MAX_PAGES = 1_000
NEXT = re.compile(r'\brel="?next"?')
EMPTY = 409  # what GitHub answers for the refs of an empty repository

# Name -> the object's id, and whether that is a tag object.
Refs = dict[str, tuple[str, bool]]


def fetch_refs(
    client: GitHubClient,
    path: str,
    kind: Literal["tags", "heads"],
    *,
    at_least: int = 0,
    beginning: str = "",
) -> Refs:
    """Every ref under refs/tags/ or refs/heads/ of owner/name (whose name begins so);
    whole, or an error.
    GitHub puts all into one answer; a server that makes pages of it is followed.
    `at_least`: so many there were a moment ago. Raises NeedsMirror for names that the
    API cannot tell.
    https://docs.github.com/en/rest/git/refs#list-matching-references"""
    address = f"{repository_path(path)}/git/matching-refs/{kind}/"
    address += quoted(beginning)
    refs: Refs = {}
    for number in range(1, MAX_PAGES + 1):
        page = {"page": number} if number > 1 else {}
        try:
            answer = client.rest("GET", address, parameters=page)
        except Refused as error:
            if error.status == EMPTY and number == 1 and not at_least:
                return {}
            raise
        if not isinstance(answer.data, list):
            raise odd("refs")
        before = len(refs)
        for item in answer.data:
            name, told = _parse_ref(item, f"refs/{kind}/")
            refs[name] = told
        if not NEXT.search(answer.headers.get("link", "")):
            break
        if len(refs) == before:
            raise BadPayload("GitHub sent the same page of a list again.")
    else:
        raise BadPayload(f"GitHub sent more than {MAX_PAGES} pages of one list.")
    if len(refs) < at_least:
        raise Unavailable(
            f"GitHub spoke of {at_least} refs and listed {len(refs)}. Muster tries "
            "again later."
        )
    return refs


def fetch_listing_by_rest(
    client: GitHubClient, path: str, *, repository_id: str = ""
) -> Listing:
    """The listing in three requests, without GraphQL. Raises NotFound if it is not the
    repository of this id."""
    data = as_object(client.rest("GET", repository_path(path)).data, "a repository")
    refuse_another(str(data.get("id", "")), repository_id)
    default = data.get("default_branch")
    if default is not None and not isinstance(default, str):
        raise odd("a repository")
    branches = {
        name: object_id
        for name, (object_id, _) in fetch_refs(client, path, "heads").items()
    }
    tags = fetch_refs(client, path, "tags")
    has_head = bool(default) and default in branches
    return Listing(
        tags={name: object_id for name, (object_id, _) in tags.items()},
        branches=branches,
        default_branch=default if default and has_head else "",
        head=branches[default] if default and has_head else "",
        raw_tags={name: name.encode() for name in tags},
        peeled={name: "" for name, (_, is_tag) in tags.items() if is_tag},
    )


def _parse_ref(item: Any, prefix: str) -> tuple[str, tuple[str, bool]]:
    found = as_object(item, "a ref")
    target = as_object(found.get("object"), "a ref")
    ref = found.get("ref")
    if not isinstance(ref, str) or not ref.startswith(prefix):
        raise odd("a ref")
    return ref_name(ref.removeprefix(prefix)), (
        parse_id(target.get("sha")),
        target.get("type") == "tag",
    )
