"""Typed values of the environment: a wrong one stops the start with a sentence that
names the variable.

Forty lines of our own, because what libraries for this import costs every command a
tenth of its start, and a crawl of a small repository takes no longer than that."""

from __future__ import annotations

import os

from django.core.exceptions import ImproperlyConfigured

TRUE = frozenset({"1", "true", "yes", "on", "y", "t"})
FALSE = frozenset({"0", "false", "no", "off", "n", "f", ""})


class Environment:
    """Reads variables as text, numbers, switches or lists; `default` if not set."""

    def text(self, name: str, default: str = "") -> str:
        """The value as it is."""
        return os.environ.get(name, default)

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

    def whole(self, name: str, default: int) -> int:
        """A whole number."""
        value = os.environ.get(name)
        try:
            return default if value is None else int(value)
        except ValueError as error:
            raise ImproperlyConfigured(
                f"{name} is {value!r}; it is a whole number."
            ) from error

    def number(self, name: str, default: float) -> float:
        """A number."""
        value = os.environ.get(name)
        try:
            return default if value is None else float(value)
        except ValueError as error:
            raise ImproperlyConfigured(
                f"{name} is {value!r}; it is a number."
            ) from error

    def texts(self, name: str, default: list[str]) -> list[str]:
        """Texts separated by commas."""
        value = os.environ.get(name)
        if value is None:
            return default
        return [part.strip() for part in value.split(",") if part.strip()]
