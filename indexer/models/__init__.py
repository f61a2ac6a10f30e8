"""Rows. Those of `snapshots` say what was seen; those of `artifacts` and `events`
are derived from them and can be dropped and rebuilt."""

from __future__ import annotations

from indexer.models.accounts import Account, ProviderToken, Role, SignInFailure
from indexer.models.action_log import ActionLog
from indexer.models.api_tokens import ApiToken
from indexer.models.artifacts import (
    Annotation,
    Artifact,
    ArtifactLabel,
    StageHolder,
    Version,
)
from indexer.models.connections import Connection, Delivery, Hook, RequestBudget
from indexer.models.crawls import Crawl
from indexer.models.events import Event, Problem
from indexer.models.repositories import FormerName, Repository, RepositoryFacet
from indexer.models.snapshots import Commit, Document, FileSet, Snapshot, Tag

__all__ = [
    "Account",
    "ActionLog",
    "Annotation",
    "ApiToken",
    "Artifact",
    "ArtifactLabel",
    "Commit",
    "Connection",
    "Crawl",
    "Delivery",
    "Document",
    "Event",
    "FileSet",
    "FormerName",
    "Hook",
    "Problem",
    "ProviderToken",
    "Repository",
    "RepositoryFacet",
    "RequestBudget",
    "Role",
    "SignInFailure",
    "Snapshot",
    "StageHolder",
    "Tag",
    "Version",
]
