"""What a person looks at to choose a commit: the branches' commits, and what the
registry files say at one of them. Read by the right that reads the repository."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from indexer.core.metric_files import (
    MOST_FILES,
    MOST_NUMBERS,
    metric_paths,
    numbers_of,
)
from indexer.core.registry import Annotation
from indexer.core.state import build_state
from indexer.models import Repository
from indexer.providers.base import Known, Listing
from indexer.providers.errors import Refused
from indexer.providers.git.file_writer import GitFileWriter
from indexer.providers.git.log import CommitLog, LogPage
from indexer.providers.registry import provider_for, remote_of
from indexer.yamlio import parse_document

COMMITS_A_PAGE = 20
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def log_folder(repository_id: int) -> Path:
    """Where the commits of a repository are kept for its picker: a cache."""
    folder: Path = settings.MUSTER_DATA / "commits"
    return folder / f"{repository_id}.git"


def commits_page(
    repository: Repository, tip: str, *, query: str = "", skip: int = 0
) -> LogPage:
    """Commits from `tip` back, newest first. Raises ProviderError, crypto.WrongKey."""
    log = CommitLog(remote_of(repository), log_folder(repository.pk))
    return log.page(tip, query=query, skip=skip, size=COMMITS_A_PAGE)


@dataclass(frozen=True, slots=True)
class AtCommit:
    """What the files say at a commit: of the artifact, and the metrics kept in Git."""

    annotation: Annotation | None = None
    metrics: tuple[tuple[str, str], ...] = ()


def look_at(repository: Repository, artifact: str, commit_id: str) -> AtCommit:
    """What dvc.yaml or artifacts.yaml say of an artifact at a commit, and the numbers
    of the metrics files they name. Raises ProviderError, crypto.WrongKey."""
    if not COMMIT.fullmatch(commit_id):
        return AtCommit()
    listing = Listing(tags={}, branches={}, default_branch="x", head=commit_id)
    snapshot = provider_for(repository).fetch_snapshot(listing, Known())
    found = build_state(snapshot).artifacts.get(artifact)
    commit = snapshot.commits.get(commit_id)
    paths: list[str] = []
    for file in commit.files if commit else ():
        document = snapshot.documents.get(file.blob_id)
        if document is not None and file.path.endswith("dvc.yaml"):
            paths += metric_paths(file.path, document.value)
    metrics: list[tuple[str, str]] = []
    files = GitFileWriter(remote_of(repository))
    for path in list(dict.fromkeys(paths))[:MOST_FILES]:
        metrics += _numbers(files, commit_id, path)
    return AtCommit(found.annotation if found else None, tuple(metrics[:MOST_NUMBERS]))


def _numbers(
    files: GitFileWriter, commit_id: str, path: str
) -> tuple[tuple[str, str], ...]:
    """The numbers of one file. One that is not in Git, or is no such file, has none."""
    try:
        text = files.read_file(commit_id, path)
    except Refused:
        return ()
    if text is None:
        return ()
    return numbers_of(parse_document("", text[1].encode()).value)
