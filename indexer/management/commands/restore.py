"""manage.py restore: a backup in place of what is here."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from indexer.backup import Backup, BackupRefused, settings_here
from indexer.console import SlowLine
from indexer.management.commands.up import check_data, lock_data
from indexer.restore import is_empty, restore


class Command(BaseCommand):
    """The file is checked whole before anything is touched, and takes effect whole or
    not at all. Mirrors are made again by the next crawls."""

    help = "Restore what manage.py backup wrote, on any database. End Muster first."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="the backup; - is standard input")
        parser.add_argument(
            "--replace",
            action="store_true",
            help="give up what is in this installation for it",
        )

    def handle(self, *args: Any, file: str, replace: bool, **options: Any) -> None:
        check_data(settings.MUSTER_DATA)
        line = SlowLine(self.stdout, "Restore")
        try:
            with lock_data(settings.MUSTER_DATA), opened(file) as content:
                if not (replace or is_empty()):
                    raise BackupRefused(
                        "This installation is in use: it has people, repositories or "
                        "actions. To give them up for the backup, say --replace."
                    )
                backup = Backup(content, line)
                lost = restore(backup, line)
        except BackupRefused as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
        finally:
            line.end()
        self.report(backup, lost)

    def report(self, backup: Backup, lost: int) -> None:
        """What was done, and what a person may have to do yet."""
        self.stdout.write(
            f"Restored {backup.rows:,} rows of {backup.header['made_at']}. "
            "Everybody signs in again; the next crawls make the mirrors again."
        )
        if lost:
            self.stdout.write(
                f"{lost} stored credentials could not be opened with the backup's "
                "keys: enter them again."
            )
        here = settings_here()
        for name, value in backup.header["settings"].items():
            if name in here and here[name] != value:
                self.stdout.write(f"{name} was {value}; here it is {here[name]}.")


@contextmanager
def opened(file: str) -> Iterator[IO[bytes]]:
    """The file, or a copy of standard input: it is read twice."""
    if file != "-":
        with open(file, "rb") as content:
            yield content
        return
    with tempfile.TemporaryFile(dir=settings.MUSTER_DATA) as content:
        shutil.copyfileobj(sys.stdin.buffer, content)
        yield content
