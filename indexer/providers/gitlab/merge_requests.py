"""Merge requests between branches of one repository at GitLab."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from indexer.providers.errors import BadPayload
from indexer.providers.gitlab.client import GitLabClient
from indexer.providers.gitlab.payloads import fields
from indexer.providers.gitlab.refs import project_path
from indexer.providers.merging import found_or_opened, web_address

# Of GitLab's refusals, that after which one may be there: it is open already.
MAY_EXIST = frozenset({409})
WHAT = "a merge request"


def open_merge_request(
    client: GitLabClient,
    project: str,
    *,
    branch: str,
    base: str,
    title: str,
    body: str,
) -> str:
    """The web address of the open merge request from `branch` into `base` of a
    repository (its number or path): the one that is there, or a new one. Raises
    Refused with GitLab's reason, and Unsettled where it is not known whether one was
    opened: to be asked again."""
    url = f"{project_path(project)}/merge_requests"
    asked = {
        "source_branch": branch,
        "target_branch": base,
        "title": title,
        "description": body,
    }
    return found_or_opened(
        lambda: _find(client, url, branch, base),
        # https://docs.gitlab.com/api/merge_requests/#create-mr
        lambda: _address(client.rest("POST", url, body=asked).data),
        what="the merge request",
        may_exist=MAY_EXIST,
    )


def _find(client: GitLabClient, url: str, branch: str, base: str) -> str:
    """The web address of the one that is open; "" if there is none.
    https://docs.gitlab.com/api/merge_requests/#list-project-merge-requests"""
    asked = {"state": "opened", "source_branch": branch, "target_branch": base}
    for item in client.pages(url, asked):
        found = fields(item, WHAT)
        sides = found.get("source_branch"), found.get("target_branch")
        is_here = found.get("source_project_id") == found.get("target_project_id")
        if is_here and (*sides, found.get("state")) == (branch, base, "opened"):
            return _address(found)
    return ""


def _address(said: Any) -> str:
    found: Mapping[str, Any] = fields(said, WHAT)
    address = web_address(found.get("web_url"))
    if not address:
        raise BadPayload(
            "GitLab described a merge request in a way that Muster does not know."
        )
    return address
