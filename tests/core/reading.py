"""A small reader of local repositories for the core's tests: one `git for-each-ref`
and one `git cat-file --batch`, all objects and files parsed by our own code."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from indexer.core.git_objects import parse_commit_object, parse_tag_object
from indexer.core.snapshot import (
    Document,
    FileRef,
    GitCommit,
    GitTag,
    RepositorySnapshot,
    ref_text,
)
from indexer.yamlio import parse_document


class Objects:
    """Objects of a repository through one git process."""

    def __init__(self, path: Path) -> None:
        self._git = subprocess.Popen(
            ["git", "-C", str(path), "cat-file", "--batch"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __enter__(self) -> Objects:
        return self

    def __exit__(self, *exc: object) -> None:
        self._git.communicate()

    def read(self, name: str) -> tuple[str, str, bytes]:
        """Id, type and body; the type is "missing" when there is none."""
        assert self._git.stdin is not None
        assert self._git.stdout is not None
        self._git.stdin.write(name.encode() + b"\n")
        self._git.stdin.flush()
        words = self._git.stdout.readline().split()
        if len(words) != 3:
            return "", "missing", b""
        body = self._git.stdout.read(int(words[2]))
        self._git.stdout.read(1)
        return words[0].decode(), words[1].decode(), body


def read_repository(path: Path) -> RepositorySnapshot:
    """The snapshot of the repository at `path`, work tree or bare."""
    listing = subprocess.run(
        [
            *("git", "-C", str(path), "for-each-ref"),
            *("--format=%(objectname) %(objecttype) %(refname)", "refs/tags/"),
        ],
        check=True,
        capture_output=True,
    ).stdout
    tags: list[GitTag] = []
    commits: dict[str, GitCommit] = {}
    documents: dict[str, Document] = {}
    with Objects(path) as objects:
        head, kind, _ = objects.read("HEAD^{commit}")
        wanted = {head} if kind == "commit" else set()
        for line in listing.splitlines():
            object_id, kind, ref = line.decode("utf-8", "surrogateescape").split(" ", 2)
            _, _, body = objects.read(object_id)
            tag = parse_tag_object(object_id, body) if kind == "tag" else None
            peeled, kind, _ = objects.read(f"{object_id}^{{}}")
            commit_id = peeled if kind == "commit" else None
            wanted |= {commit_id} if commit_id else set()
            ref_bytes = ref.encode("utf-8", "surrogateescape")[len("refs/tags/") :]
            tags.append(GitTag(ref_text(ref_bytes), object_id, tag, commit_id))
        for commit_id in wanted:
            _, _, body = objects.read(commit_id)
            tree, _, commit = parse_commit_object(commit_id, body)
            files = tuple(sorted(_registry_files(objects, tree), key=lambda f: f.path))
            for file in files:
                if file.blob_id not in documents:
                    content = objects.read(file.blob_id)[2]
                    documents[file.blob_id] = parse_document(file.blob_id, content)
            commits[commit_id] = GitCommit(
                commit.id,
                commit.author,
                commit.authored,
                commit.committer,
                commit.committed,
                commit.message,
                files,
            )
    return RepositorySnapshot(
        tags=tuple(tags),
        branches={"main": head},
        default_branch="main",
        head=head if head in commits else "",
        commits=commits,
        documents=documents,
    )


def _registry_files(objects: Objects, tree: str, under: str = "") -> Iterable[FileRef]:
    _, _, body = objects.read(tree)
    while body:
        head, _, rest = body.partition(b"\0")
        mode, _, name = head.partition(b" ")
        object_id, body = rest[:20].hex(), rest[20:]
        path = under + name.decode("utf-8", "replace")
        if mode == b"40000":
            yield from _registry_files(objects, object_id, path + "/")
        elif path in ("artifacts.yaml", ".gto") or name == b"dvc.yaml":
            yield FileRef(path, object_id)
