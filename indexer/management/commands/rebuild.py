"""manage.py rebuild: drop the index and make it again from Git."""

from __future__ import annotations

from indexer.management.commands import crawl


class Command(crawl.Command):
    """As `crawl`, but nothing that was read before is trusted. Readers see the old
    index until the new one is whole; the memory of tags stays."""

    help = "Drop the index of repositories and make it again from Git."
    afresh = True
