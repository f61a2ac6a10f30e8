"""A GitHub in a process of its own, so that its time is not ours: the tests' server
over real repositories, without checks of every answer and, as GitHub Enterprise Server
begins, without limits. Told what to do by lines of standard input; each is answered by
a line of JSON.

    python -m bench.github FOLDER REPOSITORIES TAGS
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

from bench.measure import PYTHON, ROOT, inherited
from bench.tags import add_release, make_registries
from tests.providers.api_requests import Delivery, Reply, Request
from tests.providers.api_server import serve
from tests.providers.github_server import GitHubServer
from tests.providers.github_state import Repository
from tests.providers.many_repositories import make_repositories

OWNER = "demo"  # of many small repositories
LARGE = "large/tags"


class GitHub:
    """The other end: a running server to tell things."""

    def __init__(self, folder: Path, repositories: int, tags: int) -> None:
        sizes = [str(repositories), str(tags)]
        self._process = subprocess.Popen(
            [PYTHON, "-m", "bench.github", str(folder), *sizes],
            cwd=ROOT,
            env=inherited({}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        begun = self._read()
        self.url: str = begun["url"]
        self.token: str = begun["token"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def ask(self, *words: str) -> Any:
        """`spent`: its seconds of processor and the number of requests so far.
        `release NUMBER`: one more version in LARGE. `doors`: the webhooks of the last
        push once all are delivered, each with when, how long and what it was
        answered."""
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(words) + "\n")
        self._process.stdin.flush()
        return self._read()

    @property
    def requests(self) -> int:
        """How many were asked so far."""
        return int(self.ask("spent")["requests"])

    def _read(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


class UnlimitedServer(GitHubServer):
    """Names no limits, and measures how fast its webhooks are answered."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.is_checked = False
        self.delivers = True
        self.doors: list[dict[str, float]] = []
        self.pushes: queue.Queue[list[dict[str, float]]] = queue.Queue()
        for limit in self.limits.values():
            limit.enforced = False

    def finish(self, request: Request, reply: Reply) -> None:
        super().finish(request, reply)
        for name in [each for each in reply.headers if "RateLimit" in each]:
            del reply.headers[name]

    def post_delivery(
        self, url: str, event: str, body: bytes, headers: dict[str, str]
    ) -> Delivery:
        at, begun = time.time(), time.perf_counter()
        delivery = super().post_delivery(url, event, body, headers)
        seconds = time.perf_counter() - begun
        self.doors.append({"at": at, "seconds": seconds, "status": delivery.status})
        return delivery

    def tell_of_push(
        self, row: Repository, before: dict[str, str], after: dict[str, str]
    ) -> None:
        self.doors = []  # without the ping of a new webhook
        super().tell_of_push(row, before, after)
        if self.doors:
            self.pushes.put(self.doors)


def answer(server: UnlimitedServer, words: list[str]) -> Any:
    """What one line of standard input asks for."""
    match words:
        case ["spent"]:
            return {"seconds": time.process_time(), "requests": len(server.requests)}
        case ["release", number]:
            add_release(server.repository(LARGE).bare, int(number))
            server.touch(LARGE)
            return {}
        case ["doors"]:
            return server.pushes.get(timeout=30)
    raise SystemExit(f"no such order: {words}")


def main(folder: Path, repositories: int, tags: int) -> None:
    """Serve until there is nothing more to be told."""
    server = UnlimitedServer(folder)
    for bare in make_repositories(folder / OWNER, repositories, tags):
        server.add_repository(f"{OWNER}/{bare.stem}", bare)
    large = folder / "large.git"
    make_registries(large, 300)
    server.add_repository(LARGE, large)
    with serve(server):
        print(json.dumps({"url": server.url, "token": server.token}), flush=True)
        for line in sys.stdin:
            print(json.dumps(answer(server, line.split())), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
