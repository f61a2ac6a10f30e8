"""Adding a model to a repository and editing what its dvc.yaml says."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django.contrib import messages
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from indexer.crypto import WrongKey
from indexer.file_actions import CannotPlan
from indexer.file_forms import FileForm
from indexer.models import ActionLog, Artifact
from indexer.page_addresses import artifact_path
from indexer.permissions import visible_repositories
from indexer.providers.errors import ProviderError
from indexer.views.access import HtmxHttpRequest, wants_fragment
from indexer.views.actions import (
    STATUS_OF,
    editor_required,
    get_writable,
    perform_asked,
    written_by,
)
from indexer.views.artifacts import get_artifact

Verb, Status = ActionLog.Verb, ActionLog.Status
MOST_REPOSITORIES = 200


@editor_required
@require_safe
def add_where(request: HtmxHttpRequest) -> HttpResponseBase:
    """Choose the repository of a new model."""
    q = request.GET.get("q", "").strip()[:200]
    rows = visible_repositories(request.user).filter(is_enabled=True).order_by("name")
    if q:
        rows = rows.filter(name__icontains=q)
    context = {
        "section": "models",
        "q": q,
        "repositories": rows.only("name", "description", "host", "provider")[
            :MOST_REPOSITORIES
        ],
    }
    return render(request, "indexer/act_add_where.html", context)


@editor_required
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HtmxHttpRequest, repository: str) -> HttpResponseBase:
    """A new entry."""
    where = get_writable(request, repository)
    data = request.POST if request.method == "POST" else request.GET
    return _answer(request, FileForm.of(Verb.ADD, where, data.dict()))


@editor_required
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HtmxHttpRequest, repository: str, artifact: str) -> HttpResponseBase:
    """Description, labels and type of an entry."""
    row = get_artifact(request.user, repository, artifact)
    where = get_writable(request, repository)
    data = request.POST if request.method == "POST" else request.GET
    return _answer(request, FileForm.of(Verb.EDIT, where, data.dict(), row), row)


def _answer(
    request: HtmxHttpRequest, form: FileForm, row: Artifact | None = None
) -> HttpResponseBase:
    step = request.POST.get("step", "") if request.method == "POST" else ""
    if step == "write" and not form.errors and request.POST.get("seen"):
        done = perform_asked(request, form.wish)
        if not isinstance(done, ActionLog):
            return _shown(
                request, form, row, sentence=done.sentence,
                status=503 if done.code == "busy" else 400,
            )  # fmt: skip
        if done.status == Status.DONE:
            messages.success(request, done.sentence)
            return redirect(_page_of(form, done))
        if done.is_open:
            return redirect("action_state", done.uuid)
        status = STATUS_OF[Status(done.status)]
        return _shown(request, form, row, sentence=done.sentence, status=status)
    return _shown(request, form, row, preview=bool(step) or row is not None)


def _page_of(form: FileForm, done: ActionLog) -> str:
    """Where it is seen: the model, if it is in the catalog by now."""
    there = Artifact.objects.filter(repository=form.repository, name=form.artifact)
    if there.exists():
        return artifact_path(form.repository.name, form.artifact)
    return reverse("repository", args=[form.repository.name])


def _shown(
    request: HtmxHttpRequest,
    form: FileForm,
    row: Artifact | None,
    *,
    preview: bool = True,
    sentence: str = "",
    status: int = 200,
) -> HttpResponseBase:
    trouble, is_same = "", False
    if preview:
        try:
            form.preview()
        except CannotPlan as error:
            trouble, is_same = error.sentence, error.code == "no-change"
        except ProviderError as error:
            trouble = error.sentence
        except WrongKey as error:
            trouble = str(error)
    context: dict[str, Any] = {
        "section": "models",
        "form": form,
        "entered": form.entered,
        "errors": form.errors if preview else {},
        "verb": form.verb.value,
        "repository": form.repository,
        "artifact": row,
        "is_legacy": row is not None and not row.source.endswith("dvc.yaml"),
        "key": uuid4().hex,
        "sentence": sentence,
        "trouble": trouble,
        "is_same": is_same,
        "is_fragment": wants_fragment(request),
        **written_by(request, form.repository),
    }
    if wants_fragment(request):
        return render(request, "indexer/act_file.html#preview", context)
    if form.errors and preview and status == 200 and request.method == "POST":
        status = 400
    return render(request, "indexer/act_file.html", context, status=status)
