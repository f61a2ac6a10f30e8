"""Objects of a mirror in bulk: one `cat-file` for many, never one for each."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Generator, Sequence
from pathlib import Path
from typing import IO, TypeVar

from indexer.core.snapshot import ObjectType
from indexer.providers.git import command
from indexer.providers.git.command import GitFailed
from indexer.providers.git.failures import is_damaged, was_not_read
from indexer.providers.objects import Body, Header

SECONDS = 300.0  # for one reading, with all that is stepped over
MAX_DAMAGED = 1_000  # objects that one reading steps over

T = TypeVar("T")


TYPES = {kind.value.encode("ascii"): kind for kind in ObjectType}


def read_headers(mirror: Path, object_ids: Collection[str]) -> dict[str, Header]:
    """Type and size by id. An object that is missing or damaged is left out."""
    return dict(_each(mirror, object_ids, _header_of, check=True))


def read_bodies(
    mirror: Path, object_ids: Sequence[str], *, limit: int
) -> Generator[Body, None, None]:
    """The objects of these ids, in order, each cut at `limit` bytes. An object that is
    missing or damaged is left out."""

    def body_of(out: IO[bytes], wanted: str, header: Header) -> Body:
        return _read_body(out, wanted, header, limit)

    return _each(mirror, object_ids, body_of, check=False)


def _each(
    mirror: Path,
    object_ids: Collection[str],
    read: Callable[[IO[bytes], str, Header], T],
    *,
    check: bool,
) -> Generator[T, None, None]:
    """What `read` makes of each object that is there, in order. Git dies of a damaged
    one, and names it: it is stepped over, and git started again behind it. An answer
    that ends early for any other reason raises GitFailed: what was not read is neither
    missing nor damaged."""
    todo = list(object_ids)
    end = time.monotonic() + SECONDS
    for _ in range(MAX_DAMAGED + 1):
        if not todo:
            return
        done, missing = 0, False
        try:
            seconds = max(end - time.monotonic(), 1.0)
            with (
                command.cat_file(mirror, todo, check=check, seconds=seconds) as git,
                contextlib.suppress(_EndsEarly),  # why, git says at its end
            ):
                for wanted in todo:
                    header = _read_header(git.stdout, wanted)
                    found = None
                    if header is not None:
                        found = (read(git.stdout, wanted, header),)
                    done += 1
                    if found:
                        yield found[0]
                    else:
                        missing = True
        except GitFailed as error:
            left_out = missing and was_not_read(error.stderr)
            if left_out or done == len(todo) or not is_damaged(error, todo[done]):
                raise
            todo = todo[done + 1 :]
        else:
            if done < len(todo) or (missing and was_not_read(git.said)):
                raise GitFailed("cat-file", 0, git.said, late=False)
            return
    too_many = f"fatal: more than {MAX_DAMAGED} objects are damaged"
    raise GitFailed("cat-file", 0, too_many, late=False)


def _header_of(_: IO[bytes], wanted: str, header: Header) -> tuple[str, Header]:
    return wanted, header


class _EndsEarly(Exception):
    """Git wrote less than was asked for."""


def _read_header(out: IO[bytes], wanted: str) -> Header | None:
    line = out.readline(256)
    words = line.split()
    if line.endswith(b"\n") and words and words[0] == wanted.encode("ascii"):
        if len(words) == 3 and words[1] in TYPES:
            return Header(TYPES[words[1]], int(words[2]))
        if words[1:] == [b"missing"]:
            return None
    raise _EndsEarly


def _read_body(out: IO[bytes], wanted: str, header: Header, limit: int) -> Body:
    if header.size <= limit:
        data = out.read(header.size + 1)  # and the line feed after the object
        if len(data) != header.size + 1:
            raise _EndsEarly
        return Body(wanted, header.type, data[:-1], False)
    data = out.read(limit)
    left = header.size + 1 - limit
    while left > 0:
        piece = out.read(min(left, 1024 * 1024))
        if not piece:
            raise _EndsEarly
        left -= len(piece)
    return Body(wanted, header.type, data, True)
