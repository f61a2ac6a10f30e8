"""What the GitLab test server keeps: groups, users, projects, tokens, webhooks; who may
see what."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.providers import gitlab_answers as answers
from tests.providers.api_requests import (
    Grant,
    RateLimit,
    Refusal,
    Reply,
    Request,
    token_of,
)
from tests.providers.pushes import Pushes

ALL_SCOPES = frozenset({"api", "read_api", "read_repository", "write_repository"})


@dataclass
class Owner:
    """A group or a user."""

    id: int
    path: str
    kind: str  # "group" or "user"
    members: dict[int, int] = field(default_factory=dict)  # user -> access level


@dataclass
class Project:
    id: int
    path: str
    bare: Path
    visibility: str = "private"
    is_fork: bool = False
    archived: bool = False
    hidden: bool = False  # from everybody
    description: str = ""
    shared_with: tuple[str, ...] = ()  # groups
    protected_tags: tuple[str, ...] = ()  # patterns: nobody may make such
    activity: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    seen_refs: dict[str, str] = field(default_factory=dict)


@dataclass
class MergeRequest:
    """Within a project; `source` and `target` are branches."""

    id: int
    iid: int  # by which people know it, in its project
    project: int
    author: str
    title: str
    description: str
    source: str
    target: str
    state: str = "opened"


class GitLabState(Pushes):
    """`token` may do everything; `add_token` makes others. Switches: `git_enabled`,
    `has_group_hooks` (paid tiers only), `has_created_at` (of tags, GitLab 16.11 on),
    `tells_tokens`."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.owners: dict[str, Owner] = {}
        self.projects: dict[int, Project] = {}
        self.moved: dict[str, int] = {}
        self.hooks: dict[tuple[str, int], list[dict[str, Any]]] = {}
        self.merge_requests: list[MergeRequest] = []
        self.secrets: dict[str, str] = {}  # of webhooks, by their number
        self.rate = RateLimit(limit=2_000, remaining=2_000)
        self.has_group_hooks = True
        self.has_created_at = True
        self.tells_tokens = True
        self.clock = 0  # of tags it makes, seconds since 1970; 0: the real one
        self._next = 100
        self.add_owner("alice", kind="user")
        self.token = self.add_token("alice")

    # What tests use -----------------------------------------------------------------

    def add_owner(self, path: str, *, kind: str = "group", level: int = 50) -> str:
        """A group (sub-groups: `acme/ml`) or user; its number. `level` is alice's."""
        owner = Owner(self._number(), path, kind)
        if kind == "group":
            owner.members[self.owners["alice"].id] = level
        self.owners[path] = owner
        return str(owner.id)

    def add_token(
        self,
        account: str,
        scopes: frozenset[str] = ALL_SCOPES,
        *,
        expires_at: datetime | None = None,
    ) -> str:
        token = f"glpat-{account}-{len(self.tokens)}-CANARY"
        self.tokens[token] = Grant(account, scopes, expires_at=expires_at)
        return token

    def add_repository(
        self,
        path: str,
        bare: Path,
        *,
        private: bool = True,
        fork: bool = False,
        archived: bool = False,
        hidden: bool = False,
        description: str = "",
        shared_with: tuple[str, ...] = (),
    ) -> str:
        """Serve the repository at `bare` as `path`; its number. Groups on the way are
        made."""
        above = path.split("/")[:-1]
        for depth in range(1, len(above) + 1):
            if "/".join(above[:depth]) not in self.owners:
                self.add_owner("/".join(above[:depth]))
        number = self._number()
        self.projects[number] = Project(
            number,
            path,
            answers.git_dir(bare),
            visibility="private" if private else "public",
            is_fork=fork,
            archived=archived,
            hidden=hidden,
            description=description,
            shared_with=shared_with,
        )
        self.projects[number].seen_refs = answers.all_refs(self.projects[number].bare)
        return str(number)

    def repository(self, of: str) -> Project:
        """The project of a number or path, to read or to change."""
        for project in self.projects.values():
            if of in {str(project.id), project.path}:
                return project
        raise AssertionError(f"no repository {of}")

    def rename(self, of: str, name: str) -> None:
        """Give it another name, or, with a slash in it, another path: the old one
        leads to it."""
        found = self.repository(of)
        above = found.path.rpartition("/")[0]
        path = name if "/" in name else f"{above}/{name}"
        self.moved[found.path] = found.id
        self.moved.pop(path, None)
        found.path = path

    def transfer(self, of: str, owner: str) -> None:
        name = self.repository(of).path.rpartition("/")[2]
        self.rename(of, f"{owner}/{name}")

    def delete(self, of: str) -> None:
        del self.projects[self.repository(of).id]

    def archive(self, of: str, archived: bool = True) -> None:
        self.repository(of).archived = archived

    def hide(self, of: str, hidden: bool = True) -> None:
        """As if nobody had a right to it any more."""
        self.repository(of).hidden = hidden

    # The base's hooks ---------------------------------------------------------------

    def not_found(self, request: Request) -> Reply:
        return Reply(404, {"error": "404 Not Found"})

    def prepare(self, request: Request) -> None:
        token = token_of(request.headers)
        if token:
            request.grant = self.tokens.get(token)
            if request.grant is None or request.grant.is_expired:
                raise Refusal(Reply(401, {"message": "401 Unauthorized"}))
        if not self.rate.spend():
            wait = max(1, self.rate.reset - int(time.time()))
            raise Refusal(
                Reply(
                    429,
                    b"Retry later\n",
                    {"Content-Type": "text/plain", "Retry-After": str(wait)},
                )
            )
        grant = request.grant
        needed = {"api", "read_api"}
        if request.path.endswith("/user"):
            needed |= {"read_user"}
        about_itself = request.path.endswith("/personal_access_tokens/self")
        if grant and not about_itself and not grant.scopes & needed:
            raise Refusal(_scope(" ".join(sorted(needed))))
        if grant and request.method != "GET" and "api" not in grant.scopes:
            raise Refusal(_scope("api"))

    def finish(self, request: Request, reply: Reply) -> None:
        reset = datetime.fromtimestamp(self.rate.reset, UTC)
        reply.headers |= {
            "RateLimit-Limit": str(self.rate.limit),
            "RateLimit-Name": "throttle_authenticated_api",
            "RateLimit-Observed": str(self.rate.used),
            "RateLimit-Remaining": str(self.rate.remaining),
            "RateLimit-Reset": str(self.rate.reset),
            "RateLimit-ResetTime": reset.strftime("%a, %d %b %Y %H:%M:%S GMT"),
            "X-Request-Id": "01HTEST",
        }

    def repository_at(self, request: Request, path: str) -> Path | None:
        token = token_of(request.headers)
        grant = self.tokens.get(token)
        found = next((p for p in self.projects.values() if p.path == path), None)
        if token and (grant is None or grant.is_expired):
            raise Refusal(_challenge())
        if found is None and path in self.moved:
            to = f"{self.url}/{self.projects[self.moved[path]].path}.git/info/refs"
            raise Refusal(Reply(301, b"", {"Location": to}))
        if found is None or found.hidden:
            raise Refusal(_challenge() if not token else Reply(404, b""))
        if grant and not grant.scopes & {"api", "read_repository", "write_repository"}:
            raise Refusal(Reply(403, b"HTTP Basic: Access denied."))
        if not self.sees(grant, found):
            raise Refusal(_challenge() if grant is None else Reply(404, b""))
        return found.bare

    def sees(self, grant: Grant | None, project: Project) -> bool:
        if project.hidden:
            return False
        if project.visibility == "public":
            return True
        return grant is not None and self.level(grant, project.path) > 0

    def level(self, grant: Grant, path: str) -> int:
        """The access level of a token's account at a path, inherited ones too."""
        user = self.owners[grant.account]
        parts = path.split("/")
        levels = [50] if parts[0] == user.path else [0]
        for depth in range(1, len(parts) + 1):
            owner = self.owners.get("/".join(parts[:depth]))
            levels.append(owner.members.get(user.id, 0) if owner else 0)
        return max(levels)

    def _number(self) -> int:
        self._next += 1
        return self._next


def _scope(scope: str) -> Reply:
    return Reply(
        403,
        {
            "error": "insufficient_scope",
            "error_description": "The request requires higher privileges than provided "
            "by the access token.",
            "scope": scope,
        },
    )


def _challenge() -> Reply:
    return Reply(
        401,
        b"HTTP Basic: Access denied.",
        {"WWW-Authenticate": 'Basic realm="GitLab"', "Content-Type": "text/plain"},
    )
