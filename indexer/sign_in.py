"""Sign-in limited against guessing: ten failures in a quarter of an hour for a name and
an address it is tried from; then even the right password waits.

Failures are rows, so that all processes count together. An attempt is counted before
its password is looked at: many at once cannot all be the tenth. A name that nobody has
is counted as one that somebody has."""

from __future__ import annotations

import unicodedata
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from math import ceil

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from indexer.models import SignInFailure

ALLOWED = 10
WINDOW = timedelta(minutes=15)
SALT = "indexer.sign_in"
NET = 64  # of IPv6 addresses one machine has as many as it likes


class TooManyFailures(Exception):
    """The password is not looked at before `seconds` have gone by."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many failures; try again in {seconds} s")
        self.seconds = seconds


def count_attempt(request: HttpRequest, name: str) -> None:
    """Count an attempt as failed, until `forgive` is called. Raises TooManyFailures;
    such an attempt does not count, so the wait does not grow."""
    key, now = _key(request, name), timezone.now()
    attempt = SignInFailure.objects.create(key=key, at=now)
    others = SignInFailure.objects.filter(key=key, at__gt=now - WINDOW)
    times = list(
        others.exclude(pk=attempt.pk)
        .order_by("-at")
        .values_list("at", flat=True)[:ALLOWED]
    )
    if len(times) == ALLOWED:
        attempt.delete()
        raise TooManyFailures(_seconds_until(times[-1] + WINDOW, now))


def forgive(request: HttpRequest, name: str) -> None:
    """Forget the failures of a name from this address: its password was right."""
    SignInFailure.objects.filter(key=_key(request, name)).delete()


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


def _key(request: HttpRequest, name: str) -> str:
    name = unicodedata.normalize("NFKC", name).strip()  # as Django's form does
    place = _place(client_address(request))
    return salted_hmac(SALT, f"{place}\n{name}", algorithm="sha256").hexdigest()


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


def _seconds_until(at: datetime, now: datetime) -> int:
    return max(1, ceil((at - now).total_seconds()))
