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

from indexer.action_log_page import (
    LogFilters,
    action_record,
    actions_of_events,
    log_rows,
)
from indexer.catalog import (
    CatalogFilters,
    CatalogRow,
    catalog_rows,
    catalog_stages,
)
from indexer.history import HistoryFilters, history_rows
from indexer.models import ActionLog, Artifact, Event
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
CHUNK = 1000  # rows of one query


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
    rows = _with_origin(history_rows(user, filters, artifact))
    return _csv(HISTORY_COLUMNS, rows, lambda row: _history_line(*row))


def history_json(
    user: User, filters: HistoryFilters, artifact: Artifact | None = None
) -> Iterator[str]:
    """The history as one JSON array, in the API's shape."""
    rows = _with_origin(history_rows(user, filters, artifact))
    return _json(rows, lambda row: event_record(row[0], through_muster=row[1]))


def _with_origin(events: Iterator[Event]) -> Iterator[tuple[Event, bool]]:
    """Each event, and whether it was asked for through Muster. One query a chunk."""
    while chunk := list(islice(events, CHUNK)):
        found = actions_of_events(chunk)
        yield from ((event, event.pk in found) for event in chunk)


def actions_csv(user: User, filters: LogFilters) -> Iterator[str]:
    """The action log, as far as the person may see it."""

    def line(row: ActionLog) -> list[str]:
        record = action_record(row, user)
        record |= {"name": row.tagger_name, "email": row.tagger_email}
        return [str(record[name] or "") for name in ACTION_COLUMNS.values()]

    return _csv(list(ACTION_COLUMNS), log_rows(user, filters), line)


def actions_json(user: User, filters: LogFilters) -> Iterator[str]:
    """The action log as one JSON array."""
    return _json(log_rows(user, filters), lambda row: action_record(row, user))


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
    "through Muster",
]
ACTION_COLUMNS = {  # and the field of the record
    "asked (UTC)": "asked_at",
    "ended (UTC)": "ended_at",
    "user": "actor",
    "name": "name",
    "e-mail": "email",
    "e-mail verified by": "email_verified_by",
    "via": "via",
    "API token": "token_name",
    "remote address": "remote_address",
    "asked for": "verb",
    "repository": "repository",
    "repository then": "repository_then",
    "artifact": "artifact",
    "version": "version",
    "stage": "stage",
    "result": "status",
    "code": "code",
    "sentence": "sentence",
    "tag": "tag",
    "tag object": "tag_object",
    "commit": "commit",
    "message": "message",
    "file": "file",
    "branch": "branch",
    "pull request": "pull_request",
    "right": "right",
    "id": "id",
}


def _history_line(event: Event, through_muster: bool) -> list[str]:
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
        _yes_no(through_muster),
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
