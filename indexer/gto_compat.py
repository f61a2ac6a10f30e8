"""`manage.py show` and `manage.py history`: gto's commands over the index.

The answers are gto's own JSON (`indexer.core.gto_json`), of one repository or of all.
Over all, each entry says its `repository`, and `show` keys artifacts by
`REPOSITORY/-/ARTIFACT`, as addresses do: names alone may stand for several.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import merge
from typing import Any, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser

from indexer.core import gto_json
from indexer.core.events import moment
from indexer.core.snapshot import FIRST_SECOND, LAST_SECOND, Instant, Json
from indexer.core.state import Reading, RegistryState
from indexer.core.tags import parse_shortcut
from indexer.gone_tags import gone_since, not_counted
from indexer.models import Repository
from indexer.snapshot_rows import registry_state

JsonObject = dict[str, Json]
KEY = "{}/-/{}"  # of an artifact among all repositories

# (--sort, --vs, --av), as gto names them, and the reading they make.
READINGS = {
    ("timestamp", 1, -1): Reading.TIME,
    ("semver", 1, -1): Reading.SEMVER,
    ("timestamp", -1, -1): Reading.SEVERAL,
    ("timestamp", -1, 1): Reading.KANBAN,
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a command was asked for. `repository` None: all of them. `name` may be a
    shortcut (`churn@latest`). `reading` None: each repository's own."""

    repository: Repository | None
    name: str
    reading: Reading | None = None
    at: Instant | None = None
    deprecated: bool = False
    registered_only: bool = False
    gto_only: bool = False
    ascending: bool = False

    def states(self) -> Iterator[tuple[str, RegistryState]]:
        """(repository, state) of each repository meant, by name. Five queries each."""
        chosen = (
            Repository.objects.order_by("name")
            if self.repository is None
            else [self.repository]
        )
        for repository in chosen:
            yield (
                repository.name,
                registry_state(repository, reading=self.reading, at=self.at),
            )


def show_registry(wanted: Wanted) -> JsonObject:
    """`gto show --json`."""
    shown: JsonObject = {}
    for repository, state in wanted.states():
        found = gto_json.show_registry(
            state,
            deprecated=wanted.deprecated,
            registered_only=wanted.registered_only,
            gto_only=wanted.gto_only,
        )
        if wanted.repository is not None:
            return found
        for name, entry in found.items():
            shown[KEY.format(repository, name)] = {
                "repository": repository,
                "artifact": name,
                **cast(JsonObject, entry),
            }
    return shown


def show_artifact(wanted: Wanted) -> list[Json]:
    """`gto show NAME --json`. Raises CommandError where nothing has that name."""
    shown: list[Json] = []
    is_there = False
    for repository, state in wanted.states():
        try:
            found = gto_json.show_artifact(
                state,
                wanted.name,
                deprecated=wanted.deprecated,
                registered_only=wanted.registered_only,
                gto_only=wanted.gto_only,
            )
        except gto_json.UnknownArtifact as error:
            if wanted.repository is not None:
                raise _unknown(wanted) from error
            continue
        is_there = True
        shown += found if wanted.repository else _with_repository(found, repository)
    if not is_there:
        raise _unknown(wanted)
    return shown


def history(wanted: Wanted) -> list[Json]:
    """`gto history [NAME] --json`; over all repositories in one order."""
    parts: list[Iterator[tuple[tuple[int, int], Json]]] = []
    is_there = not wanted.name
    for repository, state in wanted.states():
        if wanted.name and wanted.name not in state.artifacts:
            continue
        is_there = True
        found = gto_json.history(state, wanted.name or None, wanted.ascending)
        if wanted.repository is not None:
            return found
        events = [
            event for event in state.events if wanted.name in ("", event.artifact)
        ]
        if wanted.ascending:
            events.reverse()
        keys = [
            (moment(event.at), cast(int, cast(JsonObject, entry)["priority"]))
            for event, entry in zip(events, found, strict=True)
        ]
        entries = _with_repository(found, repository)
        parts.append(iter(list(zip(keys, entries, strict=True))))
    if not is_there:
        raise _unknown(wanted)
    merged = merge(*parts, key=lambda part: part[0], reverse=not wanted.ascending)
    return [entry for _, entry in merged]


def _unknown(wanted: Wanted) -> CommandError:
    if wanted.repository is not None:
        return CommandError(
            f"There is no artifact {wanted.name} in {wanted.repository}."
        )
    return CommandError(f"There is no repository and no artifact {wanted.name}.")


def _with_repository(entries: list[Json], repository: str) -> list[Json]:
    return [{"repository": repository, **cast(JsonObject, entry)} for entry in entries]


class GtoCommand(BaseCommand):
    """A command of gto's, over the index."""

    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "repo", nargs="?", default="", help="OWNER/NAME; all if left out"
        )
        parser.add_argument(
            "name",
            nargs="?",
            default="",
            help="an artifact; after -- if it begins with -",
        )
        parser.add_argument("--json", action="store_true", help="gto's JSON")
        parser.add_argument(
            "--at", default="", help="as of a time, like 2026-01-31T12:00:00Z"
        )

    def wanted(self, options: dict[str, Any]) -> Wanted:
        """What the arguments mean. Raises CommandError, in one sentence."""
        repo, name = options["repo"], options["name"]
        repository = Repository.objects.filter(name=repo).first() if repo else None
        if repo and repository is None:
            if name:
                raise CommandError(f"There is no repository {repo}.")
            name = repo  # one word that is no repository: an artifact, anywhere
        return Wanted(
            repository=repository,
            name=name,
            reading=_reading(options),
            at=_instant(options["at"]),
            deprecated=options.get("deprecated", False),
            registered_only=options.get("registered_only", False),
            gto_only=options.get("gto", False),
            ascending=options.get("ascending", False),
        )

    def tell_of_gone(self, wanted: Wanted) -> None:
        """Say on standard error what an answer as of a time leaves out."""
        if wanted.at is None:
            return
        shortcut = parse_shortcut(wanted.name)
        name = shortcut.artifact if shortcut else wanted.name
        chosen = [wanted.repository] if wanted.repository else Repository.objects.all()
        for repository in chosen:
            said = not_counted(gone_since(repository, wanted.at, name))
            if said:
                self.stderr.write(f"{repository.name}: {said}")

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run; a reader that had enough (`| head`) is no error."""
        try:
            output = super().execute(*args, **options)
            sys.stdout.flush()
        except BrokenPipeError:
            # Python flushes once more at exit: let it write to nowhere.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return None
        return output

    def print_json(self, value: Json) -> None:
        """As gto prints it; strict, whatever the locale."""
        self.stdout.write(json.dumps(value, indent=4, allow_nan=False))

    def print_table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Columns side by side; control characters of Git's texts shown as such."""
        clean = [[_printable(cell) for cell in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(head, *clean, strict=True)]
        for row in (head, *clean):
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.stdout.write("  ".join(cells).rstrip())


def _printable(cell: str) -> str:
    """No escape sequence of a tag's message reaches the terminal."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in cell)


def _reading(options: dict[str, Any]) -> Reading | None:
    asked = (options.get("sort"), options.get("vs"), options.get("av"))
    if asked == (None, None, None):
        return None
    sort, versions, assignments = asked
    key = (
        sort or "timestamp",
        1 if versions is None else versions,
        -1 if assignments is None else assignments,
    )
    if key not in READINGS:
        raise CommandError(
            "--sort, --vs and --av make no reading Muster knows. It knows: the "
            "default, --sort semver, --vs -1, and --vs -1 --av 1."
        )
    return READINGS[key]


def _instant(text: str) -> Instant | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
        seconds = int(at.replace(tzinfo=at.tzinfo or UTC).timestamp())
        if not FIRST_SECOND <= seconds <= LAST_SECOND:
            raise ValueError(text)
    except (ValueError, OverflowError) as error:
        raise CommandError(
            f"--at is “{text}”; it is a time like 2026-01-31T12:00:00Z."
        ) from error
    return Instant(seconds)
