"""Columns that must mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

import json
from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

# Stands for "no date" where times are sorted: before every date there can be, while
# null sorts first on PostgreSQL and last on SQLite (descending).
UNKNOWN_TIME = -(10**12)


class ExactJSONField(models.JSONField):
    """JSON kept as it was written: the order of keys, `1e16`, `1.0`.

    PostgreSQL's jsonb would sort the keys by length and rewrite numbers, so that the
    two databases gave different answers. Its plain `json` keeps the text; it can be
    neither compared nor looked into by a query, which nobody needs here."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        if connection.vendor == "postgresql":
            return "json"
        return super().db_type(connection)

    def from_db_value(
        self, value: Any, expression: Any, connection: BaseDatabaseWrapper
    ) -> Any:
        # psycopg decodes `json` itself; Django does it for everything else.
        if connection.vendor == "postgresql" or value is None:
            return value
        return json.loads(value)
