"""Who may do what: the only place that decides."""

from __future__ import annotations

from typing import TypeVar

from django.conf import settings
from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.db.models import Model, QuerySet

from indexer.models import Account, ApiToken, Repository, Role

User = AbstractUser | AnonymousUser
Row = TypeVar("Row", bound=Model)


def can_read(user: User) -> bool:
    """May see the catalog: everybody where reading is open, else who signed in."""
    return settings.MUSTER_PUBLIC_READ or (user.is_authenticated and user.is_active)


def role_of(user: User) -> Role | None:
    """The role of a person who signed in; None for everybody else. Superusers and staff
    are admins; who was given no role is a viewer. One query for the others, once a
    request."""
    if not (user.is_authenticated and user.is_active):
        return None
    if user.is_staff or user.is_superuser:
        return Role.ADMIN
    try:
        return Role(user.account.role)  # type: ignore[attr-defined]
    except Account.DoesNotExist:
        return Role.VIEWER


def can_act(user: User) -> bool:
    """May register versions, assign stages and the like: an editor or an admin."""
    return role_of(user) in {Role.EDITOR, Role.ADMIN}


def can_manage(user: User) -> bool:
    """May add repositories and ask for crawls: an admin."""
    return role_of(user) is Role.ADMIN


def has_account(user: User) -> bool:
    """May keep API tokens of their own: whoever signed in."""
    return user.is_authenticated and user.is_active


def scope_allows(token: ApiToken, method: str) -> bool:
    """May be used for a request of this HTTP method; what its person may do is a
    second question. A token to read never changes anything."""
    return token.scope == ApiToken.Scope.ACT or method in {"GET", "HEAD", "OPTIONS"}


def visible_repositories(user: User) -> QuerySet[Repository]:
    """The repositories whose models this person may see. Every query of pages and
    API starts here."""
    if can_read(user):
        return Repository.objects.filter(hidden_at__isnull=True)
    return Repository.objects.none()


def reachable_repositories(user: User) -> QuerySet[Repository]:
    """Those whose own page this person may open: an admin also sees the hidden ones,
    which their provider does not show us any more."""
    if can_manage(user):
        return Repository.objects.all()
    return visible_repositories(user)


def within_sight(
    rows: QuerySet[Row], user: User, repository: str = "repository"
) -> QuerySet[Row]:
    """`rows` of visible repositories; `repository` is the path to theirs. A hidden one
    has no rows that are derived, so for whoever may read no condition is added: even
    one that is always true would keep the database from answering by an index."""
    if can_read(user):
        return rows
    return rows.filter(**{f"{repository}__in": visible_repositories(user)})
