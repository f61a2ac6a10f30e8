"""Random histories of registries, and real Git repositories made of them.

`histories()` is a Hypothesis strategy; `write_repository(path, history)` writes its
objects straight to disk (no git process, about a millisecond), with a work tree that
holds what gto reads from it. Anything Git can store can be written: odd taggers, tags
of blobs, names that differ from the ref's."""

from __future__ import annotations

import bisect
import hashlib
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import strategies as st

START = 1_600_000_000


@dataclass(frozen=True)
class Commit:
    """A commit on main, after the one before it in the list."""

    seconds: int = START
    zone: str = "+0000"
    author: str = "Ada <ada@example.org>"
    committer: str = ""  # "": the author
    message: str = "Train\n"
    files: Mapping[str, str] = field(default_factory=dict)  # path -> content
    headers: bytes = b""  # more header lines, each with its newline


@dataclass(frozen=True)
class Tag:
    """A ref under refs/tags/. `target`: the number of a commit, or of another tag in
    the list when `of_tag`, or a blob or tree. `raw_tagger` replaces tagger and date."""

    ref: str
    target: int = 0
    seconds: int = START
    zone: str = "+0000"
    tagger: str = "Ada <ada@example.org>"
    message: str = "Say so\n"
    name: str | None = None  # inside the object; None: the ref
    is_lightweight: bool = False
    target_type: str = "commit"  # or "tag", "blob", "tree"
    raw_tagger: bytes | None = None  # the whole line; b"": none
    raw_message: bytes | None = None


@dataclass(frozen=True)
class History:
    """What is written: commits, oldest first, and tags."""

    commits: tuple[Commit, ...]
    tags: tuple[Tag, ...] = ()


_PACK_TYPES = {"commit": 1, "tree": 2, "blob": 3, "tag": 4}


class Writer:
    """Writes a repository at `path`, which must not exist: all objects in one pack,
    which is some ten times faster than loose ones. Call `finish` at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.git = path / ".git"
        for folder in ("objects/info", "objects/pack", "refs/heads", "refs/tags"):
            (self.git / folder).mkdir(parents=True)
        (self.git / "HEAD").write_text("ref: refs/heads/main\n")
        (self.git / "config").write_text(
            "[core]\n\trepositoryformatversion = 0\n\tbare = false\n"
        )
        self._objects: dict[str, tuple[str, bytes]] = {}

    def write(self, kind: str, body: bytes) -> str:
        """Take an object; its id."""
        data = f"{kind} {len(body)}\0".encode() + body
        object_id = hashlib.sha1(data, usedforsecurity=False).hexdigest()
        self._objects[object_id] = kind, body
        return object_id

    def finish(self, refs: Mapping[str, str]) -> None:
        """Write the pack, its index (gitformat-pack(5), version 2) and `refs`, full
        names to ids."""
        pack = bytearray(b"PACK" + struct.pack(">II", 2, len(self._objects)))
        places: dict[str, tuple[int, int]] = {}
        for object_id, (kind, body) in self._objects.items():
            size = len(body)
            head = bytearray([_PACK_TYPES[kind] << 4 | size & 15])
            size >>= 4
            while size:
                head[-1] |= 128
                head.append(size & 127)
                size >>= 7
            entry = bytes(head) + zlib.compress(body, 1)
            places[object_id] = len(pack), zlib.crc32(entry)
            pack += entry
        pack += hashlib.sha1(pack, usedforsecurity=False).digest()
        ids = sorted(places)
        index = bytearray(b"\xfftOc" + struct.pack(">I", 2))
        for first in range(256):
            index += struct.pack(">I", bisect.bisect_left(ids, f"{first + 1:02x}"))
        index[-4:] = struct.pack(">I", len(ids))
        index += b"".join(bytes.fromhex(i) for i in ids)
        index += b"".join(struct.pack(">I", places[i][1]) for i in ids)
        index += b"".join(struct.pack(">I", places[i][0]) for i in ids)
        index += pack[-20:]
        index += hashlib.sha1(index, usedforsecurity=False).digest()
        if ids:
            name = self.git / "objects/pack" / f"pack-{pack[-20:].hex()}"
            name.with_suffix(".pack").write_bytes(pack)
            name.with_suffix(".idx").write_bytes(index)
        lines = ["# pack-refs with: sorted \n"]
        lines += [f"{refs[ref]} {ref}\n" for ref in sorted(refs)]
        (self.git / "packed-refs").write_text("".join(lines))

    def write_tree(self, files: Mapping[str, str]) -> str:
        """Store a tree of files by path; its id."""
        folders: dict[str, dict[str, str]] = {}
        entries: list[tuple[bytes, bytes, str]] = []
        for path, content in files.items():
            first, slash, rest = path.partition("/")
            if slash:
                folders.setdefault(first, {})[rest] = content
            else:
                blob = self.write("blob", content.encode())
                entries.append((first.encode(), b"100644", blob))
        for name, inside in folders.items():
            entries.append((name.encode(), b"40000", self.write_tree(inside)))
        entries.sort(key=lambda e: e[0] + (b"/" if e[1] == b"40000" else b""))
        return self.write(
            "tree",
            b"".join(
                mode + b" " + name + b"\0" + bytes.fromhex(object_id)
                for name, mode, object_id in entries
            ),
        )

    def write_commit(self, commit: Commit, parent: str) -> str:
        when = f"{commit.seconds} {commit.zone}"
        head = f"tree {self.write_tree(commit.files)}\n"
        if parent:
            head += f"parent {parent}\n"
        head += f"author {commit.author} {when}\n"
        head += f"committer {commit.committer or commit.author} {when}\n"
        body = head.encode() + commit.headers + b"\n" + commit.message.encode()
        return self.write("commit", body)

    def write_tag(self, tag: Tag, target: str) -> str:
        line = tag.raw_tagger
        if line is None:
            line = f"tagger {tag.tagger} {tag.seconds} {tag.zone}\n".encode()
        name = tag.ref if tag.name is None else tag.name
        head = f"object {target}\ntype {tag.target_type}\ntag {name}\n"
        message = tag.raw_message
        if message is None:
            message = tag.message.encode()
        return self.write("tag", head.encode() + line + b"\n" + message)


def write_repository(path: Path, history: History) -> Path:
    """A repository with `history` at `path`; its head is the last commit."""
    writer = Writer(path)
    commits: list[str] = []
    for commit in history.commits:
        commits.append(writer.write_commit(commit, commits[-1] if commits else ""))
    if commits:
        for name, content in history.commits[-1].files.items():
            file = path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
    ids: list[str] = []
    refs = {"refs/heads/main": commits[-1]} if commits else {}
    for tag in history.tags:
        match tag.target_type:
            case "commit":
                target = commits[tag.target]
            case "tag":
                target = ids[tag.target]
            case "blob":
                target = writer.write("blob", b"no commit")
            case _:
                target = writer.write_tree({"no": "commit"})
        object_id = target if tag.is_lightweight else writer.write_tag(tag, target)
        ids.append(object_id)
        refs[f"refs/tags/{tag.ref}"] = object_id
    writer.finish(refs)
    return path


ARTIFACTS = ("m", "churn", "models/cv", "a-b_c/d", "sub=m", "x/y.z=churn", "9")
VERSIONS = (
    "v0.0.1",
    "v1.0.0",
    "v1.0.0+one",
    "v1.0.0+two",
    "v1.0.0-rc.1",
    "v1.0.0-rc.1+one",
    "v1.0.0-rc.2",
    "v1.0.0-rc.10",
    "v1.0.0-alpha",
    "v1.2.0",
    "v1.10.0",
    "v2.0.0",
    "v10.0.0",
)
STAGES = ("dev", "prod", "stage", "a/b", "1")
PEOPLE = (
    "Ada <ada@example.org>",
    "Bob B. Bobson <bob@example.org>",
    "José <j+x@example.org>",
    "李 <li@example.org>",
)
ZONES = ("+0000", "+0200", "-0800", "+0545", "-0330")
FOREIGN = ("v1.0.0", "release-2", "m_@v1.0.0", "_m#prod", "m@v01.0.0", "a=b=c@v1.0.0")
MESSAGES = (
    "Say so",
    "Two\n\nparagraphs\n",
    "",
    "  spaces around \n",
    "ä \u202e <b>\n",
    "Signed\n-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----\n",
    "Signed\n\n-----BEGIN SSH SIGNATURE-----\nx\n-----END SSH SIGNATURE-----\n",
)
SIGNED = b"gpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n"
NAMES = ("m", "churn", "models/cv", "only-annotated", "other")
CONFIGS = (
    "stages: [dev, prod, stage]\n",
    "stages: [prod, 'a/b', '1']\n",
    "types: [m]\n",
)

_seconds = st.integers(0, 9).map(lambda n: START + n)


@st.composite
def _artifacts_yaml(draw: st.DrawFn) -> str:
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=3))
    if not names:
        return "{}\n"
    lines: list[str] = []
    for name in names:
        lines.append(f"{name}:")
        lines.append(f"  type: {draw(st.sampled_from(('model', 'dataset')))}")
        if draw(st.booleans()):
            lines.append(f"  path: data/{name}.pkl")
            lines.append("  labels: [one, two words]")
        if draw(st.booleans()):
            lines.append("  description: 'It predicts: churn'")
            lines.append("  custom: {a: [1, 2.5, null, true], z: x, b: {c: d}}")
            lines.append("  virtual: false")
    return "\n".join(lines) + "\n"


@st.composite
def _commits(draw: st.DrawFn) -> tuple[Commit, ...]:
    commits: list[Commit] = []
    config = draw(st.sampled_from(("", "", *CONFIGS)))
    yaml = draw(st.none() | _artifacts_yaml())
    for _ in range(draw(st.integers(1, 5))):
        if draw(st.integers(0, 2)) == 0:
            yaml = draw(st.none() | _artifacts_yaml())
        files = {"code.py": str(len(commits))}
        if yaml is not None:
            files["artifacts.yaml"] = yaml
        if config:
            files[".gto"] = config
        commits.append(
            Commit(
                seconds=draw(_seconds) - draw(st.sampled_from((0, 5, 1000))),
                zone=draw(st.sampled_from(ZONES)),
                author=draw(st.sampled_from(PEOPLE)),
                committer=draw(st.sampled_from(("", *PEOPLE))),
                message=draw(st.sampled_from(("Train\n", "\nTrain\n\nlong\n", "x"))),
                files=files,
                headers=draw(st.sampled_from((b"", b"", SIGNED))),
            )
        )
    return tuple(commits)


def _pass(ref: str) -> str:
    """In which of its passes gto reads the ref: it counts a tag object once in each,
    Muster once."""
    if "@deprecated" in ref:
        return "deprecations"
    return "versions" if "@" in ref else "stages"


@st.composite
def histories(
    draw: st.DrawFn, most_tags: int = 24, artifacts: tuple[str, ...] = ARTIFACTS
) -> History:
    """A registry's history that gto can read, but for stages of commits with two
    versions and events on commits without a version, which it may hold."""
    commits = draw(_commits())
    names = draw(st.lists(st.sampled_from(artifacts), min_size=1, max_size=3))
    tags: list[Tag] = []
    used: set[str] = set()
    # Mostly one version per commit: gto fails on stages of commits with two.
    plan = draw(
        st.lists(
            st.sampled_from(VERSIONS), min_size=len(commits), max_size=len(commits)
        )
    )
    for _ in range(draw(st.integers(0, most_tags))):
        artifact = draw(st.sampled_from(names))
        target = draw(st.integers(0, len(commits) - 1))
        action = draw(st.integers(0, 11))
        version = plan[target]
        if draw(st.integers(0, 19)) == 0:
            version = draw(st.sampled_from(VERSIONS))
        stage = draw(st.sampled_from(STAGES[:3] if action % 2 else STAGES))
        if action <= 3:
            name = f"{artifact}@{version}"
        elif action == 4:
            name = f"{artifact}@{version}!"
        elif action <= 7:
            name = f"{artifact}#{stage}"
        elif action <= 9:
            name = f"{artifact}#{stage}!"
        elif action == 10:
            name = f"{artifact}@deprecated"
        else:
            name = draw(st.sampled_from(FOREIGN))
        if action != 11 and (name in used or draw(st.booleans())):
            counter = draw(st.sampled_from(("1", "2", "7", "007", "10", "123")))
            name += f"#{counter}"
        if name in used:
            continue
        used.add(name)
        inner = None
        if tags and draw(st.integers(0, 29)) == 0:
            known = draw(st.sampled_from(tags)).ref
            inner = known if known not in FOREIGN else None
            if name in FOREIGN:
                inner = None
        # Now and then a tag of a tag, which gto takes for a commit of its own, or a
        # second ref to one tag object (`git tag b@v1.0.0 a@v1.0.0`).
        annotated = [
            number
            for number, tag in enumerate(tags)
            if not tag.is_lightweight
            and tag.ref not in FOREIGN
            and _pass(tag.ref) == _pass(name)
        ]
        is_nested = bool(annotated) and draw(st.integers(0, 39)) == 0
        tags.append(
            Tag(
                ref=name,
                target=draw(st.sampled_from(annotated)) if is_nested else target,
                target_type="tag" if is_nested else "commit",
                seconds=draw(_seconds),
                zone=draw(st.sampled_from(ZONES)),
                tagger=draw(st.sampled_from(PEOPLE)),
                message=draw(st.sampled_from(MESSAGES)),
                name=inner,
                is_lightweight=draw(st.integers(0, 14)) == 0,
            )
        )
    return History(commits, tuple(tags))
