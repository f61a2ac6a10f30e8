"""SemVer 2.0 precedence of version names (`v1.2.3-rc.1+build`).

Numbers stay text: Python's `int()` refuses more than 4,300 digits, and a tag may hold
more. Names that are no `v` + SemVer (commit ids) sort below every version."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import TypeAlias

# https://semver.org/#is-there-a-suggested-regular-expression-regex-to-check-a-semver-string
# with ASCII digits. Each part is linear: no two ways to match the same text.
_NUMBER = r"(?:0|[1-9][0-9]*)"
_IDENTIFIER = r"(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
_PRE = rf"{_IDENTIFIER}(?:\.{_IDENTIFIER})*"
_BUILD = r"(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?"
# The expression of a whole version, without groups.
VERSION = rf"v{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-{_PRE})?{_BUILD}"
_SEMVER = re.compile(
    rf"v(?P<major>{_NUMBER})\.(?P<minor>{_NUMBER})\.(?P<patch>{_NUMBER})"
    rf"(?:-(?P<pre>{_PRE}))?{_BUILD}"
)

Precedence: TypeAlias = tuple[object, ...]

FIRST_VERSION = "v0.0.1"


class Part(StrEnum):
    """The part of a version that a bump raises."""

    MAJOR = "major"
    MINOR = "minor"
    PATCH = "patch"


def is_version(name: str) -> bool:
    """Whether `name` is `v` and a SemVer 2.0 version, nothing before or after."""
    return _SEMVER.fullmatch(name) is not None


def precedence(name: str) -> Precedence | None:
    """A key that orders versions as SemVer 2.0 does; None for other names. Build
    metadata takes no part, so that two names may have equal keys."""
    match = _SEMVER.fullmatch(name)
    if match is None:
        return None
    pre = match["pre"]
    return (
        _numeric(match["major"]),
        _numeric(match["minor"]),
        _numeric(match["patch"]),
        # Without a pre-release is greater than with one.
        (1,) if pre is None else (0, tuple(map(_identifier, pre.split(".")))),
    )


def _numeric(digits: str) -> tuple[int, str]:
    # No leading zeros here, so the longer number is the greater.
    return len(digits), digits


def _identifier(identifier: str) -> tuple[int, int, str]:
    if identifier.isdigit():
        return 0, len(identifier), identifier
    return 1, 0, identifier


def sort_key(name: str) -> str:
    """A text in lower-case hexadecimal whose plain order is SemVer precedence.

    Both databases sort it alike under any collation. Names that are no versions sort
    below all versions, by code point; versions that differ in build metadata only
    have equal keys."""
    match = _SEMVER.fullmatch(name)
    if match is None:
        return (b"\x00" + name.encode("utf-8", "surrogatepass")).hex()
    key = bytearray(b"\x01")
    for part in ("major", "minor", "patch"):
        key += _counted(match[part])
    pre = match["pre"]
    if pre is None:
        key += b"\x02"
    else:
        key += b"\x01"
        for identifier in pre.split("."):
            if identifier.isdigit():
                key += b"\x02" + _counted(identifier)
            else:
                key += b"\x03" + identifier.encode() + b"\x00"
        key += b"\x01"  # below any further identifier
    return key.hex()


def _counted(digits: str) -> bytes:
    """Digits behind their number, so that plain byte order is numeric order."""
    size = len(digits)
    head = bytes([size]) if size < 255 else b"\xff" + size.to_bytes(8, "big")
    return head + digits.encode()


def greatest(names: Iterable[str]) -> str | None:
    """The greatest version of `names` by SemVer; of equal ones the last. None when
    none of them is a version."""
    best: tuple[Precedence, str] | None = None
    for name in names:
        key = precedence(name)
        if key is not None and (best is None or key >= best[0]):
            best = key, name
    return best[1] if best else None


def bump(name: str, part: Part = Part.PATCH) -> str:
    """The next version after `name`, as gto bumps: the part plus one, lower parts
    zero, no pre-release and no build metadata. Raises ValueError when `name` is no
    version."""
    match = _SEMVER.fullmatch(name)
    if match is None:
        raise ValueError(f"{name!r} is no version: it must be v and SemVer 2.0.")
    major, minor, patch = match["major"], match["minor"], match["patch"]
    match part:
        case Part.MAJOR:
            return f"v{_plus_one(major)}.0.0"
        case Part.MINOR:
            return f"v{major}.{_plus_one(minor)}.0"
        case Part.PATCH:
            return f"v{major}.{minor}.{_plus_one(patch)}"


def _plus_one(digits: str) -> str:
    head = digits.rstrip("9")
    zeros = "0" * (len(digits) - len(head))
    if not head:
        return "1" + zeros
    return head[:-1] + chr(ord(head[-1]) + 1) + zeros
