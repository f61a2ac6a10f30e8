"""GitHub's API as calls: PyGithub makes the requests, our session sends them.

PyGithub is given a connection of ours every time (`requester.py`), so that nothing
leaves by another way than `http.ProviderSession`, which also settles redirects, limits
and faults. What PyGithub would do by itself stays unused: its retries (they repeat
writes), its pauses, its lists (they take an empty page for the end) and the addresses
that answers carry."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

from github import Auth

from indexer.budgets import Budget
from indexer.providers import http_answers
from indexer.providers.addresses import AllowPrivate
from indexer.providers.base import Progress, no_progress
from indexer.providers.errors import (
    AccessDenied,
    AddressRefused,
    BadPayload,
    NotFound,
    ProviderError,
    Refused,
    Unavailable,
)
from indexer.providers.github.requester import PER_PAGE, SessionRequester
from indexer.providers.http import ProviderSession, secrets_of
from indexer.providers.http_answers import Answer

PLACE = "GitHub"
MAX_PAGES = 1000

OWNER_OR_NAME = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)+/?", re.ASCII)
# What PyGithub raises where an answer is not as it thinks.
SURPRISES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    http_answers.NotJson,
)
# Errors of a query that a smaller one does not have, or that pass by themselves.
# https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api
TOO_MUCH = frozenset(
    {"RESOURCE_LIMITS_EXCEEDED", "MAX_NODE_LIMIT_EXCEEDED", "TIMEOUT", "INTERNAL"}
)
TOO_SLOW = "something went wrong while executing your query"
NOT_ALLOWED = frozenset({"FORBIDDEN", "INSUFFICIENT_SCOPES", "SAML_FAILURE"})


class GitHubClient:
    """GitHub as one token sees it; "" is nobody's. `bearer` is an app's own proof
    instead of a token. Every method raises only `errors.ProviderError`."""

    def __init__(
        self,
        api_url: str,
        *,
        token: str,
        budget: Budget,
        allow_private: AllowPrivate,
        bearer: str = "",
    ) -> None:
        self.api_url = api_url.rstrip("/")
        self.is_anonymous = not (token or bearer)
        # Such tokens do not say what they may do.
        # https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github#githubs-token-formats
        self.is_fine_grained = token.startswith("github_pat_")
        self.session = ProviderSession(
            self.api_url, place=PLACE, budget=budget, allow_private=allow_private
        )
        self._requester = SessionRequester(
            self.api_url, _auth(token, bearer), self.session
        )

    def rest(
        self,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        body: Any = None,
        etag: str = "",
    ) -> Answer:
        """One request. `path` begins with "/", is quoted already, and never comes
        from an answer; with an `etag` the answer may be a 304."""
        _refuse_odd_path(path)
        headers = {"Accept": "application/vnd.github+json"}
        if etag:
            headers["If-None-Match"] = etag
        answer = self._send(method, path, parameters, headers, body)
        if "partial-results" in answer.headers.get("x-github-sso", ""):
            raise AccessDenied(
                "GitHub left something out: some of the organisation's repositories "
                "were held back because the token is not authorised for its single "
                "sign-on. Authorise it in the token's settings at GitHub "
                "(“Configure SSO”)."
            )
        return answer

    def pages(
        self,
        path: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        inside: str = "",
        progress: Progress = no_progress,
    ) -> list[Any]:
        """A whole list of objects, however many pages it has, or an error: never
        less. `inside` names the list where a page is an object that holds it beside
        its `total_count`."""
        found: list[Any] = []
        seen: set[str] = set()
        for number in range(1, MAX_PAGES + 1):
            answer = self.rest(
                "GET",
                path,
                parameters={
                    **(parameters or {}),
                    "per_page": PER_PAGE,
                    "page": number,
                },
            )
            page, total = parse_page(answer.data, inside)
            mark = _mark(page)
            if mark in seen:
                raise BadPayload(f"{PLACE} sent the same page of a list again.")
            seen.add(mark)
            found += page
            progress("Listing repositories", len(found), total)
            if not has_next(answer, page):
                if len(found) < total:
                    raise BadPayload(
                        f"{PLACE} speaks of {total} entries and listed {len(found)}."
                    )
                return found
        raise BadPayload(f"{PLACE} sent more than {MAX_PAGES} pages of one list.")

    def graphql(self, query: str, variables: Mapping[str, Any] | None = None) -> Answer:
        """One query. `data` of the answer is {"data": …, "errors": […]}; errors that
        concern a part of the query are left to the caller."""
        body = {"query": query, "variables": dict(variables or {})}
        url = self._requester.graphql_url
        answer = self._send("POST", url, None, {}, body)
        if not isinstance(answer.data, dict):
            raise BadPayload(f"{PLACE} answered a query with something else.")
        self._settle_errors(answer)
        return answer

    def close(self) -> None:
        """Close the connections."""
        self.session.close()

    def _send(
        self,
        method: str,
        url: str,
        parameters: Mapping[str, Any] | None,
        headers: dict[str, str],
        body: Any,
    ) -> Answer:
        try:
            status, found, text = self._requester.requestJson(
                method, url, dict(parameters or {}), headers, body
            )
            data = http_answers.parse_json(text.encode()) if text else None
        except SURPRISES as error:
            # Without it: it may quote the request, and so the token.
            name = type(error).__name__
            raise BadPayload(
                f"{PLACE} sent an answer that makes no sense ({name}). Muster tries "
                "again later."
            ) from None
        return Answer(status, data, found.get("etag", ""), found)

    def _settle_errors(self, answer: Answer) -> None:
        """Raise what concerns a whole query, though GitHub answered it with 200."""
        errors = answer.data.get("errors")
        if errors is None:
            errors = []
        if not isinstance(errors, list) or not all(isinstance(e, dict) for e in errors):
            raise BadPayload(f"{PLACE} sent errors of a query that make no sense.")
        whole = isinstance(answer.data.get("data"), dict)
        if not whole and isinstance(answer.data.get("message"), str):
            errors = [*errors, answer.data]
        for error in errors:
            self._hide_token(error)
            self._settle_error(error, answer, whole=whole)
        if not whole:
            raise BadPayload(f"{PLACE} answered a query with neither data nor errors.")

    def _hide_token(self, error: dict[str, Any]) -> None:
        """A server may quote the request in its reason, and this one comes with 200."""
        if isinstance(error.get("message"), str):
            secrets = list(secrets_of(self._requester.response.request.headers))
            error["message"] = http_answers.clean(error["message"], secrets)

    def _settle_error(
        self, error: Mapping[str, Any], answer: Answer, *, whole: bool
    ) -> None:
        kind, reason = str(error.get("type", "")), clean(error.get("message"))
        told = reason.lower()
        if kind == "RATE_LIMITED" or "secondary rate limit" in told:
            raise self.session.rate_limited(self._requester.response, "graphql")
        if kind in TOO_MUCH or TOO_SLOW in told:
            raise Unavailable(
                f"{PLACE} could not finish a query. It says: “{reason}”.",
                status=answer.status,
            )
        if not whole:
            raise query_error(kind, reason)


def query_error(kind: str, reason: str) -> ProviderError:
    """What an error of a query means; `reason` is clean already."""
    if kind == "NOT_FOUND":
        return NotFound(
            f"{PLACE} has no such thing, or hides it from this token. Check the "
            "token's rights."
        )
    if kind in NOT_ALLOWED:
        return AccessDenied(
            f"{PLACE} does not let the token read this. {PLACE} says: “{reason}”. "
            "Check the token's rights."
        )
    return Refused(f"{PLACE} refused a query. {PLACE} says: “{reason}”.")


def quoted(name: str) -> str:
    """A ref or a path as part of an address. Everything but "/" is quoted: with a raw
    "#" in it the request would be about another tag."""
    return quote(name, safe="/")


def repository_path(full_name: str) -> str:
    """`/repos/owner/name`. Raises AddressRefused for a name GitHub cannot have."""
    owner, slash, name = full_name.partition("/")
    if not slash:
        raise AddressRefused(f"{clean(full_name)} is not of the form owner/name.")
    return f"/repos/{segment(owner)}/{segment(name)}"


def segment(name: str) -> str:
    """The name of an owner or repository, or a number, as a part of an address.
    Raises AddressRefused if it is none."""
    if not OWNER_OR_NAME.fullmatch(name) or name in {".", ".."}:
        shown = f"“{clean(name)}”" if name.strip() else "Nothing"
        raise AddressRefused(
            f"{shown} is no name at GitHub: those have letters, digits, “.”, “_” and "
            "“-” only."
        )
    return name


def clean(text: object) -> str:
    """A text of GitHub's, in one short line."""
    found = http_answers.clean(text, ()) if isinstance(text, str) else ""
    return found or "no reason given"


def _auth(token: str, bearer: str) -> Auth.Auth | None:
    if bearer:
        return Auth.AppAuthToken(bearer)
    return Auth.Token(token) if token else None


def _refuse_odd_path(path: str) -> None:
    parts = unquote(path).split("/")
    if not PATH.fullmatch(path) or ".." in parts or "." in parts:
        raise AddressRefused(f"“{clean(path)}” is no path of GitHub's API.")


def has_next(answer: Answer, page: Sequence[Any]) -> bool:
    """Whether another page may follow. A page may be short and not the last, so
    GitHub's word counts as well; it is only a hint, the address in it is not used."""
    return len(page) >= PER_PAGE or 'rel="next"' in answer.headers.get("link", "")


def parse_page(data: Any, inside: str = "") -> tuple[list[Any], int]:
    """The entries of a page, and of how many GitHub speaks (0: it does not say)."""
    total = 0
    if inside:
        if not isinstance(data, dict) or type(data.get("total_count")) is not int:
            raise BadPayload(f"{PLACE} sent a page of a list that is none.")
        data, total = data.get(inside), data["total_count"]
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise BadPayload(f"{PLACE} sent a page of a list that is none.")
    return data, total


def _mark(page: list[Any]) -> str:
    """What tells a page from another: its first entry's name."""
    if not page:
        return ""
    first = page[0]
    name = next((first[key] for key in ("id", "ref", "sha") if key in first), first)
    return json.dumps(name, sort_keys=True)
