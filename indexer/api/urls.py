"""Addresses of the API; whatever else is under /api/v1/ is a 404 in its own shape."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, path, re_path
from django.views.generic import RedirectView

from indexer.api.problems import unknown_address
from indexer.api.v1 import api


def answers_head(
    pattern: URLPattern | URLResolver,
) -> URLPattern | URLResolver:
    """Let an operation answer HEAD as GET, without the body: django-ninja knows the
    methods it was told and no other."""
    if isinstance(pattern, URLResolver):
        raise TypeError("django-ninja gives a list of operations, not of lists.")
    view: Callable[..., HttpResponse] = pattern.callback

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method != "HEAD":
            return view(request, *args, **kwargs)
        request.method = "GET"
        response = view(request, *args, **kwargs)
        response["Content-Length"] = str(len(response.content))
        response.content = b""
        return response

    pattern.callback = answer
    return pattern


_operations, _app_name, _namespace = api.urls
urlpatterns = [
    re_path(r"\A\Z", RedirectView.as_view(pattern_name="api-1.0.0:openapi-view")),
    path("", ([answers_head(one) for one in _operations], _app_name, _namespace)),
    re_path("", unknown_address),
]
