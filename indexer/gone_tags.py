"""Tags that were there once: deleted since, or moved to another object (F-G1).

Git forgets them. The index follows Git, and these say what it showed before."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from indexer.models import Artifact, Repository, Tag

MOST = 100  # shown; the newest


def gone_tags(repository: Repository, artifact: Artifact | None = None) -> list[Tag]:
    """The tags of a repository, or those that spoke of one artifact, that are no more
    as they were: the last to go first. One query."""
    rows = Tag.objects.filter(repository=repository, gone_at__isnull=False)
    if artifact is None:
        return _newest(rows.select_related("replaced_by"))
    starts = tuple(artifact.name.replace(":", "=", 1) + mark for mark in "@#")
    wanted = Q()
    for start in starts:
        wanted |= Q(name__startswith=start) | Q(name="", ref__startswith=start)
    # SQLite's LIKE takes `Churn@` for `churn@`.
    return [
        tag
        for tag in _newest(rows.filter(wanted).select_related("replaced_by"))
        if (tag.name or tag.ref).startswith(starts)
    ]


def _newest(rows: QuerySet[Tag]) -> list[Tag]:
    return list(rows.defer("signature", "flaws").order_by("-gone_at", "-pk")[:MOST])
