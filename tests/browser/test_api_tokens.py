"""A person makes an API token and revokes it: with scripts, and without on a phone."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from tests.browser.conftest import Open

pytestmark = [pytest.mark.needs_chromium, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize(
    ("scripts", "width", "scheme"), [(True, 1280, "light"), (False, 390, "dark")]
)
def test_C11_a_token_is_made_seen_once_and_revoked(
    open_page: Open, scripts: bool, width: int, scheme: str
) -> None:
    User.objects.create_user("bob", password="b-pass-phrase")
    page = open_page(
        "/account/tokens",
        width=width,
        java_script_enabled=scripts,
        color_scheme=scheme,
    )
    page.get_by_label("Name").fill("bob")
    page.get_by_label("Password").fill("b-pass-phrase")
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile("/account/tokens$"))
    page.get_by_label("Name").fill("CI of acme/churn")
    page.get_by_role("button", name="Make it").click()

    text = page.locator("#new-token").inner_text()
    assert re.fullmatch(r"muster_[\w-]{43}", text)
    copy = page.get_by_role("button", name="Copy this token")
    expect(copy).to_be_visible(visible=scripts)
    widths = page.locator("html").bounding_box(), page.locator("main").bounding_box()
    assert all(box is not None and box["width"] <= width for box in widths)

    page.goto("/account/tokens")
    expect(page.get_by_text(text)).to_have_count(0)
    page.get_by_role("button", name="Revoke CI of acme/churn").click()
    expect(page.get_by_text("is revoked")).to_be_visible()
