"""The place where people act, for each kind of remote."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
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


@pytest.fixture
def make_place(
    tmp_path: Path, own_site: None, transactional_db: None
) -> Iterator[Callable[[str], ActionPlace]]:
    """At the kind of remote that the test names."""
    with ExitStack() as stack:
        yield lambda kind: stack.enter_context(act_at(kind, tmp_path))
