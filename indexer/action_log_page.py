"""The action log as a table: who asked for what through Muster, newest first.

`log_page` answers with one page, `log_rows` with all of them. Names come from the rows
themselves, which outlive the model, the repository and the person."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple, Self
from uuid import UUID

from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce
from django.http import QueryDict
from django.utils import timezone

from indexer.action_history import actions_of_objects, visible_actions
from indexer.models import ActionLog, Artifact, Event, Version
from indexer.paging import Order, ids_in_order, page_of
from indexer.permissions import User, can_manage, within_sight
from indexer.query_string import LONGEST_SEARCH, Reader, written
from indexer.records import Record, moment
from indexer.wishes import TAG_VERBS

Status = ActionLog.Status
SIZES = (25, 50, 100)
VERBS = tuple(ActionLog.Verb.values)
# As people ask for them: what is being checked is soon being written.
RESULTS = {
    "done": "Done",
    "refused": "Refused",
    "failed": "Failed",
    "writing": "Being written",
    "unknown": "Not known",
}
MOST_WORDS = 10
MOST_NAMES = 500  # in a menu
CHUNK = 1000
BY_TIME = Order(("asked_at",))
UNSHOWN = ("asked", "content", "repository__secret")  # long, or nobody's


class Asked(NamedTuple):
    """Who asked for something: the user name, and the name for Git."""

    actor: str
    name: str


@dataclass(frozen=True, slots=True)
class LogFilters:
    """What the address of the log asks for. Several verbs or results: any of them.
    `person` is part of a user name, name or e-mail. `artifact` is one model of
    `repository`, `action` the id of a single row. `since` and `until` are whole days
    in the site's time zone, both included."""

    q: str = ""
    person: str = ""
    verbs: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    repository: str = ""
    artifact: str = ""
    action: str = ""
    since: date | None = None
    until: date | None = None
    page: int = 1
    size: int = 50
    ascending: bool = False
    notes: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def from_query(cls, query: QueryDict, sizes: Collection[int] = SIZES) -> Self:
        """Read the address. What makes no sense falls back to the default, and
        `notes` says so."""
        read = Reader(query)
        return cls(
            q=read.text("q", LONGEST_SEARCH),
            person=read.text("person", LONGEST_SEARCH),
            verbs=read.texts("verb", VERBS),
            results=read.texts("result", RESULTS),
            repository=read.text("repository"),
            artifact=read.text("artifact"),
            action=_id(read),
            since=read.day("since"),
            until=read.day("until"),
            page=read.page(),
            size=read.size(sizes, 50),
            ascending=not read.sort(("time",), "-time")[1],
            notes=tuple(read.notes),
        )

    def query(self, **changes: Any) -> str:
        """The query string of these filters with `changes` (names of fields), which
        lead back to page 1 unless they name a page."""
        new = replace(self, **({"page": 1} | changes if changes else {}))
        pairs = [("q", new.q)] if new.q else []
        pairs += [("person", new.person)] if new.person else []
        pairs += [("verb", value) for value in new.verbs]
        pairs += [("result", value) for value in new.results]
        pairs += [("repository", new.repository)] if new.repository else []
        pairs += [("artifact", new.artifact)] if new.artifact else []
        pairs += [("action", new.action)] if new.action else []
        pairs += [("since", new.since.isoformat())] if new.since else []
        pairs += [("until", new.until.isoformat())] if new.until else []
        pairs += [("sort", "time")] if new.ascending else []
        pairs += [("size", str(new.size))] if new.size != 50 else []
        pairs += [("page", str(new.page))] if new.page != 1 else []
        return written(pairs)

    @property
    def is_narrowed(self) -> bool:
        """Whether anything is left out that the plain log shows."""
        return replace(self, page=1, size=50, ascending=False) != type(self)()


def _id(read: Reader) -> str:
    text = read.text("action")
    try:
        return str(UUID(text)) if text else ""
    except ValueError:
        read.notes.append("action is no id of an action.")
        return ""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One action, and what is still there of what it was about."""

    row: ActionLog
    artifact: Artifact | None
    has_version: bool
    shows_origin: bool  # its API token and remote address

    @property
    def repository_name(self) -> str:
        """Its name today; of one that is gone, the name it had."""
        return shown_repository(self.row)


@dataclass(frozen=True, slots=True)
class LogPage:
    """One page of actions. `first` and `last` count from 1 and are 0 when there is
    nothing."""

    rows: list[LogLine]
    total: int
    page: int
    pages: int
    first: int
    last: int


def log_page(user: User, filters: LogFilters) -> LogPage:
    """One page of what the person may see. Four queries, and one more for a search by
    person."""
    where, rows = page_of(
        _matching(user, filters),
        BY_TIME,
        descending=not filters.ascending,
        page=filters.page,
        size=filters.size,
    )
    return LogPage(
        rows=_lines(user, whole_rows(rows)) if where.total else [],
        total=where.total,
        page=where.page,
        pages=where.pages,
        first=where.first,
        last=where.last,
    )


def log_rows(user: User, filters: LogFilters) -> Iterator[ActionLog]:
    """Every action of the filters, in order, whatever page they name."""
    matching = _matching(user, filters)
    ids = ids_in_order(matching, BY_TIME, descending=not filters.ascending)
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        found = whole_rows(ActionLog.objects.filter(pk__in=chunk))
        rows = {row.pk: row for row in found}
        yield from (rows[pk] for pk in chunk if pk in rows)


def log_people(user: User) -> list[Asked]:
    """Who asked for anything, by user name. One query."""
    names: dict[str, str] = {}
    for actor, name, _ in _people(user):
        names.setdefault(actor, name)
    ordered = sorted(names.items(), key=lambda one: (one[0].casefold(), one[0]))
    return [Asked(*one) for one in ordered[:MOST_NAMES]]


def log_repositories(user: User) -> list[str]:
    """The repositories that anything was asked for in. One query."""
    rows = visible_actions(user).order_by().values_list(SHOWN_REPOSITORY, flat=True)
    return sorted(set(rows.distinct()[:MOST_NAMES]))


SHOWN_REPOSITORY = Coalesce("repository__name", "repository_name")


def shown_repository(row: ActionLog) -> str:
    """What to call its repository. Reads it."""
    return row.repository_name if row.repository is None else row.repository.name


def shows_origin(row: ActionLog, user: User) -> bool:
    """Whether this person may see which API token and address it came from: an admin,
    and whoever asked."""
    return can_manage(user) or (row.user_id is not None and row.user_id == user.pk)


def action_record(row: ActionLog, user: User) -> Record:
    """An action as a plain JSON tree, in the API's words. Reads its repository. Token
    and address are null for those who may not see them."""
    origin = shows_origin(row, user)
    is_tag = row.verb in TAG_VERBS
    return {
        "id": str(row.uuid),
        "verb": row.verb,
        "status": row.status,
        "code": row.code,
        "sentence": row.sentence,
        "actor": row.actor,
        "via": row.via,
        "token_name": row.token_name if origin else None,
        "remote_address": row.remote_address if origin else None,
        "right": row.right,
        "repository": shown_repository(row),
        "repository_then": row.repository_name,
        "artifact": row.artifact,
        "version": row.version,
        "stage": row.stage,
        "tag": row.tag,
        "tag_object": row.object_id if is_tag else "",
        "commit": row.commit_id if is_tag else row.object_id,
        "file": row.path,
        "branch": row.branch,
        "message": row.message,
        "tagger": {"name": row.tagger_name, "email": row.tagger_email},
        "email_verified_by": row.email_verified_by,
        "pull_request": row.html,
        "asked_at": moment(row.asked_at),
        "ended_at": moment(row.ended_at),
    }


def actions_of_events(events: Iterable[Event]) -> dict[int, ActionLog]:
    """The actions that these events came of, by the event's id; events that were
    pushed to Git have none. One query."""
    events = list(events)
    if not events:
        return {}
    found = actions_of_objects(
        {event.repository_id for event in events}, {event.tag_id for event in events}
    )
    return {
        event.pk: found[key]
        for event in events
        if (key := (event.repository_id, event.tag_id)) in found
    }


def whole_rows(rows: QuerySet[ActionLog]) -> QuerySet[ActionLog]:
    """The rows with all that `action_record` reads, and nothing that it does not."""
    return rows.select_related("repository").defer(*UNSHOWN)


def _people(user: User) -> QuerySet[ActionLog, tuple[str, str, str]]:
    rows = visible_actions(user).order_by()
    return rows.values_list("actor", "tagger_name", "tagger_email").distinct()


def _matching(user: User, filters: LogFilters) -> QuerySet[ActionLog]:
    rows = visible_actions(user).order_by()
    if filters.action:
        rows = rows.filter(uuid=filters.action)
    if filters.repository:
        # One that is gone has the name it had; a new one of that name is another.
        rows = rows.filter(
            Q(repository__name=filters.repository)
            | Q(repository=None, repository_name=filters.repository)
        )
    if filters.artifact:
        rows = rows.filter(artifact=filters.artifact)
    if filters.verbs:
        rows = rows.filter(verb__in=filters.verbs)
    if filters.results:
        wanted = set(filters.results)
        if Status.WRITING in wanted:
            wanted.add(Status.ASKED)
        rows = rows.filter(status__in=sorted(wanted))
    if filters.since:
        rows = rows.filter(asked_at__gte=_midnight(filters.since))
    if filters.until:
        rows = rows.filter(asked_at__lt=_midnight(filters.until + timedelta(days=1)))
    if filters.person:
        # Compared here, in any script: SQLite itself folds ASCII only.
        part = filters.person.casefold()
        actors = {
            names[0]
            for names in _people(user)
            if any(part in name.casefold() for name in names)
        }
        rows = rows.filter(actor__in=sorted(actors))
    for word in filters.q.split()[:MOST_WORDS]:
        rows = rows.filter(
            Q(artifact__icontains=word)
            | Q(tag__icontains=word)
            | Q(message__icontains=word)
            | Q(sentence__icontains=word)
        )
    return rows


def _midnight(day: date) -> datetime:
    """The day's begin on the site's clock."""
    return timezone.make_aware(datetime.combine(day, time.min))


def _lines(user: User, rows: Iterable[ActionLog]) -> list[LogLine]:
    """The rows with what is there of their models and versions. Three queries."""
    rows = list(rows)
    found = within_sight(Artifact.objects.all(), user).filter(
        repository__in={row.repository_id for row in rows if row.repository_id},
        name__in={row.artifact for row in rows},
    )
    artifacts = {
        (artifact.repository_id, artifact.name): artifact
        for artifact in found.only("name", "repository_id")
    }
    versions = set(
        Version.objects.filter(
            artifact__in=[artifact.pk for artifact in artifacts.values()],
            name__in={row.version for row in rows if row.version},
        ).values_list("artifact_id", "name")
    )
    lines = []
    for row in rows:
        artifact = None
        if row.repository is not None:
            artifact = artifacts.get((row.repository.pk, row.artifact))
        if artifact is not None and row.repository is not None:
            artifact.repository = row.repository
        lines.append(
            LogLine(
                row,
                artifact,
                artifact is not None and (artifact.pk, row.version) in versions,
                shows_origin(row, user),
            )
        )
    return lines
