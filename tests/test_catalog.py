"""The list of models: filters from the address, rows, order, menus, and their cost."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from indexer.catalog import (
    API_SIZES,
    MODEL,
    ORDERS,
    CatalogFilters,
    CatalogPage,
    catalog_page,
    catalog_rows,
)
from indexer.core.snapshot import Json
from tests.builders import BOB, HOUR, START, History, ingest_history

NOBODY = AnonymousUser()


def filters(query: str = "") -> CatalogFilters:
    """The filters of an address."""
    return CatalogFilters.from_query(QueryDict(query))


def page(query: str = "") -> CatalogPage:
    """The page at an address, for somebody who may read."""
    return catalog_page(NOBODY, filters(query))


def names(query: str = "") -> list[str]:
    """The names on a page."""
    return [row.artifact.name for row in page(query).rows]


@pytest.fixture(autouse=True)
def open_reading(settings: Any) -> None:
    settings.MUSTER_PUBLIC_READ = True


@pytest.fixture
def registry(db: None) -> None:
    """Two repositories that differ in all a filter can ask for."""
    ingest_history(
        "acme/churn",
        History()
        .annotate(
            churn={
                "type": "model",
                "desc": "Who leaves us, ÄRGER included",
                "labels": ["tabular", "crm"],
                "path": "models/churn.pkl",
            },
            customers={"type": "dataset", "path": "data/customers.csv"},
            draft={"type": "model", "path": "models/draft.pkl"},
        )
        .register("churn", "v1.0.0")
        .register("churn", "v2.0.0", by=BOB)
        .assign("churn", "prod", "v1.0.0")
        .assign("churn", "dev", "v2.0.0")
        .register("customers", "v1.0.0"),
    )
    ingest_history(
        "beta/vision",
        History(clock=START - 30 * HOUR)
        .annotate(ocr={"type": "model", "labels": ["vision", "tabular"]})
        .register("ocr", "v10.0.0")
        .assign("ocr", "staging", "v10.0.0", by=BOB)
        .register("untyped", "v0.1.0")
        .assign("untyped", "prod", "v0.1.0")
        .register("retired", "v1.0.0")
        .deprecate("retired"),
    )


class TestFilters:
    def test_an_empty_address_asks_for_models_by_name(self) -> None:
        assert filters() == CatalogFilters()
        assert filters().types == MODEL
        assert filters().query() == ""

    def test_every_parameter_is_read_and_written_again(self) -> None:
        address = (
            "q=ch%20urn&stage=prod&not_stage=dev&repository=acme/churn&type=dataset"
            "&label=crm&registered=yes&deprecated=any&sort=-activity&size=100"
            "&hide=type&hide=stage:dev&page=3"
        )

        read = filters(address)

        assert read.notes == ()
        assert read.query(page=3) == address
        assert (read.sort, read.descending) == ("activity", True)

    def test_a_change_leads_back_to_the_first_page(self) -> None:
        read = filters("page=7&q=churn")

        assert read.query(stages=("prod",)) == "q=churn&stage=prod"
        assert read.query(page=8) == "q=churn&page=8"
        assert read.query() == "q=churn&page=7"

    def test_any_type_is_written_as_such(self) -> None:
        read = filters("type=any")

        assert read.types == ()
        assert read.query() == "type=any"

    @pytest.mark.parametrize(
        "address",
        [
            "sort=secret",
            "sort=name;drop table",
            "page=0",
            "page=-1",
            "page=1e9",
            "page=99999999999999999999999",
            "page=٣",
            "size=7",
            "size=1000",
            "registered=perhaps",
            "deprecated=1",
            f"q={'x' * 300}",
            "&".join(f"label=l{n}" for n in range(60)),
        ],
    )
    def test_D9_what_makes_no_sense_falls_back_and_is_said(self, address: str) -> None:
        read = filters(address)

        assert len(read.notes) == 1
        assert read.notes[0].endswith(".")
        assert (read.sort, read.page, read.size) == ("name", 1, 50)
        assert len(read.q) <= 200
        assert len(read.labels) <= 50

    @given(st.text(max_size=60), st.sampled_from(list(CatalogFilters.__slots__)))
    def test_X11_reading_never_raises_and_writes_what_it_reads(
        self, text: str, name: str
    ) -> None:
        query = QueryDict(mutable=True)
        for parameter in ("q", "stage", "sort", "page", "size", "hide", name):
            query[parameter] = text
        read = CatalogFilters.from_query(query)

        again = CatalogFilters.from_query(QueryDict(read.query(page=read.page)))

        assert again == dataclasses.replace(read, notes=())
        assert again.notes == ()

    def test_the_api_takes_any_size_up_to_a_hundred(self) -> None:
        assert CatalogFilters.from_query(QueryDict("size=7"), API_SIZES).size == 7
        assert CatalogFilters.from_query(QueryDict("size=101"), API_SIZES).notes


@pytest.mark.usefixtures("registry")
class TestRows:
    def test_models_are_shown_and_what_has_no_type_with_them(self) -> None:
        assert names() == ["churn", "draft", "ocr", "untyped"]

    def test_a_row_has_its_stages_with_version_who_and_when(self) -> None:
        row = page().rows[0]
        (prod,) = row.stages["prod"]

        assert row.repository.name == "acme/churn"
        assert row.artifact.latest_version == "v2.0.0"
        assert list(row.stages) == ["dev", "prod"]
        assert prod.version.name == "v1.0.0"
        assert prod.author_name == "Alice"
        assert prod.assigned_at is not None

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("q=CHURN", ["churn", "draft"]),  # of the name, and of the repository
            ("q=leaves+acme", ["churn"]),
            ("q=ärger", ["churn"]),  # in any script, on both databases
            ("q=crm", ["churn"]),
            ("q=%25", []),  # no wildcard
            ("q=_", []),
            ("q=nothing", []),
            ("stage=prod", ["churn", "untyped"]),
            ("stage=prod&stage=dev", ["churn"]),
            ("not_stage=prod", ["draft", "ocr"]),
            ("stage=prod&not_stage=dev", ["untyped"]),
            ("stage=nowhere", []),
            ("repository=beta/vision", ["ocr", "untyped"]),
            ("repository=beta/vision&repository=acme/churn&stage=dev", ["churn"]),
            ("repository=no/such", []),
            ("type=dataset", ["customers"]),
            ("type=model", ["churn", "draft", "ocr", "untyped"]),
            ("type=any", ["churn", "customers", "draft", "ocr", "untyped"]),
            ("type=dataset&type=model", ["churn", "customers", "draft", "ocr"]),
            ("label=tabular", ["churn", "ocr"]),
            ("label=tabular&label=crm", ["churn"]),
            ("registered=no", ["draft"]),
            ("registered=yes", ["churn", "ocr", "untyped"]),
            ("deprecated=yes", ["retired"]),
            ("deprecated=any", ["churn", "draft", "ocr", "retired", "untyped"]),
        ],
    )
    def test_each_filter_leaves_what_it_says(
        self, query: str, found: list[str]
    ) -> None:
        if query == "type=dataset&type=model":
            found = [*found, "untyped"]

        assert names(query) == found

    @pytest.mark.parametrize(
        ("sort", "found"),
        [
            ("name", ["churn", "draft", "ocr", "untyped"]),
            ("-name", ["untyped", "ocr", "draft", "churn"]),
            ("repository", ["churn", "draft", "ocr", "untyped"]),
            ("-repository", ["untyped", "ocr", "draft", "churn"]),
            ("-latest", ["ocr", "churn", "untyped", "draft"]),  # v10 > v2 > v0.1
            ("latest", ["untyped", "churn", "ocr", "draft"]),  # none is last both ways
            ("-activity", ["churn", "untyped", "ocr", "draft"]),
            ("activity", ["ocr", "untyped", "churn", "draft"]),
            ("-assigned", ["churn", "untyped", "ocr", "draft"]),
            ("assigned", ["ocr", "untyped", "churn", "draft"]),
        ],
    )
    def test_each_sort_puts_what_has_no_value_last(
        self, sort: str, found: list[str]
    ) -> None:
        assert names(f"sort={sort}") == found

    def test_a_stranger_sees_nothing_where_reading_is_closed(
        self, settings: Any
    ) -> None:
        settings.MUSTER_PUBLIC_READ = False
        bob = User(username="bob", is_active=True)

        assert page().total == 0
        assert page().rows == []
        assert page().facets.repositories == []
        assert page().stages == []
        assert list(catalog_rows(NOBODY, filters())) == []
        assert catalog_page(bob, filters()).total == 4


@pytest.mark.usefixtures("registry")
class TestMenus:
    def test_facets_count_what_there_is(self) -> None:
        facets = page("type=any").facets

        assert [tuple(choice) for choice in facets.repositories] == [
            ("beta/vision", 3, False),
            ("acme/churn", 2, False),
        ]
        assert {value: count for value, count, _ in facets.types} == {
            "model": 5,
            "dataset": 1,
        }
        assert [choice[0] for choice in facets.stages] == ["dev", "staging", "prod"]
        assert {value for value, _, _ in facets.labels} == {"crm", "tabular", "vision"}

    def test_what_is_chosen_is_marked_even_where_nothing_has_it(self) -> None:
        facets = page("stage=nowhere&label=none&repository=acme/churn").facets

        assert ("nowhere", 0, True) in facets.stages
        assert facets.labels[0] == ("none", 0, True)
        assert facets.repositories[0] == ("acme/churn", 2, True)

    def test_columns_are_those_of_the_repositories_chosen(self) -> None:
        assert page().stages == ["dev", "staging", "prod"]
        assert page("repository=beta/vision").stages == ["staging", "prod"]

    def test_a_hidden_stage_is_no_column_and_stays_in_the_menu(self) -> None:
        shown = page("hide=stage:staging&hide=labels")

        assert shown.stages == ["dev", "prod"]
        assert shown.all_stages == ["dev", "staging", "prod"]


def test_columns_follow_the_gto_file_and_show_its_stages_unused(db: None) -> None:
    history = History()
    history.commit({".gto": {"stages": ["prod", "canary", "dev"]}})
    ingest_history(
        "acme/churn", history.register("m", "v1.0.0").assign("m", "dev", "v1.0.0")
    )

    assert page().stages == ["prod", "canary", "dev"]


def test_a_version_may_share_its_stage_where_the_reading_says_so(db: None) -> None:
    history = (
        History()
        .register("m", "v1.0.0")
        .register("m", "v2.0.0")
        .assign("m", "prod", "v1.0.0")
        .assign("m", "prod", "v2.0.0")
    )
    ingest_history("acme/churn", history, reading="several")

    holders = page().rows[0].stages["prod"]

    assert [holder.version.name for holder in holders] == ["v2.0.0", "v1.0.0"]


def many(count: int, repository: str = "acme/many") -> History:
    """Models m000, m001, …; every third has no version."""
    models: dict[str, dict[str, Json]] = {
        f"m{n:03}": {"type": "model", "labels": [f"l{n}"]} for n in range(count)
    }
    history = History().annotate(**models)
    for n in range(count):
        if n % 3:
            history.register(f"m{n:03}", f"v{n % 7}.0.0")
            if n % 2:
                history.assign(f"m{n:03}", f"stage{n % 5}", f"v{n % 7}.0.0")
    return history


@pytest.mark.parametrize("sort", [f"{sign}{name}" for name in ORDERS for sign in "+-"])
def test_pages_of_every_sort_hold_each_row_once(db: None, sort: str) -> None:
    ingest_history("acme/many", many(57))
    address = f"sort={sort.removeprefix('+')}&size=25"

    pages = [page(f"{address}&page={n}") for n in (1, 2, 3)]

    found = [row.artifact.pk for one in pages for row in one.rows]
    assert [(one.first, one.last, one.page) for one in pages] == [
        (1, 25, 1),
        (26, 50, 2),
        (51, 57, 3),
    ]
    assert len(set(found)) == 57
    exported = catalog_rows(NOBODY, filters(address))
    assert [row.artifact.pk for row in exported] == found
    assert page(f"{address}&page=9").page == 3
    assert {one.total for one in pages} == {57}


def test_an_empty_list_has_one_page_and_counts_from_nothing(db: None) -> None:
    empty = page()

    assert (empty.total, empty.page, empty.pages) == (0, 1, 1)
    assert (empty.first, empty.last, empty.rows) == (0, 0, [])
    assert empty.stages == []


@pytest.mark.parametrize(
    "query",
    ["", "q=m0", "stage=stage1", "not_stage=stage1", "label=l1"]
    + [f"sort={sign}{name}" for name in ORDERS for sign in ("", "-")],
)
def test_a_page_costs_as_many_queries_with_many_rows_as_with_few(
    db: None, query: str
) -> None:
    ingest_history("acme/few", many(9))
    with CaptureQueriesContext(
        connection,
    ) as few:
        page(query)
    ingest_history("acme/many", many(60))
    ingest_history("beta/many", many(60))
    with CaptureQueriesContext(connection) as lots:
        page(query)

    assert len(few) == len(lots), [one["sql"] for one in lots]
    assert len(lots) == 5


def test_an_export_reads_in_chunks(db: None) -> None:
    ingest_history("acme/many", many(60))

    with CaptureQueriesContext(connection) as queries:
        rows = list(catalog_rows(NOBODY, filters()))

    assert len(rows) == 60
    assert len(queries) == 3
