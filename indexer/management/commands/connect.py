"""manage.py connect: connect an organisation, group or user at GitHub or GitLab."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import F

from indexer import connections, polling, turns, wakeup
from indexer.connection_facts import FAILING, progress_of
from indexer.connections import Findings, Preview, Wish
from indexer.console import user
from indexer.crypto import WrongKey
from indexer.models import Connection
from indexer.providers.base import Ability
from indexer.providers.errors import ProviderError

TOKEN_VARIABLE = "MUSTER_TOKEN"  # noqa: S105 the name of a variable
WORDS = {
    Ability.READ: "read",
    Ability.TAGS: "tags",
    Ability.CONTENTS: "contents",
    Ability.HOOKS: "webhooks",
}
MARKS = {True: "yes", False: "no", None: "?"}
LONGEST = 50  # repositories of each kind that are listed
STOPPED = (
    Connection.State.WAITING,
    Connection.State.DENIED,
    Connection.State.UNREACHABLE,
    Connection.State.FAILING,
)


class Command(BaseCommand):
    """Test the token, say what would be connected, connect it. The token comes from a
    file, standard input or the environment, never as an argument: those are seen by
    everybody on the machine."""

    help = "Connect an organisation, group or user at GitHub or GitLab."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", choices=Connection.Kind.values)
        parser.add_argument(
            "owner", nargs="?", default="", help="its name (acme, acme/ml) or its page"
        )
        parser.add_argument(
            "--address",
            default="",
            metavar="URL",
            help="of a server of your own; github.com or gitlab.com if left out",
        )
        token = parser.add_mutually_exclusive_group()
        token.add_argument(
            "--token-file", type=Path, metavar="FILE", help="holds the token or key"
        )
        token.add_argument(
            "--token-stdin",
            action="store_true",
            help=f"read it from standard input; else {TOKEN_VARIABLE} is read",
        )
        parser.add_argument(
            "--app-id",
            default="",
            metavar="ID",
            help="of a GitHub App; the token is then its private key (.pem)",
        )
        for name, text in (
            ("--include", "only these repositories, such as ml-*; may be repeated"),
            ("--exclude", "not these; may be repeated"),
        ):
            parser.add_argument(
                name, action="append", default=[], metavar="PATTERN", help=text
            )
        for name, text in (
            ("--forks", "take forks as well"),
            ("--no-archived", "leave archived repositories out"),
            ("--no-subgroups", "GitLab: leave the group's sub-groups out"),
            ("--mirror", "read through a mirror instead of the API"),
            ("--no-hooks", "make no webhooks"),
            ("--dry-run", "test the token, list what would be connected, keep nothing"),
            ("--wait", "follow the first crawl to its end"),
        ):
            parser.add_argument(name, action="store_true", help=text)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            draft = connections.draft_connection(_wish(options), by=user())
        except ProviderError as refusal:
            raise CommandError(refusal.sentence) from refusal
        is_kept = False
        try:
            findings = connections.test_connection(draft)
            self.show_rights(findings)
            if not findings.works:
                raise CommandError(findings.sentence)
            self.stdout.write(findings.sentence)
            self.show_preview(connections.preview(draft), every=options["dry_run"])
            if not options["dry_run"]:
                connections.connect(draft, by=user())
                is_kept = True
        except (ProviderError, WrongKey) as error:
            raise CommandError(getattr(error, "sentence", str(error))) from error
        finally:
            if not is_kept:
                connections.remove_connection(draft, with_repositories=False)
        if not is_kept:
            self.stdout.write("Nothing was kept.")
        elif options["wait"]:
            self.follow(draft)
        else:
            wakeup.flush(2)
            self.stdout.write(
                f"Connected {draft}. The worker crawls it now, if Muster runs."
            )

    def show_rights(self, findings: Findings) -> None:
        """What the token may do, a line each."""
        if findings.account:
            self.stdout.write(f"The token is {findings.account}'s.")
        for right in findings.rights:
            word, mark = WORDS[right.ability], MARKS[right.granted]
            self.stdout.write(f"  {word:<9} {mark:<4} {right.sentence}")

    def show_preview(self, preview: Preview, *, every: bool) -> None:
        """What would be connected and what is left out."""
        chosen, left = len(preview.chosen), len(preview.left_out)
        self.stdout.write(f"{chosen:,} repositories are taken, {left:,} left out.")
        if not every:
            return
        self._list([f"  {one.path}" for one in preview.chosen])
        self._list(
            [f"  not {one.repository.path}: {one.why}" for one in preview.left_out]
        )

    def follow(self, connection: Connection) -> None:
        """Do the first look and crawls here, beside whatever workers there are, and
        say how far it is."""
        self.stdout.write(f"Connected {connection}. Listing its repositories.")
        polling.poll(connection.pk)
        said = ""
        while True:
            connection.refresh_from_db()
            progress = progress_of(connection)
            text = f"{progress.done:,} of {progress.total:,} crawled"
            text += f", {progress.failing:,} failing" if progress.failing else ""
            if text != said:
                self.stdout.write(text)
                said = text
            if connection.state in STOPPED:
                raise CommandError(connection.message)
            is_listed = connection.discovered_at is not None
            if is_listed and progress.done >= progress.total and not _asked(connection):
                self.show_failing(connection)
                return
            if not turns.crawl_owed(seconds=1):
                polling.poll(connection.pk)
                time.sleep(0.3)

    def show_failing(self, connection: Connection) -> None:
        """Which of its repositories could not be read, and why."""
        failing = connection.repositories.filter(FAILING, hidden_at__isnull=True)
        self._list([f"  {one.name}: {one.message}" for one in failing.order_by("name")])

    def _list(self, lines: list[str]) -> None:
        for line in lines[:LONGEST]:
            self.stdout.write(line)
        if len(lines) > LONGEST:
            self.stdout.write(f"  … and {len(lines) - LONGEST:,} more")


def _asked(connection: Connection) -> bool:
    """Whether a crawl of its repositories is asked for: of one that was in the catalog
    before, and is now read with the connection's right."""
    return connection.repositories.filter(
        requested_seq__gt=F("done_seq"), is_enabled=True, hidden_at__isnull=True
    ).exists()


def _wish(options: dict[str, Any]) -> Wish:
    return Wish(
        kind=options["kind"],
        address=options["address"],
        owner=options["owner"],
        secret=_token(options),
        app_id=options["app_id"],
        include="\n".join(options["include"]),
        exclude="\n".join(options["exclude"]),
        with_forks=options["forks"],
        with_archived=not options["no_archived"],
        with_subgroups=not options["no_subgroups"],
        way=Connection.Way.MIRROR if options["mirror"] else Connection.Way.API,
        with_hooks=not options["no_hooks"],
    )


def _token(options: dict[str, Any]) -> str:
    """The token or key, from where the options say. Raises CommandError."""
    if options["token_file"]:
        try:
            text = options["token_file"].read_text(encoding="utf-8")
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", "it is no text")
            raise CommandError(
                f"{options['token_file']} cannot be read: {reason}."
            ) from None
    elif options["token_stdin"]:
        text = sys.stdin.read()
    else:
        text = os.environ.get(TOKEN_VARIABLE, "")
    if not text.strip():
        raise CommandError(
            "There is no token. Give it with --token-file FILE, --token-stdin, or in "
            f"the environment variable {TOKEN_VARIABLE}."
        )
    return str(text.strip())
