"""A person's own page: how they stand in Git, their password, their tokens at
providers. Nobody sees another's."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from indexer.account_forms import IdentityForm, PasswordForm, ProviderTokenForm
from indexer.accounts import account_of
from indexer.api_tokens import revoke, tokens_in_force
from indexer.models import ProviderToken
from indexer.password_hashing import turn
from indexer.permissions import can_act, role_of
from indexer.provider_tokens import try_token, verifier_of
from indexer.sign_in import count_attempt
from indexer.views.access import HtmxHttpRequest, account_required
from indexer.views.sign_in import limited

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@account_required
@require_http_methods(["GET", "HEAD", "POST"])
def account(request: HtmxHttpRequest) -> HttpResponseBase:
    """Everything of theirs; the form is that of name and e-mail."""
    user = cast("User", request.user)
    form = IdentityForm(request.POST if request.method == "POST" else None, user=user)
    if form.is_valid():
        form.save()
        messages.success(request, "Your name and e-mail for Git are saved.")
        return redirect("account")
    role = role_of(user)
    email = account_of(user).email
    context = {
        "form": form,
        "email": email,
        "verified_by": verifier_of(user, email),
        "role": role.label if role else "",
        "may_act": can_act(user),
        "tokens": list(user.provider_tokens.all()),
    }
    status = 422 if form.errors else 200
    return render(request, "indexer/account.html", context, status=status)


@sensitive_post_parameters()
@account_required
@require_http_methods(["GET", "HEAD", "POST"])
@limited
def password(request: HttpRequest) -> HttpResponseBase:
    """Change it, which ends the person's other sessions and, unless they say no, their
    API tokens. The old one cannot be guessed here any better than at sign-in."""
    user = cast("User", request.user)
    tokens = tokens_in_force(user)
    form = PasswordForm(user, request.POST or None, tokens=list(tokens))
    context = {"form": form}
    if request.method != "POST":
        return render(request, "indexer/account_password.html", context)
    with turn():
        attempt = count_attempt(request, user.get_username())
        is_valid = form.is_valid()
        if "old_password" not in form.errors:
            attempt.forgive()
        if not is_valid:
            context = {"form": form}
            return render(request, "indexer/account_password.html", context, status=422)
        with transaction.atomic():
            # First, so that nobody is told of tokens that go.
            ended = revoke(tokens) if form.cleaned_data.get("revokes") else 0
            form.save()
    update_session_auth_hash(request, user)
    messages.success(request, _said_of_password(ended, tokens_in_force(user).count()))
    return redirect("account")


def _said_of_password(ended: int, left: int) -> str:
    said = "Your password is changed. Your other sessions are signed out."
    if ended:
        said += f" Your API tokens are revoked: {ended}."
    if left:
        said += f" API tokens of yours that work on: {left}."
    return said


@sensitive_post_parameters()
@account_required
@require_http_methods(["GET", "HEAD", "POST"])
def provider_add(request: HtmxHttpRequest) -> HttpResponseBase:
    """Enter a token for a server, in place of the one there is, and test it."""
    user = _acting(request)
    form = ProviderTokenForm(
        request.POST if request.method == "POST" else None, user=user
    )
    if form.is_valid():
        token = form.save()
        if token is not None:
            _tell_test(request, token)
            return redirect("account")
    status = 422 if form.errors else 200
    context = {"form": form}
    return render(request, "indexer/account_provider.html", context, status=status)


@account_required
@require_POST
def provider_test(request: HtmxHttpRequest, uuid: UUID) -> HttpResponseBase:
    """Ask the server of a token whose it is and what it may."""
    _tell_test(request, _own_token(_acting(request), uuid))
    return redirect("account")


@account_required
@require_POST
def provider_remove(request: HtmxHttpRequest, uuid: UUID) -> HttpResponseBase:
    """Forget a token; also of who may not act any more."""
    token = _own_token(cast("User", request.user), uuid)
    token.delete()
    messages.success(request, f"Your token for {token.server} is forgotten.")
    return redirect("account")


def _acting(request: HtmxHttpRequest) -> User:
    """Whoever may act. A viewer's token would be of no use, and Muster does not ask
    servers for who has none."""
    if not can_act(request.user):
        raise PermissionDenied("Only an editor or an admin may do this.")
    return cast("User", request.user)


def _own_token(user: User, uuid: UUID) -> ProviderToken:
    return get_object_or_404(ProviderToken, user=user, uuid=uuid)


def _tell_test(request: HtmxHttpRequest, token: ProviderToken) -> None:
    tested = try_token(token)
    tell = messages.success if tested.works else messages.error
    tell(request, tested.sentence)
