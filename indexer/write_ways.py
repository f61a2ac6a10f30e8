"""By which right Muster writes to a repository for a person.

At GitHub and GitLab it is the person's own token, so that the provider's own rights and
rules decide. Another one is used only where an admin allowed it for the connection, and
the message then says who asked. A repository without a connection is pushed to with its
own credential."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings

from indexer.budgets import Unlimited
from indexer.core.snapshot import Person
from indexer.models import ActionLog, Connection, ProviderToken, Repository
from indexer.provider_tokens import draft_of
from indexer.providers.base import Remote
from indexer.providers.git.writer import GitTagWriter
from indexer.providers.registry import (
    GIT_USERNAMES,
    clone_url,
    github_client,
    gitlab_client,
    remote_of,
    token_of,
)
from indexer.providers.writing import TagWriter

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from indexer.providers.github.client import GitHubClient
    from indexer.providers.gitlab.client import GitLabClient

Right = ActionLog.Right
REQUESTED_BY = "Requested-by:"


class NoWay(Exception):
    """Nothing may be written for this person; `code` and `sentence` say why."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class WriteWay:
    """How a person writes to a repository."""

    right: Right
    remote: Remote
    writer: TagWriter
    github: GitHubClient | None = None
    gitlab: GitLabClient | None = None

    @property
    def opens_pulls(self) -> bool:
        """Whether a pull or merge request can be opened."""
        return self.github is not None or self.gitlab is not None


def right_of(repository: Repository, user: User) -> tuple[Right, str]:
    """Which right it would be, and whose it is in a few words, for a form. Raises
    NoWay. One query for a connection's repository."""
    connection = repository.connection
    if connection is None:
        return Right.REPOSITORY, "the repository’s own credential"
    token = _own_token(connection, user)
    if token is not None:
        account = f" ({token.account})" if token.account else ""
        return Right.OWN, f"your token at {token.server}{account}"
    if connection.shares_writing and connection.secret:
        return Right.SHARED, f"the token of the connection to {connection}"
    raise NoWay(
        "no-token",
        f"Muster writes to {connection.server} as you, and has no token of yours for "
        f"it. Enter one for {connection.web_url} on your account page.",
    )


def way_of(repository: Repository, user: User) -> WriteWay:
    """How this person writes there. No I/O but the database's. Raises NoWay,
    ProviderError, crypto.WrongKey."""
    right, _ = right_of(repository, user)
    connection = repository.connection
    if connection is None:
        remote = remote_of(repository)
        return WriteWay(right, remote, GitTagWriter(remote))
    if right is Right.OWN:
        token = _own_token(connection, user)
        if token is None:
            raise NoWay("no-token", "Your token was removed meanwhile. Enter another.")
        asked = draft_of(token)
    else:
        asked = connection
    remote = Remote(
        url=clone_url(connection, repository.path),
        username=GIT_USERNAMES[connection.kind],
        secret=token_of(asked, Unlimited()),
        path=repository.path,
        provider_id=repository.provider_id,
        allow_private=settings.MUSTER_ALLOW_PRIVATE,
    )
    if connection.kind == Connection.Kind.GITHUB:
        from indexer.providers.github.writer import GitHubTagWriter

        github = github_client(asked, Unlimited())
        return WriteWay(right, remote, GitHubTagWriter(remote, github), github=github)
    from indexer.providers.gitlab.pusher import GitLabPusher

    gitlab = gitlab_client(asked, Unlimited())
    return WriteWay(right, remote, GitLabPusher(remote, gitlab), gitlab=gitlab)


def requested_by(username: str, person: Person) -> str:
    """The last line of a message that is written by another's right: the account that
    asked, which nobody chooses by themselves as they do their name and e-mail."""
    account = " ".join(username.split())
    return f"{REQUESTED_BY} {account} ({person.name} <{person.email}>)"


def _own_token(connection: Connection, user: User) -> ProviderToken | None:
    """The person's token for the connection's server, of its kind."""
    found = ProviderToken.objects.filter(
        user=user, web_url=connection.web_url, kind=connection.kind
    )
    return found.first()
