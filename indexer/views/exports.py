"""What a list shows, as a file: the same address with `format=csv` or `format=json`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from django.http import Http404, StreamingHttpResponse

from indexer import exports
from indexer.action_log_page import LogFilters
from indexer.catalog import CatalogFilters
from indexer.history import HistoryFilters
from indexer.models import Artifact
from indexer.views.access import HtmxHttpRequest

CONTENT_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json; charset=utf-8",
}


def exported_catalog(
    request: HtmxHttpRequest, wanted: str, filters: CatalogFilters
) -> StreamingHttpResponse:
    """The list of models with these filters: every row, not only one page."""
    write = {"csv": exports.catalog_csv, "json": exports.catalog_json}.get(wanted)
    if write is None:
        raise Http404("A list is there as csv and as json.")
    return _file(write(request.user, filters), "models", wanted)


def exported_history(
    request: HtmxHttpRequest,
    wanted: str,
    filters: HistoryFilters,
    artifact: Artifact | None,
) -> StreamingHttpResponse:
    """The events with these filters: every row, not only one page."""
    write = {"csv": exports.history_csv, "json": exports.history_json}.get(wanted)
    if write is None:
        raise Http404("A history is there as csv and as json.")
    name = f"history-{artifact.name}" if artifact else "activity"
    return _file(write(request.user, filters, artifact), name, wanted)


def exported_actions(
    request: HtmxHttpRequest, wanted: str, filters: LogFilters
) -> StreamingHttpResponse:
    """The actions with these filters that the person may see: every row."""
    write = {"csv": exports.actions_csv, "json": exports.actions_json}.get(wanted)
    if write is None:
        raise Http404("The action log is there as csv and as json.")
    return _file(write(request.user, filters), "actions", wanted)


def _file(lines: Iterator[str], name: str, wanted: str) -> StreamingHttpResponse:
    """The name is of letters and digits only: it stands in a header."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:100] or "list"
    response = StreamingHttpResponse(lines, content_type=CONTENT_TYPES[wanted])
    kind = "attachment" if wanted == "csv" else "inline"
    response["Content-Disposition"] = f'{kind}; filename="{safe}.{wanted}"'
    return response
