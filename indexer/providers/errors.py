"""What can go wrong at a provider, in a few words. Each carries one plain sentence for
the person who looks at the repository: what happened and what to do. It never holds a
credential."""

from __future__ import annotations

from datetime import datetime


class ProviderError(Exception):
    """The repository could not be read; what we have stays. `status` is that of the
    HTTP answer that says so; 0: there was none, or it was not over HTTP."""

    def __init__(self, sentence: str, *, status: int = 0) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.status = status


class AddressRefused(ProviderError):
    """The address is malformed, of a kind not allowed, or leads where it must not."""


class AccessDenied(ProviderError):
    """The remote wants a credential, or refuses the one we have."""


class NotFound(ProviderError):
    """The remote says there is no such repository (or hides it from us)."""


class Refused(ProviderError):
    """The provider understood and will not (409, 422, a permission that is missing for
    this one thing): asking again changes nothing."""


class RateLimited(ProviderError):
    """Come back at `retry_at` (aware, UTC): a state, not an error."""

    def __init__(self, sentence: str, retry_at: datetime, *, status: int = 0) -> None:
        super().__init__(sentence, status=status)
        self.retry_at = retry_at


class Unavailable(ProviderError):
    """Down, slow, out of disk, cut off: worth another try later."""


class Unsettled(Unavailable):
    """Something was sent and nobody could be asked what became of it."""


class TooLarge(ProviderError):
    """Beyond a limit of ours; says which."""


class BadPayload(ProviderError):
    """An answer that makes no sense, or a kind of repository we cannot read."""
