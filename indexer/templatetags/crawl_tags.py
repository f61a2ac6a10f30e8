"""How a repository is and how its crawls went, in words and colours."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.utils.html import format_html

from indexer.jobs import URGENT
from indexer.models import Connection, Crawl, Repository
from indexer.templatetags.connection_tags import at_clock

register = template.Library()


@register.filter
def running_crawl(repository: Repository) -> Crawl | None:
    """The crawl that runs now. No query where the view has prefetched it."""
    known: list[Crawl] | None = getattr(repository, "running", None)
    if known is None:
        return repository.crawls.filter(status=Crawl.Status.RUNNING).first()
    return known[0] if known else None


@register.filter
def is_waiting(repository: Repository) -> bool:
    """Whether somebody asked for a crawl that has not begun and soon will."""
    return _is_owed(repository) and not held_up(repository)


@register.filter
def held_up(repository: Repository) -> str:
    """Why a crawl that is owed does not begin soon, as jobs.owed has it: its connection
    waits for a limit, or is refused. "" if nothing is in its way."""
    connection = repository.connection if repository.connection_id else None
    if connection is None or not _is_owed(repository):
        return ""
    if connection.state == Connection.State.DENIED:
        return f"{connection.provider_name} refuses the token of its connection."
    is_asked = repository.requested_seq > repository.done_seq
    is_by_person = is_asked and repository.requested_trigger in URGENT
    if connection.state == Connection.State.WAITING and not is_by_person:
        until = at_clock(connection.next_poll_at)
        return f"Waiting for {connection.provider_name} until {until}."
    return ""


def _is_owed(repository: Repository) -> bool:
    return repository.is_enabled and (
        repository.requested_seq > repository.done_seq
        or repository.state == Repository.State.NEW
    )


@register.filter
def crawl_mark(repository: Repository) -> str:
    """Changes whenever a crawl has ended."""
    at = repository.last_crawl_at
    return f"{at.timestamp():.6f}" if at else "0"


STATE_CLASSES = {
    Repository.State.OK: "badge-ok",
    Repository.State.NEW: "badge-accent",
    Repository.State.EMPTY: "badge-warn",
    Repository.State.WAITING: "",
}
STATE_ICONS = {
    Repository.State.OK: "check-circle",
    Repository.State.NEW: "hourglass-split",
    Repository.State.EMPTY: "info-circle",
    Repository.State.WAITING: "hourglass-split",
}
CRAWL_CLASSES = {
    Crawl.Status.RUNNING: "badge-accent",
    Crawl.Status.CHANGED: "badge-ok",
    Crawl.Status.UNCHANGED: "",
    Crawl.Status.WAITING: "",
}


@register.filter
def state_class(state: str) -> str:
    return STATE_CLASSES.get(Repository.State(state), "badge-bad")


@register.filter
def state_icon(state: str) -> str:
    return STATE_ICONS.get(Repository.State(state), "exclamation-triangle")


@register.filter
def crawl_class(status: str) -> str:
    return CRAWL_CLASSES.get(Crawl.Status(status), "badge-bad")


@register.simple_tag
def duration(start: datetime, end: datetime | None) -> str:
    """`0.4 s`, `12 s`, `3 min 5 s`; "running" while there is no end."""
    if end is None:
        return "running"
    seconds = max((end - start).total_seconds(), 0.0)
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


@register.simple_tag
def crawl_counts(counts: dict[str, int]) -> str:
    """What a crawl counted, in words: `12 tags, 3 new events`."""
    parts = []
    for name, count in counts.items():
        words = name.replace("_", " ")
        if count:
            parts.append(
                f"{count:,} {words.removesuffix('s') if count == 1 else words}"
            )
    return format_html('<span class="sub">{}</span>', ", ".join(parts)) if parts else ""
