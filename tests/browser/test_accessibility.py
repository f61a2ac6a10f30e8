"""axe-core finds nothing, on any page, in either theme."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page

from indexer.models import Repository
from tests.browser.conftest import Open
from tests.browser.test_browsing import PAGES

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(
    acme: Repository, open_page: Open, scheme: str, width: int
) -> None:
    page = open_page("/no-such-page", color_scheme=scheme, width=width, errors=True)
    found = problems(page, "/no-such-page")
    for address in [*PAGES, "/?q=nothing-like-it"]:
        page.goto(address)
        found += problems(page, address)
        # What an open menu covers cannot be judged, so each is looked at alone.
        for menu in page.locator("main details.menu").all():
            menu.locator("summary").click()
            found += problems(page, f"{address}, a menu", within="details[open]")
            page.keyboard.press("Escape")
    assert found == []


def problems(page: Page, where: str, *, within: str = "html") -> list[str]:
    """What axe finds, a line each."""
    page.evaluate(AXE)
    result = page.evaluate(
        "within => axe.run(within, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', "
        "'wcag21aa', 'wcag22aa', 'best-practice']})",
        within,
    )
    return [
        f"{where}: {problem['id']}: {node['html'][:160]} {node['any'][:1]}"
        for problem in result["violations"]
        for node in problem["nodes"]
    ]
