"""Acting by the API: what is written, what is answered, and what sending again does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from indexer import action_steps as doing
from indexer import actions
from indexer.api import action_schemas
from indexer.api.action_problems import STATUSES
from indexer.models import Account, ActionLog, Repository
from indexer.wishes import outlook
from tests.actions.places import (
    ActionPlace,
    Verb,
    act_at,
    connection_of,
    git,
)
from tests.api.acting import VERBS, Program
from tests.providers.git_server import GitServer
from tests.providers.github_server import GitHubServer

Status = ActionLog.Status
NOWHERE = "0" * 40


@pytest.fixture
def make_place(
    tmp_path: Path, own_site: None, transactional_db: None
) -> Iterator[Callable[[str], ActionPlace]]:
    with ExitStack() as stack:
        yield lambda kind: stack.enter_context(act_at(kind, tmp_path))


@pytest.fixture
def place(make_place: Callable[[str], ActionPlace]) -> ActionPlace:
    return make_place("git")


@pytest.fixture
def eddy(place: ActionPlace) -> Program:
    return Program(place)


def requests_to(place: ActionPlace) -> int:
    return len(place.server.requests)


# What is written ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["git", "github"])
def test_a_life_of_a_model(make_place: Callable[[str], ActionPlace], kind: str) -> None:
    place = make_place(kind)
    eddy, commits = Program(place), place.commits
    told = eddy.done("register", commit=commits[0], message="First")
    assert (told["version"], told["tag"]) == ("v0.0.1", "churn@v0.0.1")
    assert told["tag_object"] == place.tags()["churn@v0.0.1"]
    assert "tagger Eddy <eddy@example.org>" in place.body("churn@v0.0.1")
    assert place.body("churn@v0.0.1").endswith("First")
    assert eddy.get(told["href"]) == told
    eddy.done("register", commit=commits[1], version="v1.0.0")
    eddy.done("assign", stage="prod", version="v0.0.1")
    told = eddy.done("assign", stage="prod", version="v1.0.0")
    assert (told["stage"], told["version"]) == ("prod", "v1.0.0")
    assert place.holders() == {"prod": ["v1.0.0"]}
    eddy.done("restore", stage="prod")
    assert place.holders() == {"prod": ["v0.0.1"]}
    eddy.done("unassign", stage="prod", version="v0.0.1")
    eddy.done("deregister", version="v1.0.0")
    assert place.holders() == {}
    eddy.done("deprecate")
    assert not place.artifact().is_active
    eddy.done("revive", message="Needed again")
    assert place.artifact().is_active
    eddy.done("assign", stage="dev", commit=commits[2])
    assert sorted(place.tags()) == [
        "churn#dev#6",
        "churn#prod!#4",
        "churn#prod#1",
        "churn#prod#2",
        "churn#prod#3",
        "churn@deprecated",
        "churn@v0.0.1",
        "churn@v0.0.1#5",
        "churn@v1.0.0",
        "churn@v1.0.0!",
    ]


def test_a_version_without_a_commit_is_of_the_head_that_the_remote_has(
    place: ActionPlace, eddy: Program
) -> None:
    """Not of the one that Muster read last: a pipeline registers what it has just
    pushed."""
    git(place.bare, "update-ref", "refs/heads/main", place.commits[1])
    told = eddy.done("register", key="once", bump="major")
    assert told["commit"] == place.commits[1]
    git(place.bare, "update-ref", "refs/heads/main", place.commits[2])
    assert eddy.done("register", key="once", bump="major") == told
    assert eddy.done("register", bump="minor")["commit"] == place.commits[2]
    assert sorted(place.tags()) == ["churn@v0.0.1", "churn@v0.1.0"]


def test_an_artifact_in_a_folder_that_nobody_annotated(
    place: ActionPlace, eddy: Program
) -> None:
    told = eddy.done("register", artifact="models:new", commit=place.commits[0])
    assert told["artifact"] == "models:new"
    assert list(place.tags()) == ["models=new@v0.0.1"]


def test_a_model_is_added_and_edited(place: ActionPlace, eddy: Program) -> None:
    told = eddy.done(
        "add", file="models/dvc.yaml", name="spam", path="spam.pkl", type="model",
        labels=["mail", "crm"], message="Add it",
    )  # fmt: skip
    assert (told["artifact"], told["file"]) == ("models:spam", "models/dvc.yaml")
    assert told["commit"] == git(place.bare, "rev-parse", "main")
    assert told["tag"] == told["tag_object"] == ""
    text = git(place.bare, "show", "main:models/dvc.yaml")
    assert text == (
        "artifacts:\n  spam:\n    path: spam.pkl\n    type: model\n"
        "    labels:\n      - mail\n      - crm"
    )
    who = git(place.bare, "log", "-1", "--format=%an %ae %s", "main")
    assert who == "Eddy eddy@example.org Add it"
    eddy.done("edit", description="Who leaves?\r\nSoon", labels=[])
    assert git(place.bare, "show", "main:dvc.yaml").splitlines() == [
        "# Who is about to leave",
        "artifacts:",
        "  churn:  # the model",
        "    path: churn.pkl",
        "    type: model",
        "    desc: |-",
        "      Who leaves?",
        "      Soon",
    ]
    eddy.done("edit", artifact="models:spam", type="", path="b/spam.pkl")
    text = git(place.bare, "show", "main:models/dvc.yaml")
    assert text.startswith("artifacts:\n  spam:\n    path: b/spam.pkl\n    labels:")
    eddy.done("edit", artifact="models:spam", labels=None, description=None)
    text = git(place.bare, "show", "main:models/dvc.yaml")
    assert text == "artifacts:\n  spam:\n    path: b/spam.pkl"


def test_a_model_is_added_by_a_pull_request(
    make_place: Callable[[str], ActionPlace],
) -> None:
    place = make_place("github")
    head = git(place.bare, "rev-parse", "main")
    told = Program(place).done("add", name="spam", path="spam.pkl", pull_request=True)
    assert told["pull_request"].startswith("http")
    assert told["branch"].startswith("muster/add-spam-")
    assert git(place.bare, "rev-parse", told["branch"]) == told["commit"]
    assert git(place.bare, "rev-parse", "main") == head


def test_an_action_says_through_what_it_was_asked_for(
    place: ActionPlace, eddy: Program
) -> None:
    told = eddy.done("register", commit=place.commits[0])
    assert (told["via"], told["token_name"]) == ("api", "CI of eddy, act")
    assert told["remote_address"] == "127.0.0.1"
    assert told["actor"] == "eddy"
    assert told["asked_at"] <= told["ended_at"]


# Sending again ------------------------------------------------------------------------


def test_the_same_key_is_the_same_action(place: ActionPlace, eddy: Program) -> None:
    told = eddy.done("register", key="build-7", commit=place.commits[0])
    assert "Idempotent-Replayed" not in eddy.headers
    asked = requests_to(place)
    assert eddy.done("register", key="build-7", commit=place.commits[0]) == told
    assert eddy.headers["Idempotent-Replayed"] == "true"
    assert eddy.headers["Location"] == told["href"]
    assert requests_to(place) == asked
    assert ActionLog.objects.count() == 1


def test_a_refusal_is_answered_again_as_well(place: ActionPlace, eddy: Program) -> None:
    body = {"key": "x", "stage": "prod", "version": "v9.0.0"}
    told = eddy.refused(404, "unknown-version", "assign", **body)
    assert told["code"] == "unknown-version"
    assert eddy.get(told["action"])["status"] == "refused"
    assert eddy.refused(404, "unknown-version", "assign", **body) == told
    assert eddy.headers["Idempotent-Replayed"] == "true"
    assert ActionLog.objects.count() == 1


@pytest.mark.parametrize(
    "other",
    [{"version": "v2.0.0"}, {"message": "Other words"}, {"artifact": "other"}],
    ids=str,
)
def test_a_key_is_for_one_request(
    place: ActionPlace, eddy: Program, other: dict[str, str]
) -> None:
    body = {"commit": place.commits[0], "version": "v1.0.0"}
    eddy.done("register", key="k", **body)
    eddy.refused(422, "idempotency-key-reused", "register", key="k", **(body | other))
    eddy.refused(422, "idempotency-key-reused", "deprecate", key="k")
    assert list(place.tags()) == ["churn@v1.0.0"]


def test_a_key_is_a_persons_own(place: ActionPlace, eddy: Program) -> None:
    first = eddy.done("register", key="k", commit=place.commits[0])
    erna = Program(place, "erna")
    assert erna.done("register", key="k", commit=place.commits[1]) != first
    assert "Idempotent-Replayed" not in erna.headers


def test_without_a_key_it_is_another_action(place: ActionPlace, eddy: Program) -> None:
    body = {"commit": place.commits[0], "version": "v1.0.0"}
    eddy.done("register", **body)
    eddy.refused(409, "commit-has-version", "register", **body)


@pytest.mark.parametrize("key", ["x" * 201, "é", "a\tb"], ids=ascii)
def test_a_key_that_makes_no_sense(place: ActionPlace, eddy: Program, key: str) -> None:
    eddy.refused(400, "bad-parameter", "deprecate", key=key)
    assert not ActionLog.objects.exists()


# A dry run ----------------------------------------------------------------------------


def test_a_dry_run_says_what_would_be_written_and_asks_nobody(
    place: ActionPlace, eddy: Program
) -> None:
    place.register(0, "v1.0.0")
    place.register(1, "v2.0.0")
    place.assign("prod", "v1.0.0")
    before, rows, asked = place.tags(), ActionLog.objects.count(), requests_to(place)
    told = eddy.post("assign", stage="prod", version="v2.0.0", dry_run=True)
    assert eddy.status == 200
    wish = place.wish(Verb.ASSIGN, stage="prod", version="v2.0.0")
    assert told == {
        "verb": "assign",
        "repository": "acme/churn",
        "artifact": "churn",
        "version": "v2.0.0",
        "stage": "prod",
        "tag": "churn#prod#2",
        "commit": place.commits[1],
        "message": "Assigning stage prod to artifact churn version v2.0.0",
        "tagger": {"name": "Eddy", "email": "eddy@example.org"},
        "changes": [{"stage": "prod", "before": ["v1.0.0"], "after": ["v2.0.0"]}],
        "meaning": outlook(wish).meaning,
    }
    told = eddy.post("deregister", version="v1.0.0", dry_run=True)
    assert told["changes"] == [{"stage": "prod", "before": ["v1.0.0"], "after": []}]
    told = eddy.post("register", dry_run=True)
    assert (told["tag"], told["commit"]) == ("churn@v2.0.1", place.commits[2])
    assert (place.tags(), ActionLog.objects.count()) == (before, rows)
    assert requests_to(place) == asked


def test_what_is_done_is_what_the_dry_run_said(
    place: ActionPlace, eddy: Program
) -> None:
    body = {"version": "v1.0.0", "commit": place.commits[0], "message": "So be it"}
    told = eddy.post("register", dry_run=True, **body)
    done = eddy.done("register", expect=told["meaning"], **body)
    names = ("tag", "version", "commit", "message", "tagger")
    assert [done[name] for name in names] == [told[name] for name in names]


def test_what_means_something_else_by_now_is_refused(
    place: ActionPlace, eddy: Program
) -> None:
    place.register(0, "v1.0.0")
    place.register(1, "v2.0.0")
    body = {"stage": "prod", "version": "v2.0.0"}
    meaning = eddy.post("assign", dry_run=True, **body)["meaning"]
    place.assign("prod", "v1.0.0")
    told = eddy.refused(409, "changed", "assign", expect=meaning, **body)
    assert "prod v1.0.0 by Eddy" in told["detail"]
    eddy.refused(409, "changed", "assign", expect=meaning, dry_run=True, **body)
    assert place.holders() == {"prod": ["v1.0.0"]}


def test_a_dry_run_is_refused_as_the_action_would_be(
    place: ActionPlace, eddy: Program
) -> None:
    for verb, body in (
        ("assign", {"stage": "prod", "version": "v9.0.0"}),
        ("restore", {"stage": "prod"}),
        ("revive", {}),
        ("add", {"name": "churn", "path": "x"}),
        ("edit", {"artifact": "none", "type": "model"}),
    ):
        foretold = eddy.post(verb, dry_run=True, **body)
        status = eddy.status
        assert "action" not in foretold
        told = eddy.post(verb, **body)
        assert eddy.status == status >= 400
        assert told.pop("action")
        assert told == foretold


def test_a_dry_run_of_a_file_shows_the_change(
    place: ActionPlace, eddy: Program
) -> None:
    head = git(place.bare, "rev-parse", "main")
    told = eddy.post("edit", labels=["crm"], dry_run=True)
    assert eddy.status == 200, told
    assert told["diff"].splitlines()[-2:] == ["-      - tabular", "+      - crm"]
    assert told["text"].endswith("    labels:\n      - crm\n")
    assert (told["file"], told["branch"]) == ("dvc.yaml", "main")
    assert told["commit"] == head
    assert git(place.bare, "rev-parse", "main") == head
    assert not ActionLog.objects.exists()
    done = eddy.done("edit", labels=["crm"], expect=told["meaning"])
    assert git(place.bare, "show", f"{done['commit']}:dvc.yaml") == told["text"].strip()
    eddy.refused(409, "no-change", "edit", labels=["crm"], expect=told["meaning"])
    eddy.refused(
        409, "changed", "edit", labels=["x"], expect=told["meaning"], dry_run=True
    )


def test_a_dry_run_says_who_asked_where_a_shared_token_writes(
    make_place: Callable[[str], ActionPlace],
) -> None:
    place = make_place("github")
    place.people["eddy"].provider_tokens.all().delete()
    eddy = Program(place)
    eddy.refused(403, "no-token", "register", dry_run=True)
    connection = connection_of(place)
    connection.shares_writing = True
    connection.save(update_fields=["shares_writing"])
    told = eddy.post("register", dry_run=True)
    assert eddy.done("register")["message"] == told["message"]
    assert told["message"].endswith("\n\nRequested-by: eddy (Eddy <eddy@example.org>)")


# Statuses -----------------------------------------------------------------------------


def test_what_is_not_there_is_404(place: ActionPlace, eddy: Program) -> None:
    eddy.refused(404, "not-found", "register", repository="acme/none")
    eddy.refused(404, "unknown-artifact", "deprecate", artifact="none")
    eddy.refused(404, "unknown-version", "deregister", version="v1.0.0")
    eddy.refused(404, "no-branch", "edit", labels=["a"], branch="none")
    eddy.refused(404, "no-entry", "edit", labels=["a"], artifact="none")
    Repository.objects.update(hidden_at=place.repository.added_at)
    told = eddy.refused(404, "not-found", "deprecate")
    assert "action" not in told


def test_what_the_state_forbids_is_409(place: ActionPlace, eddy: Program) -> None:
    first, second = place.commits[:2]
    eddy.refused(409, "nothing-to-restore", "restore", stage="prod")
    eddy.refused(409, "not-deprecated", "revive")
    eddy.done("register", commit=first, version="v1.0.0")
    eddy.refused(409, "commit-has-version", "register", commit=first, version="v2.0.0")
    eddy.refused(409, "version-exists", "register", commit=second, version="v1.0.0")
    stage = {"stage": "prod", "version": "v1.0.0"}
    eddy.refused(409, "stage-not-held", "unassign", **stage)
    eddy.done("assign", **stage)
    eddy.refused(409, "stage-held", "assign", **stage)
    eddy.done("deregister", version="v1.0.0")
    eddy.refused(409, "not-active", "deregister", version="v1.0.0")
    eddy.done("deprecate")
    eddy.refused(409, "deprecated", "deprecate")
    eddy.refused(409, "nothing-to-revive", "revive")
    eddy.refused(409, "name-taken", "add", name="churn", path="churn.pkl")
    Repository.objects.update(is_enabled=False)
    eddy.refused(409, "repository-off", "register")
    eddy.refused(409, "repository-off", "register", dry_run=True)
    eddy.refused(409, "repository-off", "edit", type="", dry_run=True)


def test_who_has_no_name_in_git_or_no_token_is_told(
    make_place: Callable[[str], ActionPlace],
) -> None:
    place = make_place("github")
    eddy = Program(place)
    place.people["eddy"].provider_tokens.all().delete()
    told = eddy.refused(403, "no-token", "register", commit=place.commits[0])
    assert told["action"]
    eddy.refused(403, "no-token", "register")
    eddy.refused(403, "no-token", "add", name="x", path="y", dry_run=True)
    Account.objects.update(email="")
    eddy.refused(403, "no-identity", "register", commit=place.commits[0])
    eddy.refused(403, "no-identity", "register", dry_run=True)
    assert place.tags() == {}


def test_a_provider_that_refuses_is_422(place: ActionPlace, eddy: Program) -> None:
    told = eddy.refused(422, "provider-refused", "register", commit=NOWHERE)
    assert eddy.get(told["action"])["code"] == "provider-refused"
    hook = place.bare / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho 'Only on Mondays' >&2\nexit 1\n")
    hook.chmod(0o755)
    told = eddy.refused(422, "provider-refused", "register")
    assert "Only on Mondays" in told["detail"]


def test_a_repository_that_may_not_be_written_is_403(
    place: ActionPlace, eddy: Program
) -> None:
    git(place.bare, "config", "http.receivepack", "false")
    eddy.refused(403, "access-denied", "register")


@pytest.mark.parametrize("commit", [True, False])
def test_a_provider_that_is_down_is_503(
    place: ActionPlace, eddy: Program, commit: bool
) -> None:
    """Also where the head would have been asked for: nothing is logged then."""
    assert isinstance(place.server, GitServer)
    place.server.status = 502
    body = {"commit": place.commits[0]} if commit else {}
    told = eddy.refused(503, "unavailable", "register", **body)
    assert int(eddy.headers["Retry-After"]) > 0
    assert ("action" in told) == commit == ActionLog.objects.exists()
    eddy.refused(503, "unavailable", "edit", type="", dry_run=True)


def test_a_provider_that_wants_a_pause_is_429(
    make_place: Callable[[str], ActionPlace],
) -> None:
    place = make_place("github")
    assert isinstance(place.server, GitHubServer)
    eddy = Program(place)
    place.server.secondary_limit("POST", 70)
    told = eddy.refused(429, "rate-limited", "register", commit=place.commits[0])
    assert int(eddy.headers["Retry-After"]) > 0
    assert eddy.get(told["action"])["status"] == "failed"


def test_what_is_not_known_yet_is_202_and_then_201(
    place: ActionPlace, eddy: Program
) -> None:
    server = place.server
    assert isinstance(server, GitServer)
    server.lose_push = server.lose_all_after = True
    body = {"key": "k", "commit": place.commits[0]}
    told = eddy.post("register", **body)
    assert (eddy.status, told["status"], told["ended_at"]) == (202, "writing", None)
    assert eddy.headers["Retry-After"] == "5"
    assert eddy.headers["Location"] == told["href"]
    server.status, server.lose_push, server.lose_all_after = 0, False, False
    ActionLog.objects.update(lease_expires_at=None)
    done = eddy.done("register", **body)
    assert done["id"] == told["id"]
    assert eddy.get(told["href"]) == done
    assert place.tags() == {"churn@v0.0.1": done["tag_object"]}


def test_what_never_becomes_known_is_502(
    place: ActionPlace, eddy: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(place.server, GitServer)
    place.server.lose_push = place.server.lose_all_after = True
    monkeypatch.setattr(doing, "GIVEN_UP", timedelta(days=-1))
    eddy.refused(502, "not-known", "register", commit=place.commits[0])


def test_a_remote_that_is_gone_is_502(place: ActionPlace, eddy: Program) -> None:
    assert isinstance(place.server, GitServer)
    place.server.status = 404
    eddy.refused(502, "provider-error", "register", commit=place.commits[0])
    eddy.refused(502, "provider-error", "edit", type="", dry_run=True)


def test_an_error_of_ours_is_500(
    place: ActionPlace, eddy: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doing, "way_of", lambda *_: 1 / 0)
    told = eddy.refused(500, "internal-error", "register", commit=place.commits[0])
    assert told["action"]


def test_a_model_that_others_write_to_is_503(
    place: ActionPlace, eddy: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(place.server, GitServer)
    place.server.lose_push = place.server.lose_all_after = True
    place.register(0)
    monkeypatch.setattr(actions, "PATIENCE", 0.1)
    told = eddy.refused(503, "busy", "deprecate", key="k")
    assert eddy.headers["Retry-After"] == "5"
    assert "action" not in told
    assert ActionLog.objects.count() == 1


# What makes no sense ------------------------------------------------------------------

HOSTILE = (
    "a\0b", "a\nb", "a\r\nb", "a\u2028b", "a b", "-o", "--upload-pack=touch /tmp/x",
    "../up", "a..b", "a//b", "a.lock", ".a", "a@{1}", "a~1", "a^", "a:b:c", "a?*[",
    "a\\b", "refs/tags/x", "é", "a#b", "a@v1", "x" * 300, "\ud800", "<script>",
    "$(id)", "",
)  # fmt: skip
FIELDS = {
    "register": ("artifact", "commit", "version"),
    "assign": ("artifact", "stage", "version", "commit"),
    "restore": ("artifact", "stage"),
    "unassign": ("artifact", "stage", "version"),
    "deregister": ("artifact", "version"),
    "deprecate": ("artifact",),
    "revive": ("artifact",),
    "add": ("name", "file", "type", "branch"),
    "edit": ("artifact", "type", "branch"),
}
GOOD: dict[str, dict[str, Any]] = {
    "register": {"commit": NOWHERE, "version": "v1.0.0"},
    "assign": {"stage": "prod", "version": "v1.0.0"},
    "restore": {"stage": "prod"},
    "unassign": {"stage": "prod", "version": "v1.0.0"},
    "deregister": {"version": "v1.0.0"},
    "deprecate": {},
    "revive": {},
    "add": {"name": "spam", "path": "spam.pkl"},
    "edit": {"labels": ["crm"]},
}
ALLOWED = {
    # Left out is the same as "", and a name that Git takes is none to fear.
    ("register", "commit", ""), ("register", "version", ""), ("add", "type", ""),
    ("add", "branch", ""), ("edit", "type", ""), ("edit", "branch", ""),
    *((verb, "branch", name) for verb in ("add", "edit")
      for name in ("refs/tags/x", "é", "a#b", "a@v1", "<script>", "$(id)")),
    *((verb, name, "refs/tags/x") for verb in FIELDS
      for name in ("artifact", "name", "stage", "type")),
    ("add", "type", "a//b"), ("edit", "type", "a//b"),
    ("edit", "artifact", "a//b"),  # gto has such names; only no tag can bear them
}  # fmt: skip


@pytest.mark.parametrize("dry_run", [False, True], ids=["real", "dry"])
@pytest.mark.parametrize("verb", VERBS)
def test_T7_a_hostile_name_reaches_neither_log_nor_provider(
    place: ActionPlace, eddy: Program, verb: str, dry_run: bool
) -> None:
    asked = requests_to(place)
    for field in FIELDS[verb]:
        for name in HOSTILE:
            if (verb, field, name) in ALLOWED:
                continue
            body = GOOD[verb] | {field: name, "dry_run": dry_run}
            if (verb, field) == ("assign", "commit"):
                body.pop("version")
            told = eddy.post(verb, **body)
            assert eddy.status == 400, (field, name, told)
            assert told["detail"].endswith(".")
    assert requests_to(place) == asked
    assert not ActionLog.objects.exists()


NONSENSE: list[tuple[str, dict[str, Any]]] = [
    ("deprecate", {"message": "a\0b"}),
    ("deprecate", {"message": "x" * 20_001}),
    ("deprecate", {"message": "\ud800"}),
    ("deprecate", {"message": None}),
    ("deprecate", {"repository": "a\0b"}),
    ("deprecate", {"dry_run": "yes"}),
    ("deprecate", {"dry_run": 1}),
    ("deprecate", {"expect": "abc"}),
    ("deprecate", {"expect": "a" * 64 + "\n"}),
    ("deprecate", {"artifact": ["churn"]}),
    ("deprecate", {"artifact": {"x": 1}}),
    ("deprecate", {"version": "v1.0.0"}),
    ("register", {"bump": "huge"}),
    ("register", {"versoin": "v1.0.0"}),
    ("register", {"fields": {"branch": "x"}}),
    ("register", {"commit": "a" * 39}),
    ("register", {"commit": "A" * 40}),
    ("register", {"version": "1.0.0"}),
    ("register", {"version": "v1.0"}),
    ("assign", {"stage": "prod"}),
    ("assign", {"stage": "prod", "version": "v1.0.0", "commit": NOWHERE}),
    ("assign", {"version": "v1.0.0"}),
    ("edit", {}),
    ("edit", {"path": ""}),
    ("edit", {"labels": ["a\nb"]}),
    ("edit", {"labels": [""]}),
    ("edit", {"labels": "crm"}),
    ("edit", {"labels": ["x"] * 101}),
    ("edit", {"description": "a\x1bb"}),
    ("edit", {"description": "x" * 10_001}),
    ("edit", {"type": "x" * 101}),
    ("edit", {"name": "other"}),
    ("add", {"name": "x"}),
    ("add", {"name": "x", "path": "a\nb"}),
    ("add", {"name": "x", "path": "x" * 1001}),
    ("add", {"name": "x", "path": "y", "file": "params.yaml"}),
    ("add", {"name": "x", "path": "y", "file": "/dvc.yaml"}),
    ("add", {"name": "x", "path": "y", "file": ".git/dvc.yaml"}),
    ("add", {"name": "x" * 150, "path": "y", "file": "d" * 150 + "/dvc.yaml"}),
    ("add", {"name": "x", "path": "y", "artifact": "x"}),
]
NO_JSON: list[str | bytes] = [
    "",
    "{",
    "[]",
    "null",
    "1",
    '"x"',
    "repository=acme/churn&artifact=churn",
    "[" * 100_000,
    b"\xff\xfe",
    '{"repository": NaN, "artifact": "churn"}',
    '{"repository": "acme/churn", "artifact": "churn", "\\ud800": 1}',
]


def test_T7_a_body_that_makes_no_sense(place: ActionPlace, eddy: Program) -> None:
    asked = requests_to(place)
    for verb, body in NONSENSE:
        told = eddy.post(verb, **body)
        assert eddy.status == 400, (verb, body, told)
        assert told["detail"].endswith("."), told
    for text in NO_JSON:
        told = eddy.send("deprecate", text)
        assert (eddy.status, told["status"]) == (400, 400), text[:50]
        assert eddy.headers["Content-Type"] == "application/problem+json"
    assert requests_to(place) == asked
    assert not ActionLog.objects.exists()


# The log ------------------------------------------------------------------------------


def test_a_page_of_the_log_costs_the_same_for_more_rows(
    place: ActionPlace, eddy: Program
) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as caught:
            assert eddy.get("actions")["total"]
        return len(caught)

    eddy.done("register", commit=place.commits[0])
    eddy.get("actions")  # the token's use is noted once a minute
    one = cost()
    for _ in range(4):
        eddy.refused(404, "unknown-artifact", "deprecate", artifact="none")
    assert cost() == one


def test_the_log_is_read_in_pages_and_filtered(
    place: ActionPlace, eddy: Program
) -> None:
    eddy.done("register", commit=place.commits[0])
    eddy.refused(404, "unknown-artifact", "deprecate", artifact="none")
    Program(place, "erna").done("deprecate")
    found = eddy.get("actions")
    assert [one["verb"] for one in found["items"]] == [
        "deprecate",
        "deprecate",
        "register",
    ]
    page = eddy.get("actions", size=1, verb="deprecate")
    assert (page["total"], page["pages"]) == (2, 2)
    assert eddy.get(page["next"])["items"] == [found["items"][1]]
    for query, count in (
        ({"repository": "acme/churn"}, 3),
        ({"repository": "acme"}, 0),
        ({"artifact": "none"}, 1),
        ({"actor": "erna"}, 1),
        ({"status": ["refused", "failed"]}, 1),
        ({"verb": ["register", "deprecate"], "actor": "eddy"}, 2),
        ({"since": found["items"][0]["asked_at"][:10]}, 3),
        ({"until": "2020-01-01"}, 0),
        ({"since": "2020-01-01", "until": "2020-01-01"}, 0),
    ):
        assert eddy.get("actions", **query)["total"] == count, query


@pytest.mark.parametrize(
    "query",
    [
        {"verb": "burn"}, {"status": "ok"}, {"since": "today"}, {"until": "0001-01-01"},
        {"who": "x"}, {"size": 101}, {"page": 0}, {"artifact": "a\0b"},
    ],
    ids=str,
)  # fmt: skip
def test_a_filter_that_makes_no_sense(
    place: ActionPlace, eddy: Program, query: dict[str, Any]
) -> None:
    told = eddy.get("actions", **query)
    eddy.is_problem(told, 400, "bad-parameter")


def test_an_action_that_is_not_there(place: ActionPlace, eddy: Program) -> None:
    eddy.is_problem(eddy.get(f"actions/{uuid4()}"), 404, "not-found")
    eddy.is_problem(eddy.get("actions/1"), 404, "not-found")
    eddy.is_problem(eddy.get("actions", page=2), 404, "not-found")


# Its description ----------------------------------------------------------------------


@pytest.mark.parametrize("verb", VERBS)
def test_the_description_has_an_example_that_is_taken(
    db: None, client: Client, verb: str
) -> None:
    described = json.loads(client.get("/api/v1/openapi.json").content)
    operation = described["paths"][f"/api/v1/{verb}"]["post"]
    (header,) = operation["parameters"]
    assert (header["name"], header["in"]) == ("Idempotency-Key", "header")
    assert not header["required"]
    assert {"200", "201", "202", "400", "409", "422"} <= set(operation["responses"])
    assert operation["security"] == [{"TokenAuth": []}, {"PersonAuth": []}]
    reference = operation["requestBody"]["content"]["application/json"]["schema"]
    name = reference["$ref"].rpartition("/")[2]
    schema = described["components"]["schemas"][name]
    assert schema["additionalProperties"] is False
    (example,) = schema["examples"]
    body = getattr(action_schemas, name)(**example)
    row = Repository(name="acme/churn", default_branch="main", pk=1)
    assert body.wish(row).verb == verb


def test_the_table_of_errors_is_that_of_the_code() -> None:
    text = (Path(__file__).parents[2] / "docs/api.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([45]\d\d) \| (`[^|]*) \|", text, re.MULTILINE)
    told = {
        code: int(status)
        for status, codes in rows
        for code in re.findall(r"`([a-z-]+)`", codes)
    }
    assert told.items() >= STATUSES.items()
    elsewhere = {code for code, status in told.items() if status != 409} - {*STATUSES}
    assert elsewhere == {
        "bad-parameter",
        "bad-token",
        "csrf-token-needed",
        "disk-full",
        "not-found",
        "scope-too-small",
        "sign-in-needed",
        "too-large",
    }
