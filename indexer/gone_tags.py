"""Tags that were there once: deleted since, or moved to another object (F-G1).

Git forgets them. The index follows Git, and these say what it showed before."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Q, QuerySet

from indexer.core.snapshot import Instant
from indexer.core.tags import parse_tag_name
from indexer.models import Artifact, Repository, Tag

MOST = 100  # shown; the newest
MOST_NAMED = 3  # in a sentence


def gone_tags(repository: Repository, artifact: Artifact | None = None) -> list[Tag]:
    """The tags of a repository, or those that spoke of one artifact, that are no more
    as they were: the last to go first. One query."""
    return _newest(_gone(repository), artifact.name if artifact else "")


def gone_since(repository: Repository, at: Instant, artifact: str = "") -> list[Tag]:
    """Of these, the GTO tags that stood at a point in time: dated until then, and gone
    after it. What is asked as of that time does not count them. One query."""
    dated = Q(tagged_seconds=None) | Q(tagged_seconds__lte=at.seconds)
    rows = _gone(repository).filter(dated, is_annotated=True, gone_at__gt=at.utc)
    return [
        tag
        for tag in _newest(rows, artifact)
        if parse_tag_name(tag.ref) and parse_tag_name(tag.name)
    ]


def not_counted(gone: Sequence[Tag]) -> str:
    """The sentence that says so of `gone_since`; "" for none."""
    if not gone:
        return ""
    names = ", ".join(tag.name for tag in gone[:MOST_NAMED])
    more = f" and {len(gone) - MOST_NAMED} more" if len(gone) > MOST_NAMED else ""
    return (
        "Tags that stood at that time were deleted or moved since and are not counted: "
        f"{names}{more}. What held then may have been another version."
    )


def _gone(repository: Repository) -> QuerySet[Tag]:
    return Tag.objects.filter(repository=repository, gone_at__isnull=False)


def _newest(rows: QuerySet[Tag], artifact: str) -> list[Tag]:
    rows = rows.select_related("replaced_by").defer("signature", "flaws")
    rows = rows.order_by("-gone_at", "-pk")
    if not artifact:
        return list(rows[:MOST])
    starts = tuple(artifact.replace(":", "=", 1) + mark for mark in "@#")
    wanted = Q()
    for start in starts:
        wanted |= Q(name__startswith=start) | Q(name="", ref__startswith=start)
    # SQLite's LIKE takes `Churn@` for `churn@`.
    return [
        tag
        for tag in rows.filter(wanted)[:MOST]
        if (tag.name or tag.ref).startswith(starts)
    ]
