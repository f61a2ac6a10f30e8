"""People: their role, how they stand in Git, their tokens at providers; and failed
attempts to sign in."""

from __future__ import annotations

from uuid import uuid4

from django.conf import settings
from django.db import models

from indexer.models.connections import Connection


class Role(models.TextChoices):
    """What a person may do; `indexer.permissions` says what that is."""

    VIEWER = "viewer", "Viewer"
    EDITOR = "editor", "Editor"
    ADMIN = "admin", "Admin"


class Account(models.Model):
    """What Muster knows of a person beside Django's user. It goes with the user; one
    who has none is a viewer."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="account"
    )
    role = models.CharField(max_length=6, choices=Role.choices, default=Role.VIEWER)
    name = models.CharField("name in Git", max_length=200, blank=True, default="")
    email = models.CharField("e-mail in Git", max_length=254, blank=True, default="")

    def __str__(self) -> str:
        return f"{self.user.get_username()}: {self.get_role_display()}"


class ProviderToken(models.Model):
    """A person's token at one server, by which Muster writes there as that person.
    Who may see it: nobody; `secret` is encrypted. It goes with the user."""

    uuid = models.UUIDField(default=uuid4, unique=True, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="provider_tokens",
    )
    kind = models.CharField(max_length=6, choices=Connection.Kind.choices)
    server = models.CharField(max_length=255)  # host[:port]
    web_url = models.CharField(max_length=500)  # https://github.com, no slash at end
    api_url = models.CharField(max_length=500)  # https://api.github.com
    secret = models.TextField()  # encrypted
    added_at = models.DateTimeField()
    # What the last test found.
    account = models.CharField(max_length=255, blank=True, default="")
    rights = models.JSONField(default=list)  # ability, granted, sentence
    emails = models.JSONField(default=list)  # that the server has verified
    expires_at = models.DateTimeField(null=True, blank=True)  # if the server says so
    tested_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("server", "web_url")
        constraints = [
            models.UniqueConstraint(
                fields=["user", "web_url"], name="provider_token_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.user.get_username()} at {self.server}"

    @property
    def provider_name(self) -> str:
        """GitHub or GitLab, for sentences."""
        return Connection.Kind(self.kind).label


class SignInFailure(models.Model):
    """An attempt to sign in that did not succeed. `key` is a digest of the name that
    was tried and the address it came from: what people type as a name may be a
    password. Kept as long as it counts."""

    key = models.CharField(max_length=64)
    at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["key", "at"], name="sign_in_failure_key"),
            models.Index(fields=["at"], name="sign_in_failure_at"),
        ]

    def __str__(self) -> str:
        return f"{self.key[:8]} {self.at}"
