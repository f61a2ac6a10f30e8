"""Finding a model: with the mouse, by keys alone, on a phone, without scripts."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from indexer.models import Repository
from tests.browser.conftest import Open

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]

PAGES = [
    "/",
    "/?type=any&deprecated=any",
    "/models/acme/churn/-/churn",
    "/models/acme/churn/-/churn@v1.0.0",
    "/history/acme/churn/-/churn",
    "/activity",
    "/repositories",
    "/repositories/acme/churn/",
    "/login",
]


def names(page: Page) -> list[str]:
    return page.locator("tbody th a:first-child").all_inner_texts()


def test_search_filter_sort_and_back(acme: Repository, open_page: Open) -> None:
    page = open_page("/")
    assert names(page) == ["churn", "cv:detector"]
    page.get_by_role("searchbox").fill("detector")
    expect(page.locator(".list-head strong")).to_have_text("1 model")
    expect(page).to_have_url(re.compile(r"/\?q=detector$"))
    assert names(page) == ["cv:detector"]
    expect(page.get_by_role("searchbox")).to_be_focused()
    expect(page.locator("#live")).to_have_text("1 model")

    page.get_by_role("searchbox").fill("")
    expect(page).to_have_url(re.compile(r"/$"))
    page.locator("summary", has_text="Stage").click()
    page.get_by_label("in prod", exact=True).check()
    expect(page).to_have_url(re.compile(r"\?stage=prod$"))
    assert names(page) == ["churn"]
    expect(page.locator("#on-stage")).to_contain_text("1")
    page.get_by_label("not in prod").check()  # both at once make no sense
    expect(page).to_have_url(re.compile(r"\?not_stage=prod$"))
    expect(page.get_by_label("in prod", exact=True)).not_to_be_checked()
    assert names(page) == ["cv:detector"]
    page.keyboard.press("Escape")

    page.get_by_role("link", name="Clear all").or_(
        page.get_by_role("link", name="not in prod")
    ).first.click()
    expect(page).to_have_url(re.compile(r"/$"))
    page.get_by_role("link", name="Name").click()
    expect(page).to_have_url(re.compile(r"\?sort=-name$"))
    assert names(page) == ["cv:detector", "churn"]

    page.go_back()
    expect(page).to_have_url(re.compile(r"/$"))
    expect(page.locator("tbody th a").first).to_have_text("churn")
    page.go_forward()
    expect(page.locator("tbody th a").first).to_have_text("cv:detector")
    page.reload()
    assert names(page) == ["cv:detector", "churn"]


def test_columns_and_sizes_stay_in_the_address(
    acme: Repository, open_page: Open
) -> None:
    page = open_page("/")
    page.locator("summary", has_text="Columns").click()
    page.locator("label", has_text="Labels").last.click()
    expect(page).to_have_url(re.compile(r"\?hide=labels$"))
    expect(page.get_by_role("columnheader", name="Labels")).to_have_count(0)
    page.keyboard.press("Escape")
    page.get_by_label("Rows").select_option("25")
    expect(page).to_have_url(re.compile(r"\?size=25&hide=labels$"))
    page.get_by_label("Sort by").focus()
    page.get_by_label("Sort by").select_option("-activity")
    expect(page).to_have_url(re.compile(r"sort=-activity"))
    expect(page.get_by_label("Sort by")).to_be_focused()


def test_keys_alone_are_enough(acme: Repository, open_page: Open) -> None:
    page = open_page("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("churn")
    expect(page).to_have_url(re.compile(r"q=churn"))
    page.keyboard.press("Tab")
    expect(page.locator("summary", has_text="Stage")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label("in dev", exact=True)).to_be_focused()
    page.keyboard.press("Space")
    expect(page).to_have_url(re.compile(r"q=churn&stage=dev"))
    page.keyboard.press("Escape")
    expect(page.locator("summary", has_text="Stage")).to_be_focused()
    expect(page.locator("details[open]")).to_have_count(0)
    row = page.get_by_role("rowheader").get_by_role("link", name="churn", exact=True)
    row.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("churn")
    page.locator("summary.picker").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/-/churn@v1\.0\.0$"))


@pytest.mark.parametrize("address", PAGES)
def test_no_page_is_wider_than_a_phone(
    acme: Repository, open_page: Open, address: str
) -> None:
    page = open_page(address, width=390)
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390


def test_on_a_phone_the_table_is_cards(acme: Repository, open_page: Open) -> None:
    page = open_page("/", width=390)
    card = page.locator("tbody tr").first
    box = card.bounding_box()
    assert box is not None
    assert box["height"] > 150
    for text in ("churn", "v1.1.0", "v1.0.0", "acme/churn"):
        expect(card.get_by_text(text, exact=True).first).to_be_visible()


def test_without_scripts_all_can_be_read_and_filtered(
    acme: Repository, open_page: Open
) -> None:
    page = open_page("/", java_script_enabled=False)
    page.get_by_role("searchbox").fill("detector")
    page.get_by_role("button", name="Search").click()
    assert names(page) == ["cv:detector"]
    page.goto("/")
    page.locator("summary", has_text="Stage").click()
    page.get_by_label("in prod", exact=True).check()
    page.locator("details[open]").get_by_role("button", name="Apply").click()
    assert names(page) == ["churn"]
    page.get_by_role("rowheader").get_by_role("link", name="churn").click()
    expect(page.get_by_role("heading", name="Stages")).to_be_visible()
    page.get_by_role("link", name="Assignment", exact=True).click()
    assert page.locator(".timeline li").count() == 2
    page.get_by_role("link", name=re.compile("^History")).click()
    assert page.locator("tbody tr").count() == 6
    expect(page.locator("button.copy").first).to_be_hidden()


def test_the_theme_follows_the_system_or_the_switch(
    acme: Repository, open_page: Open
) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    page = open_page("/", color_scheme="dark")
    dark = page.evaluate(ground)
    switch = page.get_by_role("button", name=re.compile("^Theme: system"))
    switch.click()
    page.get_by_role("button", name=re.compile("^Theme: light"))
    light = page.evaluate(ground)
    assert light != dark
    page.reload()
    assert page.evaluate(ground) == light
    page.get_by_role("button", name=re.compile("^Theme: light")).click()
    assert page.evaluate(ground) == dark
    other = open_page("/", color_scheme="light")
    assert other.evaluate(ground) == light


def test_a_command_is_copied_as_it_stands(acme: Repository, open_page: Open) -> None:
    page = open_page(
        "/models/acme/churn/-/churn@v1.0.0",
        permissions=["clipboard-read", "clipboard-write"],
    )
    line = page.locator(".command", has_text="with DVC").first
    line.get_by_role("button").click()
    expect(page.locator("#live")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == line.locator("code").inner_text()


def test_the_timeline_is_filtered_in_place(acme: Repository, open_page: Open) -> None:
    page = open_page("/models/acme/churn/-/churn")
    assert page.locator(".timeline li").count() == 6
    page.get_by_role("link", name="Assignment", exact=True).click()
    expect(page.locator(".timeline li")).to_have_count(2)
    expect(page.locator("#live")).to_have_text("2 events")
    expect(page.get_by_role("link", name="Assignment", exact=True)).to_be_focused()


def test_an_error_of_the_server_is_told_and_the_list_stays(
    acme: Repository, open_page: Open
) -> None:
    page = open_page("/", errors=True)
    page.route("**/?q=*", lambda route: route.fulfill(status=500, body="x"))
    page.get_by_role("searchbox").fill("zzz")
    expect(page.locator("#notices")).to_contain_text("could not answer (500)")
    assert names(page) == ["churn", "cv:detector"]
