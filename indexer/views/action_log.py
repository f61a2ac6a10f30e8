"""The action log: what people asked for through Muster."""

from __future__ import annotations

from typing import Any

from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from indexer.action_log_page import (
    RESULTS,
    SIZES,
    LogFilters,
    log_page,
    log_people,
    log_repositories,
)
from indexer.models import ActionLog
from indexer.permissions import can_act
from indexer.views.access import (
    HtmxHttpRequest,
    account_required,
    shown_at,
    wants_fragment,
)
from indexer.views.dashboard import Chip
from indexer.views.exports import exported_actions
from indexer.views.pages import page_links


@account_required
@require_safe
def actions(request: HtmxHttpRequest) -> HttpResponseBase:
    """Who asked for what, when, and what came of it."""
    filters = LogFilters.from_query(request.GET)
    if wanted := request.GET.get("format", ""):
        return exported_actions(request, wanted, filters)
    page = log_page(request.user, filters)
    query = filters.query(page=page.page)
    context: dict[str, Any] = {
        "section": "activity",
        "filters": filters,
        "is_fragment": wants_fragment(request),
        "page": page,
        "query": query,
        "chips": _chips(filters),
        "on": {"verb": len(filters.verbs), "result": len(filters.results)},
        "verbs": list(ActionLog.Verb),
        "results": RESULTS,
        "turned": filters.query(ascending=not filters.ascending),
        "sizes": SIZES,
        "links": page_links(page.page, page.pages, filters),
        "may_act": can_act(request.user),
    }
    template = "indexer/action_log.html"
    if wants_fragment(request):
        response = render(request, f"{template}#actions", context)
        return shown_at(request, response, query)
    context["people"] = log_people(request.user)
    context["repositories"] = log_repositories(request.user)
    return render(request, template, context)


def _chips(filters: LogFilters) -> list[Chip]:
    chips = []
    for verb in filters.verbs:
        rest = tuple(other for other in filters.verbs if other != verb)
        chips.append(Chip(str(ActionLog.Verb(verb).label), filters.query(verbs=rest)))
    for result in filters.results:
        rest = tuple(other for other in filters.results if other != result)
        chips.append(Chip(RESULTS[result], filters.query(results=rest)))
    if filters.person:
        chips.append(Chip(f"by {filters.person}", filters.query(person="")))
    if filters.repository:
        chips.append(Chip(f"in {filters.repository}", filters.query(repository="")))
    if filters.artifact:
        chips.append(Chip(f"about {filters.artifact}", filters.query(artifact="")))
    if filters.action:
        chips.append(Chip("one action", filters.query(action="")))
    if filters.q:
        chips.append(Chip(f"“{filters.q}”", filters.query(q="")))
    if filters.since:
        chips.append(Chip(f"from {filters.since}", filters.query(since=None)))
    if filters.until:
        chips.append(Chip(f"until {filters.until}", filters.query(until=None)))
    return chips
