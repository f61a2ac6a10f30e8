"""Which provider reads which repository: the only place where a row turns into a
Remote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.conf import settings

from indexer.crypto import decrypt
from indexer.providers.base import Provider, ProviderFactory, Remote
from indexer.providers.git.reader import GitProvider

if TYPE_CHECKING:
    from indexer.models import Repository

# What a host adds to Git comes with its own provider; all of them speak Git.
PROVIDERS: Mapping[str, ProviderFactory] = {
    "git": GitProvider,
    "github": GitProvider,
    "gitlab": GitProvider,
}


def provider_for(repository: Repository) -> Provider:
    """The provider of a repository. Raises crypto.WrongKey (ImproperlyConfigured) if
    its credential cannot be decrypted."""
    return PROVIDERS[repository.provider](remote_of(repository))


def remote_of(repository: Repository) -> Remote:
    """Where a repository is, with its credential in the clear, and what this site
    allows."""
    from indexer.repositories import mirror_path

    return Remote(
        url=repository.url,
        username=repository.username,
        secret=decrypt(repository.secret) if repository.secret else "",
        mirror=mirror_path(repository.pk),
        allow_local=settings.MUSTER_ALLOW_LOCAL,
        allow_private=settings.MUSTER_ALLOW_PRIVATE,
    )
