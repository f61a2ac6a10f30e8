"""Doing what somebody wants: register, assign, … as one tag in the repository.

    the row (who, what) → is the index the remote's? → plan → the order into the row →
    the provider → the outcome into the row → the index, from the tag just written

The row is committed before anything is sent and holds the whole order, so whoever goes
on after a crash writes the same tag or finds it written. Git's own "exists already"
decides between two. Each step is described in docs/architecture.md."""

from __future__ import annotations

import hashlib
import logging
import random
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import F

from indexer import action_rows, jobs, wakeup
from indexer.action_rows import Held, Outcome
from indexer.core.plans import Refusal
from indexer.core.snapshot import GitTag, Instant, Json
from indexer.crawl import Lens, crawl_repository, is_unchanged
from indexer.crypto import WrongKey
from indexer.leases import database_now
from indexer.models import ActionLog, Crawl, Event, Repository, Tag
from indexer.permissions import can_act, visible_repositories
from indexer.providers import errors
from indexer.providers.base import Listing
from indexer.providers.registry import provider_for
from indexer.providers.writing import TagExists
from indexer.times import exact
from indexer.wishes import NONSENSE, TAG_VERBS, Wish, order_at, outlook
from indexer.write_ways import NoWay, Right, WriteWay, way_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logging.getLogger(__name__)

Status, Via = ActionLog.Status, ActionLog.Via
PATIENCE = 45.0  # seconds to wait for one's turn, or for who does the same
READING = 20.0  # seconds to wait for a crawl that is under way
INDEXING = 3.0  # the same once the tag is written: the page can wait no longer
PLANS = 6  # times a name that another took meanwhile is planned anew
WAITING = "Waiting for "  # how a sentence of RateLimited begins
LONGEST_NAME = 255  # as the row keeps it
SURROGATE = re.compile("[\ud800-\udfff]")
GIVEN_UP = timedelta(days=1)  # of asking what became of a tag
# What came of it; for a tag also the refs before it, and the tag.
Tried = tuple[Outcome, Listing | None, GitTag | None]


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
    check_allowed(wish, asker.user)
    check_identity(asker.user)
    until = time.monotonic() + PATIENCE
    is_sound = False
    while True:
        if row := ActionLog.objects.filter(key=asker.key_digest).first():
            return _again(row, wish, until)
        if not is_sound:
            _check_sense(wish)
            is_sound = True
        if held := action_rows.begin(wish, asker):
            _carry_out(held)
            return held.row
        _unblock(wish)
        _pause(until)


def _check_sense(wish: Wish) -> None:
    """Raise BadWish for what makes no sense whatever the repository holds: it costs
    nobody a request."""
    for code, text in (
        ("bad-artifact", wish.artifact),
        ("bad-version", wish.version),
        ("bad-stage", wish.stage),
        ("bad-commit", wish.commit_id),
    ):
        if len(text) > LONGEST_NAME or not _is_text(text):
            raise BadWish(
                Refusal(
                    code,
                    f"A name has at most {LONGEST_NAME} characters, and none that a "
                    "text cannot hold.",
                )
            )
    if not all(map(_is_text, _texts([wish.message, dict(wish.fields)]))):
        raise BadWish(
            Refusal("bad-message", "The text holds characters that Git cannot keep.")
        )
    if wish.verb in TAG_VERBS:
        told = outlook(wish).refusal
        if told is not None and told.code in NONSENSE:
            raise BadWish(told)


def _texts(value: Json) -> Iterator[str]:
    """All texts in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key in value:
            yield key
            yield from _texts(value[key])
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)


def _is_text(value: str) -> bool:
    """Whether both databases can hold it."""
    return "\0" not in value and not SURROGATE.search(value)


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
        if held := action_rows.take(pk):
            _carry_out(held)
            count += 1
    return count


def _again(row: ActionLog, wish: Wish, until: float) -> ActionLog:
    """The row of a key that was used before, once it has ended."""
    if row.wish != wish.digest:
        raise KeyReused(
            "This idempotency key was used for another request. Use a new one for each."
        )
    while row.is_open:
        if held := action_rows.take(row.pk):
            _carry_out(held)
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
        _carry_out(held)


def _pause(until: float) -> None:
    if time.monotonic() >= until:
        raise Busy(
            "Others are writing to this model just now. Nothing was written for you; "
            "try again in a moment."
        )
    time.sleep(random.uniform(0.03, 0.15))  # noqa: S311


# One action ---------------------------------------------------------------------------


def _carry_out(held: Held) -> None:
    """Take an action to its end, or to where it can be gone on with."""
    row = held.row
    try:
        found = _tried(held)
        if isinstance(found, str):
            _leave_open(held, found)
            return
        ended, before, tag = found
        with transaction.atomic():
            held.end(ended)
            if ended.status == Status.DONE and row.repository_id:
                jobs.request_crawls(
                    [row.repository_id],
                    trigger=Crawl.Trigger.ACTION,
                    by=row.actor,
                    wake=False,
                )
    except action_rows.TurnLost:
        row.refresh_from_db()
        return
    if ended.status == Status.DONE and row.repository_id:
        _index(row.repository_id, Lens(before, tag))


def _tried(held: Held) -> Tried | str:
    """What came of it, or why nobody knows yet. Raises TurnLost."""
    row = held.row
    sent_before = row.sent_at  # an order that an earlier try may have written
    try:
        return _attempt(held)
    except action_rows.TurnLost:
        raise
    except errors.Unsettled as error:
        return error.sentence
    except Exception as error:
        outcome = _outcome_of(error)
        if outcome is None:
            logger.exception("Action %s failed", row.uuid)
            if row.status == Status.WRITING:
                return "Muster met an error it did not expect."
            outcome = Outcome(
                Status.FAILED,
                "internal-error",
                f"Muster met an error it did not expect ({type(error).__name__}). "
                "Nothing was written; the log has the details.",
            )
        if sent_before is None or row.sent_at != sent_before:
            return outcome, None, None
        if isinstance(error, errors.Unavailable | errors.RateLimited):
            return error.sentence
        # This try wrote nothing; the one before may have.
        if row.verb not in TAG_VERBS:
            return _not_known(_said(error)), None, None
        try:
            there = _is_there(row)
        except errors.Unsettled as trouble:
            return trouble.sentence
        if there:
            outcome = Outcome(Status.DONE, sentence=done_sentence(row))
        return outcome, None, None


def _attempt(held: Held) -> Tried:
    """What came of it. Raises ProviderError, NoWay, WrongKey, TurnLost."""
    row = held.row
    _look_again(row)
    repository, user = row.repository, row.user
    if repository is None or user is None or not _still_allowed(row):
        return _withdrawn(held), None, None
    if repository.hidden_at is not None or not repository.is_enabled:
        raise NoWay(
            "repository-off",
            f"{repository.name} is switched off here or hidden by its provider, so "
            "nothing is written to it.",
        )
    try:
        way = way_of(repository, user)
    except NoWay:
        if row.status == Status.WRITING:
            return _withdrawn(held), None, None
        raise
    if row.verb not in TAG_VERBS:
        from indexer.file_actions import write_file

        return write_file(held, way), None, None
    before: Listing | None = None
    for _ in range(PLANS):
        if row.status == Status.ASKED:
            before = way.writer.refs()
            before = _catch_up(repository, row, before)
            if refused := _fix_order(held, repository, way):
                return refused, None, None
        try:
            tag = way.writer.write_tag(action_rows.order_of(row))
        except TagExists as error:
            # Another's is there, so ours is not: the plan may be made anew.
            held.reopen()
            logger.info("Action %s: %s", row.uuid, error.sentence)
            continue
        done = Outcome(
            Status.DONE, sentence=done_sentence(row), object_id=tag.object_id
        )
        return done, before, tag
    return (
        Outcome(
            Status.REFUSED,
            "tag-exists",
            "Others took the next numbers of this model faster than Muster could write "
            "one. Nothing was written; try again in a moment.",
        ),
        None,
        None,
    )


def _look_again(row: ActionLog) -> None:
    """Who asks and where, as they are now: whoever waited for a turn has read them
    before. Two queries."""
    users = get_user_model()._default_manager
    row.user = users.filter(logged_actions=row.pk).first()
    repositories = Repository.objects.select_related("connection")
    row.repository = repositories.filter(logged_actions=row.pk).first()


def _still_allowed(row: ActionLog) -> bool:
    """Rights may have gone between the click and now."""
    user, repository = row.user, row.repository
    return (
        user is not None
        and repository is not None
        and user.is_active
        and can_act(user)
        and visible_repositories(user).filter(pk=repository.pk).exists()
    )


def _withdrawn(held: Held) -> Outcome:
    """The end of an action whose person may not do it any more. What was sent before
    may be there. Raises Unsettled where that cannot be told."""
    row = held.row
    if row.status == Status.WRITING:
        if row.repository is None:
            return _not_known("The repository was removed from Muster.")
        if row.verb not in TAG_VERBS:
            return _not_known("The right to do this was taken away.")
        if _is_there(row):
            return Outcome(Status.DONE, sentence=done_sentence(row))
    return Outcome(
        Status.REFUSED,
        "not-allowed",
        "The right to do this was taken away before it was done. Nothing was written.",
    )


def _is_there(row: ActionLog) -> bool:
    """Whether the tag that was ordered is at the remote, by the right that reads it.
    Raises Unsettled where that cannot be told."""
    repository = row.repository
    assert repository is not None  # noqa: S101 - its callers looked
    try:
        listing = provider_for(repository).fetch_listing()
        there = listing.tags.get(row.tag)
        if there is None or there == row.object_id:
            return there is not None
        # An API may have made another object of the same order.
        _catch_up(repository, row, listing)
    except (errors.ProviderError, WrongKey) as error:
        raise errors.Unsettled(
            f"It is not known whether an earlier try wrote the tag. {_said(error)}"
        ) from None
    return Tag.objects.filter(
        repository=repository,
        gone_at=None,
        ref=row.tag,
        commit_id=row.commit_id,
        message=row.message,
    ).exists()


def _catch_up(repository: Repository, row: ActionLog, listing: Listing) -> Listing:
    """See to it that the rows are those of the remote's refs; return these. Raises
    Unavailable if that takes too long."""
    until = time.monotonic() + READING
    while True:
        repository.refresh_from_db()
        if is_unchanged(repository, listing):
            return listing
        jobs.request_crawls(
            [repository.pk], trigger=Crawl.Trigger.ACTION, by=row.actor, wake=False
        )
        lens = Lens()
        crawl = crawl_repository(repository.pk, lens=lens)
        if crawl is not None and lens.listing is not None and _is_good(crawl):
            listing = lens.listing
            continue
        if crawl is not None and not _is_good(crawl):
            raise errors.Unavailable(
                "Something changed in the repository, and it could not be read again: "
                f"{crawl.message} Nothing was written."
            )
        if time.monotonic() > until:
            raise errors.Unavailable(
                "The repository is being read just now, and that takes long. Nothing "
                "was written; try again when its crawl has ended."
            )
        time.sleep(0.1)


def _is_good(crawl: Crawl) -> bool:
    return crawl.status in {Crawl.Status.CHANGED, Crawl.Status.UNCHANGED}


def _fix_order(held: Held, repository: Repository, way: WriteWay) -> Outcome | None:
    """Plan by the rows, which are the remote's, and write the order down. Returns why
    not, if it is not to be."""
    row = held.row
    found = outlook(action_rows.wish_of(row, repository))
    if found.plan is None:
        assert found.refusal is not None  # noqa: S101 - an outlook is one of the two
        sentence = found.refusal.sentence
        if row.seen:
            sentence += _latest_event(repository, row.artifact)
        return Outcome(Status.REFUSED, found.refusal.code, sentence)
    if row.seen and row.seen != found.meaning:
        return Outcome(
            Status.REFUSED,
            "changed",
            f"{row.artifact} changed since this was shown to you, and doing it would "
            "mean something else now. Nothing was written."
            f"{_latest_event(repository, row.artifact)} Look at what would be written "
            "now, and ask again if it is still wanted.",
        )
    tagger = action_rows.tagger_of(row)
    order = order_at(found.plan, tagger, Instant(int(database_now().timestamp())))
    if way.right is Right.SHARED:
        asked_by = f"Requested-by: {tagger.name} <{tagger.email}>"
        order = replace(order, message=f"{order.message}\n\n{asked_by}")
    held.fix(found, order, way.right)
    return None


def _latest_event(repository: Repository, artifact: str) -> str:
    """Who did what last, as a sentence: whoever was first."""
    event = (
        Event.objects.filter(repository=repository, artifact__name=artifact)
        .order_by("-at_key", "-pk")
        .first()
    )
    if event is None:
        return ""
    what = f"{event.get_kind_display().lower()}"
    about = " ".join(filter(None, (event.stage, _short(event.version))))
    when = f", {exact(event.at, 0)}" if event.at else ""
    return f" Last: {what} {about} by {event.author_name or 'nobody named'}{when}."


def _short(version: str) -> str:
    return version if version.startswith("v") else version[:7]


def _index(repository_id: int, lens: Lens) -> None:
    """Bring the rows up to the tag just written: a crawl is owed. If another is in the
    way for long, a worker does it."""
    until = time.monotonic() + INDEXING
    asked = Repository.objects.filter(pk=repository_id, requested_seq__gt=F("done_seq"))
    try:
        while crawl_repository(repository_id, lens=lens) is None:
            if not asked.exists():
                return  # another crawl, which began after it was written
            if time.monotonic() > until:
                wakeup.wake(repository_id)
                return
            time.sleep(0.05)
    except Exception:
        # The tag is written and the crawl is owed: a worker comes to it.
        logger.exception("The index of repository %s has to wait", repository_id)


# Outcomes -----------------------------------------------------------------------------


def _leave_open(held: Held, sentence: str) -> None:
    """Nobody knows yet: it is asked again after a pause, for a day."""
    row = held.row
    sent = row.sent_at or row.asked_at
    if database_now() - sent > GIVEN_UP:
        held.end(
            Outcome(
                Status.UNKNOWN,
                "not-known",
                f"{sentence} Muster has stopped asking. The history shows whether the "
                f"tag {row.tag} was written.",
            )
        )
        return
    held.let_go(
        f"{sentence} Muster keeps asking, and writes the same tag if it is not there."
    )


def _not_known(why: str) -> Outcome:
    """The end of an action that nobody can ask about, nor wait for: it would keep all
    others from the model."""
    return Outcome(
        Status.UNKNOWN,
        "not-known",
        f"{why} An earlier try may have written it before: look into the repository.",
    )


def _said(error: Exception) -> str:
    """The sentence of an error for people."""
    if isinstance(error, errors.ProviderError | NoWay):
        return error.sentence
    return str(error)


def _outcome_of(error: Exception) -> Outcome | None:
    """The end that an error makes; None for one that nobody foresaw."""
    if isinstance(error, NoWay):
        return Outcome(Status.REFUSED, error.code, error.sentence)
    if isinstance(error, errors.RateLimited):
        return Outcome(
            Status.FAILED,
            "rate-limited",
            f"A limit of requests holds at {error.sentence.removeprefix(WAITING)} "
            "Nothing was written; ask again then.",
        )
    if isinstance(error, errors.Unavailable):
        return Outcome(Status.FAILED, "unavailable", _nothing(error.sentence))
    if isinstance(error, errors.AccessDenied):
        return Outcome(Status.REFUSED, "access-denied", _nothing(error.sentence))
    if isinstance(error, errors.Refused):
        return Outcome(Status.REFUSED, "provider-refused", _nothing(error.sentence))
    if isinstance(error, errors.ProviderError):
        return Outcome(Status.FAILED, "provider-error", _nothing(error.sentence))
    if isinstance(error, WrongKey):
        return Outcome(Status.FAILED, "wrong-key", _nothing(str(error)))
    return None


def _nothing(sentence: str) -> str:
    """A sentence of an action that has ended: nobody tries it again by themselves."""
    sentence = sentence.replace("Muster tries again later", "Try again later")
    sentence = sentence.replace("; Try again", "; try again")
    said = "othing was written" in sentence or "othing was sent" in sentence
    return sentence if said else f"{sentence} Nothing was written."


def done_sentence(row: ActionLog) -> str:
    """What was done, for the person who asked."""
    version = _short(row.version) if row.version else ""
    name, stage = row.artifact, row.stage
    verbs = ActionLog.Verb
    said = {
        verbs.REGISTER: f"{name} {version} is registered",
        verbs.DEREGISTER: f"{name} {version} is deregistered",
        verbs.ASSIGN: f"{stage} is assigned to {name} {version}",
        verbs.RESTORE: f"{stage} is back at {name} {version}",
        verbs.UNASSIGN: f"{stage} is taken from {name} {version}",
        verbs.DEPRECATE: f"{name} is deprecated",
        verbs.REVIVE: f"{name} is active again",
    }[verbs(row.verb)]
    return f"{said}: tag {row.tag}."
