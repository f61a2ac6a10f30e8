"""manage.py reencrypt: encrypt every stored secret anew, with the first key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Model

from indexer.crypto import WrongKey, decrypt, encrypt
from indexer.models import Connection, Hook, ProviderToken, Repository

# What is encrypted, and what it is called.
SECRETS: tuple[tuple[type[Model], str, str], ...] = (
    (Repository, "secret", "credential of repository"),
    (Connection, "secret", "token of connection"),
    (Connection, "access", "access token of connection"),
    (Hook, "secret", "secret of webhook"),
    (ProviderToken, "secret", "token of person"),
)


class Command(BaseCommand):
    """For a change of keys: put the new one in front of MUSTER_ENCRYPTION_KEYS, run
    this, and drop the old one. A secret that no key opens is named and stays."""

    help = "Encrypt every stored secret anew, with the first of the keys."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        lost = 0
        for model, field, words in SECRETS:
            done = 0
            for pk, name, secret in _stored(model, field):
                try:
                    again = encrypt(decrypt(secret))
                except WrongKey:
                    self.stderr.write(f"No key opens the {words} {name}.")
                    lost += 1
                    continue
                # Only if nobody has entered another meanwhile.
                rows = model._default_manager.filter(pk=pk, **{field: secret})
                done += rows.update(**{field: again})
            self.stdout.write(f"{done:,} × {words}")
        if lost:
            raise CommandError(
                f"{lost} could not be opened and were left as they are. Add the key "
                "they were encrypted with to MUSTER_ENCRYPTION_KEYS, or enter them "
                "again."
            )


def _stored(model: type[Model], field: str) -> Iterator[tuple[int, str, str]]:
    """(key, name, secret) of every row that has one."""
    rows = model._default_manager.exclude(**{field: ""}).order_by("pk")
    for row in rows.iterator():
        yield row.pk, str(row), getattr(row, field)
