"""manage.py role: give a person a role."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from indexer.accounts import keep_role
from indexer.models import Role
from indexer.permissions import role_of


class Command(BaseCommand):
    help = "Give a person a role: viewer, editor or admin."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the name the person signs in with")
        parser.add_argument("role", choices=Role.values)

    def handle(self, *args: Any, name: str, role: str, **options: Any) -> None:
        try:
            user = User.objects.get_by_natural_key(name)
        except User.DoesNotExist:
            raise CommandError(f"Nobody signs in as {name}.") from None
        keep_role(user, role)
        has = role_of(User.objects.get(pk=user.pk))
        self.stdout.write(f"{name}: {has.label if has else 'switched off'}")
        if has is not None and has != role:
            self.stdout.write(
                "Superusers and staff are admins whatever their role: take that from "
                "them in the administration."
            )
