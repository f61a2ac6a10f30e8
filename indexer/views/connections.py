"""Connections: what is connected and how it goes, and connecting an organisation or
group step by step. For admins."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ImproperlyConfigured
from django.core.paginator import Paginator
from django.http import Http404
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)
from django_htmx.http import trigger_client_event

from indexer import connections as domain
from indexer.connection_addresses import HOME
from indexer.connection_facts import FAILING, connection_list, facts_of
from indexer.connection_forms import ConnectionForm, RemoveConnectionForm
from indexer.hook_facts import hook_state, instructions
from indexer.hooks import owner_hook
from indexer.models import Connection, Repository
from indexer.providers.errors import AddressRefused, ProviderError
from indexer.views.access import (
    HtmxHttpRequest,
    manager_required,
    shown_at,
    wants_fragment,
)
from indexer.views.repository_rows import (
    REPOSITORIES_A_PAGE,
    clean_search,
    narrowed,
    state_choices,
    with_crawl,
)

MOST_SHOWN = 200  # of a list that is looked through before it is connected
FAILURES_SHOWN = 5


@manager_required
@require_safe
def connections(request: HtmxHttpRequest) -> HttpResponseBase:
    """Every connection: how it is and how far."""
    rows = connection_list()
    context = {
        "section": "repositories",
        "rows": rows,
        "is_active": any(row.is_busy for row in rows),
        "is_fragment": wants_fragment(request),
    }
    part = "#list" if wants_fragment(request) else ""
    return render(request, f"indexer/connection_list.html{part}", context)


@manager_required
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HtmxHttpRequest, kind: str) -> HttpResponseBase:
    """Say what to connect and by which right. Stores a draft."""
    if kind not in Connection.Kind.values:
        raise Http404
    chosen = Connection.Kind(kind)
    form = ConnectionForm(_posted(request), kind=chosen)
    if request.method == "POST" and form.is_valid():
        draft = form.save(by=request.user.get_username())
        if draft is not None:
            return redirect("connection_review", draft.uuid)
    context = _form_context(form, chosen)
    status = 422 if form.errors else 200
    return render(request, "indexer/connection_add.html", context, status=status)


@manager_required
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HtmxHttpRequest, uuid: UUID) -> HttpResponseBase:
    """Change a draft or a connection; an empty token keeps the one there is."""
    shown = _get_connection(uuid)
    kind = Connection.Kind(shown.kind)
    form = ConnectionForm(_posted(request), kind=kind, connection=shown)
    if request.method == "POST" and form.is_valid():
        changed = form.save(by=request.user.get_username())
        if changed is not None:
            if changed.state == Connection.State.DRAFT:
                return redirect("connection_review", changed.uuid)
            messages.success(request, f"{changed} is changed.")
            return redirect("connection", changed.uuid)
    # As it is stored: a change that was refused has touched the object.
    context = _form_context(form, kind) | {"connection": _get_connection(uuid)}
    status = 422 if form.errors else 200
    return render(request, "indexer/connection_edit.html", context, status=status)


@manager_required
@require_http_methods(["GET", "HEAD", "POST"])
def review(request: HtmxHttpRequest, uuid: UUID) -> HttpResponseBase:
    """What the token may do and what would be connected. The page itself asks nobody;
    its form does, by itself where scripts run."""
    shown = _get_connection(uuid)
    context: dict[str, Any] = {
        "section": "repositories",
        "connection": shown,
        "is_draft": shown.state == Connection.State.DRAFT,
    }
    if request.method != "POST":
        return render(request, "indexer/connection_review.html", context)
    context |= _findings(shown)
    part = "#findings" if wants_fragment(request) else ""
    return render(request, f"indexer/connection_review.html{part}", context)


@manager_required
@require_POST
def connect(request: HtmxHttpRequest, uuid: UUID) -> HttpResponseBase:
    """Make a draft a connection."""
    draft = _get_connection(uuid)
    if draft.state == Connection.State.DRAFT:
        try:
            domain.connect(draft, by=request.user.get_username())
        except AddressRefused as refusal:
            messages.error(request, refusal.sentence)
            return redirect("connection_edit", draft.uuid)
        messages.success(request, f"{draft} is connected. Its first look begins now.")
    return redirect("connection", draft.uuid)


@manager_required
@require_POST
def discard(request: HtmxHttpRequest, uuid: UUID) -> HttpResponseBase:
    """Forget a draft, and its token with it."""
    draft = _get_connection(uuid)
    if draft.state != Connection.State.DRAFT:
        return redirect("connection_remove", draft.uuid)
    domain.remove_connection(draft, with_repositories=False)
    messages.info(request, f"{draft} is not connected. Its token is forgotten.")
    return redirect("connections")


@manager_required
@require_safe
def connection(request: HtmxHttpRequest, uuid: UUID) -> HttpResponseBase:
    """One connection: its state, progress, rights, webhooks and repositories."""
    shown = _get_connection(uuid)
    if shown.state == Connection.State.DRAFT:
        return redirect("connection_review", shown.uuid)
    part = request.htmx.target if wants_fragment(request) else ""
    if part == "repositories":
        context = _repositories(request, shown)
        response = render(
            request, "indexer/connection_detail.html#repositories", context
        )
        return shown_at(request, response, context["list_query"])
    if part == "hooks":
        context = {"connection": shown, "hooks": hook_state(shown)}
        return render(request, "indexer/connection_detail.html#hooks", context)
    context = _now(shown) | {"is_fragment": bool(part)}
    if part == "now":
        response = render(request, "indexer/connection_detail.html#now", context)
        if request.GET.get("seen", "") != context["facts"].mark:
            trigger_client_event(response, "connection-moved")
        return response
    context |= _repositories(request, shown) | {"hooks": hook_state(shown)}
    return render(request, "indexer/connection_detail.html", context)


@manager_required
@require_POST
def look(request: HtmxHttpRequest, uuid: UUID) -> HttpResponseBase:
    """Ask for a complete look at the provider now."""
    shown = _get_connection(uuid)
    if shown.state != Connection.State.DRAFT:
        domain.request_poll(shown, by=request.user.get_username())
    if wants_fragment(request):
        context = _now(_get_connection(uuid)) | {"is_fragment": True}
        return render(request, "indexer/connection_detail.html#now", context)
    messages.info(request, f"{shown.provider_name} will be looked at in a moment.")
    return redirect("connection", shown.uuid)


@manager_required
@require_POST
def hook_secret(request: HtmxHttpRequest, uuid: UUID) -> HttpResponseBase:
    """What to enter at the provider to make the webhook by hand, its secret included:
    only in this answer, for whoever asked."""
    shown = _get_connection(uuid)
    context: dict[str, Any] = {"connection": shown, "hooks": hook_state(shown)}
    try:
        context["instructions"] = instructions(owner_hook(shown))
    except ImproperlyConfigured as error:  # no key, or not the one it was kept with
        context["hook_error"] = str(error)
    if wants_fragment(request):
        return render(request, "indexer/connection_detail.html#hooks", context)
    context |= _now(shown) | _repositories(request, shown)
    return render(request, "indexer/connection_detail.html", context)


@manager_required
@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: HtmxHttpRequest, uuid: UUID) -> HttpResponseBase:
    """Forget a connection, after a page that says what goes and what stays."""
    shown = _get_connection(uuid)
    form = RemoveConnectionForm(_posted(request))
    if request.method == "POST" and form.is_valid():
        gone = form.cleaned_data["repositories"] == "remove"
        domain.remove_connection(shown, with_repositories=gone)
        messages.success(
            request,
            f"{shown} is removed. Its repositories at {shown.provider_name} stay as "
            "they are.",
        )
        return redirect("connections")
    context = {
        "section": "repositories",
        "connection": shown,
        "form": form,
        "count": shown.repositories.count(),
    }
    status = 422 if form.errors else 200
    return render(request, "indexer/connection_remove.html", context, status=status)


def _get_connection(uuid: UUID) -> Connection:
    return get_object_or_404(Connection, uuid=uuid)


def _posted(request: HtmxHttpRequest) -> Any:
    return request.POST if request.method == "POST" else None


def _form_context(form: ConnectionForm, kind: Connection.Kind) -> dict[str, Any]:
    there = form.connection
    return {
        "section": "repositories",
        "form": form,
        "kind": kind,
        "web_url": there.web_url if there else f"https://{HOME[kind]}",
        "is_draft": there is None or there.state == Connection.State.DRAFT,
        "needs_token": there is None or not there.secret,
    }


def _findings(connection: Connection) -> dict[str, Any]:
    """The test and, if it works, the lists. What the provider says is shown, whatever
    it is."""
    findings = domain.test_connection(connection)
    context: dict[str, Any] = {"findings": findings, "tested": True}
    if findings.works:
        try:
            lists = domain.preview(connection)
        except ProviderError as error:
            return context | {"list_error": error.sentence}
        return context | {
            "chosen": lists.chosen[:MOST_SHOWN],
            "chosen_count": len(lists.chosen),
            "chosen_more": max(0, len(lists.chosen) - MOST_SHOWN),
            "left_out": lists.left_out[:MOST_SHOWN],
            "left_out_count": len(lists.left_out),
            "left_out_more": max(0, len(lists.left_out) - MOST_SHOWN),
        }
    kind = Connection.Kind(connection.kind)
    return context | _form_context(
        ConnectionForm(kind=kind, connection=connection), kind
    )


def _now(connection: Connection) -> dict[str, Any]:
    """What moves while a connection is looked at and its repositories are read."""
    facts = facts_of(connection)
    failures = connection.repositories.filter(FAILING, hidden_at__isnull=True)
    return {
        "section": "repositories",
        "connection": connection,
        "facts": facts,
        "rights": connection.rights,
        "failures": failures.order_by("name").only("name", "state", "message")[
            :FAILURES_SHOWN
        ]
        if facts.progress.failing
        else [],
    }


def _repositories(request: HtmxHttpRequest, connection: Connection) -> dict[str, Any]:
    """A page of its repositories."""
    q = clean_search(request.GET.get("q", ""))
    state = request.GET.get("state", "")
    rows = narrowed(
        with_crawl(Repository.objects.filter(connection=connection)).order_by("name"),
        q=q,
        state=state,
        hidden=True,
    )
    page = Paginator(rows, REPOSITORIES_A_PAGE).get_page(request.GET.get("page"))
    pairs = {"q": q, "state": state, "page": page.number if page.number > 1 else ""}
    return {
        "connection": connection,
        "page": page,
        "q": q,
        "state": state,
        "states": state_choices(state, hidden=True),
        "list_query": urlencode(
            {name: value for name, value in pairs.items() if value}
        ),
        "can_manage": True,
    }
