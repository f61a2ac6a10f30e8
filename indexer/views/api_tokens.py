"""A person's own API tokens: which there are, making one, revoking one."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast
from uuid import UUID

from django.contrib import messages
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from indexer.api_token_forms import ApiTokenForm
from indexer.api_tokens import own_tokens, revoke
from indexer.models import ApiToken
from indexer.views.access import HtmxHttpRequest, account_required

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@account_required
@require_http_methods(["GET", "HEAD", "POST"])
def api_tokens(request: HtmxHttpRequest) -> HttpResponseBase:
    """The list, and the form. A new token's text is in the answer of the POST that
    made it and nowhere else, so that answer is no redirect."""
    user = cast("User", request.user)
    form = ApiTokenForm(request.POST if request.method == "POST" else None)
    made = form.save(user) if form.is_valid() else None
    context = {
        "form": ApiTokenForm() if made else form,
        "made": made,
        "tokens": list(own_tokens(user)),
    }
    status = 422 if form.errors else 200
    return render(request, "indexer/api_tokens.html", context, status=status)


@account_required
@require_POST
def api_token_revoke(request: HtmxHttpRequest, uuid: UUID) -> HttpResponseBase:
    """End one at once. Of somebody else's nothing is said, not even that it is there;
    one that is revoked already stays so."""
    own = ApiToken.objects.filter(user=cast("User", request.user))
    token = get_object_or_404(own, uuid=uuid)
    revoke(own.filter(pk=token.pk))
    messages.success(request, f"{token.name} is revoked. It does not work any more.")
    return redirect("api_tokens")
