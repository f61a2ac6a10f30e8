"""GitHub Apps on the test server: what an app and its installations may ask for."""

from __future__ import annotations

from datetime import timedelta

from tests.providers.api_requests import Grant, Refusal, Reply, Request
from tests.providers.github_payloads import message
from tests.providers.github_rest import Routes
from tests.providers.github_state import Installation, now, stamp


class Apps(Routes):
    def add(self) -> None:
        api = self.api
        api("GET", "/installation/repositories", self.installed)
        api("GET", "/app", self.app)
        api("GET", "/orgs/{login}/installation", self.installation_of)
        api("GET", "/users/{login}/installation", self.installation_of)
        api("GET", "/app/installations/{number}", self.installation)
        api("POST", "/app/installations/{number}/access_tokens", self.access_token)

    def installed(self, request: Request) -> Reply:
        grant = request.grant
        if grant is None or grant.kind != "installation":
            text = "You must authenticate with an installation access token in order "
            return message(403, text + "to list repositories for an installation.")
        rows = self.seen_by(grant)
        reply = self.page(request, "/installation/repositories", rows)
        reply.body = {
            "total_count": len(rows),
            "repository_selection": (
                "all" if grant.repositories is None else "selected"
            ),
            "repositories": [self.shape(request, row) for row in reply.body],
        }
        return reply

    def app(self, request: Request) -> Reply:
        app = self.server.apps[self._app(request)]
        count = sum(row.app is app for row in self.server.installations.values())
        return Reply(
            200, {**self.server.payloads.app(app), "installations_count": count}
        )

    def _app(self, request: Request) -> int:
        if request.grant is None or request.grant.kind != "app":
            raise Refusal(message(401, "A JSON web token could not be decoded"))
        return int(request.grant.account)

    def installation_of(self, request: Request) -> Reply:
        app = self._app(request)
        for row in self.server.installations.values():
            if row.app.id == app and row.account is self.account(request["login"]):
                return Reply(200, self.server.payloads.installation(row))
        return message(404, "Not Found")

    def installation(self, request: Request) -> Reply:
        return Reply(
            200, self.server.payloads.installation(self._installation(request))
        )

    def _installation(self, request: Request) -> Installation:
        app = self._app(request)
        row = self.server.installations.get(int(request["number"]))
        if row is None or row.app.id != app:
            raise Refusal(message(404, "Integration not found"))
        return row

    def access_token(self, request: Request) -> Reply:
        row = self._installation(request)
        if row.is_suspended:
            return message(403, "This installation has been suspended")
        expires = now() + timedelta(hours=1)
        rights = frozenset(f"{name}:{how}" for name, how in row.permissions.items())
        token = f"ghs_{row.id}_{next(self.server.ids)}"
        self.server.tokens[token] = Grant(
            row.account.login,
            rights,
            "installation",
            repositories=row.repositories,
            expires_at=expires,
        )
        body = {
            "token": token,
            "expires_at": stamp(expires),
            "permissions": row.permissions,
            "repository_selection": "all" if row.repositories is None else "selected",
        }
        return Reply(201, body)
