"""Annotations by commit: each file is parsed once, however many commits share it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from indexer.core.artifact_files import (
    ARTIFACTS_YAML,
    DVC_YAML,
    GTO_CONFIG,
    Config,
    FileAnnotations,
    parse_config_file,
    parse_file,
)
from indexer.core.events import moment
from indexer.core.registry import Annotation
from indexer.core.snapshot import FileRef, GitCommit, Problem, RepositorySnapshot


class AnnotationIndex:
    """Answers what the registry files of a snapshot say at a commit."""

    def __init__(self, snapshot: RepositorySnapshot) -> None:
        self._snapshot = snapshot
        self._files: dict[int, dict[str, FileRef]] = {}  # by id() of commit.files
        self._parsed: dict[tuple[str, str], FileAnnotations] = {}

    def _by_path(self, commit: GitCommit) -> Mapping[str, FileRef]:
        # Commits share one tuple; the snapshot keeps it alive, so its id() is a key.
        key = id(commit.files)
        found = self._files.get(key)
        if found is None:
            found = self._files[key] = {file.path: file for file in commit.files}
        return found

    def _parse(self, file: FileRef) -> FileAnnotations:
        key = (file.path, file.blob_id)
        found = self._parsed.get(key)
        if found is None:
            found = self._parsed[key] = parse_file(file, self._snapshot.documents)
        return found

    def gto(self, commit: GitCommit, artifact: str) -> Annotation | None:
        """What artifacts.yaml says: the only file gto reads."""
        file = self._by_path(commit).get(ARTIFACTS_YAML)
        return self._parse(file).annotations.get(artifact) if file else None

    def catalog(self, commit: GitCommit, artifact: str) -> Annotation | None:
        """What the artifact's dvc.yaml says, else artifacts.yaml."""
        folder, colon, _ = artifact.rpartition(":")
        path = f"{folder}/{DVC_YAML}" if colon else DVC_YAML
        file = self._by_path(commit).get(path)
        found = self._parse(file).annotations.get(artifact) if file else None
        return found or self.gto(commit, artifact)

    def listed(self, commit: GitCommit) -> tuple[list[str], list[str]]:
        """The artifacts that files of the commit name: those of artifacts.yaml, in
        its order, and those that only a dvc.yaml names."""
        file = self._by_path(commit).get(ARTIFACTS_YAML)
        first = list(self._parse(file).annotations) if file else []
        known = set(first)
        others = [
            name  # with its file's folder, so no two files have it
            for other in commit.files
            if other.path != ARTIFACTS_YAML
            for name in self._parse(other).annotations
            if name not in known
        ]
        return first, others

    def config(self) -> Config:
        """`.gto` at the head."""
        head = self._snapshot.commits.get(self._snapshot.head)
        file = self._by_path(head).get(GTO_CONFIG) if head else None
        return parse_config_file(file, self._snapshot.documents) if file else Config()

    def problems(self, commits: Iterable[GitCommit]) -> list[Problem]:
        """The problems of all files of `commits`, each once, placed at the head where
        it has the same file, else at the newest commit that has it."""
        head = self._snapshot.head
        newest: dict[int, tuple[tuple[bool, int, str], GitCommit]] = {}
        problems: list[Problem] = []
        for commit in commits:
            rank = (commit.id == head, moment(commit.committed), commit.id)
            key = id(commit.files)
            if key not in newest or rank > newest[key][0]:
                newest[key] = rank, commit
            problems.extend(commit.problems)
        seen: set[tuple[str, str]] = set()
        for _, commit in sorted(
            newest.values(), key=lambda pair: pair[0], reverse=True
        ):
            for file in commit.files:
                blob = (file.path, file.blob_id)
                if blob in seen:
                    continue
                seen.add(blob)
                problems.extend(
                    replace(problem, commit_id=commit.id)
                    for problem in self._parse(file).problems
                )
        return problems
