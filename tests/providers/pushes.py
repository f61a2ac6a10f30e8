"""Pushes to a test server, the same for each provider: changing a bare repository, and
telling its webhooks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.providers.api_server import ApiServer


class Pushes(ApiServer):
    """A server's pushes. `delivers`: they are told to its webhooks."""

    delivers = False

    def repository(self, path: str) -> Any:
        """The server's row of a repository; its `bare` is a path."""
        raise NotImplementedError

    def touch(
        self, path: str, when: datetime | None = None, *, later: bool = False
    ) -> None:
        """Say that it was pushed to (at `when`), and tell the webhooks if the server
        delivers: before this returns, or `later`, from a thread, so that whoever is
        told may ask the server at once."""
        row = self.repository(path)
        before, after = self.note_push(row, when)
        if self.delivers and later:
            threading.Thread(
                target=self.tell_of_push, args=(row, before, after), daemon=True
            ).start()
        elif self.delivers:
            self.tell_of_push(row, before, after)

    def note_push(
        self, row: Any, when: datetime | None
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Write down that a repository was pushed to; its refs before and after."""
        raise NotImplementedError

    def tell_of_push(
        self, row: Any, before: dict[str, str], after: dict[str, str]
    ) -> None:
        """Deliver what changed, as the provider does."""
        raise NotImplementedError

    @contextmanager
    def pushing(self, path: str) -> Iterator[Path]:
        """Change the bare repository given; when done, it was pushed to."""
        yield self.repository(path).bare
        self.touch(path)

    def pushed(self, path: str) -> None:
        self.touch(path, later=True)
