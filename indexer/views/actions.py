"""Registering, assigning and the like: a form that shows exactly what would be written,
and the button that writes it."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode
from uuid import UUID, uuid4

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe
from django_htmx.http import HttpResponseClientRedirect

from indexer.account_forms import IdentityForm
from indexer.action_forms import ActionForm, tag_verb, versions_by_commit
from indexer.action_history import visible_actions
from indexer.action_rows import identity_of
from indexer.actions import Asker, BadWish, Busy, KeyReused, NotAllowed, perform
from indexer.core.plans import Refusal
from indexer.core.snapshot import Person
from indexer.crypto import WrongKey
from indexer.models import ActionLog, Artifact, Repository, Snapshot
from indexer.page_addresses import artifact_path
from indexer.permissions import can_act, visible_repositories
from indexer.picking import COMMITS_A_PAGE, commits_page, look_at
from indexer.provider_tokens import verifier_of
from indexer.providers.errors import ProviderError
from indexer.sign_in import client_address
from indexer.views.access import HtmxHttpRequest, HtmxView, P, View, wants_fragment
from indexer.wishes import Wish, registry_of
from indexer.write_ways import NoWay, requested_by, right_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User

Verb, Status = ActionLog.Verb, ActionLog.Status
HEADINGS = {
    Verb.REGISTER: "Register a version of",
    Verb.ASSIGN: "Assign a stage of",
    Verb.RESTORE: "Restore the previous version of",
    Verb.UNASSIGN: "Unassign a stage of",
    Verb.DEREGISTER: "Deregister a version of",
    Verb.DEPRECATE: "Deprecate",
    Verb.REVIVE: "Revive",
}
STATUS_OF = {Status.REFUSED: 409, Status.FAILED: 503, Status.UNKNOWN: 503}
NOT_KEPT = frozenset({"csrfmiddlewaretoken", "key", "seen", "step"})
LONGEST_BACK = 4000  # characters of an address to come back to


def editor_required(view: HtmxView[P]) -> View[P]:
    """Let in who may act. Who has to sign in comes back to the form as it was."""

    @wraps(view)
    def checked(request: Any, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        asked = cast(HtmxHttpRequest, request)
        if can_act(asked.user):
            return view(asked, *args, **kwargs)
        if asked.user.is_authenticated:
            raise PermissionDenied(
                "Registering, assigning and the like need the role editor. An admin "
                "gives out roles."
            )
        pairs = [
            (name, value)
            for name, value in (*asked.GET.items(), *asked.POST.items())
            if name not in NOT_KEPT and value
        ]
        back = (
            f"{asked.path}?{urlencode(pairs)}"[:LONGEST_BACK] if pairs else asked.path
        )
        to_login = redirect_to_login(back)
        return HttpResponseClientRedirect(to_login.url) if asked.htmx else to_login

    return checked


@editor_required
@require_http_methods(["GET", "HEAD", "POST"])
def act(
    request: HtmxHttpRequest, verb: str, repository: str, artifact: str
) -> HttpResponseBase:
    """One action on one artifact, which need not exist yet to be registered."""
    known = tag_verb(verb)
    if known is None:
        raise Http404(f"There is no action {verb}.")
    where = get_writable(request, repository)
    data = request.POST if request.method == "POST" else request.GET
    form = ActionForm.of(known, where, artifact, data.dict())
    if request.method == "POST" and data.get("step") == "write":
        return _write(request, form)
    return _shown(request, form)


def get_writable(request: HtmxHttpRequest, name: str) -> Repository:
    """The repository, or 404. One query."""
    rows = visible_repositories(request.user).select_related("connection")
    return get_object_or_404(rows, name=name)


def perform_asked(request: HtmxHttpRequest, wish: Wish) -> ActionLog | Refusal:
    """Do what the form asks; a refusal where nothing was even logged."""
    asker = Asker(
        cast("User", request.user),
        key=request.POST.get("key", "")[:200] or uuid4().hex,
        via=ActionLog.Via.PAGE,
        remote_address=client_address(request),
        seen=request.POST.get("seen", "")[:64],
    )
    _keep_identity(request)
    try:
        return perform(wish, asker)
    except BadWish as error:
        return error.refusal
    except NotAllowed as error:
        raise PermissionDenied(str(error)) from None
    except KeyReused:
        return Refusal(
            "changed",
            "This form was sent before, with something else in it. Look at what would "
            "be written now, and press the button again.",
        )
    except Busy as error:
        return Refusal("busy", str(error))


def _write(request: HtmxHttpRequest, form: ActionForm) -> HttpResponseBase:
    if not request.POST.get("seen"):
        return _shown(request, form)  # nobody saw yet what it would write
    done = perform_asked(request, form.wish)
    if isinstance(done, ActionLog):
        if done.status == Status.DONE:
            messages.success(request, done.sentence)
            return redirect(_page_of(form, done))
        if done.is_open:
            return redirect("action_state", done.uuid)
        status = STATUS_OF[Status(done.status)]
        sentence = done.sentence
    else:
        status, sentence = 400, done.sentence
        if done.code == "busy":
            status = 503
    form.repository.refresh_from_db()
    again = ActionForm.of(form.verb, form.repository, form.artifact, form.entered)
    return _shown(request, again, sentence=sentence, status=status)


def _page_of(form: ActionForm, done: ActionLog) -> str:
    """Where the new state is seen: the version, or the model."""
    version = done.version
    if form.verb in {Verb.DEREGISTER, Verb.DEPRECATE, Verb.REVIVE}:
        version = ""
    return artifact_path(form.repository.name, form.artifact, version)


def _shown(
    request: HtmxHttpRequest,
    form: ActionForm,
    *,
    sentence: str = "",
    status: int = 200,
) -> HttpResponseBase:
    """The form, with what it would write. `sentence`: what became of it."""
    row = Artifact.objects.filter(repository=form.repository, name=form.artifact)
    context = {
        "section": "models",
        "form": form,
        "entered": form.entered,
        "verb": form.verb.value,
        "heading": HEADINGS[form.verb],
        "repository": form.repository,
        "artifact": row.first(),
        "name": form.artifact,
        "key": uuid4().hex,
        "sentence": sentence,
        "is_fragment": wants_fragment(request),
        **written_by(request, form.repository),
    }
    if wants_fragment(request):
        return render(request, "indexer/action.html#preview", context)
    if form.verb == Verb.REGISTER:
        context |= _picker(request, form.repository, form.entered["commit"])
        context["taken"] = form.taken
    return render(request, "indexer/action.html", context, status=status)


def written_by(request: HtmxHttpRequest, repository: Repository) -> dict[str, Any]:
    """As whom and by which right it would be written, or why not. Who has no name or
    e-mail for Git yet enters them in the form."""
    user = cast("User", request.user)
    person = identity_of(user)
    context: dict[str, Any] = {
        "tagger": person,
        "identity": None,
        "right": "",
        "no_way": "",
        "requested_by": "",
        "verified_by": verifier_of(user, person.email),
    }
    if not person.name or not person.email:
        entered = _entered_identity(request)
        context["identity"] = IdentityForm(entered, user=user)
        if entered:
            person = context["tagger"] = Person(entered["name"], entered["email"])
    try:
        right, context["right"] = right_of(repository, user)
    except NoWay as error:
        context["no_way"] = error.sentence
    else:
        if right == ActionLog.Right.SHARED:
            context["requested_by"] = requested_by(user.get_username(), person)
    return context


def _entered_identity(request: HtmxHttpRequest) -> dict[str, str] | None:
    """The name and the e-mail that the form asked for."""
    if "git_email" not in request.POST:
        return None
    return {
        "name": request.POST.get("git_name", ""),
        "email": request.POST["git_email"],
    }


def _keep_identity(request: HtmxHttpRequest) -> None:
    """Keep them, if they are any; `perform` says what is missing."""
    if entered := _entered_identity(request):
        user = cast("User", request.user)
        form = IdentityForm(entered, user=user)
        if form.is_valid():
            form.save()
            user.refresh_from_db()  # it remembers the account it had


@editor_required
@require_safe
def commits(request: HtmxHttpRequest, repository: str) -> HttpResponseBase:
    """The list of commits to choose from: as a fragment, or a page without scripts."""
    where = get_writable(request, repository)
    context = _picker(request, where, request.GET.get("commit", ""))
    artifact = request.GET.get("artifact", "")
    context |= {
        "repository": where,
        "is_fragment": True,
        "taken": versions_by_commit(registry_of(where, artifact)[0], artifact),
    }
    return render(request, "indexer/_commits.html", context)


def _picker(
    request: HtmxHttpRequest, repository: Repository, chosen: str
) -> dict[str, Any]:
    """Branches, and a page of the commits of the chosen one."""
    found = Snapshot.objects.filter(repository=repository).first()
    branches: dict[str, str] = dict(found.branches) if found else {}
    default = repository.default_branch
    names = sorted(branches, key=lambda name: (name != default, name))
    data = request.POST if request.method == "POST" else request.GET
    branch = data.get("branch", "")
    branch = branch if branch in branches else default
    skip = data.get("skip", "")
    number = int(skip) if skip.isascii() and skip.isdigit() and len(skip) < 7 else 0
    query = data.get("find", "").strip()[:200]
    context: dict[str, Any] = {
        "branches": names,
        "branch": branch,
        "find": query,
        "skip": number,
        "chosen": chosen,
        "log": None,
        "log_trouble": "",
    }
    tip = branches.get(branch, repository.head)
    if tip:
        try:
            context["log"] = commits_page(repository, tip, query=query, skip=number)
        except ProviderError as error:
            context["log_trouble"] = error.sentence
        except WrongKey as error:
            context["log_trouble"] = str(error)
    log = context["log"]
    listed = {commit.id for commit in log.commits} if log else set()
    context["chosen_is_listed"] = chosen in listed
    context["next_skip"] = number + len(listed)
    # Fewer than a page and more to come: the search ended at its limit.
    context["has_older"] = bool(log and log.has_more and len(listed) == COMMITS_A_PAGE)
    context["is_cut"] = bool(log and log.has_more and not context["has_older"])
    return context


@editor_required
@require_safe
def at_commit(
    request: HtmxHttpRequest, repository: str, artifact: str
) -> HttpResponseBase:
    """What the registry files say of an artifact at a commit, as a fragment."""
    where = get_writable(request, repository)
    context: dict[str, Any] = {"trouble": "", "name": artifact, "at": None}
    try:
        context["at"] = look_at(where, artifact, request.GET.get("commit", ""))
    except ProviderError as error:
        context["trouble"] = error.sentence
    except WrongKey as error:
        context["trouble"] = str(error)
    return render(request, "indexer/_at_commit.html", context)


@editor_required
@require_safe
def state(request: HtmxHttpRequest, uuid: UUID) -> HttpResponseBase:
    """An action that is not known to have ended: asked again until it has."""
    row = get_object_or_404(visible_actions(request.user), uuid=uuid)
    page = reverse("dashboard")
    if row.repository is not None:
        page = artifact_path(row.repository.name, row.artifact)
    if row.status == Status.DONE:
        messages.success(request, row.sentence)
        return HttpResponseClientRedirect(page) if request.htmx else redirect(page)
    context = {"row": row, "page": page, "is_fragment": wants_fragment(request)}
    part = "#state" if wants_fragment(request) else ""
    return render(request, f"indexer/action_state.html{part}", context)
