"""Who may do what: the only place that decides."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser

User = AbstractBaseUser | AnonymousUser


def can_read(user: User) -> bool:
    """May see the catalog: everybody where reading is open, else who signed in."""
    return settings.MUSTER_PUBLIC_READ or (user.is_authenticated and user.is_active)


def can_manage(user: User) -> bool:
    """May add repositories and ask for crawls: an admin."""
    return user.is_authenticated and user.is_active and user.is_staff
