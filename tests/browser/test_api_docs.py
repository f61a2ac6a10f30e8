"""The page to try the API, in a browser that enforces the site's strict policy."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from indexer.models import Repository
from tests.browser.conftest import Open

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]


def test_an_operation_can_be_tried(open_page: Open, acme: Repository) -> None:
    page = open_page("/api/v1/docs")
    page.locator(".opblock-summary-path", has_text="resolve").click()
    page.get_by_role("button", name="Try it out").click()
    page.locator("tr[data-param-name=ref] input").fill("churn@latest")
    page.get_by_role("button", name="Execute").click()

    answer = page.locator(".live-responses-table .response").first

    expect(answer).to_contain_text("200")
    expect(answer).to_contain_text(acme.name)
