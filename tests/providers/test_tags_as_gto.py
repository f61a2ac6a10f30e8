"""Tags written of a plan, against those that gto makes when asked for the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gto.api
import pytest

from indexer.core.plans import (
    Registry,
    TagPlan,
    plan_assignment,
    plan_deprecation,
    plan_deregistration,
    plan_registration,
    plan_unassignment,
)
from indexer.core.snapshot import Instant, Person
from indexer.providers.base import Remote
from indexer.providers.git.writer import GitTagWriter
from indexer.providers.github.writer import GitHubTagWriter
from indexer.providers.gitlab.writer import GitLabTagWriter
from indexer.providers.writing import TagOrder, TagWriter
from tests.core.histories import START
from tests.core.oracle import ask_gto
from tests.core.test_plans import (
    LATER,
    a_repository,
    at_time,
    commits_of,
    registry_at,
    tags_of,
)
from tests.providers.git_server import serve_git
from tests.providers.github.readers import Place
from tests.providers.github_server import serve_github
from tests.providers.gitlab.conftest import client_of, remote_of
from tests.providers.gitlab_server import serve_gitlab
from tests.providers.tag_orders import git

gto_api: Any = gto.api
ADA = Person("Ada", "ada@example.org")  # as `at_time` lets gto sign

# What is planned, and what gto is asked for.
Wish = tuple[Callable[[Registry, list[str]], object], Callable[[Path, list[str]], Any]]
WISHES: tuple[Wish, ...] = (
    (
        lambda now, ids: plan_registration(now, "churn", ids[0]),
        lambda path, ids: gto_api.register(path, "churn", ids[0]),
    ),
    (
        lambda now, ids: plan_registration(
            now, "sub:detect", ids[1], "v1.0.0-rc.1", message="Better\n\nBy far"
        ),
        lambda path, ids: gto_api.register(
            path, "sub:detect", ids[1], version="v1.0.0-rc.1",
            message="Better\n\nBy far",
        ),
    ),
    (
        lambda now, ids: plan_assignment(now, "churn", "prod", version="v0.0.1"),
        lambda path, ids: gto_api.assign(path, "churn", "prod", version="v0.0.1"),
    ),
    (
        lambda now, ids: plan_registration(now, "churn", ids[2]),
        lambda path, ids: gto_api.register(path, "churn", ids[2]),
    ),
    (
        lambda now, ids: plan_assignment(now, "churn", "prod", version="v0.0.2"),
        lambda path, ids: gto_api.assign(path, "churn", "prod", version="v0.0.2"),
    ),
    (
        lambda now, ids: plan_unassignment(now, "churn", "prod", "v0.0.2"),
        lambda path, ids: gto_api.unassign(
            path, "churn", stage="prod", version="v0.0.2"
        ),
    ),
    (
        lambda now, ids: plan_deregistration(now, "churn", "v0.0.2"),
        lambda path, ids: gto_api.deregister(path, "churn", version="v0.0.2"),
    ),
    (
        lambda now, ids: plan_deprecation(now, "sub:detect", head=ids[2]),
        lambda path, ids: gto_api.deprecate(path, "sub:detect"),
    ),
)  # fmt: skip


@contextmanager
def writer_at(
    way: str, bare: Path
) -> Iterator[tuple[TagWriter, Callable[[int], None]]]:
    """Who writes to the repository at `bare`, served by one of the servers, and what
    sets that server's clock, where it counts."""
    folder = bare.parent
    if way == "git":
        with serve_git(folder) as server:
            remote = Remote(server.url_of(bare), allow_private=True)
            yield GitTagWriter(remote), _count_nothing
    elif way == "github":
        with serve_github(folder / "github") as github:
            github.add_repository("acme/churn", bare)
            place = Place(github, "acme/churn", folder / "mirrors")
            writer = GitHubTagWriter(place.remote("tags"), place.client())
            yield writer, _count_nothing
    else:
        with serve_gitlab(folder / "gitlab") as gitlab:
            number = gitlab.add_repository("acme/churn", bare)
            remote = remote_of(gitlab, number, folder / "mirrors")

            def set_clock(seconds: int) -> None:
                gitlab.clock = seconds

            yield GitLabTagWriter(remote, client_of(gitlab)), set_clock


def _count_nothing(seconds: int) -> None:
    """The date is in the order."""


@pytest.mark.parametrize("way", ["git", "github", "gitlab"])
def test_what_is_written_is_what_gto_writes(tmp_path: Path, way: str) -> None:
    """Equal in name, target, type and message; where the tagger and the date are ours
    to say, the same object. And gto reads it in a fresh clone."""
    theirs = tmp_path / "theirs"
    a_repository(theirs)
    bare = tmp_path / "served.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(theirs), str(bare))
    for name in ("http.receivepack", "uploadpack.allowFilter"):
        git(bare, "config", name, "true")
    ids = commits_of(theirs)
    with writer_at(way, bare) as (writer, set_clock):
        for number, (plan_of, ask) in enumerate(WISHES):
            plan = plan_of(registry_at(bare), ids)
            assert isinstance(plan, TagPlan), plan
            at = Instant(START + LATER + 60 * number)
            with at_time(theirs, at.seconds):
                ask(theirs, ids)
            set_clock(at.seconds)
            tag = writer.write_tag(
                TagOrder(plan.name, plan.commit_id, plan.message, ADA, at)
            )
            assert tag.ref == plan.name
    assert tags_of(bare) == tags_of(theirs)
    if way != "gitlab":
        assert git(bare, "show-ref", "--tags") == git(theirs, "show-ref", "--tags")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(bare), str(clone))
    shown = _shown(clone)
    assert shown == _shown(theirs)
    assert shown


def _shown(path: Path) -> object:
    """What `gto show` says there."""
    with ask_gto(path) as gto_there:
        return json.loads(gto_there.show())
