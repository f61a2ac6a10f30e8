"""The list and the history as CSV and JSON, streamed: every row of the filters, not
just the page, in the order shown.

CSV is for spreadsheets, and a spreadsheet runs what looks like a formula: text that
could be one gets an apostrophe in front (OWASP, CSV injection), and every field is
quoted, so that no other separator can cut one out of it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from indexer.catalog import (
    CatalogFilters,
    CatalogRow,
    catalog_rows,
    catalog_stages,
)
from indexer.history import HistoryFilters, history_rows
from indexer.models import Artifact, Event
from indexer.permissions import User
from indexer.records import (
    Record,
    event_record,
    local_moment,
    model_record,
    moment,
)

T = TypeVar("T")

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
BATCH = 100  # rows in one piece of the answer


def catalog_csv(user: User, filters: CatalogFilters) -> Iterator[str]:
    """The list of models: the columns that are not hidden, three for each stage."""
    stages = catalog_stages(user, filters)
    shown = [name for name in CATALOG_COLUMNS if name not in filters.hidden]
    head = [title for name in shown for title in CATALOG_COLUMNS[name][0]]
    head += [f"{stage}{end}" for stage in stages for end in ("", " by", " at")]

    def line(row: CatalogRow) -> list[str]:
        cells = [cell for name in shown for cell in CATALOG_COLUMNS[name][1](row)]
        for stage in stages:
            cells += _stage_cells(row, stage)
        return cells

    return _csv(head, catalog_rows(user, filters), line)


def catalog_json(user: User, filters: CatalogFilters) -> Iterator[str]:
    """The list of models as one JSON array, in the API's shape."""
    return _json(catalog_rows(user, filters), model_record)


def history_csv(
    user: User, filters: HistoryFilters, artifact: Artifact | None = None
) -> Iterator[str]:
    """The history of one artifact or of all."""
    rows = history_rows(user, filters, artifact)
    return _csv(HISTORY_COLUMNS, rows, _history_line)


def history_json(
    user: User, filters: HistoryFilters, artifact: Artifact | None = None
) -> Iterator[str]:
    """The history as one JSON array, in the API's shape."""
    return _json(history_rows(user, filters, artifact), event_record)


def safe_cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


CATALOG_COLUMNS: dict[
    str, tuple[tuple[str, ...], Callable[[CatalogRow], tuple[str, ...]]]
] = {
    "name": (("name",), lambda row: (row.artifact.name,)),
    "type": (("type",), lambda row: (row.artifact.type,)),
    "repository": (
        ("repository", "repository address"),
        lambda row: (row.repository.name, row.repository.url),
    ),
    "labels": (("labels",), lambda row: (", ".join(row.artifact.labels),)),
    "description": (("description",), lambda row: (row.artifact.description,)),
    "path": (("path",), lambda row: (row.artifact.path,)),
    "status": (
        ("registered", "deprecated"),
        lambda row: (
            _yes_no(row.artifact.is_registered),
            _yes_no(not row.artifact.is_active),
        ),
    ),
    "latest": (
        ("latest version", "latest by", "latest at", "latest commit"),
        lambda row: (
            row.artifact.latest_version,
            row.artifact.latest_by,
            moment(row.artifact.latest_at) or "",
            row.artifact.latest_commit_id,
        ),
    ),
    "activity": (
        ("last activity",),
        lambda row: (moment(row.artifact.last_event_at) or "",),
    ),
}
HISTORY_COLUMNS = [
    "time (UTC)",
    "time (local)",
    "repository",
    "artifact",
    "event",
    "version",
    "stage",
    "name",
    "e-mail",
    "message",
    "commit",
    "tag",
    "tag object",
]


def _history_line(event: Event) -> list[str]:
    return [
        moment(event.at) or "",
        local_moment(event.at, event.offset) or "",
        event.artifact.repository.name,
        event.artifact.name,
        event.kind,
        event.version,
        event.stage,
        event.author_name,
        event.author_email,
        event.message,
        event.commit_id,
        event.tag,
        event.tag_id,
    ]


def _stage_cells(row: CatalogRow, stage: str) -> list[str]:
    holders = row.stages.get(stage, [])
    return [
        ", ".join(holder.version.name for holder in holders),
        ", ".join(holder.author_name or holder.author_email for holder in holders),
        ", ".join(moment(holder.assigned_at) or "" for holder in holders),
    ]


def _yes_no(value: bool) -> str:
    return "yes" if value else "no"


class _Line:
    """The file a csv.writer writes to: it hands the line back."""

    def write(self, text: str) -> str:
        return text


def _csv(
    head: list[str], rows: Iterable[T], line: Callable[[T], list[str]]
) -> Iterator[str]:
    write = csv.writer(_Line(), quoting=csv.QUOTE_ALL).writerow
    yield write(map(safe_cell, head))
    rows = iter(rows)
    while batch := list(islice(rows, BATCH)):
        yield "".join(write(map(safe_cell, line(row))) for row in batch)


def _json(rows: Iterable[T], record: Callable[[T], Record]) -> Iterator[str]:
    before = "[\n"
    rows = iter(rows)
    while batch := list(islice(rows, BATCH)):
        yield before + ",\n".join(
            json.dumps(record(row), ensure_ascii=False, allow_nan=False)
            for row in batch
        )
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"
