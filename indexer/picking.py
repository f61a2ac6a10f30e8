"""What a person looks at to choose a commit: the branches' commits, and what the
registry files say at one of them. Read by the right that reads the repository."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

from indexer.core.registry import Annotation
from indexer.core.state import build_state
from indexer.models import Repository
from indexer.providers.base import Known, Listing
from indexer.providers.registry import provider_for, remote_of

if TYPE_CHECKING:
    from indexer.providers.git.log import LogPage

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
    from indexer.providers.git.log import CommitLog

    log = CommitLog(remote_of(repository), log_folder(repository.pk))
    return log.page(tip, query=query, skip=skip, size=COMMITS_A_PAGE)


def annotation_at(
    repository: Repository, artifact: str, commit_id: str
) -> Annotation | None:
    """What dvc.yaml or artifacts.yaml say of an artifact at a commit; None: nothing.
    Raises ProviderError, crypto.WrongKey."""
    if not COMMIT.fullmatch(commit_id):
        return None
    listing = Listing(tags={}, branches={}, default_branch="x", head=commit_id)
    snapshot = provider_for(repository).fetch_snapshot(listing, Known())
    found = build_state(snapshot).artifacts.get(artifact)
    return found.annotation if found else None
