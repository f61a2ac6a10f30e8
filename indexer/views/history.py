"""The auditor's tables: the history of one artifact, and of all."""

from __future__ import annotations

from typing import Any

from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from indexer.action_log_page import actions_of_events
from indexer.gone_tags import gone_tags
from indexer.history import SIZES, HistoryFilters, history_page
from indexer.models import Artifact, Event
from indexer.permissions import visible_repositories
from indexer.views.access import (
    HtmxHttpRequest,
    follows_renames,
    reader_required,
    shown_at,
    wants_fragment,
)
from indexer.views.artifacts import get_artifact
from indexer.views.dashboard import Chip
from indexer.views.exports import exported_history
from indexer.views.pages import page_links


@reader_required
@follows_renames
@require_safe
def artifact_history(
    request: HtmxHttpRequest, repository: str, artifact: str
) -> HttpResponseBase:
    """Everything that happened to one artifact."""
    return _history(request, get_artifact(request.user, repository, artifact))


@reader_required
@require_safe
def activity(request: HtmxHttpRequest) -> HttpResponseBase:
    """Everything that happened, in all repositories."""
    return _history(request, None)


def _history(request: HtmxHttpRequest, artifact: Artifact | None) -> HttpResponseBase:
    filters = HistoryFilters.from_query(request.GET)
    if wanted := request.GET.get("format", ""):
        return exported_history(request, wanted, filters, artifact)
    page = history_page(request.user, filters, artifact=artifact)
    query = filters.query(page=page.page)
    context: dict[str, Any] = {
        "section": "models" if artifact else "activity",
        "artifact": artifact,
        "repository": artifact.repository if artifact else None,
        "filters": filters,
        "is_fragment": wants_fragment(request),
        "page": page,
        "actions": actions_of_events(page.rows),
        "query": query,
        "chips": _chips(filters),
        "on": {"event": len(filters.kinds), "stage": len(filters.stages)},
        "kinds": list(Event.Kind),
        "turned": filters.query(ascending=not filters.ascending),
        "sizes": SIZES,
        "links": page_links(page.page, page.pages, filters),
    }
    template = "indexer/history.html"
    if wants_fragment(request):
        response = render(request, f"{template}#events", context)
        return shown_at(request, response, query)
    if artifact is not None:
        context["gone"] = gone_tags(artifact.repository, artifact)
    else:
        context["repositories"] = list(
            visible_repositories(request.user)
            .filter(model_count__gt=0)
            .order_by("name")
            .values_list("name", flat=True)[:MOST_REPOSITORIES]
        )
    return render(request, template, context)


MOST_REPOSITORIES = 500  # in the menu of the activity


def _chips(filters: HistoryFilters) -> list[Chip]:
    chips = []
    for kind in filters.kinds:
        rest = tuple(other for other in filters.kinds if other != kind)
        chips.append(Chip(str(Event.Kind(kind).label), filters.query(kinds=rest)))
    if filters.person:
        chips.append(Chip(f"by {filters.person}", filters.query(person="")))
    for stage in filters.stages:
        rest = tuple(other for other in filters.stages if other != stage)
        chips.append(Chip(f"stage {stage}", filters.query(stages=rest)))
    if filters.repository:
        chips.append(Chip(f"in {filters.repository}", filters.query(repository="")))
    if filters.q:
        chips.append(Chip(f"“{filters.q}”", filters.query(q="")))
    if filters.since:
        chips.append(Chip(f"from {filters.since}", filters.query(since=None)))
    if filters.until:
        chips.append(Chip(f"until {filters.until}", filters.query(until=None)))
    return chips
