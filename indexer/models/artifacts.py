"""The catalog: artifacts, their versions, stages and annotations. All derived."""

from __future__ import annotations

from django.db import models

from indexer.models.fields import UNKNOWN_TIME, ExactJSONField
from indexer.models.repositories import Repository


class Annotation(models.Model):
    """What a registry file says of an artifact at one commit."""

    artifact = models.ForeignKey(
        "Artifact",
        on_delete=models.CASCADE,
        related_name="annotations",
        db_index=False,  # `annotation_once` begins with it
    )
    commit_id = models.CharField(max_length=64, blank=True)  # "" is the head
    source = models.TextField()  # the file: "artifacts.yaml", "sub/dvc.yaml"
    path = models.TextField(blank=True)
    type = models.CharField(max_length=255, blank=True)
    description = models.TextField(blank=True)
    labels = models.JSONField(default=list)
    meta = ExactJSONField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["artifact", "commit_id"], name="annotation_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.source} at {self.commit_id[:7]}"


class Artifact(models.Model):
    """A registry entry of one repository; the interface calls type `model` a model.

    Description, labels, type and path are those at the default branch's head (or,
    for an artifact the head no longer annotates, those of its latest version). The
    fields from `search` on are copies that let the list filter and sort by an
    index. To sort by a time use its `_key` (seconds since 1970 UTC, UNKNOWN_TIME
    without one): null sorts first on one database and last on the other."""

    repository = models.ForeignKey(
        Repository,
        on_delete=models.CASCADE,
        related_name="artifacts",
        db_index=False,  # `artifact_once` begins with it
    )
    name = models.CharField(max_length=255)  # "churn", "models/cv:detector"
    type = models.CharField(max_length=255, blank=True, default="")
    path = models.TextField(blank=True, default="")
    description = models.TextField(blank=True, default="")
    labels = models.JSONField(default=list)
    source = models.TextField(blank=True, default="")  # file that annotates it
    is_annotated = models.BooleanField(default=False)  # at the head
    is_active = models.BooleanField(default=True)  # False: deprecated
    is_registered = models.BooleanField(default=False)
    only_dvc_yaml = models.BooleanField(default=False)
    digest = models.CharField(max_length=64, blank=True, default="")  # of its input

    search = models.TextField(blank=True, default="")  # casefolded: name, repository…
    name_key = models.TextField(blank=True, default="")  # hex, sorts alike everywhere
    repository_key = models.TextField(blank=True, default="")
    latest_version = models.CharField(max_length=255, blank=True, default="")
    latest_key = models.TextField(blank=True, default="")  # hex, by SemVer
    latest_commit_id = models.CharField(max_length=64, blank=True, default="")
    latest_at = models.DateTimeField(null=True)
    latest_by = models.TextField(blank=True, default="")
    last_event_at = models.DateTimeField(null=True)
    last_event_key = models.BigIntegerField(default=UNKNOWN_TIME)
    last_assignment_at = models.DateTimeField(null=True)
    last_assignment_key = models.BigIntegerField(default=UNKNOWN_TIME)
    version_count = models.PositiveIntegerField(default=0)
    event_count = models.PositiveIntegerField(default=0)
    problem_count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["repository", "name"], name="artifact_once")
        ]
        indexes = [
            models.Index(fields=["name_key", "id"], name="artifact_by_name"),
            models.Index(
                fields=["repository_key", "name_key", "id"], name="artifact_by_repo"
            ),
            models.Index(fields=["latest_key", "id"], name="artifact_by_latest"),
            models.Index(fields=["last_event_key", "id"], name="artifact_by_activity"),
            models.Index(
                fields=["last_assignment_key", "id"], name="artifact_by_assigned"
            ),
            models.Index(  # counts the list without a look at the rows
                fields=["type", "is_active", "is_registered"], name="artifact_by_type"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ArtifactLabel(models.Model):
    """A label of an artifact, as at the head: one row each, to filter by."""

    artifact = models.ForeignKey(
        Artifact, on_delete=models.CASCADE, related_name="label_rows"
    )
    label = models.CharField(max_length=255)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["label", "artifact"], name="label_once")
        ]

    def __str__(self) -> str:
        return self.label


class Version(models.Model):
    """A version of an artifact: `vX.Y.Z` on a commit, or an unregistered commit."""

    artifact = models.ForeignKey(
        Artifact,
        on_delete=models.CASCADE,
        related_name="versions",
        db_index=False,  # `version_once` begins with it
    )
    name = models.CharField(max_length=255)
    commit_id = models.CharField(max_length=64)  # what the tag names, as in gto
    peeled_id = models.CharField(max_length=64, blank=True, default="")  # the commit
    rank = models.PositiveIntegerField()  # 0 is gto's first: greatest SemVer
    is_active = models.BooleanField()
    is_registered = models.BooleanField()
    is_discovered = models.BooleanField(default=False)
    created_at = models.DateTimeField(null=True)
    created_offset = models.IntegerField(default=0)
    activated_at = models.DateTimeField(null=True)
    author_name = models.TextField(blank=True)
    author_email = models.TextField(blank=True)
    message = models.TextField(blank=True)
    ref = models.TextField(blank=True)  # tag or commit that the above come from
    annotation = models.ForeignKey(Annotation, null=True, on_delete=models.SET_NULL)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["artifact", "name", "commit_id"], name="version_once"
            )
        ]
        indexes = [models.Index(fields=["artifact", "rank"], name="version_by_rank")]

    def __str__(self) -> str:
        return self.name


class StageHolder(models.Model):
    """A version that holds a stage, by the repository's reading. `rank` 0 is the
    holder; others come after it where several versions may share a stage."""

    artifact = models.ForeignKey(
        Artifact,
        on_delete=models.CASCADE,
        related_name="holders",
        db_index=False,  # `holder_once` begins with it
    )
    version = models.ForeignKey(
        Version, on_delete=models.CASCADE, related_name="holders"
    )
    stage = models.CharField(max_length=255)
    rank = models.PositiveIntegerField(default=0)
    assigned_at = models.DateTimeField(null=True)
    assigned_offset = models.IntegerField(default=0)
    author_name = models.TextField(blank=True)
    author_email = models.TextField(blank=True)
    message = models.TextField(blank=True)
    tag = models.TextField(blank=True)  # the assigning tag's name

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["artifact", "stage", "rank"], name="holder_once"
            )
        ]
        indexes = [models.Index(fields=["stage", "artifact"], name="holder_by_stage")]

    def __str__(self) -> str:
        return f"{self.stage}: {self.version_id}"
