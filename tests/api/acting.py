"""A program that acts through the API, with a token of one of the people of a place."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client

from indexer.api_tokens import make_token
from indexer.models import ApiToken
from tests.actions.places import ActionPlace

ACT, READ = ApiToken.Scope.ACT, ApiToken.Scope.READ
TAG_VERBS = (
    "register", "assign", "restore", "unassign", "deregister", "deprecate", "revive",
)  # fmt: skip
VERBS = (*TAG_VERBS, "add", "edit")


class Program:
    """Asks with JSON; `status`, `headers` and what it `told` are of the last answer."""

    def __init__(
        self,
        place: ActionPlace,
        who: str = "eddy",
        scope: ApiToken.Scope = ACT,
        *,
        client: Client | None = None,
    ) -> None:
        """With a token of that scope; or as what `client` is, without one."""
        self.client = client or Client(enforce_csrf_checks=True)
        if client is None:
            person, name = place.people[who], f"CI of {who}, {scope}"
            _, text = make_token(person, name, scope, None)
            self.client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {text}"
        self.status = 0
        self.headers: dict[str, str] = {}

    def post(self, verb: str, key: str = "", **body: Any) -> Any:
        """What is answered; `artifact` and `repository` are those of the place."""
        given = {"repository": "acme/churn"}
        given |= {} if verb == "add" else {"artifact": "churn"}
        return self.send(verb, json.dumps(given | body), key)

    def send(self, verb: str, text: str | bytes, key: str = "") -> Any:
        headers = {"Idempotency-Key": key} if key else {}
        return self._read(
            self.client.post(
                f"/api/v1/{verb}", text, "application/json", headers=headers
            )
        )

    def get(self, path: str, **query: Any) -> Any:
        address = path if path.startswith("/") else f"/api/v1/{path}"
        return self._read(self.client.get(address, query))

    def done(self, verb: str, key: str = "", **body: Any) -> Any:
        """The action that was done."""
        told = self.post(verb, key, **body)
        assert self.status == 201, told
        assert told["status"] == "done"
        assert self.headers["Location"] == told["href"]
        return told

    def refused(self, status: int, code: str, verb: str, **body: Any) -> Any:
        """The problem, which has this status and code."""
        told = self.post(verb, **body)
        self.is_problem(told, status, code)
        return told

    def is_problem(self, told: Any, status: int, code: str) -> None:
        assert self.status == status, told
        assert self.headers["Content-Type"] == "application/problem+json"
        assert told["type"] == f"urn:muster:problem:{code}"
        assert told["status"] == status
        assert told["title"]
        assert told["detail"].endswith("."), told["detail"]

    def _read(self, answer: Any) -> Any:
        self.status = answer.status_code
        self.headers = dict(answer.headers)
        return json.loads(answer.content)
