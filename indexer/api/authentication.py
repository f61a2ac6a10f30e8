"""Who asks the API: the person of an API token, or of a session.

A request with a token is judged by it alone. Cookies are not looked at, so it needs no
CSRF token; and a token that does not work is an error, never a reason to answer as if
there were none."""

from __future__ import annotations

from typing import cast

from django.conf import settings
from django.http import HttpRequest
from ninja.errors import HttpError
from ninja.security import APIKeyCookie, HttpBearer

from indexer.api.problems import ApiProblem, BadToken, ScopeTooSmall
from indexer.api_tokens import note_use, token_in_force
from indexer.models import ApiToken
from indexer.permissions import User, can_read, scope_allows


class TokenAuth(HttpBearer):
    """`Authorization: Bearer muster_…`. From here on `request.user` is its person."""

    openapi_bearerFormat = "muster_…"
    openapi_description = (
        "A token made at /account/tokens: `Authorization: Bearer muster_…`. One of "
        "scope read may only read."
    )

    def __call__(self, request: HttpRequest) -> ApiToken | None:
        """None without a token. Raises BadToken, ScopeTooSmall."""
        header = request.headers.get(self.header)
        # A proxy in front that asks for a password passes Basic on to us.
        if header is None or header.lower().startswith("basic "):
            return None
        kind, _, text = header.partition(" ")
        if kind.lower() != self.openapi_scheme:
            raise BadToken
        return self.authenticate(request, text.strip())

    def authenticate(self, request: HttpRequest, token: str) -> ApiToken:
        found = token_in_force(token)
        if found is None or not can_read(found.user):
            raise BadToken
        request.user = found.user
        if not scope_allows(found, request.method or ""):
            raise ScopeTooSmall
        note_use(found)
        return found


class SessionAuth(APIKeyCookie):
    """Whoever may read: everybody where reading is open, else who signed in. What is
    not safe needs the CSRF token that a form has."""

    param_name = settings.SESSION_COOKIE_NAME

    def _get_key(self, request: HttpRequest) -> str | None:
        try:
            return super()._get_key(request)
        except HttpError as error:
            raise ApiProblem(
                403,
                "csrf-token-needed",
                "The CSRF token is missing or wrong",
                "A request with a session's cookie needs its CSRF token to change "
                "anything. A program sends an API token instead.",
            ) from error

    def authenticate(self, request: HttpRequest, key: str | None) -> User | None:
        user = cast(User, request.user)
        return user if can_read(user) else None
