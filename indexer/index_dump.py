"""The whole index as JSON, for comparison: two indexes of the same remotes are equal,
byte for byte, however many crawls, crashes and databases lie behind them.

No primary keys (rows are named by what they belong to), no times of ours."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Model, QuerySet

from indexer.models import (
    Annotation,
    Artifact,
    ArtifactLabel,
    Commit,
    Document,
    Event,
    FileSet,
    Problem,
    Repository,
    RepositoryFacet,
    Snapshot,
    StageHolder,
    Tag,
    Version,
)

# What Git cannot tell (when we saw it), what a crawl leaves behind, and keys.
LEFT_OUT: Mapping[type[Model], frozenset[str]] = {
    Repository: frozenset(
        {
            "id", "added_at", "added_by", "secret", "next_crawl_at", "requested_seq",
            "requested_trigger", "requested_by",
            "done_seq", "enqueued_at", "lease_id", "lease_expires_at", "lease_holder",
            "attempts", "failures", "message", "state", "last_crawl_at",
            "last_success_at", "url", "web_url", "is_demo",
            # What its provider says of it, and the way it was read by.
            "connection", "server", "provider_id", "path", "description",
            "is_archived", "is_fork", "is_private", "pushed_at", "checked_at",
            "hidden_at", "hidden_why", "way", "read_by", "read_by_why",
        }
    ),
    Tag: frozenset({"id", "first_seen_at", "last_seen_at", "gone_at", "replaced_by"}),
}  # fmt: skip
ONLY_ID = frozenset({"id"})
# Foreign keys, and what names the row they lead to.
NAMED_BY: Mapping[str, tuple[str, ...]] = {
    "repository": ("repository__name",),
    "artifact": ("artifact__name",),
    "version": ("version__name", "version__commit_id"),
    "annotation": ("annotation__commit_id",),
    "file_set": ("file_set__digest",),
}
REPOSITORY_OF: Mapping[type[Model], str] = {
    Repository: "pk",
    Annotation: "artifact__repository",
    ArtifactLabel: "artifact__repository",
    Version: "artifact__repository",
    StageHolder: "artifact__repository",
}
MODELS: tuple[type[Model], ...] = (
    Repository,
    Snapshot,
    Tag,
    FileSet,
    Commit,
    Document,
    Artifact,
    Annotation,
    ArtifactLabel,
    Version,
    StageHolder,
    Event,
    Problem,
    RepositoryFacet,
)


def index_dump(repository: Repository | None = None) -> str:
    """Every row of one repository's index (None: of all), sorted, as JSON. Tags that
    are gone are left out, for a fresh crawl knows nothing of them."""
    return json.dumps(
        {model.__name__: _rows(model, repository) for model in MODELS},
        indent=1,
        sort_keys=True,
    )


def _rows(model: type[Model], repository: Repository | None) -> list[str]:
    rows: QuerySet[Any] = model._default_manager.all()
    path = REPOSITORY_OF.get(model, "repository")
    if repository is not None:
        rows = rows.filter(**{path: repository.pk})
    if model is Tag:
        rows = rows.filter(gone_at=None)
    names: list[str] = []
    if path not in {"pk", "repository"}:
        names.append(f"{path}__name")
    for field in model._meta.concrete_fields:
        if field.name in LEFT_OUT.get(model, ONLY_ID):
            continue
        names += NAMED_BY[field.name] if field.is_relation else (field.name,)
    return sorted(_texts(rows.values(*names)))


def _texts(rows: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for row in rows:
        plain = {
            name: bytes(value).hex() if isinstance(value, memoryview | bytes) else value
            for name, value in row.items()
        }
        yield json.dumps(plain, default=str, sort_keys=True)
