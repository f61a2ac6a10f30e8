"""X1, X7, X8: whatever a repository holds is text on every page, never code."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from django.test import Client
from django.urls import reverse

from indexer.core.snapshot import FileRef, Json, Person, Problem
from indexer.models import Artifact, Crawl, Event, Repository, Version
from tests.builders import History, ingest_snapshot, make_repository
from tests.views.dom import dangers, links_of, text_of

MARKS = [
    "<script>alert('X1')</script>",
    '"><img src=x onerror=alert("X1")>',
    "' onmouseover='alert(1)' x='",
    "<svg/onload=alert(1)>",
    "javascript:alert(1)",
    "{{ settings.SECRET_KEY }}{% debug %}",
    "</script><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "<div hx-get=/logout hx-trigger=load>",
    "\u202egnp.exe \u2066mixed\u2069",
]


def hostile_repository(mark: str) -> Repository:
    """Every text a repository can give holds the mark."""
    who = Person(f"Eve {mark}", f"eve@example.com{mark}")
    history = History()
    files: dict[str, Json] = {
        "dvc.yaml": {
            "artifacts": {
                "m": {
                    "path": f"models/{mark}",
                    "type": f"model{mark}",
                    "desc": f"Before {mark} after",
                    "labels": [f"label {mark}"],
                    "meta": {mark: mark},
                },
                f"odd {mark}": {"path": mark, "type": "model", "desc": mark},
            }
        }
    }
    commit = history.commit(files, message=f"Commit {mark}")
    history.commits[commit] = replace(
        history.commits[commit],
        author=who,
        files=tuple(
            FileRef(one.path, one.blob_id) for one in history.commits[commit].files
        ),
    )
    history.register("m", "v1.0.0", on=commit, by=who, message=f"Registered {mark}")
    history.assign("m", "prod", "v1.0.0", by=who, message=f"Assigned {mark}")
    history.tag(f"m@v1.0.0{mark}", by=who, message=mark)
    history.lightweight(f"m@v9.9.9{mark}")
    history.problems.append(
        Problem("odd", f"Problem {mark}", path=f"dir/{mark}", line=3, tag=f"t {mark}")
    )
    repository = make_repository(
        "acme/hostile", web_url="https://github.com/acme/hostile", host="github.com"
    )
    ingest_snapshot(repository, history.snapshot(default_branch=f"main{mark}"))
    # Rows no history of today can make, and which a page must stand all the same.
    Artifact.objects.filter(name="m").update(
        type=f"model{mark}", latest_by=f"Eve {mark}"
    )
    Event.objects.update(author_name=f"Eve {mark}", message=f"Why {mark}")
    Repository.objects.update(
        message=f"State {mark}",
        description=mark,
        added_by=mark,
        url=f"https://h/{mark}",
    )
    Crawl.objects.create(
        repository=repository,
        status=Crawl.Status.FAILED,
        lease_id="00000000-0000-0000-0000-000000000000",
        started_at=repository.added_at,
        finished_at=repository.added_at,
        message=f"Failed {mark}",
        requested_by=mark,
        counts={mark: 1},
    )
    repository.refresh_from_db()
    return repository


@pytest.mark.parametrize("mark", MARKS)
def test_X1_X8_a_mark_in_every_field_is_text_on_every_page(
    alice: Client, mark: str
) -> None:
    repository = hostile_repository(mark)
    addresses = [
        "/?type=any&deprecated=any",
        f"/?type=any&q={mark.encode().hex()}",
        "/activity",
        "/repositories",
        f"/repositories/{repository.name}/",
        f"/repositories/{repository.name}/-/status",
        f"/repositories/{repository.name}/-/edit",
        f"/repositories/{repository.name}/-/remove",
    ]
    for artifact in Artifact.objects.all():
        addresses += [
            reverse("artifact", args=(repository.name, artifact.name)),
            reverse("history", args=(repository.name, artifact.name)),
        ]
    seen = ""
    for address in addresses:
        for headers in ({}, {"HX-Request": "true"}):
            response = alice.get(address, headers=headers)
            assert response.status_code == 200, address
            html = response.content.decode()
            assert dangers(html) == [], address
            assert "SECRET_KEY" not in html or "{{ settings.SECRET_KEY }}" in html
            seen += text_of(html)
    if "script" in mark:
        assert "Registered" in seen  # the mark is there, as text
        assert " ".join(mark.split()) in seen


def test_X1_the_same_through_the_address(bob: Client, acme: Repository) -> None:
    for mark in MARKS:
        for address in (
            "/",
            "/activity",
            "/repositories",
            "/history/acme/churn/-/churn",
        ):
            names = (
                "q",
                "stage",
                "label",
                "repository",
                "person",
                "sort",
                "page",
                "hide",
            )
            response = bob.get(address, dict.fromkeys(names, mark))
            assert response.status_code == 200
            assert dangers(response.content.decode()) == []


def test_X7_links_from_a_repository_are_web_addresses_or_none(
    bob: Client, acme: Repository
) -> None:
    Repository.objects.update(web_url="javascript:alert(1)", url="javascript:alert(2)")
    for address in (
        "/",
        "/activity",
        "/repositories/acme/churn/",
        reverse("artifact", args=("acme/churn", "churn")),
    ):
        html = bob.get(address).content.decode()
        assert not [link for link in links_of(html) if "javascript:" in link.lower()]


def test_T8_names_are_isolated_from_the_text_around_them(
    bob: Client, acme: Repository
) -> None:
    Version.objects.filter(name="v1.1.0").update(author_name="\u202eevE")
    html = bob.get(reverse("artifact", args=("acme/churn", "churn"))).content.decode()
    at = html.index("\u202eevE</bdi>")
    assert html.rfind("<bdi>", 0, at) > html.rfind("</bdi>", 0, at)


def test_X5_an_export_holds_no_formula(bob: Client, acme: Repository) -> None:
    Artifact.objects.filter(name="churn").update(description='=HYPERLINK("//e.x")')
    Event.objects.update(author_name="@SUM(1)", message="-2+3")
    models = bob.get("/?format=csv")
    events = bob.get("/activity?format=csv")
    text = b"".join(models).decode() + b"".join(events).decode()
    assert '"=HYPERLINK' not in text
    assert '"@SUM' not in text
    assert '"-2+3' not in text
    assert '"\'@SUM(1)"' in text
    assert models["Content-Disposition"] == 'attachment; filename="models.csv"'


def test_an_export_as_json_is_json(bob: Client, acme: Repository) -> None:
    rows = json.loads(b"".join(bob.get("/?format=json")))
    assert [row["name"] for row in rows] == ["churn", "cv:detector"]
    assert bob.get("/?format=xml").status_code == 404
