"""Clients of a Muster that may fail at any moment: a program at the API and a person at
the pages. Both ask again with the same idempotency key until they are told."""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from typing import Any
from urllib.parse import quote, urlencode

ANSWERS_IN = 30.0  # seconds a client waits for one answer
PAUSE = 0.3  # seconds before it asks again
TOLD = frozenset(
    {400, 403, 404, 409, 422}
)  # there is nothing to be gained by asking on


class NoAnswer(Exception):
    """The server was not there, or broke off."""


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def told(self) -> dict[str, Any]:
        """The JSON in it; empty if it is none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Browser:
    """Asks a site, with cookies, and follows nothing."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(CookieJar()), _NoRedirect
        )

    def ask(
        self,
        path: str,
        form: Mapping[str, str] | None = None,
        *,
        seconds: float = ANSWERS_IN,
        **more: Any,
    ) -> Answer:
        """Raises NoAnswer."""
        body = urlencode(form).encode() if form is not None else more.get("body")
        request = urllib.request.Request(  # noqa: S310
            self.url + path, body, more.get("headers", {})
        )
        try:
            with self._opener.open(request, timeout=seconds) as answer:
                return _answer(answer)
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error)
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer(repr(error)) from None

    def sign_in(self, name: str, password: str) -> None:
        page = self.ask("/login")
        form = {"csrfmiddlewaretoken": hidden(page.body, "csrfmiddlewaretoken")}
        answer = self.ask("/login", {**form, "username": name, "password": password})
        assert answer.status == 302, answer.body[-2000:]

    def post(self, page: str, path: str) -> Answer:
        """Press a button without fields on a page."""
        token = hidden(self.ask(page).body, "csrfmiddlewaretoken")
        return self.ask(path, {"csrfmiddlewaretoken": token})


def hidden(body: str, name: str) -> str:
    """The value of a hidden field; "" without it."""
    found = re.search(rf'name="{name}" value="([^"]*)"', body)
    return found[1] if found else ""


def _answer(answer: Any) -> Answer:
    try:
        body = answer.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(repr(error)) from None
    return Answer(answer.status, dict(answer.headers), body)


@dataclass(eq=False)
class Asking(threading.Thread):
    """One wish, and what its client was told of it: `done`, `not done` or nothing."""

    browser: Browser = field(repr=False)
    token: str = field(repr=False)  # of the API; "": a person at the page
    key: str
    verb: str
    repository: str
    artifact: str
    fields: Mapping[str, str]
    outcome: str = ""  # "done", "refused", "failed", "open" or "nothing"
    action: str = ""  # its id, where the client was told
    said: str = ""
    answers: list[int] = field(default_factory=list)  # 0: none came
    given_up: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def run(self) -> None:
        try:
            self._by_api() if self.token else self._by_page()
        except Exception as error:
            self.said = f"the client met {error!r}"
            raise

    def _ask(self, path: str, **more: Any) -> Answer | None:
        """None after a pause where no answer came, or one that says nothing."""
        try:
            answer = self.browser.ask(path, **more)
        except NoAnswer:
            self.answers.append(0)
            self._pause()
            return None
        self.answers.append(answer.status)
        return answer

    def _pause(self) -> None:
        self.given_up.wait(PAUSE)

    def _by_api(self) -> None:
        body = {"repository": self.repository, "artifact": self.artifact, **self.fields}
        request = {
            "body": json.dumps(body).encode(),
            "headers": {
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/json",
                "Idempotency-Key": self.key,
            },
        }
        while not self.given_up.is_set():
            answer = self._ask(f"/api/v1/{self.verb}", **request)
            if answer is None:
                continue
            told = answer.told
            self.said = told.get("sentence") or told.get("detail") or answer.body[-300:]
            self.action = str(
                told.get("id") or str(told.get("action") or "").rpartition("/")[2]
            )
            if answer.status == 201:
                self.outcome = "done"
                return
            if answer.status == 202:
                self.outcome = "open"
            elif answer.status in TOLD:
                self.outcome = "refused"
                return
            elif self.action:  # it ended, and cannot be asked for again
                self.outcome = "failed"
                return
            self._pause()

    def _by_page(self) -> None:
        path = f"/act/{self.verb}/{quote(self.repository)}/-/{quote(self.artifact)}"
        form: dict[str, str] = {}
        while not form and not self.given_up.is_set():
            page = self._ask(f"{path}?{urlencode(self.fields)}")
            if page is None or page.status != 200:
                self._pause()
                continue
            seen = hidden(page.body, "seen")
            if not seen:
                self.outcome, self.said = "nothing", "there is no button"
                return
            form = {
                **self.fields,
                "csrfmiddlewaretoken": hidden(page.body, "csrfmiddlewaretoken"),
                "key": self.key,
                "seen": seen,
                "step": "write",
            }
        while not self.given_up.is_set():
            answer = self._ask(path, form=form)
            if answer is None:
                continue
            where = answer.headers.get("Location", "")
            if answer.status == 302 and where.startswith("/act/state/"):
                self.outcome, self.action = "open", where.rpartition("/")[2]
            elif answer.status == 302 and where.startswith("/models/"):
                self.outcome = "done"
                return
            elif answer.status in {400, 409}:
                self.outcome = "refused"
                return
            elif answer.status == 503:
                # A person reads that it failed, or that it is another's turn; the same
                # form sent again says the same, and asks nobody.
                self.outcome = "failed"
                return
            self._pause()


def pressed(browser: Browser, repository: str, seconds: float = 30) -> None:
    """Ask for a crawl by its button, as often as it takes to get an answer."""
    until = time.monotonic() + seconds
    path = f"/repositories/{quote(repository)}/"
    while True:
        try:
            if browser.post(path, f"{path}-/crawl").status == 302:
                return
        except NoAnswer:
            pass
        assert time.monotonic() < until, "the button for a crawl does nothing"
        time.sleep(PAUSE)
