"""What GitHub's answers say, checked: the door behind which its JSON stays.

Each `parse_*` takes a piece of an answer and gives a value, or raises BadPayload: an
answer is never trusted to have the shape that the documentation promises."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from indexer.providers.base import Owner, OwnerKind, RemoteHook, RemoteRepository
from indexer.providers.errors import BadPayload
from indexer.providers.http_answers import storable

# An owner's name may be an enterprise's short one, with "_" in it.
FULL_NAME = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+", re.ASCII)
MAX_TEXT = 4_000
LOGIN = re.compile(r"[A-Za-z0-9._-]+(\[bot\])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Account:
    """A person, organisation or bot."""

    id: str
    login: str
    is_organisation: bool


@dataclass(frozen=True, slots=True)
class Installation:
    """A GitHub App installed for an account. `permissions` are of the whole
    installation: {"contents": "read", …}."""

    id: str
    account: Account
    is_suspended: bool
    permissions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Access:
    """A token of an installation, and when it ends. `repr` hides the token."""

    token: str = field(repr=False)
    expires_at: datetime


def parse_account(data: Any) -> Account:
    """An entry of /users, /orgs, or `account` of an installation."""
    found = _object(data, "an account")
    login = _text(found, "login", "an account")
    if not LOGIN.fullmatch(login) or login in {".", ".."}:
        raise _odd("an account")
    return Account(
        id=_id(found, "an account"),
        login=login,
        is_organisation=found.get("type") == "Organization",
    )


def verified_emails(data: Any) -> tuple[str, ...]:
    """Of /user: the public address, which GitHub lets one choose among those it has
    verified. https://docs.github.com/rest/users/users#get-the-authenticated-user"""
    email = _object(data, "an account").get("email")
    return (email,) if isinstance(email, str) and email else ()


def owner_of(account: Account) -> Owner:
    """An account as the owner of repositories."""
    kind = OwnerKind.ORGANISATION if account.is_organisation else OwnerKind.USER
    return Owner(kind, account.id, account.login)


def parse_repository(data: Any) -> RemoteRepository:
    """A repository of any list, or alone. Whether it is empty, REST does not say."""
    what = "a repository"
    found = _object(data, what)
    path = _text(found, "full_name", what)
    if not FULL_NAME.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise _odd(what)
    return RemoteRepository(
        id=_id(found, what),
        path=path,
        default_branch=_text_or_none(found, "default_branch", what),
        description=_text_or_none(found, "description", what)[:MAX_TEXT],
        is_fork=_flag(found, "fork", what),
        is_archived=_flag(found, "archived", what),
        is_private=_flag(found, "private", what),
        pushed_at=_time_or_none(found, "pushed_at", what),
    )


def parse_owner_of(data: Any) -> Account:
    """Whose a repository is."""
    return parse_account(_object(data, "a repository").get("owner"))


def parse_permissions(data: Any) -> frozenset[str]:
    """What the account that asks may do in a repository, as its entry says: "pull",
    "push", "admin". Of the account, not of its token; empty where it is not said."""
    found = _object(data, "a repository").get("permissions")
    if not isinstance(found, dict):
        return frozenset()
    return frozenset(key for key, value in found.items() if value is True)


def parse_hook(data: Any) -> RemoteHook:
    """A webhook of an organisation or a repository."""
    what = "a webhook"
    found = _object(data, what)
    config = found.get("config")
    url = config.get("url") if isinstance(config, dict) else None
    events = found.get("events")
    if not isinstance(events, list) or not all(isinstance(e, str) for e in events):
        raise _odd(what)
    return RemoteHook(
        id=_id(found, what),
        url=url if isinstance(url, str) else "",
        is_active=_flag(found, "active", what),
        events=frozenset(events),
    )


def parse_installation(data: Any) -> Installation:
    """An installation, as an app sees it."""
    what = "an installation"
    found = _object(data, what)
    permissions = _object(found.get("permissions"), what)
    return Installation(
        id=_id(found, what),
        account=parse_account(found.get("account")),
        is_suspended=found.get("suspended_at") is not None,
        permissions={str(key): str(value) for key, value in permissions.items()},
    )


def parse_access(data: Any) -> Access:
    """A token made for an installation."""
    what = "an access token"
    found = _object(data, what)
    token = _text(found, "token", what)
    expires_at = _time_or_none(found, "expires_at", what)
    if expires_at is None or not token.isprintable() or " " in token:
        raise _odd(what)
    return Access(token, expires_at)


def parse_expiry(text: str) -> datetime | None:
    """`github-authentication-token-expiration`, such as `2026-12-01 08:00:00 UTC` or
    with an offset; None for what is no time. It is shown, nothing depends on it."""
    try:
        moment = datetime.fromisoformat(text.strip().removesuffix(" UTC"))
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def parse_scopes(text: str | None) -> frozenset[str] | None:
    """`x-oauth-scopes` of a classic token; None: another kind of token, without."""
    if text is None:
        return None
    return frozenset(scope.strip() for scope in text.split(",") if scope.strip())


def _odd(what: str) -> BadPayload:
    return BadPayload(f"GitHub sent {what} of a shape that Muster does not know.")


def _object(data: Any, what: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise _odd(what)
    return data


def _id(found: dict[str, Any], what: str) -> str:
    number = found.get("id")
    if type(number) is not int or not 0 < number < 2**63:
        raise _odd(what)
    return str(number)


def _text(found: dict[str, Any], key: str, what: str) -> str:
    value = found.get(key)
    if not isinstance(value, str) or not value:
        raise _odd(what)
    return storable(value)


def _text_or_none(found: dict[str, Any], key: str, what: str) -> str:
    value = found.get(key)
    if value is not None and not isinstance(value, str):
        raise _odd(what)
    return storable(value or "")


def _flag(found: dict[str, Any], key: str, what: str) -> bool:
    value = found.get(key)
    if not isinstance(value, bool):
        raise _odd(what)
    return value


def _time_or_none(found: dict[str, Any], key: str, what: str) -> datetime | None:
    value = found.get(key)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        pass
    raise _odd(what)
