"""Passwords are hashed one after another in each process. A hash takes a good part of a
second of a processor, so that guessing is slow; many at once would take the machine
from everybody who reads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib.auth.hashers import PBKDF2PasswordHasher

AT_ONCE = 1
WAITING = 3  # threads that may wait for that; a process has eight in all
PATIENCE = 5.0  # seconds they wait

_door = threading.BoundedSemaphore(AT_ONCE + WAITING)
_seat = threading.BoundedSemaphore(AT_ONCE)
_mine = threading.local()


class TooBusy(Exception):
    """Too many passwords are being looked at; this one was not."""


@contextmanager
def turn() -> Iterator[None]:
    """This thread may hash, as often as it likes, as long as it lasts. Raises TooBusy,
    at once where others wait already."""
    if getattr(_mine, "has_turn", False):
        yield
        return
    if not _door.acquire(blocking=False):
        raise TooBusy
    try:
        if not _seat.acquire(timeout=PATIENCE):
            raise TooBusy
        _mine.has_turn = True
        try:
            yield
        finally:
            _mine.has_turn = False
            _seat.release()
    finally:
        _door.release()


class BoundedHasher(PBKDF2PasswordHasher):
    """Django's, in turn. Raises TooBusy."""

    def encode(self, password: str, salt: str, iterations: int | None = None) -> str:
        with turn():
            return super().encode(password, salt, iterations)
