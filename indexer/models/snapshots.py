"""What was seen in Git: the snapshot of each repository, as rows.

Together these rows hold a whole `RepositorySnapshot`, so that `build_state` can
answer any question (another reading, a point in time) without a look at Git."""

from __future__ import annotations

from django.db import models

from indexer.models.fields import ExactJSONField
from indexer.models.repositories import Repository


class Tag(models.Model):
    """A Git tag as it was seen: one row per (ref, object) and stretch of time.

    Not derived: when it was seen first, when it vanished and what replaced it is
    what Git cannot tell. `gone_at` is null while the tag is there; its `last_seen`
    is then the repository's `last_success_at`."""

    repository = models.ForeignKey(
        Repository, on_delete=models.CASCADE, related_name="tags"
    )
    ref = models.TextField()  # without refs/tags/, as snapshot.ref_text gives it
    ref_key = models.CharField(max_length=64)  # sha256 of ref: indexes have limits
    object_id = models.CharField(max_length=64)
    commit_id = models.CharField(max_length=64, blank=True, default="")  # peeled
    is_annotated = models.BooleanField()
    # From the tag object; empty for a lightweight tag.
    name = models.TextField(blank=True, default="")  # the name inside, it decides
    target_id = models.CharField(max_length=64, blank=True, default="")
    target_type = models.CharField(max_length=8, blank=True, default="")
    tagger_name = models.TextField(blank=True, default="")
    tagger_email = models.TextField(blank=True, default="")
    has_tagger = models.BooleanField(default=False)
    tagged_seconds = models.BigIntegerField(null=True)  # UTC since 1970; null unknown
    tagged_offset = models.IntegerField(default=0)  # minutes east of UTC
    message = models.TextField(blank=True, default="")
    signature = models.BinaryField(default=b"")
    flaws = models.JSONField(default=list)
    # What Git cannot tell.
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField(null=True)  # set when it goes
    gone_at = models.DateTimeField(null=True)
    replaced_by = models.ForeignKey(
        "self", null=True, on_delete=models.SET_NULL, related_name="replaces"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["repository", "ref_key"],
                condition=models.Q(gone_at__isnull=True),
                name="tag_once_at_a_time",
            )
        ]
        indexes = [
            models.Index(  # few among very many
                fields=["repository", "gone_at"],
                condition=models.Q(gone_at__isnull=False),
                name="tag_gone",
            )
        ]

    def __str__(self) -> str:
        return self.ref


class FileSet(models.Model):
    """The registry files of a commit: [[path, blob id], …] sorted by path. Commits
    with the same listing share one row, by the digest of it."""

    repository = models.ForeignKey(
        Repository,
        on_delete=models.CASCADE,
        related_name="file_sets",
        db_index=False,  # `file_set_once` begins with it
    )
    digest = models.CharField(max_length=64)
    files = models.JSONField(default=list)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["repository", "digest"], name="file_set_once"
            )
        ]

    def __str__(self) -> str:
        return self.digest


class Commit(models.Model):
    """A commit that a tag names, or the head of the default branch."""

    repository = models.ForeignKey(
        Repository,
        on_delete=models.CASCADE,
        related_name="commits",
        db_index=False,  # `commit_once` begins with it
    )
    commit_id = models.CharField(max_length=64)
    author_name = models.TextField(blank=True)
    author_email = models.TextField(blank=True)
    authored_seconds = models.BigIntegerField(null=True)
    authored_offset = models.IntegerField(default=0)
    committer_name = models.TextField(blank=True)
    committer_email = models.TextField(blank=True)
    committed_seconds = models.BigIntegerField(null=True)
    committed_offset = models.IntegerField(default=0)
    message = models.TextField(blank=True)
    file_set = models.ForeignKey(FileSet, null=True, on_delete=models.RESTRICT)
    problems = models.JSONField(default=list)  # of reading its tree

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["repository", "commit_id"], name="commit_once"
            )
        ]

    def __str__(self) -> str:
        return self.commit_id


class Document(models.Model):
    """A registry file's content by its blob id: parsed once ever."""

    repository = models.ForeignKey(
        Repository,
        on_delete=models.CASCADE,
        related_name="documents",
        db_index=False,  # `document_once` begins with it
    )
    blob_id = models.CharField(max_length=64)
    value = ExactJSONField(null=True)
    problem = models.TextField(blank=True, default="")
    line = models.PositiveIntegerField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["repository", "blob_id"], name="document_once"
            )
        ]

    def __str__(self) -> str:
        return self.blob_id


class Snapshot(models.Model):
    """What else was seen of a repository: the part of its snapshot that is no list of
    tags, commits or files. Apart from Repository, whose rows every page reads."""

    repository = models.OneToOneField(
        Repository, on_delete=models.CASCADE, related_name="snapshot"
    )
    default_branch = models.TextField(blank=True, default="")
    head = models.CharField(max_length=64, blank=True, default="")
    branches = ExactJSONField(default=dict)  # name -> commit id
    problems = ExactJSONField(default=list)

    def __str__(self) -> str:
        return f"{self.default_branch} {self.head}"
