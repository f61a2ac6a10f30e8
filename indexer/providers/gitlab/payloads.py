"""GitLab's answers, checked: what comes in is any JSON, what goes out is ours. A shape
that is not GitLab's raises BadPayload and nothing else."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from indexer.core.snapshot import Instant
from indexer.providers.base import (
    Owner,
    OwnerKind,
    RemoteHook,
    RemoteRepository,
)
from indexer.providers.errors import BadPayload
from indexer.providers.http_answers import storable

ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
MAX_TEXT = 4_000


@dataclass(frozen=True, slots=True)
class Token:
    """What a token says of itself."""

    scopes: frozenset[str]
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Signer:
    """A person and a moment, of a commit."""

    name: str
    email: str
    when: Instant | None


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """A commit as GitLab tells it: all but its tree."""

    id: str
    parents: tuple[str, ...]
    author: Signer
    committer: Signer
    message: str


@dataclass(frozen=True, slots=True)
class TagInfo:
    """A tag as GitLab tells it. `target` is the tag object's id, or the commit's where
    the tag is lightweight; `commit` is None where it leads to none."""

    name: str
    target: str
    message: str
    created_at: Instant | None
    commit: CommitInfo | None

    @property
    def is_annotated(self) -> bool:
        """Whether there is a tag object, as far as can be told."""
        return self.commit is None or self.commit.id != self.target


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a tree, by its whole path."""

    path: str
    mode: str
    id: str
    is_folder: bool


def fields(value: Any, what: str) -> Mapping[str, Any]:
    """An object. `what` is what it should be, for the sentence."""
    if not isinstance(value, dict):
        raise _bad(what)
    return value


def parse_repository(value: Any) -> RemoteRepository:
    """https://docs.gitlab.com/api/projects/"""
    what = "a project"
    given = fields(value, what)
    path = _text(given, "path_with_namespace", what)
    parts = path.split("/")
    if len(parts) < 2 or {"", ".", ".."} & set(parts) or not path.isprintable():
        raise _bad(what)
    visibility = given.get("visibility")
    return RemoteRepository(
        id=_number(given, what),
        path=path,
        default_branch=_maybe_text(given, "default_branch", what),
        description=_maybe_text(given, "description", what)[:MAX_TEXT],
        is_fork=given.get("forked_from_project") is not None,
        is_archived=given.get("archived") is True,
        is_private=visibility != "public",
        is_empty=given.get("empty_repo") is True,
        pushed_at=_moment(given, "last_activity_at", what),
    )


def parse_group(value: Any) -> Owner:
    """https://docs.gitlab.com/api/groups/"""
    given = fields(value, "a group")
    path = _text(given, "full_path", "a group")
    return Owner(OwnerKind.GROUP, _number(given, "a group"), path)


def parse_user(value: Any) -> Owner:
    """https://docs.gitlab.com/api/users/"""
    given = fields(value, "a user")
    return Owner(
        OwnerKind.USER, _number(given, "a user"), _text(given, "username", "a user")
    )


def verified_emails(value: Any) -> tuple[str, ...]:
    """Of /user: the primary address once it is confirmed, and the one for commits,
    which is chosen among those that are."""
    given = fields(value, "a user")
    if not given.get("confirmed_at"):
        return ()
    found = [given.get("email"), given.get("commit_email")]
    return tuple({email: "" for email in found if isinstance(email, str) and email})


def parse_token(value: Any) -> Token:
    """https://docs.gitlab.com/api/personal_access_tokens/"""
    given = fields(value, "a token")
    scopes = given.get("scopes")
    if not isinstance(scopes, list) or not all(isinstance(s, str) for s in scopes):
        raise _bad("a token")
    expires = given.get("expires_at")
    if expires is None:
        return Token(frozenset(scopes), None)
    try:
        day = date.fromisoformat(str(expires)[:10])
    except ValueError:
        raise _bad("a token") from None
    # It ends at the beginning of that day, UTC.
    return Token(frozenset(scopes), datetime(day.year, day.month, day.day, tzinfo=UTC))


def parse_people(value: Any) -> tuple[Signer, ...]:
    """As whom GitLab may sign what the user of a token makes: their name with each of
    their e-mails. https://docs.gitlab.com/api/users/#retrieve-the-current-user"""
    given = fields(value, "a user")
    name = _text(given, "name", "a user")
    emails = ("commit_email", "email", "public_email")
    found = dict.fromkeys(_maybe_text(given, key, "a user") for key in emails)
    return tuple(Signer(name, email, None) for email in found if email)


def parse_access_level(value: Any) -> int:
    """https://docs.gitlab.com/api/members/"""
    level = fields(value, "a member").get("access_level")
    if not isinstance(level, int):
        raise _bad("a member")
    return level


def parse_hook(value: Any) -> RemoteHook:
    """https://docs.gitlab.com/api/project_webhooks/ and group_webhooks/"""
    given = fields(value, "a webhook")
    return RemoteHook(
        id=_number(given, "a webhook"),
        url=_text(given, "url", "a webhook"),
        is_active=given.get("alert_status", "executable") != "disabled",
        events=frozenset(
            key
            for key, set_ in given.items()
            if key.endswith("_events") and set_ is True
        ),
    )


def parse_tag(value: Any) -> TagInfo:
    """https://docs.gitlab.com/api/tags/"""
    given = fields(value, "a tag")
    commit = given.get("commit")
    return TagInfo(
        name=_text(given, "name", "a tag"),
        target=_object_id(given, "target", "a tag"),
        message=_maybe_text(given, "message", "a tag"),
        created_at=_instant(given, "created_at", "a tag"),
        commit=None if commit is None else parse_commit(commit),
    )


def parse_branch(value: Any) -> tuple[str, str]:
    """A branch's name and commit. https://docs.gitlab.com/api/branches/"""
    given = fields(value, "a branch")
    commit = fields(given.get("commit"), "a branch")
    return _text(given, "name", "a branch"), _object_id(commit, "id", "a branch")


def parse_commit(value: Any) -> CommitInfo:
    """https://docs.gitlab.com/api/commits/"""
    what = "a commit"
    given = fields(value, what)
    parents = given.get("parent_ids") or []
    if not isinstance(parents, list) or not all(
        isinstance(parent, str) and ID.fullmatch(parent) for parent in parents
    ):
        raise _bad(what)
    return CommitInfo(
        id=_object_id(given, "id", what),
        parents=tuple(parents),
        author=_signer(given, "author_name", "author_email", "authored_date"),
        committer=_signer(given, "committer_name", "committer_email", "committed_date"),
        message=_maybe_text(given, "message", what),
    )


def parse_entry(value: Any) -> Entry:
    """https://docs.gitlab.com/api/repositories/#list-all-repository-trees-in-a-project"""
    what = "an entry of a tree"
    given = fields(value, what)
    mode = _text(given, "mode", what)
    if not re.fullmatch(r"[0-7]{5,6}", mode):
        raise _bad(what)
    return Entry(
        path=_text(given, "path", what),
        mode=mode,
        id=_object_id(given, "id", what),
        is_folder=given.get("type") == "tree",
    )


def parse_blob(value: Any) -> bytes:
    """https://docs.gitlab.com/api/repositories/#retrieve-a-blob-from-a-repository"""
    given = fields(value, "a file")
    content = given.get("content")
    if given.get("encoding") != "base64" or not isinstance(content, str):
        raise _bad("a file")
    try:
        return base64.b64decode(content, validate=False)
    except (binascii.Error, ValueError):
        raise _bad("a file") from None


def _bad(what: str) -> BadPayload:
    return BadPayload(f"GitLab described {what} in a way that Muster does not know.")


def _text(given: Mapping[str, Any], key: str, what: str) -> str:
    value = given.get(key)
    if not isinstance(value, str) or not value:
        raise _bad(what)
    return storable(value)


def _maybe_text(given: Mapping[str, Any], key: str, what: str) -> str:
    value = given.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _bad(what)
    return storable(value)


def _number(given: Mapping[str, Any], what: str) -> str:
    value = given.get("id")
    if type(value) is not int or not 0 < value < 2**63:
        raise _bad(what)
    return str(value)


def _object_id(given: Mapping[str, Any], key: str, what: str) -> str:
    value = given.get(key)
    if not isinstance(value, str) or not ID.fullmatch(value):
        raise _bad(what)
    return value


def _moment(given: Mapping[str, Any], key: str, what: str) -> datetime | None:
    value = given.get(key)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (TypeError, ValueError, OverflowError):
        raise _bad(what) from None


def _instant(given: Mapping[str, Any], key: str, what: str) -> Instant | None:
    """A moment as Git writes it. GitLab adds milliseconds, which are no more than
    zeros, and shows the time zone of commits."""
    if _moment(given, key, what) is None:
        return None
    moment = datetime.fromisoformat(given[key])
    offset = moment.utcoffset()
    minutes = int(offset.total_seconds() // 60) if offset else 0
    return Instant(int(moment.timestamp() // 1), minutes)


def _signer(given: Mapping[str, Any], name: str, email: str, when: str) -> Signer:
    return Signer(
        _maybe_text(given, name, "a commit"),
        _maybe_text(given, email, "a commit"),
        _instant(given, when, "a commit"),
    )
