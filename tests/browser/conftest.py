"""A real browser against a real server: Chromium through Playwright.

A page that logs an error, breaks its Content-Security-Policy or opens a dialog fails
its test, whatever the test looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    sync_playwright,
)
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from indexer import wakeup
from tests.services import chromium_path
from tests.views.conftest import acme as acme  # the same small catalog

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
SECONDS = 10_000  # the longest wait for anything, in milliseconds

# htmx logs a poll that was cut off because the page was left.
LEFT_EARLY = ("htmx:afterRequest", "htmx:sendAbort")
BAD_ANSWER = ("Failed to load resource", "Response Status Error Code")

Open = Callable[..., Page]


@pytest.fixture(scope="session", autouse=True)
def _orm_beside_playwright() -> Iterator[None]:
    """Playwright keeps an event loop in the tests' thread, where Django would refuse
    the ORM; nothing here is asynchronous."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        yield


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_path(), args=ARGUMENTS
        )
        yield browser
        browser.close()


@pytest.fixture
def site(
    live_server: LiveServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> str:
    """The address of a running site. No queue is told of crawls: a test is its own
    worker."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    monkeypatch.setattr(wakeup, "wake", lambda *_: None)
    return str(live_server.url)


@pytest.fixture
def open_page(chromium: Browser, site: str) -> Iterator[Open]:
    """Opens pages of the site, and at the end tells what went wrong in any. `errors`:
    the test expects an answer of 400 or more, which Chromium logs."""
    contexts: list[BrowserContext] = []
    wrongs: list[str] = []

    def open_page(
        address: str = "/", *, width: int = 1280, errors: bool = False, **options: Any
    ) -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, base_url=site, **options
        )
        context.set_default_timeout(SECONDS)
        contexts.append(context)
        page = context.new_page()

        def hear(said: ConsoleMessage) -> None:
            expected = LEFT_EARLY + (BAD_ANSWER if errors else ())
            if said.type == "error" and not said.text.startswith(expected):
                wrongs.append(said.text)

        page.on("console", hear)
        page.on("pageerror", lambda error: wrongs.append(str(error)))

        def refuse(dialog: Any) -> None:
            wrongs.append(f"dialog: {dialog.message}")
            dialog.dismiss()

        page.on("dialog", refuse)
        page.add_init_script(
            "document.addEventListener('securitypolicyviolation', "
            "event => console.error('CSP ' + event.violatedDirective + ' ' "
            "+ event.blockedURI))"
        )
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrongs == []
