"""Pages for what went wrong. They look like the rest and tell nothing of the inside."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.template import loader


def _page(status: int, **context: str) -> HttpResponse:
    """Rendered without the request: no session, no user, no query, so that it works
    when the database does not."""
    html = loader.get_template(f"{status}.html").render(context)
    return HttpResponse(html, status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(400)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(403, said=str(exception))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _page(404)


def server_error(request: HttpRequest) -> HttpResponse:
    return _page(500)
