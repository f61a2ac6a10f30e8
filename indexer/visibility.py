"""Hiding a repository that its provider does not show us any more, and showing it
again. What was seen stays; what it means (artifacts, versions, events) goes, so that no
page, count or search holds it, and comes back from the rows without a look at Git."""

from __future__ import annotations

from datetime import datetime

from indexer.index_write import totals, write_state
from indexer.ingest import drop_derived
from indexer.jobs import FREE
from indexer.models import Repository
from indexer.snapshot_rows import registry_state

NOTHING = {
    "artifact_count": 0,
    "model_count": 0,
    "version_count": 0,
    "event_count": 0,
    "problem_count": 0,
}


def hide(repository: Repository, why: str, now: datetime) -> None:
    """Take it out of the catalog, in the caller's transaction. A crawl that runs loses
    its lease and writes nothing more."""
    fields = {
        "hidden_at": now,
        "hidden_why": why[:300],
        "fingerprint": "",  # the next crawl writes all of it
        **NOTHING,
        **FREE,
    }
    # The row first: it is locked from here, so that a crawl that writes is waited for.
    Repository.objects.filter(pk=repository.pk).update(**fields)
    drop_derived(repository.pk)
    for name, value in fields.items():
        setattr(repository, name, value)


def show(repository: Repository) -> None:
    """Bring it back as it was last seen, in the caller's transaction; whoever calls
    asks for a crawl."""
    fields: dict[str, object] = {"hidden_at": None, "hidden_why": ""}
    Repository.objects.filter(pk=repository.pk).update(**fields)
    write_state(repository, registry_state(repository))
    fields |= totals(repository.pk)
    Repository.objects.filter(pk=repository.pk).update(**fields)
    for name, value in fields.items():
        setattr(repository, name, value)
