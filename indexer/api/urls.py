"""Addresses of the API; whatever else is under /api/v1/ is a 404 in its own shape."""

from __future__ import annotations

from django.urls import path, re_path

from indexer.api.problems import unknown_address
from indexer.api.v1 import api

urlpatterns = [path("", api.urls), re_path("", unknown_address)]
