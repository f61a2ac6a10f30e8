"""Rows of the action log: begun, taken by whoever carries them out, and ended once.

Each write names the lease, so that who lost it (it slept, its machine did) changes
nothing; a row that has ended is never written again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F

from indexer.accounts import account_of
from indexer.core.git_objects import (
    TagOrder,
    format_tag_object,
    tag_object_id,
    tidied,
)
from indexer.core.snapshot import Instant, Person
from indexer.core.versions import Part
from indexer.jobs import is_dead_here
from indexer.leases import Leased, database_now, given_back, holder, renewing
from indexer.models import ActionLog, Repository
from indexer.provider_tokens import verifier_of
from indexer.wishes import Outlook, Wish

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from indexer.actions import Asker

Status = ActionLog.Status
FREE: dict[str, Any] = {"lease_id": None, "lease_expires_at": None}  # to go on with
PAUSES = (2, 5, 15, 60, 300)  # seconds before it is asked again what became of it


class TurnLost(Exception):
    """Another carries the action out by now."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an action ended."""

    status: ActionLog.Status
    code: str = ""
    sentence: str = ""
    object_id: str = ""
    html: str = ""


@dataclass(slots=True)
class Held:
    """The right to carry an action out, as long as somebody is at it."""

    row: ActionLog
    lease_id: UUID
    lost: threading.Event = field(default_factory=threading.Event, kw_only=True)

    @property
    def rows(self) -> Leased:
        return ActionLog

    @property
    def pk(self) -> int:
        return self.row.pk

    @contextmanager
    def kept(self) -> Iterator[None]:
        """While the block runs nobody else carries it out; if it raises, whoever comes
        next may."""
        with renewing(self), given_back(ActionLog, self.lease_id, FREE, pk=self.pk):
            yield

    def fix(self, found: Outlook, order: TagOrder, right: ActionLog.Right) -> None:
        """Write the order down, before anything is sent. Raises TurnLost."""
        assert found.plan is not None  # noqa: S101
        order = tidied(order)
        object_id = tag_object_id(format_tag_object(order), len(order.commit_id))
        self._write(
            status=Status.WRITING,
            right=right,
            tag=order.name,
            commit_id=order.commit_id,
            message=order.message,
            tagger_name=order.tagger.name,
            tagger_email=order.tagger.email,
            seconds=order.at.seconds,
            not_before=found.plan.not_before,
            object_id=object_id,
            version=found.version,
            stage=found.plan.tag.stage or "",
            sent_at=database_now(),
        )

    def fix_file(self, **order: Any) -> None:
        """The same for a file that is committed. Raises TurnLost."""
        self._write(status=Status.WRITING, sent_at=database_now(), **order)

    def reopen(self) -> None:
        """Back to before the order: it cannot be written, and was not."""
        self._write(status=Status.ASKED, tag="", object_id="", sent_at=None)

    def end(self, outcome: Outcome) -> None:
        """Write the end, once. Raises TurnLost."""
        more = {}
        if outcome.object_id:
            more["object_id"] = outcome.object_id
        self._write(
            status=outcome.status,
            code=outcome.code,
            sentence=outcome.sentence,
            html=outcome.html,
            ended_at=database_now(),
            lease_id=None,
            lease_expires_at=None,
            **more,
        )

    def let_go(self, sentence: str) -> None:
        """Leave it open for another try, after a pause. Raises TurnLost."""
        pause = PAUSES[min(self.row.tries, len(PAUSES)) - 1]
        self._write(
            sentence=sentence,
            lease_id=None,
            lease_expires_at=database_now() + timedelta(seconds=pause),
        )

    def _write(self, **fields: Any) -> None:
        rows = ActionLog.objects.filter(
            pk=self.row.pk, lease_id=self.lease_id, ended_at=None
        )
        if not rows.update(**fields):
            raise TurnLost(f"Action {self.row.pk} is another's.")
        for name, value in fields.items():
            setattr(self.row, name, value)


def begin(wish: Wish, asker: Asker) -> Held | None:
    """The row of a new wish, ours to carry out; None while another of the same
    artifact is open, or if the key was used meanwhile."""
    busy = ActionLog.objects.filter(
        repository=wish.repository, artifact=wish.artifact, status__in=ActionLog.OPEN
    )
    if busy.exists():
        return None
    person = identity_of(asker.user)
    lease_id, now = uuid4(), database_now()
    row = ActionLog(
        key=asker.key_digest,
        wish=wish.digest,
        verb=wish.verb,
        user=asker.user,
        actor=asker.user.get_username()[:200],
        via=asker.via,
        token_name=asker.token_name[:100],
        remote_address=asker.remote_address[:64],
        repository=wish.repository,
        repository_name=wish.repository.name,
        artifact=wish.artifact,
        version=wish.version,
        stage=wish.stage,
        commit_id=wish.commit_id,
        message=wish.message,
        asked={
            "version": wish.version,
            "stage": wish.stage,
            "commit": wish.commit_id,
            "part": wish.part.value,
            "message": wish.message,
            "fields": dict(wish.fields),
        },
        seen=asker.seen[:64],
        tagger_name=person.name,
        tagger_email=person.email,
        email_verified_by=verifier_of(asker.user, person.email),
        asked_at=now,
        tries=1,
        lease_id=lease_id,
        lease_holder=holder(),
        lease_expires_at=now + settings.MUSTER_LEASE,
    )
    try:
        with (
            given_back(ActionLog, lease_id, FREE, key=row.key),
            transaction.atomic(),
        ):
            row.save(force_insert=True)
    except IntegrityError:
        return None
    return Held(row, lease_id)


def take(pk: int) -> Held | None:
    """Carry on with an open action that nobody is at; None if somebody is."""
    row = ActionLog.objects.filter(pk=pk, status__in=ActionLog.OPEN).first()
    if row is None:
        return None
    now, lease_id = database_now(), uuid4()
    if not _is_free(row, now):
        return None
    as_seen = ActionLog.objects.filter(
        pk=pk,
        status__in=ActionLog.OPEN,
        lease_id=row.lease_id,
        lease_expires_at=row.lease_expires_at,
    )
    with given_back(ActionLog, lease_id, FREE, pk=pk):
        taken = as_seen.update(
            lease_id=lease_id,
            lease_holder=holder(),
            lease_expires_at=now + settings.MUSTER_LEASE,
            tries=F("tries") + 1,
        )
        if not taken:
            return None
        rows = ActionLog.objects.select_related("repository__connection", "user")
        return Held(rows.get(pk=pk), lease_id)


def abandoned() -> list[int]:
    """Open actions that nobody is at and whose time has come."""
    now = database_now()
    rows = ActionLog.objects.filter(status__in=ActionLog.OPEN).order_by("pk")
    return [
        row.pk
        for row in rows.only("pk", "lease_id", "lease_holder", "lease_expires_at")
        if _is_free(row, now)
    ]


def _is_free(row: ActionLog, now: datetime) -> bool:
    """Whether nobody is at it and its time has come: it is past, or later than any
    pause or lease may last, for the clock was set back since."""
    longest = max(2 * settings.MUSTER_LEASE, timedelta(seconds=2 * PAUSES[-1]))
    until = row.lease_expires_at
    if until is None or not now < until <= now + longest:
        return True
    return row.lease_id is not None and is_dead_here(row.lease_holder)


def wish_of(row: ActionLog, repository: Repository) -> Wish:
    """What was asked, as it was asked."""
    asked = row.asked
    return Wish(
        verb=ActionLog.Verb(row.verb),
        repository=repository,
        artifact=row.artifact,
        version=asked["version"],
        stage=asked["stage"],
        commit_id=asked["commit"],
        part=Part(asked["part"]),
        message=asked["message"],
        fields=asked["fields"],
    )


def order_of(row: ActionLog) -> TagOrder:
    """The tag that is written, whoever goes on with it."""
    return TagOrder(
        row.tag,
        row.commit_id,
        row.message,
        tagger_of(row),
        Instant(row.seconds or 0),
    )


def tagger_of(row: ActionLog) -> Person:
    """The person who asked, as Git knows them."""
    return Person(row.tagger_name, row.tagger_email)


def identity_of(user: User) -> Person:
    """How a person stands in Git. One query the first time."""
    account = account_of(user)
    return Person(account.name, account.email)
