"""Browsers ask for /favicon.ico on pages that name no icon (Django's, the API's)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.templatetags.static import static
from django.views.decorators.http import require_safe


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """To the icon every other page names."""
    return redirect(static("favicon.svg"))
