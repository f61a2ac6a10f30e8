"""manage.py demo: invented repositories to look around in."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from indexer.console import crawl_here
from indexer.demo import install
from indexer.demo.stories import REPOSITORIES
from indexer.demo.story import BuildFailed
from indexer.providers.errors import ProviderError

BY = "demo"


class Command(BaseCommand):
    """Build the demo's repositories, connect and crawl them; or take them out."""

    help = "Add invented repositories with a year of history, or --remove them."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--remove", action="store_true", help="take the demo out")
        what.add_argument(
            "--build-only",
            type=Path,
            metavar="FOLDER",
            help="only write the bare Git repositories there",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["remove"]:
                self.remove()
            elif options["build_only"]:
                self.build_only(options["build_only"].absolute())
            else:
                self.install()
        except BuildFailed as failure:
            raise CommandError(str(failure)) from failure
        except ProviderError as refusal:
            raise CommandError(refusal.sentence) from refusal

    def install(self) -> None:
        """Build, connect and crawl, with a line for each."""
        self.stdout.write(f"Building {len(REPOSITORIES)} demo repositories …")
        failed = 0
        for repository in install.install(datetime.now(UTC).date(), by=BY):
            failed += not crawl_here(
                self.stdout, repository, requested_by=BY, afresh=False
            )
        if failed:
            raise CommandError(f"{failed} demo repositories could not be crawled.")
        self.stdout.write("The demo is ready. To take it out: manage.py demo --remove")

    def remove(self) -> None:
        """Take the demo out."""
        count = install.remove()
        self.stdout.write(
            f"Removed {count} demo repositories." if count else "There is no demo here."
        )

    def build_only(self, folder: Path) -> None:
        """Write the repositories and name them."""
        for _, path in install.build(folder, datetime.now(UTC).date()):
            self.stdout.write(str(path))
