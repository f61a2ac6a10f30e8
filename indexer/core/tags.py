"""The grammar of GTO tag names, both directions (gto 1.10.1, `constants.py`).

ASCII only and the whole name. Each part ends at a character that it cannot hold, so
the expressions take linear time on any text."""

from __future__ import annotations

import re
from dataclasses import dataclass

from indexer.core.events import EventKind
from indexer.core.versions import VERSION, is_version

_NAME = r"[a-zA-Z0-9](?:[a-zA-Z0-9/_-]*[a-zA-Z0-9])?"
_FOLDER = r"[a-zA-Z0-9_./-]+"
_NAME_ALONE = re.compile(_NAME)
_ARTIFACT = re.compile(f"(?:{_FOLDER}:)?{_NAME}")
_TAG = re.compile(
    f"(?P<artifact>(?:{_FOLDER}=)?{_NAME})"
    f"(?:(?:#(?P<stage>{_NAME})|@(?P<version>{VERSION}))(?P<cancel>!?)|@deprecated)"
    "(?:#(?P<counter>[0-9]+))?"
)


@dataclass(frozen=True, slots=True)
class ParsedTag:
    """What a tag's name says. `artifact` is written with `:` (`dir:name`), `counter`
    is text (it may have thousands of digits, and `007` is not `7` in a name)."""

    kind: EventKind
    artifact: str
    version: str | None = None
    stage: str | None = None
    counter: str | None = None


@dataclass(frozen=True, slots=True)
class Shortcut:
    """`churn@latest`, `churn@v3.0.0`, `churn#prod`: one of the three is set."""

    artifact: str
    version: str | None = None
    stage: str | None = None
    latest: bool = False


def is_name(value: str) -> bool:
    """Whether `value` can name a stage, a type, or an artifact without a folder."""
    return _NAME_ALONE.fullmatch(value) is not None


def is_artifact_name(value: str) -> bool:
    """Whether `value` is `name` or `folder:name`."""
    return _ARTIFACT.fullmatch(value) is not None


def parse_tag_name(name: str) -> ParsedTag | None:
    """What the tag `name` says, or None when it is not GTO's.

    `m@created` is None too: the grammar knows it, nothing gives it a meaning, and gto
    itself dies of it."""
    match = _TAG.fullmatch(name)
    if match is None:
        return None
    artifact, stage, version, cancel, counter = match.group(
        "artifact", "stage", "version", "cancel", "counter"
    )
    if stage is not None:
        kind = EventKind.UNASSIGNMENT if cancel else EventKind.ASSIGNMENT
    elif version is not None:
        kind = EventKind.DEREGISTRATION if cancel else EventKind.REGISTRATION
    else:
        kind = EventKind.DEPRECATION
    return ParsedTag(kind, artifact.replace("=", ":"), version, stage, counter)


def format_tag_name(parsed: ParsedTag) -> str:
    """The tag name that says `parsed`: `parse_tag_name(format_tag_name(x)) == x`.

    Raises ValueError when no tag name can say it."""
    match parsed.kind:
        case EventKind.DEPRECATION:
            end = "@deprecated"
        case EventKind.REGISTRATION:
            end = f"@{parsed.version}"
        case EventKind.DEREGISTRATION:
            end = f"@{parsed.version}!"
        case EventKind.ASSIGNMENT:
            end = f"#{parsed.stage}"
        case EventKind.UNASSIGNMENT:
            end = f"#{parsed.stage}!"
    name = parsed.artifact.replace(":", "=") + end
    if parsed.counter is not None:
        name += f"#{parsed.counter}"
    if parse_tag_name(name) != parsed:
        raise ValueError(f"No tag name can say {parsed!r}.")
    return name


def parse_shortcut(value: str) -> Shortcut | None:
    """`NAME@latest`, `NAME@greatest`, `NAME@vX.Y.Z` or `NAME#STAGE`; None for any
    other text, a plain artifact name included."""
    at, hash_ = value.find("@"), value.find("#")
    if at < 0 and hash_ < 0:
        return None
    is_stage = at < 0 or 0 <= hash_ < at
    cut = hash_ if is_stage else at
    artifact, what = value[:cut], value[cut + 1 :]
    if not is_artifact_name(artifact):
        return None
    if is_stage:
        return Shortcut(artifact, stage=what) if is_name(what) else None
    if what in ("latest", "greatest"):
        return Shortcut(artifact, latest=True)
    return Shortcut(artifact, version=what) if is_version(what) else None
