"""GraphQL queries to GitHub as text, and what their answers say of refs. No I/O.

Values go into a query as variables, or as hex ids that were checked, or as JSON
strings. https://docs.github.com/en/graphql/reference"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from indexer.providers.base import Listing, RemoteRepository
from indexer.providers.errors import BadPayload, NotFound, ProviderError
from indexer.providers.github.client import segment
from indexer.providers.objects import NeedsMirror

FIRST = 100  # entries of a connection in one answer, GitHub's most
BATCH = 25  # repositories whose refs one query asks for
MAX_PARENTS = 10  # of a commit, as far as we ask
ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
MANGLED = "\N{REPLACEMENT CHARACTER}"

REFS = f"""
fragment Refs on Repository {{
  databaseId
  defaultBranchRef {{ name target {{ oid }} }}
  tags: refs(refPrefix: "refs/tags/", first: {FIRST}) {{
    totalCount
    nodes {{
      name
      target {{ __typename oid ... on Tag {{ target {{ __typename oid }} }} }}
    }}
  }}
}}"""
BRANCHES = f"""
  branches: refs(refPrefix: "refs/heads/", first: {FIRST}) {{
    totalCount
    nodes {{ name target {{ __typename oid }} }}
  }}"""
ALL_REFS = f"\nfragment All on Repository {{\n  ...Refs {BRANCHES}\n}}"
SIGNER = "{ name email date }"
COMMIT = f"""
fragment Commit on Commit {{
  message
  author {SIGNER}
  committer {SIGNER}
  parents(first: {MAX_PARENTS}) {{ totalCount nodes {{ oid }} }}
  signature {{ payload signature }}
  tree {{ oid }}
}}"""
# `tagMessage`: a commit's message is never null, and one answer has one type by name.
TAG = f"""
fragment Tag on Tag {{ name tagMessage: message tagger {SIGNER} }}"""
BLOB = """
fragment Blob on GitObject {
  __typename
  oid
  ... on Blob { byteSize isTruncated text }
}"""
LEVELS_OF_TAGS = 2  # a tag, and a tag of a tag


@dataclass(frozen=True, slots=True)
class PartOfListing:
    """A listing as one query tells it. What is not whole is to be read by
    `refs.fetch_refs`, and has at least so many tags or branches."""

    listing: Listing
    repository_id: str
    tags: int
    branches: int
    has_all_tags: bool


# Queries -----------------------------------------------------------------------------


def listing_query(levels: int) -> str:
    """A repository's refs ($owner, $name), the commit of its head and so many levels
    of its tree (0: none)."""
    wanted = "...Commit ...TreeOf" if levels else "...Commit"
    head = f"defaultBranchRef {{ target {{ __typename oid {wanted} }} }}"
    return _with_fragments(_query(f"...Refs {BRANCHES}\n    {head}"), levels)


def listings_query(
    repositories: Sequence[RemoteRepository],
) -> tuple[str, dict[str, str]]:
    """The refs of several repositories (at most BATCH), and the query's variables.
    Raises AddressRefused for a name that is none."""
    variables: dict[str, str] = {}
    parts = []
    for n, repository in enumerate(repositories):
        owner, _, name = repository.path.partition("/")
        variables[f"o{n}"] = segment(owner)
        variables[f"n{n}"] = segment(name)
        parts.append(f"  r{n}: repository(owner: $o{n}, name: $n{n}) {{ ...All }}")
    declared = ", ".join(f"${key}: String!" for key in variables)
    inside = "\n".join(parts)
    return f"query({declared}) {{\n{inside}\n}}{ALL_REFS}{REFS}", variables


def objects_query(
    *,
    tags: Iterable[str] = (),
    others: Iterable[str] = (),
    commits: Iterable[str] = (),
    trees: Iterable[str] = (),
    blobs: Iterable[str] = (),
    files: Iterable[tuple[str, str]] = (),
    levels: int = 1,
    raw_names: bool = False,
) -> str:
    """Objects of a repository ($owner, $name) by id: `tags` with the commits that they
    lead to and so many levels of those commits' trees, `others` (tags) without;
    commits and trees with so many levels; blobs with their text. Each comes under
    `alias(id)`. `files` are paths at what a tag leads to; they come as `f<number>`.
    Raw names are for those that are not UTF-8 (an old server has none)."""
    tree = f"__typename oid ... on Tree {_entries(levels, raw_names)}"
    asked = (
        (tags, "...Chain"),
        (others, "__typename oid ... on Tag { ...Tag target { __typename oid } }"),
        (commits, "__typename oid ...Commit ...TreeOf"),
        (trees, tree),
        (blobs, "...Blob"),
    )
    lines = [
        f'{alias(key)}: object(oid: "{_checked(key)}") {{ {wanted} }}'
        for keys, wanted in asked
        for key in keys
    ]
    for number, (key, path) in enumerate(files):
        place = json.dumps(f"{_checked(key)}:{path}")
        lines.append(f"f{number}: object(expression: {place}) {{ ...Blob }}")
    return _with_fragments(_query("\n    ".join(lines)), levels)


def alias(object_id: str) -> str:
    """The name under which an answer has the object."""
    return f"a{object_id}"


def _query(about: str) -> str:
    return (
        "query($owner: String!, $name: String!) {\n"
        f"  repository(owner: $owner, name: $name) {{\n    {about}\n  }}\n}}"
    )


def _with_fragments(query: str, levels: int) -> str:
    """The query, with those fragments that it uses: GitHub refuses others."""
    inner = "__typename oid ...Commit ...TreeOf ... on Blob { byteSize }"
    chain = inner
    for _ in range(LEVELS_OF_TAGS):
        chain = f"{inner} ... on Tag {{ ...Tag target {{ {chain} }} }}"
    known = {
        "Refs": REFS,
        "Chain": f"\nfragment Chain on GitObject {{ {chain} }}",
        "Tag": TAG,
        "Commit": COMMIT,
        "TreeOf": f"\nfragment TreeOf on Commit {{ tree {_entries(levels)} }}",
        "Blob": BLOB,
    }
    for name, text in known.items():
        if f"...{name} " in query:
            query += text
    return query


def _checked(object_id: str) -> str:
    if not ID.fullmatch(object_id):
        raise ValueError("not an object id")
    return object_id


def _entries(levels: int, raw_names: bool = False) -> str:
    below = ""
    if levels > 1:
        below = f" object {{ ... on Tree {_entries(levels - 1, raw_names)} }}"
    name = "nameRaw" if raw_names else "name"
    return f"{{ oid entries {{ mode {name} oid{below} }} }}"


# Answers -----------------------------------------------------------------------------


def repository_of(data: Any, name: str = "repository") -> Mapping[str, Any]:
    """The repository of an answer ({"data": …}). Raises NotFound if it is null."""
    found = as_object(as_object(data, "data").get("data"), "data")
    if name not in found:
        raise odd("a repository")
    if found[name] is None:
        raise NotFound(
            "GitHub has no such repository, or hides it from this token. Check its "
            "name and the token's rights."
        )
    return as_object(found[name], "a repository")


def parse_listings(
    repositories: Sequence[RemoteRepository], data: Any
) -> dict[str, PartOfListing | ProviderError]:
    """What the answer to `listings_query` says, by repository id: a listing, or why
    there is none. One that moved and one of another number is NotFound."""
    found: dict[str, PartOfListing | ProviderError] = {}
    for number, repository in enumerate(repositories):
        try:
            part = _parse_either(dict(repository_of(data, f"r{number}")))
            refuse_another(part.repository_id, repository.id)
            found[repository.id] = part
        except ProviderError as error:
            found[repository.id] = error
        except NeedsMirror as error:
            found[repository.id] = BadPayload(error.reason)
    return found


def _parse_either(repository: dict[str, Any]) -> PartOfListing:
    """The refs of a repository in an answer, without branches if the API cannot tell
    them."""
    try:
        return parse_listing(repository)
    except NeedsMirror:
        repository.pop("branches", None)
        return parse_listing(repository)


def parse_listing(repository: Mapping[str, Any]) -> PartOfListing:
    """The refs of a repository in an answer. Raises NeedsMirror for names and ids that
    the API cannot tell."""
    tags, peeled, count, all_tags = _refs(repository.get("tags"))
    branches, _, branch_count, all_branches = (
        _refs(repository["branches"])
        if "branches" in repository
        else ({}, {}, 0, False)
    )
    default_branch = head = ""
    if repository.get("defaultBranchRef") is not None:
        default = as_object(repository["defaultBranchRef"], "a default branch")
        default_branch = ref_name(default.get("name"))
        target = as_object(default.get("target"), "a default branch")
        head = parse_id(target.get("oid"))
    listing = Listing(
        tags=tags,
        branches=branches,
        default_branch=default_branch,
        head=head,
        raw_tags={name: name.encode() for name in tags},
        peeled=peeled,
        has_all_branches=all_branches,
    )
    return PartOfListing(
        listing,
        str(repository.get("databaseId", "")),
        count,
        branch_count,
        all_tags,
    )


def refuse_another(found: str, wanted: str) -> None:
    """Raise NotFound if a name leads to another repository by now."""
    if wanted and found != wanted:
        raise NotFound(
            "Another repository has this name now. Muster looks for the one that was "
            "here when it next lists what its owner has."
        )


def _refs(data: Any) -> tuple[dict[str, str], dict[str, str], int, bool]:
    """Refs and what annotated ones lead to, how many there are, and whether these are
    all. A ref whose object the server cannot tell is as one that is not told."""
    found = as_object(data, "refs")
    nodes, total = found.get("nodes"), found.get("totalCount")
    if not isinstance(nodes, list) or type(total) is not int:
        raise odd("refs")
    ids: dict[str, str] = {}
    peeled: dict[str, str] = {}
    for node in nodes:
        ref = as_object(node, "a ref")
        name = ref_name(ref.get("name"))
        if ref.get("target") is None:
            continue
        target = as_object(ref["target"], "a ref")
        ids[name] = parse_id(target.get("oid"))
        if target.get("__typename") == "Tag":
            peeled[name] = _inner_id(target.get("target"))
    return ids, peeled, total, len(ids) >= total


def _inner_id(target: Any) -> str:
    """What a tag tags, unless it is another tag: that one's object is not asked for."""
    if not isinstance(target, dict) or target.get("__typename") == "Tag":
        return ""
    return parse_id(target.get("oid"))


def ref_name(name: object) -> str:
    """A ref's name. Raises NeedsMirror for one that is not UTF-8: JSON cannot tell
    such names apart."""
    if not isinstance(name, str) or not name or "\0" in name:
        raise odd("a ref")
    try:
        name.encode()
    except UnicodeEncodeError:
        name = MANGLED
    if MANGLED in name:
        raise NeedsMirror(
            "The names of some refs are not UTF-8, which GitHub's API cannot tell."
        )
    return name


def parse_id(value: object) -> str:
    """An object's id. Raises NeedsMirror for one of SHA-256."""
    if not isinstance(value, str) or not ID.fullmatch(value):
        raise odd("an object's id")
    if len(value) == 64:
        raise NeedsMirror(
            "The repository uses SHA-256, which GitHub's API cannot tell."
        )
    return value


def as_object(value: Any, what: str) -> dict[str, Any]:
    """A JSON object. Raises BadPayload."""
    if not isinstance(value, dict):
        raise odd(what)
    return value


def odd(what: str) -> BadPayload:
    return BadPayload(f"GitHub told {what} in a form that makes no sense. Try later.")
