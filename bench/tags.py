"""Repositories of any size: N annotated tags over 20 artifacts.

Half of the tags register versions, the others assign stages, as a team does that
releases often. Either every version has a commit of its own (the harder one for us),
or all 20 artifacts are released from one commit. `dvc.yaml` annotates every artifact
and changes at every hundredth commit."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

ARTIFACTS = 20
STAGES = ("dev", "staging", "prod")
START = 1_700_000_000  # seconds since 1970 of the first commit; a minute a step
WHO = b"Bench <bench@example.com>"


def make_repository(folder: Path, tags: int, *, together: bool = False) -> None:
    """Write a bare repository with `tags` annotated tags to `folder`. `together`:
    one commit holds a release of all artifacts, else every version has its own."""
    _import(folder, _stream(tags, together=together))


def make_model(folder: Path, versions: int) -> None:
    """Write a bare repository of one artifact, `model`, with five events a version:
    it is registered, walks through three stages, and leaves the first."""
    stream: list[bytes] = []
    for number in range(versions):
        when = START + 600 * number
        stream.append(b"commit refs/heads/main\nmark :%d\n" % (number + 1))
        stream.append(b"committer %s %d +0000\n" % (WHO, when))
        stream.append(_data(b"Train again"))
        if number:
            stream.append(b"from :%d\n" % number)
        else:
            stream.append(b"M 100644 inline dvc.yaml\n" + _data(_dvc_yaml(0)))
        names = [b"model@v0.0.%d" % number]
        names += [
            b"model#%s#%d" % (stage.encode(), number * 4 + place)
            for place, stage in enumerate(STAGES)
        ]
        names.append(b"model#%s!#%d" % (STAGES[0].encode(), number * 4 + 3))
        for place, name in enumerate(names):
            stream.append(b"tag %s\nfrom :%d\n" % (name, number + 1))
            stream.append(b"tagger %s %d +0000\n" % (WHO, when + place * 60))
            stream.append(_data(b"Say why"))
    _import(folder, stream)


def make_registries(folder: Path, tags: int, files: int = 5) -> None:
    """Write a bare repository of `tags` annotated tags, each on a commit of its own
    that changes one of `files` files with artifacts."""
    stream: list[bytes] = []
    for number in range(tags):
        stream += _release(number, files)
    _import(folder, stream)


def add_release(folder: Path, number: int, files: int = 5) -> None:
    """One more version in a repository of `make_registries`, with its commit."""
    _read_stream(folder, _release(number, files, parent=b"refs/heads/main^0"))


def add_tag(folder: Path, number: int) -> None:
    """Register one more version on the head."""
    when = f"{START + 10_000_000 + number} +0000"
    _git(
        folder,
        *("-c", "user.name=Bench", "-c", "user.email=bench@example.com"),
        *("tag", "-a", f"model-00@v9.0.{number}", "-m", "one more", "main"),
        environment={"GIT_COMMITTER_DATE": when},
    )


def _import(folder: Path, stream: Iterable[bytes]) -> None:
    subprocess.run(["git", "init", "-q", "--bare", str(folder)], check=True)
    _git(folder, "symbolic-ref", "HEAD", "refs/heads/main")
    _read_stream(folder, stream)
    _git(folder, "pack-refs", "--all")


def _read_stream(folder: Path, stream: Iterable[bytes]) -> None:
    subprocess.run(
        ["git", "--git-dir", str(folder), "fast-import", "--quiet"],
        input=b"".join(stream),
        check=True,
    )


def _release(number: int, files: int, parent: bytes = b"") -> Iterator[bytes]:
    """A commit that changes a file (the first writes all), and its tag."""
    when = b"%d +0000" % (START + 60 * number)
    changed = number % files
    yield b"commit refs/heads/main\nmark :1\ncommitter %s %s\n" % (WHO, when)
    yield _data(b"Train model-%d" % changed)
    if parent:
        yield b"from %s\n" % parent
    for file in [changed] if number else range(files):
        text = b"artifacts:\n  model:\n    type: model\n    path: m-%d.pkl\n" % number
        yield b"M 100644 inline team-%d/dvc.yaml\n" % file + _data(text)
    name = b"team-%d=model@v1.%d.0" % (changed, number // files)
    yield b"tag %s\nfrom :1\ntagger %s %s\n" % (name, WHO, when)
    yield _data(b"Release " + name)


def _stream(tags: int, *, together: bool) -> Iterator[bytes]:
    """The fast-import stream."""
    mark = 0
    for number in range(tags):
        step, assigns = divmod(number, 2)
        artifact = f"model-{step % ARTIFACTS:02}".encode()
        release = step // ARTIFACTS
        when = b"%d +0000" % (START + 60 * number)
        if not assigns and not (together and step % ARTIFACTS):
            mark += 1
            yield b"commit refs/heads/main\nmark :%d\n" % mark
            yield b"committer %s %s\n" % (WHO, when)
            yield _data(b"Train " + artifact)
            if mark > 1:
                yield b"from :%d\n" % (mark - 1)
            if mark % 100 == 1:
                yield b"M 100644 inline dvc.yaml\n" + _data(_dvc_yaml(mark // 100))
        if not assigns:
            name = b"%s@v1.%d.%d" % (artifact, release // 10, release % 10)
        else:
            stage = STAGES[release % len(STAGES)].encode()
            name = b"%s#%s#%d" % (artifact, stage, release + 1)
        yield b"tag %s\nfrom :%d\n" % (name, mark)
        yield b"tagger %s %s\n" % (WHO, when)
        yield _data(b"Say why " + name)


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)


def _dvc_yaml(edition: int) -> bytes:
    lines = ["artifacts:"]
    for number in range(ARTIFACTS):
        lines += [
            f"  model-{number:02}:",
            f"    path: models/model-{number:02}.pkl",
            "    type: model",
            f"    desc: Model {number}, edition {edition}",
            "    labels: [bench, tabular]",
        ]
    return "\n".join(lines).encode() + b"\n"


def _git(
    folder: Path, *arguments: str, environment: dict[str, str] | None = None
) -> None:
    subprocess.run(
        ["git", "--git-dir", str(folder), *arguments],
        check=True,
        env={
            "PATH": os.environ.get("PATH", os.defpath),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            **(environment or {}),
        },
    )
