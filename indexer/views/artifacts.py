"""The page of one artifact: the version asked for, its stages, and its history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.core.paginator import Page, Paginator
from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from indexer.action_log_page import actions_of_events
from indexer.gone_tags import gone_tags
from indexer.history import HistoryFilters, history_page
from indexer.models import (
    Annotation,
    Artifact,
    Commit,
    Event,
    Problem,
    StageHolder,
    Version,
)
from indexer.page_addresses import artifact_url
from indexer.permissions import User, can_act, within_sight
from indexer.stages import ordered_stages
from indexer.views.access import (
    HtmxHttpRequest,
    follows_renames,
    reader_required,
    wants_fragment,
)
from indexer.views.commands import get_commands, register_commands
from indexer.views.pages import page_links

VERSIONS_A_PAGE = 15
EVENTS_A_PAGE = 25
MOST_HOLDERS = 100  # shown beside the model; the history has all
MOST_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class ShownVersion:
    """A version and what Git says of it. `commit` and `annotation` are those of its
    commit; `twins` are versions of the same name on other commits."""

    version: Version
    commit: Commit | None
    annotation: Annotation | None
    twins: list[Version]


def get_artifact(user: User, repository: str, artifact: str) -> Artifact:
    """The artifact, or 404. One query."""
    rows = within_sight(Artifact.objects.select_related("repository"), user)
    return get_object_or_404(
        rows.defer("search", "repository__secret"),
        repository__name=repository,
        name=artifact,
    )


@reader_required
@follows_renames
@require_safe
def artifact(
    request: HtmxHttpRequest, repository: str, artifact: str, version: str = ""
) -> HttpResponseBase:
    """An artifact at its latest version, or at the version the address names."""
    shown = get_artifact(request.user, repository, artifact)
    chosen = request.GET.get("version", "").strip()
    if chosen and not version:
        return _jump(shown, chosen)
    filters = HistoryFilters.from_query(request.GET)
    events = history_page(request.user, _timeline(filters), artifact=shown)
    context = {
        "section": "models",
        "artifact": shown,
        "repository": shown.repository,
        "filters": filters,
        "is_fragment": wants_fragment(request),
        "events": events,
        "actions": actions_of_events(events.rows),
        "page": events,
        "links": page_links(events.page, events.pages, filters),
        "kinds": [
            (kind, filters.query(kinds=(kind.value,)), kind.value in filters.kinds)
            for kind in Event.Kind
        ],
        "all_kinds": filters.query(kinds=()),
    }
    if wants_fragment(request) and request.htmx.target == "timeline":
        return render(request, "indexer/artifact_detail.html#timeline", context)
    holders = _holders(shown)
    may_act = can_act(request.user)
    current = _shown_version(shown, version)
    annotation = current.annotation if current else _head_annotation(shown)
    context |= {
        "may_act": may_act,
        "restorable": _restorable(shown, holders) if may_act else (),
        "current": current,
        "crumb": version[:7] if version and not version.startswith("v") else version,
        "is_permanent": bool(version),
        "annotation": annotation,
        "at_head": None if annotation else _head_annotation(shown),
        "gone": gone_tags(shown.repository, shown),
        "stages": holders,
        "version_stages": [
            holder
            for _, of_stage in holders
            for holder in of_stage
            if current and holder.version_id == current.version.pk
        ],
        "versions": _versions(shown, request.GET.get("versions", "")),
        "problems": Problem.objects.filter(artifact=shown).order_by("pk")[
            :MOST_PROBLEMS
        ],
        "commands": get_commands(
            shown.repository, shown, current.version if current else None, annotation
        ),
        "to_register": [] if shown.is_registered else register_commands(shown),
    }
    return render(request, "indexer/artifact_detail.html", context)


def _timeline(filters: HistoryFilters) -> HistoryFilters:
    """The timeline is short; the history page is the long one."""
    return HistoryFilters(kinds=filters.kinds, page=filters.page, size=EVENTS_A_PAGE)


def _jump(shown: Artifact, chosen: str) -> HttpResponseBase:
    """From the picker's field to the version's own address."""
    found = shown.versions.filter(name__in=[chosen, f"v{chosen}"]).first()
    if found is None:
        raise Http404(f"{shown.name} has no version {chosen}.")
    return HttpResponseRedirect(artifact_url(shown, found.name))


def _shown_version(shown: Artifact, name: str) -> ShownVersion | None:
    """The version of that name, else the latest, else the first there is. At most
    three queries."""
    versions = shown.versions.select_related("annotation").order_by("rank")
    if name:
        found = list(versions.filter(name=name))
        if not found:
            raise Http404(f"{shown.name} has no version {name}.")
    else:
        latest = versions.filter(name=shown.latest_version, is_active=True)
        found = list(latest if shown.latest_version else versions[:1])
        if not found:
            return None
    version = next((row for row in found if row.is_active), found[0])
    commit = Commit.objects.filter(
        repository=shown.repository_id, commit_id=version.commit_id
    ).first()
    twins = [row for row in found if row.pk != version.pk]
    return ShownVersion(version, commit, version.annotation, twins)


def _head_annotation(shown: Artifact) -> Annotation | None:
    """What the default branch's head says, as the artifact keeps it. No query."""
    if not shown.is_annotated:
        return None
    return Annotation(
        artifact=shown,
        commit_id=shown.repository.head,
        source=shown.source,
        path=shown.path,
        type=shown.type,
        description=shown.description,
        labels=shown.labels,
    )


def _holders(shown: Artifact) -> list[tuple[str, list[StageHolder]]]:
    """The stages in their order, each with who holds it. One query."""
    by_stage: dict[str, list[StageHolder]] = {}
    rows: QuerySet[StageHolder] = shown.holders.select_related("version")
    for holder in rows.order_by("stage", "rank")[:MOST_HOLDERS]:
        by_stage.setdefault(holder.stage, []).append(holder)
    order: Sequence[str] = shown.repository.stage_order
    return [
        (stage, by_stage[stage]) for stage in ordered_stages(by_stage, [(order, 1)])
    ]


def _restorable(
    shown: Artifact, holders: Sequence[tuple[str, list[StageHolder]]]
) -> set[str]:
    """The stages that another version had before, which is there still. One query."""
    there = shown.versions.filter(is_active=True).values("name")
    had = shown.events.filter(kind=Event.Kind.ASSIGNMENT, version__in=there)
    held = {(stage, one.version.name) for stage, of in holders for one in of}
    pairs = set(had.order_by().values_list("stage", "version").distinct())
    return {stage for stage, _ in pairs - held}


def _versions(shown: Artifact, page: str) -> Page[Version]:
    """One page of the versions, the greatest first. Three queries."""
    rows = (
        shown.versions.order_by("rank")
        .defer("message")
        .prefetch_related(Prefetch("holders", StageHolder.objects.order_by("stage")))
    )
    return Paginator(rows, VERSIONS_A_PAGE).get_page(page)
