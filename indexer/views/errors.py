"""Answers for what went wrong. They look like the rest and tell nothing of the inside:
a page, or a problem at the API."""

from __future__ import annotations

import sys

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.template import loader

from indexer.api.problems import ApiProblem, DiskFull, TooLarge, problem_response
from indexer.full_disk import is_disk_full
from indexer.plain_text import OddText


def _page(status: int, **context: str) -> HttpResponse:
    """Rendered without the request: no session, no user, no query, so that it works
    when the database does not."""
    html = loader.get_template(f"{status}.html").render(context)
    return HttpResponse(html, status=status)


def _answer(request: HttpRequest, problem: ApiProblem, **context: str) -> HttpResponse:
    """In the shape of where it was asked."""
    if request.path.startswith("/api/"):
        return problem_response(problem)
    return _page(problem.status, **context)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Also what Django counts among those: a form that is too large."""
    if isinstance(exception, RequestDataTooBig):
        return _answer(request, TooLarge())
    said = str(exception) if isinstance(exception, OddText) else ""
    problem = ApiProblem(
        400,
        "bad-request",
        "The request makes no sense",
        said or "It could not be read.",
    )
    return _answer(request, problem, said=said)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(403, said=str(exception))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(404)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django calls it while it handles the exception."""
    error = sys.exc_info()[1]
    if isinstance(error, Exception) and is_disk_full(error):
        return _answer(request, DiskFull())
    return _page(500)
