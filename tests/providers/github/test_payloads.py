"""What GitHub's answers could say: each gives a value or is a plain error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.providers.errors import BadPayload
from indexer.providers.github.client import parse_page
from indexer.providers.github.payloads import (
    parse_access,
    parse_account,
    parse_expiry,
    parse_hook,
    parse_installation,
    parse_owner_of,
    parse_permissions,
    parse_repository,
)

ACCOUNT = {"id": 5, "login": "acme", "type": "Organization"}
REPOSITORY = {
    "id": 7,
    "full_name": "acme/churn",
    "owner": ACCOUNT,
    "private": False,
    "fork": False,
    "archived": False,
    "default_branch": "main",
    "description": None,
    "pushed_at": "2026-01-02T03:04:05Z",
    "permissions": {"push": True},
}
HOOK = {"id": 1, "active": True, "events": ["push"], "config": {"url": "https://x"}}
INSTALLATION = {
    "id": 3,
    "account": ACCOUNT,
    "permissions": {"contents": "read"},
    "suspended_at": None,
}
ACCESS = {"token": "ghs_x", "expires_at": "2026-01-02T03:04:05Z"}
PAGE = {"total_count": 1, "repositories": [REPOSITORY]}
PARSERS: list[tuple[Callable[[Any], object], dict[str, Any]]] = [
    (parse_account, ACCOUNT),
    (parse_repository, REPOSITORY),
    (parse_owner_of, REPOSITORY),
    (parse_permissions, REPOSITORY),
    (parse_hook, HOOK),
    (parse_installation, INSTALLATION),
    (parse_access, ACCESS),
    (lambda data: parse_page(data, "repositories"), PAGE),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)


@pytest.mark.parametrize(("parse", "good"), PARSERS)
def test_what_is_right_is_read(
    parse: Callable[[Any], object], good: dict[str, Any]
) -> None:
    assert parse(good)


@pytest.mark.parametrize(("parse", "good"), PARSERS)
@given(data=st.data())
@settings(max_examples=60)
def test_what_is_wrong_is_a_plain_error(
    parse: Callable[[Any], object], good: dict[str, Any], data: st.DataObject
) -> None:
    """F-P3: whatever stands in one place of an answer, or instead of it."""
    payload: Any = dict(good)
    key = data.draw(st.sampled_from([None, *good]))
    if key is None:
        payload = data.draw(JSON)
    elif data.draw(st.booleans()):
        payload[key] = data.draw(JSON)
    else:
        del payload[key]
    try:
        parse(payload)
    except BadPayload:
        pass


@given(st.text())
def test_when_a_token_ends_is_a_time_or_nothing(text: str) -> None:
    found = parse_expiry(text)
    assert found is None or found.tzinfo is not None
