"""Acting over the API: register, assign, … as on the pages, by `indexer.actions`; and
the action log. Each verb is one POST, whose body makes one wish."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any, cast
from uuid import UUID, uuid4

from django.http import HttpRequest, HttpResponse
from ninja import Header, Query, Router
from ninja.responses import Status as Answer

from indexer.action_history import visible_actions
from indexer.action_log_page import action_record, whole_rows
from indexer.action_rows import identity_of
from indexer.actions import (
    Asker,
    BadWish,
    check_allowed,
    check_identity,
    perform,
)
from indexer.api import action_answers as answers
from indexer.api import action_schemas as schemas
from indexer.api.action_filters import action_filters
from indexer.api.action_problems import (
    EXPECTED,
    PersonNeeded,
    address_of,
    error_problem,
    refusal_problem,
    row_problem,
)
from indexer.api.authentication import SessionAuth, TokenAuth
from indexer.api.pages import page_answer, page_exists
from indexer.api.problems import NotThere
from indexer.api.schemas import Page
from indexer.core.plans import Refusal
from indexer.file_actions import plan_file
from indexer.models import ActionLog, ApiToken, Repository
from indexer.paging import span
from indexer.permissions import has_account, visible_repositories
from indexer.providers.git.file_writer import GitFileWriter
from indexer.records import Record, person
from indexer.sign_in import client_address
from indexer.wishes import NONSENSE, TAG_VERBS, Wish, outlook
from indexer.write_ways import NoWay, Right, requested_by, right_of, way_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User

Verb, Status = ActionLog.Verb, ActionLog.Status
ASK_AGAIN = 5  # seconds until one looks again what became of an action


class PersonAuth(SessionAuth):
    """Who signed in, also where everybody may read: an action is somebody's."""

    openapi_description = "A session; what is not a GET needs its CSRF token as well."

    def __call__(self, request: HttpRequest) -> Any:
        if not has_account(cast("User", request.user)):
            raise PersonNeeded
        return super().__call__(request)


router = Router(auth=[TokenAuth(), PersonAuth()], tags=["actions"])

Key = Annotated[
    str | None,
    Header(
        None,
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x20-\x7e]+$",
        description="Makes a request that is sent again the same action: a new random "
        "one for each action. Without it, sending again may do it twice.",
    ),
]
READ_ERRORS = dict.fromkeys((400, 401, 404), answers.ActionProblem)
ERRORS = dict.fromkeys(
    (400, 401, 403, 404, 409, 422, 429, 500, 502, 503), answers.ActionProblem
)
ANSWERS = {201: answers.Action, 202: answers.Action, **ERRORS}
OF_TAG = {200: answers.TagPlan, **ANSWERS}
OF_FILE = {200: answers.FilePlan, **ANSWERS}


@router.post("/register", response=OF_TAG)
def register(
    request: HttpRequest,
    body: schemas.Register,
    response: HttpResponse,
    idempotency_key: Key = None,
) -> Any:
    """Register a version of an artifact, which need not exist yet."""
    return _act(request, body, response, idempotency_key)


@router.post("/assign", response=OF_TAG)
def assign(
    request: HttpRequest,
    body: schemas.Assign,
    response: HttpResponse,
    idempotency_key: Key = None,
) -> Any:
    """Give a stage to a version or a commit."""
    return _act(request, body, response, idempotency_key)


@router.post("/restore", response=OF_TAG)
def restore(
    request: HttpRequest,
    body: schemas.Restore,
    response: HttpResponse,
    idempotency_key: Key = None,
) -> Any:
    """Give a stage back to the version that had it before."""
    return _act(request, body, response, idempotency_key)


@router.post("/unassign", response=OF_TAG)
def unassign(
    request: HttpRequest,
    body: schemas.Unassign,
    response: HttpResponse,
    idempotency_key: Key = None,
) -> Any:
    """Take a stage from a version."""
    return _act(request, body, response, idempotency_key)


@router.post("/deregister", response=OF_TAG)
def deregister(
    request: HttpRequest,
    body: schemas.Deregister,
    response: HttpResponse,
    idempotency_key: Key = None,
) -> Any:
    """Take a version back."""
    return _act(request, body, response, idempotency_key)


@router.post("/deprecate", response=OF_TAG)
def deprecate(
    request: HttpRequest,
    body: schemas.Deprecate,
    response: HttpResponse,
    idempotency_key: Key = None,
) -> Any:
    """Retire an artifact."""
    return _act(request, body, response, idempotency_key)


@router.post("/revive", response=OF_TAG)
def revive(
    request: HttpRequest,
    body: schemas.Revive,
    response: HttpResponse,
    idempotency_key: Key = None,
) -> Any:
    """Bring a deprecated artifact back."""
    return _act(request, body, response, idempotency_key)


@router.post("/add", response=OF_FILE)
def add(
    request: HttpRequest,
    body: schemas.Add,
    response: HttpResponse,
    idempotency_key: Key = None,
) -> Any:
    """Add an artifact: a new entry of a `dvc.yaml`, as a commit."""
    return _act(request, body, response, idempotency_key)


@router.post("/edit", response=OF_FILE)
def edit(
    request: HttpRequest,
    body: schemas.Edit,
    response: HttpResponse,
    idempotency_key: Key = None,
) -> Any:
    """Change what a `dvc.yaml` says of an artifact, as a commit. What is given is
    changed, what is given empty or null is taken out, the rest stays."""
    return _act(request, body, response, idempotency_key)


@router.get("/actions", response={200: Page[answers.Action], **READ_ERRORS})
def actions(request: HttpRequest, parameters: Query[answers.ActionParameters]) -> Any:
    """Who asked for what through Muster and what came of it, newest first."""
    user = cast("User", request.user)
    filters = action_filters(request)
    rows = filters.among(visible_actions(user))
    where = span(rows.count(), filters.page, filters.size)
    page_exists(where, filters.page)
    shown = whole_rows(rows)[where.start : where.last]
    items = [_action(row, user) for row in shown]
    return page_answer(
        request, items, where, filters.size, lambda page: filters.query(page)
    )


@router.get("/actions/{uuid:uuid}", response={200: answers.Action, **READ_ERRORS})
def action(request: HttpRequest, uuid: UUID) -> Any:
    """One action: what came of it."""
    user = cast("User", request.user)
    row = whole_rows(visible_actions(user)).filter(uuid=uuid).first()
    if row is None:
        raise NotThere(f"There is no action {uuid}.")
    return _action(row, user)


# Doing it -----------------------------------------------------------------------------


def _act(
    request: HttpRequest, body: schemas.Body, response: HttpResponse, key: str | None
) -> Any:
    user = cast("User", request.user)
    rows = visible_repositories(user).select_related("connection")
    repository = rows.filter(name=body.repository).first()
    if repository is None:
        raise NotThere(f"There is no repository {body.repository}.")
    token = getattr(request, "auth", None)
    asker = Asker(
        user,
        key=key or uuid4().hex,
        via=ActionLog.Via.API,
        token_name=token.name if isinstance(token, ApiToken) else "",
        remote_address=client_address(request),
        seen=body.expect,
    )
    try:
        wish = body.wish(repository)
        if body.dry_run:
            return _foretold(wish, asker)
        earlier = ActionLog.objects.filter(key=asker.key_digest).first()
        row = perform(_at_a_commit(wish, user, earlier), asker)
    except EXPECTED as error:
        return error_problem(error)
    return _told(row, user, response, again=earlier is not None)


def _told(row: ActionLog, user: User, response: HttpResponse, *, again: bool) -> Any:
    """What came of it; once it is known, the same for the same request."""
    if row.status != Status.DONE and not row.is_open:
        problem = row_problem(row)
        if again:
            problem["Idempotent-Replayed"] = "true"
        return problem
    response["Location"] = address_of(row)
    if again:
        response["Idempotent-Replayed"] = "true"
    if row.is_open:
        response["Retry-After"] = str(ASK_AGAIN)
        return Answer(202, _action(row, user))
    return Answer(201, _action(row, user))


def _at_a_commit(wish: Wish, user: User, earlier: ActionLog | None) -> Wish:
    """A registration that names no commit is of the head as the remote has it now, or
    had it when the same was asked before. Raises NotAllowed, NoWay, ProviderError,
    WrongKey."""
    if wish.verb != Verb.REGISTER or wish.commit_id:
        return wish
    if earlier is not None:
        return replace(wish, commit_id=str(earlier.asked.get("commit", "")))
    check_allowed(wish, user)
    if not wish.repository.is_enabled:
        return replace(wish, commit_id=wish.repository.head)
    head = way_of(wish.repository, user).writer.refs().head
    return replace(wish, commit_id=head or "")


# A dry run ----------------------------------------------------------------------------


def _foretold(wish: Wish, asker: Asker) -> Any:
    """What would be written, or the problem that there would be. Raises EXPECTED."""
    check_allowed(wish, asker.user)
    check_identity(asker.user)
    if wish.verb in TAG_VERBS:
        return _tag_foretold(wish, asker)
    _check_enabled(wish.repository)
    way = way_of(wish.repository, asker.user)
    plan = plan_file(wish, GitFileWriter(way.remote), way.writer.refs())
    if asker.seen and asker.seen != plan.meaning:
        return refusal_problem(_changed(plan.path))
    return Answer(
        200,
        {
            **_about(wish, asker),
            "file": plan.path,
            "branch": wish.fields["branch"],
            "commit": plan.base,
            "diff": plan.diff,
            "text": plan.after,
            "pull_request": wish.fields["pull"],
            "meaning": plan.meaning,
        },
    )


def _tag_foretold(wish: Wish, asker: Asker) -> Any:
    """By the index as it is: nobody is asked."""
    if wish.verb == Verb.REGISTER and not wish.commit_id:
        wish = replace(wish, commit_id=wish.repository.head)
    found = outlook(wish)
    if found.refusal is not None and found.refusal.code in NONSENSE:
        raise BadWish(found.refusal)
    _check_enabled(wish.repository)
    right, _ = right_of(wish.repository, asker.user)
    if found.plan is None:
        assert found.refusal is not None  # noqa: S101 - an outlook is one of the two
        return refusal_problem(found.refusal)
    if asker.seen and asker.seen != found.meaning:
        return refusal_problem(_changed(wish.artifact))
    tagger, message = identity_of(asker.user), found.plan.message
    if right is Right.SHARED:
        message += f"\n\n{requested_by(asker.user.get_username(), tagger)}"
    return Answer(
        200,
        {
            **_about(wish, asker),
            "version": found.version,
            "stage": found.plan.tag.stage or "",
            "tag": found.plan.name,
            "commit": found.plan.commit_id,
            "message": message,
            "changes": [asdict(change) for change in found.changes],
            "meaning": found.meaning,
        },
    )


def _about(wish: Wish, asker: Asker) -> Record:
    tagger = identity_of(asker.user)
    return {
        "verb": wish.verb.value,
        "repository": wish.repository.name,
        "artifact": wish.artifact,
        "tagger": person(tagger.name, tagger.email),
    }


def _check_enabled(repository: Repository) -> None:
    if not repository.is_enabled:
        raise NoWay(
            "repository-off",
            f"{repository.name} is switched off here, so nothing is written to it.",
        )


def _changed(what: str) -> Refusal:
    return Refusal(
        "changed",
        f"{what} changed since, and doing it would mean something else now. Look at "
        "what would be written now.",
    )


# The log ------------------------------------------------------------------------------


def _action(row: ActionLog, user: User) -> Record:
    """A row as JSON; where it was asked from is not for everybody."""
    return action_record(row, user) | {"href": address_of(row)}
