"""Small pieces every page is made of: times, people, versions, stages, commits.

Tags rather than included templates, because a page has hundreds of them. Each returns
HTML whose every value went through `format_html`."""

from __future__ import annotations

import re
import zlib
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django import template
from django.contrib.auth.models import AnonymousUser
from django.urls import reverse
from django.utils import timezone as clock
from django.utils.encoding import escape_uri_path
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString

from indexer import markdown
from indexer.core.snapshot import Instant
from indexer.freshness import Freshness, index_freshness
from indexer.models import Artifact, Event, Repository
from indexer.page_addresses import artifact_path
from indexer.providers import links
from indexer.times import exact, local_time, relative
from indexer.views import commands
from indexer.views.commands import Command

register = template.Library()

STAGE_COLOURS = {
    "dev": "violet",
    "development": "violet",
    "test": "blue",
    "testing": "blue",
    "qa": "blue",
    "validation": "indigo",
    "uat": "orange",
    "challenger": "orange",
    "champion": "teal",
    "canary": "pink",
    "shadow": "slate",
    "stage": "amber",
    "staging": "amber",
    "prod": "green",
    "production": "green",
}
# Neighbours in this list differ much in hue; CSS has one class for each.
OTHER_COLOURS = ("teal", "pink", "indigo", "orange", "cyan", "lime", "plum", "slate")
KIND_ICONS = {
    Event.Kind.REGISTRATION: "tag",
    Event.Kind.DEREGISTRATION: "x-circle",
    Event.Kind.ASSIGNMENT: "check-circle",
    Event.Kind.UNASSIGNMENT: "dash-circle",
    Event.Kind.DEPRECATION: "archive",
}


# Registering artifact m version v1.0.0 · Unassigning stage 'prod' to artifact 'm' …
GTO_WORDS = re.compile(
    r"(Registering|Deregistering|Deprecating) artifact \S+( version \S+)?"
    r"|(Assigning|Unassigning) stage \S+ to artifact \S+ version \S+"
)


@register.simple_tag
def when(at: datetime | None, offset: int = 0, unknown: str = "date unknown") -> str:
    """A moment: relative, the exact one on hover and in `datetime`."""
    if at is None:
        return (
            format_html('<span class="unknown">{}</span>', unknown) if unknown else ""
        )
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        local_time(at, offset).isoformat(),
        exact(at, offset),
        relative(at, clock.now()),
    )


@register.simple_tag
def moment(at: datetime | None, offset: int = 0) -> str:
    """A moment in full, local and UTC on two lines: for the auditor's table."""
    if at is None:
        return format_html('<span class="unknown">{}</span>', "date unknown")
    local = local_time(at, offset)
    zone = f"{local:%z}"
    return format_html(
        '<time datetime="{}" title="{}"><span class="t-local">{} <small>{}</small>'
        '</span><span class="t-utc">{} <small>UTC</small></span></time>',
        local.isoformat(),
        relative(at, clock.now()),
        f"{local:%Y-%m-%d %H:%M:%S}",
        f"{zone[:3]}:{zone[3:5]}",
        f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
    )


@register.simple_tag
def icon(name: str, label: str = "") -> str:
    """An icon; with a label where no text says the same."""
    if label:
        return format_html(
            '<span class="i i-{}" role="img" aria-label="{}"></span>', name, label
        )
    return format_html('<span class="i i-{}" aria-hidden="true"></span>', name)


@register.filter
def kind_icon(kind: str) -> str:
    return KIND_ICONS.get(Event.Kind(kind), "info-circle")


@register.simple_tag
def mid(text: str, tail: int = 10) -> str:
    """A name that may shorten in the middle where room is short: the last `tail`
    characters always show, the whole is there for search, copy and hover."""
    if len(text) <= 2 * tail:
        return format_html("<bdi>{}</bdi>", text)
    return format_html(
        '<bdi class="mid" title="{}"><span>{}</span><span>{}</span></bdi>',
        text,
        text[:-tail],
        text[-tail:],
    )


@register.filter
def stage_colour(stage: str) -> str:
    """The CSS class of a stage: the same name has the same colour everywhere."""
    key = stage.casefold()
    known = STAGE_COLOURS.get(key)
    number = zlib.crc32(key.encode()) % len(OTHER_COLOURS)
    return f"c-{known or OTHER_COLOURS[number]}"


@register.simple_tag
def stage(name: str) -> str:
    """A stage as a pill that leads to who holds it, in all repositories."""
    return format_html(
        '<a class="pill {}" href="{}?{}" title="All models with a version in {}">'
        "<bdi>{}</bdi></a>",
        stage_colour(name),
        reverse("dashboard"),
        urlencode({"stage": name}),
        name,
        name,
    )


@register.simple_tag
def artifact_link(artifact: Artifact, repository: Repository | None = None) -> str:
    """An artifact's name as a link to its page."""
    name = (repository or artifact.repository).name
    return format_html('<a href="{}">{}</a>', artifact_path(name, artifact.name),
                       mid(artifact.name))  # fmt: skip


@register.simple_tag
def artifact_address(artifact: Artifact, version: str = "") -> str:
    return artifact_path(artifact.repository.name, artifact.name, version)


@register.filter
def short_version(name: str) -> str:
    """A version's name; of a commit that stands for one, its first characters."""
    return name if name.startswith("v") else name[:7]


@register.simple_tag
def version_link(artifact: Artifact, name: str, css: str = "ver") -> str:
    """A version as a link to its permanent page."""
    if not name:
        return ""
    shown = short_version(name)
    return format_html(
        '<a class="{}" href="{}" title="{}"><bdi>{}</bdi></a>',
        css,
        artifact_path(artifact.repository.name, artifact.name, name),
        name if shown != name else f"{artifact.name} {name}",
        shown,
    )


@register.filter
def own_words(message: str) -> str:
    """A tag's message, unless it is the one gto writes by itself and which says
    nothing the line above does not (docs of gto, "Writing")."""
    return "" if GTO_WORDS.fullmatch(message) else message


@register.simple_tag
def person(name: str, email: str = "") -> str:
    """Who did it, as a link to all they did."""
    if not name and not email:
        return format_html('<span class="unknown">{}</span>', "nobody named")
    return format_html(
        '<a class="who" href="{}?{}" title="{}"><bdi>{}</bdi></a>',
        reverse("activity"),
        urlencode({"person": email or name}),
        f"{name} <{email}>" if name and email else name or email,
        name or email,
    )


def _host_kind(repository: Repository) -> links.HostKind:
    """What its pages look like: a GitHub of one's own has a name that does not say."""
    if repository.provider in {"github", "gitlab"}:
        return links.HostKind(repository.provider)
    return links.host_kind(repository.host)


@register.simple_tag
def commit_link(repository: Repository, commit_id: str, length: int = 7) -> str:
    """A commit, linked to its page at the host where there is one."""
    url = links.commit_url(repository.web_url, _host_kind(repository), commit_id)
    return _outward(url, commit_id[:length], commit_id)


@register.simple_tag
def tag_link(repository: Repository, tag: str) -> str:
    """A Git tag, linked to its page at the host where there is one."""
    url = links.tag_url(repository.web_url, _host_kind(repository), tag)
    return _outward(url, tag, tag)


def _outward(url: str, shown: str, title: str) -> SafeString:
    if not url.startswith(("https://", "http://")):
        return format_html('<code title="{}"><bdi>{}</bdi></code>', title, shown)
    return format_html(
        '<a class="code" href="{}" title="{}" rel="noopener noreferrer external">'
        "<bdi>{}</bdi></a>",
        url,
        title,
        shown,
    )


@register.simple_tag
def repository_icon(repository: Repository) -> str:
    """The icon of the host a repository lives at."""
    if not repository.host:
        return icon("hdd-stack", "On this machine")
    kind = _host_kind(repository)
    if kind == links.HostKind.GITHUB:
        return icon("github", "GitHub")
    if kind == links.HostKind.GITLAB:
        return icon("gitlab", "GitLab")
    return icon("git", repository.host)


@register.filter
def rendered(text: str) -> SafeString:
    return markdown.render(text)


@register.filter
def first_line(text: str) -> str:
    return markdown.first_line(text)


@register.simple_tag
def copy_button(text: str, what: str) -> str:
    """A button that copies a text; shown only where scripts run."""
    return format_html(
        '<button type="button" class="copy" data-copy="{}" title="Copy {}">{}'
        '<span class="visually-hidden">Copy {}</span></button>',
        text,
        what,
        icon("copy"),
        what,
    )


@register.simple_tag
def plural(count: int, one: str, many: str = "") -> str:
    """`1 model`, `2 models`, with thousands apart."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


@register.simple_tag(takes_context=True)
def to(context: template.Context, query: str) -> str:
    """The address of this page with another query string, without an empty `?`."""
    return f"?{query}" if query else escape_uri_path(context["request"].path)


@register.filter
def get(mapping: dict[str, Any], key: str) -> Any:
    """`mapping.key` for a key that is in a variable."""
    return mapping.get(key)


@register.filter
def allowed_in(stage: str, repository: Repository) -> bool:
    """Whether a repository's .gto allows a stage; one without a list allows all."""
    return not repository.has_stage_list or stage in repository.stage_order


@register.filter
def initials(name: str) -> str:
    """Up to two letters that stand for a person."""
    words = [word for word in name.split() if word[:1].isalnum()]
    letters = words[0][0] + (words[-1][0] if len(words) > 1 else "") if words else "?"
    return escape(letters.upper())


@register.inclusion_tag("indexer/_freshness.html", takes_context=True)
def freshness(context: template.Context) -> dict[str, Freshness]:
    """How old the index is. One query, unless the page has asked already."""
    if known := context.get("freshness"):
        return {"freshness": known}
    user = getattr(context.get("request"), "user", None) or AnonymousUser()
    return {"freshness": index_freshness(user)}


@register.simple_tag
def dvc_yaml_example() -> str:
    """What a repository's dvc.yaml says of a model; more than a line, which the
    template language cannot write as an argument."""
    return (
        "artifacts:\n"
        "  churn:\n"
        "    path: models/churn.pkl\n"
        "    type: model\n"
        "    desc: Predicts who leaves next month"
    )


@register.inclusion_tag("indexer/_command.html")
def command(does: str, text: str) -> dict[str, str]:
    """A command, and a button that copies it."""
    return {"does": does, "text": text}


@register.simple_tag
def labels(values: list[str], most: int = 0) -> str:
    """Labels, each a link to all that have it; beyond `most` they are counted."""
    shown = values[:most] if most and len(values) > most else values
    links = [
        format_html(
            '<a class="label" href="{}?{}" title="All with the label {}">'
            "<bdi>{}</bdi></a>",
            reverse("dashboard"),
            urlencode({"label": value}),
            value,
            value,
        )
        for value in shown
    ]
    if rest := values[len(shown) :]:  # counted beside the last one, on its line
        links[-1] = format_html(
            '<span class="nowrap">{} <span class="label" title="{}">+{}</span></span>',
            links[-1],
            ", ".join(rest),
            len(rest),
        )
    return format_html_join(" ", "{}", ((link,) for link in links))


@register.simple_tag
def when_seconds(seconds: int | None, offset: int = 0) -> str:
    """A moment kept as seconds since 1970, as Git holds it."""
    return when(None if seconds is None else Instant(seconds).utc, offset)


@register.simple_tag
def file_link(
    repository: Repository, commit_id: str, path: str, line: int | None = None
) -> str:
    """A file at a commit, `path:line`, linked to its page at the host."""
    kind = _host_kind(repository)
    url = links.file_url(repository.web_url, kind, commit_id, path) if commit_id else ""
    shown = f"{path}:{line}" if line else path
    if url and line and kind in {links.HostKind.GITHUB, links.HostKind.GITLAB}:
        url = f"{url}#L{line}"
    return _outward(url, shown, shown)


@register.filter
def web_only(url: str) -> str:
    """An address that a link may lead to: http or https, else nothing (X7)."""
    return url if url.startswith(("https://", "http://")) else ""


@register.simple_tag
def assign_commands(artifact: Artifact, version: str, stage: str) -> list[Command]:
    """How to give a version a stage."""
    return commands.assign_commands(artifact, version, stage)


@register.simple_tag
def query(**parameters: object) -> str:
    """A query string of the parameters that are not empty."""
    return urlencode({key: value for key, value in parameters.items() if value})
