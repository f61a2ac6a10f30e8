"""Signing in, adding a repository and watching its crawl."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect
from pytest_django.fixtures import Settings

from indexer.crawl import crawl_repository
from indexer.models import Repository
from tests.browser.conftest import Open

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]


def git(folder: Path, *words: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=Alice", "-c", "user.email=alice@example.com", *words],
        cwd=folder,
        check=True,
        capture_output=True,
    )


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """A repository of this machine with one registered model."""
    folder = tmp_path / "models"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "dvc.yaml").write_text(
        "artifacts:\n  churn:\n    path: churn.pkl\n    type: model\n"
    )
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=First")
    git(folder, "tag", "--annotate", "churn@v1.0.0", "--message=First version")
    return folder


def sign_in(page: Page) -> None:
    User.objects.create_user("alice", password="a-pass-phrase", is_staff=True)
    page.goto("/login?next=/repositories")
    page.get_by_label("Name").fill("alice")
    page.get_by_label("Password").fill("a-pass-phrase")
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile("/repositories$"))


def test_a_repository_is_added_and_its_crawl_ends_by_itself(
    open_page: Open, remote: Path, settings: Settings, tmp_path: Path
) -> None:
    settings.MUSTER_ALLOW_LOCAL = True
    settings.MUSTER_DATA = tmp_path / "data"
    page = open_page("/", errors=True)
    expect(page.get_by_text("Which models do we have")).to_be_visible()
    sign_in(page)
    page.get_by_role("link", name="Add a repository").first.click()
    page.get_by_label("Address").fill("ext::sh -c id")
    page.get_by_role("button", name="Add and crawl it").click()
    expect(page.locator(".errorlist")).to_contain_text("helper program")
    page.get_by_label("Address").fill(str(remote))
    page.get_by_label("Name in the catalog").fill("team/models")
    page.get_by_role("button", name="Add and crawl it").click()
    expect(page.get_by_text("Waiting for a worker")).to_be_visible()

    repository = Repository.objects.get()
    dashboard = page.context.new_page()
    dashboard.goto("/")
    expect(dashboard.get_by_text("0 of 1 done")).to_be_visible()

    crawl_repository(repository.pk)
    expect(page.get_by_text("Up to date")).to_be_visible()
    expect(page.get_by_role("cell", name="Updated")).to_be_visible()
    expect(page.get_by_text("Every tag and file could be read.")).to_be_visible()
    expect(dashboard.get_by_role("rowheader", name="churn")).to_be_visible()
    expect(dashboard.locator("#first-crawls progress")).to_have_count(0)

    git(remote, "tag", "--annotate", "churn#prod#1", "--message=Passed review")
    page.get_by_role("button", name="Crawl now").click()
    expect(page.get_by_text("Waiting for a worker")).to_be_visible()
    crawl_repository(repository.pk)
    expect(page.get_by_role("cell", name=re.compile("Button"))).to_be_visible()
    with page.expect_request(lambda request: True, timeout=1) if False else Quiet(page):
        page.wait_for_timeout(1600)
    dashboard.reload()
    expect(dashboard.get_by_role("columnheader", name="prod")).to_be_visible()


class Quiet:
    """Nothing is asked of the server while the block runs: polling has ended."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.asked: list[str] = []

    def __enter__(self) -> None:
        self.page.on("request", lambda request: self.asked.append(request.url))

    def __exit__(self, *error: object) -> None:
        assert self.asked == []


def test_C7_after_signing_out_the_back_button_shows_nothing(
    acme: Repository, open_page: Open, settings: Settings
) -> None:
    settings.MUSTER_PUBLIC_READ = False
    page = open_page("/")
    expect(page).to_have_url(re.compile(r"/login\?next=/$"))
    sign_in(page)
    page.goto("/models/acme/churn/-/churn")
    expect(page.get_by_role("heading", level=1)).to_have_text("churn")
    page.locator("header summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile(r"/login"))
    page.go_back()
    expect(page).to_have_url(re.compile(r"/login\?next="))
    assert "churn</bdi>" not in page.content()


def test_signed_out_meanwhile_a_fragment_leads_to_sign_in(
    acme: Repository, open_page: Open, settings: Settings
) -> None:
    settings.MUSTER_PUBLIC_READ = False
    page = open_page("/")
    sign_in(page)
    page.goto("/")
    page.context.clear_cookies()
    page.get_by_role("searchbox").fill("churn")
    expect(page).to_have_url(re.compile(r"/login\?next=/$"))
