"""Doing what somebody wants: register, assign, … as one tag in the repository.

Who may ask, a wish that comes twice, whose turn it is, and going on with what nobody is
at. The action itself: `indexer.action_steps`. The row is committed before anything is
sent and holds the whole order, so whoever goes on after a crash writes the same tag or
finds it written."""

from __future__ import annotations

import hashlib
import itertools
import logging
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from indexer import action_rows, leases
from indexer.action_steps import carry_out, index
from indexer.core.plans import Refusal
from indexer.full_disk import is_disk_full
from indexer.models import ActionLog
from indexer.permissions import can_act, visible_repositories
from indexer.wishes import (
    NONSENSE,
    TAG_VERBS,
    Wish,
    nonsense,
    plan_of,
    registry_of,
)

if TYPE_CHECKING:
    from django.contrib.auth.models import User


Status, Via = ActionLog.Status, ActionLog.Via
UNBLOCK_EVERY = 8  # looks at whose turn it is, before one looks whether they live
PATIENCE = 45.0  # seconds to wait for one's turn, or for who does the same
TRIES = 4  # of an action whose connection to the database breaks
AWAY = (
    "Muster cannot reach its database just now. If this was begun, it goes on by "
    "itself; look at the model before you ask for it again."
)
logger = logging.getLogger(__name__)


class BadWish(Exception):
    """The wish makes no sense; nobody was asked and nothing was logged."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.sentence)
        self.refusal = refusal


class NotAllowed(Exception):
    """This person may not do this."""


class KeyReused(Exception):
    """The idempotency key was used for another wish."""


class Busy(Exception):
    """Somebody else's turn, for longer than one can wait."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and how. `key` makes a wish that comes twice one; `seen` is the
    meaning of what the person was shown ("": nothing was)."""

    user: User
    key: str
    via: ActionLog.Via
    token_name: str = ""
    remote_address: str = ""
    seen: str = ""

    @property
    def key_digest(self) -> str:
        """What the row keeps of the key: one person cannot meet another's."""
        return hashlib.sha256(
            f"{self.user.pk}\0{self.key}".encode("utf-8", "surrogatepass")
        ).hexdigest()


def perform(wish: Wish, asker: Asker) -> ActionLog:
    """Do it, and return the row that says what came of it; the same row for a wish
    that comes again. A row that is still open goes on by itself: the scheduler asks
    until it is known. Raises BadWish, NotAllowed, KeyReused, Busy."""
    until = time.monotonic() + PATIENCE
    for tries_left in reversed(range(TRIES)):
        try:
            row = _perform(wish, asker, until)
            if tries_left < TRIES - 1:
                index(row)  # its end may have been written, and the answer lost
            return row
        except leases.PASSING as error:
            # By its key it is the same action, wherever the connection broke.
            leases.drop_connection()
            if is_disk_full(error):
                raise  # that passes when somebody makes room
            if not tries_left or time.monotonic() > until:
                raise Busy(AWAY) from error
            logger.warning("An action begins again: %s", error)
    raise AssertionError("not reached")


def _perform(wish: Wish, asker: Asker, until: float) -> ActionLog:
    check_allowed(wish, asker.user)
    check_identity(asker.user)
    is_sound = False
    for look in itertools.count():
        if row := ActionLog.objects.filter(key=asker.key_digest).first():
            return _again(row, wish, until)
        if not is_sound:
            _check_sense(wish)
            is_sound = True
        if held := action_rows.begin(wish, asker):
            carry_out(held)
            return held.row
        if look % UNBLOCK_EVERY == 0:
            _unblock(wish)
        _pause(until)
    raise AssertionError("not reached")


def _check_sense(wish: Wish) -> None:
    """Raise BadWish for what makes no sense whatever the repository holds: it costs
    nobody a request."""
    if told := nonsense(wish):
        raise BadWish(told)
    if wish.verb in TAG_VERBS:
        # The plan alone: what it would change is looked at when it is one's turn.
        planned = plan_of(wish, registry_of(wish.repository, wish.artifact)[0])
        if isinstance(planned, Refusal) and planned.code in NONSENSE:
            raise BadWish(planned)


def check_allowed(wish: Wish, user: User) -> None:
    """Raise NotAllowed unless this person may do this here."""
    if not can_act(user):
        raise NotAllowed(
            "Registering, assigning and the like need the role editor. An admin gives "
            "out roles."
        )
    if not visible_repositories(user).filter(pk=wish.repository.pk).exists():
        raise NotAllowed("There is no such repository.")


def check_identity(user: User) -> None:
    """Raise BadWish unless Git knows how to call this person."""
    person = action_rows.identity_of(user)
    if not person.name or not person.email:
        raise BadWish(
            Refusal(
                "no-identity",
                "Git writes a name and an e-mail into every tag. Enter yours on your "
                "account page.",
            )
        )


def resume_open() -> int:
    """Go on with what nobody is at: its process died, or it was not known what came of
    it. Returns how many were looked at."""
    count = 0
    for pk in action_rows.abandoned():
        try:
            if held := action_rows.take(pk):
                carry_out(held)
                count += 1
        except leases.PASSING as error:
            leases.drop_connection()
            logger.warning("Action %s has to wait: %s", pk, error)
    return count


def _again(row: ActionLog, wish: Wish, until: float) -> ActionLog:
    """The row of a key that was used before, once it has ended."""
    if row.wish != wish.digest:
        raise KeyReused(
            "This idempotency key was used for another request. Use a new one for each."
        )
    while row.is_open:
        if held := action_rows.take(row.pk):
            carry_out(held)
            return held.row
        if row.status == Status.WRITING and row.lease_id is None:
            return row  # it is asked again after a pause
        _pause(until)
        row.refresh_from_db()
    return row


def _unblock(wish: Wish) -> None:
    """Go on with an action that blocks this one, if nobody else does."""
    blocking = ActionLog.objects.filter(
        repository=wish.repository, artifact=wish.artifact, status__in=ActionLog.OPEN
    ).first()
    if blocking is not None and (held := action_rows.take(blocking.pk)):
        carry_out(held)


def _pause(until: float) -> None:
    if time.monotonic() >= until:
        raise Busy(
            "Others are writing to this model just now. Nothing was written for you; "
            "try again in a moment."
        )
    time.sleep(random.uniform(0.05, 0.25))  # noqa: S311
