"""A GitLab for tests: REST under /api/v4 and Git over HTTP, stateful, over real bare
repositories. Statuses, bodies and headers are those of docs.gitlab.com and of recorded
gitlab.com answers."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from tests.providers import gitlab_answers as answers
from tests.providers import gitlab_merge_requests as merge_requests
from tests.providers.api_requests import Grant, Refusal, Reply, Request
from tests.providers.api_server import serve
from tests.providers.gitlab_deliveries import DeliveringServer
from tests.providers.gitlab_state import MergeRequest, Owner, Project

MAX_OFFSET = 50_000
MOST_COUNTED = 10_000  # GitLab counts no longer lists


class GitLabServer(DeliveringServer):
    """`server.token` may do everything; see GitLabState for the rest."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._add_routes()

    # Routes -------------------------------------------------------------------------

    def _add_routes(self) -> None:
        project = "/api/v4/projects/{id}"
        group = "/api/v4/groups/{id}"
        for path, handler in (
            ("/api/v4/version", self._version),
            ("/api/v4/user", self._user),
            ("/api/v4/users", self._users),
            ("/api/v4/personal_access_tokens/self", self._self),
            ("/api/v4/users/{id}/projects", self._user_projects),
            (group, self._group),
            (f"{group}/projects", self._group_projects),
            (f"{group}/members/all/{{user}}", self._member),
            (f"{group}/hooks", self._list_hooks),
            (project, self._project),
            (f"{project}/repository/tags", self._tags),
            (f"{project}/repository/branches", self._branches),
            (f"{project}/repository/commits/{{sha}}", self._commit),
            (f"{project}/repository/tree", self._tree),
            (f"{project}/repository/blobs/{{sha}}", self._blob),
            (f"{project}/repository/blobs/{{sha}}/raw", self._raw),
            (f"{project}/hooks", self._list_hooks),
            (f"{project}/merge_requests", self._merge_requests),
        ):
            self.route("GET", path, handler)
        for owner in (group, project):
            self.route("POST", f"{owner}/hooks", self._add_hook)
            self.route("DELETE", f"{owner}/hooks/{{hook}}", self._delete_hook)
        self.route("POST", f"{project}/repository/tags", self._make_tag)
        self.route("POST", f"{project}/merge_requests", self._make_merge_request)

    def _version(self, request: Request) -> Reply:
        return Reply(200, {"version": "18.5.0-ee", "revision": "0123abcd"})

    def _user(self, request: Request) -> Reply:
        return Reply(200, self._user_of(self.owners[_grant(request).account]))

    def _users(self, request: Request) -> Reply:
        wanted = request.query.get("username", "").lower()
        found = [
            self._user_of(owner)
            for owner in self.owners.values()
            if owner.kind == "user" and owner.path.lower() == wanted
        ]
        return self._page(request, found)

    def _self(self, request: Request) -> Reply:
        grant = _grant(request)
        if not self.tells_tokens:
            return Reply(404, {"message": "404 Not Found"})
        expires = grant.expires_at.date().isoformat() if grant.expires_at else None
        return Reply(
            200,
            {
                "id": 4,
                "name": "Test",
                "revoked": False,
                "created_at": "2026-01-01T10:00:00.000Z",
                "scopes": sorted(grant.scopes),
                "user_id": self.owners[grant.account].id,
                "last_used_at": None,
                "active": True,
                "expires_at": expires,
            },
        )

    def _group(self, request: Request) -> Reply:
        owner = self._owner(request, "group")
        return Reply(
            200,
            {
                "id": owner.id,
                "name": owner.path.rpartition("/")[2],
                "path": owner.path.rpartition("/")[2],
                "full_path": owner.path,
                "full_name": owner.path.replace("/", " / "),
                "description": "",
                "visibility": "private",
                "parent_id": None,
                "web_url": f"{self.url}/groups/{owner.path}",
            },
        )

    def _group_projects(self, request: Request) -> Reply:
        owner = self._owner(request, "group")
        deep = request.query.get("include_subgroups") == "true"
        shared = request.query.get("with_shared", "true") == "true"
        found = [
            project
            for project in self.projects.values()
            if project.path.rpartition("/")[0] == owner.path
            or (deep and project.path.startswith(f"{owner.path}/"))
            or (shared and owner.path in project.shared_with)
        ]
        return self._project_page(request, found, keyset=False)

    def _user_projects(self, request: Request) -> Reply:
        owner = self._owner(request, "user")
        found = [
            project
            for project in self.projects.values()
            if project.path.rpartition("/")[0] == owner.path
        ]
        return self._project_page(request, found, keyset=True)

    def _project_page(
        self, request: Request, found: Sequence[Project], *, keyset: bool
    ) -> Reply:
        query = request.query
        found = [p for p in found if self.sees(request.grant, p)]
        if "archived" in query:
            found = [p for p in found if p.archived == (query["archived"] == "true")]
        key = query.get("order_by", "created_at")
        down = query.get("sort", "desc") == "desc"
        found.sort(
            key=lambda p: (p.activity, p.id) if key == "last_activity_at" else (p.id,),
            reverse=down,
        )
        if keyset and query.get("pagination") == "keyset":
            after = int(query.get("id_after", "0"))
            found = [p for p in found if p.id > after]
            size = int(query.get("per_page", "20"))
            reply = Reply(200, [self._project_of(p) for p in found[:size]])
            if len(found) > size:
                more = {**query, "id_after": str(found[size - 1].id)}
                reply.headers["Link"] = self._link(request, more)
            return reply
        return self._page(request, [self._project_of(p) for p in found])

    def _member(self, request: Request) -> Reply:
        owner = self._owner(request, "group")
        user = int(request["user"])
        parts = owner.path.split("/")
        paths = ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
        level = max(
            (self.owners[p].members.get(user, 0) for p in paths if p in self.owners),
            default=0,
        )
        if not level:
            return Reply(404, {"message": "404 Not found"})
        return Reply(200, {"id": user, "state": "active", "access_level": level})

    def _project(self, request: Request) -> Reply:
        return Reply(200, self._project_of(self._found(request)))

    def _tags(self, request: Request) -> Reply:
        bare = self._found(request).bare
        tags = answers.tags_of(bare, created_at=self.has_created_at)
        search = request.query.get("search", "")
        if search.startswith("^"):
            tags = [tag for tag in tags if tag["name"].startswith(search[1:])]
        if request.query.get("sort", "desc") == "desc":
            tags.reverse()
        return self._page(request, tags)

    def _make_tag(self, request: Request) -> Reply:
        """https://docs.gitlab.com/api/tags/#create-a-new-tag"""
        grant, project = _grant(request), self._found(request)
        if project.archived or self.level(grant, project.path) < 30:
            return Reply(403, {"message": "403 Forbidden"})
        given = request.json or {}
        for name in ("tag_name", "ref"):
            if not given.get(name):
                return Reply(400, {"error": f"{name} is missing"})
        name = given["tag_name"]
        if any(fnmatchcase(name, pattern) for pattern in project.protected_tags):
            text = "You are not allowed to create this tag as it is protected."
            return Reply(400, {"message": text})
        user = self.owners[grant.account]
        trouble = answers.make_tag(
            project.bare,
            name,
            given["ref"],
            given.get("message", ""),
            (user.path.title(), f"{user.path}@example.com"),
            self.clock,
        )
        if trouble:
            return Reply(400, {"message": trouble})
        self.touch(project.path, later=True)
        tags = answers.tags_of(project.bare, created_at=self.has_created_at)
        return Reply(201, next(tag for tag in tags if tag["name"] == name))

    def _branches(self, request: Request) -> Reply:
        return self._page(request, answers.branches_of(self._found(request).bare))

    def _commit(self, request: Request) -> Reply:
        bare = self._found(request).bare
        (found,) = answers.read_objects(bare, [f"{request['sha']}^{{commit}}"])
        if found is None:
            return Reply(404, {"message": "404 Commit Not Found"})
        return Reply(200, answers.commit_of(found[0], found[2]))

    def _tree(self, request: Request) -> Reply:
        bare, query = self._found(request).bare, request.query
        listed = answers.tree_of(
            bare,
            query.get("ref", "HEAD"),
            query.get("path", ""),
            recursive=query.get("recursive") == "true",
        )
        if listed is None:
            return Reply(404, {"message": "404 Tree Not Found"})
        if query.get("pagination") != "keyset":
            return self._page(request, listed)
        size = int(query.get("per_page", "20"))
        token = query.get("page_token", "")
        start = int(base64.urlsafe_b64decode(token)) if token else 0
        reply = Reply(200, listed[start : start + size])
        if len(listed) > start + size:
            cursor = base64.urlsafe_b64encode(str(start + size).encode()).decode()
            reply.headers["Link"] = self._link(request, {**query, "page_token": cursor})
        return reply

    def _blob(self, request: Request) -> Reply:
        return Reply(200, answers.blob_of(request["sha"], self._content(request)))

    def _raw(self, request: Request) -> Reply:
        headers = {"Content-Type": "application/octet-stream"}
        return Reply(200, self._content(request), headers)

    def _content(self, request: Request) -> bytes:
        bare = self._found(request).bare
        (found,) = answers.read_objects(bare, [request["sha"]])
        if found is None or found[1] != "blob":
            raise Refusal(Reply(404, {"message": "404 Blob Not Found"}))
        return found[2]

    def _merge_requests(self, request: Request) -> Reply:
        project = self._found(request)
        rows = [row for row in self.merge_requests if row.project == project.id]
        found = merge_requests.matching(rows, request)
        return self._page(request, [self._shown(project, row) for row in found])

    def _make_merge_request(self, request: Request) -> Reply:
        grant, project = _grant(request), self._found(request)
        if project.archived or self.level(grant, project.path) < 30:
            return Reply(403, {"message": "403 Forbidden"})
        rows = [row for row in self.merge_requests if row.project == project.id]
        given = request.json or {}
        if refused := merge_requests.refusal_of(project, rows, given):
            return Reply(*refused)
        row = MergeRequest(
            self._number(),
            len(rows) + 1,
            project.id,
            grant.account,
            given["title"],
            given.get("description") or "",
            given["source_branch"],
            given["target_branch"],
        )
        self.merge_requests.append(row)
        return Reply(201, self._shown(project, row))

    def _shown(self, project: Project, row: MergeRequest) -> dict[str, Any]:
        author = self.owners[row.author]
        return merge_requests.shown(self.url, project, author, row)

    def _list_hooks(self, request: Request) -> Reply:
        return self._page(request, self.hooks.get(self._hooks_of(request), []))

    def _add_hook(self, request: Request) -> Reply:
        key = self._hooks_of(request)
        given = request.json or {}
        if not given.get("url"):
            return Reply(400, {"error": "url is missing"})
        if not given["url"].startswith(("http://", "https://")):
            return Reply(422, {"error": "Invalid url given"})
        hook = {
            "id": self._number(),
            "url": given["url"],
            "created_at": "2026-01-01T10:00:00.000Z",
            "push_events": given.get("push_events", True),
            "tag_push_events": given.get("tag_push_events", False),
            "enable_ssl_verification": given.get("enable_ssl_verification", True),
            "alert_status": "executable",
            "disabled_until": None,
        }
        if key[0] == "group":
            hook["subgroup_events"] = given.get("subgroup_events", False)
            hook["project_events"] = given.get("project_events", False)
        self.hooks.setdefault(key, []).append(hook)
        self.secrets[str(hook["id"])] = given.get("token", "")
        return Reply(201, hook)

    def _delete_hook(self, request: Request) -> Reply:
        hooks = self.hooks.get(self._hooks_of(request), [])
        for hook in hooks:
            if str(hook["id"]) == request["hook"]:
                hooks.remove(hook)
                return Reply(204)
        return Reply(404, {"message": "404 Not found"})

    # Helpers ------------------------------------------------------------------------

    def _hooks_of(self, request: Request) -> tuple[str, int]:
        grant = _grant(request)
        if "/groups/" in request.path:
            owner = self._owner(request, "group")
            if not self.has_group_hooks:
                raise Refusal(Reply(404, {"error": "404 Not Found"}))
            if self.level(grant, owner.path) < 50:
                raise Refusal(Reply(403, {"message": "403 Forbidden"}))
            return "group", owner.id
        project = self._found(request)
        if self.level(grant, project.path) < 40:
            raise Refusal(Reply(403, {"message": "403 Forbidden"}))
        return "project", project.id

    def _owner(self, request: Request, kind: str) -> Owner:
        wanted = request["id"]
        for owner in self.owners.values():
            if owner.kind == kind and wanted in {str(owner.id), owner.path}:
                return owner
        raise Refusal(Reply(404, {"message": f"404 {kind.title()} Not Found"}))

    def _found(self, request: Request) -> Project:
        wanted = request["id"]
        if wanted in self.moved and request.method == "GET":
            rest = request.path.split("/")[5:]
            to = "/".join(["/api/v4/projects", str(self.moved[wanted]), *rest])
            raise Refusal(Reply(301, b"", {"Location": f"{self.url}{to}"}))
        for project in self.projects.values():
            if wanted in {str(project.id), project.path}:
                if self.sees(request.grant, project):
                    return project
                break
        raise Refusal(Reply(404, {"message": "404 Project Not Found"}))

    def _page(self, request: Request, items: Sequence[Any]) -> Reply:
        """A page by number, with GitLab's headers."""
        size = min(int(request.query.get("per_page", "20")), 100)
        page = int(request.query.get("page", "1"))
        if (page - 1) * size > MAX_OFFSET:
            text = "Offset pagination has a maximum allowed offset of 50000"
            return Reply(405, {"error": text})
        last = max(1, -(-len(items) // size))
        following = str(page + 1) if page < last else ""
        headers = {
            "X-Page": str(page),
            "X-Per-Page": str(size),
            "X-Next-Page": following,
            "X-Prev-Page": str(page - 1) if page > 1 else "",
        }
        if len(items) <= MOST_COUNTED:
            headers |= {"X-Total": str(len(items)), "X-Total-Pages": str(last)}
        if following:
            headers["Link"] = self._link(request, {**request.query, "page": following})
        return Reply(200, list(items[(page - 1) * size : page * size]), headers)

    def _link(self, request: Request, query: dict[str, str]) -> str:
        return f'<{self.url}{request.path}?{urlencode(query)}>; rel="next"'

    def _project_of(self, project: Project) -> dict[str, Any]:
        above, _, name = project.path.rpartition("/")
        owner = self.owners[above]
        is_empty = not answers.refs_of(project.bare, "refs/heads/")
        url = f"{self.url}/{quote(project.path)}"
        said: dict[str, Any] = {
            "id": project.id,
            "description": project.description or None,
            "name": name,
            "name_with_namespace": project.path.replace("/", " / "),
            "path": name,
            "path_with_namespace": project.path,
            "created_at": "2026-01-01T10:00:00.000Z",
            "default_branch": None
            if is_empty
            else answers.default_branch(project.bare),
            "http_url_to_repo": f"{url}.git",
            "web_url": url,
            "last_activity_at": _shown(project.activity),
            "namespace": {
                "id": owner.id,
                "kind": owner.kind,
                "full_path": above,
                "path": above.rpartition("/")[2],
            },
            "empty_repo": is_empty,
            "archived": project.archived,
            "visibility": project.visibility,
            "shared_with_groups": [],
        }
        if project.is_fork:
            said["forked_from_project"] = {"id": 1, "path_with_namespace": "other/one"}
        return said

    def _user_of(self, owner: Owner) -> dict[str, Any]:
        return {
            "id": owner.id,
            "username": owner.path,
            "name": owner.path.title(),
            "email": f"{owner.path}@example.com",
            "commit_email": f"{owner.path}@example.com",
            "confirmed_at": "2020-01-01T00:00:00.000Z",
            "state": "active",
            "web_url": f"{self.url}/{owner.path}",
        }


@contextmanager
def serve_gitlab(root: Path) -> Iterator[GitLabServer]:
    """A GitLab on a free port of loopback, for as long as the context lasts."""
    server = GitLabServer(root)
    with serve(server):
        yield server


def _grant(request: Request) -> Grant:
    if request.grant is None:
        raise Refusal(Reply(401, {"message": "401 Unauthorized"}))
    return request.grant


def _shown(when: datetime) -> str:
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
