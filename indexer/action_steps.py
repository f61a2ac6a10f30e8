"""One action, carried out: from the row that says who wants what to the outcome.

    is the index the remote's? → plan → the order into the row → the provider → the
    outcome into the row → the index, from the tag just written

Each step is described in docs/architecture.md."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from datetime import timedelta

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import F

from indexer import action_rows, jobs, wakeup
from indexer.action_outcomes import (
    done_sentence,
    latest_event,
    not_known,
    outcome_of,
    said_by,
)
from indexer.action_rows import Held, Outcome
from indexer.core.snapshot import GitTag, Instant
from indexer.crawl import Lens, crawl_repository, is_unchanged
from indexer.crypto import WrongKey
from indexer.file_actions import write_file
from indexer.leases import PASSING, database_now, drop_connection
from indexer.models import ActionLog, Crawl, Repository, Tag
from indexer.permissions import can_act, visible_repositories
from indexer.providers import errors
from indexer.providers.base import Listing
from indexer.providers.registry import provider_for
from indexer.providers.writing import TagExists
from indexer.wishes import TAG_VERBS, order_at, outlook
from indexer.write_ways import NoWay, Right, WriteWay, requested_by, way_of

logger = logging.getLogger(__name__)

Status = ActionLog.Status
READING = 20.0  # seconds to wait for a crawl that is under way
INDEXING = 3.0  # the same once the tag is written: the page can wait no longer
PLANS = 6  # times a name that another took meanwhile is planned anew
# Refusals after which one wants to know who was first.
FIRST_COME = {
    "version-exists",
    "commit-has-version",
    "stage-held",
    "stage-not-held",
    "has-a-stage",
    "greater-holds",
    "shares-commit",
    "deregistered",
    "not-active",
    "deprecated",
    "not-deprecated",
}
GIVEN_UP = timedelta(days=1)  # of asking what became of a tag
# What came of it; for a tag also the refs before it, and the tag.
Tried = tuple[Outcome, Listing | None, GitTag | None]


def carry_out(held: Held) -> None:
    """Take an action to its end, or to where it can be gone on with. Raises PASSING
    where the database is in the way: nobody is at it then."""
    with held.kept():
        lens = _carry_out(held)
    if lens is not None:
        index(held.row, lens)


def _carry_out(held: Held) -> Lens | None:
    """Through what it is to be indexed afterwards, if anything was written."""
    row = held.row
    try:
        found = _tried(held)
        if isinstance(found, str):
            _leave_open(held, found)
            return None
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
        return None
    return Lens(before, tag) if ended.status == Status.DONE else None


def _tried(held: Held) -> Tried | str:
    """What came of it, or why nobody knows yet. Raises TurnLost, PASSING."""
    row = held.row
    sent_before = row.sent_at  # an order that an earlier try may have written
    try:
        return _attempt(held)
    except (action_rows.TurnLost, *PASSING):
        raise
    except errors.Unsettled as error:
        return error.sentence
    except Exception as error:
        outcome = outcome_of(error)
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
            return not_known(said_by(error)), None, None
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
            return not_known("The repository was removed from Muster.")
        if row.verb not in TAG_VERBS:
            return not_known("The right to do this was taken away.")
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
            f"It is not known whether an earlier try wrote the tag. {said_by(error)}"
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
        if row.seen or found.refusal.code in FIRST_COME:
            sentence += latest_event(repository, row.artifact)
        return Outcome(Status.REFUSED, found.refusal.code, sentence)
    if row.seen and row.seen != found.meaning:
        return Outcome(
            Status.REFUSED,
            "changed",
            f"{row.artifact} changed since this was shown to you, and doing it would "
            "mean something else now. Nothing was written."
            f"{latest_event(repository, row.artifact)} Look at what would be written "
            "now, and ask again if it is still wanted.",
        )
    tagger = action_rows.tagger_of(row)
    order = order_at(found.plan, tagger, Instant(int(database_now().timestamp())))
    if way.right is Right.SHARED:
        asked_by = requested_by(row.actor, tagger)
        order = replace(order, message=f"{order.message}\n\n{asked_by}")
    held.fix(found, order, way.right)
    return None


def index(row: ActionLog, lens: Lens | None = None) -> None:
    """Bring the rows up to the tag that was written: a crawl is owed. If another is in
    the way for long, a worker does it."""
    if row.repository is None or row.repository.hidden_at is not None:
        return
    repository_id = row.repository.pk
    until = time.monotonic() + INDEXING
    asked = Repository.objects.filter(pk=repository_id, requested_seq__gt=F("done_seq"))
    while True:
        try:
            if crawl_repository(repository_id, lens=lens) is not None:
                return
            if not asked.exists():
                return  # another crawl, which began after it was written
        except Exception as error:
            # The tag is written and the crawl is owed: a worker comes to it.
            drop_connection()
            logger.exception("The index of %s has to wait", repository_id)
            if not isinstance(error, PASSING):
                return
        if time.monotonic() > until:
            wakeup.wake(repository_id)
            return
        time.sleep(0.05)


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
