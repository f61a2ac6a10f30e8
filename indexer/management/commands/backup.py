"""manage.py backup: all that Git cannot tell again, into one file."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from indexer.backup import BackupRefused, write_backup
from indexer.console import SlowLine


class Command(BaseCommand):
    """For a file that appears whole or not at all, which only its owner may read. The
    site may run meanwhile: the backup is of one moment."""

    help = (
        "Write all that Git cannot tell again into one file. It holds the keys of "
        "stored credentials: keep it as you keep them."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="where to; - is standard output")

    def handle(self, *args: Any, file: str, **options: Any) -> None:
        # Standard output may be the backup itself.
        line = SlowLine(self.stderr, "Backup")
        try:
            if file == "-":
                rows = write_backup(sys.stdout.buffer, line)
                sys.stdout.buffer.flush()
            else:
                rows = write_whole(Path(file), line)
        except BackupRefused as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(
                f"The backup could not be written to {file}: {error.strerror}."
            ) from error
        finally:
            line.end()
        self.stderr.write(
            f"Backed up {rows:,} rows. The file holds keys: keep it safe.",
            self.style.SUCCESS,
        )


def write_whole(path: Path, line: SlowLine) -> int:
    """Write it under another name first, readable by nobody else. Returns how many rows
    it holds."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            rows = write_backup(file, line)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
    return rows
