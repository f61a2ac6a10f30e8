"""The action log: who asked for what through Muster, and what came of it.

A row is first the intent: it holds the whole order, so that a retry writes the same tag
or none. Once it has ended a trigger of the database keeps it as it is."""

from __future__ import annotations

from typing import NoReturn
from uuid import uuid4

from django.conf import settings
from django.db import models

from indexer.models.repositories import Repository


class KeptRows(models.QuerySet["ActionLog"]):
    """Rows that nobody deletes; a database may be dropped, a line may not."""

    def delete(self) -> NoReturn:
        raise TypeError("The action log is never rewritten.")


class ActionLog(models.Model):
    """One wish of one person. Names are kept as text, so that the row says the same
    when the model, the repository or the person is gone."""

    class Verb(models.TextChoices):
        REGISTER = "register", "Register a version"
        ASSIGN = "assign", "Assign a stage"
        RESTORE = "restore", "Restore a stage's previous version"
        UNASSIGN = "unassign", "Unassign a stage"
        DEREGISTER = "deregister", "Deregister a version"
        DEPRECATE = "deprecate", "Deprecate"
        REVIVE = "revive", "Revive"
        ADD = "add", "Add a model"
        EDIT = "edit", "Edit"

    class Status(models.TextChoices):
        ASKED = "asked", "Being checked"  # nothing was sent yet
        WRITING = "writing", "Being written"  # the order is fixed and may be sent
        DONE = "done", "Done"
        REFUSED = "refused", "Refused"  # nothing was written, and why
        FAILED = "failed", "Failed"  # nothing was written; asking again may help
        UNKNOWN = "unknown", "Not known"  # given up asking what became of it

    class Via(models.TextChoices):
        PAGE = "page", "Page"
        API = "api", "API"

    class Right(models.TextChoices):
        OWN = "own", "Their own token"
        SHARED = "shared", "The connection's token"
        REPOSITORY = "repository", "The repository's credential"

    OPEN = (Status.ASKED, Status.WRITING)

    uuid = models.UUIDField(default=uuid4, unique=True, editable=False)
    key = models.CharField(max_length=64, unique=True)  # of person and idempotency key
    wish = models.CharField(max_length=64)  # digest of what was asked
    verb = models.CharField(max_length=10, choices=Verb.choices)
    status = models.CharField(
        max_length=8, choices=Status.choices, default=Status.ASKED
    )

    # Who, from where.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="logged_actions",
    )
    actor = models.CharField(max_length=200)  # user name
    via = models.CharField(max_length=4, choices=Via.choices)
    token_name = models.CharField(max_length=100, blank=True, default="")  # of the API
    remote_address = models.CharField(max_length=64, blank=True, default="")
    right = models.CharField(  # by which it is written
        max_length=10, choices=Right.choices, blank=True, default=""
    )

    # About what.
    repository = models.ForeignKey(
        Repository, null=True, on_delete=models.SET_NULL, related_name="logged_actions"
    )
    repository_name = models.CharField(max_length=200)
    artifact = models.CharField(max_length=255)
    version = models.CharField(max_length=255, blank=True, default="")
    stage = models.CharField(max_length=255, blank=True, default="")
    asked = models.JSONField(default=dict)  # the wish, word for word
    seen = models.CharField(max_length=64, blank=True, default="")  # what was shown

    # The order, whole before anything is sent.
    tag = models.CharField(max_length=255, blank=True, default="")
    commit_id = models.CharField(max_length=64, blank=True, default="")
    message = models.TextField(blank=True, default="")
    tagger_name = models.CharField(max_length=200, blank=True, default="")
    tagger_email = models.CharField(max_length=254, blank=True, default="")
    # Who says that the address is theirs: a server. "": nobody does.
    email_verified_by = models.CharField(max_length=255, blank=True, default="")
    seconds = models.BigIntegerField(null=True)  # its date, since 1970
    not_before = models.BigIntegerField(null=True)  # the earliest it may have
    path = models.TextField(blank=True, default="")  # of the file that is changed
    before_blob = models.CharField(max_length=64, blank=True, default="")
    content = models.TextField(blank=True, default="")  # its new text
    branch = models.CharField(max_length=255, blank=True, default="")
    into = models.CharField(max_length=255, blank=True, default="")  # of a pull request
    title = models.CharField(max_length=255, blank=True, default="")

    # What came of it.
    object_id = models.CharField(max_length=64, blank=True, default="")  # tag or commit
    html = models.CharField(max_length=500, blank=True, default="")  # pull request
    code = models.CharField(max_length=40, blank=True, default="")  # of a refusal
    sentence = models.TextField(blank=True, default="")
    asked_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)  # the order was fixed
    ended_at = models.DateTimeField(null=True)

    # Whose turn it is to carry it out, until when.
    tries = models.PositiveIntegerField(default=0)
    lease_id = models.UUIDField(null=True)
    lease_holder = models.CharField(max_length=200, blank=True, default="")
    lease_expires_at = models.DateTimeField(null=True)

    objects = KeptRows.as_manager()

    class Meta:
        verbose_name_plural = "action log"
        ordering = ("-asked_at", "-pk")
        indexes = [
            models.Index(fields=["asked_at"], name="action_by_time"),
            models.Index(
                fields=["repository_name", "artifact", "asked_at"],
                name="action_by_artifact",
            ),
            models.Index(fields=["object_id"], name="action_by_object"),
        ]
        constraints = [
            # One at a time for an artifact: the next one sees what this one wrote.
            models.UniqueConstraint(
                fields=["repository", "artifact"],
                condition=models.Q(status__in=["asked", "writing"]),
                name="one_action_at_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.artifact} by {self.actor}"

    def delete(self, *args: object, **options: object) -> NoReturn:
        raise TypeError("The action log is never rewritten.")

    @property
    def is_open(self) -> bool:
        return self.status in self.OPEN
