"""The list of models, and the line that says a first crawl is under way."""

from __future__ import annotations

from typing import NamedTuple

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseClientRefresh, trigger_client_event

from indexer.catalog import (
    COLUMNS,
    MODEL,
    ORDERS,
    SIZES,
    STAGE_COLUMN,
    CatalogFilters,
    CatalogPage,
    catalog_page,
)
from indexer.freshness import index_freshness
from indexer.permissions import can_act, can_manage
from indexer.views.access import (
    HtmxHttpRequest,
    reader_required,
    shown_at,
    wants_fragment,
)
from indexer.views.exports import exported_catalog
from indexer.views.pages import page_links

COLUMN_NAMES = {
    "type": "Type",
    "repository": "Repository",
    "latest": "Latest version",
    "labels": "Labels",
    "activity": "Last activity",
}
SORT_NAMES = {
    "name": "Name",
    "repository": "Repository",
    "latest": "Latest version",
    "activity": "Last activity",
    "assigned": "Last assignment",
}
NEWEST_FIRST = {"latest", "activity", "assigned"}  # where a first click descends


class Chip(NamedTuple):
    """A filter that is on, and the address without it."""

    text: str
    without: str


class Column(NamedTuple):
    """A column that can be hidden."""

    value: str
    name: str
    hidden: bool


class SortLink(NamedTuple):
    """A way to sort: where it leads, and how it is sorted now ("" if not by it)."""

    value: str
    name: str
    query: str
    direction: str


@reader_required
@require_safe
def dashboard(request: HtmxHttpRequest) -> HttpResponseBase:
    """All models one may see, one row each."""
    filters = CatalogFilters.from_query(request.GET)
    if wanted := request.GET.get("format", ""):
        return exported_catalog(request, wanted, filters)
    page = catalog_page(request.user, filters)
    query = filters.query(page=page.page)
    context = {
        "section": "models",
        "filters": filters,
        "is_fragment": wants_fragment(request),
        "page": page,
        "query": query,
        "chips": _chips(filters),
        "on": _on(filters),
        "sorts": _sorts(filters),
        "columns": _columns(filters, page),
        "shown": [name for name in COLUMNS if name not in filters.hidden],
        "sizes": SIZES,
        "links": page_links(page.page, page.pages, filters),
        "span": (1 + len(page.stages) + len(COLUMNS)),
        "any_type_query": filters.query(types=()),
        "may_act": can_act(request.user),
    }
    if wants_fragment(request):
        response = render(request, "indexer/dashboard.html#results", context)
        return shown_at(request, response, query)
    context |= {
        "freshness": index_freshness(request.user),
        "can_manage": can_manage(request.user),
    }
    return render(request, "indexer/dashboard.html", context)


@reader_required
@require_safe
def first_crawls(request: HtmxHttpRequest) -> HttpResponseBase:
    """How many repositories still wait for their first crawl: asked again and again
    while there are any. `left` is what the asking page last knew; `none` asks whether
    there is a repository at all by now."""
    fresh = index_freshness(request.user)
    if "none" in request.GET:
        if fresh.repositories:
            return HttpResponseClientRefresh()
        return HttpResponse(status=204)
    context = {"freshness": fresh, "is_fragment": True}
    response = render(request, "indexer/dashboard.html#first-crawls", context)
    if request.GET.get("left") != str(fresh.new):
        trigger_client_event(response, "catalog-changed")
    return response


def _chips(filters: CatalogFilters) -> list[Chip]:
    chips = [Chip(f"“{filters.q}”", filters.query(q=""))] if filters.q else []
    for field, text in (
        ("stages", "in {}"),
        ("not_stages", "not in {}"),
        ("repositories", "repository {}"),
        ("labels", "label {}"),
    ):
        values: tuple[str, ...] = getattr(filters, field)
        for value in values:
            rest = tuple(other for other in values if other != value)
            chips.append(Chip(text.format(value), filters.query(**{field: rest})))
    if filters.types != MODEL:
        names = " or ".join(filters.types) or "any"
        chips.append(Chip(f"type {names}", filters.query(types=MODEL)))
    if filters.registered != "any":
        text = "registered" if filters.registered == "yes" else "not registered"
        chips.append(Chip(text, filters.query(registered="any")))
    if filters.deprecated != "no":
        text = "deprecated only" if filters.deprecated == "yes" else "also deprecated"
        chips.append(Chip(text, filters.query(deprecated="no")))
    return chips


def _on(filters: CatalogFilters) -> dict[str, int]:
    """How many choices of each menu are on."""
    return {
        "stage": len(filters.stages) + len(filters.not_stages),
        "repository": len(filters.repositories),
        "label": len(filters.labels),
        "type": 0 if filters.types == MODEL else max(1, len(filters.types)),
        "state": (filters.registered != "any") + (filters.deprecated != "no"),
        "hide": len(filters.hidden),
    }


def _sorts(filters: CatalogFilters) -> dict[str, SortLink]:
    links = {}
    for value in ORDERS:
        active = filters.sort == value
        descending = not filters.descending if active else value in NEWEST_FIRST
        links[value] = SortLink(
            value,
            SORT_NAMES[value],
            filters.query(sort=value, descending=descending),
            ("descending" if filters.descending else "ascending") if active else "",
        )
    return links


def _columns(filters: CatalogFilters, page: CatalogPage) -> list[Column]:
    columns = [
        Column(value, name, value in filters.hidden)
        for value, name in COLUMN_NAMES.items()
    ]
    for stage in page.all_stages:
        value = f"{STAGE_COLUMN}{stage}"
        columns.append(Column(value, stage, value in filters.hidden))
    return columns
