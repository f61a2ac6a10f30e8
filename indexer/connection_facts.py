"""What pages say of a connection: how it is, how far, how fresh, what is left of its
requests, and its webhooks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Max, Min, Q, QuerySet
from django.utils import timezone

from indexer.budgets import BudgetState, budget_state, budget_states
from indexer.models import Connection, Crawl, Hook, Repository

FINE = (Repository.State.OK, Repository.State.EMPTY, Repository.State.NEW)
# Waiting for a rate limit is no problem of the repository.
FAILING = ~Q(state__in=[*FINE, Repository.State.WAITING])
VISIBLE = Q(repositories__hidden_at__isnull=True)
BUSY_SECONDS = 2  # between two looks of a page while work goes on
WAITING_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Progress:
    """The crawls of a connection: what is done, to do, failing and hidden.
    `seconds_left` None: nothing to go by yet. `per_second` is of the last minute."""

    done: int
    total: int
    running: tuple[Repository, ...] = ()
    waiting: int = 0  # for a rate limit
    failing: int = 0
    hidden: int = 0
    per_second: float = 0.0
    seconds_left: float | None = None


@dataclass(frozen=True, slots=True)
class ConnectionRow:
    """A connection in the list, with how many of its repositories were read."""

    connection: Connection
    done: int
    total: int
    budget: BudgetState
    hooks: HookCounts

    @property
    def is_busy(self) -> bool:
        return _is_going_on(self.connection, self.total - self.done)


@dataclass(frozen=True, slots=True)
class Facts:
    """What moves on a connection's page. `oldest` is when the repository looked at
    longest ago was as we show it."""

    connection: Connection
    progress: Progress
    budget: BudgetState
    oldest: datetime | None

    @property
    def to_do(self) -> int:
        return max(0, self.progress.total - self.progress.done)

    @property
    def is_busy(self) -> bool:
        """Whether work goes on, so that the page asks again."""
        return bool(self.progress.running) or _is_going_on(
            self.connection, self.to_do - self.progress.waiting
        )

    @property
    def poll_seconds(self) -> int:
        """How long until the page asks again; 0: it does not."""
        if self.connection.state == Connection.State.WAITING or self.progress.waiting:
            return BUSY_SECONDS if self.progress.running else WAITING_SECONDS
        return BUSY_SECONDS if self.is_busy else 0

    @property
    def mark(self) -> str:
        """Changes when the list of repositories has something else to show."""
        running = ",".join(str(row.pk) for row in self.progress.running)
        at = self.connection.polled_at
        return f"{self.progress.done}-{self.progress.total}-{running}-{at or ''}"


@dataclass(frozen=True, slots=True)
class HookCounts:
    """A connection's webhooks: `made` by Muster, `wanted` and not made yet, `by_hand`
    to be made by a person; `last`: when the newest delivery came."""

    made: int = 0
    wanted: int = 0
    by_hand: int = 0
    last: datetime | None = None


def is_looking(connection: Connection) -> bool:
    """Whether a look at the provider is under way or about to begin. One that failed
    or waits is looked at when its time comes, one that is refused when it changes
    (polling.owed)."""
    state, at = connection.state, connection.next_poll_at
    if not connection.is_enabled or state == Connection.State.DRAFT:
        return False
    if connection.lease_id is not None or state == Connection.State.NEW:
        return True
    is_due = at is None or at <= timezone.now()
    asked = connection.requested_seq > connection.done_seq
    return asked and (
        state == Connection.State.OK or (is_due and state != Connection.State.DENIED)
    )


def _is_going_on(connection: Connection, to_do: int) -> bool:
    """Whether its page will soon have something else to show. Where the provider does
    not let us in, or asks us to wait, nothing moves by itself."""
    if connection.state == Connection.State.WAITING:
        return False
    if is_looking(connection):
        return True
    fine = connection.state in {Connection.State.OK, Connection.State.NEW}
    return fine and connection.is_enabled and to_do > 0


def facts_of(connection: Connection) -> Facts:
    """Everything on its page that moves."""
    oldest = Repository.objects.filter(
        connection=connection, hidden_at__isnull=True, is_enabled=True
    ).aggregate(oldest=Min("checked_at"))["oldest"]
    return Facts(
        connection, progress_of(connection), budget_state(connection.pk), oldest
    )


def progress_of(connection: Connection) -> Progress:
    """How far a first crawl is. Runs three queries."""
    shown = Q(hidden_at__isnull=True)
    wanted = shown & Q(is_enabled=True)
    was_read = wanted & Q(last_crawl_at__isnull=False)
    counts = connection.repositories.aggregate(
        total=Count("pk", filter=wanted),
        done=Count("pk", filter=was_read),
        waiting=Count("pk", filter=wanted & Q(state=Repository.State.WAITING)),
        failing=Count("pk", filter=wanted & FAILING),
        hidden=Count("pk", filter=~shown),
    )
    running = connection.repositories.filter(crawls__status=Crawl.Status.RUNNING).defer(
        "secret"
    )
    minute = timedelta(minutes=1)
    now = timezone.now()
    lately = Crawl.objects.filter(
        repository__connection=connection, finished_at__gte=now - minute
    ).aggregate(ended=Count("pk"), began=Min("started_at"))
    # Work that began less than a minute ago is not measured by a whole minute.
    span = min(now - lately["began"], minute) if lately["began"] else minute
    per_second = lately["ended"] / max(span.total_seconds(), 1.0)
    left = counts["total"] - counts["done"]
    return Progress(
        done=counts["done"],
        total=counts["total"],
        running=tuple(running.order_by("name")),
        waiting=counts["waiting"],
        failing=counts["failing"],
        hidden=counts["hidden"],
        per_second=per_second,
        seconds_left=left / per_second if left and per_second else None,
    )


def connection_list() -> list[ConnectionRow]:
    """Every connection for the list, drafts last."""
    rows = _counted(Connection.objects.defer("secret", "access"))
    hooks = _hooks_of(rows)
    left = budget_states([row.pk for row in rows])
    found = [
        ConnectionRow(
            row,
            row.read_count,  # type: ignore[attr-defined]
            row.repository_count,  # type: ignore[attr-defined]
            left[row.pk],
            hooks.get(row.pk, HookCounts()),
        )
        for row in rows
    ]
    found.sort(key=lambda row: row.connection.state == Connection.State.DRAFT)
    return found


def _counted(rows: QuerySet[Connection]) -> QuerySet[Connection]:
    return rows.annotate(
        repository_count=Count("repositories", filter=VISIBLE),
        read_count=Count(
            "repositories", filter=VISIBLE & ~Q(repositories__state="new")
        ),
    )


def _hooks_of(connections: QuerySet[Connection]) -> dict[int, HookCounts]:
    """By connection. One query."""
    of_state = {state: Count("pk", filter=Q(state=state)) for state in Hook.State}
    counts = (
        Hook.objects.filter(connection__in=[row.pk for row in connections])
        .values("connection")
        .annotate(last=Max("last_delivery_at"), **of_state)
        .order_by("connection")
    )
    return {
        row["connection"]: HookCounts(
            made=row[Hook.State.MADE],
            wanted=row[Hook.State.WANTED],
            by_hand=row[Hook.State.MANUAL] + row[Hook.State.REFUSED],
            last=row["last"],
        )
        for row in counts
    }
