"""Restoring a backup, in one transaction: whatever happens, the database holds what it
held before, or the whole backup.

The tables are first made what they were like when the backup was made, then filled,
then brought up to date by the migrations, as if the old database had been there. Stored
credentials are opened with the backup's keys and closed with ours."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.color import no_style
from django.db import DatabaseError, connection, models, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.graph import MigrationGraph
from django.db.migrations.loader import MigrationLoader

from indexer import crypto, jobs
from indexer.action_outcomes import not_known
from indexer.action_rows import Outcome
from indexer.backup import CHUNK, Backup, BackupRefused, Watch, kept_models
from indexer.jobs import FREE
from indexer.leases import database_now
from indexer.management.commands.reencrypt import SECRETS
from indexer.models import ActionLog, Connection, Repository

# Of these any row says that somebody uses the installation.
OF_PEOPLE: tuple[type[models.Model], ...] = (User, Repository, Connection, ActionLog)
MADE_AGAIN = ("mirrors", "commits")  # folders of MUSTER_DATA, by repositories' keys

# Columns whose values JSON has no word for.
AS_TEXT = (models.DateField, models.UUIDField, models.BinaryField)
RESTORED = "Muster was restored from a backup that was made while this was being done."
NOT_SENT = Outcome(
    ActionLog.Status.FAILED,
    "unavailable",
    f"{RESTORED} Nothing had been written by then; ask again if it is still wanted.",
)

Convert = Callable[[Any], Any]


def is_empty() -> bool:
    """Whether nobody has used this installation yet."""
    tables = set(connection.introspection.table_names())
    return not any(
        model._meta.db_table in tables and model._base_manager.exists()
        for model in OF_PEOPLE
    )


def restore(backup: Backup, watch: Watch) -> int:
    """Put the backup in place of all there is. Returns how many of its credentials
    could not be opened with its keys, which stay as they are. Raises BackupRefused with
    nothing changed."""
    try:
        with _unconstrained(), transaction.atomic():
            return _restore(backup, watch)
    except (DatabaseError, ImproperlyConfigured, ValueError, LookupError) as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BackupRefused(
            f"This backup cannot be restored here: {said.rstrip('.')}. Nothing was "
            "changed."
        ) from error


def _restore(backup: Backup, watch: Watch) -> int:
    if connection.vendor == "postgresql":
        # A process of Muster that still runs is no reason to wait for ever.
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '30s'")
    _migrate()
    _clear(apps)
    # For a backup of this very Muster nothing is to be done here.
    executor = MigrationExecutor(connection)
    executor.migrate(_leaves(executor.loader.graph, set(backup.migrations)))
    then = _tables_now()
    sealed = _Sealed(backup.keys)
    _fill(backup, then, sealed, watch)
    _settle()
    _migrate()
    _end_what_ran()
    _settle()
    _count_on()
    # Before the end: from then on a mirror may lie under another repository's key, and
    # nothing is lost with one.
    for name in MADE_AGAIN:
        shutil.rmtree(settings.MUSTER_DATA / name, ignore_errors=True)
    return sealed.lost


def _migrate() -> None:
    call_command("migrate", interactive=False, verbosity=0, skip_checks=True)


def _leaves(
    graph: MigrationGraph, wanted: set[tuple[str, str]]
) -> list[tuple[str, str]]:
    """The last of these migrations, of each application."""
    return [
        key
        for key in sorted(wanted)
        if not any(
            child.key in wanted and child.key[0] == key[0]
            for child in graph.node_map[key].children
        )
    ]


def _tables_now() -> Any:
    """The models as the tables are like at this point of the migrations."""
    loader = MigrationLoader(connection)
    applied = [key for key in loader.applied_migrations if key in loader.graph.nodes]
    return loader.project_state(applied).apps


def _clear(registry: Any) -> None:
    """Empty all tables of these models, those that a backup leaves out as well."""
    _settle()
    quote = connection.ops.quote_name
    tables = [
        quote(model._meta.db_table)
        for model in registry.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy
    ]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"TRUNCATE TABLE {', '.join(tables)}")
            return
        for table in tables:
            cursor.execute(f"DELETE FROM {table}")  # noqa: S608 names of our models


def _fill(backup: Backup, registry: Any, sealed: _Sealed, watch: Watch) -> None:
    """Write the backup's rows into the tables of these models."""
    by_label = {model._meta.label_lower: model for model in kept_models(registry)}
    _clear(registry)
    written = 0
    for label, columns, rows in backup.tables():
        model = by_label[label]
        convert = _converters(model, columns, sealed)
        while chunk := list(islice(rows, CHUNK)):
            model._base_manager.bulk_create(
                [_made(model, columns, convert, row) for row in chunk]
            )
            written += len(chunk)
            watch("rows restored", written, backup.rows)


def _converters(
    model: type[models.Model], columns: Sequence[str], sealed: _Sealed
) -> dict[str, Convert]:
    """By column, what turns a value of the file back; for most there is nothing to."""
    fields = {field.attname: field for field in model._meta.concrete_fields}
    label = model._meta.label_lower
    found: dict[str, Convert] = {
        column: sealed
        for secret, column, _ in SECRETS
        if secret._meta.label_lower == label
    }
    for column in columns:
        if isinstance(fields[column], AS_TEXT):
            found[column] = fields[column].to_python
    return found


def _made(
    model: type[models.Model],
    columns: Sequence[str],
    convert: dict[str, Convert],
    row: Sequence[Any],
) -> models.Model:
    values = dict(zip(columns, row, strict=True))
    for column, back in convert.items():
        values[column] = back(values[column])
    return model(**values)


def _settle() -> None:
    """Check the foreign keys of all that was written so far."""
    connection.check_constraints()


def _end_what_ran() -> None:
    """The old installation's processes are not here: nobody holds a lease, and no
    action is carried out that somebody asked the old one for."""
    now = database_now()
    Repository.objects.exclude(lease_id=None, enqueued_at=None).update(
        attempts=0, **FREE
    )
    Connection.objects.exclude(lease_id=None, enqueued_at=None).update(**FREE)
    jobs.reap(now)  # the crawls that ran are lost
    ended = {"ended_at": now, "lease_id": None, "lease_expires_at": None}
    asked, writing = (ActionLog.objects.filter(status=one) for one in ActionLog.OPEN)
    for rows, outcome in ((asked, NOT_SENT), (writing, not_known(RESTORED))):
        rows.update(
            status=outcome.status,
            code=outcome.code,
            sentence=outcome.sentence,
            **ended,
        )


def _count_on() -> None:
    """Let PostgreSQL number new rows after those that were restored."""
    with connection.cursor() as cursor:
        for line in connection.ops.sequence_reset_sql(no_style(), kept_models(apps)):
            cursor.execute(line)


@contextmanager
def _unconstrained() -> Iterator[None]:
    """SQLite checks foreign keys row by row, and cannot be told within a transaction
    not to; PostgreSQL checks them at the end."""
    if connection.vendor != "sqlite":
        yield
        return
    connection.disable_constraint_checking()
    try:
        yield
    finally:
        connection.enable_constraint_checking()


class _Sealed:
    """Opens what the backup's keys encrypted and encrypts it with ours."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.theirs = [Fernet(key) for key in keys]
        self.lost = 0

    def __call__(self, token: str) -> str:
        if not token:
            return token
        try:
            text = MultiFernet(self.theirs).decrypt(token.encode())
        except (InvalidToken, ValueError):  # ValueError: there are none
            self.lost += 1
            return token
        return crypto.encrypt(text.decode())
