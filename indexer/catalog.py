"""The catalog: which models there are, filtered, sorted and paged.

`CatalogFilters.from_query` reads the address, `catalog_page` answers with one page
of rows, `catalog_rows` with all of them. A page costs the same few queries however
many rows there are; what they may cost is measured in `bench/`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self, TypeAlias

from django.db.models import (
    Case,
    CharField,
    Count,
    IntegerField,
    Q,
    QuerySet,
    Sum,
    TextField,
    Value,
    When,
)
from django.db.models.functions import Cast
from django.http import QueryDict

from indexer.models import (
    Artifact,
    ArtifactLabel,
    Repository,
    RepositoryFacet,
    StageHolder,
)
from indexer.models.fields import UNKNOWN_TIME
from indexer.paging import Order, ids_in_order, page_of, page_of_search
from indexer.permissions import User, visible_repositories, within_sight
from indexer.query_string import LONGEST_SEARCH, Reader, written
from indexer.stages import ordered_stages

SIZES = (25, 50, 100)
API_SIZES = range(1, 101)
MODEL = ("model",)  # the default: type `model`, or none
ANY_TYPE = "any"
YES_NO_ANY = ("yes", "no", "any")
MOST_WORDS = 10  # of a search
MOST_CHOICES = 40  # of one filter's menu, beside what is selected
MOST_COUNTS = 2000  # labels, types and stages looked at for the menus
MOST_STAGES = 30  # columns
ORDER = "order"  # beside the kinds of facets: a stage order, as JSON
CHUNK = 500  # rows read at once for an export

# Columns that can be hidden; a stage's is "stage:" and its name.
COLUMNS = ("type", "repository", "labels", "latest", "activity")
STAGE_COLUMN = "stage:"

Counts: TypeAlias = dict[str, tuple[int, int]]
NONE = (0, 0)

ORDERS = {
    "name": Order(("name_key",)),
    "repository": Order(("repository_key", "name_key")),
    "latest": Order(("latest_key",), Q(latest_key="")),
    "activity": Order(("last_event_key",), Q(last_event_key=UNKNOWN_TIME)),
    "assigned": Order(("last_assignment_key",), Q(last_assignment_key=UNKNOWN_TIME)),
}


@dataclass(frozen=True, slots=True)
class CatalogFilters:
    """What the address of the list asks for. Several stages or labels: the model
    has all of them; several repositories or types: any of them."""

    q: str = ""
    stages: tuple[str, ...] = ()
    not_stages: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    types: tuple[str, ...] = MODEL  # () is any type
    labels: tuple[str, ...] = ()
    registered: str = "any"
    deprecated: str = "no"
    sort: str = "name"
    descending: bool = False
    page: int = 1
    size: int = 50
    hidden: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def from_query(cls, query: QueryDict, sizes: Collection[int] = SIZES) -> Self:
        """Read the address. What makes no sense falls back to the default, and
        `notes` says so."""
        read = Reader(query)
        types = read.texts("type") or MODEL
        sort, descending = read.sort(ORDERS, "name")
        return cls(
            q=read.text("q", LONGEST_SEARCH),
            stages=read.texts("stage"),
            not_stages=read.texts("not_stage"),
            repositories=read.texts("repository"),
            types=() if ANY_TYPE in types else types,
            labels=read.texts("label"),
            registered=read.choice("registered", YES_NO_ANY, "any"),
            deprecated=read.choice("deprecated", YES_NO_ANY, "no"),
            sort=sort,
            descending=descending,
            page=read.page(),
            size=read.size(sizes, 50),
            hidden=tuple(
                name
                for name in read.texts("hide")
                if name in COLUMNS or name.startswith(STAGE_COLUMN)
            ),
            notes=tuple(read.notes),
        )

    def query(self, **changes: Any) -> str:
        """The query string of these filters with `changes` (names of fields), which
        lead back to page 1 unless they name a page. Defaults are left out, and the
        order of the parameters is always the same."""
        new = replace(self, **({"page": 1} | changes if changes else {}))
        pairs = [("q", new.q)] if new.q else []
        pairs += [("stage", value) for value in new.stages]
        pairs += [("not_stage", value) for value in new.not_stages]
        pairs += [("repository", value) for value in new.repositories]
        if new.types != MODEL:
            pairs += [("type", value) for value in new.types or (ANY_TYPE,)]
        pairs += [("label", value) for value in new.labels]
        if new.registered != "any":
            pairs.append(("registered", new.registered))
        if new.deprecated != "no":
            pairs.append(("deprecated", new.deprecated))
        if new.sort != "name" or new.descending:
            pairs.append(("sort", f"{'-' * new.descending}{new.sort}"))
        if new.size != 50:
            pairs.append(("size", str(new.size)))
        pairs += [("hide", value) for value in new.hidden]
        if new.page != 1:
            pairs.append(("page", str(new.page)))
        return written(pairs)

    @property
    def is_narrowed(self) -> bool:
        """Whether anything is left out that the plain list shows."""
        return (
            replace(self, sort="name", descending=False, page=1, size=50, hidden=())
            != type(self)()
        )


class FacetValue(NamedTuple):
    """One choice of a filter, how many artifacts have it, whether it is chosen."""

    value: str
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody calls
    selected: bool


@dataclass(frozen=True, slots=True)
class Facets:
    """The choices of each filter: the selected ones and those that most artifacts
    have. The counts are of the whole catalog."""

    repositories: list[FacetValue]
    types: list[FacetValue]
    labels: list[FacetValue]
    stages: list[FacetValue]


@dataclass(frozen=True, slots=True)
class CatalogRow:
    """One line of the list. `stages`: stage -> its holders, the first one first;
    a stage nobody holds is not in it."""

    artifact: Artifact
    repository: Repository
    stages: dict[str, list[StageHolder]]


@dataclass(frozen=True, slots=True)
class CatalogPage:
    """One page of the list. `first` and `last` count from 1 and are 0 when there is
    nothing. `stages` are the columns shown, `all_stages` the hidden ones too."""

    rows: list[CatalogRow]
    total: int
    page: int
    pages: int
    first: int
    last: int
    stages: list[str]
    all_stages: list[str]
    facets: Facets


def catalog_page(user: User, filters: CatalogFilters) -> CatalogPage:
    """One page of what the person may see. Six queries."""
    find_page = page_of_search if filters.q else page_of
    where, page = find_page(
        _matching(user, filters),
        ORDERS[filters.sort],
        descending=filters.descending,
        page=filters.page,
        size=filters.size,
    )
    facets, stages = _facets(user, filters)
    return CatalogPage(
        rows=_with_stages(page) if where.total else [],
        total=where.total,
        page=where.page,
        pages=where.pages,
        first=where.first,
        last=where.last,
        stages=shown_stages(stages, filters),
        all_stages=stages,
        facets=facets,
    )


def catalog_rows(user: User, filters: CatalogFilters) -> Iterator[CatalogRow]:
    """Every row of the filters, in order, whatever page they name. The ids are read
    at once, so that a crawl in between neither repeats nor skips a row."""
    ids = ids_in_order(
        _matching(user, filters), ORDERS[filters.sort], descending=filters.descending
    )
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        rows = {
            row.artifact.pk: row
            for row in _with_stages(Artifact.objects.filter(pk__in=chunk))
        }
        yield from (rows[pk] for pk in chunk if pk in rows)


def catalog_row(artifact: Artifact) -> CatalogRow:
    """The row of one artifact. One query, and one if its repository is not read."""
    row = CatalogRow(artifact, artifact.repository, {})
    _add_stages({artifact.pk: row})
    return row


def catalog_stages(user: User, filters: CatalogFilters) -> list[str]:
    """The stage columns of an export. Two queries."""
    return shown_stages(_facets(user, filters)[1], filters)


def shown_stages(stages: Sequence[str], filters: CatalogFilters) -> list[str]:
    """The stage columns that are not hidden."""
    return [stage for stage in stages if STAGE_COLUMN + stage not in filters.hidden]


def _matching(user: User, filters: CatalogFilters) -> QuerySet[Artifact]:
    rows = within_sight(Artifact.objects.all(), user)
    for word in filters.q.casefold().split()[:MOST_WORDS]:
        rows = rows.filter(search__contains=word)
    for stage in filters.stages:
        rows = rows.filter(pk__in=_holding(stage))
    for stage in filters.not_stages:
        rows = rows.exclude(pk__in=_holding(stage))
    if filters.repositories:
        rows = rows.filter(
            repository__in=Repository.objects.filter(name__in=filters.repositories)
        )
    if filters.types:
        untyped = [""] if "model" in filters.types else []
        rows = rows.filter(type__in=[*filters.types, *untyped])
    for label in filters.labels:
        labelled = ArtifactLabel.objects.filter(label=label).values("artifact")
        rows = rows.filter(pk__in=labelled)
    if filters.registered != "any":
        rows = rows.filter(is_registered=filters.registered == "yes")
    if filters.deprecated != "any":
        rows = rows.filter(is_active=filters.deprecated == "no")
    return rows


def _holding(stage: str) -> QuerySet[StageHolder, Any]:
    """Ids of the artifacts of which some version holds the stage."""
    return StageHolder.objects.filter(stage=stage).values("artifact")


def _with_stages(artifacts: QuerySet[Artifact]) -> list[CatalogRow]:
    """Two queries, however many artifacts."""
    rows = [
        CatalogRow(artifact, artifact.repository, {})
        for artifact in artifacts.select_related("repository").defer(
            "search", "repository__secret"
        )
    ]
    _add_stages({row.artifact.pk: row for row in rows})
    return rows


def _add_stages(by_id: dict[int, CatalogRow]) -> None:
    """One query."""
    holders = (
        StageHolder.objects.filter(artifact__in=by_id)
        .select_related("version")
        .defer("version__message", "version__author_email")
        .order_by("artifact", "stage", "rank")
    )
    for holder in holders:
        by_id[holder.artifact_id].stages.setdefault(holder.stage, []).append(holder)


def _facets(user: User, filters: CatalogFilters) -> tuple[Facets, list[str]]:
    """The menus, and the stage columns in order. Two queries."""
    counts, orders = _counts(user, filters)
    stages = counts[RepositoryFacet.Kind.STAGE]
    held = dict.fromkeys((stage for order, _ in orders for stage in order), 0)
    held |= {stage: here for stage, (_, here) in stages.items() if here}
    columns = sorted(held, key=lambda stage: (-held[stage], stage))[:MOST_STAGES]
    chosen = filters.stages
    facets = Facets(
        repositories=_repositories(user, filters),
        types=_choices(
            _merge_untyped(counts[RepositoryFacet.Kind.TYPE]), filters.types
        ),
        labels=_choices(counts[RepositoryFacet.Kind.LABEL], filters.labels),
        stages=[
            FacetValue(stage, stages.get(stage, NONE)[0], stage in chosen)
            for stage in ordered_stages({*stages, *chosen}, orders)
        ],
    )
    return facets, ordered_stages(columns, orders)


def _counts(
    user: User, filters: CatalogFilters
) -> tuple[dict[str, Counts], list[tuple[list[str], int]]]:
    """Per kind of facet, each value with its count and its count in the chosen
    repositories (in all, if none is chosen); and the stage orders of these, with how
    many of them have each. One query."""
    facets = within_sight(RepositoryFacet.objects.all(), user)
    orders = visible_repositories(user).exclude(stage_order=[])
    here = Sum("count")
    if filters.repositories:
        orders = orders.filter(name__in=filters.repositories)
        of_these = Q(
            repository__in=visible_repositories(user).filter(
                name__in=filters.repositories
            )
        )
        here = Sum("count", filter=of_these, default=0)
    found = (
        facets.values_list("kind", "value")
        .annotate(total=Sum("count"), here=here)
        .union(
            orders.values_list(
                Value(ORDER, CharField()), Cast("stage_order", TextField())
            ).annotate(total=Count("pk"), here=Value(0)),
            all=True,
        )
        # Labels come last: only of them can there be so many.
        .order_by("-kind", "-total", "value")[:MOST_COUNTS]
    )
    counts: dict[str, Counts] = {kind: {} for kind in (*RepositoryFacet.Kind, ORDER)}
    for kind, value, total, count in found:
        counts[kind][value] = (total, count)
    stage_orders = [
        (json.loads(value), times) for value, (times, _) in counts.pop(ORDER).items()
    ]
    return counts, stage_orders


def _repositories(user: User, filters: CatalogFilters) -> list[FacetValue]:
    """The repositories chosen, and those with the most models. One query."""
    chosen = filters.repositories
    found = visible_repositories(user).order_by("-model_count", "name")
    if chosen:
        is_chosen = Case(
            When(name__in=chosen, then=Value(1)),
            default=Value(0),
            output_field=IntegerField(),
        )
        found = found.order_by(is_chosen.desc(), "-model_count", "name")
    most = MOST_CHOICES + len(chosen)
    choices = found.values_list("name", "model_count")[:most]
    return [FacetValue(name, count, name in chosen) for name, count in choices]


def _merge_untyped(counts: Counts) -> Counts:
    """Artifacts without a type count as models: tags alone cannot say one."""
    types = {value: count for value, count in counts.items() if value}
    if "" in counts:
        models, untyped = types.get("model", NONE), counts[""]
        types["model"] = (models[0] + untyped[0], models[1] + untyped[1])
    return types


def _choices(counts: Counts, chosen: Sequence[str]) -> list[FacetValue]:
    """What is chosen, and the most frequent of the others."""
    found = [
        FacetValue(value, count, value in chosen)
        for value, (count, _) in (dict.fromkeys(chosen, NONE) | counts).items()
    ]
    found.sort(key=lambda choice: (not choice.selected, -choice.count, choice.value))
    return found[: MOST_CHOICES + len(chosen)]
