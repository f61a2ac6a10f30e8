"""F-T2 and F-T4: many people at once, people who do not use Muster, and crawls that are
faster than the action."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from indexer.action_steps import PLANS
from indexer.core.state import build_state
from indexer.models import Account, ActionLog, Crawl, Event, Role, Tag
from indexer.providers.git.writer import GitTagWriter
from indexer.providers.github.writer import GitHubTagWriter
from indexer.providers.gitlab.pusher import GitLabPusher
from indexer.providers.writing import TagOrder
from indexer.wishes import outlook
from tests.actions.checks import check_settled, done
from tests.actions.places import ActionPlace, Verb, git, give_token
from tests.core.comparing import compare_repository
from tests.core.reading import read_repository

Status = ActionLog.Status
PEOPLE, EACH = 10, 10
STAGES = ("dev", "test", "staging", "prod")
WRITERS: dict[str, Any] = {
    "git": GitTagWriter, "github": GitHubTagWriter, "gitlab": GitLabPusher,
}  # fmt: skip


def add_commits(place: ActionPlace, count: int) -> None:
    """More of them on the branch, as somebody else pushes them."""
    who = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Eve"), ("EMAIL", "eve@example.org"))
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in who.items():
            patch.setenv(name, value)
        for number in range(count):
            made = git(
                place.bare, "commit-tree", "main^{tree}", "-p", "main", "-m",
                f"More {number}",
            )  # fmt: skip
            git(place.bare, "update-ref", "refs/heads/main", made)
            place.commits.append(made)


def add_people(place: ActionPlace) -> list[str]:
    names = [f"p{number}" for number in range(PEOPLE)]
    for name in names:
        user = User.objects.create_user(name)
        Account.objects.create(
            user=user, role=Role.EDITOR, name=name, email=f"{name}@example.org"
        )
        place.people[name] = user
        if place.repository.connection is not None:
            give_token(user, place, str(getattr(place.server, "token")))  # noqa: B009
    return names


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["git", "github"])
def test_F_T2_a_hundred_actions_of_ten_people_on_one_model(
    make_place: Callable[[str], ActionPlace], kind: str, tmp_path: Path
) -> None:
    place = make_place(kind)
    names = add_people(place)
    add_commits(place, 3 * PEOPLE - len(place.commits))
    place.crawl()

    def act(number: int) -> list[ActionLog]:
        rng, name = random.Random(number), names[number]
        own = place.commits[3 * number : 3 * number + 3]
        rows = []
        try:
            for turn in range(EACH):
                version = f"v0.0.{rng.randint(1, 3 * turn + 1)}"
                stage = rng.choice(STAGES)
                if turn in {0, 3, 6}:
                    commit = own.pop()
                    row = place.act(Verb.REGISTER, by=name, commit_id=commit)
                elif turn in {5, 9}:
                    row = place.act(
                        Verb.UNASSIGN, by=name, stage=stage, version=version
                    )
                else:
                    row = place.assign(stage, version, by=name)
                rows.append(row)
        finally:
            connection.close()
        return rows

    with ThreadPoolExecutor(PEOPLE) as pool:
        rows = [row for rows in pool.map(act, range(PEOPLE)) for row in rows]
    assert ActionLog.objects.count() == len(rows) == PEOPLE * EACH
    refused = [row for row in rows if row.status == Status.REFUSED]
    written = [row for row in rows if row.status == Status.DONE]
    assert len(refused) + len(written) == len(rows), {row.sentence for row in rows}
    assert {row.code for row in refused} <= {
        "unknown-version", "stage-held", "stage-not-held",
    }  # fmt: skip
    check_settled(place)
    versions = {row.version for row in written if row.verb == Verb.REGISTER}
    assert versions == {f"v0.0.{number}" for number in range(1, 3 * PEOPLE + 1)}
    counters = sorted(
        int(row.tag.rpartition("#")[2]) for row in written if row.verb != Verb.REGISTER
    )
    assert counters == list(range(1, len(counters) + 1))
    assert len(counters) > 30
    written.sort(key=lambda row: row.ended_at or row.asked_at)
    dates = [row.seconds or 0 for row in written]
    assert all(later - one >= 1 for one, later in itertools.pairwise(dates))
    check_as_gto(place, tmp_path / "clone")


def check_as_gto(place: ActionPlace, path: Path) -> None:
    """gto reads the repository as we do, and the index holds that."""
    git(place.bare.parent, "clone", "--quiet", str(place.bare), str(path))
    snapshot = read_repository(path)
    compare_repository(path, snapshot)
    stages = build_state(snapshot).artifacts["churn"].stages
    holders = {
        stage: [one.version for one in held] for stage, held in stages.items() if held
    }
    assert place.holders() == holders


# Somebody without Muster --------------------------------------------------------------


@pytest.fixture
def intrude(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`intrude(place, call, times)`: `call(order)` before our next tags are sent."""

    def install(
        place: ActionPlace, call: Callable[[TagOrder], object], times: int = 1
    ) -> None:
        writer = WRITERS[place.kind]
        write, left = writer.write_tag, [None] * times

        def write_tag(self: Any, order: TagOrder) -> Any:
            if left:
                left.pop()
                call(order)
            return write(self, order)

        monkeypatch.setattr(writer, "write_tag", write_tag)

    return install


def test_F_T2_a_name_taken_meanwhile_leads_to_the_next_counter(
    place: ActionPlace, intrude: Callable[..., None]
) -> None:
    done(place.register(0, "v1.0.0"))
    done(place.register(1, "v2.0.0"))
    seen = outlook(place.wish(Verb.ASSIGN, stage="prod", version="v2.0.0")).meaning

    def take(order: TagOrder) -> None:
        counter = order.name.rpartition("#")[2]
        git(place.bare, "tag", f"churn#prod#{counter}", place.commits[0])

    intrude(place, take, times=3)
    row = done(place.assign("prod", "v2.0.0", seen=seen))
    assert (row.tag, row.tries) == ("churn#prod#4", 1)
    assert place.holders() == {"prod": ["v2.0.0"]}
    check_settled(place, other=3)


def test_F_T2_a_name_taken_for_another_meaning_is_told(
    place: ActionPlace, intrude: Callable[..., None]
) -> None:
    done(place.register(0, "v1.0.0"))
    done(place.register(1, "v2.0.0"))
    seen = outlook(place.wish(Verb.ASSIGN, stage="prod", version="v2.0.0")).meaning

    def assign(order: TagOrder) -> None:
        place.push_tag(order.name, place.commits[0], at=order.at.seconds)

    intrude(place, assign)
    row = place.assign("prod", "v2.0.0", seen=seen)
    assert (row.status, row.code) == (Status.REFUSED, "changed")
    assert "assignment prod v1.0.0 by Eve" in row.sentence
    assert (row.tag, row.object_id) == ("", "")
    assert place.holders() == {"prod": ["v1.0.0"]}
    check_settled(place, other=1)


@pytest.mark.parametrize("version", ["", "v0.0.1"])
def test_F_T2_a_version_taken_meanwhile(
    place: ActionPlace, intrude: Callable[..., None], version: str
) -> None:
    """The next one if none was named; else it is told who was first."""
    intrude(
        place,
        lambda order: place.push_tag(order.name, place.commits[1], at=order.at.seconds),
    )
    row = place.register(0, version)
    if version:
        assert (row.status, row.code) == (Status.REFUSED, "version-exists")
    else:
        assert done(row).tag == "churn@v0.0.2"
    check_settled(place, other=1)


def test_F_T2_who_is_always_slower_is_told_so(
    git_place: ActionPlace, intrude: Callable[..., None]
) -> None:
    done(git_place.register(0, "v1.0.0"))
    intrude(
        git_place,
        lambda order: git(git_place.bare, "tag", order.name, git_place.commits[0]),
        times=PLANS,
    )
    row = git_place.assign("prod", "v1.0.0")
    assert (row.status, row.code) == (Status.REFUSED, "tag-exists")
    assert "try again" in row.sentence
    git_place.crawl()
    check_settled(git_place, other=PLANS)
    assert done(git_place.assign("prod", "v1.0.0")).tag == f"churn#prod#{PLANS + 1}"


def test_F_T2_what_is_pushed_beside_the_tag_is_seen_by_the_next_crawl(
    place: ActionPlace, intrude: Callable[..., None]
) -> None:
    """The index is then that of the refs before and our tag; nothing is lost."""
    done(place.register(0, "v1.0.0"))
    intrude(
        place,
        lambda order: place.push_tag(
            "risk@v1.0.0", place.commits[2], at=order.at.seconds
        ),
    )
    done(place.assign("prod", "v1.0.0"))
    assert place.crawl().status == Crawl.Status.CHANGED
    assert place.artifact("risk").latest_version == "v1.0.0"
    check_settled(place, other=1)


# A crawl in between -------------------------------------------------------------------


def test_F_T4_a_crawl_that_sees_the_tag_first_makes_no_second_event(
    place: ActionPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = WRITERS[place.kind]
    write = writer.write_tag

    def write_tag(self: Any, order: TagOrder) -> Any:
        tag = write(self, order)
        assert place.crawl().status == Crawl.Status.CHANGED
        assert ActionLog.objects.filter(status=Status.WRITING).count() == 1
        return tag

    monkeypatch.setattr(writer, "write_tag", write_tag)
    row = done(place.register(0, "v1.0.0"))
    row = done(place.assign("prod", "v1.0.0"))
    assert Event.objects.count() == Tag.objects.count() == 2
    assert Tag.objects.get(ref=row.tag).object_id == row.object_id
    assert row.tag == "churn#prod#1"
    check_settled(place)
