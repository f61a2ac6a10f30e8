"""The doors by which people come in: the page's and the administration's. How often a
name may be tried: indexer/sign_in.py; how many at once: indexer/password_hashing.py."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from math import ceil
from typing import Any

from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from indexer.password_hashing import TooBusy, turn
from indexer.sign_in import TooManyFailures, count_attempt, remember

BUSY_SECONDS = 5
Door = Callable[[HttpRequest], HttpResponseBase]


class SignInForm(AuthenticationForm):
    """Counts an attempt, whoever is signed in already, before its password is looked
    at. Raises TooManyFailures, TooBusy."""

    def clean(self) -> dict[str, Any]:
        name = self.cleaned_data.get("username")
        if name is None or not self.cleaned_data.get("password"):
            return super().clean()  # authenticates nobody
        assert self.request is not None  # noqa: S101 - both doors give it
        with turn():
            attempt = count_attempt(self.request, name)
            cleaned = super().clean()
        attempt.forgive()
        return cleaned


class AdminSignInForm(SignInForm, AdminAuthenticationForm):
    """The administration's, which lets in only who has rights there."""


def limited(door: Door) -> Door:
    """Answer 429 where a name or an address failed too often, 503 where too many try
    at once; and know the browser of who came in."""

    @wraps(door)
    def watched(request: HttpRequest) -> HttpResponseBase:
        try:
            response = door(request)
        except TooManyFailures as refusal:
            return _later(request, 429, refusal.seconds)
        except TooBusy:
            return _later(request, 503, BUSY_SECONDS)
        came_in = request.method == "POST" and response.status_code == 302
        if came_in and isinstance(request.user, User):
            remember(request, response, request.user.get_username())
        return response

    return watched


def _later(request: HttpRequest, status: int, seconds: int) -> HttpResponse:
    """A page that says how long to wait."""
    minutes = ceil(seconds / 60)
    response = render(request, f"{status}.html", {"minutes": minutes}, status=status)
    response["Retry-After"] = str(seconds)
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
