"""A repository's refs over REST: for servers that allow no Git over HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from indexer.providers.base import Listing, RemoteRepository
from indexer.providers.gitlab import payloads
from indexer.providers.gitlab.client import GitLabClient, quoted
from indexer.providers.gitlab.payloads import TagInfo


class RestListing(Listing):
    """A listing that came over REST. Its fingerprint is another than that of the same
    refs over Git: when Git is open again, the repository is read again, and with it
    the taggers that REST does not tell."""

    __slots__ = ()

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(f"rest\0{super().fingerprint}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Refs:
    """The refs, and what GitLab says of each tag, by the id of its target."""

    listing: Listing
    tags: Mapping[str, TagInfo]


def clone_url(client: GitLabClient, path: str) -> str:
    """Where Git reads the repository at a path: on the same server, whatever its
    answers say."""
    return f"{client.web_url}/{quote(path, safe='/')}.git"


def project_path(project: str) -> str:
    """`/projects/…` of a number or a path."""
    return f"/projects/{quoted(project)}"


def fetch_refs(
    client: GitLabClient, project: str, repository: RemoteRepository | None = None
) -> Refs:
    """One request for the repository, unless it is known already, and one for each
    100 branches and 100 tags."""
    path = project_path(project)
    if repository is None:
        repository = payloads.parse_repository(client.rest("GET", path).data)
    branches: dict[str, str] = {}
    tags: dict[str, TagInfo] = {}
    if not repository.is_empty:
        branches = dict(
            payloads.parse_branch(item)
            for item in client.pages(f"{path}/repository/branches", key="name")
        )
        listed = client.pages(
            f"{path}/repository/tags", {"order_by": "name", "sort": "asc"}, key="name"
        )
        tags = {tag.name: tag for tag in map(payloads.parse_tag, listed)}
    # A default branch that does not exist is none, as Git sees it too.
    default = repository.default_branch if repository.default_branch in branches else ""
    listing = RestListing(
        tags={name: tag.target for name, tag in tags.items()},
        branches=branches,
        default_branch=default,
        head=branches.get(default, ""),
        raw_tags={name: name.encode() for name in tags},
        peeled={
            name: tag.commit.id if tag.commit else tag.target
            for name, tag in tags.items()
            if tag.is_annotated
        },
    )
    return Refs(listing, {tag.target: tag for tag in tags.values()})
