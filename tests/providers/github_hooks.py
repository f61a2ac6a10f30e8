"""Webhooks of the GitHub test server: made, listed, changed and removed by REST."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tests.providers.api_requests import Refusal, Reply, Request
from tests.providers.github_payloads import message
from tests.providers.github_rest import Routes
from tests.providers.github_state import JSON, Hook, Repository

OfHook = Callable[[Request, Hook, str], Reply]


class Hooks(Routes):
    """Of repositories and of organisations. A new one is pinged, as GitHub does it,
    from a thread of its own, if the server delivers."""

    def add(self) -> None:
        self.of_repository("GET", "/hooks", self.of_one)
        self.of_repository("POST", "/hooks", self.make_for_one)
        self.api("GET", "/orgs/{login}/hooks", self.of_organisation)
        self.api("POST", "/orgs/{login}/hooks", self.make_for_organisation)
        self._hook("GET", "", self.show)
        self._hook("PATCH", "", self.change)
        self._hook("DELETE", "", self.remove)
        self._hook("POST", "/pings", self.ping)

    def _hook(self, method: str, rest: str, handler: OfHook) -> None:
        """A route of one hook, below its repository or its organisation."""

        def of_repository(request: Request, row: Repository) -> Reply:
            self.need(request, "webhooks", row)
            hook = self.server.hooks.get(int(request["hook"]))
            if hook is None or hook.repository != row.id:
                return message(404, "Not Found")
            return handler(request, hook, self._base(row))

        def of_organisation(request: Request) -> Reply:
            login = self._organisation(request)
            hook = self.server.hooks.get(int(request["hook"]))
            if hook is None or hook.owner != login:
                return message(404, "Not Found")
            return handler(request, hook, self._base(login))

        self.of_repository(method, "/hooks/{hook}" + rest, of_repository)
        self.api(method, "/orgs/{login}/hooks/{hook}" + rest, of_organisation)

    def _base(self, of: Repository | str) -> str:
        shapes = self.server.payloads
        if isinstance(of, str):
            return f"{shapes.api}/orgs/{of}"
        return shapes.repository_url(of)

    def _organisation(self, request: Request) -> str:
        account = self.account(request["login"])
        self.check_sso(account.login)
        self.need(request, "organization_hooks")
        return account.login

    def of_one(self, request: Request, row: Repository) -> Reply:
        self.need(request, "webhooks", row)
        hooks = [h for h in self.server.hooks.values() if h.repository == row.id]
        path = f"/repositories/{row.id}/hooks"
        return self._listed(request, path, hooks, self._base(row))

    def of_organisation(self, request: Request) -> Reply:
        login = self._organisation(request)
        hooks = [h for h in self.server.hooks.values() if h.owner == login]
        path = f"/organizations/{self.account(login).id}/hooks"
        return self._listed(request, path, hooks, self._base(login))

    def _listed(
        self, request: Request, path: str, hooks: list[Hook], base: str
    ) -> Reply:
        reply = self.page(request, path, hooks)
        reply.body = [self.server.payloads.hook(hook, base) for hook in reply.body]
        return reply

    def make_for_one(self, request: Request, row: Repository) -> Reply:
        self.need(request, "webhooks", row)
        hook = self._hook_of(request)
        hook.repository = row.id
        return self._made(hook, self._base(row), row)

    def make_for_organisation(self, request: Request) -> Reply:
        login = self._organisation(request)
        hook = self._hook_of(request)
        hook.owner = login
        return self._made(hook, self._base(login), None)

    def _hook_of(self, request: Request) -> Hook:
        asked = request.json if isinstance(request.json, dict) else {}
        config = asked.get("config") or {}
        if not config.get("url"):
            raise Refusal(invalid("Hook", "url cannot be blank"))
        return Hook(
            next(self.server.ids),
            config["url"],
            config.get("secret", ""),
            list(asked.get("events") or ["push"]),
            is_active=asked.get("active", True),
            content_type=config.get("content_type", "form"),
            insecure_ssl=str(config.get("insecure_ssl", "0")),
        )

    def _made(self, hook: Hook, base: str, row: Repository | None) -> Reply:
        for other in self.server.hooks.values():
            place = (other.url, other.repository, other.owner)
            if place == (hook.url, hook.repository, hook.owner):
                kind = "repository" if row else "organization"
                return invalid("Hook", f"Hook already exists on this {kind}")
        self.server.hooks[hook.id] = hook
        self._ping(hook, base)
        shown = self.server.payloads.hook(hook, base)
        return Reply(201, shown, {"Location": shown["url"]})

    def _ping(self, hook: Hook, base: str) -> None:
        hook.pings += 1
        if self.server.delivers:
            payload: JSON = {
                "zen": "Keep it logically awesome.",
                "hook_id": hook.id,
                "hook": self.server.payloads.hook(hook, base),
            }
            arguments = (hook, "ping", payload)
            threading.Thread(
                target=self.server.deliver, args=arguments, daemon=True
            ).start()

    def show(self, request: Request, hook: Hook, base: str) -> Reply:
        return Reply(200, self.server.payloads.hook(hook, base))

    def change(self, request: Request, hook: Hook, base: str) -> Reply:
        asked = request.json if isinstance(request.json, dict) else {}
        config = asked.get("config") or {}
        hook.url = config.get("url", hook.url)
        hook.secret = config.get("secret", hook.secret)
        hook.content_type = config.get("content_type", hook.content_type)
        hook.is_active = asked.get("active", hook.is_active)
        events = set(asked.get("events") or hook.events)
        events |= set(asked.get("add_events") or ())
        hook.events = sorted(events - set(asked.get("remove_events") or ()))
        return Reply(200, self.server.payloads.hook(hook, base))

    def remove(self, request: Request, hook: Hook, base: str) -> Reply:
        del self.server.hooks[hook.id]
        return Reply(204)

    def ping(self, request: Request, hook: Hook, base: str) -> Reply:
        self._ping(hook, base)
        return Reply(204)


def invalid(resource: str, text: str, field: str = "") -> Reply:
    """422 with GitHub's list of errors."""
    error: JSON = {"resource": resource, "code": "custom", "message": text}
    if field:
        error["field"] = field
    return message(422, "Validation Failed", errors=[error])
