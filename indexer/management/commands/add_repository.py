"""manage.py add_repository: connect a repository and crawl it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from indexer.console import crawl_here, user
from indexer.providers.errors import ProviderError
from indexer.repositories import add_repository


class Command(BaseCommand):
    """Add one repository. The address may be https, ssh, git, or a path."""

    help = "Connect a Git repository (https, ssh, git, or a path) and crawl it."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("url", metavar="URL-OR-PATH")
        parser.add_argument(
            "--name",
            default="",
            metavar="OWNER/NAME",
            help="its name in the catalog; from the address if left out",
        )
        parser.add_argument("--username", default="", help="for https")
        parser.add_argument(
            "--secret-env",
            default="",
            metavar="VARIABLE",
            help="the environment variable that holds the token or password",
        )
        parser.add_argument(
            "--no-wait", action="store_true", help="leave the crawl to the worker"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        url = options["url"]
        if url and not Path(url).is_absolute() and Path(url).is_dir():
            url = str(Path(url).resolve())
        secret = ""
        if options["secret_env"]:
            secret = os.environ.get(options["secret_env"], "")
            if not secret:
                raise CommandError(f"{options['secret_env']} is not set or empty.")
        try:
            repository = add_repository(
                url,
                name=options["name"],
                username=options["username"],
                secret=secret,
                by=user(),
                wake=options["no_wait"],
            )
        except ProviderError as refusal:
            raise CommandError(refusal.sentence) from refusal
        self.stdout.write(f"Added {repository.name}.")
        if options["no_wait"]:
            from indexer import wakeup

            wakeup.flush(2)
            self.stdout.write(
                "The worker crawls it now, if Muster runs; else: "
                f"manage.py crawl {repository.name}"
            )
            return
        if not crawl_here(self.stdout, repository, requested_by=user(), afresh=False):
            raise CommandError(
                f"{repository.name} stays connected and is tried again on schedule."
            )
