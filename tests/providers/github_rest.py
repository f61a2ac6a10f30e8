"""The REST routes of the GitHub test server that read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from tests.providers.api_requests import Grant, Refusal, Reply, Request
from tests.providers.github_payloads import message
from tests.providers.github_state import (
    JSON,
    Account,
    Repository,
)
from tests.providers.object_store import GitObject, kind_of

if TYPE_CHECKING:
    from tests.providers.github_server import GitHubServer

API = "/api/v3"
OfRepository = Callable[[Request, Repository], Reply]


class Routes:
    """What the groups of routes share."""

    def __init__(self, server: GitHubServer) -> None:
        self.server = server

    def api(
        self, method: str, pattern: str, handler: Callable[[Request], Reply]
    ) -> None:
        self.server.route(method, API + pattern, handler)

    def of_repository(self, method: str, pattern: str, handler: OfRepository) -> None:
        """A route below a repository, which GitHub answers by its number too."""

        def by_path(request: Request) -> Reply:
            return handler(request, self.repository(request))

        def by_number(request: Request) -> Reply:
            row = self.server.rows.get(int(request["number"]))
            return handler(request, self._seen(request, row))

        self.api(method, "/repos/{owner}/{name}" + pattern, by_path)
        self.api(method, "/repositories/{number}" + pattern, by_number)

    def repository(self, request: Request) -> Repository:
        """The repository a path names, or the answer that there is none, or that it
        has moved, which names it by its number."""
        server = self.server
        path = f"{request['owner']}/{request['name']}"
        row = server.find(path)
        moved = server.rows.get(server.moved.get(path.lower(), 0))
        if row is None and moved and server.may_see(request.grant, moved):
            old = f"{API}/repos/{request['owner']}/{request['name']}"
            rest = request.target[len(old) :]
            url = f"{server.url}{API}/repositories/{moved.id}{rest}"
            reply = message(301 if request.method == "GET" else 307, "Moved", url=url)
            reply.headers["Location"] = url
            raise Refusal(reply)
        return self._seen(request, row)

    def _seen(self, request: Request, row: Repository | None) -> Repository:
        if row is None or not self.server.may_see(request.grant, row):
            raise Refusal(message(404, "Not Found"))
        self.check_sso(row.owner.login)
        return row

    def check_sso(self, login: str) -> None:
        if login in self.server.sso_owners:
            url = f"{self.server.url}/orgs/{login}/sso?authorization_request=A"
            text = "Resource protected by organization SAML enforcement."
            reply = message(403, text)
            reply.headers["X-GitHub-SSO"] = f"required; url={url}"
            raise Refusal(reply)

    def need(self, request: Request, thing: str, row: Repository | None = None) -> None:
        """Refuse a token that has not this right, as GitHub refuses it."""
        grant = request.grant
        if self.server.may(grant, thing, row):
            return
        if grant is None:
            raise Refusal(message(401, "Requires authentication"))
        if grant.kind == "personal":
            raise Refusal(message(404, "Not Found"))
        whose = (
            "integration" if grant.kind == "installation" else "personal access token"
        )
        reply = message(403, f"Resource not accessible by {whose}")
        reply.headers["X-Accepted-GitHub-Permissions"] = f"{thing}=write"
        raise Refusal(reply)

    def shape(self, request: Request, row: Repository) -> JSON:
        may = self.server.may
        return self.server.payloads.repository(
            row,
            admin=may(request.grant, "webhooks", row),
            push=may(request.grant, "contents", row),
        )

    def page(self, request: Request, path: str, items: list[Any]) -> Reply:
        """One page of a list, with the `Link` header, whose path need not be the one
        that was asked for."""
        server = self.server
        size = min(100, max(1, _number(request, "per_page", 30)))
        number = max(1, _number(request, "page", 1))
        last = max(1, -(-len(items) // size))
        links = []
        for relation, wanted, shown in (
            ("prev", number - 1, number > 1),
            ("next", number + 1, number < last),
            ("last", last, number < last),
            ("first", 1, number > 1),
        ):
            if shown:
                query = urlencode({**request.query, "page": wanted})
                base = server.link_base or server.url
                links.append(f'<{base}{API}{path}?{query}>; rel="{relation}"')
        headers = {"Link": ", ".join(links)} if links else {}
        if server.sso:
            headers["X-GitHub-SSO"] = server.sso
        return Reply(200, items[(number - 1) * size : number * size], headers)

    def seen_by(self, grant: Grant | None) -> list[Repository]:
        rows = self.server.rows.values()
        return [row for row in rows if self.server.may_see(grant, row)]

    def account(self, login: str) -> Account:
        found = self.server.accounts.get(login.lower())
        if found is None:
            raise Refusal(message(404, "Not Found"))
        return found


class Reading(Routes):
    """Everything that changes nothing."""

    def add(self) -> None:
        api, of = self.api, self.of_repository
        api("GET", "/meta", self.meta)
        api("GET", "/rate_limit", self.rate_limit)
        api("GET", "/user", self.me)
        api("GET", "/user/repos", self.my_repositories)
        api("GET", "/users/{login}", self.user)
        api("GET", "/users/{login}/repos", self.repositories_of)
        api("GET", "/orgs/{login}", self.organisation)
        api("GET", "/orgs/{login}/repos", self.repositories_of)
        api("GET", "/organizations/{number}", self.organisation_by_number)
        api("GET", "/organizations/{number}/repos", self.repositories_by_number)
        api("GET", "/user/{number}", self.user_by_number)
        api("GET", "/user/{number}/repos", self.repositories_by_number)
        of("GET", "", self.one)
        of("GET", "/git/matching-refs/{ref:path}", self.matching_refs)
        of("GET", "/git/ref/{ref:path}", self.ref)
        for kind in ("tag", "commit", "blob"):
            of("GET", f"/git/{kind}s/{{sha}}", self.git_object)
        of("GET", "/git/trees/{sha}", self.tree)
        of("GET", "/branches", self.branches)
        of("GET", "/commits", self.commits)
        of("GET", "/commits/{ref:path}", self.commit)
        of("GET", "/contents/{path:path}", self.contents)
        of("GET", "/contents/", self.contents)
        of("GET", "/contents", self.contents)

    # The server, accounts and lists ---------------------------------------------------

    def meta(self, request: Request) -> Reply:
        return Reply(
            200,
            {
                "verifiable_password_authentication": True,
                "installed_version": "3.19.0",
            },
        )

    def rate_limit(self, request: Request) -> Reply:
        shown = {
            name: {
                "limit": limit.limit,
                "used": limit.used,
                "remaining": limit.remaining,
                "reset": limit.reset,
            }
            for name, limit in self.server.limits.items()
        }
        shown["search"] = {"limit": 30, "used": 0, "remaining": 30, "reset": 1}
        return Reply(200, {"resources": shown, "rate": shown["core"]})

    def me(self, request: Request) -> Reply:
        grant = self._person(request)
        account = self.account(grant.account)
        return Reply(200, self.server.payloads.user(account, 0))

    def _person(self, request: Request) -> Grant:
        if request.grant is None:
            raise Refusal(message(401, "Requires authentication"))
        if request.grant.kind in {"installation", "app"}:
            text = "Resource not accessible by integration"
            raise Refusal(message(403, text))
        return request.grant

    def user(self, request: Request) -> Reply:
        account = self.account(request["login"])
        return Reply(200, self.server.payloads.user(account, self._count(account)))

    def organisation(self, request: Request) -> Reply:
        return self._organisation(self.account(request["login"]))

    def organisation_by_number(self, request: Request) -> Reply:
        return self._organisation(self._by_number(request))

    def user_by_number(self, request: Request) -> Reply:
        account = self._by_number(request)
        return Reply(200, self.server.payloads.user(account, self._count(account)))

    def _organisation(self, account: Account) -> Reply:
        if account.kind != "org":
            raise Refusal(message(404, "Not Found"))
        self.check_sso(account.login)
        shape = self.server.payloads.organisation
        return Reply(200, shape(account, self._count(account)))

    def _count(self, account: Account) -> int:
        rows = self.server.rows.values()
        return sum(row.owner is account and not row.is_private for row in rows)

    def _by_number(self, request: Request) -> Account:
        number = int(request["number"])
        found = (a for a in self.server.accounts.values() if a.id == number)
        account = next(found, None)
        if account is None:
            raise Refusal(message(404, "Not Found"))
        return account

    def repositories_of(self, request: Request) -> Reply:
        return self._repositories(request, self.account(request["login"]))

    def repositories_by_number(self, request: Request) -> Reply:
        return self._repositories(request, self._by_number(request))

    def _repositories(self, request: Request, account: Account) -> Reply:
        if request.path.startswith(f"{API}/orgs/") and account.kind != "org":
            raise Refusal(message(404, "Not Found"))
        self.check_sso(account.login)
        grant = request.grant
        if account.kind == "user" and grant is not None:
            # The list of a user shows what is public, whoever asks.
            rows = [r for r in self.seen_by(None) if r.owner is account]
        else:
            rows = [r for r in self.seen_by(grant) if r.owner is account]
        rows = [r for r in rows if _is_of_type(r, request.query.get("type", "all"))]
        default = "created" if account.kind == "org" else "full_name"
        prefix = "organizations" if account.kind == "org" else "user"
        path = f"/{prefix}/{account.id}/repos"
        return self._listed(request, path, rows, default)

    def my_repositories(self, request: Request) -> Reply:
        grant = self._person(request)
        rows = [
            row
            for row in self.seen_by(grant)
            if "owner" not in request.query.get("affiliation", "")
            or "," in request.query["affiliation"]
            or row.owner.login == grant.account
        ]
        wanted = request.query.get("visibility", request.query.get("type", "all"))
        rows = [r for r in rows if _is_of_type(r, wanted)]
        return self._listed(request, "/user/repos", rows, "full_name")

    def _listed(
        self, request: Request, path: str, rows: list[Repository], default: str
    ) -> Reply:
        sort = request.query.get("sort", default)
        down = "asc" if sort == "full_name" else "desc"
        keys: dict[str, Callable[[Repository], Any]] = {
            "created": lambda row: (row.created_at, row.id),
            "updated": lambda row: (row.updated_at, row.id),
            "pushed": lambda row: (row.pushed_at, row.id),
            "full_name": lambda row: row.path.lower(),
        }
        reverse = request.query.get("direction", down) == "desc"
        rows = sorted(rows, key=keys[sort], reverse=reverse)
        reply = self.page(request, path, rows)
        reply.body = [self.shape(request, row) for row in reply.body]
        return reply

    # One repository -------------------------------------------------------------------

    def one(self, request: Request, row: Repository) -> Reply:
        return Reply(200, self.shape(request, row))

    def matching_refs(self, request: Request, row: Repository) -> Reply:
        self._not_empty(row)
        shape = self.server.payloads.ref
        found = row.store.refs(f"refs/{request['ref']}")
        return Reply(200, [shape(row, ref, oid) for ref, oid in found.items()])

    def ref(self, request: Request, row: Repository) -> Reply:
        self._not_empty(row)
        ref = f"refs/{request['ref']}"
        oid = row.store.refs().get(ref)
        if oid is None:
            return message(404, "Not Found")
        return Reply(200, self.server.payloads.ref(row, ref, oid))

    def _not_empty(self, row: Repository) -> None:
        if not row.store.refs():
            raise Refusal(message(409, "Git Repository is empty."))

    def git_object(self, request: Request, row: Repository) -> Reply:
        kind = request.path.rsplit("/", 2)[1].removesuffix("s")
        found = self._object(row, request["sha"], kind)
        if kind == "blob" and "raw" in request.headers.get("accept", ""):
            headers = {"Content-Type": "application/vnd.github.raw+json"}
            return Reply(200, found.data, headers)
        shapes = self.server.payloads
        shape = {"tag": shapes.tag, "commit": shapes.git_commit, "blob": shapes.blob}
        return Reply(200, shape[kind](row, found))

    def _object(self, row: Repository, oid: str, kind: str) -> GitObject:
        self._not_empty(row)
        found = row.store.get(oid) if len(oid) == 40 else None
        if found is None or found.kind != kind:
            raise Refusal(message(404, "Not Found"))
        return found

    def tree(self, request: Request, row: Repository) -> Reply:
        self._not_empty(row)
        start = row.store.resolve(request["sha"])
        oid = row.store.peel(start, "tree") if start else None
        if oid is None:
            return message(404, "Not Found")
        deep, limit = "recursive" in request.query, self.server.tree_limit
        shape = self.server.payloads.tree
        return Reply(200, shape(row, oid, deep=deep, limit=limit))

    def branches(self, request: Request, row: Repository) -> Reply:
        heads = row.store.refs("refs/heads/")
        base = self.server.payloads.repository_url(row)
        shown = [
            {
                "name": ref.removeprefix("refs/heads/"),
                "commit": {"sha": oid, "url": f"{base}/commits/{oid}"},
                "protected": False,
            }
            for ref, oid in heads.items()
        ]
        return self.page(request, f"/repositories/{row.id}/branches", shown)

    def commits(self, request: Request, row: Repository) -> Reply:
        self._not_empty(row)
        start = row.store.resolve(request.query.get("sha") or "HEAD")
        if start is None:
            return message(404, "Not Found")
        found = list(row.store.history(start, request.query.get("path", "")))
        reply = self.page(request, f"/repositories/{row.id}/commits", found)
        reply.body = [self._commit(row, oid) for oid in reply.body]
        return reply

    def commit(self, request: Request, row: Repository) -> Reply:
        self._not_empty(row)
        start = row.store.resolve(request["ref"])
        oid = row.store.peel(start) if start else None
        if oid is None:
            return message(422, f"No commit found for SHA: {request['ref']}")
        if request.headers.get("accept", "").endswith(".sha"):
            headers = {"Content-Type": "application/vnd.github.sha; charset=utf-8"}
            return Reply(200, oid.encode(), headers)
        return Reply(200, self._commit(row, oid))

    def _commit(self, row: Repository, oid: str) -> JSON:
        found = row.store.get(oid)
        assert found is not None
        return self.server.payloads.commit(row, found)

    def contents(self, request: Request, row: Repository) -> Reply:
        ref = request.query.get("ref") or row.store.default_branch
        path = request.parameters.get("path", "").strip("/")
        start = row.store.resolve(ref)
        entry = row.store.entry(start, path) if start else None
        if entry is None:
            return message(404, "Not Found" if start else f"No commit found for {ref}")
        shapes = self.server.payloads
        if kind_of(entry[0]) == "tree":
            found = row.store.get(entry[1])
            base = f"{path}/" if path else ""
            listed = [
                shapes.content(
                    row, base + name.decode("utf-8", "replace"), ref, (mode, oid)
                )
                for mode, name, oid in (found.entries() if found else ())
            ]
            return Reply(200, listed)
        if "raw" in request.headers.get("accept", ""):
            found = row.store.get(entry[1])
            headers = {"Content-Type": "application/vnd.github.raw; charset=utf-8"}
            return Reply(200, found.data if found else b"", headers)
        return Reply(200, shapes.file(row, path, ref, entry[1]))


def _is_of_type(row: Repository, wanted: str) -> bool:
    return {
        "public": not row.is_private,
        "private": row.is_private,
        "forks": row.is_fork,
        "sources": not row.is_fork,
    }.get(wanted, True)


def _number(request: Request, name: str, default: int) -> int:
    value = request.query.get(name, "")
    return int(value) if value.isdigit() else default
