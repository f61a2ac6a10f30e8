"""Links to a repository's pages at its host. "" where we know of no such page.

`#`, `?`, `%` and the rest of a tag's name are quoted: an unquoted `#` would lead to
another tag's page."""

from __future__ import annotations

from enum import StrEnum
from urllib.parse import quote


class HostKind(StrEnum):
    """The software a host runs, as far as its name tells."""

    GITHUB = "github"
    GITLAB = "gitlab"
    GITEA = "gitea"
    BITBUCKET = "bitbucket"
    OTHER = "git"


COMMIT = {
    HostKind.GITHUB: "/commit/",
    HostKind.GITLAB: "/-/commit/",
    HostKind.GITEA: "/commit/",
    HostKind.BITBUCKET: "/commits/",
}
TAG = {
    HostKind.GITHUB: "/releases/tag/",
    HostKind.GITLAB: "/-/tags/",
    HostKind.GITEA: "/src/tag/",
    HostKind.BITBUCKET: "/src/",
}
FILE = {
    HostKind.GITHUB: "/blob/",
    HostKind.GITLAB: "/-/blob/",
    HostKind.GITEA: "/src/commit/",
    HostKind.BITBUCKET: "/src/",
}


def host_kind(host: str) -> HostKind:
    """What runs at `host`, by its name: "gitlab.example.org" is a GitLab."""
    labels = host.lower().split(".")
    if "github" in labels:
        return HostKind.GITHUB
    if any(label.startswith("gitlab") for label in labels):
        return HostKind.GITLAB
    if {"codeberg", "gitea", "forgejo"} & set(labels):
        return HostKind.GITEA
    if "bitbucket" in labels:
        return HostKind.BITBUCKET
    return HostKind.OTHER


def commit_url(web_url: str, kind: str, commit_id: str) -> str:
    """The page of a commit."""
    return _page(web_url, COMMIT, kind, commit_id)


def tag_url(web_url: str, kind: str, tag: str) -> str:
    """The page of a tag (`tag` without refs/tags/)."""
    return _page(web_url, TAG, kind, quote(tag, safe="/"))


def file_url(web_url: str, kind: str, commit_id: str, path: str) -> str:
    """The page of a file at a commit."""
    return _page(web_url, FILE, kind, f"{commit_id}/{quote(path, safe='/')}")


def _page(web_url: str, pages: dict[HostKind, str], kind: str, rest: str) -> str:
    if not web_url.startswith(("https://", "http://")) or kind not in pages:
        return ""
    return web_url.rstrip("/") + pages[HostKind(kind)] + rest
