"""The action log as people see it: who asked for what, and what came of it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from indexer.models import Account, ActionLog, Artifact, Repository, Role
from tests.actions.places import ActionPlace, act_at
from tests.builders import History, ingest_history
from tests.views.dom import dangers, links_of, text_of
from tests.views.test_hostile_text import MARKS

Verb, Status, Via = ActionLog.Verb, ActionLog.Status, ActionLog.Via
NOON = datetime(2026, 3, 12, 12, tzinfo=UTC)


def log(repository: Repository | None, **fields: Any) -> ActionLog:
    """A row as an action leaves it; they are not derived from anything."""
    given: dict[str, Any] = {
        "key": uuid4().hex,
        "wish": uuid4().hex,
        "verb": Verb.ASSIGN,
        "status": Status.DONE,
        "actor": "eddy",
        "via": Via.PAGE,
        "repository": repository,
        "repository_name": repository.name if repository else "acme/gone",
        "artifact": "churn",
        "version": "v1.0.0",
        "stage": "prod",
        "tag": "churn#prod#9",
        "message": "Passed review RV-9",
        "sentence": "prod is assigned to churn v1.0.0: tag churn#prod#9.",
        "tagger_name": "Eddy Édouard",
        "tagger_email": "eddy@example.org",
        "asked_at": NOON,
        "ended_at": NOON + timedelta(seconds=2),
    }
    return ActionLog.objects.create(**given | fields)


def signed_in(name: str, role: str) -> Client:
    user = User.objects.create_user(name)
    Account.objects.create(user=user, role=role)
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def eddy(db: None) -> Client:
    return signed_in("eddy", Role.EDITOR)


@pytest.fixture
def place(
    tmp_path: Path, own_site: None, transactional_db: None
) -> Iterator[ActionPlace]:
    with act_at("git", tmp_path) as found:
        yield found


def page(client: Client, query: str = "") -> str:
    response = client.get(f"/actions?{query}")
    assert response.status_code == 200
    return response.content.decode()


def text(client: Client, query: str = "") -> str:
    return text_of(page(client, query))


def as_json(client: Client, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        b"".join(client.get(f"/actions?format=json&{query}"))
    )
    return found


def as_csv(client: Client, query: str = "") -> list[dict[str, str]]:
    whole = b"".join(client.get(f"/actions?format=csv&{query}")).decode()
    return list(csv.DictReader(io.StringIO(whole, newline="")))


def test_what_was_done_and_what_was_refused_are_lines(place: ActionPlace) -> None:
    place.register(version="v1.0.0")
    place.assign("prod", "v1.0.0", by="alice", message="Passed review RV-7")
    place.assign("prod", "v1.0.0", by="erna")
    place.push_tag("churn#dev#7", place.commits[0], at=2_000_000_000)
    place.crawl()
    vera = Client()
    vera.force_login(place.people["vera"])

    html = page(vera)
    again, assigned, registered = html.split("<tbody>")[1].split("</tr>")[:3]
    assert "3 actions" in text_of(html)
    for part in ("eddy", "Register a version", "v1.0.0", "Done", "churn@v1.0.0"):
        assert part in text_of(registered)
    for part in ("alice", "Assign a stage", "prod", "Passed review RV-7"):
        assert part in text_of(assigned)
    assert "/models/acme/churn/-/churn" in links_of(assigned)
    assert "/models/acme/churn/-/churn@v1.0.0" in links_of(assigned)
    for part in ("erna", "Refused", "churn v1.0.0 is in prod already."):
        assert part in text_of(again)

    for address in ("/history/acme/churn/-/churn", "/activity"):
        shown = vera.get(address).content.decode()
        assert shown.count("through Muster</a></span>") == 2
        assert shown.count("pushed to Git") == 1
        (row,) = ActionLog.objects.filter(tag="churn@v1.0.0")
        assert f"/actions?action={row.uuid}" in links_of(shown)
    assert "1 action ," in text(vera, f"action={row.uuid}")


def test_who_did_not_sign_in_sees_nothing_where_everybody_may_read(
    charlie: Client, acme: Repository
) -> None:
    log(acme)
    assert charlie.get("/activity").status_code == 200
    response = charlie.get("/actions?q=churn")
    assert response.status_code == 302
    assert response["Location"] == "/login?next=/actions%3Fq%3Dchurn"
    assert charlie.get("/actions?format=json").status_code == 302
    assert "/actions" not in charlie.get("/activity").content.decode()


def test_where_it_came_from_is_for_admins_and_whoever_asked(
    alice: Client, bob: Client, eddy: Client, acme: Repository
) -> None:
    origin = {
        "via": Via.API,
        "token_name": "night-job",
        "remote_address": "192.0.2.7",
        "user": User.objects.get(username="eddy"),
    }
    log(acme, **origin)
    other = signed_in("erna", Role.EDITOR)
    for person in (alice, eddy):
        assert "by API token night-job from 192.0.2.7" in text(person)
        (record,) = as_json(person)
        assert record["token_name"] == "night-job"
        assert as_csv(person)[0]["remote address"] == "192.0.2.7"
    for person in (bob, other):
        assert "by the API" in text(person)
        assert "night-job" not in page(person)
        assert "192.0.2.7" not in page(person)
        (record,) = as_json(person)
        assert (record["token_name"], record["remote_address"]) == (None, None)
        assert as_csv(person)[0]["API token"] == ""
        assert "0 actions" in text(person, "q=night-job")


def test_a_hidden_or_removed_repository_is_for_admins_alone(
    alice: Client, bob: Client, eddy: Client, acme: Repository
) -> None:
    log(acme, user=User.objects.get(username="eddy"))
    assert "1 action ," in text(eddy)
    Repository.objects.update(hidden_at=timezone.now())
    for person in (bob, eddy):
        assert "Nothing was asked for yet" in text(person)
        assert "acme/churn" not in page(person)
        assert as_json(person) == as_csv(person) == []
    assert "acme/churn" in text(alice)

    Repository.objects.all().delete()
    for person in (bob, eddy):
        assert "acme/churn" not in page(person)
        assert as_json(person) == []
    assert "acme/churn , removed" in text(alice, "repository=acme/churn")
    assert as_json(alice)[0]["repository"] == "acme/churn"


def test_a_line_outlives_its_person_and_its_model(
    alice: Client, bob: Client, eddy: Client, acme: Repository
) -> None:
    log(acme, user=User.objects.get(username="eddy"))
    User.objects.get(username="eddy").delete()
    Artifact.objects.filter(name="churn").delete()
    for person in (alice, bob):
        html = page(person)
        assert "eddy no account any more" in text_of(html)
        assert "churn" in text_of(html)
        assert "/models/acme/churn/-/churn" not in links_of(html)
        assert "/repositories/acme/churn/" in links_of(html)
    assert as_json(bob)[0]["actor"] == "eddy"


def test_a_renamed_repository_is_found_by_its_name_of_today(
    bob: Client, acme: Repository
) -> None:
    log(acme)
    Repository.objects.update(name="acme/retention")
    ingest_history("acme/churn", History().register("churn", "v1.0.0"))
    assert "acme/retention then acme/churn" in text(bob, "repository=acme/retention")
    assert "No action matches" in text(bob, "repository=acme/churn&artifact=churn")


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 4),
        ("q=RV-9", 3),
        ("q=churn%23prod", 2),
        ("q=already+prod", 1),
        ("q=100%25", 0),
        ("person=EDDY", 3),
        ("person=édou", 3),
        ("person=erna@", 1),
        ("person=nobody", 0),
        ("verb=assign", 3),
        ("verb=assign&verb=register", 4),
        ("result=refused", 1),
        ("result=writing", 1),
        ("result=done&result=unknown", 2),
        ("repository=acme/churn", 4),
        ("repository=acme/other", 0),
        ("repository=acme/churn&artifact=cv:detector", 1),
        ("since=2026-03-12", 4),
        ("since=2026-03-13", 1),
        ("until=2026-03-12", 3),
        ("until=2026-03-11", 0),
    ],
)
def test_the_log_can_be_filtered(
    bob: Client, acme: Repository, query: str, count: int
) -> None:
    log(acme)
    log(acme, status=Status.REFUSED, sentence="churn is in prod already.", tag="")
    log(acme, status=Status.ASKED, ended_at=None, sentence="")
    log(
        acme,
        verb=Verb.REGISTER,
        artifact="cv:detector",
        actor="erna",
        tagger_name="Erna",
        tagger_email="erna@example.org",
        stage="",
        tag="cv=detector@v1.0.0",
        message="",
        sentence="cv:detector v1.0.0 is registered.",
        asked_at=NOON + timedelta(days=3),
    )
    html = page(bob, query)
    assert html.count("<tr>") == (count + 1 if count else 0)
    assert len(as_json(bob, query)) == len(as_csv(bob, query)) == count
    fragment = bob.get(f"/actions?{query}", headers={"HX-Request": "true"})
    part = fragment.content.decode()
    assert part.strip().startswith('<div id="actions"')
    assert part.count("<tr>") == html.count("<tr>")
    assert "<h1>" not in part


def test_what_makes_no_sense_is_said(bob: Client, acme: Repository) -> None:
    log(acme)
    found = text(bob, "verb=explode&result=fine&since=yesterday&action=7&page=x")
    assert "verb is “explode”" in found
    assert "result is “fine”" in found
    assert "since is “yesterday”" in found
    assert "action is no id of an action" in found
    assert "1 action ," in found
    assert bob.get("/actions?format=xml").status_code == 404


def test_pages_and_turning_round(bob: Client, acme: Repository) -> None:
    for number in range(30):
        log(acme, message=f"No {number:03}", asked_at=NOON + timedelta(hours=number))
    first, second = page(bob, "size=25"), page(bob, "size=25&page=2")
    assert "30 actions , 1–25 shown, newest first" in text_of(first)
    assert "No 029" in first
    assert "No 004" not in first
    assert "No 004" in second
    assert "?sort=time&size=25" in links_of(first)
    oldest = page(bob, "sort=time")
    assert oldest.index("No 000") < oldest.index("No 029")
    assert [row["message"] for row in as_json(bob, "size=25&page=2")][::29] == [
        "No 029",
        "No 000",
    ]


def test_X5_no_cell_of_the_export_begins_a_formula(
    bob: Client, acme: Repository
) -> None:
    log(acme, message="=1+1", actor="@evil", sentence="-2", tagger_name="+3")
    (row,) = as_csv(bob)
    assert (row["message"], row["user"]) == ("'=1+1", "'@evil")
    assert (row["sentence"], row["name"]) == ("'-2", "'+3")
    assert as_json(bob)[0]["message"] == "=1+1"


@pytest.mark.parametrize("mark", MARKS)
def test_X1_whatever_was_asked_is_text(
    alice: Client, acme: Repository, mark: str
) -> None:
    texts = ("actor", "token_name", "remote_address", "repository_name", "artifact",
             "version", "stage", "tag", "message", "sentence", "tagger_name",
             "tagger_email", "html")  # fmt: skip
    long = dict.fromkeys(texts, mark)
    log(acme, **long)
    log(None, **long)
    log(acme, **long | {"tag": "", "status": Status.REFUSED})
    html = page(alice, f"q={mark[:20]}".replace("#", "%23").replace("&", "%26"))
    assert dangers(html) == []
    html = page(alice)
    assert dangers(html) == []
    assert html.count("<tr>") == 4
    assert mark[:10] in text_of(html) or mark.split()[0] in text_of(html)


def test_every_end_has_its_badge(bob: Client, acme: Repository) -> None:
    for status in Status:
        log(acme, status=status, right=ActionLog.Right.SHARED, artifact=status.value)
    found = text(bob)
    for label in Status.labels:
        assert str(label) in found
    assert found.count("with the connection’s token") == len(Status)
    assert found.count("not written") == 2


def test_a_file_that_was_committed_has_its_commit_or_request(
    bob: Client, acme: Repository
) -> None:
    commit = {"verb": Verb.EDIT, "tag": "", "object_id": "c" * 40}
    log(acme, **commit)
    log(acme, **commit, html="https://github.com/acme/churn/pull/7")
    html = page(bob)
    assert f"https://github.com/acme/churn/commit/{'c' * 40}" in links_of(html)
    assert "https://github.com/acme/churn/pull/7" in links_of(html)


def test_the_log_is_led_to_from_the_history(bob: Client, acme: Repository) -> None:
    assert "/actions" in links_of(bob.get("/activity").content.decode())
    history = bob.get("/history/acme/churn/-/churn").content.decode()
    address = "/actions?repository=acme%2Fchurn&artifact=churn"
    assert address in links_of(history)
    assert bob.get(address).status_code == 200


def test_an_empty_log_says_what_makes_a_line(bob: Client, eddy: Client) -> None:
    assert "needs the role editor" in text(bob)
    assert "Register a version or assign a stage" in text(eddy)
    assert "No action matches" in text(bob, "q=x")


def test_thirty_lines_cost_what_one_does(bob: Client, acme: Repository) -> None:
    def cost(query: str) -> int:
        with CaptureQueriesContext(connection) as caught:
            bob.get(f"/actions?{query}")
        return len(caught)

    log(acme)
    before = [cost(""), cost("person=eddy"), cost("q=churn")]
    for number in range(29):
        log(acme, artifact=f"m{number}", actor=f"p{number}")
    assert [cost(""), cost("person=eddy"), cost("q=churn")] == before
    with CaptureQueriesContext(connection) as caught:
        assert len(as_csv(bob)) == 30
    assert len(caught) <= 6
