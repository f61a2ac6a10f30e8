"""Django's page of a user, with the role Muster gives and how they stand in Git."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.http import HttpRequest

from indexer.models import Account
from indexer.permissions import role_of

CREDENTIALS = {"provider_tokens", "api_tokens", "secret", "digest", "password"}


class AccountInline(admin.StackedInline):  # type: ignore[type-arg]
    model = Account
    can_delete = False
    fields = ("role", "name", "email")


class PersonAdmin(UserAdmin):  # type: ignore[type-arg]
    inlines = (AccountInline,)
    list_display = ("username", "role", "is_active", "is_staff", "last_login")
    list_select_related = ("account",)

    @admin.display(ordering="account__role")
    def role(self, user: User) -> str:
        role = role_of(user)
        return role.label if role else "–"

    def lookup_allowed(
        self, lookup: str, value: str, request: HttpRequest | None = None
    ) -> bool:
        """Not even by a filter in the address can a credential be guessed at."""
        if set(lookup.split("__")) & CREDENTIALS:
            return False
        return super().lookup_allowed(lookup, value, request)


admin.site.unregister(User)
admin.site.register(User, PersonAdmin)
