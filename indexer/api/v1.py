"""The REST API, version 1: what the pages show, for programs. What writes is in
`indexer.api.actions`."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest
from django.urls import get_script_prefix
from ninja import NinjaAPI, Query
from ninja.openapi.docs import Swagger
from ninja.openapi.schema import OpenAPISchema
from ninja.renderers import JSONRenderer

from indexer.action_log_page import actions_of_events
from indexer.api import schemas
from indexer.api.actions import router as actions_router
from indexer.api.authentication import SessionAuth, TokenAuth
from indexer.api.pages import page_answer, page_exists, page_links
from indexer.api.parameters import (
    HistoryParameters,
    ModelParameters,
    PageParameters,
    RepositoryParameters,
    ResolveParameters,
    catalog_filters,
    history_filters,
    refuse_unknown,
)
from indexer.api.problems import (
    ApiProblem,
    BadParameter,
    NotThere,
    add_problem_handlers,
)
from indexer.catalog import CatalogRow, catalog_page, catalog_row
from indexer.core.snapshot import FIRST_SECOND, LAST_SECOND, Instant
from indexer.history import history_page
from indexer.models import Artifact, Repository, StageHolder, Version
from indexer.page_addresses import artifact_path
from indexer.paging import Span, span
from indexer.permissions import (
    User,
    visible_repositories,
    within_sight,
)
from indexer.records import (
    Record,
    event_record,
    model_record,
    moment,
    not_counted_record,
    person,
    problem_record,
    repository_record,
    version_record,
)
from indexer.resolve import Ambiguous, BadReference, CannotResolve, resolve

MOST_PROBLEMS = 100  # of one repository


class StrictRenderer(JSONRenderer):
    """JSON as RFC 8259 has it: no NaN, text as UTF-8."""

    json_dumps_params = {"allow_nan": False, "ensure_ascii": False}


class Docs(Swagger):
    """The page to try the API, with ninja's scripts as this site serves them (ninja
    would take them from a CDN, as it is no installed app here)."""

    template_cdn = str(settings.NINJA_DIR / "templates/ninja/swagger.html")


class Api(NinjaAPI):
    """Describes errors as what they are: problems."""

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        schema = super().get_openapi_schema(**options)
        for operations in schema["paths"].values():
            for operation in operations.values():
                for status, answer in operation["responses"].items():
                    if int(status) >= HTTPStatus.BAD_REQUEST:
                        (content,) = answer["content"].values()
                        answer["content"] = {"application/problem+json": content}
        return schema


api = Api(
    title="Muster",
    docs=Docs(),
    description=(
        "Every model of every repository: versions, stages, history. Lists come in "
        "pages (`page`, `size` up to 100; follow `next`). Errors are "
        "`application/problem+json`. Names stand in addresses as they are, `/` "
        "included; every object carries its own address as `href`. Programs "
        "send an API token, to act one of scope “Read and act”, and then best an "
        "`Idempotency-Key` as well."
    ),
    auth=[TokenAuth(), SessionAuth()],
    renderer=StrictRenderer(),
)
add_problem_handlers(api)
api.add_router("", actions_router)

Problem = schemas.Problem
ERRORS = {400: Problem, 401: Problem, 404: Problem}


@api.get(
    "/repositories",
    response={200: schemas.Page[schemas.Repository], **ERRORS},
    tags=["repositories"],
)
def repositories(request: HttpRequest, parameters: Query[RepositoryParameters]) -> Any:
    """Repositories, by name."""
    refuse_unknown(request, RepositoryParameters.model_fields)
    rows = visible_repositories(_user(request)).defer("secret")
    for word in parameters.q.split():
        rows = rows.filter(name__icontains=word)
    where = span(rows.count(), parameters.page, parameters.size)
    page_exists(where, parameters.page)
    found = rows.order_by("name", "id")[where.start : where.last]
    return page_answer(
        request,
        [_repository(repository) for repository in found],
        where,
        parameters.size,
        page_links(parameters, {"q": parameters.q}),
    )


@api.get(
    "/repositories/{repository:repository}",
    response={200: schemas.RepositoryDetail, **ERRORS},
    tags=["repositories"],
)
def repository(request: HttpRequest, repository: str) -> Any:
    """A repository and what could not be read of it."""
    refuse_unknown(request, ())
    found = _get_repository(_user(request), repository)
    problems = found.problems.order_by("artifact_name", "path", "tag", "line", "id")
    return _repository(found) | {
        "problems": [problem_record(one) for one in problems[:MOST_PROBLEMS]]
    }


@api.get(
    "/models", response={200: schemas.Page[schemas.Model], **ERRORS}, tags=["models"]
)
def models(request: HttpRequest, parameters: Query[ModelParameters]) -> Any:
    """The list of models, with the filters and sorts of the page."""
    filters = catalog_filters(request)
    page = catalog_page(_user(request), filters)
    where = Span(page.total, page.page, page.pages, page.first, page.last)
    page_exists(where, filters.page)
    items = [_model(row) for row in page.rows]
    return page_answer(
        request, items, where, filters.size, lambda n: filters.query(page=n)
    )


@api.get(
    "/models/{repository:repository}/-/{artifact:artifact}@{version:version}",
    response={200: schemas.VersionDetail, **ERRORS},
    tags=["models"],
)
def version(request: HttpRequest, repository: str, artifact: str, version: str) -> Any:
    """One version of a model: `v1.2.3`, or the id of a commit nobody registered."""
    refuse_unknown(request, ())
    found = _get_artifact(_user(request), repository, artifact)
    # A name that stands on two commits: the one in force.
    row = (
        found.versions.filter(name=version)
        .select_related("annotation")
        .order_by("-is_active", "rank")
        .first()
    )
    if row is None:
        raise NotThere(f"{found.name} in {repository} has no version {version}.")
    return _versions(found, [row])[0] | {
        "repository": repository,
        "artifact": found.name,
    }


@api.get(
    "/models/{repository:repository}/-/{artifact:artifact}",
    response={200: schemas.ModelDetail, **ERRORS},
    tags=["models"],
)
def model(
    request: HttpRequest,
    repository: str,
    artifact: str,
    parameters: Query[PageParameters],
) -> Any:
    """A model with its stages and a page of its versions, greatest first."""
    refuse_unknown(request, PageParameters.model_fields)
    found = _get_artifact(_user(request), repository, artifact)
    rows = found.versions.all()
    where = span(rows.count(), parameters.page, parameters.size)
    page_exists(where, parameters.page)
    shown = rows.select_related("annotation").order_by("rank", "id")
    items = _versions(found, list(shown[where.start : where.last]))
    links = page_links(parameters, {})
    return _model(catalog_row(found)) | {
        "versions": page_answer(request, items, where, parameters.size, links)
    }


@api.get(
    "/history/{repository:repository}/-/{artifact:artifact}",
    response={200: schemas.Page[schemas.Event], **ERRORS},
    tags=["history"],
)
def history(
    request: HttpRequest,
    repository: str,
    artifact: str,
    parameters: Query[HistoryParameters],
) -> Any:
    """What happened to one model."""
    return _history(request, _get_artifact(_user(request), repository, artifact))


@api.get(
    "/activity",
    response={200: schemas.Page[schemas.Event], **ERRORS},
    tags=["history"],
)
def activity(request: HttpRequest, parameters: Query[HistoryParameters]) -> Any:
    """What happened to all models."""
    return _history(request, None)


@api.get(
    "/resolve",
    response={200: schemas.Resolved, 409: Problem, **ERRORS},
    tags=["resolve"],
)
def resolve_reference(
    request: HttpRequest, parameters: Query[ResolveParameters]
) -> Any:
    """What `churn@latest`, `churn@v3.0.0` or `churn#prod` means: version, commit, path.
    Now, or as of a time."""
    refuse_unknown(request, ResolveParameters.model_fields)
    at = _instant(parameters.at)
    try:
        found = resolve(
            _user(request), parameters.ref, repository=parameters.repository, at=at
        )
    except BadReference as error:
        raise BadParameter(str(error)) from error
    except Ambiguous as error:
        raise ApiProblem(
            409,
            "ambiguous-reference",
            "Several repositories have that artifact",
            str(error),
            candidates=[
                {"repository": repository, "artifact": artifact}
                for repository, artifact in error.candidates
            ],
        ) from error
    except CannotResolve as error:
        more = {"not_counted": not_counted_record(error.gone)} if error.gone else {}
        raise NotThere(str(error), **more) from error
    return {
        "ref": parameters.ref,
        "repository": found.repository,
        "artifact": found.artifact,
        "version": found.version,
        "commit": found.commit,
        "path": found.path,
        "tag": found.tag,
        "stage": found.stage,
        "by": person(found.by.name, found.by.email),
        "at": moment(found.at),
        "message": found.message,
        "active": found.is_active,
        "also": list(found.also),
        "as_of": None if at is None else moment(at.utc),
        "not_counted": not_counted_record(found.gone),
    }


def _history(request: HttpRequest, artifact: Artifact | None) -> Any:
    filters = history_filters(request)
    page = history_page(_user(request), filters, artifact)
    where = Span(page.total, page.page, page.pages, page.first, page.last)
    page_exists(where, filters.page)
    through = actions_of_events(page.rows)
    items = [
        event_record(event, through_muster=event.pk in through) for event in page.rows
    ]
    return page_answer(
        request, items, where, filters.size, lambda n: filters.query(page=n)
    )


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)


def _get_repository(user: User, name: str) -> Repository:
    found = visible_repositories(user).filter(name=name).defer("secret").first()
    if found is None:
        raise NotThere(f"There is no repository {name}.")
    return found


def _get_artifact(user: User, repository: str, name: str) -> Artifact:
    """With its repository. One query."""
    rows = within_sight(Artifact.objects.all(), user).select_related("repository")
    found = rows.filter(repository__name=repository, name=name).first()
    if found is None:
        raise NotThere(f"There is no artifact {name} in {repository}.")
    return found


def _repository(repository: Repository) -> Record:
    href = f"{get_script_prefix()}api/v1/repositories/{repository.name}"
    return repository_record(repository) | {"href": href}


def _model(row: CatalogRow) -> Record:
    return model_record(row) | _addresses(row.repository.name, row.artifact.name)


def _versions(artifact: Artifact, versions: list[Version]) -> list[Record]:
    """One query, for the stages."""
    held: dict[int, list[str]] = {}
    holders = StageHolder.objects.filter(version__in=versions).order_by("stage")
    for version_id, stage in holders.values_list("version", "stage"):
        held.setdefault(version_id, []).append(stage)
    return [
        version_record(version, held.get(version.pk, []))
        | _addresses(artifact.repository.name, artifact.name, version.name)
        for version in versions
    ]


def _addresses(repository: str, artifact: str, version: str = "") -> Record:
    page = artifact_path(repository, artifact, version)
    prefix = get_script_prefix()
    return {"href": f"{prefix}api/v1/{page.removeprefix(prefix)}", "html": page}


def _instant(text: str) -> Instant | None:
    """A moment with its zone (UTC without one), None for no text."""
    if not text.strip():
        return None
    try:
        at = datetime.fromisoformat(text.strip().replace(" ", "+"))
        seconds = int(at.replace(tzinfo=at.tzinfo or UTC).timestamp())
        if not FIRST_SECOND <= seconds <= LAST_SECOND:
            raise ValueError(text)
    except (ValueError, OverflowError) as error:
        raise BadParameter(
            f"at is “{text[:40]}”; it is a time like 2026-01-31T12:00:00Z."
        ) from error
    return Instant(seconds)
