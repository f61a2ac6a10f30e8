"""What pages say of a connection's webhooks, and how to make one by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote

from django.db.models import Count, Q

from indexer.crypto import decrypt
from indexer.hooks import address_of
from indexer.models import Connection, Hook, Repository

# What to tick, in the words of the provider's page; the second for an owner's webhook.
EVENTS = {
    "github": (
        "Pushes",
        "Branch or tag creation",
        "Branch or tag deletion",
        "Repositories",
    ),
    "gitlab": ("Push events", "Tag push events"),
}
OWNER_EVENTS = {
    "github": ("Organizations",),
    "gitlab": ("Project events", "Subgroup events"),
}


@dataclass(frozen=True, slots=True)
class Instructions:
    """What to type where to make a webhook by hand. `address` has no scheme and host
    while MUSTER_PUBLIC_URL is not set. `page` is the provider's page to type it."""

    address: str
    secret: str = field(repr=False)
    content_type: str  # "" where the provider does not ask
    events: tuple[str, ...]
    page: str


@dataclass(frozen=True, slots=True)
class HookState:
    """What a page says of a connection's webhooks. `hook` is the owner's, the one that
    `instructions` are for (None: nothing was tried yet). `state` MADE with
    `in_repositories` above 0: each repository has its own."""

    state: Hook.State
    sentence: str
    hook: Hook | None = None
    in_repositories: int = 0  # made
    refused: int = 0  # repositories that allow none
    last_delivery_at: datetime | None = None
    last_event: str = ""
    last_outcome: str = ""


def instructions(hook: Hook) -> Instructions:
    """How to make a webhook by hand. Holds its secret: only for those who may manage
    connections. Raises crypto.WrongKey."""
    connection = hook.connection
    kind = connection.kind
    return Instructions(
        address=address_of(hook),
        secret=decrypt(hook.secret),
        content_type="application/json" if kind == Connection.Kind.GITHUB else "",
        events=EVENTS[kind] + (() if hook.repository_id else OWNER_EVENTS[kind]),
        page=_page_of(connection, hook.repository),
    )


def _page_of(connection: Connection, repository: Repository | None) -> str:
    """The provider's page where a webhook is typed in, "" if it depends on the
    repository."""
    web, owner = connection.web_url, quote(connection.owner)
    if connection.kind == Connection.Kind.GITLAB:
        if repository is not None:
            return f"{web}/{quote(repository.path)}/-/hooks"
        is_group = connection.owner_kind == Connection.OwnerKind.GROUP
        return f"{web}/groups/{owner}/-/hooks" if is_group else ""
    if repository is not None:
        return f"{web}/{quote(repository.path)}/settings/hooks/new"
    if connection.credential == Connection.Credential.APP:
        is_user = connection.owner_kind == Connection.OwnerKind.USER
        place = "" if is_user or not owner else f"/organizations/{owner}"
        return f"{web}{place}/settings/apps"
    if connection.owner_kind == Connection.OwnerKind.USER:
        return ""
    return f"{web}/organizations/{owner}/settings/hooks/new"


def hook_state(connection: Connection) -> HookState:
    """What to show of a connection's webhooks. Runs three queries."""
    hooks = connection.hooks.all()
    hook = hooks.filter(repository=None).first()
    heard = hooks.exclude(last_delivery_at=None).order_by("-last_delivery_at").first()
    counts = hooks.exclude(repository=None).aggregate(
        made=Count("pk", filter=Q(state=Hook.State.MADE)),
        refused=Count("pk", filter=Q(state=Hook.State.REFUSED)),
    )
    if hook is None:
        return HookState(Hook.State.WANTED, "Webhooks are made after the first look.")
    hook.connection = connection
    state = Hook.State(hook.state)
    if state == Hook.State.REFUSED and counts["made"]:
        state = Hook.State.MADE
    return HookState(
        state=state,
        sentence=_sentence(connection, hook, counts["made"], heard is not None),
        hook=hook,
        in_repositories=counts["made"],
        refused=counts["refused"],
        last_delivery_at=heard.last_delivery_at if heard else None,
        last_event=heard.last_event if heard else "",
        last_outcome=heard.last_outcome if heard else "",
    )


def _sentence(connection: Connection, hook: Hook, made: int, has_arrived: bool) -> str:
    name = connection.provider_name
    if hook.state == Hook.State.WANTED:
        return "The webhook is missing and is made at the next look."
    if hook.state == Hook.State.MANUAL and not has_arrived:
        return hook.message
    if hook.state == Hook.State.REFUSED and not made and not has_arrived:
        return f"{hook.message} {name} allows no webhook in its repositories so far."
    if not has_arrived:
        return (
            f"{name} has a webhook, and nothing has come yet. If that stays so after "
            "a push, look whether it reaches MUSTER_PUBLIC_URL, and whether "
            "ALLOWED_HOSTS names that host."
        )
    if made:
        return f"{name} tells Muster of changes in {made} repositories at once."
    return f"{name} tells Muster of changes at once."
