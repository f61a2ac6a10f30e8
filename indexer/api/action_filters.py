"""Which actions of the log a program asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Self

from django.db.models import Q, QuerySet
from django.http import HttpRequest, QueryDict
from django.utils import timezone

from indexer.api.action_answers import ActionParameters
from indexer.api.parameters import refuse_unknown
from indexer.api.problems import BadParameter
from indexer.catalog import API_SIZES
from indexer.models import ActionLog
from indexer.query_string import Reader, written


@dataclass(frozen=True, slots=True)
class ActionFilters:
    """Several verbs or states: any of them. `since` and `until` are whole days in the
    site's time zone, both included."""

    repository: str = ""
    artifact: str = ""
    actor: str = ""
    verbs: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None
    page: int = 1
    size: int = 50
    notes: tuple[str, ...] = ()

    @classmethod
    def from_query(cls, query: QueryDict) -> Self:
        read = Reader(query)
        found = cls(
            repository=read.text("repository"),
            artifact=read.text("artifact"),
            actor=read.text("actor"),
            verbs=read.texts("verb", ActionLog.Verb.values),
            statuses=read.texts("status", ActionLog.Status.values),
            since=read.day("since"),
            until=read.day("until"),
            page=read.page(),
            size=read.size(API_SIZES, 50),
        )
        return replace(found, notes=tuple(read.notes))

    def query(self, page: int) -> str:
        """The query of another page."""
        pairs = [
            ("repository", self.repository),
            ("artifact", self.artifact),
            ("actor", self.actor),
            *(("verb", verb) for verb in self.verbs),
            *(("status", status) for status in self.statuses),
            ("since", self.since.isoformat() if self.since else ""),
            ("until", self.until.isoformat() if self.until else ""),
            ("size", str(self.size) if self.size != 50 else ""),
        ]
        return written([*((k, v) for k, v in pairs if v), ("page", str(page))])

    def among(self, rows: QuerySet[ActionLog]) -> QuerySet[ActionLog]:
        """Those of `rows` that are asked for."""
        if self.repository:
            # By the name it has, and by the one it had then.
            name = self.repository
            rows = rows.filter(Q(repository__name=name) | Q(repository_name=name))
        if self.artifact:
            rows = rows.filter(artifact=self.artifact)
        if self.actor:
            rows = rows.filter(actor=self.actor)
        if self.verbs:
            rows = rows.filter(verb__in=self.verbs)
        if self.statuses:
            rows = rows.filter(status__in=self.statuses)
        if self.since:
            rows = rows.filter(asked_at__gte=_midnight(self.since))
        if self.until:
            rows = rows.filter(asked_at__lt=_midnight(self.until + timedelta(days=1)))
        return rows


def action_filters(request: HttpRequest) -> ActionFilters:
    """The log's filters. Raises BadParameter."""
    refuse_unknown(request, ActionParameters.model_fields)
    filters = ActionFilters.from_query(request.GET)
    if filters.notes:
        raise BadParameter(" ".join(filters.notes))
    return filters


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
