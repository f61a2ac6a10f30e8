"""The place where people act, for each kind of remote."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.actions.places import KINDS, ActionPlace, act_at


@pytest.fixture(params=KINDS)
def place(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    own_site: None,
    transactional_db: None,
) -> Iterator[ActionPlace]:
    """At each kind of remote in turn."""
    with act_at(request.param, tmp_path) as found:
        yield found


@pytest.fixture
def git_place(
    tmp_path: Path, own_site: None, transactional_db: None
) -> Iterator[ActionPlace]:
    """At plain Git."""
    with act_at("git", tmp_path) as found:
        yield found
