"""Errors of the API: `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import cast

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from indexer.core.snapshot import Json
from indexer.full_disk import is_disk_full
from indexer.permissions import User
from indexer.renames import renamed_address

logger = logging.getLogger(__name__)


class ApiProblem(Exception):
    """Something the client should know: what happened and what to do."""

    challenge = ""  # how to say who asks (RFC 6750, section 3), where that is missing

    def __init__(
        self, status: int, kind: str, title: str, detail: str, **more: Json
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.title = title
        self.detail = detail
        self.more = more


class BadParameter(ApiProblem):
    """A query parameter makes no sense."""

    def __init__(self, detail: str) -> None:
        super().__init__(400, "bad-parameter", "A parameter makes no sense", detail)


class NotThere(ApiProblem):
    """Nothing of that name, or nothing that this person may see."""

    def __init__(self, detail: str, **more: Json) -> None:
        super().__init__(404, "not-found", "Not found", detail, **more)


class SignInNeeded(ApiProblem):
    """Who asks is not said, and strangers may not read."""

    challenge = 'Bearer realm="Muster"'

    def __init__(self) -> None:
        super().__init__(
            401,
            "sign-in-needed",
            "Sign in first",
            "This registry shows its models to people who signed in. Sign in, or send "
            "an API token.",
        )


class BadToken(ApiProblem):
    """An `Authorization` header that names nobody. It does not say why: whoever found
    an old token learns nothing."""

    challenge = 'Bearer realm="Muster", error="invalid_token"'

    def __init__(self) -> None:
        super().__init__(
            401,
            "bad-token",
            "The API token does not work",
            "It is mistyped, expired or revoked, or its person may not sign in any "
            "more. Make a new one at /account/tokens and send it as "
            "“Authorization: Bearer muster_…”.",
        )


class ScopeTooSmall(ApiProblem):
    """A token to read, used to change something."""

    challenge = 'Bearer realm="Muster", error="insufficient_scope", scope="act"'

    def __init__(self) -> None:
        super().__init__(
            403,
            "scope-too-small",
            "The API token may only read",
            "To change something, make a token of scope “Read and act” at "
            "/account/tokens.",
        )


class TooLarge(ApiProblem):
    """A body over the limit of forms."""

    def __init__(self) -> None:
        super().__init__(
            413,
            "too-large",
            "The request is too large",
            "Its body has at most 2.5 MB.",
        )


class DiskFull(ApiProblem):
    """What was asked for has to be written, and cannot be."""

    def __init__(self) -> None:
        super().__init__(
            507,
            "disk-full",
            "The disk of this registry is full",
            "Nothing can be written until its administrator frees some space; reading "
            "goes on.",
        )


def problem_response(problem: ApiProblem) -> HttpResponse:
    """The answer that tells it."""
    body = {
        "type": f"urn:muster:problem:{problem.kind}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        **problem.more,
    }
    response = HttpResponse(
        json.dumps(body, ensure_ascii=False, allow_nan=False),
        status=problem.status,
        content_type="application/problem+json",
    )
    if problem.challenge:
        response["WWW-Authenticate"] = problem.challenge
    return response


def add_problem_handlers(api: NinjaAPI) -> None:
    """Make every error of `api` a problem."""

    @api.exception_handler(ApiProblem)
    def known(request: HttpRequest, error: ApiProblem) -> HttpResponse:
        return problem_response(error)

    @api.exception_handler(NotThere)
    def not_there(request: HttpRequest, error: NotThere) -> HttpResponse:
        if address := renamed_address(request, cast(User, request.user)):
            return HttpResponseRedirect(address)
        return problem_response(error)

    @api.exception_handler(AuthenticationError)
    def stranger(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
        return problem_response(SignInNeeded())

    @api.exception_handler(ValidationError)
    def invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
        details = []
        for one in error.errors:
            names = [name for name in one.get("loc", ()) if isinstance(name, str)]
            details.append(f"{names[-1] if names else 'The request'}: {one['msg']}.")
        return problem_response(BadParameter(" ".join(details)))

    @api.exception_handler(Http404)
    def missing(request: HttpRequest, error: Http404) -> HttpResponse:
        return problem_response(NotThere(str(error) or "There is nothing here."))

    @api.exception_handler(HttpError)
    def other(request: HttpRequest, error: HttpError) -> HttpResponse:
        phrase = HTTPStatus(error.status_code).phrase
        return problem_response(
            ApiProblem(error.status_code, "error", phrase, str(error))
        )

    @api.exception_handler(SuspiciousOperation)
    def suspicious(request: HttpRequest, error: SuspiciousOperation) -> HttpResponse:
        if isinstance(error, RequestDataTooBig):
            return problem_response(TooLarge())
        return problem_response(
            ApiProblem(400, "bad-request", "The request makes no sense", f"{error}.")
        )

    @api.exception_handler(Exception)
    def unexpected(request: HttpRequest, error: Exception) -> HttpResponse:
        if is_disk_full(error):
            logger.error("The disk is full: %s failed", request.path)
            return problem_response(DiskFull())
        logger.error("The API failed at %s", request.path, exc_info=error)
        return problem_response(
            ApiProblem(
                500,
                "internal-error",
                "Something went wrong here",
                "The answer could not be made. The log of the server says why.",
            )
        )


def unknown_address(request: HttpRequest) -> HttpResponse:
    """What is under /api/v1/ and no operation."""
    return problem_response(
        NotThere("The API has no such address: /api/v1/docs lists them.")
    )
