"""Events: something Git says happened. Derived, rebuildable."""

from __future__ import annotations

from django.db import models

from indexer.models.artifacts import Artifact
from indexer.models.fields import UNKNOWN_TIME
from indexer.models.repositories import Repository


class Event(models.Model):
    """A registration, deregistration, assignment, unassignment or deprecation.

    `at` is null when the tag's date cannot be read. Newest first is
    `-at_key, -position, -id`: `at_key` is the moment in seconds since 1970 UTC
    (UNKNOWN_TIME without one, which sorts before every date on both databases), and
    `position` counts up, in gto's history order, the events of a repository that
    fall into one second."""

    class Kind(models.TextChoices):
        REGISTRATION = "registration", "Registration"
        DEREGISTRATION = "deregistration", "Deregistration"
        ASSIGNMENT = "assignment", "Assignment"
        UNASSIGNMENT = "unassignment", "Unassignment"
        DEPRECATION = "deprecation", "Deprecation"

    repository = models.ForeignKey(
        Repository,
        on_delete=models.CASCADE,
        related_name="events",
        db_index=False,  # `event_by_repository` begins with it
    )
    artifact = models.ForeignKey(
        Artifact,
        on_delete=models.CASCADE,
        related_name="events",
        db_index=False,  # `event_by_artifact` begins with it
    )
    kind = models.CharField(max_length=14, choices=Kind.choices)
    version = models.CharField(max_length=255, blank=True, default="")
    stage = models.CharField(max_length=255, blank=True, default="")
    commit_id = models.CharField(max_length=64)
    at = models.DateTimeField(null=True)
    at_key = models.BigIntegerField(default=UNKNOWN_TIME)
    offset = models.IntegerField(default=0)  # minutes east of UTC, as written
    position = models.IntegerField(default=0)
    author_name = models.TextField(blank=True)
    author_email = models.CharField(max_length=320, blank=True)
    message = models.TextField(blank=True)
    tag = models.TextField()  # the name inside the tag object
    tag_id = models.CharField(max_length=64)  # the tag object's id

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["repository", "tag_id"], name="event_once_per_tag_object"
            )
        ]
        indexes = [
            models.Index(
                fields=["artifact", "at_key", "position"], name="event_by_artifact"
            ),
            models.Index(
                fields=["repository", "at_key", "position"],
                name="event_by_repository",
            ),
            models.Index(fields=["at_key", "position", "id"], name="event_by_time"),
            models.Index(fields=["author_email", "at_key"], name="event_by_person"),
        ]

    def __str__(self) -> str:
        return self.tag


class Problem(models.Model):
    """Input of a repository that could not be read, with its place. Derived."""

    repository = models.ForeignKey(
        Repository,
        on_delete=models.CASCADE,
        related_name="problems",
        db_index=False,  # `problem_by_repository` begins with it
    )
    artifact = models.ForeignKey(
        Artifact, null=True, on_delete=models.SET_NULL, related_name="problems"
    )
    artifact_name = models.CharField(max_length=255, blank=True, default="")
    code = models.CharField(max_length=64)
    text = models.TextField()
    tag = models.TextField(blank=True, default="")
    path = models.TextField(blank=True, default="")
    line = models.PositiveIntegerField(null=True)
    commit_id = models.CharField(max_length=64, blank=True, default="")

    class Meta:
        indexes = [
            models.Index(fields=["repository", "code"], name="problem_by_repository")
        ]

    def __str__(self) -> str:
        return self.text
