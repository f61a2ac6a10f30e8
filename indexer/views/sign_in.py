"""The doors by which people come in: the page's and the administration's. How often a
name may be tried: indexer/sign_in.py."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from math import ceil
from typing import Any

from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from indexer.sign_in import TooManyFailures, count_attempt, forgive

Door = Callable[[HttpRequest], HttpResponseBase]


class SignInForm(AuthenticationForm):
    """Counts an attempt, whoever is signed in already, before its password is looked
    at. Raises TooManyFailures."""

    def clean(self) -> dict[str, Any]:
        name = self.cleaned_data.get("username")
        if name is None or not self.cleaned_data.get("password"):
            return super().clean()  # authenticates nobody
        assert self.request is not None  # noqa: S101 - both doors give it
        count_attempt(self.request, name)
        cleaned = super().clean()
        forgive(self.request, name)
        return cleaned


class AdminSignInForm(SignInForm, AdminAuthenticationForm):
    """The administration's, which lets in only who has rights there."""


def limited(door: Door) -> Door:
    """Answer 429 where a name was tried too often."""

    @wraps(door)
    def watched(request: HttpRequest) -> HttpResponseBase:
        try:
            return door(request)
        except TooManyFailures as refusal:
            return too_many_failures(request, refusal)

    return watched


def too_many_failures(request: HttpRequest, refusal: TooManyFailures) -> HttpResponse:
    """A page that says how long to wait."""
    minutes = ceil(refusal.seconds / 60)
    response = render(request, "429.html", {"minutes": minutes}, status=429)
    response["Retry-After"] = str(refusal.seconds)
    return response


login = limited(
    LoginView.as_view(
        template_name="login.html",
        authentication_form=SignInForm,
        redirect_authenticated_user=True,
    )
)
admin.site.login_form = AdminSignInForm
admin_login = limited(admin.site.login)
