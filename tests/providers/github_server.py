"""A GitHub Enterprise Server for tests, over real bare repositories: REST below
/api/v3, GraphQL at /api/graphql, Git over HTTP, webhooks. It keeps state, gives every
answer GitHub's own shape, and holds what it is asked and what it answers against
GitHub's description (tests/fixtures/github).

`python -m tests.providers.github_server --root DIR --port N [--demo 60]` runs it alone.
"""

from __future__ import annotations

import argparse
import itertools
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jwt

from tests.providers.api_requests import (
    Fault,
    Grant,
    Match,
    RateLimit,
    Refusal,
    Reply,
    Request,
    token_of,
)
from tests.providers.api_server import serve
from tests.providers.github_apps import Apps
from tests.providers.github_deliveries import DeliveringServer
from tests.providers.github_description import check_answer, check_request
from tests.providers.github_graphql import GraphQL
from tests.providers.github_hooks import Hooks
from tests.providers.github_payloads import message
from tests.providers.github_pulls import Pulls
from tests.providers.github_rest import Reading
from tests.providers.github_state import (
    Account,
    App,
    Installation,
    Pull,
    Repository,
    now,
)
from tests.providers.github_writes import Writes
from tests.providers.many_repositories import make_repositories

API = "/api/v3"
CLASSIC = frozenset({"repo", "read:org", "admin:org_hook", "admin:repo_hook"})


class GitHubServer(DeliveringServer):
    """`server.token` is a classic token that may do everything."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.token = "ghp_" + uuid.uuid4().hex
        self.tokens[self.token] = Grant("robot", CLASSIC)
        self.rows: dict[int, Repository] = {}
        self._found: dict[str, Repository] = {}  # rows by path, as long as it holds
        self.moved: dict[str, int] = {}  # paths a repository had, in lower case
        self.pulls: dict[int, Pull] = {}  # by their id
        self.apps: dict[int, App] = {}
        self.installations: dict[int, Installation] = {}
        self.limits = {name: RateLimit() for name in ("core", "graphql")}
        self.sso = ""  # the X-GitHub-SSO header of every list
        self.sso_owners: set[str] = set()  # whose answers are 403 without it
        self.link_base = ""  # what paging links begin with; "": our own address
        self.tree_limit = 100_000  # entries of a recursive tree
        self.node_limit = 500_000  # of a GraphQL query, as GitHub counts them
        self.strips_messages = False  # of tags, of the line feed at their end
        self.heavy_at = 0  # nodes at which a query is answered 502; 0: never
        self.ids = itertools.count(1001)
        self.graphql = GraphQL(self)
        self.add_owner("robot", kind="user")
        for routes in (Reading, Apps, Hooks, Writes, Pulls):
            routes(self).add()
        self.route("POST", "/api/graphql", self.graphql.answer)

    # Making things ------------------------------------------------------------------

    def add_owner(self, login: str, kind: str = "org") -> Account:
        """An organisation ("org") or a user ("user")."""
        account = Account(next(self.ids), login, kind)
        self.accounts[login.lower()] = account
        return account

    def add_repository(
        self,
        path: str,
        bare: Path,
        *,
        private: bool = False,
        fork: bool = False,
        archived: bool = False,
        description: str | None = None,
        pushed_at: datetime | None = None,
    ) -> str:
        """Serve a bare repository as owner/name; its id. A new owner is made."""
        login, _, name = path.partition("/")
        owner = self.accounts.get(login.lower()) or self.add_owner(login)
        row = Repository(
            next(self.ids),
            owner,
            name,
            bare,
            is_private=private,
            is_fork=fork,
            is_archived=archived,
            description=description,
            pushed_at=pushed_at or now(),
        )
        row.seen_refs = row.store.refs()
        self.rows[row.id] = row
        return str(row.id)

    def add_token(
        self,
        token: str,
        *scopes: str,
        account: str = "robot",
        private: bool = True,
        repositories: frozenset[str] | None = None,
        expires_at: datetime | None = None,
    ) -> str:
        """A classic token with these scopes; one that begins with github_pat_ is fine
        grained, and its scopes are permissions: contents:write, webhooks:write,
        organization_hooks:write."""
        kind = "fine" if token.startswith("github_pat_") else "personal"
        self.tokens[token] = Grant(
            account, frozenset(scopes), kind, private, repositories, expires_at
        )
        return token

    def add_app(self, slug: str, public_key: str, **permissions: str) -> int:
        """An app whose JWTs are signed with the private part of this key (PEM)."""
        permissions = {"metadata": "read", "contents": "read", **permissions}
        owner = self.accounts["robot"]
        app = App(next(self.ids), slug, owner, public_key, permissions)
        self.apps[app.id] = app
        return app.id

    def install(
        self, app_id: int, login: str, repositories: frozenset[str] | None = None
    ) -> int:
        """Install an app at an account, for repositories of these ids (None: all)."""
        app = self.apps[app_id]
        row = Installation(
            next(self.ids),
            app,
            self.accounts[login.lower()],
            app.permissions,
            repositories,
        )
        self.installations[row.id] = row
        return row.id

    # Changing things ----------------------------------------------------------------

    def repository(self, path: str) -> Repository:
        """The row of owner/name, to read or to change."""
        found = self.find(path)
        assert found is not None, f"no repository {path}"
        return found

    def rename(self, path: str, name: str) -> None:
        row = self._moving(path)
        old, row.name = row.name, name
        changes = {"repository": {"name": {"from": old}}}
        self._happened(row, "renamed", changes=changes)

    def transfer(self, path: str, owner: str) -> None:
        row = self._moving(path)
        old, row.owner = row.owner, self.accounts[owner.lower()]
        kind = "organization" if old.kind == "org" else "user"
        changes = {"owner": {"from": {kind: self.payloads.owner(old)}}}
        self._happened(row, "transferred", changes=changes)

    def delete(self, path: str) -> None:
        row = self.repository(path)
        del self.rows[row.id]
        self._happened(row, "deleted")

    def archive(self, path: str, archived: bool = True) -> None:
        row = self.repository(path)
        row.is_archived = archived
        self._happened(row, "archived" if archived else "unarchived")

    def make_private(self, path: str, private: bool = True) -> None:
        row = self.repository(path)
        row.is_private = private
        self._happened(row, "privatized" if private else "publicized")

    def _moving(self, path: str) -> Repository:
        row = self.repository(path)
        self.moved[path.lower()] = row.id
        return row

    def _happened(self, row: Repository, action: str, **more: Any) -> None:
        row.updated_at = now()
        if self.delivers:
            self.tell(row, "repository", {"action": action, **more})

    def hide(self, path: str, hidden: bool = True) -> None:
        """As if no token had a right to it any more."""
        self.repository(path).is_hidden = hidden

    def note_push(
        self, row: Repository, when: datetime | None
    ) -> tuple[dict[str, str], dict[str, str]]:
        row.pushed_at = when or max(now(), row.pushed_at + timedelta(seconds=1))
        row.updated_at = row.pushed_at
        before, row.seen_refs = row.seen_refs, row.store.refs()
        return before, row.seen_refs

    # Limits -------------------------------------------------------------------------

    def secondary_limit(
        self, match: Match, retry_after: int = 60, **what: Any
    ) -> Fault:
        """A fault: "secondary rate limit", with `Retry-After` in seconds."""
        body = {
            "message": "You have exceeded a secondary rate limit. Please wait a few "
            "minutes before you try again.",
            "documentation_url": "https://docs.github.com/rest/overview/rate-limits",
        }
        headers = {"Retry-After": str(retry_after)}
        return self.fault(match, status=403, body=body, headers=headers, **what)

    # Finding things -----------------------------------------------------------------

    def find(self, path: str) -> Repository | None:
        wanted = path.lower()
        row = self._found.get(wanted)
        if row is None or row.id not in self.rows or row.path.lower() != wanted:
            self._found = {row.path.lower(): row for row in self.rows.values()}
            row = self._found.get(wanted)
        return row

    def may_see(self, grant: Grant | None, row: Repository) -> bool:
        if row.is_hidden:
            return False
        if grant is not None and grant.repositories is not None:
            return str(row.id) in grant.repositories
        if grant is not None and grant.kind == "installation":
            return grant.account == row.owner.login
        if not row.is_private:
            return True
        if grant is None or not grant.private:
            return False
        return grant.kind == "fine" or "repo" in grant.scopes

    def may(self, grant: Grant | None, thing: str, row: Repository | None) -> bool:
        """Whether a token has a right: contents, webhooks or organization_hooks."""
        if grant is None or (row is not None and not self.may_see(grant, row)):
            return False
        if grant.kind != "personal":
            return f"{thing}:write" in grant.scopes
        if thing == "contents":
            return "repo" in grant.scopes or (
                "public_repo" in grant.scopes and row is not None and not row.is_private
            )
        classic = {
            "webhooks": {"repo", "admin:repo_hook", "write:repo_hook"},
            "organization_hooks": {"admin:org_hook"},
        }
        return bool(classic[thing] & grant.scopes)

    # The way of a request -----------------------------------------------------------

    def prepare(self, request: Request) -> None:
        given = token_of(request.headers)
        if given.count(".") == 2:
            request.grant = self._app_grant(given)
        elif given:
            request.grant = self._grant(given)
        if request.path == "/api/graphql":
            if request.grant is None:
                raise Refusal(message(401, "This endpoint requires authentication"))
            return
        if request.path != f"{API}/rate_limit" and not self.limits["core"].spend():
            text = f"API rate limit exceeded for {request.grant and 'user ID 1'}."
            raise Refusal(message(403, text))

    def _grant(self, token: str) -> Grant:
        grant = self.tokens.get(token)
        if grant is None or grant.is_expired:
            raise Refusal(message(401, "Bad credentials"))
        return grant

    def _app_grant(self, token: str) -> Grant:
        try:
            issuer = str(jwt.decode(token, options={"verify_signature": False})["iss"])
            app = self.apps[int(issuer.removeprefix("Iv1."))]
            claims = jwt.decode(token, app.public_key, algorithms=["RS256"], leeway=60)
            if claims["exp"] - time.time() > 600 or "iat" not in claims:
                raise ValueError
        except (jwt.InvalidTokenError, KeyError, ValueError):
            text = "A JSON web token could not be decoded"
            raise Refusal(message(401, text)) from None
        return Grant(str(app.id), kind="app")

    def finish(self, request: Request, reply: Reply) -> None:
        resource = "graphql" if request.path == "/api/graphql" else "core"
        limit = self.limits[resource]
        if reply.status == 304 and request.grant:
            limit.remaining = min(limit.limit, limit.remaining + 1)  # it was free
        headers = reply.headers
        headers["X-RateLimit-Limit"] = str(limit.limit)
        headers["X-RateLimit-Remaining"] = str(limit.remaining)
        headers["X-RateLimit-Used"] = str(limit.used)
        headers["X-RateLimit-Reset"] = str(limit.reset)
        headers["X-RateLimit-Resource"] = resource
        headers["X-GitHub-Request-Id"] = uuid.uuid4().hex
        headers["X-GitHub-Media-Type"] = "github.v3; format=json"
        headers["X-GitHub-Enterprise-Version"] = "3.19.0"
        if request.grant and request.grant.kind == "personal":
            headers["X-OAuth-Scopes"] = ", ".join(sorted(request.grant.scopes))
            headers["X-Accepted-OAuth-Scopes"] = "repo"
        expires = request.grant and request.grant.expires_at
        if expires:
            shown = expires.strftime("%Y-%m-%d %H:%M:%S UTC")
            headers["GitHub-Authentication-Token-Expiration"] = shown

    def not_found(self, request: Request) -> Reply:
        return message(404, "Not Found")

    def repository_at(self, request: Request, path: str) -> Path | None:
        token = token_of(request.headers)
        grant = self._grant(token) if token else None
        row = self.find(path)
        if row is None and path.lower() in self.moved:
            moved = self.rows.get(self.moved[path.lower()])
            if moved is None:
                return None
            to = request.target.replace(f"/{path}.git/", f"/{moved.path}.git/")
            raise Refusal(Reply(301, b"", {"Location": self.url + to}))
        if row is None or not self.may_see(grant, row):
            if grant is None:
                challenge = {"WWW-Authenticate": 'Basic realm="GitHub"'}
                raise Refusal(Reply(401, b"Repository not found.", challenge))
            return None
        if "receive-pack" in request.target and not self.may(grant, "contents", row):
            status = 403 if grant else 401
            challenge = {"WWW-Authenticate": 'Basic realm="GitHub"'}
            raise Refusal(Reply(status, b"Write access not granted.", challenge))
        return row.bare

    def request_faults(self, request: Request) -> list[str]:
        if not request.path.startswith(f"{API}/"):
            return []
        path = request.path.removeprefix(API)
        return check_request(request.method, path, request.query, request.json)

    def answer_faults(self, request: Request, reply: Reply) -> list[str]:
        kind = reply.headers.get("Content-Type", "application/json")
        if not request.path.startswith(f"{API}/") or "github" in kind:
            return []
        path = request.path.removeprefix(API)
        return check_answer(request.method, path, reply.status, reply.body)


@contextmanager
def serve_github(root: Path, port: int = 0) -> Iterator[GitHubServer]:
    """A server for as long as the context lasts. Bare repositories may lie anywhere;
    those it makes itself lie below `root`."""
    server = GitHubServer(root)
    with serve(server, port):
        yield server


def main(arguments: list[str] | None = None) -> None:
    """Serve until interrupted: the repositories `DIR/owner/name.git`, and demo ones."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token", default="", help="instead of a random one")
    parser.add_argument("--demo", type=int, default=0, metavar="N", help="repositories")
    parser.add_argument("--tags", type=int, default=10, help="of each demo repository")
    parser.add_argument("--unchecked", action="store_true", help="faster")
    asked = parser.parse_args(arguments)
    asked.root.mkdir(parents=True, exist_ok=True)
    with serve_github(asked.root, asked.port) as server:
        server.is_checked = not asked.unchecked
        server.delivers = True
        if asked.token:
            server.tokens[asked.token] = server.tokens.pop(server.token)
            server.token = asked.token
        for bare in sorted(asked.root.glob("*/*.git")):
            if bare.parent.name != "demo":
                server.add_repository(f"{bare.parent.name}/{bare.stem}", bare)
        if asked.demo:
            folder = asked.root / "demo"
            for bare in make_repositories(folder, asked.demo, asked.tags):
                server.add_repository(f"demo/{bare.stem}", bare)
        print(server.url, server.token, flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
