"""A crawl: read one repository and index what it means.

    take the lease → list the refs → (unchanged? done) → read what is new → fold →
    write the difference → give the lease back

Whatever goes wrong becomes a state and a sentence on the repository; what was indexed
stays. Each step is described in docs/architecture.md.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

from django.db import Error, IntegrityError

from indexer import jobs, leases
from indexer.additions import ingest_additions, read_additions
from indexer.budgets import Unlimited
from indexer.connections import request_poll
from indexer.core.snapshot import GitTag, RepositorySnapshot
from indexer.crypto import WrongKey
from indexer.index_rows import INDEX_VERSION
from indexer.ingest import IngestCounts, LeaseLost, ingest, ingest_branches
from indexer.jobs import Lease
from indexer.leases import PASSING, clock, drop_connection, given_back, hold
from indexer.models import Connection, Crawl, Repository
from indexer.providers import errors
from indexer.providers.base import Known, Listing, Progress, Provider, no_progress
from indexer.providers.registry import budget_for, provider_for
from indexer.snapshot_rows import Selection, StoredSnapshot, load_rows

logger = logging.getLogger(__name__)

Watch = Callable[[str, int, int], None]
PROGRESS_EVERY = 0.5  # seconds between two writes of a crawl's progress
YOUNG_LISTING = timedelta(minutes=5)  # of a connection; not asked for again
WRITE_TRIES = 5  # of one ingest, when the database is in the way
CRAWL_TRIES = 3  # of a crawl whose connection to the database breaks
CRAWL_AGAIN = 20.0  # seconds after which it is not begun again

STATE_OF: dict[type[errors.ProviderError], Repository.State] = {
    errors.AddressRefused: Repository.State.FAILING,
    errors.AccessDenied: Repository.State.DENIED,
    errors.NotFound: Repository.State.GONE,
    errors.Unavailable: Repository.State.UNREACHABLE,
    errors.TooLarge: Repository.State.TOO_LARGE,
    errors.BadPayload: Repository.State.FAILING,
}
EMPTY = (
    "The repository has no commits yet. Push one with a dvc.yaml or artifacts.yaml, or "
    "a GTO tag such as churn@v1.0.0."
)
HEADLESS = (
    "The repository has no default branch, so only its tags were read. Push the branch "
    "its HEAD names, or point HEAD to another."
)


def crawl_repository(
    repository_id: int,
    *,
    trigger: Crawl.Trigger | None = None,
    requested_by: str = "",
    watch: Watch | None = None,
    afresh: bool = False,
    lens: Lens | None = None,
) -> Crawl | None:
    """Crawl a repository if it is owed and nobody else is at it; None otherwise.

    The Crawl row that comes back says how it went. `trigger` None: what the request
    says. `watch` is told of the progress as it is written. `afresh`: trust nothing
    that was read before but the memory of tags. `lens`: what the caller
    knows of the remote. Raises nothing but a database's Error, when the end itself
    cannot be written; the lease is given back all the same."""
    lease = jobs.claim(repository_id, trigger=trigger, requested_by=requested_by)
    if lease is None:
        return None
    free = jobs.BROKEN_OFF
    with (
        leases.renewing(lease),
        given_back(Repository, lease.lease_id, free, pk=repository_id),
    ):
        try:
            _crawl_steadily(lease, _Progress(lease, watch), afresh=afresh, lens=lens)
        except LeaseLost:
            logger.warning("Crawl %s lost its lease and stopped.", lease.crawl.pk)
        except errors.RateLimited as error:
            _wait(lease, error.retry_at)
        except errors.ProviderError as error:
            if _is_limit(lease, error):
                _wait(lease, lease.budget.back_off())
            else:
                _fail(lease, error.sentence, error)
        except WrongKey as error:
            _fail(lease, str(error), error)
        except Exception as error:
            logger.exception("Crawl %s of %s failed", lease.crawl.pk, repository_id)
            _fail(lease, _unexpected(error), error)
    return Crawl.objects.filter(pk=lease.crawl.pk).first()


def _crawl_steadily(
    lease: Lease, progress: _Progress, *, afresh: bool, lens: Lens | None
) -> None:
    """Crawl, and again from the beginning if the connection to the database broke."""
    began = time.monotonic()
    for tries_left in reversed(range(CRAWL_TRIES)):
        try:
            _crawl(lease, progress, afresh=afresh, lens=lens)
            return
        except PASSING as error:
            drop_connection()
            if not tries_left or time.monotonic() - began > CRAWL_AGAIN:
                raise
            logger.warning("Crawl %s begins again: %s", lease.crawl.pk, error)
            hold(lease)  # its end may be written, and only the answer be lost


class _Progress:
    """Writes how far a crawl is, at most twice a second, for pages to show."""

    def __init__(self, lease: Lease, watch: Watch | None) -> None:
        self.lease = lease
        self.watch = watch
        self.written = 0.0
        self.phase = ""

    def __call__(self, phase: str, done: int = 0, total: int = 0) -> None:
        self.lease.check()
        if self.watch is not None:
            self.watch(phase, done, total)
        now = time.monotonic()
        if now - self.written < PROGRESS_EVERY:
            return
        self.written = now
        Crawl.objects.filter(
            pk=self.lease.crawl.pk, status=Crawl.Status.RUNNING
        ).update(phase=phase[:40], done=max(0, done), total=max(0, total))


@dataclass(slots=True)
class Lens:
    """What the caller knows of the remote. If the rows are those of `before`, the crawl
    takes the refs to be these and `tag`, which was written just now, and asks nobody.
    `listing` is what it went by in the end."""

    before: Listing | None = None
    tag: GitTag | None = None
    listing: Listing | None = None


class _Through:
    """A provider, through a lens."""

    def __init__(self, provider: Provider, lens: Lens, repository: Repository) -> None:
        self._provider = provider
        self._lens = lens
        self._repository = repository

    def fetch_listing(self) -> Listing:
        before, tag = self._lens.before, self._lens.tag
        # The rows are looked at under the lease: another may have written meanwhile.
        if before and tag and is_unchanged(self._repository, before):
            self._lens.listing = with_tag(before, tag)
        else:
            self._lens.listing = self._provider.fetch_listing()
        return self._lens.listing

    def fetch_snapshot(
        self, listing: Listing, known: Known, progress: Progress = no_progress
    ) -> RepositorySnapshot:
        if (tag := self._lens.tag) is not None:
            known = self._with(known, tag)
        return self._provider.fetch_snapshot(listing, known, progress)

    def _with(self, known: Known, tag: GitTag) -> Known:
        """The tag, and what the rows have of its commit, where only a part of them was
        looked at."""
        tags = {**known.tags, tag.object_id: tag}
        if tag.commit_id is None or tag.commit_id in known.commits:
            return replace(known, tags=tags)
        part = Selection(commits=[tag.commit_id])
        rows = load_rows(self._repository.pk, part).known()
        return Known(
            tags=tags,
            commits={**rows.commits, **known.commits},
            documents={**rows.documents, **known.documents},
        )

    def __getattr__(self, name: str) -> object:
        return getattr(self._provider, name)  # read_by


def with_tag(listing: Listing, tag: GitTag) -> Listing:
    """The refs with one tag more."""
    return replace(
        listing,
        tags={**listing.tags, tag.ref: tag.object_id},
        raw_tags={**listing.raw_tags, tag.ref: tag.ref.encode()},
        peeled={**listing.peeled, tag.ref: tag.commit_id or ""},
    )


def _crawl(
    lease: Lease, progress: _Progress, *, afresh: bool, lens: Lens | None
) -> None:
    repository = Repository.objects.select_related("connection").get(
        pk=lease.repository_id
    )
    lease.budget = budget_for(repository, urgent=lease.crawl.trigger in jobs.URGENT)
    provider = provider_for(repository, lease.budget)
    if lens is not None:
        provider = _Through(provider, lens, repository)
    listing = provider.fetch_listing()
    fingerprint = fingerprint_of(repository, listing)
    counts = None
    if afresh or not same_index(fingerprint, repository.fingerprint):
        additions = None
        if not afresh and _is_by_this_muster(repository):
            additions = read_additions(repository, listing, provider, progress)
        if additions is not None:
            progress("Writing the index")
            counts = _persist(
                lease,
                lambda: ingest_additions(
                    repository,
                    additions,
                    lease_id=lease.lease_id,
                    now=leases.database_now(),
                    fingerprint=fingerprint,
                ),
            )
        else:
            counts = _read_all(
                lease,
                repository,
                provider,
                listing,
                fingerprint,
                progress,
                afresh=afresh,
            )
    elif fingerprint != repository.fingerprint:
        counts = _persist(
            lease,
            lambda: ingest_branches(
                repository,
                listing.branches,
                lease_id=lease.lease_id,
                fingerprint=fingerprint,
            ),
        )
    status = Crawl.Status.UNCHANGED if counts is None else Crawl.Status.CHANGED
    jobs.finish(
        lease,
        status,
        counts=counts.as_json() if counts else None,
        requests=lease.budget.spent,
        **_how_it_is(repository),
        # Git alone says nothing of this.
        read_by=getattr(provider, "read_by", ""),
        read_by_why=getattr(provider, "read_by_why", "")[:300],
    )


def is_unchanged(repository: Repository, listing: Listing) -> bool:
    """Whether a crawl that got this listing would find nothing new, or nothing but
    other branches."""
    return same_index(fingerprint_of(repository, listing), repository.fingerprint)


def same_index(one: str, other: str) -> bool:
    """Whether two fingerprints differ in their branches at most."""
    return one.rpartition(":")[0] == other.rpartition(":")[0]


def _read_all(
    lease: Lease,
    repository: Repository,
    provider: Provider,
    listing: Listing,
    fingerprint: str,
    progress: _Progress,
    *,
    afresh: bool,
) -> IngestCounts:
    """Read the whole snapshot and write what differs."""
    stored: StoredSnapshot | None = load_rows(repository.pk)
    known = Known() if afresh or stored is None else stored.known()
    if not _is_by_this_muster(repository):
        # An earlier Muster may have parsed files otherwise.
        known = replace(known, documents={})
    snapshot = provider.fetch_snapshot(listing, known, progress)
    if not snapshot.complete:
        raise errors.Unavailable(
            "The repository could not be read to the end, so nothing was changed."
        )
    progress("Writing the index")

    def write() -> IngestCounts:
        nonlocal stored
        rows, stored = stored, None  # another try looks again
        return ingest(
            repository,
            snapshot,
            lease_id=lease.lease_id,
            now=leases.database_now(),
            stored=rows,
            fingerprint=fingerprint,
            afresh=afresh,
        )

    return _persist(lease, write)


def _basis(repository: Repository) -> str:
    """What the rows depend on beside the refs: this Muster and what it was told. 16
    hex digits, at the front of the fingerprint."""
    parts = (INDEX_VERSION, repository.stage_reading, repository.name, repository.url)
    return sha256("\0".join(map(str, parts)).encode()).hexdigest()[:16]


def _is_by_this_muster(repository: Repository) -> bool:
    """Whether the rows were written by this Muster, told what it is told now."""
    return repository.fingerprint.startswith(f"{_basis(repository)}:")


def fingerprint_of(repository: Repository, listing: Listing) -> str:
    """What tells whether anything changed since the rows were written: what they
    depend on beside the refs, the refs that the index is made of, and all branches."""
    refs, branches = listing.fingerprint[:31], listing.branches_fingerprint[:15]
    return f"{_basis(repository)}:{refs}:{branches}"


def _persist(lease: Lease, write: Callable[[], IngestCounts]) -> IngestCounts:
    """Write, and again if the database was in the way: a deadlock, a restart."""
    for tries_left in reversed(range(WRITE_TRIES)):
        lease.check()
        try:
            return write()
        except (*PASSING, IntegrityError) as error:
            if not tries_left:
                raise
            logger.warning("Writing the index failed, trying again: %s", error)
            drop_connection()
            wait = 0.2 * 2 ** (WRITE_TRIES - 1 - tries_left)
            time.sleep(wait * random.uniform(1, 1.5))  # noqa: S311
    raise AssertionError("not reached")


def _how_it_is(repository: Repository) -> dict[str, str]:
    """The state after a success, as fields of the row."""
    state, message = Repository.State.OK, ""
    if not repository.head and not repository.tag_count:
        state, message = Repository.State.EMPTY, EMPTY
    elif not repository.head:
        message = HEADLESS
    return {"state": state, "message": message}


def _is_limit(lease: Lease, error: errors.ProviderError) -> bool:
    """Whether Git met a limit of a connection's provider, which all of it shares. Git
    does not tell for how long."""
    return error.status == 429 and not isinstance(lease.budget, Unlimited)


def _wait(lease: Lease, until: datetime) -> None:
    """Write until when the crawl waits."""
    rows = Repository.objects.select_related("connection")
    repository = rows.filter(pk=lease.repository_id).first()
    if repository is None:
        return  # removed meanwhile
    connected = repository.connection
    place = connected.provider_name if connected else repository.host or "the remote"
    try:
        jobs.wait(
            lease,
            f"Waiting for {place} until {clock(until)}.",
            retry_at=until,
            requests=lease.budget.spent,
        )
    except LeaseLost:
        logger.warning("Crawl %s had lost its lease.", lease.crawl.pk)


def _fail(lease: Lease, sentence: str, error: Exception) -> None:
    """Write why the crawl failed."""
    state = Repository.State.FAILING
    for kind, found in STATE_OF.items():
        if isinstance(error, kind):
            state = found
    if isinstance(error, Error):
        drop_connection()
    known = isinstance(error, errors.ProviderError | WrongKey)
    try:
        jobs.fail(
            lease,
            sentence,
            state=state,
            say_when=not known,
            requests=lease.budget.spent,
        )
    except LeaseLost:
        logger.warning("Crawl %s had lost its lease.", lease.crawl.pk)
        return
    if isinstance(error, errors.ProviderError):
        _tell_connection(lease.repository_id, error)


def _tell_connection(repository_id: int, error: errors.ProviderError) -> None:
    """What a failure of one repository says of its connection: the token is refused,
    or the repository was renamed, moved or deleted, which a complete look tells."""
    owner = Connection.objects.filter(repositories=repository_id).first()
    if owner is None:
        return
    if isinstance(error, errors.AccessDenied) and error.status == 401:
        Connection.objects.filter(pk=owner.pk, secret=owner.secret).exclude(
            state=Connection.State.DRAFT
        ).update(state=Connection.State.DENIED, message=error.sentence)
    elif isinstance(error, errors.NotFound) and (
        owner.requested_seq == owner.done_seq
        and (
            owner.discovered_at is None
            or leases.database_now() - owner.discovered_at > YOUNG_LISTING
        )
    ):
        request_poll(owner)


def _unexpected(error: Exception) -> str:
    """A sentence for an error we did not foresee: its class, never its text, which may
    hold anything."""
    name = type(error).__name__
    if name == "SoftTimeLimitExceeded":
        return (
            "Reading this repository took longer than a crawl may. Muster will try "
            "again at {when}; a smaller repository, or fewer tags, reads faster."
        )
    if isinstance(error, Error):
        return (
            f"Muster's database got in the way ({name}). It will try again at {{when}}."
        )
    return (
        f"Muster met an error it did not expect ({name}). It will try again at "
        "{when}; the log has the details."
    )
