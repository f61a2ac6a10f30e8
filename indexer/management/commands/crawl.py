"""manage.py crawl: look at repositories now, in this process."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import F

from indexer.console import crawl_here, user
from indexer.models import Crawl, Repository


class Command(BaseCommand):
    """Crawl the repositories that are named, or all of them."""

    help = "Crawl repositories now, in the foreground."
    requires_system_checks: list[str] = []
    afresh = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("names", nargs="*", metavar="OWNER/NAME")
        parser.add_argument("--all", action="store_true", help="every repository")

    def handle(self, *args: Any, **options: Any) -> None:
        repositories = self.chosen(options["names"], everything=options["all"])
        failed = sum(not self.crawl(repository) for repository in repositories)
        if failed:
            raise CommandError(
                f"{failed} of {len(repositories)} repositories could not be crawled."
            )

    def chosen(self, names: list[str], *, everything: bool) -> list[Repository]:
        """The repositories meant. Raises CommandError for a name nobody has."""
        if bool(names) == everything:
            raise CommandError("Name repositories (OWNER/NAME), or say --all.")
        if everything:
            return list(Repository.objects.filter(is_enabled=True).order_by("name"))
        found = {row.name: row for row in Repository.objects.filter(name__in=names)}
        missing = [name for name in names if name not in found]
        if missing:
            raise CommandError(
                f"No repository is named {', '.join(missing)}. Those there are: "
                "manage.py show, or the page Repositories."
            )
        return [found[name] for name in names]

    def crawl(self, repository: Repository) -> bool:
        """Crawl one and say how it went; False if it failed."""
        # Owed, so that it can be claimed here; no message to a worker, who would
        # only come to find it done.
        Repository.objects.filter(pk=repository.pk).update(
            requested_seq=F("requested_seq") + 1,
            requested_trigger=Crawl.Trigger.COMMAND,
            requested_by=user(),
        )
        return crawl_here(
            self.stdout, repository, requested_by=user(), afresh=self.afresh
        )
