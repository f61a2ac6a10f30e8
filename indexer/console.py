"""What commands print while and after they work."""

from __future__ import annotations

import getpass
import time

from django.core.management.base import OutputWrapper

from indexer.crawl import crawl_repository
from indexer.models import Connection, Crawl, Repository

NOT_DONE = (Crawl.Status.FAILED, Crawl.Status.LOST, Crawl.Status.WAITING)
WAIT = 600  # seconds for a crawl that a worker does


class CrawlLine:
    """One line that says how far a crawl is; on a terminal it is rewritten, elsewhere
    each phase is written once."""

    def __init__(self, out: OutputWrapper, name: str) -> None:
        self.out = out
        self.name = name
        self.phase = ""
        self.written = 0.0
        self.width = 0

    def __call__(self, phase: str, done: int, total: int) -> None:
        if not self.out.isatty():
            if phase != self.phase:
                self.out.write(f"{self.name}: {phase}")
            self.phase = phase
            return
        now = time.monotonic()
        if phase == self.phase and now - self.written < 0.1:
            return
        self.phase, self.written = phase, now
        count = f" {done:,} of {total:,}" if total else ""
        text = f"{self.name}: {phase}{count}"
        self.out.write(f"\r{text.ljust(self.width)}", ending="")
        self.width = len(text)
        self.out.flush()

    def end(self) -> None:
        """Leave the line clean for what is printed next."""
        if self.width:
            self.out.write(f"\r{' ' * self.width}\r", ending="")
            self.width = 0


class SlowLine(CrawlLine):
    """The same for what is done in a moment mostly: it says nothing in the first
    second."""

    def __init__(self, out: OutputWrapper, name: str) -> None:
        super().__init__(out, name)
        self.quiet_until = time.monotonic() + 1

    def __call__(self, phase: str, done: int, total: int) -> None:
        if time.monotonic() > self.quiet_until:
            super().__call__(phase, done, total)


def crawl_here(
    out: OutputWrapper, repository: Repository, *, requested_by: str, afresh: bool
) -> bool:
    """Crawl in this process a repository that was asked for, or wait for the worker
    that is at it, and say how it went. True if well."""
    seq = Repository.objects.values_list("requested_seq", flat=True).get(
        pk=repository.pk
    )
    line = CrawlLine(out, repository.name)
    until = time.monotonic() + WAIT
    while time.monotonic() < until:
        crawl = crawl_repository(
            repository.pk, requested_by=requested_by, watch=line, afresh=afresh
        )
        repository.refresh_from_db()
        if crawl is None and repository.done_seq >= seq:
            crawl = repository.crawls.order_by("-started_at", "-pk").first()
        if crawl is not None:
            line.end()
            return _report(out, repository, crawl)
        why = _why_not(repository)
        if why:
            out.write(f"{repository.name} {why}")
            return False
        time.sleep(0.2)
    out.write(f"{repository.name}: a worker is still at it.")
    return False


def _why_not(repository: Repository) -> str:
    """Why nobody will crawl a repository, "" if somebody will."""
    if not repository.is_enabled:
        return "is switched off: see Repositories."
    if repository.hidden_at is not None:
        return f"is hidden: {repository.hidden_why}"
    connection = repository.connection
    if connection is not None and not connection.is_enabled:
        return f"belongs to {connection}, which is switched off: see Connections."
    if connection is not None and connection.state == Connection.State.DENIED:
        return f"belongs to {connection}, which has to be reconnected first."
    return ""


def _report(out: OutputWrapper, repository: Repository, crawl: Crawl) -> bool:
    name = repository.name
    if crawl.status in NOT_DONE:
        out.write(f"{name}: {crawl.message}")
        return False
    ended = crawl.finished_at or crawl.started_at
    seconds = (ended - crawl.started_at).total_seconds()
    word = "nothing new" if crawl.status == Crawl.Status.UNCHANGED else "crawled"
    out.write(
        f"{name}: {word} in {seconds:.1f} s: "
        f"{_count(repository.model_count, 'model')} among "
        f"{_count(repository.artifact_count, 'artifact')}, "
        f"{_count(repository.tag_count, 'tag')}, "
        f"{_count(repository.problem_count, 'problem')}."
    )
    if repository.message:
        out.write(repository.message)
    return True


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def user() -> str:
    """Who runs this command, by the machine's account."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "command line"
