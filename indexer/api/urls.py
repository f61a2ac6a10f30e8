"""Addresses of the API; whatever else is under /api/v1/ is a 404 in its own shape."""

from __future__ import annotations

from django.urls import path, re_path
from django.views.generic import RedirectView

from indexer.api.problems import unknown_address
from indexer.api.v1 import api

urlpatterns = [
    re_path(r"\A\Z", RedirectView.as_view(pattern_name="api-1.0.0:openapi-view")),
    path("", api.urls),
    re_path("", unknown_address),
]
