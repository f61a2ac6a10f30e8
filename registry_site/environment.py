"""Typed values of the environment: a wrong one stops the start with a sentence that
names the variable.

Forty lines of our own, because what libraries for this import costs every command a
tenth of its start, and a crawl of a small repository takes no longer than that."""

from __future__ import annotations

import math
import os
from ipaddress import IPv4Network, IPv6Network, ip_network

from django.core.exceptions import ImproperlyConfigured

TRUE = frozenset({"1", "true", "yes", "on", "y", "t"})
FALSE = frozenset({"0", "false", "no", "off", "n", "f", ""})


class Environment:
    """Reads variables as text, numbers, switches or lists; `default` if not set. Text
    and numbers that are set to nothing count as not set."""

    def text(self, name: str, default: str = "") -> str:
        """The value as it is."""
        return os.environ.get(name) or default

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        """One of a few words."""
        value = self.text(name, default)
        if value not in choices:
            raise ImproperlyConfigured(
                f"{name} is {value!r}; it is one of {', '.join(choices)}."
            )
        return value

    def flag(self, name: str, default: bool) -> bool:
        """True or False, in any of the usual words."""
        value = os.environ.get(name)
        if value is None:
            return default
        if value.strip().lower() in TRUE:
            return True
        if value.strip().lower() in FALSE:
            return False
        raise ImproperlyConfigured(f"{name} is {value!r}; it is True or False.")

    def networks(
        self, name: str, default: bool
    ) -> bool | tuple[IPv4Network | IPv6Network, ...]:
        """True (all), False (none), or networks separated by commas."""
        words = self.texts(name, [])
        if len(words) <= 1 and "." not in "".join(words) and ":" not in "".join(words):
            return self.flag(name, default)
        try:
            return tuple(ip_network(word) for word in words)
        except ValueError as error:
            raise ImproperlyConfigured(
                f"{name}: {error}. It is True, False, or networks such as "
                "10.0.0.0/8, fd00::/8."
            ) from error

    def whole(self, name: str, default: int, least: int = 1) -> int:
        """A whole number, `least` or greater."""
        value = self.text(name).strip()
        try:
            number = int(value) if value else default
        except ValueError as error:
            raise ImproperlyConfigured(
                f"{name} is {value!r}; it is a whole number."
            ) from error
        if number < least:
            raise ImproperlyConfigured(f"{name} is {number}; it is at least {least}.")
        return number

    def number(self, name: str, default: float, least: float) -> float:
        """A number, `least` or greater."""
        value = self.text(name).strip()
        try:
            number = float(value) if value else default
        except ValueError as error:
            raise ImproperlyConfigured(
                f"{name} is {value!r}; it is a number."
            ) from error
        if not math.isfinite(number) or number < least:
            raise ImproperlyConfigured(f"{name} is {value}; it is at least {least:g}.")
        return number

    def texts(self, name: str, default: list[str]) -> list[str]:
        """Texts separated by commas."""
        value = os.environ.get(name)
        if value is None:
            return default
        return [part.strip() for part in value.split(",") if part.strip()]
