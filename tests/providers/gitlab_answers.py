"""What GitLab's API says of a bare repository, as JSON values: the shapes of
docs.gitlab.com and of recorded gitlab.com answers."""

from __future__ import annotations

import base64
import os
import re
import subprocess
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from tests.providers.git_server import GIT

SIGNER = re.compile(rb"(.*?) ?<([^>]*)>(?: (-?\d+) ([+-]\d{4}))?", re.DOTALL)
SIGNATURE = re.compile(rb"^-----BEGIN (?:PGP|SSH|SIGNED) ", re.MULTILINE)


def git(bare: Path, *arguments: str, stdin: bytes = b"", at: int = 0) -> bytes:
    """The output of a git command, run now or (seconds since 1970) `at` another time;
    b"" if it failed."""
    date = {"GIT_COMMITTER_DATE": f"@{at} +0000"} if at else {}
    done = subprocess.run(
        [GIT, "-c", "safe.directory=*", "--git-dir", str(bare), *arguments],
        input=stdin, capture_output=True, check=False, env=os.environ | date,
    )  # fmt: skip
    return done.stdout if done.returncode == 0 else b""


def read_objects(bare: Path, names: list[str]) -> list[tuple[str, str, bytes] | None]:
    """Id, type and content of each; None for what is not there."""
    out = git(bare, "cat-file", "--batch", stdin="\n".join(names).encode() + b"\n")
    found: list[tuple[str, str, bytes] | None] = []
    at = 0
    for _ in names:
        end = out.index(b"\n", at)
        words = out[at:end].decode("utf-8", "replace").split()
        at = end + 1
        if len(words) != 3 or words[1] not in {"commit", "tree", "blob", "tag"}:
            found.append(None)
            continue
        size = int(words[2])
        found.append((words[0], words[1], out[at : at + size]))
        at += size + 1
    return found


def git_dir(path: Path) -> Path:
    return path / ".git" if (path / ".git").exists() else path


def default_branch(bare: Path) -> str | None:
    name = git(bare, "symbolic-ref", "-q", "HEAD").decode("utf-8", "replace").strip()
    return name.removeprefix("refs/heads/") or None


def refs_of(bare: Path, under: str) -> list[tuple[str, str]]:
    """Name without `under`, and object id; by name."""
    out = git(bare, "for-each-ref", "--format=%(objectname) %(refname)", under)
    pairs = (line.split(b" ", 1) for line in out.splitlines())
    return [
        (ref.decode("utf-8", "replace").removeprefix(under), key.decode())
        for key, ref in pairs
    ]


def all_refs(bare: Path) -> dict[str, str]:
    """Every branch and tag, by its full name."""
    return {
        under + name: key
        for under in ("refs/heads/", "refs/tags/")
        for name, key in refs_of(bare, under)
    }


def tags_of(bare: Path, *, created_at: bool) -> list[dict[str, Any]]:
    """https://docs.gitlab.com/api/tags/ by name."""
    refs = refs_of(bare, "refs/tags/")
    own = read_objects(bare, [key for _, key in refs])
    ends = read_objects(bare, [f"{key}^{{}}" for _, key in refs])
    listed = []
    for (name, key), found, end in zip(refs, own, ends, strict=True):
        tag: dict[str, Any] = {
            "name": name,
            "message": "",
            "target": key,
            "commit": commit_of(*end[::2]) if end and end[1] == "commit" else None,
            "release": None,
            "protected": False,
        }
        if created_at:
            tag["created_at"] = None
        if found and found[1] == "tag":
            head, _, message = found[2].partition(b"\n\n")
            signature = SIGNATURE.search(message)
            if signature:
                message = message[: signature.start()]
            tag["message"] = message.decode("utf-8", "replace").rstrip("\n")
            line = re.search(rb"^tagger (.*)$", head, re.MULTILINE)
            if created_at and line:
                when = _signer(line[1])[2]
                tag["created_at"] = when and when.astimezone(UTC).isoformat(
                    timespec="milliseconds"
                )
        listed.append(tag)
    return listed


def make_tag(
    bare: Path, name: str, target: str, message: str, who: tuple[str, str], at: int
) -> str:
    """Make a tag as GitLab does, by its user and its clock; why not, or ""."""
    if git(bare, "rev-parse", "--verify", "-q", f"refs/tags/{name}"):
        return f"Tag {name} already exists"
    if not git(bare, "rev-parse", "--verify", "-q", f"{target}^{{commit}}"):
        return f"Target {target} is invalid"
    identity = ("-c", f"user.name={who[0]}", "-c", f"user.email={who[1]}")
    annotated = ("-a", "-m", message) if message else ()
    options = ("--cleanup=whitespace", *annotated)
    git(bare, *identity, "tag", *options, "--", name, target, at=at)
    made = git(bare, "rev-parse", "--verify", "-q", f"refs/tags/{name}")
    return "" if made else f"Tag name {name} is invalid"


def branches_of(bare: Path) -> list[dict[str, Any]]:
    """https://docs.gitlab.com/api/branches/"""
    refs = refs_of(bare, "refs/heads/")
    head = default_branch(bare)
    found = read_objects(bare, [key for _, key in refs])
    return [
        {
            "name": name,
            "merged": False,
            "protected": name == head,
            "default": name == head,
            "developers_can_push": False,
            "developers_can_merge": False,
            "can_push": True,
            "commit": commit_of(one[0], one[2]),
        }
        for (name, _), one in zip(refs, found, strict=True)
        if one
    ]


def commit_of(commit_id: str, body: bytes) -> dict[str, Any]:
    """https://docs.gitlab.com/api/commits/"""
    head, _, message = body.partition(b"\n\n")
    words = message.decode("utf-8", "replace").replace("\0", "")
    said: dict[str, Any] = {
        "id": commit_id,
        "short_id": commit_id[:8],
        "title": words.strip().split("\n")[0],
        "message": words,
        "parent_ids": [
            line[7:].decode()
            for line in head.split(b"\n")
            if line.startswith(b"parent ")
        ],
        "trailers": {},
        "extended_trailers": {},
    }
    for role, date in (("author", "authored_date"), ("committer", "committed_date")):
        line = re.search(b"^" + role.encode() + rb" (.*)$", head, re.MULTILINE)
        name, email, when = _signer(line[1] if line else b"")
        said[f"{role}_name"], said[f"{role}_email"] = name, email
        shown = when or datetime(1970, 1, 1, tzinfo=UTC)
        said[date] = shown.isoformat(timespec="milliseconds")
    said["created_at"] = said["committed_date"]
    return said


def tree_of(
    bare: Path, ref: str, path: str, *, recursive: bool
) -> list[dict[str, Any]] | None:
    """https://docs.gitlab.com/api/repositories/ ; None for no such tree."""
    name = f"{ref}:{path}" if path else f"{ref}^{{tree}}"
    if not git(bare, "rev-parse", "--verify", "-q", name):
        return None
    options = ("-r", "-t") if recursive else ()
    out = git(bare, "ls-tree", "-z", "--full-tree", *options, name)
    listed = []
    for line in out.split(b"\0")[:-1]:
        about, _, below = line.partition(b"\t")
        mode, kind, key = about.decode().split()
        inside = below.decode("utf-8", "replace")
        whole = f"{path}/{inside}" if path else inside
        listed.append(
            {
                "id": key,
                "name": whole.rpartition("/")[2],
                "type": kind,
                "path": whole,
                "mode": mode,
            }
        )
    return listed


def blob_of(key: str, data: bytes) -> dict[str, Any]:
    return {
        "size": len(data),
        "encoding": "base64",
        "content": base64.b64encode(data).decode(),
        "sha": key,
    }


def _signer(line: bytes) -> tuple[str, str, datetime | None]:
    found = SIGNER.fullmatch(line)
    if not found:
        return line.decode("utf-8", "replace"), "", None
    when = None
    if found[3]:
        zone = int(found[4][:3]) * 60 + int(found[4][:1] + found[4][3:])
        try:
            offset = timezone(timedelta(minutes=zone))
            when = datetime.fromtimestamp(int(found[3]), offset)
        except (ValueError, OverflowError, OSError):
            when = None
    return (
        found[1].decode("utf-8", "replace"),
        found[2].decode("utf-8", "replace"),
        when,
    )
