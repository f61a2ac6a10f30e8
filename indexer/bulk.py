"""Many rows at once, on SQLite and PostgreSQL.

Django's `bulk_create` spends most of its time on model instances and on SQL text. An
index of 10,000 tags is some 40,000 rows, so they are written as plain tuples: COPY on
PostgreSQL, one prepared statement on SQLite. Everything here runs inside the caller's
transaction. Values are those of Python (aware datetimes, bytes); JSON comes as text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from django.db import connection
from django.db.models import DateTimeField, Field, JSONField, Model

Row: TypeAlias = tuple[Any, ...]
CHUNK = 500  # ids in one statement


class Table:
    """Some columns of a model's table, in a fixed order that each row follows."""

    def __init__(self, model: type[Model], columns: Sequence[str]) -> None:
        self.model = model
        self.name = model._meta.db_table
        fields: list[Field[Any, Any]] = [
            model._meta.get_field(column)  # type: ignore[misc]
            for column in columns
        ]
        self.columns = tuple(columns)
        self.quoted = [f'"{field.column}"' for field in fields]
        self.times = [
            place
            for place, field in enumerate(fields)
            if isinstance(field, DateTimeField)
        ]
        self.trees = [
            place for place, field in enumerate(fields) if isinstance(field, JSONField)
        ]

    def reserve(self, count: int) -> list[int]:
        """`count` ids for rows to insert. On SQLite the caller's transaction holds
        the write lock, so nobody else takes them."""
        if not count:
            return []
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute(
                    "SELECT nextval(pg_get_serial_sequence(%s, 'id')) "
                    "FROM generate_series(1, %s)",
                    [self.name, count],
                )
                return [row[0] for row in cursor.fetchall()]
            cursor.execute(
                "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = %s",
                [self.name],
            )
            first = cursor.fetchone()[0] + 1
            return list(range(first, first + count))

    def select(self, where: str, parameters: Sequence[Any]) -> Iterator[Row]:
        """Rows (id, *columns) that `where` (SQL of ours) names."""
        with connection.cursor() as cursor:
            if self.trees and connection.vendor == "postgresql":
                _leave_json_as_text(cursor)
            # Names are our own models', never input.
            cursor.execute(
                f'SELECT "id", {", ".join(self.quoted)} FROM "{self.name}" '  # noqa: S608
                f"WHERE {where}",
                parameters,
            )
            rows = cursor.fetchall()
        if not self.times and not self.trees:
            return iter(rows)
        return (self._loaded(row) for row in rows)

    def select_in(
        self, column: str, values: Sequence[Any], where: str = "true"
    ) -> Iterator[Row]:
        """Rows whose `column` is one of `values`, in chunks."""
        for start in range(0, len(values), CHUNK):
            chunk = list(values[start : start + CHUNK])
            marks = ", ".join(["%s"] * len(chunk))
            yield from self.select(f'"{column}" IN ({marks}) AND {where}', chunk)

    def insert(self, rows: Sequence[Row]) -> None:
        """Insert rows (id, *columns)."""
        if not rows:
            return
        columns = ", ".join(['"id"', *self.quoted])
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                statement = f'COPY "{self.name}" ({columns}) FROM STDIN'
                with cursor.copy(statement) as copy:
                    for row in rows:
                        copy.write_row(row)
                return
            marks = ", ".join(["%s"] * (len(self.quoted) + 1))
            cursor.executemany(
                f'INSERT INTO "{self.name}" ({columns}) VALUES ({marks})',  # noqa: S608
                self._prepared(rows, shift=1),
            )

    def update(self, rows: Sequence[Row]) -> None:
        """Set the columns of rows (id, *columns)."""
        if not rows:
            return
        setters = ", ".join(f"{column} = %s" for column in self.quoted)
        turned = [(*row[1:], row[0]) for row in rows]
        with connection.cursor() as cursor:
            cursor.executemany(
                f'UPDATE "{self.name}" SET {setters} WHERE "id" = %s',  # noqa: S608
                self._prepared(turned, shift=0),
            )

    def delete(self, ids: Sequence[int], column: str = "id") -> None:
        """Delete the rows whose `column` (the id, or a foreign key) is one of `ids`."""
        if not ids:
            return
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute(
                    f'DELETE FROM "{self.name}" WHERE "{column}" = ANY(%s)',  # noqa: S608
                    [list(ids)],
                )
            else:
                cursor.executemany(
                    f'DELETE FROM "{self.name}" WHERE "{column}" = %s',  # noqa: S608
                    [(one,) for one in ids],
                )

    def _prepared(self, rows: Sequence[Row], *, shift: int) -> Sequence[Row]:
        """Rows as the driver takes them: SQLite keeps times as text in UTC."""
        if connection.vendor == "postgresql" or not self.times:
            return rows
        places = [place + shift for place in self.times]
        return [_with_texts(row, places) for row in rows]

    def _loaded(self, row: Row) -> Row:
        """A row as it was written: times aware, JSON as canonical text."""
        values = list(row)
        for place in self.times:
            value = values[place + 1]
            if isinstance(value, datetime) and value.tzinfo is None:
                values[place + 1] = value.replace(tzinfo=UTC)
        for place in self.trees:
            value = values[place + 1]
            if value is not None:
                values[place + 1] = json.dumps(json.loads(value), ensure_ascii=False)
        return tuple(values)


def _leave_json_as_text(cursor: Any) -> None:
    """Keep psycopg from decoding columns of type json (Django sees to jsonb)."""
    from psycopg.types.string import TextLoader

    cursor.adapters.register_loader("json", TextLoader)


def _with_texts(row: Row, places: list[int]) -> Row:
    values = list(row)
    for place in places:
        value = values[place]
        if value is not None:
            values[place] = str(value.replace(tzinfo=None))
    return tuple(values)


def write_difference(
    table: Table, existing: dict[Any, Row], wanted: dict[Any, Row]
) -> tuple[int, int, int]:
    """Make the rows under `existing` (key -> (id, *columns)) those of `wanted` (key
    -> (id or None, *columns)). Returns how many were added, changed and removed.

    An id that `wanted` leaves open is the existing row's, or a reserved one."""
    gone = [row[0] for key, row in existing.items() if key not in wanted]
    added: list[Row] = []
    changed: list[Row] = []
    for key, row in wanted.items():
        before = existing.get(key)
        if before is None:
            added.append(row)
        elif before[1:] != row[1:]:
            changed.append((before[0], *row[1:]))
    open_ids = [place for place, row in enumerate(added) if row[0] is None]
    for place, new_id in zip(open_ids, table.reserve(len(open_ids)), strict=True):
        added[place] = (new_id, *added[place][1:])
    table.delete(gone)
    table.insert(added)
    table.update(changed)
    return len(added), len(changed), len(gone)
