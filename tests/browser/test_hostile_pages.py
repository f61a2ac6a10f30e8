"""X1, X2: what a stranger wrote never runs in a real browser."""

from __future__ import annotations

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from indexer.models import Artifact
from tests.browser.conftest import Open
from tests.views.test_hostile_text import MARKS, hostile_repository

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize("mark", MARKS[:5])
def test_X1_no_payload_runs(open_page: Open, mark: str) -> None:
    """Dialogs, errors and breaches of the policy fail the test by themselves."""
    repository = hostile_repository(mark)
    page = open_page("/?type=any&deprecated=any")
    expect(page.locator("tbody tr").first).to_be_visible()
    names = list(Artifact.objects.values_list("name", flat=True))
    for address in (
        *(reverse("artifact", args=(repository.name, name)) for name in names),
        reverse("history", args=(repository.name, "m")),
        "/activity",
        f"/repositories/{repository.name}/",
    ):
        page.goto(address)
        expect(page.locator("main")).to_be_visible()
        # Hovering and opening run what only waits for it.
        for menu in page.locator("main details summary").all():
            menu.click()
        page.locator("main h1").hover()
    page.goto("/?type=any")
    page.get_by_role("searchbox").fill(mark)
    expect(page.locator("#results")).to_contain_text("model")
