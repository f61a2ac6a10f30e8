"""Which provider reads which repository, and by which right: the only place where a
row turns into a Remote, a client or a Host.

A connection's token goes to the connection's own server and nowhere else: every
address is made of the connection's and a path, never taken from an answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from django.conf import settings
from django.db import connection as database
from django.db import transaction
from django.utils import timezone

from indexer.budgets import Budget, Unlimited, budget_of, budget_state
from indexer.crypto import decrypt, encrypt
from indexer.models import Connection
from indexer.providers.base import Host, Provider, ProviderFactory, Remote
from indexer.providers.errors import AccessDenied, AddressRefused, Unavailable
from indexer.providers.git.reader import GitProvider

if TYPE_CHECKING:
    from indexer.models import Repository
    from indexer.providers.github.apps import GitHubApp
    from indexer.providers.github.client import GitHubClient
    from indexer.providers.gitlab.client import GitLabClient

# PyGithub and python-gitlab are imported where they are used: every command would pay
# for them otherwise.

# What a host adds to Git comes with its own provider; all of them speak Git.
PROVIDERS: Mapping[str, ProviderFactory] = {
    "git": GitProvider,
    "github": GitProvider,
    "gitlab": GitProvider,
}
GIT_USERNAMES = {"github": "x-access-token", "gitlab": "oauth2"}
NEW_ACCESS = timedelta(minutes=5)  # before an app's token ends
# Near the limit: less than this part is left, and it is long until there is more. What
# is left then serves what only the API can do, and repositories are read through Git.
NEAR = 0.05
LONG = timedelta(minutes=10)


class MirrorProvider(GitProvider):
    """Git instead of the API: `read_by_why` says why."""

    read_by = Connection.Way.MIRROR.value

    def __init__(self, remote: Remote, why: str = "") -> None:
        super().__init__(remote)
        self.read_by_why = why


def budget_for(repository: Repository, *, urgent: bool = False) -> Budget:
    """What counts the requests of one reading; `urgent` work may use those that are
    kept for it. Git needs none."""
    if repository.connection is None:
        return Unlimited()
    return _budget(repository.connection, urgent=urgent)


def provider_for(repository: Repository, budget: Budget | None = None) -> Provider:
    """The provider of a repository. Raises ProviderError if there is no right to read
    it, crypto.WrongKey if its credential cannot be decrypted."""
    connection = repository.connection
    budget = budget or budget_for(repository)
    if connection is None:
        return PROVIDERS[repository.provider](remote_of(repository))
    if (repository.way or connection.way) == Connection.Way.MIRROR:
        return MirrorProvider(remote_of(repository, budget))
    if _is_nearly_spent(connection):
        return MirrorProvider(
            remote_of(repository, budget),
            f"{connection.provider_name}'s request limit is nearly used up.",
        )
    remote = remote_of(repository, budget)
    if connection.kind == Connection.Kind.GITHUB:
        from indexer.providers.github.reader import GitHubProvider

        return GitHubProvider(remote, github_client(connection, budget))
    from indexer.providers.gitlab.reader import GitLabProvider

    return GitLabProvider(remote, gitlab_client(connection, budget))


def remote_of(repository: Repository, budget: Budget | None = None) -> Remote:
    """Where a repository is, with its credential in the clear, and what this site
    allows."""
    from indexer.repositories import mirror_path

    connection = repository.connection
    if connection is None:
        url, username = repository.url, repository.username
        secret = decrypt(repository.secret) if repository.secret else ""
    else:
        url = clone_url(connection, repository.path)
        username = GIT_USERNAMES[connection.kind]
        secret = token_of(connection, budget or budget_for(repository))
    return Remote(
        url=url,
        username=username,
        secret=secret,
        mirror=mirror_path(repository.pk),
        path=repository.path,
        provider_id=repository.provider_id,
        allow_local=settings.MUSTER_ALLOW_LOCAL and connection is None,
        allow_private=settings.MUSTER_ALLOW_PRIVATE,
    )


def web_url(connection: Connection, path: str) -> str:
    """The page of a repository of a connection."""
    return f"{connection.web_url}/{quote(path, safe='/')}"


def clone_url(connection: Connection, path: str) -> str:
    """Where Git reads a repository of a connection: on the connection's server."""
    return f"{web_url(connection, path)}.git"


def api_of(connection: Connection) -> str:
    """Where its API is. Raises AddressRefused for an address that is not of its own
    server: its token would go there."""
    api, web = connection.api_url, connection.web_url
    is_own = api == web or api.startswith(f"{web}/")
    # GitHub's own have a host of their own for it, whoever runs the page.
    if connection.server == "github.com" or connection.server.endswith(".ghe.com"):
        is_own = is_own or api == f"https://api.{connection.server}"
    if not is_own:
        raise AddressRefused(
            "The address of the API is not of this connection's server. Enter the "
            "connection's address and token anew."
        )
    return api


def github_client(connection: Connection, budget: Budget) -> GitHubClient:
    """GitHub's API as a connection's token sees it. Raises ProviderError,
    crypto.WrongKey."""
    from indexer.providers.github.client import GitHubClient

    return GitHubClient(
        api_of(connection),
        token=token_of(connection, budget),
        budget=budget,
        allow_private=settings.MUSTER_ALLOW_PRIVATE,
    )


def gitlab_client(connection: Connection, budget: Budget) -> GitLabClient:
    """GitLab's API, likewise."""
    from indexer.providers.gitlab.client import GitLabClient

    return GitLabClient(
        api_of(connection),
        token=token_of(connection, budget),
        budget=budget,
        allow_private=settings.MUSTER_ALLOW_PRIVATE,
    )


def host_for(connection: Connection, urgent: bool = False) -> Host:
    """A connection's server: its owners, repositories and webhooks. Raises
    ProviderError, crypto.WrongKey."""
    budget = _budget(connection, urgent=urgent)
    if connection.kind == Connection.Kind.GITHUB:
        from indexer.providers.github.host import GitHubHost

        return GitHubHost(github_client(connection, budget))
    from indexer.providers.gitlab.host import GitLabHost

    return GitLabHost(gitlab_client(connection, budget))


def app_of(connection: Connection, budget: Budget | None = None) -> GitHubApp:
    """The GitHub App of a connection. Raises ProviderError, crypto.WrongKey."""
    from indexer.providers.github.apps import GitHubApp

    return GitHubApp(
        api_of(connection),
        app_id=connection.app_id,
        private_key=decrypt(connection.secret) if connection.secret else "",
        budget=budget or _budget(connection, urgent=True),
        allow_private=settings.MUSTER_ALLOW_PRIVATE,
    )


def token_of(connection: Connection, budget: Budget) -> str:
    """The token to ask with, in the clear; an app's is made anew before it ends.
    Raises AccessDenied without one, ProviderError, crypto.WrongKey."""
    if not connection.secret:
        raise AccessDenied("This connection has no token. Enter one to go on.")
    if connection.credential == Connection.Credential.TOKEN:
        return decrypt(connection.secret)
    if _is_fresh(connection, timezone.now()):
        return decrypt(connection.access)
    with transaction.atomic():
        rows = Connection.objects.all()
        if database.vendor == "postgresql":
            # One worker asks, the others wait for its answer. SQLite would keep
            # everybody from writing meanwhile; there a second token does no harm.
            rows = rows.select_for_update()
            _take_access(connection, rows.get(pk=connection.pk), budget)
            return decrypt(connection.access)
    _take_access(connection, rows.get(pk=connection.pk), budget)
    return decrypt(connection.access)


def _take_access(connection: Connection, row: Connection, budget: Budget) -> None:
    """Give `connection` the token its `row` has, or a new one for both. Raises
    Unavailable if the row leads elsewhere by now."""
    for name in ("api_url", "app_id", "installation_id"):
        if getattr(row, name) != getattr(connection, name):
            raise Unavailable("The connection was changed meanwhile. Try again.")
    if not _is_fresh(row, timezone.now()):
        access = app_of(connection, budget).create_access(connection.installation_id)
        row.access, row.access_expires_at = encrypt(access.token), access.expires_at
        row.save(update_fields=["access", "access_expires_at"])
    connection.access, connection.access_expires_at = row.access, row.access_expires_at


def _is_fresh(connection: Connection, now: datetime) -> bool:
    ends = connection.access_expires_at
    return bool(connection.access) and ends is not None and ends - NEW_ACCESS > now


def _budget(connection: Connection, *, urgent: bool) -> Budget:
    """A draft has none yet: nobody but the person who makes it asks."""
    if connection.state == Connection.State.DRAFT:
        return Unlimited()
    return budget_of(connection.pk, urgent=urgent)


def _is_nearly_spent(connection: Connection) -> bool:
    """Whether what is left of any kind of request is little, for long. Being told to
    wait is something else: then nobody asks, by no way."""
    now = timezone.now()
    return any(
        resource.allowed
        and resource.remaining is not None
        and resource.remaining < resource.allowed * NEAR
        and resource.reset_at is not None
        and resource.reset_at - now > LONG
        and (resource.blocked_until is None or resource.blocked_until <= now)
        for resource in budget_state(connection.pk).resources
    )
