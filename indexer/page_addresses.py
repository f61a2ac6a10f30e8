"""Addresses of repositories, artifacts and versions: every name has exactly one.

`/models/<repository>/-/<artifact>[@<version>]`. A repository's name has no segment
`-`, so the first `/-/` ends it. An artifact's name may hold anything, and what would
be read otherwise in a path is written as a percent escape that survives the one
decoding a server does: `@` (begins a version), `%` (begins an escape), segments `.`
and `..` and empty ones (browsers and proxies fold them).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from django.urls import get_script_prefix

if TYPE_CHECKING:
    from indexer.models import Artifact

_DOTS = re.compile(r"(?:(?<=/)|\A)\.{1,2}(?=/|\Z)")
_SLASHES = re.compile(r"\A/|(?<=/)/|/\Z")
_ESCAPE = re.compile(r"%(?!00)([0-9A-F]{2})")  # no name holds a NUL
_SEGMENT = r"(?!(?:-|\.{1,2})(?:/|\Z))[A-Za-z0-9._-]+"
_SAFE = "/~:@!$&'()*+,;="  # what Django's reverse() leaves as it is


def escape_name(name: str) -> str:
    """An artifact's name as it stands in a decoded path."""
    if "%" in name or "@" in name:
        name = name.replace("%", "%25").replace("@", "%40")
    if "." in name:
        name = _DOTS.sub(lambda found: "%2E" * len(found.group()), name)
    if "/" in name:
        name = _SLASHES.sub("%2F", name)
    return name


def unescape_name(text: str) -> str:
    """The name that `escape_name` wrote; other text stays as it is."""
    return _ESCAPE.sub(lambda found: chr(int(found.group(1), 16)), text)


class RepositoryConverter:
    """`owner/name`: segments of letters, digits, `.`, `_`, `-`."""

    regex = rf"{_SEGMENT}(?:/{_SEGMENT})*"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class ArtifactConverter:
    """Any name of an artifact."""

    regex = r"[\s\S]+"

    def to_python(self, value: str) -> str:
        return unescape_name(value)

    def to_url(self, value: str) -> str:
        return escape_name(value)


class VersionConverter:
    """`v1.2.3`, or the whole id of a commit."""

    regex = r"v[^@/]+|[0-9a-f]{64}|[0-9a-f]{40}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


def artifact_path(repository: str, artifact: str, version: str = "") -> str:
    """What `reverse("artifact")` and `reverse("version")` return, some twenty times
    faster: a list of models has hundreds of such links. A test compares the two."""
    tail = f"{escape_name(artifact)}@{version}" if version else escape_name(artifact)
    return f"{get_script_prefix()}models/{repository}/-/{quote(tail, safe=_SAFE)}"


def artifact_url(artifact: Artifact, version: str = "") -> str:
    """The page of an artifact, or of one of its versions. Reads its repository."""
    return artifact_path(artifact.repository.name, artifact.name, version)
