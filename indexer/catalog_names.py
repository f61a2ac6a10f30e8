"""The names of a connection's repositories in the catalog: the path they have at their
provider, with the server in front of it where another has that name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from urllib.parse import urlsplit

from indexer.models import Connection, FormerName, Repository
from indexer.providers.addresses import guess_name
from indexer.providers.registry import web_url

MAX_NAME = 200
NOBODY, NEW = 0, -1  # instead of a row's id
GIVEN_UP = re.compile(r"-hidden-\d+$")


class Names:
    """The names in use while one discovery writes, inside its transaction. Three
    queries."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.taken = {
            name: (pk, hidden_at is not None)
            for pk, name, hidden_at in Repository.objects.values_list(
                "pk", "name", "hidden_at"
            )
        }
        added = Repository.objects.filter(
            provider_id="", connection=None, host=urlsplit(connection.web_url).hostname
        ).defer("secret")
        self.by_address = {_plain(row.web_url): row for row in added}

    def added_by_address(self, path: str) -> Repository | None:
        """The repository somebody added by its address before."""
        return self.by_address.pop(_plain(web_url(self.connection, path)), None)

    def give_away(self, row: Repository) -> None:
        """It was hidden just now: its name is there for others."""
        self.taken[row.name] = (row.pk, True)

    def free(self, path: str, pk: int = NEW) -> str:
        """A name for the repository at `path`, taken from now on. One that is hidden
        gives its name to another that is not."""
        for name in self._wishes(path):
            holder, is_hidden = self.taken.get(name, (NOBODY, False))
            if holder != NOBODY and holder != pk and is_hidden:
                self._give_up(name, holder)
                holder = NOBODY
            if holder == NOBODY or (holder == pk and pk != NEW):
                self.taken[name] = (pk, False)
                return name
        raise AssertionError("not reached")

    def rename(
        self, moved: Sequence[tuple[Repository, str]], now: datetime
    ) -> list[Repository]:
        """Name repositories after the paths they have now, all at once: they may have
        swapped theirs. One that was given another name by hand keeps it. Returns
        those with a new name."""
        following = [(row, path) for row, path in moved if self._follows(row)]
        before = {row.pk: row.name for row, _ in following}
        for row, _ in following:
            del self.taken[row.name]
            row.name = f"//{row.pk}"  # which no path gives and nobody may type
            row.save(update_fields=["name"])
        renamed = []
        for row, path in following:
            row.name = self.free(path, row.pk)
            row.save(update_fields=["name"])
            if row.name != before[row.pk]:
                renamed.append(row)
            if row.name != before[row.pk] and not GIVEN_UP.search(before[row.pk]):
                FormerName.objects.update_or_create(
                    name=before[row.pk], defaults={"repository": row, "until": now}
                )
        return renamed

    def is_given_up(self, row: Repository) -> bool:
        """Whether another took its name while it was hidden."""
        return bool(GIVEN_UP.search(row.name)) and self._follows(row)

    def _follows(self, row: Repository) -> bool:
        return GIVEN_UP.sub("", row.name) in set(self._wishes(row.path, few=True))

    def _give_up(self, name: str, holder: int) -> None:
        number = 1
        while (other := _with_tail(name, f"-hidden-{number}")) in self.taken:
            number += 1
        Repository.objects.filter(pk=holder).update(name=other)
        del self.taken[name]
        self.taken[other] = (holder, True)

    def _wishes(self, path: str, *, few: bool = False) -> Iterable[str]:
        plain = guess_name(path)
        server = guess_name(self.connection.server.replace(":", "-"), path)
        yield plain
        yield server
        if few:
            return
        number = 2
        while True:
            yield _with_tail(server, f"-{number}")
            number += 1


def _with_tail(name: str, tail: str) -> str:
    return f"{name[: MAX_NAME - len(tail)]}{tail}"


def _plain(url: str) -> str:
    return url.lower().removesuffix("/").removesuffix(".git")
