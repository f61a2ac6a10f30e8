"""The list of models."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from indexer.models import Repository
from tests.builders import History, ingest_history, make_repository
from tests.views.dom import links_of, read, text_of

HTMX = {"HX-Request": "true"}


def names(html: str) -> list[str]:
    """The models listed, in order."""
    rows = html.split('<th scope="row"')[1:]
    return [text_of("<th" + row.split("</a>")[0]) for row in rows]


def test_a_row_has_all_one_asks_for(bob: Client, acme: Repository) -> None:
    html = bob.get("/").content.decode()
    text = text_of(html)
    assert names(html) == ["churn", "cv:detector"]
    assert "2 models" in text
    assert "Who is about to leave" in text
    for part in ("acme/churn", "tabular", "v1.1.0", "v1.0.0", "v2.0.0", "Alice", "Bob"):
        assert part in text
    columns = [text_of(cell) for cell in html.split('<th scope="col"')[1:8]]
    assert [column.split()[-1] for column in columns] != []
    links = links_of(html)
    assert "/models/acme/churn/-/churn" in links
    assert "/models/acme/churn/-/churn@v1.0.0" in links
    assert "/models/acme/churn/-/cv:detector@v2.0.0" in links
    assert "/repositories/acme/churn/" in links
    assert "/?stage=prod" in links
    assert "/?label=tabular" in links
    assert "/activity?person=alice%40example.com" in links


def test_a_time_is_relative_and_exact(bob: Client, acme: Repository) -> None:
    times = [
        attrs for tag, attrs in read(bob.get("/").content.decode()).elements
        if tag == "time"
    ]  # fmt: skip
    # Tagged at two hours east of UTC.
    local = [attrs for attrs in times if attrs["datetime"].endswith("+02:00")]
    assert local
    assert all(attrs["title"].endswith("UTC)") for attrs in local)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=CHURN", ["churn", "cv:detector"]),
        ("q=retention", ["churn"]),
        ("q=leave", ["churn"]),
        ("stage=prod", ["churn"]),
        ("stage=dev", ["churn", "cv:detector"]),
        ("stage=dev&not_stage=prod", ["cv:detector"]),
        ("label=tabular", ["churn"]),
        ("type=dataset", ["customers"]),
        ("type=any", ["churn", "customers", "cv:detector"]),
        ("deprecated=yes", ["old-churn"]),
        ("deprecated=any", ["churn", "cv:detector", "old-churn"]),
        ("registered=no&type=any", ["customers"]),
        ("repository=acme/churn&sort=-name", ["cv:detector", "churn"]),
        ("repository=no/such", []),
    ],
)
def test_filters_are_in_the_address(
    bob: Client, acme: Repository, query: str, found: list[str]
) -> None:
    response = bob.get(f"/?{query}")
    assert names(response.content.decode()) == found
    fragment = bob.get(f"/?{query}", headers=HTMX)
    assert names(fragment.content.decode()) == found


def test_a_filter_that_is_on_can_be_taken_off(bob: Client, acme: Repository) -> None:
    html = bob.get("/?stage=dev&label=tabular&q=churn").content.decode()
    links = links_of(html)
    assert "?stage=dev&label=tabular" in links
    assert "?q=churn&label=tabular" in links
    assert "?q=churn&stage=dev" in links
    fields = {
        (attrs.get("name"), attrs.get("value"))
        for tag, attrs in read(html).elements
        if tag == "input" and "checked" in attrs
    }
    assert {("stage", "dev"), ("label", "tabular")} <= fields


def test_a_bad_value_is_told(bob: Client, acme: Repository) -> None:
    text = text_of(bob.get("/?sort=colour&size=7").content.decode())
    assert "sort is “colour”" in text
    assert "size is “7”" in text


def test_htmx_gets_the_list_and_the_address_to_show(
    bob: Client, acme: Repository
) -> None:
    response = bob.get("/?q=&stage=dev&size=50&sort=name&page=1", headers=HTMX)
    html = response.content.decode()
    assert "<html" not in html
    assert html.strip().startswith('<div id="results"')
    assert response["HX-Push-Url"] == "/?stage=dev"
    assert 'hx-swap-oob="innerHTML">2 models' in html
    again = HTMX | {"HX-Current-URL": "http://testserver/?stage=dev"}
    assert "HX-Push-Url" not in bob.get("/?stage=dev", headers=again)


def test_the_back_button_gets_a_whole_page(bob: Client, acme: Repository) -> None:
    headers = HTMX | {"HX-History-Restore-Request": "true"}
    assert "<html" in bob.get("/?stage=dev", headers=headers).content.decode()


def test_columns_can_be_hidden(bob: Client, acme: Repository) -> None:
    html = bob.get("/?hide=labels&hide=stage:dev").content.decode()
    head = html.split("<thead>")[1].split("</thead>")[0]
    assert "Labels" not in head
    assert ">dev<" not in head
    assert ">prod<" in head
    checked = {
        attrs["value"]
        for tag, attrs in read(html).elements
        if attrs.get("name") == "hide" and "checked" in attrs
    }
    assert checked == {"labels", "stage:dev"}


def test_it_is_paged(bob: Client, many: Callable[[int], Repository]) -> None:
    many(60)
    html = bob.get("/?size=25&page=2").content.decode()
    assert names(html)[0] == "model-025"
    assert "60 models , 26–50 shown" in text_of(html)
    assert "?size=25" in links_of(html)
    assert "?size=25&page=3" in links_of(html)
    assert names(bob.get("/?size=25&page=99").content.decode())[0] == "model-050"


def test_sort_links_turn_round(bob: Client, acme: Repository) -> None:
    assert "?sort=-name" in links_of(bob.get("/").content.decode())
    assert "?sort=-activity" in links_of(bob.get("/").content.decode())
    html = bob.get("/?sort=-activity").content.decode()
    assert "?sort=activity" in links_of(html)
    assert 'aria-sort="descending"' in html


def test_without_a_repository_it_offers_the_demo_and_the_form(
    alice: Client, charlie: Client, db: None
) -> None:
    own = alice.get("/").content.decode()
    assert "/repositories/add" in links_of(own)
    assert "python manage.py demo" in own
    assert "/login?next=/repositories/add" in links_of(
        charlie.get("/").content.decode()
    )


def test_nothing_found_says_what_to_push(bob: Client, db: None) -> None:
    ingest_history("acme/empty", History())
    text = text_of(bob.get("/").content.decode())
    assert "No model yet" in text
    assert "git tag -a churn@v0.1.0" in text
    assert "artifacts: churn: path: models/churn.pkl type: model" in text
    text = text_of(bob.get("/?q=zzz").content.decode())
    assert "No model matches" in text


def test_the_first_crawls_are_told_until_they_end(
    bob: Client, acme: Repository
) -> None:
    assert "hx-trigger" not in bob.get("/first-crawls?left=0").content.decode()
    waiting = make_repository("acme/new")
    html = bob.get("/").content.decode()
    assert "1 of 2 done" in text_of(html)
    assert 'hx-get="/first-crawls?left=1"' in html
    same = bob.get("/first-crawls?left=1", headers=HTMX)
    assert "HX-Trigger" not in same
    assert 'hx-trigger="every 1s"' in same.content.decode()
    Repository.objects.filter(pk=waiting.pk).update(state=Repository.State.OK)
    done = bob.get("/first-crawls?left=1", headers=HTMX)
    assert "catalog-changed" in done["HX-Trigger"]
    assert "every" not in done.content.decode()


def test_every_page_says_how_old_the_index_is(bob: Client, acme: Repository) -> None:
    for address in ("/", "/activity", "/repositories", "/models/acme/churn/-/churn"):
        text = text_of(bob.get(address).content.decode())
        assert "1 repository · oldest look just now" in text
    Repository.objects.update(state=Repository.State.DENIED)
    assert "1 cannot be read" in text_of(bob.get("/").content.decode())


def test_an_empty_site_renews_itself_when_a_repository_comes(
    charlie: Client, db: None
) -> None:
    assert "/first-crawls?none=1" in charlie.get("/").content.decode()
    assert charlie.get("/first-crawls?none=1").status_code == 204
    make_repository("acme/new")
    assert charlie.get("/first-crawls?none=1")["HX-Refresh"] == "true"
