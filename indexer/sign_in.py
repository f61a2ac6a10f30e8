"""Sign-in limited against guessing: in a quarter of an hour ten failures for a name
from an address, and fifty from an address for whatever names; then even the right
password waits.

Failures are rows, so that all processes count together. An attempt is counted before
its password is looked at: many at once cannot all be the tenth. A name that nobody has
is counted as one that somebody has.

Behind a proxy that TRUST_PROXY does not tell us of, everybody has one address. So that
a guesser there does not lock all others out, a browser in which somebody signed in
before is not held back by the limit of the address, for that name: a signed cookie
says so."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from math import ceil

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from indexer.models import SignInFailure

ALLOWED = 10  # failures for a name from an address
ALLOWED_OF_ADDRESS = 50  # for all names together
WINDOW = timedelta(minutes=15)
SALT = "indexer.sign_in"
NET = 64  # of IPv6 addresses one machine has as many as it likes
REMEMBERED = timedelta(days=365)


class TooManyFailures(Exception):
    """The password is not looked at before `seconds` have gone by."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many failures; try again in {seconds} s")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Attempt:
    """One that counts as failed until it is said to be none."""

    name_key: str
    rows: tuple[int, ...]

    def forgive(self) -> None:
        """The password was right: forget it, and what failed before for the name from
        this address. What failed there for other names counts on."""
        SignInFailure.objects.filter(
            Q(key=self.name_key) | Q(pk__in=self.rows)
        ).delete()

    def withdraw(self) -> None:
        """No password was looked at."""
        SignInFailure.objects.filter(pk__in=self.rows).delete()


def count_attempt(request: HttpRequest, name: str) -> Attempt:
    """Count an attempt as failed, until it is forgiven. Raises TooManyFailures;
    such an attempt does not count, so the wait does not grow."""
    now = timezone.now()
    place = _place(client_address(request))
    limits = [(_key(place, _plain(name)), ALLOWED), (_key(place), ALLOWED_OF_ADDRESS)]
    rows = [SignInFailure.objects.create(key=key, at=now).pk for key, _ in limits]
    attempt = Attempt(limits[0][0], tuple(rows))
    if _is_known(request, name):
        del limits[1:]
    waits = [_wait(key, most, now, attempt) for key, most in limits]
    if any(waits):
        attempt.withdraw()
        raise TooManyFailures(max(waits))
    return attempt


def remember(request: HttpRequest, response: HttpResponseBase, name: str) -> None:
    """Know the browser again in which this person has just signed in."""
    response.set_signed_cookie(
        _cookie(),
        _key("known", _plain(name)),
        salt=SALT,
        max_age=REMEMBERED,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def forget_old() -> None:
    """Remove the failures that do not count any more."""
    SignInFailure.objects.filter(at__lte=timezone.now() - WINDOW).delete()


def client_address(request: HttpRequest) -> str:
    """Where a request comes from. X-Forwarded-For is believed only of a proxy that is
    trusted, and of it only the last entry, which that proxy wrote."""
    address = request.META.get("REMOTE_ADDR", "")
    if settings.TRUST_PROXY:
        forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
        address = forwarded.rpartition(",")[2].strip() or address
    return str(address)


def _wait(key: str, most: int, now: datetime, attempt: Attempt) -> int:
    """The seconds until one more may fail; 0 if it may now."""
    others = SignInFailure.objects.filter(key=key, at__gt=now - WINDOW)
    times = list(
        others.exclude(pk__in=attempt.rows)
        .order_by("-at")
        .values_list("at", flat=True)[:most]
    )
    if len(times) < most:
        return 0
    return max(1, ceil((times[-1] + WINDOW - now).total_seconds()))


def _is_known(request: HttpRequest, name: str) -> bool:
    said = request.get_signed_cookie(_cookie(), "", salt=SALT, max_age=REMEMBERED)
    return constant_time_compare(str(said), _key("known", _plain(name)))


def _cookie() -> str:
    return "__Host-known" if settings.SESSION_COOKIE_SECURE else "muster_known"


def _plain(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip()  # as Django's form does


def _key(*parts: str) -> str:
    return salted_hmac(SALT, "\n".join(parts), algorithm="sha256").hexdigest()


def _place(address: str) -> str:
    """An address, or the network it is of; what is no address is a place as well."""
    try:
        known = ip_address(address)
    except ValueError:
        return address
    if known.version == 4:
        return str(known)
    if known.ipv4_mapped is not None:
        return str(known.ipv4_mapped)
    return str(ip_network((known, NET), strict=False))
