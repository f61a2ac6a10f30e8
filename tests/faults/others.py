"""Those who push to a repository without Muster: at random, by real git, while Muster
reads it and writes to it."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.providers.raw_repository import RawRepository

ARTIFACTS = ("churn", "models/cv", "sub=m")  # as tags write them
STAGES = ("dev", "prod")
PEOPLE = (b"Ada <ada@example.org>", b"Jos\xc3\xa9 <j+x@example.org>")
AGO = 100_000  # seconds: when their first tag was made
FILES = (
    {"dvc.yaml": b"artifacts:\n  churn: {type: model, path: churn.pkl}\n"},
    {
        "dvc.yaml": b"artifacts:\n  churn: {type: model, labels: [tabular, x]}\n",
        "sub/dvc.yaml": b"artifacts:\n  m: {type: model, desc: 'In a *folder*'}\n",
    },
    {"artifacts.yaml": b"models/cv:\n  type: model\n  path: cv.pkl\n"},
    {"artifacts.yaml": b"{", "dvc.yaml": b"artifacts: {churn: {type: dataset}}\n"},
    {"README.md": b"# Nothing here\n"},
)


@dataclass
class Others:
    """A repository, and what they have pushed. What Muster writes is not theirs: they
    move and delete nothing else than their own."""

    path: Path
    refs: dict[str, str] = field(default_factory=dict)  # theirs, as they must be
    commits: list[str] = field(default_factory=list)
    ever: set[str] = field(default_factory=set)  # names of tags they ever pushed

    @classmethod
    def begin(cls, path: Path, rng: random.Random) -> Others:
        """A repository with a few commits and tags."""
        RawRepository(path)
        with (path / "config").open("a") as config:
            config.write("\tallowAnySHA1InWant = true\n[http]\n\treceivepack = true\n")
        others = cls(path)
        others.push(rng, commits=rng.randint(3, 6), tags=rng.randint(0, 8))
        return others

    def push(self, rng: random.Random, *, commits: int = 0, tags: int = 0) -> None:
        """New commits and tags; some of theirs moved, some deleted: one push."""
        objects = _Objects(self.path)
        clock = int(time.time()) - AGO + 50 * len(self.ever)
        changes: dict[str, str] = {}  # "": deleted
        for _ in range(commits):
            branch = "main" if not self.commits else rng.choice(("main", "main", "dev"))
            self._commit(objects, rng, f"refs/heads/{branch}", clock, changes)
        for _ in range(tags):
            self._tag(objects, rng, clock, changes)
        self._send(changes)

    def tags(self) -> dict[str, str]:
        """All that are there now, Muster's too: object ids by name."""
        return {
            ref.removeprefix("refs/tags/"): object_id
            for ref, object_id in all_refs(self.path).items()
            if ref.startswith("refs/tags/")
        }

    def _commit(
        self,
        objects: _Objects,
        rng: random.Random,
        ref: str,
        clock: int,
        changes: dict[str, str],
    ) -> None:
        files = {**rng.choice(FILES), "code.py": b"%d" % len(self.commits)}
        if rng.random() < 0.1:
            files[".gto"] = b"stages: [dev, prod]\n"
        parent = changes.get(ref) or self.refs.get(ref)
        parents = [parent] if parent else self.commits[-1:]
        person = b"%s %d +0100" % (rng.choice(PEOPLE), clock + rng.randint(0, 3))
        lines = [b"tree " + objects.files(files).encode()]
        lines += [b"parent " + one.encode() for one in parents]
        lines += [b"author " + person, b"committer " + person]
        commit = objects.write("commit", b"\n".join(lines) + b"\n\nTrain\n")
        self.commits.append(commit)
        changes[ref] = commit

    def _tag(
        self,
        objects: _Objects,
        rng: random.Random,
        clock: int,
        changes: dict[str, str],
    ) -> None:
        theirs = sorted(
            ref for ref in {*self.refs, *changes} if ref.startswith("refs/tags/")
        )
        chance = rng.random()
        if theirs and chance < 0.15:
            changes[rng.choice(theirs)] = ""
            return
        target = rng.choice(self.commits)
        if theirs and chance < 0.25:  # moved
            name = rng.choice(theirs).removeprefix("refs/tags/")
        else:
            name = self._name(rng, changes)
        if f"refs/tags/{name}" not in theirs and name in self.tags():
            return  # Muster's
        self.ever.add(name)
        if rng.random() < 0.05:
            changes[f"refs/tags/{name}"] = target  # a light one
            return
        tagger = b"%s %d +0100" % (rng.choice(PEOPLE), clock + rng.randint(0, 3))
        body = objects.tag_body(target, name.encode(), tagger=tagger)
        changes[f"refs/tags/{name}"] = objects.write("tag", body)

    def _name(self, rng: random.Random, changes: Mapping[str, str]) -> str:
        """A name as gto would choose it, as far as they know."""
        artifact = rng.choice(ARTIFACTS)
        chance = rng.random()
        if chance < 0.5:
            number = rng.randint(0, 5)
            return f"{artifact}@v{number // 3}.{number % 3}.0"
        if chance < 0.55:
            return f"{artifact}@deprecated"
        known = {*self.tags(), *(ref.removeprefix("refs/tags/") for ref in changes)}
        mark = "" if chance < 0.85 else "!"
        counter = next_counter(known, artifact)
        return f"{artifact}#{rng.choice(STAGES)}{mark}#{counter}"

    def _send(self, changes: Mapping[str, str]) -> None:
        """All refs at once, each only if it is as they left it: as `git push --atomic
        --force-with-lease` does. Who comes too late pushes nothing."""
        nothing = "0" * 40
        lines = [
            f"update {ref} {new or nothing} {self.refs.get(ref, nothing)}\n"
            for ref, new in changes.items()
            if new or ref in self.refs
        ]
        done = subprocess.run(
            ["git", "-C", str(self.path), "update-ref", "--stdin"],
            input="".join(lines).encode(),
            capture_output=True,
            check=False,
        )
        if done.returncode:
            return
        for ref, new in changes.items():
            if new:
                self.refs[ref] = new
            else:
                self.refs.pop(ref, None)


class _Objects(RawRepository):
    """Writes objects into a repository that is there."""

    def __init__(self, path: Path) -> None:
        self.path, self._format = path, "sha1"


def all_refs(path: Path) -> dict[str, str]:
    """Object ids by whole name."""
    listed = subprocess.run(
        ["git", "-C", str(path), "for-each-ref", "--format=%(refname) %(objectname)"],
        capture_output=True,
        check=True,
    )
    lines = listed.stdout.decode().splitlines()
    return {line.split(" ")[0]: line.split(" ")[1] for line in lines}


def tagged_by(path: Path, email: str) -> dict[str, str]:
    """The tag objects by one person: ids by name of the ref."""
    listed = subprocess.run(
        ["git", "-C", str(path), "for-each-ref",
         "--format=%(refname:lstrip=2) %(objectname) %(taggeremail)", "refs/tags"],
        capture_output=True,
        check=True,
    )  # fmt: skip
    rows = [line.split(" ") for line in listed.stdout.decode().splitlines()]
    return {name: object_id for name, object_id, by in rows if by == f"<{email}>"}


def counter_of(name: str, artifact: str) -> int:
    """The counter at the end of a tag of this artifact; 0: none."""
    rest = name.removeprefix(artifact)
    if rest == name or rest[:1] not in {"@", "#"}:
        return 0
    _, mark, digits = rest[1:].rpartition("#")
    return int(digits) if mark and digits.isdigit() else 0


def next_counter(names: set[str], artifact: str) -> int:
    return 1 + max((counter_of(name, artifact) for name in names), default=0)
