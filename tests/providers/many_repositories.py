"""Many small repositories with a model each, made quickly: for the test servers when
they run alone, and for measurements."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.providers.git_server import GIT
from tests.providers.object_store import ObjectStore

WHEN = 1_700_000_000
ANNOTATION = """\
model:
  type: model
  path: models/model.pkl
  description: Says who is likely to leave.
  labels:
  - demo
"""


def make_repositories(folder: Path, count: int, tags: int = 10) -> Iterator[Path]:
    """`count` bare repositories below `folder`, named model-0001 and so on: one history
    for all, and one tag that no other has. Half of the tags register a version, half
    assign it to a stage."""
    template = folder / "template.git"
    if not template.exists():
        _make_template(template, tags - 1)
    for number in range(1, count + 1):
        target = folder / f"model-{number:04}.git"
        if not target.exists():
            shutil.copytree(template, target)
            _tag_apart(target, number)
        yield target


def _make_template(path: Path, tags: int) -> None:
    run = [GIT, "-C", str(path)]
    subprocess.run([GIT, "init", "-q", "--bare", "-b", "main", str(path)], check=True)
    for sample in (path / "hooks").iterdir():
        sample.unlink()
    stream = "\n".join(_history(tags)) + "\n"
    subprocess.run([*run, "fast-import", "--quiet"], input=stream.encode(), check=True)
    subprocess.run([*run, "gc", "-q"], check=True)


def _history(tags: int) -> Iterator[str]:
    for number in range(1, tags + 1):
        who = f"Demo <demo@example.org> {WHEN + 3600 * number} +0100"
        version = f"v1.{(number + 1) // 2}.0"
        if number % 2:
            yield from ("commit refs/heads/main", f"mark :{number}")
            yield from (f"author {who}", f"committer {who}", _data(f"Train {version}"))
            if number > 1:
                yield f"from :{number - 2}"
            yield from ("M 100644 inline artifacts.yaml", _data(ANNOTATION))
            yield from ("M 100644 inline params.yaml", _data(f"depth: {number}\n"))
            yield f"tag model@{version}"
            yield from (f"from :{number}", f"tagger {who}", _data(f"Model {version}\n"))
        else:
            stage = "prod" if number % 4 else "staging"
            yield f"tag model#{stage}#{number // 2}"
            yield from (f"from :{number - 1}", f"tagger {who}", _data("Assign\n"))


def _data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}"


def _tag_apart(path: Path, number: int) -> None:
    store = ObjectStore(path)
    head = store.resolve("HEAD")
    name = f"model@v2.{number}.0"
    data = (
        f"object {head}\ntype commit\ntag {name}\n"
        f"tagger Demo <demo@example.org> {WHEN + 900_000 + number} +0000\n\n"
        f"Model {number}\n"
    )
    store.set_ref(f"refs/tags/{name}", store.write("tag", data.encode()))
