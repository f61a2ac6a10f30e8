"""The one way to a provider's API: the session under PyGithub and python-gitlab.

Whatever the client above asks for, the session

- sends it only to the scheme, host and port it was made for, at an address that was
  checked when it connects, without proxies, .netrc or cookies;
- follows no redirect to another place, and no more than two on the same one;
- ends after `seconds` in all, however slowly the answer drips, and after `max_bytes`;
- takes no half answer for a whole one: 204, 3xx, HTML, cut or empty JSON raise;
- asks the budget before and tells it after; repeats nothing by itself;
- speaks in `errors.ProviderError`s with a plain sentence, and never shows a token.
"""

from __future__ import annotations

import requests

from indexer.budgets import Budget

SECONDS = 30.0
MAX_BYTES = 64 * 1024 * 1024


class ProviderSession(requests.Session):
    """A session for one provider's server. `place` is its name in sentences
    ("GitHub"); `resource` names the budget's part a request counts in, unless the
    answer says otherwise (`x-ratelimit-resource`)."""

    def __init__(
        self,
        base_url: str,
        *,
        place: str,
        budget: Budget,
        allow_private: bool,
        seconds: float = SECONDS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        super().__init__()
        raise NotImplementedError
