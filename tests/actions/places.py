"""A repository that people act on through Muster: by Git over HTTP alone, at the test
server of GitHub, at that of GitLab. Alice is an admin, Eddy an editor, Vera reads."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import User

from indexer import connections, turns
from indexer.actions import Asker, perform
from indexer.connection_addresses import Place as Server
from indexer.connections import Wish as ConnectionWish
from indexer.crawl import crawl_repository
from indexer.jobs import request_crawl
from indexer.models import (
    Account,
    ActionLog,
    Artifact,
    Connection,
    Crawl,
    ProviderToken,
    Repository,
    Role,
    StageHolder,
)
from indexer.provider_tokens import keep_token
from indexer.repositories import add_repository
from indexer.wishes import Wish
from tests.connecting import looked_at
from tests.core.test_plans import a_repository
from tests.providers.git_server import GitServer, serve_git
from tests.providers.github_server import GitHubServer, serve_github
from tests.providers.gitlab_server import GitLabServer, serve_gitlab

KINDS = ("git", "github", "gitlab")
DVC_YAML = """\
# Who is about to leave
artifacts:
  churn:  # the model
    path: churn.pkl
    type: model
    labels:
      - tabular
"""
Verb = ActionLog.Verb


def git(path: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(path), *arguments], capture_output=True, check=True
    )
    return done.stdout.decode().strip()


@dataclass
class ActionPlace:
    """The server, the bare repository, its row, and the people."""

    kind: str
    bare: Path
    commits: list[str]  # oldest first
    repository: Repository
    server: GitServer | GitHubServer | GitLabServer
    people: dict[str, User] = field(default_factory=dict)

    def wish(self, verb: Verb, **what: Any) -> Wish:
        self.repository.refresh_from_db()
        what.setdefault("artifact", "churn")
        return Wish(verb, self.repository, **what)

    def act(
        self,
        verb: Verb,
        *,
        by: str = "eddy",
        key: str = "",
        seen: str = "",
        **what: Any,
    ) -> ActionLog:
        asker = Asker(
            self.people[by], key or uuid4().hex, ActionLog.Via.PAGE, seen=seen
        )
        return perform(self.wish(verb, **what), asker)

    def register(self, number: int = 0, version: str = "", **what: Any) -> ActionLog:
        return self.act(
            Verb.REGISTER, commit_id=self.commits[number], version=version, **what
        )

    def assign(self, stage: str, version: str, **what: Any) -> ActionLog:
        return self.act(Verb.ASSIGN, stage=stage, version=version, **what)

    def tags(self) -> dict[str, str]:
        """What is at the remote: object ids by name."""
        listed = git(
            self.bare,
            "for-each-ref",
            "--format=%(refname:lstrip=2) %(objectname)",
            "refs/tags",
        )
        return dict(line.split(" ") for line in listed.splitlines())

    def body(self, tag: str) -> str:
        return git(self.bare, "cat-file", "tag", f"refs/tags/{tag}")

    def push_tag(
        self, name: str, commit: str, *, at: int, message: str = "By hand"
    ) -> None:
        """As somebody who does not use Muster."""
        subprocess.run(
            ["git", "-C", str(self.bare), "-c", "user.name=Eve",
             "-c", "user.email=eve@example.org", "tag", "-a", "-m", message,
             name, commit],
            check=True, capture_output=True,
            env={"GIT_COMMITTER_DATE": f"{at} +0000", "PATH": "/usr/bin:/bin"},
        )  # fmt: skip

    def holders(self, artifact: str = "churn") -> dict[str, list[str]]:
        """Who holds which stage, by the rows."""
        found: dict[str, list[str]] = {}
        rows = StageHolder.objects.filter(
            artifact__name=artifact, artifact__repository=self.repository
        ).select_related("version")
        for row in rows.order_by("stage", "rank"):
            found.setdefault(row.stage, []).append(row.version.name)
        return found

    def artifact(self, name: str = "churn") -> Artifact:
        return Artifact.objects.get(repository=self.repository, name=name)

    def crawl(self) -> Crawl:
        """The crawl that follows."""
        request_crawl(self.repository, trigger=Crawl.Trigger.SCHEDULE)
        crawl = crawl_repository(self.repository.pk)
        assert crawl is not None
        return crawl


def make_people() -> dict[str, User]:
    """Alice, an admin; Eddy and Erna, editors; Vera, a viewer."""
    people = {}
    for name, role in (
        ("alice", Role.ADMIN),
        ("eddy", Role.EDITOR),
        ("erna", Role.EDITOR),
        ("vera", Role.VIEWER),
    ):
        user = User.objects.create_user(name)
        Account.objects.create(
            user=user,
            role=role,
            name=name.capitalize(),
            email=f"{name}@example.org",
        )
        people[name] = User.objects.get(pk=user.pk)
    return people


def give_token(user: User, place: ActionPlace, secret: str) -> ProviderToken:
    """A person's own token at the place's server."""
    connection = place.repository.connection
    assert connection is not None
    server = Server(connection.web_url, connection.api_url, connection.server, "")
    return keep_token(user, kind=connection.kind, place=server, secret=secret)


@contextmanager
def act_at(
    kind: str, folder: Path, files: dict[str, str] | None = None
) -> Iterator[ActionPlace]:
    """The repository `acme/churn` with three commits, crawled, and people who may."""
    given = {"dvc.yaml": DVC_YAML, "churn.pkl": "weights\n"} if files is None else files
    commits = a_repository(folder / "work", given)
    served = folder / "served"
    served.mkdir()
    bare = served / "churn.git"
    git(folder, "clone", "--quiet", "--bare", str(folder / "work"), str(bare))
    for name in ("http.receivepack", "uploadpack.allowFilter",
                 "uploadpack.allowAnySHA1InWant"):  # fmt: skip
        git(bare, "config", name, "true")
    if kind == "git":
        with serve_git(served) as server:
            row = add_repository(
                server.url_of(bare), name="acme/churn", by="alice", wake=False
            )
            yield _filled(kind, bare, commits, row, server)
    elif kind == "github":
        with serve_github(served) as github:
            github.add_owner("acme")
            github.add_repository("acme/churn", bare)
            yield _connected(kind, bare, commits, github)
    else:
        with serve_gitlab(served) as gitlab:
            gitlab.add_owner("acme")
            gitlab.add_repository("acme/churn", bare)
            yield _connected(kind, bare, commits, gitlab)


def _connected(
    kind: str, bare: Path, commits: list[str], server: GitHubServer | GitLabServer
) -> ActionPlace:
    wish = ConnectionWish(
        kind=kind,
        address=server.url,
        owner="acme",
        secret=server.token,
        with_hooks=False,
    )
    connection = connections.draft_connection(wish)
    connections.connect(connection)
    looked_at(connection)
    row = Repository.objects.get(connection=connection)
    place = _filled(kind, bare, commits, row, server)
    for user in place.people.values():
        give_token(user, place, server.token)
    return place


def _filled(
    kind: str, bare: Path, commits: list[str], row: Repository, server: Any
) -> ActionPlace:
    turns.crawl_owed()
    row.refresh_from_db()
    assert row.state == Repository.State.OK, row.message
    return ActionPlace(kind, bare, commits, row, server, make_people())


def connection_of(place: ActionPlace) -> Connection:
    connection = place.repository.connection
    assert connection is not None
    return connection
