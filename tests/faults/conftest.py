"""What the fault tests share: real processes on the test's own database, and the
oracle `index == from_scratch(remote)`.

The tests use pytest-django's database, so they run on SQLite and, in the second run,
on PostgreSQL; the processes they start are told of it by DATABASE_URL."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection, transaction

from indexer import jobs
from indexer.crawl import crawl_repository
from indexer.index_dump import index_dump
from indexer.models import Crawl, Repository
from indexer.repositories import add_repository, mirror_path
from tests.process_tree import environment
from tests.providers.raw_repository import RawRepository, simple_repository


def database_url() -> str:
    """The address of the test's database, for other processes."""
    settings = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{settings['NAME']}"
    user = quote(settings["USER"], safe="")
    if settings["PASSWORD"]:
        user += ":" + quote(settings["PASSWORD"], safe="")
    host = f"{settings['HOST'] or 'localhost'}:{settings['PORT'] or 5432}"
    return f"postgres://{user}@{host}/{settings['NAME']}"


@pytest.fixture
def data(settings: Any, tmp_path: Path, transactional_db: None) -> Path:
    """A data directory of this test and of the processes it starts."""
    folder = tmp_path / "data"
    settings.MUSTER_DATA = folder
    settings.MUSTER_ALLOW_LOCAL = settings.MUSTER_ALLOW_PRIVATE = True
    return folder


@pytest.fixture
def env(data: Path) -> dict[str, str]:
    """Their environment: production, with leases and intervals short."""
    return environment(
        data,
        DEBUG="False",
        HTTPS="False",
        SECRET_KEY="of the tests " * 5,
        ALLOWED_HOSTS="127.0.0.1,testserver",
        MUSTER_ALLOW_LOCAL="True",
        MUSTER_ALLOW_PRIVATE="True",
        MUSTER_PUBLIC_READ="True",
        MUSTER_LEASE="3",
        MUSTER_WAKE_INTERVAL="1",
        DATABASE_URL=database_url(),
    )


@pytest.fixture
def remote(tmp_path: Path) -> RawRepository:
    return simple_repository(tmp_path / "remotes" / "churn.git")


class Editor:
    """Changes a remote at random: tags come, go and move."""

    def __init__(self, remote: RawRepository, seed: int) -> None:
        self.remote = remote
        self.random = random.Random(seed)
        self.number = 0

    def __call__(self, changes: int = 30) -> None:
        commits = [
            commit
            for ref, commit in self.remote.refs.items()
            if ref.startswith(b"refs/heads/")
        ]
        tags = sorted(ref for ref in self.remote.refs if ref.startswith(b"refs/tags/"))
        for ref in self.random.sample(tags, min(len(tags) // 4, changes // 3)):
            del self.remote.refs[ref]
        for _ in range(changes):
            self.number += 1
            artifact = f"m{self.random.randrange(8)}"
            tree = self.remote.files(
                {"dvc.yaml": b"artifacts: {m1: {type: model, desc: d%d}}" % self.number}
            )
            commit = self.remote.commit(tree, parents=commits[-1:])
            commits.append(commit)
            self.remote.version(f"{artifact}@v0.{self.number}.0", commit)
            self.remote.version(f"{artifact}#prod#{self.number}", commit)
            moved = f"{artifact}@v9.9.9"
            self.remote.version(moved, self.random.choice(commits))
        self.remote.refs[b"refs/heads/main"] = commits[-1]
        self.remote.finish()


@pytest.fixture
def edit(remote: RawRepository) -> Editor:
    editor = Editor(remote, seed=20261121)
    editor(60)
    return editor


@pytest.fixture
def add(data: Path) -> Callable[..., Repository]:
    """Connect a remote without waking anybody."""

    def connect(url: RawRepository | str, name: str = "acme/churn") -> Repository:
        address = url if isinstance(url, str) else str(url.path)
        return add_repository(address, name=name, wake=False)

    return connect


def ask(repository: Repository) -> None:
    """Make a crawl owed, with no message."""
    jobs.request_crawl(repository, trigger=Crawl.Trigger.BUTTON, wake=False)


def crawl_now(repository: Repository) -> Crawl | None:
    """Crawl in this process."""
    ask(repository)
    return crawl_repository(repository.pk)


def from_scratch(repository: Repository) -> str:
    """The oracle: what a Muster that knows nothing makes of the same remote."""
    copied = (
        "url", "host", "web_url", "provider", "reading", "username", "added_at",
        "description",
    )  # fmt: skip
    try:
        with transaction.atomic():
            Repository.objects.filter(pk=repository.pk).update(name="put/aside")
            fresh = Repository.objects.create(
                name=repository.name,
                **{name: getattr(repository, name) for name in copied},
            )
            crawl = crawl_now(fresh)
            assert crawl is not None
            assert crawl.status == Crawl.Status.CHANGED, crawl.message
            dump = index_dump(fresh)
            assert mirror_path(fresh.pk).exists()
            raise _Undo(dump)
    except _Undo as undo:
        return undo.dump


class _Undo(Exception):
    def __init__(self, dump: str) -> None:
        super().__init__("everything is undone")
        self.dump = dump


@pytest.fixture(autouse=True)
def _no_thread_left() -> Iterator[None]:
    """A test that leaves a connection open would keep the next from its database."""
    yield
    connection.close()
