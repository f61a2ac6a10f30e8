"""Webhooks of the GitLab test server, delivered as GitLab does it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from datetime import datetime, timedelta
from typing import Any

from tests.providers import gitlab_answers as answers
from tests.providers.api_requests import Delivery
from tests.providers.gitlab_state import GitLabState, Project

NONE = "0" * 40
MOST_REFS = 3  # of one kind in one push; beyond, GitLab tells nothing of them
TITLES = {"push": "Push Hook", "tag_push": "Tag Push Hook"}


class DeliveringServer(GitLabState):
    """With `delivers` a push is told to the webhooks that want it. With `signs` a
    delivery is signed, as newer ones of GitLab are; the token is sent all the same."""

    signs = False

    def note_push(
        self, row: Project, when: datetime | None
    ) -> tuple[dict[str, str], dict[str, str]]:
        row.activity = when or row.activity + timedelta(seconds=1)
        before, row.seen_refs = row.seen_refs, answers.all_refs(row.bare)
        return before, row.seen_refs

    def tell_of_push(
        self, project: Project, before: dict[str, str], after: dict[str, str]
    ) -> None:
        """https://docs.gitlab.com/user/project/integrations/webhook_events/"""
        refs = sorted(set(before) | set(after))
        changed = [ref for ref in refs if before.get(ref) != after.get(ref)]
        for kind, under in (("push", "refs/heads/"), ("tag_push", "refs/tags/")):
            of_kind = [ref for ref in changed if ref.startswith(under)]
            for ref in of_kind if len(of_kind) <= MOST_REFS else ():
                old, new = before.get(ref, NONE), after.get(ref, NONE)
                self.tell(
                    project, kind, self.push_payload(project, kind, ref, old, new)
                )

    def tell(self, project: Project, event: str, payload: Any) -> list[Delivery]:
        """Deliver to every webhook of the project and of the groups above it that
        wants the event."""
        told = []
        for (kind, number), hooks in list(self.hooks.items()):
            owner = next((o for o in self.owners.values() if o.id == number), None)
            concerns = (
                number == project.id
                if kind == "project"
                else owner is not None and project.path.startswith(f"{owner.path}/")
            )
            told += [
                self.deliver(hook, event, payload)
                for hook in list(hooks)
                if concerns and hook.get(f"{event}_events")
            ]
        return told

    def deliver(
        self, hook: dict[str, Any], event: str, payload: Any, delivery_id: str = ""
    ) -> Delivery:
        """Post a payload to a webhook. `event` is "push", "tag_push" or a title as in
        `X-Gitlab-Event`."""
        body = json.dumps(payload).encode()
        secret = self.secrets[str(hook["id"])]
        delivery_id = delivery_id or str(uuid.uuid4())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "GitLab/18.5.0-ee",
            "X-Gitlab-Event": TITLES.get(event, event),
            "X-Gitlab-Webhook-UUID": str(uuid.uuid4()),
            "X-Gitlab-Instance": self.url,
            "X-Gitlab-Event-UUID": str(uuid.uuid4()),
            "Idempotency-Key": delivery_id,
        }
        if secret:
            headers["X-Gitlab-Token"] = secret
        if secret and self.signs:
            headers |= _signature(secret, delivery_id, body)
        return self.post_delivery(hook["url"], event, body, headers)

    def push_payload(
        self, project: Project, kind: str, ref: str, old: str, new: str
    ) -> dict[str, Any]:
        """A payload of a push to one ref; `new` is zeros where it was deleted."""
        url = f"{self.url}/{project.path}"
        alice = self.owners["alice"]
        return {
            "object_kind": kind,
            "event_name": kind,
            "before": old,
            "after": new,
            "ref": ref,
            "ref_protected": False,
            "checkout_sha": None if new == NONE else new,
            "user_id": alice.id,
            "user_name": "Alice",
            "user_username": alice.path,
            "project_id": project.id,
            "project": {
                "id": project.id,
                "name": project.path.rpartition("/")[2],
                "description": project.description,
                "web_url": url,
                "git_http_url": f"{url}.git",
                "namespace": project.path.split("/")[0],
                "visibility_level": 20 if project.visibility == "public" else 0,
                "path_with_namespace": project.path,
                "default_branch": answers.default_branch(project.bare),
            },
            "commits": [],
            "total_commits_count": 0,
        }


def _signature(secret: str, delivery_id: str, body: bytes) -> dict[str, str]:
    """The headers of https://www.standardwebhooks.com, which GitLab's scheme follows;
    a key that begins with whsec_ is base64."""
    now = str(int(time.time()))
    key = secret.encode()
    if secret.startswith("whsec_"):
        key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{delivery_id}.{now}.".encode() + body
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": now,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }
