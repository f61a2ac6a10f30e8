"""Repositories: their state, their problems, crawling, adding, changing, removing."""

from __future__ import annotations

import subprocess
from pathlib import Path
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from indexer.models import Crawl, Repository
from tests.builders import History, ingest_history
from tests.views.dom import links_of, read, text_of

HTMX = {"HX-Request": "true"}
PAGE = "/repositories/acme/churn/"


def test_the_list_says_how_each_is(bob: Client, acme: Repository) -> None:
    ingest_history(
        "acme/bad", History().register("m", "v1.0.0").lightweight("m@v2.0.0")
    )
    Repository.objects.filter(name="acme/bad").update(
        state=Repository.State.DENIED, message="It wants a password. Add a token."
    )
    html = bob.get("/repositories").content.decode()
    text = text_of(html)
    assert "2 repositories" in text
    assert "Up to date" in text
    assert "No access" in text
    assert "It wants a password. Add a token." in text
    assert "/repositories/acme/bad/#problems" in links_of(html)
    assert "/?repository=acme%2Fchurn&deprecated=any" in links_of(html)
    only = text_of(bob.get("/repositories?state=problems").content.decode())
    assert "acme/bad" in only
    assert "acme/churn" not in only
    assert "No repository matches" in text_of(
        bob.get("/repositories?q=zzz").content.decode()
    )


def test_a_problem_has_its_place(bob: Client, db: None) -> None:
    from indexer.core.snapshot import Problem

    history = History()
    history.problems.append(
        Problem(
            "yaml",
            "The file is no YAML: a bracket is never closed.",
            path="models/dvc.yaml",
            line=7,
            commit_id=history.head,
        )
    )
    ingest_history("acme/churn", history, web_url="https://github.com/acme/churn",
                   host="github.com")  # fmt: skip
    html = bob.get(PAGE).content.decode()
    assert "models/dvc.yaml:7" in text_of(html)
    assert (
        f"https://github.com/acme/churn/blob/{history.head}/models/dvc.yaml#L7"
        in links_of(html)
    )


def running(repository: Repository) -> Crawl:
    lease = uuid4()
    Repository.objects.filter(pk=repository.pk).update(
        lease_id=lease, requested_seq=1, done_seq=0
    )
    return Crawl.objects.create(
        repository=repository,
        lease_id=lease,
        started_at=timezone.now(),
        phase="Reading tags",
        done=40,
        total=120,
    )


def test_crawl_now_shows_progress_that_ends_by_itself(
    alice: Client, acme: Repository
) -> None:
    asked = alice.post(f"{PAGE}-/crawl", headers=HTMX).content.decode()
    assert "Waiting for a worker" in text_of(asked)
    assert 'hx-trigger="every 1s"' in asked
    assert "Crawl now" not in text_of(asked)
    acme.refresh_from_db()
    assert (acme.requested_seq, acme.requested_by) == (1, "alice")

    crawl = running(acme)
    status = next(
        attrs["hx-get"] for _, attrs in read(asked).elements if "hx-get" in attrs
    )
    during = alice.get(status, headers=HTMX)
    assert "Reading tags 40 of 120" in text_of(during.content.decode())
    assert 'value="40" max="120"' in during.content.decode()
    assert 'hx-trigger="every 1s"' in during.content.decode()
    assert "HX-Trigger" not in during

    crawl.delete()
    Repository.objects.filter(pk=acme.pk).update(
        done_seq=1, lease_id=None, last_crawl_at=timezone.now()
    )
    after = alice.get(status, headers=HTMX)
    assert "every" not in after.content.decode()
    assert "Up to date" in text_of(after.content.decode())
    assert "crawl-ended" in after["HX-Trigger"]


def test_the_list_asks_once_for_all_its_rows(alice: Client, acme: Repository) -> None:
    assert "every 2s" not in alice.get("/repositories?q=acme").content.decode()
    running(acme)
    html = alice.get("/repositories?q=acme", headers=HTMX).content.decode()
    polls = [attrs for _, attrs in read(html).elements if "every " in str(attrs)]
    assert [attrs["id"] for attrs in polls] == ["list"]
    assert polls[0]["hx-get"] == "?q=acme"
    assert "Reading tags 40 of 120" in text_of(html)


def test_without_scripts_a_running_crawl_renews_the_page(
    alice: Client, acme: Repository
) -> None:
    assert "http-equiv" not in alice.get(PAGE).content.decode()
    running(acme)
    assert '<meta http-equiv="refresh"' in alice.get(PAGE).content.decode()


def test_a_repository_can_be_added(
    alice: Client, db: None, tmp_path: Path, settings: Settings
) -> None:
    settings.MUSTER_ALLOW_LOCAL = True
    folder = tmp_path / "models.git"
    subprocess.run(["git", "init", "--bare", "--quiet", str(folder)], check=True)
    response = alice.post(
        "/repositories/add",
        {"url": str(folder), "name": "team/models", "secret": "canary-2718"},
    )
    assert response["Location"] == "/repositories/team/models/"
    added = Repository.objects.get()
    assert (added.name, added.added_by, added.requested_seq) == (
        "team/models",
        "alice",
        1,
    )
    assert "canary" not in added.secret
    page = alice.get(response["Location"]).content.decode()
    assert "team/models is added" in text_of(page)
    for address in ("", "-/edit", "-/status"):
        page = alice.get(f"/repositories/team/models/{address}").content.decode()
        assert "canary" not in page
        assert added.secret not in page


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"url": ""}, "url"),
        ({"url": "ext::sh -c id"}, "url"),
        ({"url": "--upload-pack=x"}, "url"),
        ({"url": "/etc"}, "url"),
        ({"url": "https://git.example.com/a/b", "name": "acme/churn"}, "name"),
        ({"url": "https://git.example.com/a/b", "name": "a/../b"}, "name"),
        ({"url": "https://git.example.com/a/b", "reading": "guess"}, "reading"),
    ],
)
def test_A1_A2_A3_a_refused_address_says_why_beside_its_field(
    alice: Client,
    acme: Repository,
    settings: Settings,
    data: dict[str, str],
    field: str,
) -> None:
    settings.MUSTER_ALLOW_LOCAL = False
    settings.MUSTER_ALLOW_PRIVATE = True  # no name is looked up in a test
    response = alice.post("/repositories/add", data | {"secret": "canary-2718"})
    assert response.status_code == 422
    html = response.content.decode()
    assert "errorlist" in html.split(f'id="id_{field}"')[1].split("<label")[0]
    assert "canary" not in html
    assert Repository.objects.count() == 1


def test_it_can_be_changed_and_switched_off(
    alice: Client, acme: Repository, settings: Settings
) -> None:
    settings.MUSTER_ALLOW_PRIVATE = True
    page = alice.get(f"{PAGE}-/edit").content.decode()
    assert acme.url in page
    response = alice.post(
        f"{PAGE}-/edit",
        {"url": "https://git.example.com/acme/moved.git", "reading": "kanban"},
    )
    assert response["Location"] == PAGE
    acme.refresh_from_db()
    assert acme.url == "https://git.example.com/acme/moved.git"
    assert (acme.reading, acme.is_enabled) == ("kanban", False)
    text = text_of(alice.get(PAGE).content.decode())
    assert "Switched off" in text
    assert "Crawl now" not in text
    bad = alice.post(f"{PAGE}-/edit", {"url": "ext::sh"})
    assert bad.status_code == 422


def test_it_is_removed_after_a_page_that_says_what_goes(
    alice: Client, acme: Repository
) -> None:
    text = text_of(alice.get(f"{PAGE}-/remove").content.decode())
    assert "leave the catalog" in text
    assert Repository.objects.exists()
    response = alice.post(f"{PAGE}-/remove")
    assert response["Location"] == "/repositories"
    assert not Repository.objects.exists()
    assert "acme/churn is removed" in text_of(
        alice.get("/repositories").content.decode()
    )
