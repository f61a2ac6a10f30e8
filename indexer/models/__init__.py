"""Rows. Those of `snapshots` say what was seen; those of `artifacts` and `events`
are derived from them and can be dropped and rebuilt."""

from __future__ import annotations

from indexer.models.artifacts import (
    Annotation,
    Artifact,
    ArtifactLabel,
    StageHolder,
    Version,
)
from indexer.models.crawls import Crawl
from indexer.models.events import Event, Problem
from indexer.models.repositories import Repository, RepositoryFacet
from indexer.models.snapshots import Commit, Document, FileSet, Snapshot, Tag

__all__ = [
    "Annotation",
    "Artifact",
    "ArtifactLabel",
    "Commit",
    "Crawl",
    "Document",
    "Event",
    "FileSet",
    "Problem",
    "Repository",
    "RepositoryFacet",
    "Snapshot",
    "StageHolder",
    "Tag",
    "Version",
]
