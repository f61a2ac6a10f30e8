"""The one way to a provider's API: the session under PyGithub and python-gitlab.

Whatever the client above asks for, the session

- sends it only to the scheme, host and port it was made for, at an address that was
  checked when it connects, without proxies, .netrc or cookies;
- follows no redirect to another place, and no more than two on the same one;
- ends after `seconds` in all, however slowly the answer drips, and after `max_bytes`;
- takes no half answer for a whole one: 204, 3xx, HTML, cut or empty JSON raise;
- asks the budget before and tells it after; repeats nothing by itself;
- speaks in `errors.ProviderError`s with a plain sentence, and never shows a token.
"""

from __future__ import annotations

import base64
import binascii
import http.client
import logging
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import requests
from django.utils import timezone
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import HTTPError

from indexer.budget_rules import ALL
from indexer.budgets import Budget, waiting_sentence
from indexer.providers import http_answers, http_limits
from indexer.providers.addresses import AllowPrivate
from indexer.providers.errors import (
    AccessDenied,
    AddressRefused,
    BadPayload,
    ProviderError,
    RateLimited,
    TooLarge,
    Unavailable,
)
from indexer.providers.http_sockets import (
    Adapter,
    Line,
    OutOfTime,
    Watch,
    refuse_openly,
)

logger = logging.getLogger(__name__)

SECONDS = 30.0
MAX_BYTES = 64 * 1024 * 1024
MAX_REDIRECTS = 2
PIECE = 64 * 1024
PORTS = {"https": 443, "http": 80}
REDIRECTS = frozenset({301, 302, 307, 308})
# A request that accepts this gets bytes, whatever they are; else an answer is JSON.
RAW = "application/octet-stream"
SECRET_HEADERS = ("Authorization", "PRIVATE-TOKEN", "JOB-TOKEN")


class ProviderSession(requests.Session):
    """A session for one provider's server. `place` is its name in sentences
    ("GitHub"). A request whose Accept is `RAW` (or GitHub's `….raw`) gets bytes
    instead of JSON. Raises only `errors.ProviderError`."""

    def __init__(
        self,
        base_url: str,
        *,
        place: str,
        budget: Budget,
        allow_private: AllowPrivate,
        seconds: float = SECONDS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        super().__init__()
        self.place = place
        self.budget = budget
        self.seconds = seconds
        self.max_bytes = max_bytes
        self.trust_env = False
        self.headers["User-Agent"] = "Muster"
        base = self.prepare_request(requests.Request("GET", base_url)).url or ""
        self._origin = _origin(base)
        scheme, host, port = self._origin
        self._prefix = urlsplit(base).path.rstrip("/") + "/"
        self._line = Line(allow_private=allow_private)
        self._adapter = Adapter(scheme, host, port, self._line)
        self.adapters.clear()
        self.mount(f"{scheme}://", self._adapter)

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """As requests does it, without an error that quotes a header."""
        try:
            prepared = super().prepare_request(request)
            if all(map(_is_plain, prepared.headers.values())):
                return prepared
        except (requests.exceptions.InvalidHeader, UnicodeError):
            pass
        except (requests.RequestException, ValueError):
            raise AddressRefused(f"The address of {self.place} is malformed.") from None
        raise AccessDenied(
            "The token holds a space or a character that no token has. Enter it again."
        )

    def send(
        self, request: requests.PreparedRequest, **kwargs: Any
    ) -> requests.Response:
        """Send a request and read the whole answer. Of the options that requests
        has, none counts: redirects, time limits and the rest are ours."""
        guess = "graphql" if _path(request).endswith("/graphql") else "core"
        with Watch(self._line, self.seconds) as watch:
            for _ in range(1 + MAX_REDIRECTS):
                self._refuse_other_place(request)
                self.budget.admit(guess)
                response = self._exchange(request, watch)
                self._settle(request, response, guess)
                if response.status_code not in REDIRECTS:
                    self._check(request, response)
                    return response
                request = self._followed(request, response)
        raise BadPayload(f"{self.place} sends us from one address to the next.")

    def rate_limited(
        self, response: requests.Response, resource: str = "core"
    ) -> RateLimited:
        """The error of an answer that says "too many requests", after telling the
        budget; also for a GraphQL answer that says so with status 200."""
        headers, now = response.headers, timezone.now()
        until = http_limits.read_wait(headers, now)
        if until is None:
            until = http_limits.read_reset(headers, now)
        if until is None:
            until = self.budget.back_off()
        elif http_limits.says_used_up(headers):
            resource = http_limits.read_resource(headers, resource)
            self.budget.block(resource, until)
        else:
            # We were too fast, or too many at once: that is of no one kind.
            self.budget.block(ALL, until)
        return RateLimited(
            waiting_sentence(self.place, until), until, status=response.status_code
        )

    # One exchange -----------------------------------------------------------------

    def _refuse_other_place(self, request: requests.PreparedRequest) -> None:
        if _origin(request.url or "") != self._origin:
            raise AddressRefused(
                f"A request for {self.place} was to go to another server; Muster sent "
                "nothing."
            )
        has_secret = any(name in request.headers for name in SECRET_HEADERS)
        if has_secret and self._origin[0] == "http":
            # The networks that are allowed by name are looked at when it connects.
            refuse_openly((), self._line.allow_private)
        self._line.has_secret = has_secret

    def _exchange(
        self, request: requests.PreparedRequest, watch: Watch
    ) -> requests.Response:
        """One request and its answer, body and all."""
        response = None
        try:
            left = watch.left() + 1  # the watch is first
            response = self._adapter.send(
                request, stream=True, timeout=(left, left), verify=True, proxies={}
            )
            self._read_body(response)
            watch.left()  # a body without a length ends well when it is shut down
            return response
        except (
            requests.RequestException,
            HTTPError,
            http.client.HTTPException,
            OSError,
            ValueError,
            OutOfTime,
        ) as error:
            trouble = self._trouble(error, late=watch.is_over)
        finally:
            if response is not None:
                response.close()
        # Outside: what was caught may show the request, and with it the token.
        raise trouble

    def _read_body(self, response: requests.Response) -> None:
        pieces: list[bytes] = []
        size = 0
        for piece in response.iter_content(PIECE):
            size += len(piece)
            if size > self.max_bytes:
                raise TooLarge(
                    f"{self.place} sent an answer of more than "
                    f"{self.max_bytes // 1024:,} KiB, the most that Muster reads.",
                    status=response.status_code,
                )
            pieces.append(piece)
        response._content = b"".join(pieces)
        # JSON is UTF-8 (RFC 8259), whatever a header says.
        if not _is_raw(response.request):
            response.encoding = "utf-8"

    def _trouble(self, error: Exception, *, late: bool) -> ProviderError:
        logger.debug("%s: %s", self.place, type(error).__name__)
        if late or isinstance(error, OutOfTime | TimeoutError | requests.Timeout):
            return Unavailable(
                f"{self.place} took longer than {self.seconds:g} seconds to answer. "
                "Muster tries again later."
            )
        if _has_cause(error, ssl.SSLCertVerificationError):
            return Unavailable(
                f"The certificate of {self._origin[1]} could not be verified. Check "
                "the address, or let this machine trust who issued it."
            )
        return Unavailable(
            f"The connection to {self.place} broke or could not be made. Check the "
            "address if it stays so; Muster tries again later."
        )

    # What it says -----------------------------------------------------------------

    def _settle(
        self,
        request: requests.PreparedRequest,
        response: requests.Response,
        guess: str,
    ) -> None:
        """Tell the budget what the answer says, and raise if it is an error."""
        status, headers = response.status_code, response.headers
        told = http_limits.read_told(headers, timezone.now(), cost=int(status != 304))
        self.budget.record(http_limits.read_resource(headers, guess), told)
        if 200 <= status < 300 or status in REDIRECTS:
            return
        if status == 304 and "If-None-Match" in request.headers:
            return
        if 300 <= status < 400:
            raise http_answers.elsewhere(self.place, status)
        secrets = list(secrets_of(request.headers))
        reason = http_answers.reason_of(response.content, secrets)
        if http_limits.says_limited(status, headers, reason):
            raise self.rate_limited(response, guess)
        raise http_answers.error_for(
            status,
            self.place,
            reason,
            reading=_is_reading(request),
            with_token=bool(secrets),
        )

    def _check(
        self, request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        """Raise BadPayload unless the answer is what such a request must get."""
        status = response.status_code
        if status == 304 or request.method == "HEAD":
            return
        kind = response.headers.get("Content-Type", "")
        if _is_raw(request) and status == 200:
            http_answers.refuse_page(self.place, status, kind, b"")
            return
        http_answers.check_data(
            self.place,
            status,
            kind,
            response.content,
            may_be_empty=not _is_reading(request),
        )

    def _followed(
        self, request: requests.PreparedRequest, response: requests.Response
    ) -> requests.PreparedRequest:
        """The request to where an answer sends us, if that is of the same API."""
        refusal = http_answers.elsewhere(self.place, response.status_code)
        location = response.headers.get("Location", "")
        if request.method != "GET" or not location:
            raise refusal
        followed = request.copy()
        try:
            followed.prepare_url(urljoin(request.url or "", location), None)
            is_here = _origin(followed.url or "") == self._origin
        except (requests.RequestException, ValueError, AddressRefused):
            is_here = False
        path = _path(followed)
        if (
            not is_here
            or not path.startswith(self._prefix)
            or ".." in unquote(path).split("/")
        ):
            raise refusal
        return followed


def _origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port, in one spelling each. Raises AddressRefused."""
    try:
        parts = urlsplit(url)
        scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
        port = parts.port or PORTS[scheme]
        odd = not host or parts.username is not None or parts.password is not None
    except (ValueError, KeyError):
        odd = True
    if odd:
        raise AddressRefused("The address of the API is malformed.")
    return scheme, host, port


def _is_plain(value: str | bytes) -> bool:
    """Whether a header's value is of the characters that one may have."""
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return text.isascii() and text.isprintable()


def _path(request: requests.PreparedRequest) -> str:
    return urlsplit(request.url or "").path


def _is_raw(request: requests.PreparedRequest) -> bool:
    accept = request.headers.get("Accept", "")
    return accept == RAW or ".raw" in accept


def _is_reading(request: requests.PreparedRequest) -> bool:
    """Whether it asks for data and changes nothing. We send no mutations."""
    return request.method == "GET" or _path(request).endswith("/graphql")


def secrets_of(headers: CaseInsensitiveDict[str | bytes]) -> Iterator[str]:
    """The words of the headers that nobody must see."""
    for name in SECRET_HEADERS:
        value = headers.get(name, "")
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        scheme, _, word = text.strip().rpartition(" ")
        if word:
            yield word
        if scheme.lower() == "basic":
            try:
                user_and_password = base64.b64decode(word).decode()
            except (binascii.Error, UnicodeDecodeError):
                continue
            yield from filter(None, user_and_password.split(":", 1))


def _has_cause(error: BaseException, kind: type[BaseException]) -> bool:
    """Whether an error of that kind is at the bottom of it."""
    found: BaseException | None = error
    for _ in range(10):
        if found is None or isinstance(found, kind):
            break
        inner = [
            a
            for a in (*found.args, getattr(found, "reason", None))
            if isinstance(a, BaseException)
        ]
        found = found.__cause__ or (inner[0] if inner else found.__context__)
    return isinstance(found, kind)
