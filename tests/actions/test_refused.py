"""F-T3: whatever a remote refuses a plain sentence says, nothing is written, and asking
again helps once the cause is gone."""

from __future__ import annotations

import stat
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from indexer.models import ActionLog
from tests.actions.checks import check_settled, done
from tests.actions.places import ActionPlace, git, give_token
from tests.providers.git_server import GitServer

Status = ActionLog.Status
MakePlace = Callable[[str], ActionPlace]
GITHUB = "POST /api/v3/repos/acme/churn/git/"
PUSH = "service=git-receive-pack"


def check_refused(place: ActionPlace, words: str, mend: Callable[[], object]) -> None:
    """Refused with these words, in one sentence or a few; then it goes well."""
    before = place.tags()
    row = place.assign("prod", "v1.0.0")
    assert row.status in {Status.REFUSED, Status.FAILED}, row.sentence
    assert words in row.sentence
    assert row.code
    assert "othing was " in row.sentence
    assert row.sentence.rstrip().endswith(".")
    assert "Muster tries" not in row.sentence  # this one it does not
    assert "CANARY" not in row.sentence
    assert str(getattr(place.server, "token", "no token")) not in row.sentence
    assert place.tags() == before
    mend()
    done(place.assign("prod", "v1.0.0"))
    check_settled(place)


@pytest.mark.parametrize("where", ["tags", "refs"])
@pytest.mark.parametrize(
    ("status", "said", "words"),
    [
        (401, "Bad credentials", "token"),
        (403, "Resource not accessible by integration", "not accessible"),
        (404, "Not Found", "right to write contents"),
        (422, "Repository rule violations found", "rule violations found"),
        (429, "Too many requests", "A limit of requests holds at GitHub until"),
        (500, "Oops", "500"),
    ],
)
def test_F_T3_what_github_refuses(
    make_place: MakePlace, where: str, status: int, said: str, words: str
) -> None:
    place = make_place("github")
    server: Any = place.server
    server.is_checked = False
    done(place.register(0, "v1.0.0"))
    fault = server.fault(GITHUB + where, status=status, body={"message": said})
    check_refused(place, words, lambda: fault)


def test_F_T3_a_second_limit_of_github(make_place: MakePlace) -> None:
    place = make_place("github")
    server: Any = place.server
    done(place.register(0, "v1.0.0"))
    fault = server.secondary_limit(f"{GITHUB}tags")
    check_refused(place, "A limit of requests holds at GitHub until", lambda: fault)


def test_F_T3_an_archived_repository(make_place: MakePlace) -> None:
    place = make_place("github")
    server: Any = place.server
    done(place.register(0, "v1.0.0"))
    server.archive("acme/churn")
    check_refused(
        place, "archived", lambda: server.archive("acme/churn", archived=False)
    )


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_F_T3_a_token_that_ran_out(make_place: MakePlace, kind: str) -> None:
    place = make_place(kind)
    server: Any = place.server
    done(place.register(0, "v1.0.0"))
    old = datetime(2020, 1, 1, tzinfo=UTC)
    if kind == "github":
        secret = server.add_token("ghp_CANARY", "repo", expires_at=old)
    else:
        secret = server.add_token("alice", expires_at=old)
    eddy = place.people["eddy"]
    give_token(eddy, place, secret)
    check_refused(place, "token", lambda: give_token(eddy, place, server.token))


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (403, "403 from here"),
        (404, "hides it from this token"),
        (429, "too many requests"),
        (503, "broke off"),
    ],
)
def test_F_T3_what_gitlab_refuses_of_a_push(
    make_place: MakePlace, status: int, words: str
) -> None:
    """Git is refused, and so is the API where it is the way then."""
    place = make_place("gitlab")
    server: Any = place.server
    server.is_checked = False
    done(place.register(0, "v1.0.0"))
    server.fault(PUSH, status=status)
    server.fault(
        "POST /api/v4/projects/",
        status=status,
        body={"message": f"{status} from here"},
    )
    check_refused(place, words, server.faults.clear)


def hook(place: ActionPlace, script: str) -> Callable[[], object]:
    path = place.bare / "hooks" / "pre-receive"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path.unlink


@pytest.mark.parametrize("kind", ["git", "gitlab"])
def test_F_T3_a_protected_tag(make_place: MakePlace, kind: str) -> None:
    place = make_place(kind)
    done(place.register(0, "v1.0.0"))
    mend = hook(place, "echo 'GitLab: You are not allowed to create this tag'; exit 1")
    check_refused(place, "not allowed to create this tag", mend)


def test_F_T3_plain_git_that_takes_no_pushes(git_place: ActionPlace) -> None:
    done(git_place.register(0, "v1.0.0"))
    git(git_place.bare, "config", "http.receivepack", "false")
    check_refused(
        git_place,
        "read-only",
        lambda: git(git_place.bare, "config", "http.receivepack", "true"),
    )


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (403, "may not read the repository"),
        (404, "no repository at this address"),
        (429, "too many requests"),
        (502, "broke off"),
    ],
)
def test_F_T3_plain_git_that_fails(
    git_place: ActionPlace, status: int, words: str
) -> None:
    server = git_place.server
    assert isinstance(server, GitServer)
    done(git_place.register(0, "v1.0.0"))
    server.status = status
    check_refused(git_place, words, lambda: setattr(server, "status", 0))
