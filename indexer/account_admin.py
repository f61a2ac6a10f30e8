"""Django's page of a user, with the role Muster gives and how they stand in Git."""

from __future__ import annotations

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse

from indexer.api_tokens import tokens_in_force
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

    def user_change_password(
        self,
        request: HttpRequest,
        id: str,  # noqa: A002 - Django's name
        form_url: str = "",
    ) -> HttpResponse:
        """Django's, which then says what of the person's works on without it."""
        response = super().user_change_password(request, id, form_url)
        if request.method == "POST" and response.status_code == 302:
            user = self.get_object(request, unquote(id))
            if user is not None and (count := tokens_in_force(user).count()):
                self.message_user(
                    request,
                    f"API tokens of {user.get_username()} that work on: {count}. "
                    "Revoke them under Api tokens if somebody else may know them.",
                    messages.WARNING,
                )
        return response

    def lookup_allowed(
        self, lookup: str, value: str, request: HttpRequest | None = None
    ) -> bool:
        """Not even by a filter in the address can a credential be guessed at."""
        if set(lookup.split("__")) & CREDENTIALS:
            return False
        return super().lookup_allowed(lookup, value, request)


admin.site.unregister(User)
admin.site.register(User, PersonAdmin)
