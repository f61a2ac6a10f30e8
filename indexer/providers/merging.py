"""Asking for a branch to be merged into another: found, or opened once.

GitHub and GitLab open no second request between the same branches, so after an answer
that was lost the one that is open is the one that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from indexer.providers.errors import (
    BadPayload,
    ProviderError,
    Refused,
    Unavailable,
    Unsettled,
)


def found_or_opened(
    find: Callable[[], str],
    ask: Callable[[], str],
    *,
    what: str,
    may_exist: Collection[int],
) -> str:
    """What `find` finds, else what `ask` opens; `ask` is called once. After a fault, or
    a refusal of a status that `may_exist`, it is looked for once more. Raises what
    `ask` raises, or Unsettled where nobody could tell whether it opened `what`."""
    if found := find():
        return found
    try:
        return ask()
    except (Unavailable, BadPayload, Refused) as error:
        if isinstance(error, Refused) and error.status not in may_exist:
            raise
        try:
            found = find()
        except ProviderError as trouble:
            raise Unsettled(
                f"It is not known whether {what} was opened: nobody could be asked. "
                f"{trouble.sentence}"
            ) from None
        if found:
            return found
        raise


def web_address(value: Any) -> str:
    """A page's address, out of an answer; "" if it is none that a link may have."""
    is_address = isinstance(value, str) and value.startswith(("https://", "http://"))
    return value if is_address and value.isprintable() else ""
