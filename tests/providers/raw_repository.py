"""A bare repository written object by object and byte by byte: what git itself would
refuse to make, a hostile remote can hold all the same."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from pathlib import Path

PERSON = b"Alice Doe <alice@example.org>"
WHEN = 1_700_000_000


class RawRepository:
    """Objects go in at once, refs with `finish()`, in packed-refs: a ref's name need
    not fit a file system."""

    def __init__(self, path: Path, *, object_format: str = "sha1") -> None:
        self.path = path
        self.refs: dict[bytes, str] = {}
        self.head = b"ref: refs/heads/main\n"
        self._format = object_format
        (path / "objects" / "pack").mkdir(parents=True)
        (path / "objects" / "info").mkdir()
        (path / "refs" / "tags").mkdir(parents=True)
        (path / "refs" / "heads").mkdir()
        extension = "[extensions]\n\tobjectformat = sha256\n"
        (path / "config").write_text(
            "[core]\n\tbare = true\n"
            f"\trepositoryformatversion = {int(object_format == 'sha256')}\n"
            "[uploadpack]\n\tallowFilter = true\n"
            + (extension if object_format == "sha256" else "")
        )
        self.finish()

    def write(self, kind: str, body: bytes) -> str:
        """Store an object; its id."""
        data = f"{kind} {len(body)}\0".encode() + body
        object_id = hashlib.new(self._format, data).hexdigest()
        file = self.object_path(object_id)
        file.parent.mkdir(exist_ok=True)
        if not file.exists():
            file.write_bytes(zlib.compress(data, 1))
        return object_id

    def object_path(self, object_id: str) -> Path:
        return self.path / "objects" / object_id[:2] / object_id[2:]

    def blob(self, data: bytes) -> str:
        return self.write("blob", data)

    def tree(self, entries: Iterable[tuple[bytes, bytes, str]]) -> str:
        """A tree of (mode, name, id), in git's order."""
        listed = sorted(
            entries, key=lambda e: e[1] + (b"/" if e[0] == b"40000" else b"")
        )
        return self.write(
            "tree",
            b"".join(
                mode + b" " + name + b"\0" + bytes.fromhex(object_id)
                for mode, name, object_id in listed
            ),
        )

    def files(self, files: dict[str, bytes]) -> str:
        """A tree of files by path."""
        here: list[tuple[bytes, bytes, str]] = []
        below: dict[str, dict[str, bytes]] = {}
        for path, data in files.items():
            folder, slash, rest = path.partition("/")
            if slash:
                below.setdefault(folder, {})[rest] = data
            else:
                here.append((b"100644", folder.encode(), self.blob(data)))
        for folder, inner in below.items():
            here.append((b"40000", folder.encode(), self.files(inner)))
        return self.tree(here)

    def commit(
        self, tree: str, *, parents: Iterable[str] = (), message: bytes = b"A commit\n"
    ) -> str:
        lines = [f"tree {tree}".encode()]
        lines += [f"parent {parent}".encode() for parent in parents]
        lines += [b"author " + PERSON + b" %d +0100" % WHEN]
        lines += [b"committer " + PERSON + b" %d +0100" % WHEN]
        return self.write("commit", b"\n".join(lines) + b"\n\n" + message)

    def tag_body(
        self,
        target: str,
        name: bytes,
        *,
        kind: str = "commit",
        tagger: bytes | None = PERSON + b" %d +0100" % WHEN,
        message: bytes = b"A message\n",
    ) -> bytes:
        head = f"object {target}\ntype {kind}\n".encode() + b"tag " + name + b"\n"
        if tagger is not None:
            head += b"tagger " + tagger + b"\n"
        return head + b"\n" + message

    def tag(self, name: bytes, body: bytes) -> str:
        """A tag object, and the ref to it."""
        object_id = self.write("tag", body)
        self.refs[b"refs/tags/" + name] = object_id
        return object_id

    def version(self, name: str, target: str) -> str:
        """A tag as gto writes it."""
        raw = name.encode()
        return self.tag(raw, self.tag_body(target, raw))

    def finish(self) -> Path:
        """Write the refs; the repository's path."""
        lines = [b"%s %s\n" % (i.encode(), n) for n, i in sorted(self.refs.items())]
        (self.path / "packed-refs").write_bytes(
            b"# pack-refs with: \n" + b"".join(lines)
        )
        (self.path / "HEAD").write_bytes(self.head)
        return self.path


def simple_repository(path: Path, tags: int = 3) -> RawRepository:
    """A healthy repository: a dvc.yaml, one commit a version, `churn@v1.0.0` and on."""
    repository = RawRepository(path)
    commit = ""
    for number in range(1, tags + 1):
        tree = repository.files(
            {
                "dvc.yaml": b"artifacts:\n  churn:\n    type: model\n"
                b"    path: model%d.pkl\n" % number,
                "README.md": b"# Churn\n",
            }
        )
        commit = repository.commit(tree, parents=[commit] if commit else [])
        repository.version(f"churn@v{number}.0.0", commit)
    repository.refs[b"refs/heads/main"] = commit
    repository.finish()
    return repository
