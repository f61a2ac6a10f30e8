"""The auditor's tables."""

from __future__ import annotations

import csv
import io
import json

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from indexer.models import ActionLog, Event, Repository
from tests.builders import History, ingest_history
from tests.views.dom import links_of, text_of

CHURN = "/history/acme/churn/-/churn"


def test_a_line_has_all_an_auditor_asks_for(bob: Client, acme: Repository) -> None:
    html = bob.get(f"{CHURN}?stage=prod").content.decode()
    row = html.split("<tbody>")[1].split("</tr>")[0]
    text = text_of(row)
    event = Event.objects.get(stage="prod")
    assert event.at is not None
    assert f"{event.at:%Y-%m-%d %H:%M:%S} UTC" in text
    assert "+02:00" in text
    for part in ("Assignment", "v1.0.0", "prod", "Alice", "alice@example.com"):
        assert part in text
    for part in ("Passed review RV-7", event.commit_id[:7], event.tag):
        assert part in text
    assert f"https://github.com/acme/churn/commit/{event.commit_id}" in links_of(row)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 6),
        ("event=assignment", 2),
        ("event=registration&event=deregistration", 4),
        ("person=bob", 3),
        ("person=alice@example.com", 3),
        ("stage=dev", 1),
        ("q=RV-7", 1),
        ("since=2999-01-01", 0),
        ("until=1999-01-01", 0),
        ("since=2024-12-31&until=2026-01-01", 6),
    ],
)
def test_a_history_can_be_filtered(
    bob: Client, acme: Repository, query: str, count: int
) -> None:
    html = bob.get(f"{CHURN}?{query}").content.decode()
    assert html.count("<tr>") == (count + 1 if count else 0)
    fragment = bob.get(f"{CHURN}?{query}", headers={"HX-Request": "true"})
    assert fragment.content.decode().strip().startswith('<div id="events"')
    rows = json.loads(b"".join(bob.get(f"{CHURN}?{query}&format=json")))
    assert len(rows) == count
    text = b"".join(bob.get(f"{CHURN}?{query}&format=csv")).decode()
    assert len(list(csv.reader(io.StringIO(text)))) == count + 1


def test_it_turns_round(bob: Client, acme: Repository) -> None:
    newest = bob.get(CHURN).content.decode()
    assert "?sort=time" in links_of(newest)
    oldest = bob.get(f"{CHURN}?sort=time").content.decode()
    assert newest.index("v1.2.0-rc.1!") < newest.index("RV-7")
    assert oldest.index("RV-7") < oldest.index("v1.2.0-rc.1!")


def test_activity_names_the_model_and_its_repository(
    bob: Client, acme: Repository
) -> None:
    html = bob.get("/activity").content.decode()
    assert "10 events" in text_of(html)
    assert "/models/acme/churn/-/cv:detector" in links_of(html)
    assert "/repositories/acme/churn/" in links_of(html)
    assert "acme/churn" in text_of(html)
    assert "0 events" in text_of(bob.get("/activity?repository=x/y").content.decode())


def test_an_unknown_date_is_said_and_not_invented(
    bob: Client, acme: Repository
) -> None:
    Event.objects.filter(stage="prod").update(at=None)
    for address in (f"{CHURN}?stage=prod", "/models/acme/churn/-/churn"):
        html = bob.get(address).content.decode()
        assert "date unknown" in text_of(html)
        assert "1970" not in html


def test_an_empty_history_says_what_makes_a_line(bob: Client, db: None) -> None:
    text = text_of(bob.get("/activity").content.decode())
    assert "Nothing has happened yet" in text
    assert "git tag -a" in text


def test_F_G1_a_moved_or_deleted_tag_is_never_silently_gone(
    bob: Client, db: None
) -> None:
    history = History().register("m", "v1.0.0").register("m", "v2.0.0")
    history.assign("m", "prod", "v2.0.0", message="Approved by nobody")
    repository = ingest_history("acme/m", history)
    page = "/history/acme/m/-/m"
    assert "deleted or moved" not in text_of(bob.get(page).content.decode())

    assigned = history.tags[-1].ref
    old = history.commit_of[("m", "v1.0.0")]
    history.without(assigned, "m@v1.0.0")
    history.tag("m@v1.0.0", history.commit(), message="Another one")
    ingest_history(repository, history)
    for address in (page, "/repositories/acme/m/"):
        text = text_of(bob.get(address).content.decode())
        gone = text.split("Tags that were deleted or moved")[1]
        assert f"{assigned} deleted from" in gone
        assert "Approved by nobody" in gone
        new = history.tags[-1].commit_id
        assert new is not None
        assert f"m@v1.0.0 moved from {old[:7]} to {new[:7]}" in gone
    text = text_of(bob.get("/models/acme/m/-/m").content.decode())
    assert "2 tags were deleted or moved" in text


def test_the_address_of_an_odd_name_fits_in_a_header(
    bob: Client, acme: Repository
) -> None:
    acme.artifacts.filter(name="churn").update(name="chürn 100%\n")
    address = reverse("history", args=("acme/churn", "chürn 100%\n"))
    response = bob.get(f"{address}?event=assignment", headers={"HX-Request": "true"})
    assert response["HX-Push-Url"] == f"{address}?event=assignment"


def written_here(event: Event, **fields: str) -> ActionLog:
    """The row of the action that wrote an event's tag."""
    return ActionLog.objects.create(
        key=event.tag_id,
        verb=ActionLog.Verb.ASSIGN,
        status=ActionLog.Status.DONE,
        actor="eddy",
        via=ActionLog.Via.PAGE,
        repository=event.repository,
        repository_name=event.repository.name,
        artifact="churn",
        object_id=event.tag_id,
        tagger_name=fields.get("name", event.author_name),
        asked_at=timezone.now(),
        ended_at=timezone.now(),
    )


def test_an_event_says_whether_it_was_asked_for_through_muster(
    bob: Client, charlie: Client, acme: Repository
) -> None:
    row = written_here(Event.objects.get(stage="prod"))
    for address in (CHURN, "/models/acme/churn/-/churn"):
        html = bob.get(address).content.decode()
        assert (
            html.count(f'<a href="/actions?action={row.uuid}">through Muster</a>') == 1
        )
        assert html.count("pushed to Git") == 5
        assert "asked for by" not in html
        public = charlie.get(address).content.decode()
        assert "through Muster" in text_of(public)
        assert "/actions" not in public
    (record,) = json.loads(b"".join(bob.get(f"{CHURN}?stage=prod&format=json")))
    assert record["through_muster"] is True
    text = b"".join(bob.get(f"{CHURN}?format=csv")).decode()
    lines = csv.DictReader(io.StringIO(text))
    assert sorted(line["through Muster"] for line in lines) == ["no"] * 5 + ["yes"]


def test_who_asked_is_named_where_git_names_another(
    bob: Client, charlie: Client, acme: Repository
) -> None:
    written_here(Event.objects.get(stage="prod"), name="Eddy <b>")
    said = "through Muster , asked for by Eddy <b>"
    assert said in text_of(bob.get(CHURN).content.decode())
    assert "Eddy" not in charlie.get(CHURN).content.decode()


@pytest.mark.parametrize("status", ["unknown", "writing", "failed"])
def test_a_tag_is_an_actions_whatever_became_of_the_row(
    bob: Client, acme: Repository, status: str
) -> None:
    """The object's id says whose it is, person and second included."""
    event = Event.objects.get(stage="prod")
    row = ActionLog.objects.create(
        key="1",
        status=status,
        repository=acme,
        object_id="0" * 40,
        asked_at=timezone.now(),
    )
    assert "through Muster</a></span>" not in bob.get(CHURN).content.decode()
    ActionLog.objects.filter(pk=row.pk).update(object_id=event.tag_id)
    assert "through Muster</a>" in bob.get(CHURN).content.decode()
