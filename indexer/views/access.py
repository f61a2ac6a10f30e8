"""Doors in front of views: who may pass is decided in `indexer.permissions`."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils.encoding import escape_uri_path
from django_htmx.http import HttpResponseClientRedirect, push_url
from django_htmx.middleware import HtmxDetails

from indexer.permissions import User, can_manage, can_read, has_account
from indexer.renames import renamed_address

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


class HtmxHttpRequest(HttpRequest):
    """A request as views see it, after the middleware."""

    htmx: HtmxDetails
    user: User  # type: ignore[assignment]


HtmxView = Callable[Concatenate[HtmxHttpRequest, P], HttpResponseBase]


def reader_required(view: HtmxView[P]) -> View[P]:
    """Let in who may read; send everybody else to sign in."""

    @wraps(view)
    def checked(
        request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs
    ) -> HttpResponseBase:
        asked = cast(HtmxHttpRequest, request)
        if can_read(asked.user):
            return view(asked, *args, **kwargs)
        return _to_login(asked)

    return checked


def account_required(view: HtmxView[P]) -> View[P]:
    """Let in who signed in, to what is their own; send others to sign in."""

    @wraps(view)
    def checked(
        request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs
    ) -> HttpResponseBase:
        asked = cast(HtmxHttpRequest, request)
        if has_account(asked.user):
            return view(asked, *args, **kwargs)
        return _to_login(asked)

    return checked


def manager_required(view: HtmxView[P]) -> View[P]:
    """Let in who may manage; refuse who signed in, send others to sign in."""

    @wraps(view)
    def checked(
        request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs
    ) -> HttpResponseBase:
        asked = cast(HtmxHttpRequest, request)
        if can_manage(asked.user):
            return view(asked, *args, **kwargs)
        if asked.user.is_authenticated:
            raise PermissionDenied("Only an admin may do this.")
        return _to_login(asked)

    return checked


def follows_renames(view: HtmxView[P]) -> HtmxView[P]:
    """Lead on from a name that the repository in the address had before."""

    @wraps(view)
    def led_on(
        request: HtmxHttpRequest, /, *args: P.args, **kwargs: P.kwargs
    ) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        except Http404:
            if address := renamed_address(request, request.user):
                return HttpResponseRedirect(address)
            raise

    return led_on


def _to_login(request: HtmxHttpRequest) -> HttpResponseBase:
    """Back to where the person was after signing in: only to pages, which a GET
    shows again."""
    back = request.get_full_path() if request.method in {"GET", "HEAD"} else "/"
    if request.htmx:
        back = request.htmx.current_url_abs_path or "/"
        return HttpResponseClientRedirect(redirect_to_login(back).url)
    return redirect_to_login(back)


def wants_fragment(request: HtmxHttpRequest) -> bool:
    """Whether htmx asks for a part of the page rather than all of it."""
    return bool(request.htmx) and not (
        request.htmx.boosted or request.htmx.history_restore_request
    )


def shown_at(
    request: HtmxHttpRequest, response: HttpResponse, query: str
) -> HttpResponse:
    """Let the browser show the address of this page with `query`. One that it shows
    already is not pushed again: a list that renews itself would fill the history."""
    path = escape_uri_path(request.path)
    address = f"{path}?{query}" if query else path
    if request.htmx.current_url_abs_path == address:
        return response
    return push_url(response, address)
