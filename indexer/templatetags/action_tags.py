"""What people asked for through Muster, in words, icons and colours."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from indexer.models import ActionLog, Event
from indexer.templatetags.indexer_tags import icon, moment

register = template.Library()

Verb, Status = ActionLog.Verb, ActionLog.Status
KINDS = {  # the icon, and the kind of event whose colour it has
    Verb.REGISTER: ("tag", "registration"),
    Verb.ASSIGN: ("check-circle", "assignment"),
    Verb.RESTORE: ("arrow-counterclockwise", "assignment"),
    Verb.UNASSIGN: ("dash-circle", "unassignment"),
    Verb.DEREGISTER: ("x-circle", "deregistration"),
    Verb.DEPRECATE: ("archive", "deprecation"),
    Verb.REVIVE: ("arrow-repeat", "registration"),
    Verb.ADD: ("plus-lg", "registration"),
    Verb.EDIT: ("pencil", "registration"),
}
RESULTS = {
    Status.ASKED: ("hourglass-split", "badge-accent"),
    Status.WRITING: ("hourglass-split", "badge-accent"),
    Status.DONE: ("check-lg", "badge-ok"),
    Status.REFUSED: ("slash-circle", "badge-warn"),
    Status.FAILED: ("x-circle", "badge-bad"),
    Status.UNKNOWN: ("exclamation-triangle", "badge-bad"),
}


@register.simple_tag
def verb_icon(verb: str) -> str:
    """The icon of what was asked for, in the colour of the event it makes."""
    name, kind = KINDS[Verb(verb)]
    return format_html('<span class="k-ink-{}">{}</span>', kind, icon(name))


@register.simple_tag
def result_badge(row: ActionLog) -> str:
    """What came of it."""
    name, css = RESULTS[Status(row.status)]
    return format_html(
        '<span class="badge-plain {}">{}{}</span>',
        css,
        icon(name),
        row.get_status_display(),
    )


@register.simple_tag
def site_moment(at: datetime) -> str:
    """A moment on the site's clock and in UTC, once where they are the same."""
    offset = timezone.localtime(at).utcoffset()
    minutes = int(offset.total_seconds() // 60) if offset else 0
    if minutes:
        return moment(at, minutes)
    return format_html(
        '<time datetime="{}"><span class="t-local">{} <small>UTC</small></span></time>',
        at.isoformat(),
        f"{at:%Y-%m-%d %H:%M:%S}",
    )


@register.simple_tag(takes_context=True)
def through(context: template.Context, event: Event) -> str:
    """Whether an event was asked for through Muster or pushed to Git, by the
    context's `actions`. Who signed in sees who asked, where Git names another, and is
    led to the action log."""
    action = context["actions"].get(event.pk)
    if action is None:
        return "pushed to Git"
    if not context["request"].user.is_authenticated:
        return "through Muster"
    address = f"{reverse('actions')}?action={action.uuid}"
    link = format_html('<a href="{}">through Muster</a>', address)
    if action.tagger_name in {"", event.author_name}:
        return link
    return format_html("{}, asked for by <bdi>{}</bdi>", link, action.tagger_name)
