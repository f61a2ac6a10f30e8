"""Addresses that hold a name which a repository had before: they lead on to the name it
has now, as long as no other repository has the old one."""

from __future__ import annotations

from django.http import HttpRequest
from django.urls import reverse

from indexer.models import FormerName, Repository
from indexer.permissions import User, reachable_repositories


def current_name(user: User, name: str) -> str:
    """What a repository that was called `name` is called now; "" if none that this
    person may see was. At most two queries."""
    if not name or Repository.objects.filter(name=name).exists():
        return ""
    former = FormerName.objects.filter(
        name=name, repository__in=reachable_repositories(user)
    )
    return former.values_list("repository__name", flat=True).first() or ""


def renamed_address(request: HttpRequest, user: User) -> str:
    """The address of what was asked for by a former name; "" if it was not. Only
    reading is led on. For whoever was about to answer 404."""
    match = request.resolver_match
    if match is None or request.method not in {"GET", "HEAD"}:
        return ""
    name = current_name(user, str(match.kwargs.get("repository", "")))
    if not name:
        return ""
    address = reverse(match.view_name, kwargs={**match.kwargs, "repository": name})
    query = request.META.get("QUERY_STRING", "")
    return f"{address}?{query}" if query else address
