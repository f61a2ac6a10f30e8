"""Repositories: how each is, what could not be read, and crawling it now."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)
from django_htmx.http import trigger_client_event

from indexer.forms import AddRepositoryForm, EditConnectedForm, EditRepositoryForm
from indexer.gone_tags import gone_tags
from indexer.jobs import request_crawl
from indexer.models import Crawl, Repository
from indexer.permissions import (
    User,
    can_manage,
    reachable_repositories,
)
from indexer.repositories import remove_repository
from indexer.templatetags.crawl_tags import crawl_mark, is_waiting, running_crawl
from indexer.views.access import (
    HtmxHttpRequest,
    follows_renames,
    manager_required,
    reader_required,
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

PROBLEMS_A_PAGE = 50
CRAWLS_SHOWN = 10


def get_repository(user: User, name: str) -> Repository:
    """The repository, or 404."""
    return get_object_or_404(with_crawl(reachable_repositories(user)), name=name)


@reader_required
@require_safe
def repositories(request: HtmxHttpRequest) -> HttpResponseBase:
    """Every repository one may see."""
    manager = can_manage(request.user)
    q = clean_search(request.GET.get("q", ""))
    state = request.GET.get("state", "")
    rows = narrowed(
        with_crawl(reachable_repositories(request.user)).order_by("name"),
        q=q,
        state=state,
        hidden=manager,
    )
    page = Paginator(rows, REPOSITORIES_A_PAGE).get_page(request.GET.get("page"))
    pairs = {"q": q, "state": state, "page": page.number if page.number > 1 else ""}
    query = urlencode({name: value for name, value in pairs.items() if value})
    context = {
        "section": "repositories",
        "page": page,
        "q": q,
        "state": state,
        "states": state_choices(state, hidden=manager),
        "list_query": query,
        "is_active": any(running_crawl(row) or is_waiting(row) for row in page),
        "can_manage": manager,
        "is_fragment": wants_fragment(request),
    }
    if wants_fragment(request):
        response = render(request, "indexer/repository_list.html#list", context)
        return shown_at(request, response, query)
    return render(request, "indexer/repository_list.html", context)


@reader_required
@follows_renames
@require_safe
def repository(request: HtmxHttpRequest, repository: str) -> HttpResponseBase:
    """One repository: its state, problems and last crawls."""
    shown = get_repository(request.user, repository)
    problems = shown.problems.select_related("artifact").order_by("code", "pk")
    context = {
        "section": "repositories",
        "repository": shown,
        "problems": Paginator(problems, PROBLEMS_A_PAGE).get_page(
            request.GET.get("page")
        ),
        "gone": gone_tags(shown),
        "crawls": shown.crawls.order_by("-started_at")[:CRAWLS_SHOWN],
        "can_manage": can_manage(request.user),
        "is_fragment": wants_fragment(request),
    }
    part = "#body" if wants_fragment(request) else ""
    return render(request, f"indexer/repository_detail.html{part}", context)


@reader_required
@require_safe
def crawl_status(request: HtmxHttpRequest, repository: str) -> HttpResponseBase:
    """The state of a repository as a fragment, asked again and again while a crawl
    runs or waits. `seen` is the last crawl the page knows of: when another has ended,
    the page is told to renew what depends on it."""
    shown = get_repository(request.user, repository)
    context = {"repository": shown, "can_manage": can_manage(request.user)}
    response = render(request, "indexer/_crawl_status.html", context)
    if request.GET.get("seen", "") != crawl_mark(shown):
        trigger_client_event(response, "crawl-ended")
    return response


@manager_required
@require_POST
def crawl(request: HtmxHttpRequest, repository: str) -> HttpResponseBase:
    """Ask for a crawl now."""
    shown = get_repository(request.user, repository)
    request_crawl(shown, trigger=Crawl.Trigger.BUTTON, by=request.user.get_username())
    if request.htmx:
        shown = get_repository(request.user, repository)
        context = {"repository": shown, "can_manage": True}
        return render(request, "indexer/_crawl_status.html", context)
    messages.info(request, f"{shown.name} will be crawled in a moment.")
    return redirect("repository", shown.name)


@manager_required
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HtmxHttpRequest) -> HttpResponseBase:
    """Connect a repository."""
    form = AddRepositoryForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        added = form.save(by=request.user.get_username())
        if added is not None:
            messages.success(request, f"{added.name} is added. Its crawl begins now.")
            return redirect("repository", added.name)
    context = {"section": "repositories", "form": form}
    status = 422 if form.errors else 200
    return render(request, "indexer/repository_add.html", context, status=status)


@manager_required
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HtmxHttpRequest, repository: str) -> HttpResponseBase:
    """Change how a repository is read."""
    shown = get_repository(request.user, repository)
    kind = EditConnectedForm if shown.connection_id else EditRepositoryForm
    form = kind(request.POST if request.method == "POST" else None, repository=shown)
    if (
        request.method == "POST"
        and form.is_valid()
        and form.save(by=request.user.get_username())
    ):
        messages.success(request, f"{shown.name} is changed.")
        return redirect("repository", shown.name)
    context = {"section": "repositories", "form": form, "repository": shown}
    status = 422 if form.errors else 200
    return render(request, "indexer/repository_edit.html", context, status=status)


@manager_required
@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: HtmxHttpRequest, repository: str) -> HttpResponseBase:
    """Forget a repository, after a page that says what goes."""
    shown = get_repository(request.user, repository)
    if request.method == "POST":
        remove_repository(shown)
        messages.success(request, f"{shown.name} is removed. Git keeps all of it.")
        return redirect("repositories")
    context = {"section": "repositories", "repository": shown}
    return render(request, "indexer/repository_remove.html", context)
