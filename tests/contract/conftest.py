"""Settings of the contract's tests: nothing but loopback, no workers to wake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from indexer import wakeup


@pytest.fixture(autouse=True)
def own_settings(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MUSTER_DATA = tmp_path / "data"
    settings.MUSTER_ALLOW_LOCAL = settings.MUSTER_ALLOW_PRIVATE = True
    settings.MUSTER_WORKERS = 9
    monkeypatch.setattr(wakeup, "wake", lambda *_: None)
