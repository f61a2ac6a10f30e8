"""The history of one artifact and of all: filters, order, menus, and their cost."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from indexer.core.snapshot import Person
from indexer.history import HistoryFilters, HistoryPage, history_page, history_rows
from indexer.models import Artifact, Event
from tests.builders import BOB, History, ingest_history

NOBODY = AnonymousUser()
ASE = Person("Åse Ødegård", "ASE@Example.com")


def filters(query: str = "") -> HistoryFilters:
    """The filters of an address."""
    return HistoryFilters.from_query(QueryDict(query))


def page(query: str = "", artifact: Artifact | None = None) -> HistoryPage:
    """The page at an address, for somebody who may read."""
    return history_page(NOBODY, filters(query), artifact)


def tags(query: str = "", artifact: Artifact | None = None) -> list[str]:
    """What the events on a page come from."""
    return [event.tag for event in page(query, artifact).rows]


def day(text: str) -> int:
    """Noon of a day, as tags count time."""
    return int(
        datetime.fromisoformat(f"{text}T12:00:00").replace(tzinfo=UTC).timestamp()
    )


@pytest.fixture(autouse=True)
def open_reading(settings: Any) -> None:
    settings.MUSTER_PUBLIC_READ = True
    cache.clear()


@pytest.fixture
def registry(db: None) -> None:
    """Events of three people over three months, one of unknown date."""
    ingest_history(
        "acme/churn",
        History()
        .register("churn", "v1.0.0", at=day("2025-01-10"), message="First model")
        .register("churn", "v2.0.0", at=day("2025-02-10"), by=BOB)
        .assign("churn", "prod", "v1.0.0", at=day("2025-02-11"), by=ASE)
        .unassign("churn", "prod", "v1.0.0", at=day("2025-03-01"))
        .register("lost", "v0.0.1", dated=False, at=day("2025-03-02")),
    )
    ingest_history(
        "beta/vision",
        History()
        .register("ocr", "v1.0.0", at=day("2025-02-20"), message="100% better")
        .assign("ocr", "dev", "v1.0.0", at=day("2025-02-21"), by=BOB)
        .deprecate("ocr", at=day("2025-03-05")),
    )


class TestFilters:
    def test_every_parameter_is_read_and_written_again(self) -> None:
        address = (
            "event=assignment&event=registration&person=%C3%85se&stage=prod"
            "&repository=acme/churn&q=first%20model&since=2025-01-01&until=2025-02-28"
            "&sort=time&size=25&page=2"
        )

        read = filters(address)

        assert read.notes == ()
        assert read.query(page=2) == address
        assert (read.since, read.until) == (date(2025, 1, 1), date(2025, 2, 28))
        assert read.ascending
        assert read.query(q="") == address.replace("&q=first%20model", "").replace(
            "&page=2", ""
        )

    @pytest.mark.parametrize(
        "address",
        [
            "event=explosion",
            "since=yesterday",
            "until=2025-02-30",
            "until=2025-2-3",
            "since=0001-01-01",
            "until=9999-12-31",
            "sort=name",
            "page=none",
            "size=3",
        ],
    )
    def test_D9_what_makes_no_sense_falls_back_and_is_said(self, address: str) -> None:
        read = filters(address)

        assert len(read.notes) == 1
        assert read == HistoryFilters()

    @given(st.text(max_size=40))
    def test_X11_reading_never_raises_and_writes_what_it_reads(self, text: str) -> None:
        query = QueryDict(mutable=True)
        for name in ("q", "event", "person", "stage", "since", "until", "sort", "page"):
            query[name] = text
        read = HistoryFilters.from_query(query)

        assert filters(read.query(page=read.page)) == read


@pytest.mark.usefixtures("registry")
class TestRows:
    def test_the_newest_event_comes_first_and_unknown_dates_last(self) -> None:
        assert tags() == [
            "ocr@deprecated",
            "churn#prod!#4",
            "ocr#dev#2",
            "ocr@v1.0.0",
            "churn#prod#3",
            "churn@v2.0.0",
            "churn@v1.0.0",
            "lost@v0.0.1",
        ]
        assert tags("sort=time") == tags()[::-1]

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("event=deprecation", ["ocr@deprecated"]),
            ("event=assignment", ["ocr#dev#2", "churn#prod#3"]),
            ("event=unassignment&event=deregistration", ["churn#prod!#4"]),
            ("stage=prod", ["churn#prod!#4", "churn#prod#3"]),
            ("stage=dev&stage=prod&event=assignment", ["ocr#dev#2", "churn#prod#3"]),
            ("person=bob@example.com", ["ocr#dev#2", "churn@v2.0.0"]),
            ("person=BOB", ["ocr#dev#2", "churn@v2.0.0"]),
            ("person=åSE", ["churn#prod#3"]),  # in any script, on both databases
            ("person=ase@example", ["churn#prod#3"]),
            ("person=Bob <bob@example.com>", ["ocr#dev#2", "churn@v2.0.0"]),
            ("person=%25", []),
            ("person=nobody", []),
            ("repository=beta/vision&event=registration", ["ocr@v1.0.0"]),
            ("repository=no/such", []),
            ("q=first", ["churn@v1.0.0"]),
            ("q=100%25", ["ocr@v1.0.0"]),
            ("q=churn@v", ["churn@v2.0.0", "churn@v1.0.0"]),
            ("q=churn+first", ["churn@v1.0.0"]),
            ("since=2025-03-01", ["ocr@deprecated", "churn#prod!#4"]),
            ("until=2025-02-10", ["churn@v2.0.0", "churn@v1.0.0"]),
            ("since=2025-02-10&until=2025-02-10", ["churn@v2.0.0"]),
            ("since=2025-02-11&until=2025-02-10", []),
        ],
    )
    def test_each_filter_leaves_what_it_says(
        self, query: str, found: list[str]
    ) -> None:
        assert tags(query) == found

    def test_days_are_those_of_the_sites_clock(self, settings: Any) -> None:
        settings.TIME_ZONE = "Pacific/Auckland"  # noon in UTC is already tomorrow

        assert tags("since=2025-02-11&until=2025-02-11") == ["churn@v2.0.0"]

    def test_one_artifact_has_its_own_history(self) -> None:
        churn = Artifact.objects.get(name="churn")

        assert tags("", churn) == [
            "churn#prod!#4",
            "churn#prod#3",
            "churn@v2.0.0",
            "churn@v1.0.0",
        ]
        assert tags("event=registration&sort=time", churn) == [
            "churn@v1.0.0",
            "churn@v2.0.0",
        ]

    def test_an_export_has_every_row_in_the_same_order(self) -> None:
        rows = history_rows(NOBODY, filters("size=25&event=assignment"))

        assert [event.tag for event in rows] == ["ocr#dev#2", "churn#prod#3"]

    def test_a_stranger_sees_nothing_where_reading_is_closed(
        self, settings: Any
    ) -> None:
        assert page().total == 8
        settings.MUSTER_PUBLIC_READ = False

        closed = page()

        assert (closed.total, closed.rows, closed.people, closed.stages) == (
            0,
            [],
            [],
            [],
        )
        assert list(history_rows(NOBODY, filters())) == []


@pytest.mark.usefixtures("registry")
class TestMenus:
    def test_they_offer_the_people_and_stages_there_are(self) -> None:
        everything = page("event=deprecation")

        assert [who.name for who in everything.people] == [
            "Alice",
            "Bob",
            "Åse Ødegård",
        ]
        assert everything.stages == ["dev", "prod"]
        assert page("", Artifact.objects.get(name="churn")).stages == ["prod"]

    def test_a_new_person_is_offered_and_found_at_once(self) -> None:
        assert tags("person=carol") == []

        ingest_history(
            "gamma/new", History().register("m", "v1.0.0", by=Person("Carol", ""))
        )

        assert tags("person=carol") == ["m@v1.0.0"]
        assert "Carol" in [who.name for who in page().people]

    def test_an_artifacts_new_person_is_offered_and_found_at_once(self) -> None:
        history = History().register("m", "v1.0.0")
        repository = ingest_history("gamma/new", history)
        assert tags("person=carol", Artifact.objects.get(name="m")) == []

        ingest_history(
            repository, history.register("m", "v2.0.0", by=Person("Carol", ""))
        )

        assert tags("person=carol", Artifact.objects.get(name="m")) == ["m@v2.0.0"]


@pytest.mark.parametrize("sort", ["time", "-time"])
def test_pages_hold_each_event_once_even_in_one_second(db: None, sort: str) -> None:
    history = History()
    for n in range(60):
        history.register("m", f"v0.0.{n}", at=day("2025-01-01"))
    ingest_history("acme/many", history)

    pages = [page(f"sort={sort}&size=25&page={n}") for n in (1, 2, 3)]

    found = [event.pk for one in pages for event in one.rows]
    assert len(set(found)) == 60
    assert [one.last for one in pages] == [25, 50, 60]
    exported = history_rows(NOBODY, filters(f"sort={sort}"))
    assert [event.pk for event in exported] == found
    assert page("page=9").page == 2


@pytest.mark.parametrize("of_one", [False, True])
def test_a_page_costs_as_many_queries_with_many_events_as_with_few(
    db: None, of_one: bool
) -> None:
    def measured(name: str, count: int) -> int:
        history = History()
        for n in range(count):
            history.register("m", f"v0.0.{n}").assign("m", f"s{n}", f"v0.0.{n}")
        ingest_history(name, history)
        artifact = Artifact.objects.select_related("repository").get(
            repository__name=name
        )
        with CaptureQueriesContext(connection) as queries:
            shown = page("size=100", artifact if of_one else None)
            for event in shown.rows:
                assert event.artifact.repository.name
        assert page("", artifact).total == 2 * count
        return len(queries)

    few, many = measured("acme/few", 2), measured("acme/many", 70)

    assert few == many
    assert many <= 7


def test_remembered_menus_cost_no_look_at_the_events(db: None) -> None:
    ingest_history("acme/m", History().register("m", "v1.0.0"))
    page()

    with CaptureQueriesContext(connection) as queries:
        page()

    assert not [one for one in queries if "DISTINCT" in one["sql"]]
    assert len(queries) == 4
    assert Event.objects.count() == 1


def test_a_long_history_is_counted_as_ingest_counted_it(db: None) -> None:
    history = History()
    for n in range(1100):
        history.register("m", f"v0.0.{n}", on=history.head)
    ingest_history("acme/long", history)
    artifact = Artifact.objects.select_related("repository").get()

    for of_what in (None, artifact):
        with CaptureQueriesContext(connection) as queries:
            whole = page("", of_what)
        assert whole.total == Event.objects.count() == 1100
        assert not [one for one in queries if "COUNT" in one["sql"]]
        assert page("page=99", of_what).last == 1100
        assert page("event=registration", of_what).total == 1100
