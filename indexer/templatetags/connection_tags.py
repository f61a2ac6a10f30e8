"""How a connection is, in words and colours."""

from __future__ import annotations

from datetime import UTC, datetime

from django import template
from django.utils import timezone as clock

from indexer.budgets import BudgetState, ResourceState
from indexer.connection_facts import is_looking
from indexer.models import Connection
from indexer.providers.base import Ability
from indexer.templatetags.indexer_tags import icon

register = template.Library()

State = Connection.State
STATE_CLASSES = {State.OK: "badge-ok", State.NEW: "badge-accent"}
STATE_ICONS = {
    State.DRAFT: "pencil",
    State.NEW: "hourglass-split",
    State.OK: "check-circle",
    State.WAITING: "hourglass-split",
}
CALM = {State.DRAFT, State.WAITING}
ABILITIES = {
    Ability.READ: "Read repositories",
    Ability.TAGS: "Make and delete tags",
    Ability.CONTENTS: "Commit files",
    Ability.HOOKS: "Make webhooks",
}
RESOURCES = {"core": "REST", "graphql": "GraphQL", "search": "Search"}


@register.filter
def connection_class(connection: Connection) -> str:
    state = Connection.State(connection.state)
    return STATE_CLASSES.get(state, "" if state in CALM else "badge-bad")


@register.filter
def connection_icon(connection: Connection) -> str:
    return STATE_ICONS.get(Connection.State(connection.state), "exclamation-triangle")


@register.filter
def looking(connection: Connection) -> bool:
    """Whether a look at the provider is owed or under way."""
    return is_looking(connection)


@register.filter
def connection_sentence(connection: Connection) -> str:
    """Why it is as it is, and until when."""
    if connection.state == State.WAITING and connection.next_poll_at:
        until = at_clock(connection.next_poll_at)
        return f"Waiting for {connection.provider_name} until {until}."
    if connection.state == State.NEW:
        which = "The next look" if connection.polled_at else "Its first look"
        return f"{which} begins in a moment."
    if connection.state == State.DRAFT:
        return "Nothing is read before you connect it."
    return connection.message


@register.filter
def at_clock(at: datetime | None) -> str:
    """`14:05 UTC`; with the day where it is not today."""
    if at is None:
        return ""
    moment = at.astimezone(UTC)
    if moment.date() == clock.now().astimezone(UTC).date():
        return f"{moment:%H:%M} UTC"
    return f"{moment:%Y-%m-%d %H:%M} UTC"


@register.simple_tag
def provider_icon(kind: str, label: str = "") -> str:
    """The icon of a kind of provider; with its name where no text says it."""
    known = kind if kind in Connection.Kind.values else "git"
    return icon(known, label)


@register.filter
def ability_words(ability: str) -> str:
    """A right in words; one we do not know as it is."""
    return ABILITIES.get(ability, ability)  # type: ignore[call-overload, no-any-return]


@register.filter
def resource_name(resource: str) -> str:
    return RESOURCES.get(resource, resource)


@register.filter
def is_blocked(resource: ResourceState) -> bool:
    """Whether the provider told us to wait, and until a time to come."""
    return resource.blocked_until is not None and resource.blocked_until > clock.now()


@register.filter
def fewest_left(budget: BudgetState) -> ResourceState | None:
    """The kind of request that is nearest to its end."""
    known = [one for one in budget.resources if one.remaining is not None]
    if not known:
        return None
    return min(known, key=lambda one: (one.remaining or 0) / max(1, one.allowed or 1))


@register.filter
def time_left(seconds: float | None) -> str:
    """`about 4 minutes`; "" while there is nothing to go by."""
    if seconds is None:
        return ""
    if seconds < 10:
        return "a few seconds"
    if seconds < 90:
        return f"about {round(seconds, -1):.0f} seconds"
    if seconds < 90 * 60:
        return f"about {seconds / 60:.0f} minutes"
    return f"about {seconds / 3600:.1f} hours"
