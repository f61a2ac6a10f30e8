"""What the API can be asked, for its description, and how strictly it is read.

Values are read by the very filters of the pages (`CatalogFilters`, `HistoryFilters`),
so that both find the same. Pages fall back where an address makes no sense; a program
that mistyped a filter must not take all rows for an answer, so the API refuses.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Literal

from django.http import HttpRequest
from ninja import Field, Schema

from indexer.api.problems import BadParameter
from indexer.catalog import API_SIZES, CatalogFilters
from indexer.history import HistoryFilters
from indexer.query_string import LAST_PAGE, LONGEST_SEARCH, LONGEST_VALUE

# What a page's address may hold and a list of data has no use for.
OF_PAGES = frozenset({"hide"})


class PageParameters(Schema):
    page: int = Field(1, ge=1, le=LAST_PAGE, description="From 1.")
    size: int = Field(50, ge=1, le=100, description="Rows in a page.")


class ModelParameters(PageParameters):
    q: str = Field(
        "",
        max_length=LONGEST_SEARCH,
        description="Words in name, repository, description or labels: all of them.",
    )
    stage: list[str] = Field([], description="Some version holds it; all of several.")
    not_stage: list[str] = Field([], description="No version holds it.")
    repository: list[str] = Field([], description="Any of several.")
    type: list[str] = Field(
        ["model"],
        description="Any of several. `model` includes artifacts without a type; "
        "`any` is every type.",
    )
    label: list[str] = Field([], description="All of several.")
    registered: Literal["yes", "no", "any"] = "any"
    deprecated: Literal["no", "yes", "any"] = "no"
    sort: Literal[
        "name",
        "repository",
        "latest",
        "activity",
        "assigned",
        "-name",
        "-repository",
        "-latest",
        "-activity",
        "-assigned",
    ] = Field("name", description="A minus sorts descending.")


class HistoryParameters(PageParameters):
    event: list[
        Literal[
            "registration",
            "deregistration",
            "assignment",
            "unassignment",
            "deprecation",
        ]
    ] = Field([], description="Any of several.")
    person: str = Field(
        "", max_length=LONGEST_SEARCH, description="Part of a name or an e-mail."
    )
    stage: list[str] = Field([], description="Any of several.")
    repository: str = Field("", max_length=LONGEST_VALUE)
    q: str = Field(
        "",
        max_length=LONGEST_SEARCH,
        description="Words in the message or the tag: all of them.",
    )
    since: date | None = Field(None, description="A day, included.")
    until: date | None = Field(None, description="A day, included.")
    sort: Literal["-time", "time"] = Field("-time", description="Newest first, or not.")


class RepositoryParameters(PageParameters):
    q: str = Field("", max_length=LONGEST_SEARCH, description="Part of the name.")


class ResolveParameters(Schema):
    ref: str = Field(
        description="`name@latest`, `name@v1.2.3` or `name#stage` (# is %23 in a URL).",
        examples=["churn@latest"],
    )
    repository: str = Field(
        "", description="May be left out where one alone has that artifact."
    )
    at: str = Field(
        "",
        description="As of this time, like 2026-01-31T12:00:00Z; now if left out.",
    )


def catalog_filters(request: HttpRequest) -> CatalogFilters:
    """The list's filters. Raises BadParameter."""
    refuse_unknown(request, ModelParameters.model_fields)
    filters = CatalogFilters.from_query(request.GET, API_SIZES)
    if filters.notes:
        raise BadParameter(" ".join(filters.notes))
    return filters


def history_filters(request: HttpRequest) -> HistoryFilters:
    """The history's filters. Raises BadParameter."""
    refuse_unknown(request, HistoryParameters.model_fields)
    filters = HistoryFilters.from_query(request.GET, API_SIZES)
    if filters.notes:
        raise BadParameter(" ".join(filters.notes))
    return filters


def refuse_unknown(request: HttpRequest, known: Collection[str]) -> None:
    """Raise BadParameter for a parameter that nothing reads."""
    for name in request.GET:
        if name not in known and name not in OF_PAGES:
            raise BadParameter(
                f"There is no parameter “{name[:40]}”. There are: {', '.join(known)}."
            )
