"""A crawl: one attempt to read one repository and index it."""

from __future__ import annotations

from django.db import models

from indexer.models.repositories import Repository


class Crawl(models.Model):
    """One attempt, begun by whoever holds the repository's lease (`lease_id`)."""

    class Status(models.TextChoices):
        RUNNING = "running", "Running"
        CHANGED = "changed", "Updated"
        UNCHANGED = "unchanged", "Nothing new"
        FAILED = "failed", "Failed"
        LOST = "lost", "Interrupted"  # its worker died; another took over
        WAITING = "waiting", "Waiting"  # for a rate limit; what we have stays

    class Trigger(models.TextChoices):
        SCHEDULE = "schedule", "Schedule"
        BUTTON = "button", "Button"
        COMMAND = "command", "Command line"
        ADDED = "added", "Repository added"
        HOOK = "hook", "Webhook"
        POLL = "poll", "Change seen"  # by a look at the whole connection
        ACTION = "action", "Action"  # somebody writes through Muster

    repository = models.ForeignKey(
        Repository,
        on_delete=models.CASCADE,
        related_name="crawls",
        db_index=False,  # `crawl_newest` begins with it
    )
    status = models.CharField(
        max_length=9, choices=Status.choices, default=Status.RUNNING
    )
    trigger = models.CharField(
        max_length=8, choices=Trigger.choices, default=Trigger.SCHEDULE
    )
    requested_by = models.CharField(max_length=200, blank=True, default="")
    lease_id = models.UUIDField()
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    phase = models.CharField(max_length=40, blank=True, default="")  # "Reading tags"
    done = models.PositiveIntegerField(default=0)  # of `total`, in this phase
    total = models.PositiveIntegerField(default=0)
    message = models.TextField(blank=True, default="")
    requests = models.PositiveIntegerField(default=0)  # to the provider's API
    counts = models.JSONField(default=dict)  # {"tags": 12, "new_events": 3, …}

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["repository"],
                condition=models.Q(status="running"),
                name="one_running_crawl",
            )
        ]
        indexes = [
            models.Index(fields=["repository", "-started_at"], name="crawl_newest")
        ]

    def __str__(self) -> str:
        return f"{self.repository_id} {self.status}"
