"""A backup: all that Git cannot tell again, in one file, of one moment.

The file is JSON, a value a line, compressed by gzip, and the same from SQLite and from
PostgreSQL, so that one is restored into the other:

    {"muster": "backup", "format": 1, "migrations": …, "keys": …, "settings": …}
    {"table": "indexer.repository", "columns": ["id", "name", …]}
    [1, "risk/churn", …]
    …
    {"rows": 4711, "sha256": "of all lines before"}

It holds the keys of stored credentials, so it is a secret itself. Left out are sessions
(people sign in again) and mirrors (crawls make them again)."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import IO, Any
from uuid import UUID

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.models import Model
from django.utils import timezone

from indexer import crypto

FORMAT = 1
LEFT_OUT = frozenset({"sessions.session"})
CHUNK = 1000  # rows at once, read or written
# What comes of reading a file that is none of ours, or not whole.
DAMAGED = (
    *(EOFError, zlib.error, gzip.BadGzipFile),
    *(ValueError, KeyError, TypeError, AttributeError),
)
# Of the environment, and worth a look where the copy comes to life.
SETTINGS = (
    "ALLOWED_HOSTS",
    "CSRF_TRUSTED_ORIGINS",
    "MUSTER_ALLOW_LOCAL",
    "MUSTER_ALLOW_PRIVATE",
    "MUSTER_CRAWL_INTERVAL",
    "MUSTER_DISCOVERY_INTERVAL",
    "MUSTER_POLL_INTERVAL",
    "MUSTER_PUBLIC_READ",
    "MUSTER_PUBLIC_URL",
    "MUSTER_READING",
    "MUSTER_RECONCILE_INTERVAL",
    "TIME_ZONE",
)

Watch = Callable[[str, int, int], None]  # phase, done, total


class BackupRefused(Exception):
    """A backup that cannot be made or used; the message is for a person."""


def write_backup(file: IO[bytes], watch: Watch) -> int:
    """Write a backup of this moment, while others read and write. Returns how many
    rows it holds. Raises BackupRefused, OSError."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise BackupRefused(
            "The tables are older than this Muster. Run: manage.py migrate"
        )
    with gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as packed:
        lines = _Lines(packed)
        with one_moment():
            lines.write(_header(executor.loader))
            rows = 0
            for model in kept_models(apps):
                rows += _write_table(lines, model, watch, rows)
        lines.end(rows)
    return rows


@contextmanager
def one_moment() -> Iterator[None]:
    """What is read in the block is of one moment, and nobody waits for it."""
    if connection.vendor == "postgresql":
        with transaction.atomic():
            _execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield
        return
    # A reader; Django's own transactions begin IMMEDIATE here and keep writers out.
    _execute("BEGIN DEFERRED")
    try:
        yield
    finally:
        _execute("ROLLBACK")


def kept_models(registry: Any) -> list[type[Model]]:
    """The tables that a backup holds, of these apps."""
    return [
        model
        for model in registry.get_models(include_auto_created=True)
        if model._meta.managed
        and not model._meta.proxy
        and model._meta.label_lower not in LEFT_OUT
    ]


def settings_here() -> dict[str, str]:
    """Settings as text, for comparison."""
    return {name: str(getattr(settings, name)) for name in SETTINGS}


def _header(loader: MigrationLoader) -> dict[str, Any]:
    try:
        keys = crypto.keys()
    except ImproperlyConfigured:
        keys = []  # nothing can have been encrypted
    migrations: dict[str, list[str]] = {}
    for app, name in sorted(loader.applied_migrations):
        if (app, name) in loader.graph.nodes:
            migrations.setdefault(app, []).append(name)
    return {
        "muster": "backup",
        "format": FORMAT,
        "made_at": timezone.now().isoformat(timespec="seconds"),
        "migrations": migrations,
        "keys": keys,
        "settings": settings_here(),
    }


def _write_table(lines: _Lines, model: type[Model], watch: Watch, before: int) -> int:
    columns = [field.attname for field in model._meta.concrete_fields]
    lines.write({"table": model._meta.label_lower, "columns": columns})
    rows = 0
    found = model._base_manager.order_by("pk").values_list(*columns)
    for row in found.iterator(chunk_size=CHUNK):
        lines.write(row)
        rows += 1
        if rows % CHUNK == 0:
            watch("rows written", before + rows, 0)
    return rows


def _execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


class _Lines:
    """Values written one a line, and the digest of all of them."""

    def __init__(self, out: gzip.GzipFile) -> None:
        self.out = out
        self.digest = hashlib.sha256()

    def write(self, value: object) -> None:
        line = json.dumps(value, default=_plain, separators=(",", ":")).encode()
        self.digest.update(line + b"\n")
        self.out.write(line + b"\n")

    def end(self, rows: int) -> None:
        self.write({"rows": rows, "sha256": self.digest.hexdigest()})


def _plain(value: object) -> str:
    """What JSON has no word for; the columns' fields turn it back."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(value).decode()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in a backup")


class Backup:
    """A backup that was read once, whole, and found to be as it was written."""

    def __init__(self, file: IO[bytes], watch: Watch) -> None:
        """Raises BackupRefused for one that is damaged, no backup or too new."""
        self.file = file
        try:
            self.header = self._checked_header()
            self.rows = self._checked_rows(watch)
        except DAMAGED as error:
            raise BackupRefused(
                "The file is no backup of Muster, or damaged or cut short. Nothing was "
                "changed."
            ) from error

    @property
    def keys(self) -> list[str]:
        """What its stored credentials are encrypted with."""
        return list(self.header["keys"])

    @property
    def migrations(self) -> list[tuple[str, str]]:
        """What its tables are like."""
        return [
            (app, name)
            for app, names in self.header["migrations"].items()
            for name in names
        ]

    def tables(self) -> Iterator[tuple[str, list[str], Iterator[list[Any]]]]:
        """(label, columns, rows) of each; the rows are to be read to their end."""
        lines = self._lines()
        next(lines)
        line = next(lines)
        while "table" in (head := json.loads(line)):
            rest: list[bytes] = []
            yield head["table"], head["columns"], _rows(lines, rest)
            line = rest[0]

    def _lines(self) -> Iterator[bytes]:
        self.file.seek(0)
        with gzip.GzipFile(fileobj=self.file, mode="rb") as packed:
            yield from packed

    def _checked_header(self) -> dict[str, Any]:
        header = json.loads(next(self._lines(), b""))
        if not isinstance(header, dict) or header.get("muster") != "backup":
            raise ValueError("another file")
        if header["format"] > FORMAT:
            raise BackupRefused(
                "This backup was made by a newer Muster. Restore it with that one, or "
                "a later one. Nothing was changed."
            )
        self.header = header
        known = MigrationLoader(None).disk_migrations
        unknown = sorted(set(self.migrations) - set(known))
        if unknown:
            raise BackupRefused(
                "This backup was made by a newer Muster, with the migration "
                f"{'.'.join(unknown[0])}. Restore it with that one, or a later one. "
                "Nothing was changed."
            )
        return header

    def _checked_rows(self, watch: Watch) -> int:
        digest, rows, last = hashlib.sha256(), -1, b""
        for line in self._lines():
            digest.update(last)
            last = line
            rows += line.startswith(b"[")
            if rows % CHUNK == 0:
                watch("rows checked", rows, 0)
        end = json.loads(last)
        if end["sha256"] != digest.hexdigest():
            raise ValueError("not as it was written")
        return int(end["rows"])


def _rows(lines: Iterator[bytes], rest: list[bytes]) -> Iterator[list[Any]]:
    """The rows up to the next line that is none, which is put into `rest`."""
    for line in lines:
        if not line.startswith(b"["):
            rest.append(line)
            return
        yield json.loads(line)
