"""The webhooks of the GitHub test server: what is told to whom, and its signature."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from pathlib import Path
from urllib.parse import urlencode

from tests.providers.api_requests import Delivery
from tests.providers.github_description import check_delivery
from tests.providers.github_payloads import Payloads
from tests.providers.github_state import JSON, Account, Conventions, Hook, Repository
from tests.providers.pushes import Pushes

NONE = "0" * 40


class DeliveringServer(Pushes):
    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.accounts: dict[str, Account] = {}  # by login in lower case
        self.hooks: dict[int, Hook] = {}
        self.conventions = Conventions()

    @property
    def payloads(self) -> Payloads:
        return Payloads(self.url, self.conventions)

    def deliver(
        self,
        hook: Hook | str,
        event: str,
        payload: JSON,
        secret: str = "",
        delivery_id: str = "",
    ) -> Delivery:
        """Sign a payload and post it, as GitHub does, to a hook or an address."""
        url = hook.url if isinstance(hook, Hook) else hook
        secret = secret or (hook.secret if isinstance(hook, Hook) else "")
        body = json.dumps(payload, separators=(",", ":")).encode()
        kind = "application/json"
        if isinstance(hook, Hook) and hook.content_type == "form":
            body = urlencode({"payload": body}).encode()
            kind = "application/x-www-form-urlencoded"
        headers = {
            "Content-Type": kind,
            "User-Agent": "GitHub-Hookshot/044aadd",
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": delivery_id or str(uuid.uuid4()),
            "X-GitHub-Enterprise-Host": "127.0.0.1",
        }
        if isinstance(hook, Hook):
            kind = "repository" if hook.repository else "organization"
            headers["X-GitHub-Hook-ID"] = str(hook.id)
            headers["X-GitHub-Hook-Installation-Target-Type"] = kind
        if secret:
            signed = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
            headers["X-Hub-Signature-256"] = f"sha256={signed}"
            old = hmac.new(secret.encode(), body, "sha1").hexdigest()
            headers["X-Hub-Signature"] = f"sha1={old}"
        return self.post_delivery(url, event, body, headers)

    def tell(self, row: Repository, event: str, payload: JSON) -> list[Delivery]:
        """Deliver to every hook of the repository and its owner that wants the event,
        with `repository`, `sender` and `organization` added."""
        shapes = self.payloads
        payload = {
            **payload,
            "repository": shapes.repository(row, admin=True, push=True),
            "sender": shapes.account(self.accounts["robot"]),
        }
        if row.owner.kind == "org":
            payload["organization"] = shapes.owner(row.owner)
        if self.is_checked:
            self.violations += check_delivery(event, payload)
        return [
            self.deliver(hook, event, payload)
            for hook in list(self.hooks.values())
            if hook.is_active
            and (event in hook.events or "*" in hook.events or event == "ping")
            and (hook.repository == row.id or hook.owner == row.owner.login)
        ]

    def tell_of_push(
        self, row: Repository, before: dict[str, str], after: dict[str, str]
    ) -> None:
        """GitHub says nothing of tags when more than three came at once."""
        changed = [
            ref
            for ref in sorted(set(before) | set(after))
            if before.get(ref) != after.get(ref)
        ]
        tags = [ref for ref in changed if ref.startswith("refs/tags/")]
        for ref in changed:
            if ref in tags and len(tags) > 3:
                continue
            old, new = before.get(ref, NONE), after.get(ref, NONE)
            kind = "tag" if ref in tags else "branch"
            short = ref.split("/", 2)[2]
            self.tell(row, "push", self._push(row, ref, old, new))
            if NONE in {old, new}:
                event = "create" if old == NONE else "delete"
                named: JSON = {"ref": short, "ref_type": kind, "pusher_type": "user"}
                if event == "create":
                    named["master_branch"] = row.store.default_branch
                    named["description"] = row.description
                self.tell(row, event, named)

    def _push(self, row: Repository, ref: str, old: str, new: str) -> JSON:
        return {
            "ref": ref,
            "before": old,
            "after": new,
            "created": old == NONE,
            "deleted": new == NONE,
            "forced": False,
            "base_ref": None,
            "compare": f"{self.url}/{row.path}/compare/{old[:12]}...{new[:12]}",
            "commits": [],
            "head_commit": None,
            "pusher": {"name": "robot", "email": "robot@example.org"},
        }
