"""Merge requests of the GitLab test server, between branches of one project.
https://docs.gitlab.com/api/merge_requests/"""

from __future__ import annotations

from typing import Any

from tests.providers import gitlab_answers as answers
from tests.providers.api_requests import Request
from tests.providers.gitlab_state import MergeRequest, Owner, Project

Json = dict[str, Any]
TWICE = "Another open merge request already exists for this source branch"
SAME = "You can't use same project/branch for source and target"


def matching(rows: list[MergeRequest], request: Request) -> list[MergeRequest]:
    """Those a list asks for, newest first."""
    asked = request.query
    return [
        row
        for row in rows[::-1]
        if asked.get("state", "all") in {"all", row.state}
        and asked.get("source_branch", row.source) == row.source
        and asked.get("target_branch", row.target) == row.target
    ]


def refusal_of(
    project: Project, rows: list[MergeRequest], given: Json
) -> tuple[int, Json] | None:
    """Status and body of the answer to one that cannot be made."""
    for name in ("source_branch", "target_branch", "title"):
        if name not in given:
            return 400, {"error": f"{name} is missing"}
    source, target = given["source_branch"], given["target_branch"]
    if source == target:
        return 422, {"message": [SAME]}
    branches = dict(answers.refs_of(project.bare, "refs/heads/"))
    for field, branch in (("source_branch", source), ("target_branch", target)):
        if branch not in branches:
            return 400, {"message": {field: ["does not exist"]}}
    if not given["title"].strip():
        return 400, {"message": {"title": ["can't be blank"]}}
    for row in rows:
        if (row.source, row.target, row.state) == (source, target, "opened"):
            return 409, {"message": [f"{TWICE}: !{row.iid}"]}
    return None


def shown(url: str, project: Project, author: Owner, row: MergeRequest) -> Json:
    """As lists and the answer to its making show it."""
    address = f"{url}/{project.path}"
    branches = dict(answers.refs_of(project.bare, "refs/heads/"))
    user = {"id": author.id, "username": author.path, "name": author.path.title()}
    return {
        "id": row.id,
        "iid": row.iid,
        "project_id": project.id,
        "title": row.title,
        "description": row.description,
        "state": row.state,
        "created_at": "2026-01-01T10:00:00.000Z",
        "updated_at": "2026-01-01T10:00:00.000Z",
        "merged_at": None,
        "closed_at": None,
        "target_branch": row.target,
        "source_branch": row.source,
        "author": {**user, "state": "active", "web_url": f"{url}/{author.path}"},
        "assignees": [],
        "reviewers": [],
        "source_project_id": project.id,
        "target_project_id": project.id,
        "labels": [],
        "draft": row.title.startswith("Draft:"),
        "merge_status": "checking",
        "detailed_merge_status": "checking",
        "sha": branches.get(row.source),
        "merge_commit_sha": None,
        "web_url": f"{address}/-/merge_requests/{row.iid}",
        "has_conflicts": False,
    }
