"""Connections: the stored right to read an organisation or group over its provider's
API; the webhooks that tell us of its changes; what is left of its request budget."""

from __future__ import annotations

from uuid import uuid4

from django.db import models


class Connection(models.Model):
    """A right to talk to one provider as someone, and what to take from there.

    Like a repository it has a place in the job list: a look at the provider is owed
    when `requested_seq > done_seq` or `next_poll_at` has come, and is done by whoever
    holds the lease. Who may see the token: nobody; `secret` is encrypted."""

    class Kind(models.TextChoices):
        GITHUB = "github", "GitHub"
        GITLAB = "gitlab", "GitLab"

    class Credential(models.TextChoices):
        TOKEN = "token", "Token"
        APP = "app", "GitHub App"

    class OwnerKind(models.TextChoices):
        ORGANISATION = "org", "organisation"
        USER = "user", "user"
        GROUP = "group", "group"
        INSTALLATION = "app", "installation"  # all that a GitHub App was given

    class Way(models.TextChoices):
        API = "api", "Over the API"
        MIRROR = "mirror", "Through a mirror"

    class State(models.TextChoices):
        DRAFT = "draft", "Not connected yet"
        NEW = "new", "Not looked at yet"
        OK = "ok", "Connected"
        WAITING = "waiting", "Waiting"  # for a rate limit; until `next_poll_at`
        DENIED = "denied", "Reconnect"  # the token is refused
        UNREACHABLE = "unreachable", "Unreachable"
        FAILING = "failing", "Failing"

    uuid = models.UUIDField(default=uuid4, unique=True, editable=False)
    kind = models.CharField(max_length=6, choices=Kind.choices)
    web_url = models.CharField(max_length=500)  # https://github.com, no slash at end
    api_url = models.CharField(max_length=500)  # https://api.github.com
    server = models.CharField(max_length=255)  # host[:port], of its repositories' ids
    owner = models.CharField(max_length=255, blank=True, default="")  # acme, acme/ml
    owner_kind = models.CharField(
        max_length=5, choices=OwnerKind.choices, blank=True, default=""
    )
    owner_id = models.CharField(max_length=64, blank=True, default="")
    credential = models.CharField(
        max_length=5, choices=Credential.choices, default=Credential.TOKEN
    )
    secret = models.TextField(blank=True, default="")  # token, or the app's key
    app_id = models.CharField(max_length=40, blank=True, default="")
    installation_id = models.CharField(max_length=40, blank=True, default="")
    access = models.TextField(blank=True, default="")  # an installation's, encrypted
    access_expires_at = models.DateTimeField(null=True, blank=True)
    token_expires_at = models.DateTimeField(null=True, blank=True)  # if it says so

    include = models.TextField(blank=True, default="")  # patterns, one a line; "" all
    exclude = models.TextField(blank=True, default="")
    with_forks = models.BooleanField(default=False)
    with_archived = models.BooleanField(default=True)
    with_subgroups = models.BooleanField(default=True)
    way = models.CharField(max_length=6, choices=Way.choices, default=Way.API)
    with_hooks = models.BooleanField(default=True)  # make webhooks where allowed

    # May people who have no token of their own write with this connection's?
    shares_writing = models.BooleanField(default=False)

    is_enabled = models.BooleanField(default=True)
    added_at = models.DateTimeField()
    added_by = models.CharField(max_length=200, blank=True, default="")
    account = models.CharField(max_length=255, blank=True, default="")  # whose token
    rights = models.JSONField(default=list)  # what Test found, see connections.py
    tested_at = models.DateTimeField(null=True, blank=True)

    # The job list.
    next_poll_at = models.DateTimeField(null=True, blank=True)
    requested_seq = models.BigIntegerField(default=0)
    done_seq = models.BigIntegerField(default=0)
    enqueued_at = models.DateTimeField(null=True, blank=True)
    lease_id = models.UUIDField(null=True, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    lease_holder = models.CharField(max_length=200, blank=True, default="")
    failures = models.PositiveIntegerField(default=0)

    # What the last looks found.
    state = models.CharField(max_length=12, choices=State.choices, default=State.NEW)
    message = models.TextField(blank=True, default="")
    polled_at = models.DateTimeField(null=True, blank=True)  # the last that succeeded
    discovered_at = models.DateTimeField(null=True, blank=True)  # complete listing
    listed_count = models.PositiveIntegerField(default=0)  # by it, left out ones too
    poll_etag = models.CharField(max_length=200, blank=True, default="")
    phase = models.CharField(max_length=60, blank=True, default="")  # while it runs
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("server", "owner", "pk")

    def __str__(self) -> str:
        return f"{self.server}/{self.owner}" if self.owner else self.server

    @property
    def provider_name(self) -> str:
        """GitHub or GitLab, for sentences."""
        return self.Kind(self.kind).label


class Hook(models.Model):
    """A webhook of a connection at its provider: of the whole organisation or group
    (`repository` null), or of one repository. Its address at Muster ends in `uuid`."""

    class State(models.TextChoices):
        WANTED = "wanted", "Not made yet"
        MADE = "made", "Made by Muster"
        MANUAL = "manual", "To be made by hand"
        REFUSED = "refused", "Not allowed"

    uuid = models.UUIDField(default=uuid4, unique=True, editable=False)
    connection = models.ForeignKey(
        Connection, on_delete=models.CASCADE, related_name="hooks"
    )
    repository = models.ForeignKey(
        "indexer.Repository",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="hooks",
    )
    secret = models.TextField()  # encrypted
    remote_id = models.CharField(max_length=64, blank=True, default="")
    state = models.CharField(max_length=8, choices=State.choices, default=State.WANTED)
    message = models.TextField(blank=True, default="")  # why it was not made
    checked_at = models.DateTimeField(null=True, blank=True)
    # Of the last delivery whose signature was right.
    last_delivery_at = models.DateTimeField(null=True, blank=True)
    last_event = models.CharField(max_length=60, blank=True, default="")
    last_outcome = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection"],
                condition=models.Q(repository__isnull=True),
                name="one_owner_hook",
            ),
            models.UniqueConstraint(
                fields=["connection", "repository"],
                condition=models.Q(repository__isnull=False),
                name="one_repository_hook",
            ),
        ]

    def __str__(self) -> str:
        return str(self.uuid)


class Delivery(models.Model):
    """A delivery that came with a right signature, so that the same one counts once.
    Kept for a week."""

    hook = models.ForeignKey(Hook, on_delete=models.CASCADE, related_name="deliveries")
    delivery_id = models.CharField(max_length=100)  # the provider's, or a digest
    event = models.CharField(max_length=60)
    received_at = models.DateTimeField()
    outcome = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["hook", "delivery_id"], name="delivery_once"
            )
        ]
        indexes = [models.Index(fields=["received_at"], name="delivery_received")]

    def __str__(self) -> str:
        return self.delivery_id


class RequestBudget(models.Model):
    """What is left of a connection's requests, where no Redis keeps it: one row for
    each kind of request the provider counts by itself (core, graphql, …)."""

    connection = models.ForeignKey(
        Connection, on_delete=models.CASCADE, related_name="budgets"
    )
    resource = models.CharField(max_length=20)
    allowed = models.PositiveIntegerField(null=True)  # in a window; null not known
    remaining = models.IntegerField(null=True)
    reset_at = models.DateTimeField(null=True)
    blocked_until = models.DateTimeField(null=True)  # told to wait, or found out
    minute = models.BigIntegerField(default=0)  # of the count below, since 1970
    in_minute = models.PositiveIntegerField(default=0)
    # Times in a row that the provider said to wait and not for how long.
    strikes = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "resource"], name="budget_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.resource}: {self.remaining} of {self.allowed}"
