"""A disk that is full, ours or the database server's: reading goes on, and what has to
be written says why it is not."""

from __future__ import annotations

import errno
import sqlite3
from typing import Any

from django.db import DatabaseError, connection

FULL = {errno.ENOSPC, errno.EDQUOT}
# SQLite's words where its log cannot grow; SQLITE_FULL, or one of SQLITE_IOERR.
SQLITE_CODES = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_SHMSIZE,
    sqlite3.SQLITE_IOERR_SHMOPEN,
    sqlite3.SQLITE_IOERR_TRUNCATE,
    sqlite3.SQLITE_IOERR_FSYNC,
}
POSTGRES_CODE = "53100"  # disk_full


def is_disk_full(error: BaseException) -> bool:
    """By its own code, or by that of what caused it."""
    if isinstance(error, OSError):
        return error.errno in FULL
    if isinstance(error, DatabaseError) and error.__cause__ is not None:
        error = error.__cause__
    return (
        getattr(error, "sqlite_errorcode", None) in SQLITE_CODES
        or getattr(error, "sqlstate", None) == POSTGRES_CODE
    )


def keep_readable() -> Any:
    """A connection for the process to keep as long as it lives. SQLite removes its log
    (-wal, -shm) with the last connection, and nobody could read, because to read
    it makes the log again, and a full disk has no room for that. None for
    PostgreSQL."""
    if connection.vendor != "sqlite":
        return None
    kept = connection.get_new_connection(connection.get_connection_params())
    kept.execute("SELECT 1 FROM sqlite_master").fetchone()
    return kept
