"""Repositories, and the job list of their crawls."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from indexer.core.state import Reading
from indexer.models.connections import Connection


class Repository(models.Model):
    """One Git repository we index, with its place in the job list.

    The database is the job list and the queue only a wake-up: a crawl is owed when
    `requested_seq > done_seq` or `next_crawl_at` has come, and is done by whoever
    holds the lease (`lease_id`, until `lease_expires_at`)."""

    class Provider(models.TextChoices):
        GIT = "git", "Git"
        GITHUB = "github", "GitHub"
        GITLAB = "gitlab", "GitLab"

    class State(models.TextChoices):
        NEW = "new", "Not crawled yet"
        OK = "ok", "Up to date"
        EMPTY = "empty", "Empty"
        FAILING = "failing", "Failing"
        UNREACHABLE = "unreachable", "Unreachable"
        DENIED = "denied", "No access"
        GONE = "gone", "Gone"
        TOO_LARGE = "too_large", "Too large"
        WAITING = "waiting", "Waiting"  # for a rate limit; until `next_crawl_at`

    class ReadingChoice(models.TextChoices):
        TIME = "time", "One version per stage, the last assigned"
        SEMVER = "semver", "One version per stage, the greatest"
        SEVERAL = "several", "Several versions per stage"
        KANBAN = "kanban", "One stage per version"

    name = models.CharField(max_length=200, unique=True)  # owner/name, as in URLs
    provider = models.CharField(
        max_length=10, choices=Provider.choices, default=Provider.GIT
    )
    url = models.CharField(max_length=2000)  # the remote, never with credentials
    username = models.CharField(max_length=200, blank=True, default="")
    secret = models.TextField(blank=True, default="")  # encrypted, see crypto.py
    host = models.CharField(max_length=255, blank=True, default="")  # "" is local
    web_url = models.CharField(max_length=2000, blank=True, default="")
    description = models.TextField(blank=True, default="")
    is_demo = models.BooleanField(default=False)
    # Of a connection's: who it is there, and how it is read.
    connection = models.ForeignKey(
        Connection,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="repositories",
    )
    server = models.CharField(max_length=255, blank=True, default="")  # host[:port]
    provider_id = models.CharField(  # stays when it is renamed; "" is not known
        max_length=64, blank=True, default=""
    )
    path = models.CharField(max_length=500, blank=True, default="")  # owner/name there
    is_archived = models.BooleanField(default=False)
    is_fork = models.BooleanField(default=False)
    is_private = models.BooleanField(default=False)
    pushed_at = models.DateTimeField(null=True, blank=True)  # as the provider says
    checked_at = models.DateTimeField(null=True, blank=True)  # what we show was so then
    hidden_at = models.DateTimeField(null=True, blank=True)  # not to be seen any more
    hidden_why = models.CharField(max_length=300, blank=True, default="")
    way = models.CharField(  # "" is the connection's
        max_length=6, choices=Connection.Way.choices, blank=True, default=""
    )
    read_by = models.CharField(  # the last crawl; "" is Git alone
        max_length=6, choices=Connection.Way.choices, blank=True, default=""
    )
    read_by_why = models.CharField(max_length=300, blank=True, default="")
    is_enabled = models.BooleanField(default=True)
    reading = models.CharField(  # "" is the site's default
        max_length=10, choices=ReadingChoice.choices, blank=True, default=""
    )
    added_at = models.DateTimeField()
    added_by = models.CharField(max_length=200, blank=True, default="")

    # The job list.
    next_crawl_at = models.DateTimeField(null=True, blank=True)
    requested_seq = models.BigIntegerField(default=0)
    done_seq = models.BigIntegerField(default=0)
    requested_trigger = models.CharField(max_length=8, blank=True, default="")
    requested_by = models.CharField(max_length=200, blank=True, default="")
    enqueued_at = models.DateTimeField(null=True, blank=True)
    lease_id = models.UUIDField(null=True, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    lease_holder = models.CharField(max_length=200, blank=True, default="")  # host/pid
    attempts = models.PositiveIntegerField(default=0)  # begun since the last end
    failures = models.PositiveIntegerField(default=0)  # failed since the last success

    # What the last crawls found.
    state = models.CharField(max_length=12, choices=State.choices, default=State.NEW)
    message = models.TextField(blank=True, default="")  # why not OK, what to do
    last_crawl_at = models.DateTimeField(null=True, blank=True)
    last_success_at = models.DateTimeField(null=True, blank=True)
    fingerprint = models.CharField(max_length=64, blank=True, default="")
    default_branch = models.CharField(max_length=255, blank=True, default="")
    head = models.CharField(max_length=64, blank=True, default="")
    stage_order = models.JSONField(default=list)  # from .gto at the head
    has_stage_list = models.BooleanField(default=False)  # .gto says which are allowed
    artifact_count = models.PositiveIntegerField(default=0)
    model_count = models.PositiveIntegerField(default=0)
    tag_count = models.PositiveIntegerField(default=0)
    version_count = models.PositiveIntegerField(default=0)
    event_count = models.PositiveIntegerField(default=0)
    problem_count = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name_plural = "repositories"
        indexes = [
            models.Index(fields=["next_crawl_at"], name="repository_next_crawl"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["provider", "server", "provider_id"],
                condition=~models.Q(provider_id=""),
                name="repository_once_at_its_provider",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def stage_reading(self) -> Reading:
        """How its stage tags are read: as it says itself, else as the site does."""
        return Reading(self.reading or settings.MUSTER_READING)


class FormerName(models.Model):
    """A name that a repository had before it was renamed at its provider: links to it
    lead on, as long as no other repository has the name."""

    name = models.CharField(max_length=200, unique=True)
    repository = models.ForeignKey(
        Repository, on_delete=models.CASCADE, related_name="former_names"
    )
    until = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class RepositoryFacet(models.Model):
    """How many artifacts of one repository have a type, a label, a stage: derived,
    so that the filters of the list need no look at every artifact."""

    class Kind(models.TextChoices):
        TYPE = "type", "type"
        LABEL = "label", "label"
        STAGE = "stage", "stage"

    repository = models.ForeignKey(
        Repository,
        on_delete=models.CASCADE,
        related_name="facets",
        db_index=False,  # `facet_once` begins with it
    )
    kind = models.CharField(max_length=5, choices=Kind.choices)
    value = models.CharField(max_length=255, blank=True)
    count = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["repository", "kind", "value"], name="facet_once"
            )
        ]
        indexes = [
            models.Index(fields=["kind", "value", "count"], name="facet_by_value")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.value}: {self.count}"
