"""GitLab's API as calls: python-gitlab makes the requests, our session sends them.

Only python-gitlab's lowest call is used. Its lists follow the `Link` of an answer
wherever it leads, with the token, and take a page that is none for the end; here every
next page is asked for by a path of our own. Its retries and pauses are off: the
session raises RateLimited, and whoever called decides when to come back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import parse_qs, quote, urlsplit

import gitlab
import requests
from gitlab.exceptions import GitlabError

from indexer.budgets import Budget
from indexer.providers.addresses import AllowPrivate
from indexer.providers.base import Progress, no_progress
from indexer.providers.errors import (
    AddressRefused,
    BadPayload,
    ProviderError,
    TooLarge,
    Unavailable,
)
from indexer.providers.http import SECONDS, ProviderSession
from indexer.providers.http_answers import Answer

PLACE = "GitLab"
API = "/api/v4"
PER_PAGE = 100
# GitLab gives no more than 50,000 of a list by number of page, and lists by key have
# 1,000 pages of us at most.
# https://docs.gitlab.com/api/rest/#pagination
MAX_PAGES = 1_000

PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)+", re.ASCII)
NEXT = re.compile(r'<([^>]*)>\s*;[^,]*\brel="?next"?')
OAUTH = re.compile(r"[0-9a-f]{64}")  # personal tokens begin with a prefix, or are short
# What python-gitlab raises where an answer is not as it thinks.
SURPRISES = (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError)

# How the next page is asked for: by its number, by the last id of the page before, or
# by the token that GitLab gives with it.
Paging = Literal["page", "id_after", "page_token"]


class GitLabClient:
    """GitLab as one token sees it; "" is nobody's. `api_url` ends in /api/v4. Every
    method raises only `errors.ProviderError`."""

    def __init__(
        self, api_url: str, *, token: str, budget: Budget, allow_private: AllowPrivate
    ) -> None:
        self.api_url = api_url.rstrip("/")
        if not self.api_url.endswith(API):
            raise AddressRefused(f"The address of GitLab's API ends in {API}.")
        self.web_url = self.api_url.removesuffix(API)
        self.token = token
        self.budget = budget
        self.allow_private = allow_private
        self.session = ProviderSession(
            self.api_url, place=PLACE, budget=budget, allow_private=allow_private
        )
        is_oauth = OAUTH.fullmatch(token) is not None
        self._gitlab = gitlab.Gitlab(
            self.web_url,
            private_token=None if is_oauth else token or None,
            oauth_token=token if is_oauth else None,
            session=self.session,
            timeout=SECONDS,
            retry_transient_errors=False,
            user_agent="Muster",
        )

    def __repr__(self) -> str:
        return f"GitLabClient({self.api_url!r})"

    def close(self) -> None:
        """Give up the connections that are kept open."""
        self.session.close()

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
        if not PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
            raise AddressRefused("Muster was about to ask GitLab for an odd path.")
        response = self._send(method, path, parameters, body, etag)
        if response is None:
            return Answer(304, None, etag, {})
        headers = {key.lower(): value for key, value in response.headers.items()}
        return Answer(
            response.status_code, _json(response), headers.get("etag", ""), headers
        )

    def pages(
        self,
        path: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        key: str = "id",
        paging: Paging = "page",
        most: int = MAX_PAGES,
        progress: Progress = no_progress,
        phase: str = "",
    ) -> list[Any]:
        """A whole list, every page of it, or an error: a page that is no list, an item
        that comes twice (`key` tells items apart), a number of items that is not the
        one GitLab counted. `progress` is told `phase` and how many there are. Raises
        TooLarge for a list of more than `most` pages."""
        collected = _Pages(path, key, paging)
        asked: dict[str, Any] = {**(parameters or {}), "per_page": PER_PAGE}
        if paging != "page":
            asked["pagination"] = "keyset"
        for _ in range(most):
            following = collected.add(self.rest("GET", path, parameters=asked))
            if phase:
                progress(phase, len(collected.items), collected.total or 0)
            if not following:
                return collected.items
            asked |= following
        raise TooLarge(
            f"{PLACE} gives a list of more than {most * PER_PAGE} items ({path}), "
            "which Muster does not read."
        )

    def _send(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, Any] | None,
        body: Any,
        etag: str,
    ) -> requests.Response | None:
        """The answer; None for a 304 that was asked for."""
        try:
            return self._gitlab.http_request(
                method.lower(),
                path,
                query_data=dict(parameters or {}),
                post_data=body,
                obey_rate_limit=False,
                retry_transient_errors=False,
                max_retries=0,
                extra_headers={"If-None-Match": etag} if etag else None,
            )
        except ProviderError:
            raise
        except GitlabError as error:
            if error.response_code == 304 and etag:
                return None
            raise BadPayload(
                f"{PLACE} gave an answer that Muster does not understand.",
                status=error.response_code or 0,
            ) from None
        except requests.RequestException:
            raise Unavailable(f"{PLACE} could not be reached. Try later.") from None
        except SURPRISES:
            raise BadPayload(
                f"{PLACE} gave an answer that Muster does not understand."
            ) from None


class _Pages:
    """The pages of one list so far."""

    def __init__(self, path: str, key: str, paging: Paging) -> None:
        self.items: list[Any] = []
        self.total: int | None = None
        self._path = path
        self._key = key
        self._paging = paging
        self._page = 0
        self._seen: set[Any] = set()
        self._tokens: set[str] = set()

    def add(self, answer: Answer) -> Mapping[str, Any]:
        """Take a page; what asks for the next one, {} after the last."""
        if answer.status != 200 or not isinstance(answer.data, list):
            raise BadPayload(
                f"{PLACE} gave a page of a list that is none ({self._path}). Muster "
                "keeps what it has and tries again."
            )
        self._page += 1
        for item in answer.data:
            name = item.get(self._key) if isinstance(item, dict) else None
            if not isinstance(name, str | int):
                raise BadPayload(f"{PLACE} listed something that has no {self._key}.")
            if name in self._seen:
                raise self._moved()
            self._seen.add(name)
        self.items += answer.data
        self._count(answer)
        following = self._following(answer)
        if not following and self.total not in {None, len(self.items)}:
            raise self._moved()
        return following

    def _count(self, answer: Answer) -> None:
        """GitLab counts lists of up to 10,000 items with every page."""
        said = answer.headers.get("x-total", "")
        if not said:
            return
        total = int(said) if said.isdecimal() else -1
        if total < 0 or self.total not in {None, total}:
            raise self._moved()
        self.total = total

    def _following(self, answer: Answer) -> Mapping[str, Any]:
        is_full = len(answer.data) >= PER_PAGE
        link = NEXT.search(answer.headers.get("link", ""))
        if self._paging == "id_after":
            more = bool(answer.data) and (is_full or link is not None)
            return {"id_after": answer.data[-1]["id"]} if more else {}
        if self._paging == "page_token" and (
            link or "x-next-page" not in answer.headers
        ):
            return self._token(link[1] if link else "")
        said = answer.headers.get("x-next-page")
        if said:
            if said != str(self._page + 1):
                raise BadPayload(f"{PLACE} sends us from page to page in circles.")
            return {"page": self._page + 1}
        if said is None and is_full:
            return {"page": self._page + 1}
        return {}

    def _token(self, link: str) -> Mapping[str, Any]:
        """The token of the next page. Nothing else of the address is used: not its
        host, not its path."""
        token = parse_qs(urlsplit(link).query).get("page_token", [""])[0]
        if link and (not token or token in self._tokens):
            raise BadPayload(f"{PLACE} sends us from page to page in circles.")
        self._tokens.add(token)
        return {"page_token": token} if token else {}

    def _moved(self) -> Unavailable:
        return Unavailable(
            f"A list at {PLACE} changed while it was read ({self._path}). Muster keeps "
            "what it has and tries again."
        )


def quoted(path: str) -> str:
    """A group's, user's or repository's path as one segment of an address. Raises
    AddressRefused for one that could lead elsewhere."""
    segments = path.split("/")
    if any(part in {"", ".", ".."} for part in segments) or not path.isprintable():
        raise AddressRefused(
            f"“{path[:100]}” is no path of {PLACE}: it has an empty part or dots alone."
        )
    return quote(path, safe="")


def _json(response: requests.Response) -> Any:
    if response.status_code == 204 or not response.content:
        return None
    try:
        return response.json()
    except (ValueError, RecursionError):
        raise BadPayload(f"{PLACE} gave an answer that is no JSON.") from None
