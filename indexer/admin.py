"""Django's administration: accounts, and a look at the rows.

What a crawl derives is read-only here: a change would be gone with the next one.
Credentials are never shown; repositories and connections are added and changed on
their own pages, where addresses are checked and a token stays with its server."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from indexer import account_admin  # noqa: F401 - registers people
from indexer.api_tokens import revoke
from indexer.models import (
    ActionLog,
    ApiToken,
    Artifact,
    Connection,
    Crawl,
    Delivery,
    Event,
    FormerName,
    Hook,
    Problem,
    Repository,
    RequestBudget,
    Tag,
)

SECRETS = ("secret", "access")  # encrypted, in whatever row


class LookOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    """A list and a page for each row, and nothing to change."""

    show_full_result_count = False
    list_related: tuple[str, ...] = ()
    never_shown: tuple[str, ...] = SECRETS

    def get_exclude(
        self, request: HttpRequest, obj: Model | None = None
    ) -> tuple[str, ...]:
        return self.never_shown

    def lookup_allowed(
        self, lookup: str, value: str, request: HttpRequest | None = None
    ) -> bool:
        """Not even by a filter in the address can a credential be guessed at."""
        if set(lookup.split("__")) & set(self.never_shown):
            return False
        return super().lookup_allowed(lookup, value, request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        return False

    def has_delete_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        return False

    def has_view_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        return bool(request.user.is_active and request.user.is_staff)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related(*self.list_related)


@admin.register(Repository)
class RepositoryAdmin(LookOnly):
    list_display = ("name", "state", "last_crawl_at", "model_count", "problem_count")
    list_filter = ("state", "is_enabled", "provider")
    search_fields = ("name", "url")


@admin.register(Artifact)
class ArtifactAdmin(LookOnly):
    list_display = ("name", "repository", "type", "latest_version", "last_event_at")
    list_related = ("repository",)
    search_fields = ("name",)


@admin.register(Event)
class EventAdmin(LookOnly):
    list_display = ("tag", "kind", "repository", "at", "author_name")
    list_related = ("repository",)
    list_filter = ("kind",)
    search_fields = ("tag", "author_email")


@admin.register(Tag)
class TagAdmin(LookOnly):
    list_display = ("ref", "repository", "first_seen_at", "gone_at")
    list_related = ("repository",)
    search_fields = ("ref",)


@admin.register(Problem)
class ProblemAdmin(LookOnly):
    list_display = ("text", "repository", "tag", "path", "line")
    list_related = ("repository",)
    list_filter = ("code",)


@admin.register(Crawl)
class CrawlAdmin(LookOnly):
    list_display = ("repository", "status", "trigger", "started_at", "finished_at")
    list_related = ("repository",)
    list_filter = ("status", "trigger")


@admin.register(Connection)
class ConnectionAdmin(LookOnly):
    list_display = ("__str__", "kind", "state", "polled_at", "discovered_at")
    list_filter = ("kind", "state", "is_enabled")
    search_fields = ("server", "owner")


@admin.register(Hook)
class HookAdmin(LookOnly):
    list_display = ("uuid", "connection", "repository", "state", "last_delivery_at")
    list_related = ("connection", "repository")
    list_filter = ("state",)


@admin.register(Delivery)
class DeliveryAdmin(LookOnly):
    list_display = ("delivery_id", "event", "outcome", "received_at")
    list_filter = ("event",)


@admin.register(RequestBudget)
class RequestBudgetAdmin(LookOnly):
    list_display = ("connection", "resource", "remaining", "allowed", "reset_at")
    list_related = ("connection",)


@admin.register(FormerName)
class FormerNameAdmin(LookOnly):
    list_display = ("name", "repository", "until")
    list_related = ("repository",)
    search_fields = ("name",)


@admin.register(ActionLog)
class ActionLogAdmin(LookOnly):
    """What people asked for. The page `/actions` is the one to read and export."""

    list_display = (
        "asked_at", "actor", "tagger_email", "verified_by", "verb", "artifact",
        "status", "tag",
    )  # fmt: skip
    list_filter = ("status", "verb", "via")
    search_fields = ("actor", "artifact", "repository_name", "tag")
    never_shown = (*SECRETS, "key", "wish", "seen")

    @admin.display(description="Its address is verified by")
    def verified_by(self, row: ActionLog) -> str:
        return row.email_verified_by or "nobody"


@admin.register(ApiToken)
class ApiTokenAdmin(LookOnly):
    """Everybody's tokens, to revoke those of somebody who left or leaked one."""

    list_display = ("name", "user", "scope", "last_used_at", "expires_at", "revoked_at")
    list_related = ("user",)
    list_filter = ("scope",)
    search_fields = ("name", "prefix", "user__username")
    never_shown = (*SECRETS, "digest")
    actions = ("revoke_chosen",)

    @admin.action(description="Revoke the chosen tokens")
    def revoke_chosen(self, request: HttpRequest, chosen: QuerySet[ApiToken]) -> None:
        for token in chosen.filter(revoked_at__isnull=True):
            self.log_change(request, token, "Revoked.")
        count = revoke(chosen)
        self.message_user(request, f"Tokens revoked: {count}.")
