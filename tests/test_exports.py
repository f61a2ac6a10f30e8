"""CSV and JSON of the list and of the history."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext

from indexer.catalog import CatalogFilters
from indexer.core.snapshot import Person
from indexer.exports import (
    catalog_csv,
    catalog_json,
    history_csv,
    history_json,
    safe_cell,
)
from indexer.history import HistoryFilters
from indexer.models import Artifact
from tests.builders import History, ingest_history

NOBODY = AnonymousUser()
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", '=cmd|" /C calc"!A0']


def fail(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def read_json(pieces: Any) -> list[dict[str, Any]]:
    """What a strict reader makes of the pieces."""
    found: list[dict[str, Any]] = json.loads("".join(pieces), parse_constant=fail)
    return found


def read_csv(pieces: Any) -> list[dict[str, str]]:
    """What a spreadsheet makes of the pieces: line by line, by the head's names."""
    return list(csv.DictReader(io.StringIO("".join(pieces), newline="")))


def catalog(query: str = "") -> CatalogFilters:
    return CatalogFilters.from_query(QueryDict(query))


@pytest.fixture(autouse=True)
def registry(db: None, settings: Any) -> None:
    settings.MUSTER_PUBLIC_READ = True
    ingest_history(
        "acme/churn",
        History()
        .annotate(
            churn={
                "type": "model",
                "desc": "=HYPERLINK(evil)",
                "labels": ["+crm", "b,c"],
                "path": "-models/churn.pkl",
            },
            draft={"type": "model"},
        )
        .register("churn", "v1.0.0", message='"quoted"\nand; more')
        .assign("churn", "prod", "v1.0.0", by=Person("@evil", "=x@example.com")),
    )


def test_the_list_as_csv_has_every_column_and_three_for_each_stage() -> None:
    churn, draft = read_csv(catalog_csv(NOBODY, catalog()))

    assert list(churn) == [
        "name",
        "type",
        "repository",
        "repository address",
        "labels",
        "description",
        "path",
        "registered",
        "deprecated",
        "latest version",
        "latest by",
        "latest at",
        "latest commit",
        "last activity",
        "prod",
        "prod by",
        "prod at",
    ]
    assert churn["name"] == "churn"
    assert churn["repository address"] == "https://git.example.com/acme/churn.git"
    assert churn["latest version"] == churn["prod"] == "v1.0.0"
    assert churn["prod at"].endswith("Z")
    assert churn["registered"] == "yes"
    assert draft["registered"] == "no"
    assert draft["prod"] == draft["latest version"] == ""


def test_X5_no_cell_of_an_export_begins_a_formula() -> None:
    (churn, _) = read_csv(catalog_csv(NOBODY, catalog()))
    (assigned, registered) = read_csv(history_csv(NOBODY, HistoryFilters()))

    assert churn["description"] == "'=HYPERLINK(evil)"
    assert churn["labels"] == "'+crm, b,c"
    assert churn["path"] == "'-models/churn.pkl"
    assert churn["prod by"] == assigned["name"] == "'@evil"
    assert assigned["e-mail"] == "'=x@example.com"
    assert registered["message"] == '"quoted"\nand; more'


@pytest.mark.parametrize("formula", FORMULAS)
def test_X5_each_start_of_a_formula_gets_an_apostrophe(formula: str) -> None:
    assert safe_cell(formula) == f"'{formula}"


@pytest.mark.parametrize("text", ["", "churn", "a=b", "v1.0.0", "2025-01-01", "'=1"])
def test_X5_other_text_stays_as_it_is(text: str) -> None:
    assert safe_cell(text) == text


def test_X5_every_field_is_quoted_whatever_the_separator() -> None:
    lines = "".join(history_csv(NOBODY, HistoryFilters())).split("\r\n")

    assert all(line.startswith('"') and line.endswith('"') for line in lines if line)


def test_hidden_columns_are_left_out_of_csv() -> None:
    address = "hide=labels&hide=stage:prod&hide=repository&hide=latest"

    (churn, _) = read_csv(catalog_csv(NOBODY, catalog(address)))

    assert list(churn) == [
        "name",
        "type",
        "description",
        "path",
        "registered",
        "deprecated",
        "last activity",
    ]


def test_the_list_as_json_holds_who_has_each_stage() -> None:
    churn, draft = read_json(catalog_json(NOBODY, catalog()))

    assert (churn["repository"], churn["name"]) == ("acme/churn", "churn")
    assert churn["description"] == "=HYPERLINK(evil)"  # data, no spreadsheet
    (prod,) = churn["stages"]["prod"]
    assert prod["version"] == "v1.0.0"
    assert prod["by"] == {"name": "@evil", "email": "=x@example.com"}
    assert draft["latest"] is None
    assert draft["stages"] == {}


def test_an_export_follows_the_filters() -> None:
    assert [
        row["name"] for row in read_csv(catalog_csv(NOBODY, catalog("q=draft")))
    ] == ["draft"]
    assert read_json(catalog_json(NOBODY, catalog("stage=nowhere"))) == []
    only = HistoryFilters(kinds=("assignment",))
    assert [row["event"] for row in read_json(history_json(NOBODY, only))] == [
        "assignment"
    ]


def test_the_history_has_both_clocks() -> None:
    churn = Artifact.objects.get(name="churn")

    (assigned, registered) = read_csv(history_csv(NOBODY, HistoryFilters(), churn))
    (same, _) = read_json(history_json(NOBODY, HistoryFilters(), churn))

    assert assigned["time (UTC)"] == "2025-01-01T14:00:00Z" == same["at"]
    assert assigned["time (local)"] == "2025-01-01T16:00:00+02:00" == same["local"]
    assert (registered["event"], registered["version"]) == ("registration", "v1.0.0")
    assert same["tag"] == "churn#prod#2"
    assert len(same["commit"]) == len(same["tag_object"]) == 40


def test_an_event_of_unknown_date_has_an_empty_time() -> None:
    ingest_history("acme/lost", History().register("m", "v1.0.0", dated=False))
    lost = HistoryFilters(repository="acme/lost")

    (row,) = read_csv(history_csv(NOBODY, lost))
    (record,) = read_json(history_json(NOBODY, lost))

    assert (row["time (UTC)"], row["time (local)"]) == ("", "")
    assert (record["at"], record["local"]) == (None, None)


def test_an_export_has_all_pages_and_reads_them_in_few_queries() -> None:
    history = History()
    for n in range(230):
        history.register("m", f"v0.0.{n}")
    ingest_history("acme/many", history)
    wanted = HistoryFilters(repository="acme/many", size=25)

    with CaptureQueriesContext(connection) as queries:
        pieces = list(history_csv(NOBODY, wanted))

    assert len(read_csv(pieces)) == 230
    assert len(pieces) == 4  # the head, then batches: a slow reader holds few rows
    assert len(queries) <= 8
