"""Headers that every answer carries."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers


def security_headers(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Add what Django and django-csp do not: who may embed, and no caching of what
    a person's rights decide."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        # Static files are answered before Django's own middleware for this one.
        response.setdefault("X-Frame-Options", settings.X_FRAME_OPTIONS)
        response.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        response.setdefault(
            "Permissions-Policy",
            "camera=(), microphone=(), geolocation=(), interest-cohort=()",
        )
        if not request.path.startswith("/static/"):
            response.setdefault("Cache-Control", "private, no-store")
            patch_vary_headers(response, ("HX-Request", "Cookie"))
        return response

    return middleware
