"""Where a connection's provider is, and whose repositories it takes, as the provider
itself says."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from indexer.budgets import Unlimited
from indexer.models import Connection
from indexer.providers import errors
from indexer.providers.base import Owner, OwnerKind, Right
from indexer.providers.registry import app_of


def write(connection: Connection, **fields: Any) -> None:
    """Write what the provider said. Raises Unavailable, and writes nothing, if the
    connection leads elsewhere by now: an answer may take long, and what one server
    said must not decide where the token of another goes."""
    as_asked = Connection.objects.filter(
        pk=connection.pk,
        web_url=connection.web_url,
        owner=connection.owner,
        app_id=connection.app_id,
    )
    if not as_asked.update(**fields):
        raise errors.Unavailable(
            f"The connection was changed or removed while {connection.provider_name} "
            "was asked. Try again."
        )
    for name, value in fields.items():
        setattr(connection, name, value)


def keep_owner(connection: Connection, owner: Owner) -> None:
    """Write who the owner is, as the provider spells it. Raises Unavailable as
    `write` does."""
    found = (owner.path[:255], owner.kind.value, owner.id[:64])
    if found != (connection.owner, connection.owner_kind, connection.owner_id):
        path, kind, number = found
        write(connection, owner=path, owner_kind=kind, owner_id=number)


def owner_of(connection: Connection) -> Owner | None:
    """The owner as it was found; None before a test or a first look."""
    if not connection.owner_id:
        return None
    return Owner(
        OwnerKind(connection.owner_kind), connection.owner_id, connection.owner
    )


def find_api(connection: Connection) -> None:
    """Write where the API of a GitHub of one's own is. What does not say so leaves the
    address as it was."""
    if api_url := found_api(connection):
        write(connection, api_url=api_url)


def found_api(connection: Connection) -> str:
    """Where the API of a GitHub of one's own is: below /api/v3, or at the root; "" if
    nothing says so. Asked without the token: an app has none before its installation
    is found."""
    from indexer.providers.github.client import GitHubClient

    if connection.kind != Connection.Kind.GITHUB or not connection.api_url.startswith(
        connection.web_url
    ):
        return ""
    for api_url in (f"{connection.web_url}/api/v3", connection.web_url):
        client = GitHubClient(
            api_url,
            token="",
            budget=Unlimited(),
            allow_private=settings.MUSTER_ALLOW_PRIVATE,
        )
        try:
            client.rest("GET", "/meta")
        except (errors.NotFound, errors.BadPayload):
            continue
        except errors.AccessDenied:
            pass  # it answers as an API does; the test says what is wrong
        return api_url
    return ""


def find_installation(connection: Connection) -> tuple[Right, ...]:
    """Which installation of the app is meant: the one named, or the owner's; and what
    it was allowed."""
    from indexer.providers.github.apps import rights_of

    app = app_of(connection)
    if connection.installation_id:
        found = app.fetch_installation(connection.installation_id)
    else:
        found = app.find_installation(connection.owner)
    write(connection, installation_id=found.id, owner=found.account.login)
    return rights_of(found)
