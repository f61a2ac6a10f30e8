"""The action log as people and programs may read it."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Q, QuerySet

from indexer.models import ActionLog
from indexer.permissions import User, can_manage, has_account, visible_repositories


def visible_actions(user: User) -> QuerySet[ActionLog]:
    """What a person who signed in may see: the actions on repositories they may see,
    and for an admin those on repositories that are gone too. Newest first."""
    if not has_account(user):
        return ActionLog.objects.none()
    there = Q(repository__in=visible_repositories(user))
    if can_manage(user):
        there = Q()
    rows = ActionLog.objects.filter(there).select_related("repository")
    return rows.order_by("-asked_at", "-pk")


def actions_of_objects(
    repository_ids: Collection[int], object_ids: Collection[str]
) -> dict[tuple[int, str], ActionLog]:
    """The actions that wrote these tag objects, by repository and object. One query.

    The id of an object follows from all that was ordered, person and second included,
    so it tells by itself: whatever the action ended as, and for a repository that was
    removed and added again."""
    rows = ActionLog.objects.filter(
        Q(repository__in=repository_ids) | Q(repository=None),
        object_id__in=[one for one in object_ids if one],
    ).only("uuid", "actor", "tagger_name", "repository_id", "object_id", "right", "via")
    return {
        (repository_id, row.object_id): row
        for row in rows
        for repository_id in (
            repository_ids if row.repository_id is None else (row.repository_id,)
        )
    }
