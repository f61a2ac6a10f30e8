"""Answers that api.github.com once gave, as PyGithub's authors recorded them, served
again over HTTP. The recordings are not ours to hand on: unpack PyGithub's source
distribution (`pip download --no-binary :all: --no-deps PyGithub`) and name its folder
in MUSTER_TEST_PYGITHUB."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from indexer.providers.errors import ProviderError
from indexer.providers.github.client import parse_page
from indexer.providers.github.payloads import (
    parse_access,
    parse_account,
    parse_hook,
    parse_installation,
    parse_repository,
)
from tests.providers.github.conftest import ClientOf
from tests.providers.github_server import GitHubServer

SDIST = os.environ.get("MUSTER_TEST_PYGITHUB", "")
LISTS = {
    r"/(orgs/[^/]+|users/[^/]+|user)/repos": parse_repository,
    r"/installation/repositories": parse_repository,
    r"/(orgs/[^/]+|repos/[^/]+/[^/]+)/hooks": parse_hook,
}
SINGLES = {
    r"/user|/(orgs|users)/[^/]+": parse_account,
    r"/repos/[^/]+/[^/]+|/repositories/\d+": parse_repository,
    r"/(orgs|users)/[^/]+/installation|/app/installations/\d+": parse_installation,
    r"/app/installations/\d+/access_tokens": parse_access,
}
# Recorded as an answer that was cut.
BROKEN = {"Exceptions.testJSONParseError"}


@dataclass(frozen=True)
class Recorded:
    """A request and what came back."""

    file: str
    method: str
    path: str
    status: int
    headers: dict[str, str]
    body: str


def recordings() -> Iterator[Recorded]:
    for file in sorted(Path(SDIST, "tests", "ReplayData").glob("*.txt")):
        lines = file.read_text(encoding="utf-8").split("\n")
        for start, line in enumerate(lines):
            block = lines[start : start + 10]
            if line not in {"http", "https"} or len(block) < 10:
                continue
            if not block[7].isdigit() or not block[8].startswith("["):
                continue
            path = block[4].partition("?")[0].removeprefix("/api/v3")
            headers = {k.lower(): v for k, v in ast.literal_eval(block[8])}
            yield Recorded(file.stem, block[1], path, int(block[7]), headers, block[9])


def parser_of(path: str) -> tuple[Any, bool] | None:
    """What reads the answer of a path, and whether that is a list."""
    for patterns, is_list in ((LISTS, True), (SINGLES, False)):
        for pattern, parse in patterns.items():
            if re.fullmatch(pattern, path):
                return parse, is_list
    return None


@pytest.mark.skipif(not SDIST, reason="MUSTER_TEST_PYGITHUB is not set")
def test_what_github_once_answered_is_read(
    github: GitHubServer, client_of: ClientOf
) -> None:
    client, read = client_of("ghp_recorded"), 0
    for recorded in recordings():
        found = parser_of(recorded.path)
        if found is None or recorded.method != "GET" or recorded.status == 304:
            continue
        kept = ("content-type", "link", "etag", "x-oauth-scopes", "retry-after")
        github.fault(
            "GET",
            status=recorded.status,
            headers={k.title(): v for k, v in recorded.headers.items() if k in kept},
            body=recorded.body.encode(),
        )
        is_whole = recorded.body and recorded.file not in BROKEN
        if recorded.status != 200 or not is_whole:
            with pytest.raises(ProviderError):
                client.rest("GET", recorded.path)
            continue
        answer = client.rest("GET", recorded.path)
        parse, is_list = found
        inside = "repositories" if recorded.path.startswith("/inst") else ""
        for item in parse_page(answer.data, inside)[0] if is_list else [answer.data]:
            # The oldest were recorded before repositories could be archived.
            if parse is not parse_repository or "archived" in item:
                parse(item)
                read += 1
    assert read > 100
