"""Orders of tags for the tests of those who write them, and the repository they are
for."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from indexer.core.git_objects import TagOrder
from indexer.core.snapshot import GitTag, Instant, Person
from indexer.providers.writing import TagExists, TagWriter
from tests.core.test_plans import a_repository

ADA = Person("Ada Lovelace", "ada@example.org")
BOB = Person("Bob", "bob@example.org")
AT = Instant(1_750_000_000, 120)
NAME = "churn#prod#3"
# T7: never sent, whoever asks.
ODD_NAMES = (
    "churn@v1.0.0\n",
    "churn\n@v1.0.0",
    "churn@v1.0.0\r\n",
    "churn@v1..0.0",
    "a..b=churn@v1.0.0",
    "../x=churn@v1.0.0",
    "churn//x@v1.0.0",
    "churn~1",
    "churn~@v1.0.0",
    "-d",
    "--exec=x@v1.0.0",
    "churn",
    "churn@created",
    "churn@v1.0.0-x.lock",
    "c" * 250 + "@v1.0.0",
    "churn@v1.\u0662.0",
    "refs/tags/churn",
    "",
)


def git(path: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(path), *arguments], capture_output=True, check=True
    )
    return done.stdout.decode().strip()


def a_bare_repository(path: Path) -> tuple[Path, list[str]]:
    """With three commits, a tag `churn`, which an address with a raw “#” in it would
    be about, and one that is annotated; the commits, oldest first."""
    commits = a_repository(path / "work", {"model.txt": "weights\n"})
    git(path / "work", "tag", "churn", commits[0])
    git(path / "work", "-c", "user.name=Eve", "-c", "user.email=eve@example.org",
        "tag", "-a", "-m", "There before", "churn#dev#2", commits[0])  # fmt: skip
    bare = path / "churn.git"
    git(path, "clone", "--quiet", "--bare", str(path / "work"), str(bare))
    for name in ("http.receivepack", "uploadpack.allowFilter"):
        git(bare, "config", name, "true")
    return bare, commits


def tags_at(bare: Path) -> dict[str, str]:
    """Every tag's object id."""
    listed = git(
        bare, "for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/tags"
    )
    return dict(line.split(" ") for line in listed.splitlines())


def order_of(commit: str, /, name: str = NAME, **what: object) -> TagOrder:
    message = "Assigning stage prod to artifact churn version v1.0.0"
    order = TagOrder(name, commit, message, ADA, AT)
    return replace(order, **what)  # type: ignore[arg-type]


def write_at_once(
    writers: Sequence[TagWriter], orders: Sequence[TagOrder]
) -> list[GitTag | Exception]:
    """What became of these orders, each by its own writer, all begun together."""
    start = threading.Barrier(len(orders))

    def write(number: int) -> GitTag | Exception:
        start.wait()
        try:
            return writers[number].write_tag(orders[number])
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(orders)) as pool:
        return list(pool.map(write, range(len(orders))))


def check_one_winner(
    writer_of: Callable[[], TagWriter], bare: Path, commit_id: str
) -> None:
    """F-T2: of twenty people who write one name at once one succeeds, the others learn
    of the tag that is there."""
    orders = [
        order_of(commit_id, tagger=Person(f"P{n}", f"p{n}@example.org"),
                 message=f"It was {n}")
        for n in range(20)
    ]  # fmt: skip
    results = write_at_once([writer_of() for _ in orders], orders)
    won = [found for found in results if isinstance(found, GitTag)]
    lost = [found for found in results if isinstance(found, TagExists)]
    assert (len(won), len(lost)) == (1, 19), results
    assert {error.there for error in lost} == {won[0]}
    assert tags_at(bare)[NAME] == won[0].object_id


def check_all_win(
    writer_of: Callable[[], TagWriter], bare: Path, commit_id: str
) -> None:
    """F-T2: twenty names at once, twenty tags."""
    before = tags_at(bare)
    orders = [order_of(commit_id, f"churn#prod#{n}") for n in range(10, 30)]
    results = write_at_once([writer_of() for _ in orders], orders)
    made = {tag.ref: tag.object_id for tag in results if isinstance(tag, GitTag)}
    assert tags_at(bare) == before | made
    assert len(made) == 20, results
