"""What the API answers, for its description; `indexer.records` fills it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, TypeVar

from ninja import Field, Schema

T = TypeVar("T")

At = Field(None, description="In UTC; null when it is not known.")


class Problem(Schema):
    """An error, as RFC 9457 says it."""

    type: str
    title: str
    status: int
    detail: str = Field(description="What happened, why, and what to do.")
    candidates: list[Candidate] | None = Field(
        None, description="Of an ambiguous reference: what it may mean."
    )
    not_counted: NotCounted | None = Field(
        None, description="Of a point in time: tags that stood then and are gone since."
    )


class Candidate(Schema):
    repository: str
    artifact: str


class GoneTag(Schema):
    """A tag that was deleted, or moved to another object."""

    tag: str
    at: datetime | None = At
    by: Person
    message: str
    gone_at: datetime = Field(description="When Muster first saw that it was gone.")
    moved: bool = Field(description="A tag of that name is there, on something else.")


class NotCounted(Schema):
    """An answer as of a time rests on the tags there are now. These stood then, were
    deleted or moved since, and may have said something else."""

    detail: str
    tags: list[GoneTag] = Field(description="The last to go first, a hundred at most.")


class Page(Schema, Generic[T]):
    """One page of a list. Follow `next` for all of it."""

    items: list[T]
    total: int
    page: int
    pages: int
    size: int
    next: str | None = Field(description="Address of the next page, if there is one.")
    previous: str | None


class Person(Schema):
    """As Git wrote it; either may be empty."""

    name: str
    email: str


class Repository(Schema):
    name: str
    url: str
    web_url: str
    description: str
    provider: str
    state: str
    message: str = Field(description="Why the state is not ok, and what to do.")
    enabled: bool
    default_branch: str
    head: str
    stage_order: list[str] = Field(description="The stages that `.gto` lists.")
    reading: str = Field(description="How stage tags are read.")
    artifact_count: int
    model_count: int
    tag_count: int
    problem_count: int
    added_at: datetime | None = At
    last_crawl_at: datetime | None = At
    last_success_at: datetime | None = At
    href: str


class RepositoryProblem(Schema):
    """Input that could not be read, with its place."""

    code: str
    text: str
    artifact: str
    tag: str
    path: str
    line: int | None
    commit: str


class RepositoryDetail(Repository):
    problems: list[RepositoryProblem] = Field(description="The first hundred.")


class Latest(Schema):
    version: str
    commit: str
    at: datetime | None = At
    by: str


class Holder(Schema):
    """A version that holds a stage, and the assignment that counts."""

    version: str
    commit: str
    at: datetime | None = At
    by: Person
    message: str
    tag: str


class Model(Schema):
    """An artifact; those of type `model`, or of none, are what a model registry
    shows."""

    repository: str
    name: str
    type: str
    description: str
    labels: list[str]
    path: str
    source: str = Field(description="The file that annotates it, if one does.")
    annotated: bool
    registered: bool
    deprecated: bool
    latest: Latest | None = Field(description="The greatest registered version.")
    stages: dict[str, list[Holder]] = Field(
        description="Who holds each stage; more than one where the reading says so."
    )
    last_event_at: datetime | None = At
    last_assignment_at: datetime | None = At
    version_count: int
    event_count: int
    problem_count: int
    href: str = Field(description="Its address in this API.")
    html: str = Field(description="Its page.")


class Annotation(Schema):
    """What a registry file says of the artifact at the version's commit."""

    source: str
    path: str
    type: str
    description: str
    labels: list[str]
    meta: Any


class Version(Schema):
    version: str = Field(description="`v1.2.3`, or a commit that nobody registered.")
    commit: str
    active: bool
    registered: bool
    discovered: bool = Field(
        description="As in gto: a commit that no tag registers or deregisters, known"
        " by a stage tag or by an annotation at the head."
    )
    created_at: datetime | None = At
    activated_at: datetime | None = At
    by: Person
    message: str
    tag: str
    stages: list[str]
    annotation: Annotation | None
    href: str
    html: str


class ModelDetail(Model):
    versions: Page[Version]


class VersionDetail(Version):
    repository: str
    artifact: str


class Event(Schema):
    at: datetime | None = At
    local: str | None = Field(description="On the clock of whoever wrote the tag.")
    repository: str
    artifact: str
    event: str
    version: str
    stage: str
    by: Person
    message: str
    commit: str
    tag: str
    tag_object: str
    through_muster: bool = Field(
        description="Asked for through Muster; else pushed to Git."
    )


class Resolved(Schema):
    """What a reference means."""

    ref: str
    repository: str
    artifact: str
    version: str
    commit: str = Field(description="What to check out.")
    path: str = Field(description="Where the artifact is at that commit.")
    tag: str = Field(description="The Git tag that says so; empty if none does.")
    stage: str
    by: Person
    at: datetime | None = At
    message: str
    active: bool
    also: list[str] = Field(
        description="Further versions that hold the stage, where several may."
    )
    as_of: datetime | None = Field(description="The `at` that was asked for.")
    not_counted: NotCounted | None = Field(
        description="Tags that stood at that time and were deleted or moved since;"
        " null if there are none."
    )


Problem.model_rebuild()
