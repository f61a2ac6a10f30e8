"""What a delivery of a webhook means. Pure: names and numbers in, a wish out.

A payload is only a hint. All that is taken from it is which repository it is about, by
the provider's number, and whether that is worth a crawl or a look at the whole
connection; what is true is then read from the provider."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Payload = Mapping[str, Any]

BRANCH = "refs/heads/"
TAG = "refs/tags/"
NAME = re.compile(r"[a-z_]{1,60}", re.ASCII)  # of an event or action


class Asks(StrEnum):
    """What a delivery asks for."""

    CRAWL = "crawl"  # of one repository
    DISCOVERY = "discovery"  # of the connection
    REPAIR = "repair"  # the webhook itself was deleted
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one delivery means. `repository_id` is the provider's number, "" for none.
    `branch` is the branch it is about ("" for tags), `default_branch` what the
    provider calls the default one. `word` is what happened, for people."""

    asks: Asks
    word: str
    repository_id: str = ""
    branch: str = ""
    default_branch: str = ""
    installation_id: str = ""
    hook_id: str = ""


# https://docs.github.com/webhooks/webhook-events-and-payloads
REPOSITORY_ACTIONS = {
    "archived", "created", "deleted", "edited", "privatized", "publicized", "renamed",
    "transferred", "unarchived",
}  # fmt: skip
INSTALLATION_EVENTS = {"installation", "installation_repositories"}
# https://docs.gitlab.com/user/project/integrations/webhook_events/ for a group, and
# https://docs.gitlab.com/administration/system_hooks/ for those with the same names.
GITLAB_PUSHES = {"push", "tag_push"}
GITLAB_CHANGES = {
    "group_destroy", "group_rename", "project_create", "project_destroy",
    "project_rename", "project_transfer", "project_update", "repository_update",
    "subgroup_create", "subgroup_destroy",
}  # fmt: skip


def read_github(event: str, payload: Payload) -> Meaning:
    """The meaning of a GitHub event (`X-GitHub-Event`)."""
    repository = _mapping(payload, "repository")
    repository_id = _number(repository, "id")
    action = _text(payload, "action")
    word = f"{event} {action}" if NAME.fullmatch(action) else event
    if event == "push":
        return _push(
            word, repository_id, _text(payload, "ref"),
            _text(repository, "default_branch"),
        )  # fmt: skip
    if event in {"create", "delete"}:
        prefix = {"branch": BRANCH, "tag": TAG}.get(_text(payload, "ref_type"), "")
        return _push(
            word, repository_id, prefix + _text(payload, "ref"),
            _text(repository, "default_branch"),
        )  # fmt: skip
    if event == "public" or (event == "repository" and action in REPOSITORY_ACTIONS):
        return Meaning(Asks.DISCOVERY, word, repository_id)
    if event in INSTALLATION_EVENTS:
        installation_id = _number(_mapping(payload, "installation"), "id")
        return Meaning(Asks.DISCOVERY, word, installation_id=installation_id)
    if event == "organization" and action in {"renamed", "deleted"}:
        return Meaning(Asks.DISCOVERY, word)
    if event == "meta" and action == "deleted":
        hook_id = _number(payload, "hook_id")
        return Meaning(Asks.REPAIR, word, repository_id, hook_id=hook_id)
    return Meaning(Asks.NOTHING, word, repository_id)


def read_gitlab(event: str, payload: Payload) -> Meaning:
    """The meaning of a GitLab event. Its header (`X-Gitlab-Event`) only says the kind;
    the payload's `event_name` or `object_kind` says what happened."""
    name = _text(payload, "event_name") or _text(payload, "object_kind")
    project = _mapping(payload, "project")
    project_id = _number(payload, "project_id") or _number(project, "id")
    word = name if NAME.fullmatch(name) else event
    if name in GITLAB_PUSHES:
        return _push(
            word, project_id, _text(payload, "ref"), _text(project, "default_branch")
        )
    if name in GITLAB_CHANGES:
        return Meaning(Asks.DISCOVERY, word, project_id)
    return Meaning(Asks.NOTHING, word, project_id)


def _push(word: str, repository_id: str, ref: str, default_branch: str) -> Meaning:
    """A ref was made, moved or deleted; which of these, the crawl sees."""
    if not repository_id:
        return Meaning(Asks.NOTHING, word)
    branch = ref.removeprefix(BRANCH) if ref.startswith(BRANCH) else ""
    return Meaning(Asks.CRAWL, word, repository_id, branch, default_branch)


def _mapping(payload: Payload, name: str) -> Payload:
    value = payload.get(name)
    return value if isinstance(value, dict) else {}


def _text(payload: Payload, name: str) -> str:
    value = payload.get(name)
    return value if isinstance(value, str) else ""


def _number(payload: Payload, name: str) -> str:
    """A positive number as text, "" for anything else: True is none, nor is "1"."""
    value = payload.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        return ""
    return str(value) if 0 < value < 2**63 else ""
