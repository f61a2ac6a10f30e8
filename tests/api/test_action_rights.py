"""Who may act by the API, and who reads what was done (threats C1, C11)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site
from django.middleware.csrf import get_token
from django.test import Client, RequestFactory

from indexer.models import Account, ActionLog, Repository, Role
from tests.actions.places import ActionPlace, Verb, act_at, git
from tests.api.acting import READ, VERBS, Program

Prepared = Callable[[str], dict[str, Any]]


@pytest.fixture
def place(
    tmp_path: Path, own_site: None, transactional_db: None
) -> Iterator[ActionPlace]:
    with act_at("git", tmp_path) as found:
        yield found


@pytest.fixture
def prepared(place: ActionPlace) -> Prepared:
    """The body with which a verb is done, in a registry where it can be."""

    def prepare(verb: str) -> dict[str, Any]:
        if verb not in {"register", "add", "edit"}:
            place.register(0, "v1.0.0", by="alice")
        if verb in {"restore", "unassign"}:
            place.register(1, "v2.0.0", by="alice")
            place.assign("prod", "v1.0.0", by="alice")
            place.assign("prod", "v2.0.0", by="alice")
        if verb == "revive":
            place.act(Verb.DEPRECATE, by="alice")
        bodies: dict[str, dict[str, Any]] = {
            "register": {"commit": place.commits[2]},
            "assign": {"stage": "dev", "version": "v1.0.0"},
            "restore": {"stage": "prod"},
            "unassign": {"stage": "prod", "version": "v2.0.0"},
            "deregister": {"version": "v1.0.0"},
            "add": {"name": "spam", "path": "spam.pkl"},
            "edit": {"labels": ["crm"]},
        }
        return bodies.get(verb, {})

    return prepare


def at_remote(place: ActionPlace) -> object:
    """All that a verb could change there."""
    return git(place.bare, "for-each-ref"), ActionLog.objects.count()


@pytest.mark.parametrize("verb", VERBS)
def test_C11_who_may_not_act_changes_nothing(
    place: ActionPlace, prepared: Prepared, settings: Any, verb: str
) -> None:
    """Nobody, a viewer, an editor's token to read: though everybody may read."""
    settings.MUSTER_PUBLIC_READ = True
    body = prepared(verb)
    before, asked = at_remote(place), len(place.server.requests)
    vera, reader = Program(place, "vera"), Program(place, "eddy", READ)
    nobody = Program(place, client=Client(enforce_csrf_checks=True))
    header = {"Authorization": "Bearer muster_none"}
    broken = Program(place, client=Client(headers=header))
    for dry_run in (False, True):
        more = {**body, "dry_run": dry_run}
        told = vera.refused(403, "not-allowed", verb, **more)
        assert "role editor" in told["detail"]
        reader.refused(403, "scope-too-small", verb, **more)
        assert 'error="insufficient_scope"' in reader.headers["WWW-Authenticate"]
        nobody.refused(401, "sign-in-needed", verb, **more)
        assert nobody.headers["WWW-Authenticate"] == 'Bearer realm="Muster"'
        broken.refused(401, "bad-token", verb, **more)
    assert at_remote(place) == before
    assert len(place.server.requests) == asked


@pytest.mark.parametrize("who", ["eddy", "alice"])
@pytest.mark.parametrize("verb", VERBS)
def test_C11_editors_and_admins_act(
    place: ActionPlace, prepared: Prepared, verb: str, who: str
) -> None:
    body = prepared(verb)
    before = git(place.bare, "for-each-ref")
    told = Program(place, who).done(verb, **body)
    assert (told["verb"], told["actor"]) == (verb, who)
    assert told["tagger"]["email"] == f"{who}@example.org"
    assert git(place.bare, "for-each-ref") != before


def test_C11_a_right_that_was_taken_away_is_gone_at_once(place: ActionPlace) -> None:
    """Also for a request that is sent again."""
    eddy = Program(place)
    body = {"key": "k", "commit": place.commits[0]}
    eddy.done("register", **body)
    Account.objects.filter(user=place.people["eddy"]).update(role=Role.VIEWER)
    eddy.refused(403, "not-allowed", "register", **body)
    place.people["eddy"].is_active = False
    place.people["eddy"].save(update_fields=["is_active"])
    eddy.refused(401, "bad-token", "register", **body)


class TestC1Sessions:
    @pytest.fixture
    def eddy(self, place: ActionPlace) -> Program:
        """Eddy's browser."""
        client = Client(enforce_csrf_checks=True)
        client.force_login(place.people["eddy"])
        return Program(place, client=client)

    @pytest.mark.parametrize("verb", VERBS)
    def test_C1_a_session_without_its_csrf_token_writes_nothing(
        self, place: ActionPlace, eddy: Program, prepared: Prepared, verb: str
    ) -> None:
        body = prepared(verb)
        before = at_remote(place)
        eddy.refused(403, "csrf-token-needed", verb, **body)
        text = json.dumps({"repository": "acme/churn", "artifact": "churn", **body})
        for kind in ("text/plain", "application/x-www-form-urlencoded"):
            answer = eddy.client.post(f"/api/v1/{verb}", text, content_type=kind)
            assert answer.status_code == 403
        assert at_remote(place) == before

    def test_C1_a_session_with_its_csrf_token_acts(
        self, place: ActionPlace, eddy: Program
    ) -> None:
        asked = RequestFactory().get("/")
        token = get_token(asked)
        eddy.client.cookies[site.CSRF_COOKIE_NAME] = asked.META["CSRF_COOKIE"]
        eddy.client.defaults["HTTP_X_CSRFTOKEN"] = token
        told = eddy.done("register", commit=place.commits[0])
        assert (told["actor"], told["via"], told["token_name"]) == ("eddy", "api", "")

    @pytest.mark.parametrize("verb", VERBS)
    def test_C1_what_acts_is_no_get(
        self, place: ActionPlace, eddy: Program, verb: str
    ) -> None:
        before = at_remote(place)
        query = {"repository": "acme/churn", "artifact": "churn"}
        with_token = Program(place).client
        for client in (eddy.client, with_token, Client()):
            for method in (client.get, client.head, client.options, client.put):
                answer = method(f"/api/v1/{verb}", query)
                assert answer.status_code == 405, method
        assert at_remote(place) == before

    def test_C1_the_log_is_read_and_not_written(
        self, place: ActionPlace, eddy: Program
    ) -> None:
        told = Program(place).done("register", commit=place.commits[0])
        for path in ("/api/v1/actions", told["href"]):
            assert eddy.client.get(path).status_code == 200
            for method in ("post", "put", "patch", "delete"):
                assert getattr(eddy.client, method)(path).status_code == 405


class TestTheLog:
    def test_nobody_reads_it_without_a_name(
        self, place: ActionPlace, settings: Any
    ) -> None:
        settings.MUSTER_PUBLIC_READ = True
        told = Program(place).done("register", commit=place.commits[0])
        for path in ("/api/v1/actions", told["href"]):
            answer = Client().get(path)
            assert answer.status_code == 401
            assert b"eddy" not in answer.content

    def test_from_where_is_for_its_person_and_admins(self, place: ActionPlace) -> None:
        told = Program(place).done("register", commit=place.commits[0])
        for who, scope, knows in (
            ("eddy", READ, True),
            ("alice", READ, True),
            ("vera", READ, False),
            ("erna", READ, False),
        ):
            program = Program(place, who, scope)
            one = program.get(told["href"])
            (listed,) = program.get("actions")["items"]
            expected = ("CI of eddy, act", "127.0.0.1") if knows else (None, None)
            assert (one["token_name"], one["remote_address"]) == expected
            assert one == listed
            hidden = {"token_name": None, "remote_address": None}
            assert one == told | ({} if knows else hidden)

    def test_a_hidden_or_a_gone_repository_is_for_admins(
        self, place: ActionPlace
    ) -> None:
        told = Program(place).done("register", commit=place.commits[0])
        people = {
            name: Program(place, name, READ) for name in ("eddy", "vera", "alice")
        }
        Repository.objects.update(hidden_at=place.repository.added_at)
        for end in (lambda: None, place.repository.delete):
            end()
            for name in ("eddy", "vera"):
                assert people[name].get("actions")["total"] == 0
                gone = people[name].get(told["href"])
                people[name].is_problem(gone, 404, "not-found")
            assert people["alice"].get("actions", repository="acme/churn")["total"] == 1
            assert people["alice"].get(told["href"])["repository"] == "acme/churn"
