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


def write_repository(path: Path, history: History, *, until: int | None = None) -> Path:
    """A repository with `history` at `path`; its head is the last commit.

    `until`: only the refs of tags dated until then, and no head that is younger."""
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
    if until is not None and commits and history.commits[-1].seconds > until:
        refs = {}
    dates: list[int | None] = []
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
        if tag.is_lightweight:
            dates.append(dates[tag.target] if tag.target_type == "tag" else None)
        else:
            dates.append(tag.seconds)
        if until is None or (dates[-1] or until) <= until:
            refs[f"refs/tags/{tag.ref}"] = object_id
    writer.finish(refs)
    return path


ARTIFACTS = (
    *("m", "churn", "models/cv", "a-b_c/d", "sub=m", "x/y.z=churn", "9"),
    *("M", "m-1", "m/1", "v1", "deprecated", "-=m", "a.b/_=m", "sub=M"),
)
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
    "v1.0.0-0",
    "v1.0.0--.0a.-1",
    "v1.0.0+0-00",
    "v0.0.0",
    "v99999999999999999999.0.0",
)
STAGES = ("dev", "prod", "stage", "a/b", "1", "Prod", "deprecated", "v1", "p_-/9")
PEOPLE = (
    "Ada <ada@example.org>",
    "Bob B. Bobson <bob@example.org>",
    "José <j+x@example.org>",
    "李 <li@example.org>",
)
ZONES = ("+0000", "+0200", "-0800", "+0545", "-0330", "-0000", "+1400", "-1159")
FOREIGN = (
    *("v1.0.0", "release-2", "m_@v1.0.0", "_m#prod", "m@v01.0.0", "a=b=c@v1.0.0"),
    *("m@v1.0.0#", "m#prod#1#2", "m@deprecated!", "m@v1.0", "#prod", "m@latest"),
)
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
CUSTOM = (
    "{a: [1, 2.5, null, true], z: x, b: {c: d}}",
    "[2024-01-31T12:00:00Z, 2024-01-31 1:00:00.123 +5:30, 0x10, 1_000, 017, yes]",
    f"{{z: &NAME {{y: {10**30}}}, <<: *NAME, x: *NAME}}",
    "!!omap [b: 1, a: {? [k, l] : 2}]",
)
NAMES = ("m", "churn", "models/cv", "only-annotated", "other")
CONFIGS = (
    "stages: [dev, prod, stage]\n",
    "stages: [prod, 'a/b', '1']\n",
    "types: [m]\n",
)

# A history's moments: each of some ten seconds, one second that all share, or years.
_MOMENTS = (
    st.integers(0, 9).map(lambda n: START + n),
    st.integers(0, 1).map(lambda n: START + n),
    st.sampled_from((1, 86_400, START - 1, START, START + 1, START + 10**8, 2**32 + 7)),
)


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
            # An anchor stands in a file once.
            custom = draw(st.sampled_from(CUSTOM)).replace("NAME", f"a{len(lines)}")
            lines.append(f"  custom: {custom}")
            lines.append("  virtual: false")
    return "\n".join(lines) + "\n"


@st.composite
def _commits(draw: st.DrawFn, moments: st.SearchStrategy[int]) -> tuple[Commit, ...]:
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
                seconds=max(draw(moments) - draw(st.sampled_from((0, 5, 1000))), 1),
                zone=draw(st.sampled_from(ZONES)),
                author=draw(st.sampled_from(PEOPLE)),
                committer=draw(st.sampled_from(("", *PEOPLE))),
                message=draw(st.sampled_from(("Train\n", "\nTrain\n\nlong\n", "x"))),
                files=files,
                headers=draw(st.sampled_from((b"", b"", SIGNED))),
            )
        )
    return tuple(commits)


def _says_something(tag: Tag) -> bool:
    """Whether another ref may lead to the tag: gto fails on one whose name inside is
    not its own."""
    return not tag.is_lightweight and (tag.name or tag.ref) not in FOREIGN


@st.composite
def _name(draw: st.DrawFn, artifact: str, version: str) -> str:
    """A tag's name, now and then one that is not GTO's."""
    action = draw(st.integers(0, 11))
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
        return draw(st.sampled_from(FOREIGN))
    if draw(st.booleans()):
        name += "#" + draw(st.sampled_from(("1", "2", "7", "007", "10", "0" * 40)))
    return name


@st.composite
def histories(
    draw: st.DrawFn, most_tags: int = 24, artifacts: tuple[str, ...] = ARTIFACTS
) -> History:
    """A registry's history that gto can read, but for stages of commits with two
    versions and events on commits without a version, which it may hold."""
    moments = draw(st.sampled_from(_MOMENTS))
    commits = draw(_commits(moments))
    names = draw(st.lists(st.sampled_from(artifacts), min_size=1, max_size=4))
    tags: list[Tag] = []
    used: set[str] = set()
    # Mostly one version per commit: gto fails on stages of commits with two.
    plan = draw(
        st.lists(
            st.sampled_from(VERSIONS), min_size=len(commits), max_size=len(commits)
        )
    )
    # One tag of so many is a second ref to another's tag object, a tag of it (gto takes
    # that for a commit of its own), or has its name inside.
    one_in = draw(st.sampled_from((40, 8, 2)))
    for _ in range(draw(st.integers(0, most_tags))):
        target = draw(st.integers(0, len(commits) - 1))
        version = plan[target]
        if draw(st.integers(0, 29)) == 0:
            version = draw(st.sampled_from(VERSIONS))
        name = draw(_name(draw(st.sampled_from(names)), version))
        if name in used:
            continue
        used.add(name)
        others = [n for n, tag in enumerate(tags) if _says_something(tag)]
        if others and draw(st.integers(1, one_in)) == 1:
            other = draw(st.sampled_from(others))
            way = draw(st.integers(0, 6))
            if way <= 4:
                tags.append(
                    Tag(name, target=other, target_type="tag", is_lightweight=True)
                )
                continue
            inner = (tags[other].name or tags[other].ref) if way == 5 else None
            is_nested = way == 6
        else:
            other, inner, is_nested = 0, None, False
        tags.append(
            Tag(
                ref=name,
                target=other if is_nested else target,
                target_type="tag" if is_nested else "commit",
                seconds=draw(moments),
                zone=draw(st.sampled_from(ZONES)),
                tagger=draw(st.sampled_from(PEOPLE)),
                message=draw(st.sampled_from(MESSAGES)),
                name=inner,
                is_lightweight=not is_nested and draw(st.integers(0, 14)) == 0,
            )
        )
    return History(commits, tuple(tags))


@st.composite
def histories_until(draw: st.DrawFn) -> tuple[History, int]:
    """A history and a moment at which, or just before which, something happened."""
    history = draw(histories())
    happened = {commit.seconds for commit in history.commits}
    happened |= {tag.seconds for tag in history.tags}
    return history, draw(st.sampled_from(sorted(happened))) - draw(st.integers(0, 1))
