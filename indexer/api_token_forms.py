"""The form that makes an API token; `indexer.api_tokens` decides."""

from __future__ import annotations

import unicodedata
from datetime import timedelta
from typing import TYPE_CHECKING

from django import forms
from django.utils import timezone

from indexer.api_tokens import TokenRefused, make_token
from indexer.forms import text_field
from indexer.models import ApiToken

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LIFETIMES = [("30", "30 days"), ("90", "90 days"), ("365", "A year"), ("", "Never")]


class ApiTokenForm(forms.Form):
    """What a new token is for, what it may do and for how long."""

    name = text_field(
        "Name",
        100,
        "What uses it: CI of acme/churn, my notebook.",
        required=True,
        spellcheck="false",
    )
    scope = forms.ChoiceField(
        label="What it may do",
        choices=ApiToken.Scope.choices,
        initial=ApiToken.Scope.READ,
        help_text="Never more than you may do yourself.",
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    days = forms.ChoiceField(
        label="Expires after",
        choices=LIFETIMES,
        initial="90",
        required=False,
        widget=forms.Select(attrs={"class": "form-select"}),
    )

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if any(unicodedata.category(one) == "Cc" for one in name):
            raise forms.ValidationError("A name is one line of text.")
        return name

    def save(self, user: User) -> tuple[ApiToken, str] | None:
        """The token's row and its text, or None with an error in the form."""
        days = self.cleaned_data["days"]
        expires_at = timezone.now() + timedelta(days=int(days)) if days else None
        scope = ApiToken.Scope(self.cleaned_data["scope"])
        try:
            return make_token(user, self.cleaned_data["name"], scope, expires_at)
        except TokenRefused as refusal:
            self.add_error("name", str(refusal))
            return None
