"""Objects of a mirror in bulk: one `cat-file` for many, never one for each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Sequence
from pathlib import Path
from typing import IO, TypeVar

from indexer.core.snapshot import ObjectType
from indexer.providers.git import command
from indexer.providers.git.command import GitFailed
from indexer.providers.objects import Body, Header

SECONDS = 300.0
MAX_RESTARTS = 50  # damaged objects of one repository that we step over

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
    one: it is stepped over, and git started again behind it."""
    todo = list(object_ids)
    for _ in range(MAX_RESTARTS):
        if not todo:
            break
        done = 0
        try:
            with command.cat_file(mirror, todo, check=check, seconds=SECONDS) as out:
                for wanted in todo:
                    header = _read_header(out, wanted)
                    found = None if header is None else (read(out, wanted, header),)
                    done += 1
                    if found:
                        yield found[0]
        except (GitFailed, _Damaged) as error:
            if isinstance(error, GitFailed) and error.late:
                raise
            todo = todo[done + 1 :]
        else:
            break


def _header_of(_: IO[bytes], wanted: str, header: Header) -> tuple[str, Header]:
    return wanted, header


class _Damaged(Exception):
    """Git broke off in the middle of an object."""


def _read_header(out: IO[bytes], wanted: str) -> Header | None:
    line = out.readline(256)
    words = line.split()
    if not line.endswith(b"\n") or not words or words[0] != wanted.encode("ascii"):
        raise _Damaged
    if len(words) != 3:
        return None  # "ID missing"
    return Header(TYPES[words[1]], int(words[2]))


def _read_body(out: IO[bytes], wanted: str, header: Header, limit: int) -> Body:
    if header.size <= limit:
        data = out.read(header.size + 1)  # and the line feed after the object
        if len(data) != header.size + 1:
            raise _Damaged
        return Body(wanted, header.type, data[:-1], False)
    data = out.read(limit)
    left = header.size + 1 - limit
    while left > 0:
        piece = out.read(min(left, 1024 * 1024))
        if not piece:
            raise _Damaged
        left -= len(piece)
    return Body(wanted, header.type, data, True)
