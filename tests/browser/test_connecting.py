"""Connecting an organisation by reading the page, and watching the catalog fill."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from pytest_django.fixtures import Settings

from indexer.crawl import crawl_repository
from indexer.models import Connection, Repository
from indexer.polling import poll
from tests.browser.conftest import Open
from tests.browser.test_accessibility import problems
from tests.browser.test_managing import Quiet, sign_in
from tests.providers.github_server import GitHubServer, serve_github
from tests.providers.raw_repository import simple_repository

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]

TAKEN = 52
LEFT_OUT = 3


@pytest.fixture
def server(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GitHubServer]:
    """An organisation of 55 repositories with a model each, three of them forks."""
    from indexer import wakeup

    settings.MUSTER_ALLOW_PRIVATE = True
    settings.MUSTER_DATA = tmp_path / "data"
    monkeypatch.setattr(wakeup, "wake", lambda *_: None)
    root = tmp_path / "remotes"
    root.mkdir()
    bare = simple_repository(root / "one.git").path
    with serve_github(root) as running:
        running.add_owner("acme")
        for number in range(TAKEN):
            running.add_repository(
                f"acme/model-{number:02}", bare, private=number % 2 == 0
            )
        for number in range(LEFT_OUT):
            running.add_repository(f"acme/fork-{number}", bare, fork=True)
        yield running


def connect(page: Page, server: GitHubServer) -> Connection:
    """From the list of repositories to a connection, by what the pages say."""
    page.goto("/repositories")
    page.get_by_role("link", name="Connect an organisation").first.click()
    page.get_by_role("link", name="Connect GitHub").click()
    expect(page.get_by_text("A fine-grained token is best")).to_be_visible()
    page.get_by_label("Organisation or user").fill("acme")
    page.get_by_label("Address").fill(server.url)
    page.get_by_label("Token", exact=True).fill("ghp_of_nobody")
    page.get_by_role("button", name="Test and see").click()
    expect(page.get_by_text("This does not work yet.")).to_be_visible()
    page.get_by_label("New token").fill(server.token)
    page.get_by_role("button", name="Test again").click()
    button = page.get_by_role("button", name=f"Connect these {TAKEN} repositories")
    expect(button).to_be_visible()
    expect(page.get_by_text("acme/fork-2")).to_be_visible()
    expect(page.get_by_text("Make and delete tags", exact=True)).to_be_visible()
    assert server.token not in page.content()
    button.click()
    expect(page.get_by_text("Its first look begins in a moment.")).to_be_visible()
    return Connection.objects.get()


def test_an_organisation_is_connected_and_the_catalog_fills(
    open_page: Open, server: GitHubServer
) -> None:
    page = open_page("/")
    sign_in(page)
    connection = connect(page, server)
    catalog = page.context.new_page()

    poll(connection.pk)
    expect(page.locator("#now")).to_contain_text(f"0 of {TAKEN} read")
    repositories = list(Repository.objects.order_by("name"))
    assert len(repositories) == TAKEN
    for repository in repositories[:5]:
        crawl_repository(repository.pk)
    expect(page.locator("#now")).to_contain_text(f"5 of {TAKEN} read")
    expect(page.locator("#repositories").get_by_text("Up to date")).to_have_count(5)
    expect(page.locator("footer")).to_contain_text(f"{TAKEN - 5} not crawled yet")
    catalog.goto("/")
    expect(catalog.get_by_role("rowheader")).to_have_count(5)
    expect(catalog.get_by_text(f"5 of {TAKEN} done")).to_be_visible()

    for repository in repositories[5:]:
        crawl_repository(repository.pk)
    expect(page.locator("#now-title")).to_have_text(f"{TAKEN} repositories")
    expect(page.locator("#now progress")).to_have_count(0)
    with Quiet(page):
        page.wait_for_timeout(2600)
    expect(catalog.locator("#results strong")).to_have_text(f"{TAKEN} models")
    for one in (page, catalog):
        expect(one.locator("footer")).not_to_contain_text("not crawled yet")

    page.get_by_role("searchbox").fill("model-07")
    expect(page.locator("#repositories")).to_contain_text("1 repository")
    page.get_by_role("link", name=re.compile("model-07")).click()
    expect(page.get_by_text("Over the API")).to_be_visible()


def test_without_scripts_it_is_connected_all_the_same(
    open_page: Open, server: GitHubServer
) -> None:
    page = open_page("/", java_script_enabled=False)
    sign_in(page)
    page.goto("/connections/add/github")
    page.get_by_label("Organisation or user").fill(f"{server.url}/acme")
    page.get_by_label("Token", exact=True).fill(server.token)
    page.get_by_role("button", name="Test and see").click()
    page.get_by_role("button", name="Ask GitHub now").click()
    page.get_by_role("button", name=f"Connect these {TAKEN} repositories").click()
    expect(page.get_by_text("Its first look begins in a moment.")).to_be_visible()
    page.get_by_role("button", name="Show how to make it by hand").click()
    expect(page.get_by_text("Secret, shown this once")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_on_the_pages_of_connections(
    open_page: Open, server: GitHubServer, scheme: str, width: int
) -> None:
    page = open_page("/", color_scheme=scheme, width=width)
    sign_in(page)
    found = []
    for address in (
        "/connections",
        "/connections/add/github",
        "/connections/add/gitlab",
    ):
        page.goto(address)
        found += problems(page, address)
    page.goto("/connections/add/github")
    page.get_by_text("Or a GitHub App").click()
    page.get_by_label("Organisation or user").fill("acme")
    page.get_by_label("Address").fill(server.url)
    page.get_by_label("Token", exact=True).fill(server.token)
    page.get_by_role("button", name="Test and see").click()
    button = page.get_by_role("button", name="Connect these")
    expect(button).to_be_visible()
    found += problems(page, "review")
    button.click()
    expect(page.get_by_text("Its first look begins in a moment.")).to_be_visible()
    poll(Connection.objects.get().pk)
    expect(page.locator("#now")).to_contain_text(f"0 of {TAKEN} read")
    found += problems(page, "connection")
    page.get_by_role("button", name="Show how to make it by hand").click()
    expect(page.get_by_text("Secret, shown this once")).to_be_visible()
    found += problems(page, "connection, its webhook")
    here = page.url
    for part in ("edit", "remove"):
        page.goto(f"{here}{part}")
        found += problems(page, part)
    for address in ("/connections", "/repositories/acme/model-00/"):
        page.goto(address)
        found += problems(page, address)
    page.goto("/repositories/acme/model-00/-/edit")
    found += problems(page, "a connected repository, edit")
    assert found == []
