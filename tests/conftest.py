"""Fixtures for every test. What a test needs from the machine: tests/services.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.connecting import Acme

pytest_plugins = ("tests.services",)


@pytest.fixture
def own_site(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A site with a folder of its own that may ask servers on loopback, and whose
    workers nobody wakes: a test crawls and looks by itself."""
    from indexer import wakeup

    settings.MUSTER_DATA = tmp_path / "data"
    settings.MUSTER_ALLOW_PRIVATE = True
    settings.MUSTER_WORKERS = 9
    monkeypatch.setattr(wakeup, "wake", lambda *_: None)


@pytest.fixture
def acme(tmp_path: Path) -> Iterator[Acme]:
    """An organisation at a test server of GitHub, without repositories."""
    from tests.connecting import serve_acme

    with serve_acme(tmp_path / "remotes") as running:
        yield running
