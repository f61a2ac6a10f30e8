"""One repository, crawled by two rows of one catalog: over plain Git, and by another
way through a connection that discovery filled. Their rows must be the same."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.management import CommandError, call_command

from indexer import connections, jobs
from indexer.connections import Wish
from indexer.crawl import crawl_repository
from indexer.index_dump import MODELS, REPOSITORY_OF, index_dump
from indexer.models import Connection, Crawl, Document, Repository
from indexer.repositories import add_repository, change_connected_repository
from tests.connecting import looked_at
from tests.core.histories import History, write_repository
from tests.providers.api_server import ApiServer
from tests.providers.git_server import GitServer, serve_git
from tests.providers.github_server import GitHubServer, serve_github
from tests.providers.gitlab_server import GitLabServer, serve_gitlab

OBJECT_ID = re.compile(r"[0-9a-f]{40}")
SHOWN_ALONE = 4  # artifacts


@dataclass(frozen=True)
class Way:
    """A way to read a repository, of a connection or forced by what a server lacks."""

    name: str
    kind: str
    way: str = "api"
    has_graphql: bool = True

    def __str__(self) -> str:
        return self.name


WAYS = (
    Way("github", "github"),
    Way("github-mirror", "github", "mirror"),
    Way("github-rest", "github", has_graphql=False),
    Way("gitlab", "gitlab"),
    Way("gitlab-mirror", "gitlab", "mirror"),
)


@dataclass
class Twin:
    """One repository as two rows: read by plain Git, and by the way."""

    bare: Path
    plain: Repository
    row: Repository

    def crawl(self, *, afresh: bool = False) -> tuple[Crawl, Crawl]:
        """Crawl both; the crawls, plain Git's first."""
        return crawled(self.plain, afresh=afresh), crawled(self.row, afresh=afresh)

    def assert_same(self) -> None:
        """Crawl both and compare: what happened, the state, every row; then once more,
        when nothing is new."""
        by_git, by_way = self.crawl()
        ended = [(crawl.status, crawl.message) for crawl in (by_git, by_way)]
        assert ended[0] == ended[1], ended
        assert self.states()[0] == self.states()[1]
        self.compare_rows()
        for again in self.crawl():
            assert again.status in {Crawl.Status.UNCHANGED, Crawl.Status.FAILED}
            assert again.status == (
                Crawl.Status.FAILED
                if by_git.status == Crawl.Status.FAILED
                else Crawl.Status.UNCHANGED
            )
        self.compare_rows()

    def compare_rows(self) -> None:
        """Every row of both, as far as Git tells it."""
        by_git, by_way = dump_of(self.plain), dump_of(self.row)
        for model, rows in by_git.items():
            for one, other in itertools.zip_longest(rows, by_way[model]):
                assert one == other, f"{model}\nby Git: {one}\nby way: {other}"

    def states(self) -> list[tuple[str, str]]:
        """State and sentence of each."""
        for row in (self.plain, self.row):
            row.refresh_from_db()
        return [(row.state, row.message) for row in (self.plain, self.row)]

    def says(self) -> list[list[str]]:
        """What gto's commands say of each."""
        return [gto_says(row) for row in (self.plain, self.row)]


class Ways:
    """A provider's server with the organisation `acme`, connected by a way, and a Git
    server over the same folder."""

    def __init__(
        self, way: Way, root: Path, git: GitServer, server: GitHubServer | GitLabServer
    ) -> None:
        self.way, self.root, self.git, self.server = way, root, git, server
        self.numbers = itertools.count()
        if not way.has_graphql:
            server.fault("/graphql", times=None, status=404)
            server.is_checked = (
                False  # what it tells of broken tags is no fault of its own
            )
        server.add_owner("acme")
        self.connection: Connection | None = None

    def connect(self) -> Connection:
        """The connection; made when it is first wanted."""
        if self.connection is None:
            wish = Wish(
                kind=self.way.kind,
                address=self.server.url,
                owner="acme",
                secret=self.server.token,
                way=self.way.way,
                with_hooks=False,
            )
            self.connection = connections.draft_connection(wish)
            connections.connect(self.connection)
        return self.connection

    def new_path(self) -> Path:
        return self.root / f"r{next(self.numbers)}.git"

    def twin(self, bare: Path) -> Twin:
        """The repository at `bare`, below the root, found by discovery and added."""
        name = f"twin{next(self.numbers)}"
        number = self.server.add_repository(f"acme/{name}", bare)
        looked_at(self.connect(), whole=True)
        row = Repository.objects.get(provider_id=number)
        url = self.git.url_of(bare)
        plain = add_repository(url, name=f"plain/{name}", wake=False)
        return Twin(bare, plain, row)

    def write(self, history: History) -> Twin:
        """A random history as a twin."""
        path = self.new_path()
        return self.twin(write_repository(path, history) / ".git")

    def grow(self, twin: Twin, history: History) -> None:
        """Push another history over it: its objects are added, its refs replace."""
        path = self.new_path()
        git = write_repository(path, history) / ".git"
        for pack in (git / "objects/pack").iterdir():
            shutil.copy(pack, twin.bare / "objects/pack" / pack.name)
        for name in ("packed-refs", "HEAD"):
            shutil.copy(git / name, twin.bare / name)
        shutil.rmtree(path)


@contextmanager
def serve_ways(way: Way, root: Path) -> Iterator[Ways]:
    """The servers, for as long as the context lasts."""
    root.mkdir(parents=True, exist_ok=True)
    serve: Any = serve_github if way.kind == "github" else serve_gitlab
    with serve_git(root) as git, serve(root) as server:
        yield Ways(way, root, git, server)


def crawled(row: Repository, *, afresh: bool = False) -> Crawl:
    """Crawl it now, as a person who asks for it."""
    jobs.request_crawl(row, trigger=Crawl.Trigger.BUTTON, wake=False)
    crawl = crawl_repository(row.pk, afresh=afresh)
    assert crawl is not None
    row.refresh_from_db()
    return crawl


def switch(row: Repository, way: str) -> None:
    """Another way for one repository ("" the connection's), as on its page."""
    row.refresh_from_db()
    change_connected_repository(row, way=way, reading="", is_enabled=True)


def dump_of(row: Repository) -> dict[str, list[str]]:
    """The rows of an index, without what tells its name and its way: of the
    fingerprint the half that is of the refs is left."""
    text = index_dump(row).replace(row.name, "the/repository")
    text = text.replace(row.name.casefold().encode().hex(), "key of the repository")
    dump: dict[str, list[str]] = json.loads(text)
    repository = json.loads(dump["Repository"][0])
    del repository["provider"], repository["host"]
    repository["fingerprint"] = repository["fingerprint"].partition(":")[2]
    dump["Repository"] = [json.dumps(repository)]
    return {model: sorted(rows) for model, rows in dump.items()}


def every_row(row: Repository) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of an index as they are stored, keys and all."""
    found = {}
    for model in MODELS[1:]:
        path = REPOSITORY_OF.get(model, "repository")
        rows = model._default_manager.filter(**{path: row.pk})
        found[model.__name__] = sorted(rows.values_list(), key=str)
    return found


def gto_says(row: Repository) -> list[str]:
    """`show` and `history` as gto's JSON, of all and of some artifacts alone."""
    name = row.name
    commands = [("show", name), ("show", name, "-d"), ("history", name)]
    artifacts = row.artifacts.order_by("name").values_list("name", flat=True)
    for artifact in artifacts[:SHOWN_ALONE]:
        commands += [("show", name, artifact), ("history", name, artifact)]
    said = []
    for command, *arguments in commands:
        out = io.StringIO()
        try:
            call_command(command, *arguments, "--json", "--gto", stdout=out)
        except CommandError as error:
            out.write(str(error))
        said.append(out.getvalue().replace(name, "the/repository"))
    return said


def asked_for(server: ApiServer, since: int) -> set[str]:
    """Ids of objects in the requests that came after so many: in paths, in queries,
    and in what Git wants."""
    found: set[str] = set()
    for request in server.requests[since:]:
        body = request.body
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        wanted = re.findall(rb"want ([0-9a-f]{40})", body)
        found |= {each.decode() for each in wanted}
        if "git-upload-pack" not in request.target:
            found |= set(OBJECT_ID.findall(request.target + body.decode()))
    return found


def known_documents(row: Repository) -> set[str]:
    """Ids of the files that the index holds."""
    ids = Document.objects.filter(repository=row).values_list("blob_id", flat=True)
    return set(ids)
