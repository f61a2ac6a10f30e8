"""PyGithub's requester with one thing changed: it sends by our session alone."""

from __future__ import annotations

import logging
from collections.abc import ItemsView
from typing import Any, cast
from urllib.parse import urlsplit

import requests
from github import Auth
from github.Requester import HTTPSRequestsConnectionClass, Requester

from indexer.providers.errors import AddressRefused, BadPayload, Unavailable
from indexer.providers.http import ProviderSession

# https://docs.github.com/en/rest/about-the-rest-api/api-versions
API_VERSION = "2022-11-28"
PER_PAGE = 100
# Not one of logging's own, whose settings could open it again.
SILENT = logging.Logger("muster.github.silent")  # noqa: LOG001 - see above
SILENT.disabled = True


class SessionRequester(Requester):
    """PyGithub's requester, sending by our session alone."""

    def __init__(
        self, api_url: str, auth: Auth.Auth | None, session: ProviderSession
    ) -> None:
        super().__init__(
            auth=auth,
            base_url=api_url,
            timeout=30,  # the session's own comes first
            user_agent="Muster",
            per_page=PER_PAGE,
            verify=True,
            retry=0,
            pool_size=None,
            seconds_between_requests=0,
            seconds_between_writes=0,
            lazy=True,
            api_version=API_VERSION,
        )
        parts = urlsplit(api_url)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._sender = _Sender(session, self._origin)

    @property
    def response(self) -> requests.Response:
        """The last that was received."""
        return self._sender.response

    @property
    def _logger(self) -> logging.Logger:
        """One that says nothing: PyGithub logs bodies, which may hold a token."""
        return SILENT

    def requestJson(
        self,
        verb: str,
        url: str,
        parameters: dict[str, Any] | None = None,
        headers: dict[str, Any] | None = None,
        input: Any | None = None,  # noqa: A002 - PyGithub's name
        cnx: object = None,
        follow_302_redirect: bool = False,
    ) -> tuple[int, dict[str, Any], str]:
        """As PyGithub's, over our session, to our server only. Redirects are the
        session's matter."""
        if not url.startswith("/") and not url.startswith(f"{self._origin}/"):
            raise AddressRefused("An address of another server is not asked.")
        ours = cast(HTTPSRequestsConnectionClass, self._sender)
        return super().requestJson(verb, url, parameters, headers, input, ours)


class _Sender:
    """One request by our session, in the shape of PyGithub's connections."""

    def __init__(self, session: ProviderSession, origin: str) -> None:
        self.host = urlsplit(origin).hostname
        self._session = session
        self._origin = origin

    def request(
        self, verb: str, url: str, body: Any, headers: dict[str, str], stream: bool
    ) -> None:
        self._request = (verb, self._origin + url, body, headers)

    def getresponse(self) -> _Received:
        verb, url, data, headers = self._request
        self.response = self._session.request(verb, url, data=data, headers=headers)
        return _Received(verb, self.response)

    def close(self) -> None:
        """The session is closed with the client."""


class _Received:
    """An answer of the session, in the shape PyGithub wants."""

    def __init__(self, verb: str, response: requests.Response) -> None:
        self.status = response.status_code
        self._response = response
        # PyGithub waits and asks again after a 202, and follows a 301 by itself.
        if self.status == 202 and verb == "GET":
            raise Unavailable("GitHub is still preparing its answer. Try later.")
        if self.status not in {200, 201, 202, 204, 304}:
            raise BadPayload(f"GitHub answered with the odd status {self.status}.")

    def getheaders(self) -> ItemsView[str, str]:
        return self._response.headers.items()

    def read(self) -> str:
        return self._response.content.decode("utf-8")
