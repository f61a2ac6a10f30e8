"""What a delivery of a webhook does: it asks for a crawl or for a look at the whole
connection, and writes nothing else of what it says.

The row that says "seen before" is written together with the request, so a delivery
counts once, and one whose work was not done may come again. A row that a crawl is
writing just now is not waited for: a thread asks as soon as it is free."""

from __future__ import annotations

import queue
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from django.db import IntegrityError, OperationalError, connection, transaction
from django.utils import timezone

from indexer import connections, jobs
from indexer.background import Background
from indexer.hook_events import Asks, Meaning
from indexer.models import Connection, Crawl, Delivery, Hook, Repository

KEPT = timedelta(days=7)
# A push to a repository that a listing younger than this did not bring in: it is left
# out on purpose, or the next listing finds it.
YOUNG_LISTING = timedelta(minutes=10)
NOTED_AGAIN = timedelta(seconds=10)  # the same outcome, on the webhook's row
LONGEST_WAIT = 50  # milliseconds, for a row that another writes
LONGEST_LIST = 1000  # of deliveries that wait for a row
PATIENCE = 60.0  # seconds, for one of them

SEEN = "seen before"
LATER = "accepted; a crawl is being written, this waits for its end"
ID = re.compile(r"[!-~]{1,100}", re.ASCII)
ID_HEADERS = {
    Connection.Kind.GITHUB: ("X-GitHub-Delivery",),
    # The first two are the same and stay so when a delivery is repeated. The event's
    # own id is shared by all that one request to GitLab caused, so it is not enough.
    Connection.Kind.GITLAB: ("webhook-id", "Idempotency-Key"),
}


class Busy(Exception):
    """Too many deliveries wait already; it may be sent again."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A delivery whose signature was right."""

    hook: Hook
    delivery_id: str
    event: str  # at most 60 characters, printable
    meaning: Meaning


def delivery_id_of(
    kind: str, headers: Mapping[str, str], body: bytes, now: datetime
) -> str:
    """What one delivery is known by, the same when it is repeated. Without an id of
    the provider: by its content and the minute, for the same content may well be
    another event."""
    for name in ID_HEADERS[Connection.Kind(kind)]:
        if ID.fullmatch(headers.get(name, "")):
            return headers[name]
    digest = sha256(body)
    event_id = headers.get("X-Gitlab-Event-UUID", "")
    digest.update((event_id or f"{now:%Y-%m-%d %H:%M}").encode())
    return digest.hexdigest()


def receive(arrival: Arrival) -> str:
    """Do what a delivery asks for, and answer in plain words. Waits for nobody: if the
    rows are being written by another, a thread does it. Raises DatabaseError, and Busy
    if too many wait."""
    try:
        with _impatient():
            return _record(arrival)
    except OperationalError as error:
        if not _is_locked(error):
            raise
    _later(arrival)
    return LATER


def forget_old() -> int:
    """Remove the deliveries of more than a week ago. Returns how many."""
    old = Delivery.objects.filter(received_at__lt=timezone.now() - KEPT)
    return old.delete()[0]


def _record(arrival: Arrival) -> str:
    hook, now = arrival.hook, timezone.now()
    try:
        with transaction.atomic():
            _limit_wait()
            row = Delivery.objects.create(
                hook=hook,
                delivery_id=arrival.delivery_id,
                event=arrival.event,
                received_at=now,
            )
            outcome = _act(hook, arrival.meaning, now)
            Delivery.objects.filter(pk=row.pk).update(outcome=outcome)
            _note(hook, arrival.event, outcome, now)
    except IntegrityError:
        return SEEN
    return outcome


def _act(hook: Hook, meaning: Meaning, now: datetime) -> str:
    """Ask for what the delivery is about. What was asked for or why not, in words."""
    connection = hook.connection
    if meaning.asks == Asks.NOTHING:
        return f"{meaning.word}: nothing to do"
    if not connection.is_enabled or connection.state == Connection.State.DRAFT:
        return f"{meaning.word}: the connection is switched off"
    if hook.repository is not None and (
        meaning.repository_id != hook.repository.provider_id
    ):
        return f"{meaning.word}: not of this webhook's repository"
    if meaning.asks == Asks.REPAIR:
        return _mark_to_repair(hook, meaning)
    if meaning.asks == Asks.CRAWL:
        return _crawl(connection, meaning, now)
    own = connection.installation_id
    if meaning.installation_id and own and meaning.installation_id != own:
        return f"{meaning.word}: of another installation"
    return _discover(connection, meaning)


def _crawl(connection: Connection, meaning: Meaning, now: datetime) -> str:
    # One of another connection is as unknown here as one of nobody: whoever holds this
    # webhook's secret must not find out what others have connected.
    repository = (
        Repository.objects.filter(
            connection=connection,
            provider=connection.kind,
            server=connection.server,
            provider_id=meaning.repository_id,
        )
        .only("pk", "default_branch", "hidden_at", "is_enabled")
        .first()
    )
    if repository is None:
        listed = connection.discovered_at
        if listed is not None and now - listed < YOUNG_LISTING:
            return f"{meaning.word}: not a repository of this connection"
        return _discover(connection, meaning)
    if not repository.is_enabled:
        return f"{meaning.word}: the repository is switched off"
    if repository.hidden_at is not None:
        return _discover(connection, meaning)
    if _is_elsewhere(repository, meaning):
        return f"{meaning.word}: a branch that Muster does not read"
    jobs.request_crawl(repository, trigger=Crawl.Trigger.HOOK)
    return f"{meaning.word}: crawl asked for"


def _is_elsewhere(repository: Repository, meaning: Meaning) -> bool:
    """Whether it is about a branch other than the default one: a repository's index
    is of its tags and the head of that one alone. What else is pushed is seen by
    polling, at no cost."""
    known = repository.default_branch
    return bool(meaning.branch and known) and meaning.branch not in {
        known,
        meaning.default_branch,
    }


def _discover(connection: Connection, meaning: Meaning) -> str:
    connections.request_poll(connection)
    return f"{meaning.word}: a look at all repositories asked for"


def _mark_to_repair(hook: Hook, meaning: Meaning) -> str:
    """Somebody deleted the webhook at the provider: the next look makes it again."""
    if not hook.remote_id or meaning.hook_id != hook.remote_id:
        return f"{meaning.word}: not made by Muster"
    Hook.objects.filter(pk=hook.pk).update(
        state=Hook.State.WANTED, remote_id="", checked_at=None
    )
    return f"{meaning.word}: the webhook is made again at the next look"


def _note(hook: Hook, event: str, outcome: str, now: datetime) -> None:
    """Show the last delivery on the webhook's row; a flood of one writes little."""
    if (
        (hook.last_event, hook.last_outcome) == (event, outcome)
        and hook.last_delivery_at is not None
        and now - hook.last_delivery_at < NOTED_AGAIN
    ):
        return
    Hook.objects.filter(pk=hook.pk).update(
        last_delivery_at=now, last_event=event, last_outcome=outcome
    )


# Not waiting for rows ----------------------------------------------------------------


@contextmanager
def _impatient() -> Iterator[None]:
    """SQLite has one lock for the whole file, which a crawl may hold for seconds."""
    if connection.vendor != "sqlite":
        yield
        return
    with connection.cursor() as cursor:
        before = cursor.execute("PRAGMA busy_timeout").fetchone()[0]
        cursor.execute(f"PRAGMA busy_timeout = {LONGEST_WAIT}")
        try:
            yield
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {int(before)}")


def _limit_wait() -> None:
    """PostgreSQL: a crawl that writes holds its repository's row. The limit ends with
    the transaction. In the thread, which may wait, too: it tries again."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{LONGEST_WAIT}ms'")


def _is_locked(error: OperationalError) -> bool:
    cause = error.__cause__
    return getattr(cause, "sqlstate", "") == "55P03" or getattr(
        cause, "sqlite_errorname", ""
    ).startswith("SQLITE_BUSY")


def _later(arrival: Arrival) -> None:
    try:
        _background.put(arrival)
    except queue.Full:
        raise Busy from None


def flush(seconds: float) -> bool:
    """Wait until all that waits is done, at most so long."""
    return _background.flush(seconds)


def _record_alone(arrival: Arrival) -> None:
    try:
        _record_patiently(arrival)
    finally:
        connection.close()  # the thread's own


def _record_patiently(arrival: Arrival) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            _record(arrival)
            return
        except OperationalError as error:
            if not _is_locked(error) or time.monotonic() > until:
                raise
        time.sleep(0.1)


_background: Background[Arrival] = Background(
    "muster-hooks",
    _record_alone,
    longest=LONGEST_LIST,
    if_lost="A delivery was lost; polling will see what it was about.",
)
