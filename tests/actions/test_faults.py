"""F-T1: whatever breaks or is killed, there is one tag, the one that was ordered, and
one row that says so."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from indexer import actions, jobs
from indexer.actions import Asker, KeyReused, perform
from indexer.core.snapshot import GitTag
from indexer.leases import database_now
from indexer.models import ActionLog
from indexer.providers.errors import Refused, Unsettled
from indexer.providers.git.writer import GitTagWriter
from indexer.providers.writing import TagOrder
from indexer.turns import crawl_owed
from tests.actions.checks import check_settled, done, order_in, pass_time
from tests.actions.places import KINDS, ActionPlace, Verb
from tests.faults.conftest import database_url
from tests.process_tree import ROOT, environment
from tests.providers.git_server import GitServer

Status = ActionLog.Status
POINTS = (
    "the row is made",
    "before the order",
    "the order is fixed",
    "the object is made",
    "the tag is written",
    "the end is not committed",
    "the crawl is not committed",
    "before the index",
    "in the index",
)
ENDED = {"before the index", "in the index"}  # the row is, and the index is behind
NO_TAG = set(POINTS[:4])


@contextmanager
def doomed() -> Iterator[Any]:
    """`kill(point, …)`: act in a process that is killed there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.actions.killed"],
        env=environment(
            Path(settings.MUSTER_DATA),
            DATABASE_URL=database_url(),
            MUSTER_ALLOW_PRIVATE="True",
            DJANGO_SETTINGS_MODULE="registry_site.settings",
        ),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    assert process.stdout

    def kill(**job: Any) -> None:
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == f"-{int(signal.SIGKILL)}\n"

    try:
        yield kill
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


def test_F_T1_killed_anywhere_there_is_one_tag_and_one_row(place: ActionPlace) -> None:
    """At each point, then gone on with: by the scheduler, or by the same request."""
    done(place.register(0, "v1.0.0"))
    with doomed() as kill:
        for number, point in enumerate(POINTS, start=KINDS.index(place.kind)):
            if point == "the object is made" and place.kind != "github":
                continue
            killed_at(place, kill, point, f"s{number}", resumed=bool(number % 2))
    check_settled(place)
    assert place.holders() == {
        row.stage: ["v1.0.0"] for row in ActionLog.objects.filter(verb=Verb.ASSIGN)
    }


def killed_at(
    place: ActionPlace, kill: Any, point: str, stage: str, *, resumed: bool
) -> None:
    what = {"stage": stage, "version": "v1.0.0"}
    before = place.tags()
    kill(
        point=point,
        verb=Verb.ASSIGN,
        repository=place.repository.pk,
        by="eddy",
        key=stage,
        what=what,
    )
    row = ActionLog.objects.order_by("-pk")[0]
    assert row.is_open == (point not in ENDED), point
    left, ordered = set(place.tags()) - set(before), order_in(row)
    was_fixed = row.status != Status.ASKED
    assert len(left) == (point not in NO_TAG), point
    if resumed:
        assert actions.resume_open() == row.is_open
    else:
        assert place.assign(stage, "v1.0.0", key=stage).pk == row.pk
    if point in ENDED:  # as at the next start
        jobs.free_leases(everybody=False)
        crawl_owed()
    row.refresh_from_db()
    done(row)
    if was_fixed:
        assert order_in(row) == ordered, point
    assert place.tags() == before | {row.tag: row.object_id}, point
    assert row.tag == f"churn#{stage}#{len(before)}"
    assert left <= {row.tag}
    assert place.holders()[stage] == ["v1.0.0"], point
    assert place.crawl().status == "unchanged", point


# Answers ------------------------------------------------------------------------------

BREAKS: tuple[dict[str, Any], ...] = (
    {"reset": "before"},
    {"status": 502, "body": b"<html>Bad gateway</html>"},
    {"eat_reply": True},
    {"reset": "after"},
    {"truncate": 10},
)
WRITES = {
    "github": ("POST /api/v3/repos/acme/churn/git/tags",
               "POST /api/v3/repos/acme/churn/git/refs"),
    "gitlab": ("GET /acme/churn.git/info/refs?service=git-receive-pack",
               "POST /acme/churn.git/git-receive-pack"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_F_T1_whatever_answer_breaks_there_is_one_tag_in_the_end(
    make_place: Any, kind: str
) -> None:
    place: ActionPlace = make_place(kind)
    server: Any = place.server
    server.is_checked = False
    done(place.register(0, "v1.0.0"))
    for which, request in enumerate(WRITES[kind]):
        for number, broken in enumerate(BREAKS):
            before = place.tags()
            stage = f"s{which}{number}"
            fault = server.fault(request, **broken)
            row = place.assign(stage, "v1.0.0")
            assert fault.hits == 1
            if row.status == Status.FAILED:
                assert place.tags() == before
                assert row.sentence.endswith("Nothing was written.")
                row = place.assign(stage, "v1.0.0")
            done(row)
            assert place.tags() == before | {row.tag: row.object_id}
            assert row.tag == f"churn#{stage}#{len(before)}"
    check_settled(place)


def lose_answers(place: ActionPlace) -> None:
    """The remote takes the next tag and then answers nobody."""
    server: Any = place.server
    server.is_checked = False
    if isinstance(server, GitServer):
        server.lose_push = server.lose_all_after = True
        return
    dead = server.fault("/", status=502, times=None)
    server.faults.remove(dead)
    server.fault(
        WRITES[place.kind][1],
        eat_reply=True,
        before=lambda: server.faults.append(dead),
    )


def heal(place: ActionPlace) -> None:
    server: Any = place.server
    if isinstance(server, GitServer):
        server.status, server.lose_push, server.lose_all_after = 0, False, False
    else:
        server.faults.clear()


def test_F_T1_where_nobody_answers_it_is_asked_again_until_it_is_known(
    place: ActionPlace,
) -> None:
    done(place.register(0, "v1.0.0"))
    lose_answers(place)
    row = place.assign("prod", "v1.0.0", key="one")
    assert (row.status, row.lease_id) == (Status.WRITING, None)
    assert "not known whether the tag was written" in row.sentence
    assert "keeps asking" in row.sentence
    ordered = order_in(row)
    assert place.tags()[row.tag] == row.object_id
    # The same click does not wait for it, and nobody asks before the pause is over.
    assert place.assign("prod", "v1.0.0", key="one").status == Status.WRITING
    assert actions.resume_open() == 0
    # The remote is still down.
    for tries in (2, 3):
        pass_time(row)
        assert actions.resume_open() == 1
        row.refresh_from_db()
        assert (row.status, row.tries) == (Status.WRITING, tries), row.sentence
        assert row.sentence
        assert order_in(row) == ordered
    heal(place)
    assert actions.resume_open() == 0
    pass_time(row)
    assert actions.resume_open() == 1
    row.refresh_from_db()
    done(row)
    assert order_in(row) == ordered
    check_settled(place)
    assert place.holders() == {"prod": ["v1.0.0"]}


def test_F_C1_an_action_does_not_wait_for_a_clock_that_was_set_back(
    git_place: ActionPlace,
) -> None:
    done(git_place.register(0, "v1.0.0"))
    lose_answers(git_place)
    row = git_place.assign("prod", "v1.0.0", key="one")
    heal(git_place)
    assert actions.resume_open() == 0  # its pause is not over
    ahead = database_now() + timedelta(hours=2)
    ActionLog.objects.filter(pk=row.pk).update(lease_expires_at=ahead)
    assert actions.resume_open() == 1
    row.refresh_from_db()
    done(row)
    check_settled(git_place)


def test_F_T1_what_cannot_be_known_for_a_day_is_said(git_place: ActionPlace) -> None:
    done(git_place.register(0, "v1.0.0"))
    lose_answers(git_place)
    row = git_place.assign("prod", "v1.0.0", key="one")
    pass_time(row, timedelta(days=1, minutes=1))
    assert actions.resume_open() == 1
    row.refresh_from_db()
    assert (row.status, row.code) == (Status.UNKNOWN, "not-known")
    assert f"whether the tag {row.tag} was written" in row.sentence
    assert row.ended_at
    # The next one does not wait for it, and sees what it wrote.
    heal(git_place)
    done(git_place.register(1, "v2.0.0"))
    assert git_place.holders() == {"prod": ["v1.0.0"]}
    assert len(git_place.tags()) == 3


@pytest.mark.parametrize("verb", ["register", "assign"])
def test_F_T1_a_click_that_comes_five_times_at_once_is_one(
    place: ActionPlace, verb: str
) -> None:
    if verb == "assign":
        done(place.register(0, "v1.0.0"))
    before = place.tags()
    wish = (
        place.wish(Verb.REGISTER, commit_id=place.commits[1])
        if verb == "register"
        else place.wish(Verb.ASSIGN, stage="prod", version="v1.0.0")
    )
    asker = Asker(place.people["eddy"], "one", ActionLog.Via.PAGE)

    def click(_: int) -> ActionLog:
        try:
            return perform(wish, asker)
        finally:
            connection.close()

    with ThreadPoolExecutor(5) as pool:
        rows = list(pool.map(click, range(5)))
    assert len({(row.pk, done(row).tag, row.sentence) for row in rows}) == 1
    assert len(place.tags()) == len(before) + 1
    check_settled(place)


def test_F_T1_a_key_is_of_one_wish_and_one_person(git_place: ActionPlace) -> None:
    first = done(git_place.register(0, "v1.0.0", key="one"))
    with pytest.raises(KeyReused):
        git_place.register(1, "v1.0.0", key="one")
    with pytest.raises(KeyReused):
        git_place.assign("prod", "v1.0.0", key="one")
    again = git_place.register(0, "v1.0.0", key="one")
    assert (again.pk, again.ended_at) == (first.pk, first.ended_at)
    other = git_place.register(0, "v1.0.0", key="one", by="erna")
    assert (other.status, other.code) == (Status.REFUSED, "commit-has-version")
    check_settled(git_place)


@pytest.mark.parametrize("answer", ["told", "lost", "refused"])
def test_F_T1_a_turn_that_was_lost_changes_nothing_more(
    git_place: ActionPlace, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """Who slept through its lease comes back when another has ended the action."""
    done(git_place.register(0, "v1.0.0"))
    write = GitTagWriter.write_tag
    slept: list[TagOrder] = []

    def sleep(writer: GitTagWriter, order: TagOrder) -> GitTag:
        if slept:
            return write(writer, order)
        slept.append(order)
        pass_time(ActionLog.objects.get(status=Status.WRITING))
        assert actions.resume_open() == 1
        if answer == "lost":
            raise Unsettled("Nobody knows.")
        if answer == "refused":
            raise Refused("No.")
        return write(writer, order)

    monkeypatch.setattr(GitTagWriter, "write_tag", sleep)
    assert done(git_place.assign("prod", "v1.0.0")).tries == 2
    check_settled(git_place)


def test_F_T1_a_wish_is_told_from_another(git_place: ActionPlace) -> None:
    """Whatever differs in it."""
    wish = git_place.wish(Verb.ASSIGN, stage="prod", version="v1.0.0")
    others = [
        replace(wish, verb=Verb.UNASSIGN),
        replace(wish, stage="dev"),
        replace(wish, version="v1.0.1"),
        replace(wish, artifact="churn2"),
        replace(wish, message="x"),
        replace(wish, commit_id="a" * 40),
    ]
    assert len({one.digest for one in (wish, *others)}) == 7
