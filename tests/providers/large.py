"""Large repositories in seconds: objects are written into one pack, refs into one
file."""

from __future__ import annotations

import hashlib
import struct
import subprocess
import zlib
from collections.abc import Iterable
from pathlib import Path

from tests.providers.raw_repository import PERSON, WHEN, RawRepository

TYPES = {"commit": 1, "tree": 2, "blob": 3, "tag": 4}


def write_pack(repository: Path, objects: Iterable[tuple[str, bytes]]) -> list[str]:
    """Store (type, body) pairs as one pack; their ids, in order."""
    ids, packed = [], []
    for kind, body in objects:
        header = f"{kind} {len(body)}\0".encode()
        ids.append(hashlib.sha1(header + body, usedforsecurity=False).hexdigest())
        size = len(body)
        first = TYPES[kind] << 4 | size & 15
        size >>= 4
        prefix = bytearray()
        while size:
            prefix.append(first | 0x80)
            first, size = size & 0x7F, size >> 7
        prefix.append(first)
        packed.append(bytes(prefix) + zlib.compress(body, 1))
    data = b"PACK" + struct.pack(">II", 2, len(packed)) + b"".join(packed)
    data += hashlib.sha1(data, usedforsecurity=False).digest()
    subprocess.run(
        ["git", "-C", str(repository), "index-pack", "--stdin"],
        input=data,
        capture_output=True,
        check=True,
    )
    return ids


def many_tags(path: Path, count: int, *, artifacts: int = 20) -> RawRepository:
    """`count` annotated tags over some artifacts, registrations and assignments in
    turn, on a tenth as many commits (at most 2,000)."""
    repository = RawRepository(path)
    commits, commit = [], ""
    for number in range(max(1, min(count // 10, 2_000))):
        tree = repository.files(
            {"dvc.yaml": b"artifacts: {m0: {}}\n#%d\n" % (number // 50)}
        )
        parents = [commit] if commit else []
        commit = repository.commit(tree, parents=parents, message=b"%d\n" % number)
        commits.append(commit)
    names, bodies = [], []
    for number in range(count):
        artifact, step = number % artifacts, number // artifacts
        name = (
            f"m{artifact}@v{step // 2}.0.0"
            if step % 2 == 0
            else f"m{artifact}#prod#{step}"
        )
        when = PERSON + b" %d +0200" % (WHEN + number)
        target = commits[(step // 2 * artifacts + artifact) % len(commits)]
        names.append(name.encode())
        bodies.append(("tag", repository.tag_body(target, name.encode(), tagger=when)))
    for raw, object_id in zip(names, write_pack(path, bodies), strict=True):
        repository.refs[b"refs/tags/" + raw] = object_id
    repository.refs[b"refs/heads/main"] = commit
    repository.finish()
    return repository
