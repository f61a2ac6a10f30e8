"""manage.py history: what `gto history` prints, from the index."""

from __future__ import annotations

from typing import Any, cast

from django.core.management.base import CommandParser

from indexer.core.snapshot import Json
from indexer.gto_compat import GtoCommand, history

COLUMNS = ("timestamp", "artifact", "event", "version", "stage", "commit", "author")
SHORT = 7  # characters of a commit in a table


class Command(GtoCommand):
    """Show what happened, newest first."""

    help = "Show what happened to one artifact, in one repository, or in all of them."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            *("--asc", "--ascending"),
            dest="ascending",
            action="store_true",
            help="oldest first",
        )
        parser.add_argument(
            "--gto",
            action="store_true",
            help="for symmetry with show: events come from tags alone, as in gto",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = self.wanted(options)
        self.tell_of_gone(wanted)
        events = history(wanted)
        if options["json"]:
            self.print_json(events)
            return
        if not events:
            self.stdout.write("Nothing happened yet: no GTO tag has been seen.")
            return
        columns = list(COLUMNS)
        if wanted.repository is None:
            columns.insert(1, "repository")
        rows = [
            [_short(column, entry[column]) for column in columns]
            for entry in (cast(dict[str, Json], event) for event in events)
        ]
        self.print_table(columns, rows)


def _short(column: str, value: Json) -> str:
    if not value:
        return "-"
    text = str(value)
    is_commit = column == "commit" or (len(text) in (40, 64) and text.isalnum())
    return text[:SHORT] if is_commit else text
