"""The indexer: crawls repositories and keeps the catalog."""

from __future__ import annotations

from django.apps import AppConfig


class IndexerConfig(AppConfig):
    name = "indexer"
    default_auto_field = "django.db.models.BigAutoField"
