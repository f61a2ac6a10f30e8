"""A site in a process of its own that answers requests from standard input: one path
a line in, one line of JSON out. So two sites can be measured in turns, and what else
the machine does meanwhile hits both alike.

    python -m bench.site            MUSTER_DATA and DATABASE_URL say which
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from bench.measure import PYTHON, ROOT, inherited


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of a site: milliseconds, queries, bytes, lines of the main table."""

    milliseconds: float
    queries: int
    length: int
    rows: int


class Site:
    """The other end: a running site to ask."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [PYTHON, "-m", "bench.site"],
            cwd=ROOT,
            env=inherited(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def ask(self, path: str) -> Answer:
        """Request a path once."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(path + "\n")
        self._process.stdin.flush()
        return Answer(**json.loads(self._process.stdout.readline()))


@dataclass(frozen=True, slots=True)
class Comparison:
    """The same page of a small and a large site, each the fastest of several asks:
    what else the machine does only ever adds."""

    small: Answer
    large: Answer

    @property
    def ratio(self) -> float:
        """How many times longer the large site takes."""
        return self.large.milliseconds / self.small.milliseconds


def compare(
    small: Site, large: Site, path: str, other: str = "", *, times: int = 15
) -> Comparison:
    """Ask both in turns. `other` is the path at the large site, if it differs."""
    asked = [(small.ask(path), large.ask(other or path)) for _ in range(times + 2)][2:]
    return Comparison(
        *(
            Answer(
                min(answer.milliseconds for answer in answers),
                answers[-1].queries,  # the first ask fills caches
                answers[-1].length,
                answers[-1].rows,
            )
            for answers in zip(*asked, strict=True)
        )
    )


def main() -> None:
    """Answer until there is nothing more to answer."""
    import django

    django.setup()
    from django.conf import settings
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    client = Client(SERVER_NAME=settings.ALLOWED_HOSTS[0])
    for line in sys.stdin:
        path = line.strip()
        begun = time.perf_counter()
        response = client.get(path)
        content = response.content
        milliseconds = (time.perf_counter() - begun) * 1000
        if response.status_code != 200:
            raise SystemExit(f"{path}: HTTP {response.status_code}")
        with CaptureQueriesContext(connection) as queries:
            client.get(path)
        answer = {
            "milliseconds": milliseconds,
            "queries": len(queries),
            "length": len(content),
            "rows": content.count(b"<tr"),
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "registry_site.settings")
    main()
