"""Resolve a reference: `churn@latest`, `churn@v3.0.0`, `churn#prod` in a repository,
now or at a point in time, to the version, its commit and its path.

`@latest` and `@greatest` mean the same, as in gto: the greatest version by SemVer that
is registered and active. A stage resolves by the repository's own reading.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime

from indexer import limits
from indexer.core.snapshot import Instant, Person
from indexer.core.state import RegistryState
from indexer.core.state import Version as StateVersion
from indexer.gone_tags import gone_since, not_counted
from indexer.models import Artifact, StageHolder, Tag, Version
from indexer.permissions import User, visible_repositories, within_sight
from indexer.snapshot_rows import registry_state

GREATEST = ("latest", "greatest")
MOST_CANDIDATES = 50


@dataclass(frozen=True, slots=True)
class Reference:
    """An artifact and either a version or a stage of it."""

    artifact: str
    version: str = ""
    stage: str = ""


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a reference means. `tag` says it and `by`, `at`, `message` are its: the
    registration for a version, the assignment for a stage. `also` are further versions
    that hold the stage. `gone`: tags that stood at the time asked for and were deleted
    or moved since, so that they do not count."""

    repository: str
    artifact: str
    version: str
    commit: str
    path: str
    tag: str
    stage: str
    by: Person
    at: datetime | None
    message: str
    is_active: bool
    also: tuple[str, ...] = ()
    gone: tuple[Tag, ...] = ()


class CannotResolve(Exception):
    """The reference leads nowhere; the text says why. `gone`: as in `Resolution`."""

    gone: tuple[Tag, ...] = ()


class BadReference(CannotResolve):
    """The reference has no shape we know."""


class Ambiguous(CannotResolve):
    """Several repositories have an artifact of that name."""

    def __init__(self, text: str, candidates: list[tuple[str, str]]) -> None:
        super().__init__(text)
        self.candidates = candidates  # (repository, artifact)


def parse_reference(ref: str) -> Reference:
    """Read `NAME@latest`, `NAME@greatest`, `NAME@VERSION` or `NAME#STAGE`. In a
    monorepo a name is `dir:name`; the tag's way to write it, `dir=name`, is fine too.
    Raises BadReference."""
    folder, colon, rest = ref.strip().rpartition(":")
    found = re.fullmatch(r"([^@#]+)(?:@([^@#]+)|#([^@#]+))", rest)
    if not found:
        raise BadReference(
            f"“{ref[:100]}” is no reference. Write name@latest, name@v1.2.3 or "
            "name#stage (in a URL # is %23)."
        )
    return Reference(f"{folder}{colon}{found[1]}", found[2] or "", found[3] or "")


def resolve(
    user: User, ref: str, *, repository: str = "", at: Instant | None = None
) -> Resolution:
    """What the reference means to this person, now or as of `at`. The repository may
    be left out where one alone has that artifact. Raises CannotResolve."""
    reference = parse_reference(ref)
    if at is None:
        artifact = _artifact(user, reference.artifact, repository)
        return _from_rows(artifact, replace(reference, artifact=artifact.name))
    try:
        artifact = _artifact(user, reference.artifact, repository)
    except Ambiguous:
        raise
    except CannotResolve as error:
        # All of its tags may be gone.
        for place in visible_repositories(user).filter(name=repository):
            name = reference.artifact.replace("=", ":", 1)
            _tell_of_gone(error, gone_since(place, at, name))
        raise
    place = artifact.repository
    gone = gone_since(place, at, artifact.name)
    try:
        found = _from_state(
            registry_state(place, at=at),
            place.name,
            replace(reference, artifact=artifact.name),
        )
    except CannotResolve as error:
        _tell_of_gone(error, gone)
        raise
    return replace(found, gone=tuple(gone))


def _tell_of_gone(error: CannotResolve, gone: list[Tag]) -> None:
    if gone:
        error.gone = tuple(gone)
        error.args = (f"{error} {not_counted(gone)}",)


def _artifact(user: User, name: str, repository: str) -> Artifact:
    """One query, or two for a name written as in a tag."""
    for wanted in dict.fromkeys((name, name.replace("=", ":", 1))):
        rows = within_sight(Artifact.objects.all(), user).filter(
            name_key=limits.sort_key(wanted), name=wanted
        )
        if repository:
            rows = rows.filter(repository__name=repository)
        found = list(
            rows.select_related("repository").order_by("repository_key")[
                : MOST_CANDIDATES + 1
            ]
        )
        if len(found) > 1:
            raise Ambiguous(
                f"{len(found)} repositories have an artifact {wanted}: say which, "
                "with repository=…."
                if len(found) <= MOST_CANDIDATES
                else f"More than {MOST_CANDIDATES} repositories have an artifact "
                f"{wanted}: say which, with repository=….",
                [(row.repository.name, row.name) for row in found[:MOST_CANDIDATES]],
            )
        if found:
            return found[0]
    where = f" in {repository}" if repository else ""
    raise CannotResolve(f"There is no artifact {name}{where}.")


def _from_rows(artifact: Artifact, reference: Reference) -> Resolution:
    if reference.stage:
        return _holder(artifact, reference.stage)
    versions = artifact.versions.select_related("annotation").order_by("rank")
    if reference.version in GREATEST:
        versions = versions.filter(is_active=True, is_registered=True)
    else:
        # A name that stands on two commits: the one in force.
        versions = versions.filter(name=reference.version).order_by(
            "-is_active", "rank"
        )
    version = versions.first()
    if version is None:
        raise CannotResolve(_no_version(reference))
    return Resolution(
        repository=artifact.repository.name,
        artifact=artifact.name,
        version=version.name,
        commit=version.peeled_id or version.commit_id,
        path=_path(version),
        tag=version.ref if version.is_registered else "",
        stage="",
        by=Person(version.author_name, version.author_email),
        at=version.created_at,
        message=version.message,
        is_active=version.is_active,
    )


def _holder(artifact: Artifact, stage: str) -> Resolution:
    holders = list(
        StageHolder.objects.filter(artifact=artifact, stage=stage)
        .select_related("version__annotation")
        .order_by("rank")
    )
    if not holders:
        raise CannotResolve(f"No version of {artifact.name} holds the stage {stage}.")
    first = holders[0]
    return Resolution(
        repository=artifact.repository.name,
        artifact=artifact.name,
        version=first.version.name,
        commit=first.version.peeled_id or first.version.commit_id,
        path=_path(first.version),
        tag=first.tag,
        stage=stage,
        by=Person(first.author_name, first.author_email),
        at=first.assigned_at,
        message=first.message,
        is_active=first.version.is_active,
        also=tuple(holder.version.name for holder in holders[1:]),
    )


def _path(version: Version) -> str:
    return version.annotation.path if version.annotation else ""


def _from_state(
    state: RegistryState, repository: str, reference: Reference
) -> Resolution:
    artifact = next(
        (
            artifact
            for name, artifact in state.artifacts.items()
            if limits.name(name) == reference.artifact  # rows cut very long names
        ),
        None,
    )
    if artifact is None:
        raise CannotResolve(
            f"{reference.artifact} was not there yet in {repository} at that time."
        )
    if reference.stage:
        holders = artifact.stages.get(reference.stage, ())
        if not holders:
            raise CannotResolve(
                f"No version of {artifact.name} held the stage {reference.stage} at "
                "that time."
            )
        first = holders[0]
        held = next(
            version
            for version in artifact.versions
            if (version.name, version.commit_id) == (first.version, first.commit_id)
        )
        return replace(
            _state_resolution(repository, artifact.name, held),
            tag=first.event.tag,
            stage=reference.stage,
            by=first.event.author,
            at=limits.moment(first.event.at),
            message=first.event.message,
            also=tuple(holder.version for holder in holders[1:]),
        )
    if reference.version in GREATEST:
        version = artifact.latest
    else:
        named = [one for one in artifact.versions if one.name == reference.version]
        named.sort(key=lambda one: not one.is_active)
        version = named[0] if named else None
    if version is None:
        raise CannotResolve(f"{_no_version(reference)[:-1]} at that time.")
    return _state_resolution(repository, artifact.name, version)


def _state_resolution(
    repository: str, artifact: str, version: StateVersion
) -> Resolution:
    return Resolution(
        repository=repository,
        artifact=artifact,
        version=version.name,
        commit=version.peeled_id or version.commit_id,
        path=version.annotation.path if version.annotation else "",
        tag=version.ref if version.is_registered else "",
        stage="",
        by=version.author,
        at=limits.moment(version.created_at),
        message=version.message,
        is_active=version.is_active,
    )


def _no_version(reference: Reference) -> str:
    if reference.version in GREATEST:
        return f"{reference.artifact} has no registered version."
    return f"{reference.artifact} has no version {reference.version}."
