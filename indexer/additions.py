"""The short way of a crawl: a few tags more, a head that annotates as before, and
nothing else.

That is what happens day by day, and it must not cost what reading ten thousand tags
costs. Where the head's registry files are those we know and every tag we know still
stands, only the artifacts that the new tags name can have changed, and those without a
tag, which a new head takes along; they are folded from their own tags alone and
written. Whenever something does not fit (a problem, a moved tag, an event in the same
second as another artifact's), there is no short way: None, and the whole snapshot is
read. The rows come out the same either way (a test grows random histories and
compares).

Where events of one second stand depends on all artifacts that have one there: gto
takes artifacts in the order of their first tag, and those of an artifact in the order
of its versions. So in a second that is shared with artifacts that were not folded the
events keep their places, if nothing can have moved them; else there is no short way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from django.db import transaction

from indexer import index_rows, limits
from indexer.bulk import Table
from indexer.core import state as core
from indexer.core.artifact_files import ARTIFACTS_YAML
from indexer.core.snapshot import GitCommit, GitTag, RepositorySnapshot
from indexer.core.tag_reading import read_tags
from indexer.core.tags import parse_tag_name
from indexer.index_write import totals, write_state
from indexer.ingest import IngestCounts, counts_of, fence
from indexer.models import Artifact, Event, Problem, Repository, Tag
from indexer.providers.base import Listing, Progress, Provider
from indexer.providers.documents import TOO_MUCH
from indexer.snapshot_rows import (
    Selection,
    StoredSnapshot,
    load_rows,
    stored_file_sets,
    write_snapshot,
)

FEWEST_TAGS = 200  # below, reading all is as quick
LARGEST_SHARE = 0.1  # of new tags; above, reading all is as quick
REFS = Table(Tag, ("ref", "object_id"))
PLACES = Table(Event, ("at_key", "position", "tag_id"))


@dataclass(frozen=True, slots=True)
class Additions:
    """New tags of a repository, and the state of the artifacts they name."""

    new: RepositorySnapshot  # the new tags, and commits and documents new with them
    stored: StoredSnapshot  # of what is new, what the rows hold; and what goes
    state: core.RegistryState
    names: frozenset[str]
    kept: Mapping[str, int]  # see _kept_positions
    total: int  # tags of the repository


def read_additions(
    repository: Repository, listing: Listing, provider: Provider, progress: Progress
) -> Additions | None:
    """What `listing` has more than the rows, if that is all that differs. The index
    must have been written by this Muster, under this reading."""
    added = _added_refs(repository, listing)
    if added is None or not (added or listing.head != repository.head):
        return None
    at_head = load_rows(
        repository.pk, Selection(commits=[repository.head, listing.head])
    )
    new = provider.fetch_snapshot(
        replace(listing, tags=added), at_head.known(), progress
    )
    before = at_head.snapshot()
    if (
        not new.complete
        or {tag.ref for tag in new.tags} != set(added)
        or not _annotates_alike(before, new)
        or new.problems != before.problems
        or new.default_branch != before.default_branch
    ):
        return None
    left = _left_behind(repository, at_head, new)
    if left is None:
        return None
    names = _names(new.tags)
    if new.head != before.head:
        names.update(_without_tags(repository))
    artifact_ids = list(
        Artifact.objects.filter(repository=repository, name__in=names).values_list(
            "pk", flat=True
        )
    )
    stored = load_rows(
        repository.pk,
        Selection(artifact_ids, commits=new.commits, documents=new.documents),
    )
    state = core.build_state(_together(new, stored), reading=repository.stage_reading)
    if not _stands_alone(repository, state, names):
        return None
    kept = _kept_positions(repository, state, new, stored, artifact_ids)
    if kept is None:
        return None
    unknown = _unknown(new, stored)
    return Additions(
        new=unknown,
        stored=StoredSnapshot(
            commits=left,
            file_sets=stored_file_sets(repository.pk, unknown.commits.values()),
            rest=stored.rest,
        ),
        state=state,
        names=frozenset(names),
        kept=kept,
        total=len(listing.tags),
    )


def ingest_additions(
    repository: Repository,
    additions: Additions,
    *,
    lease_id: UUID,
    now: datetime,
    fingerprint: str,
) -> IngestCounts:
    """Write them, whole or not at all. Raises LeaseLost."""
    with transaction.atomic():
        fence(repository.pk, lease_id, fingerprint=fingerprint)
        tags = write_snapshot(
            repository.pk,
            additions.stored,
            additions.new,
            now=now,
            last_seen=repository.last_success_at,
        )
        written = write_state(
            repository, additions.state, only=additions.names, kept=additions.kept
        )
        fields = {
            "head": limits.object_id(additions.new.head),
            "tag_count": additions.total,
            **totals(repository.pk),
        }
        Repository.objects.filter(pk=repository.pk).update(**fields)
    return counts_of(repository, fields, tags, written)


def _added_refs(repository: Repository, listing: Listing) -> dict[str, str] | None:
    """The tags that are new, if nothing else is and they are few; else None."""
    if repository.tag_count < FEWEST_TAGS:
        return None
    known = {
        ref: object_id
        for _, ref, object_id in REFS.select(
            '"repository_id" = %s AND "gone_at" IS NULL', [repository.pk]
        )
    }
    added = {
        ref: object_id
        for ref, object_id in listing.tags.items()
        if known.get(ref) != object_id
    }
    objects = set(added.values())
    if (
        len(known) + len(added) != len(listing.tags)
        or any(ref in known for ref in added)
        or len(objects) != len(added)
        or not objects.isdisjoint(known.values())
        or len(added) > len(known) * LARGEST_SHARE
    ):
        return None
    return added


def _annotates_alike(before: RepositorySnapshot, new: RepositorySnapshot) -> bool:
    """Whether the head says of every artifact what it said before: it is the same, or
    its registry files are. Not with an artifacts.yaml, which makes the head itself an
    unregistered version of all it names (gto)."""
    if new.head == before.head:
        return True
    old, now = before.commits.get(before.head), new.commits.get(new.head)
    return (
        old is not None
        and now is not None
        and old.files == now.files
        and not old.problems
        and not now.problems
        and all(file.path != ARTIFACTS_YAML for file in now.files)
    )


def _left_behind(
    repository: Repository, at_head: StoredSnapshot, new: RepositorySnapshot
) -> dict[str, tuple[int, GitCommit]] | None:
    """The rows of commits that no longer matter: the head that was, unless a tag of
    GTO's names it. None if only other tags do: who reads all decides then."""
    old = repository.head
    if new.head == old or old not in at_head.commits:
        return {}
    there = Tag.objects.filter(repository=repository, gone_at=None, commit_id=old)
    named = [
        *there.values_list("ref", "name", "is_annotated"),
        *(
            (tag.ref, tag.tag.name if tag.tag else "", tag.tag is not None)
            for tag in new.tags
            if tag.commit_id == old
        ),
    ]
    if not named:
        return {old: at_head.commits[old]}
    is_ours = any(
        annotated and (parse_tag_name(ref) or parse_tag_name(name))
        for ref, name, annotated in named
    )
    return {} if is_ours else None


def _without_tags(repository: Repository) -> Iterable[str]:
    """Artifacts that only a dvc.yaml knows: the head is their unregistered version."""
    rows = Artifact.objects.filter(repository=repository, only_dvc_yaml=True)
    return rows.values_list("name", flat=True)


def _names(tags: Iterable[GitTag]) -> set[str]:
    """The artifacts that tags name, by the names inside the tag objects."""
    parsed = (parse_tag_name(tag.tag.name) for tag in tags if tag.tag is not None)
    return {one.artifact for one in parsed if one is not None}


def _together(new: RepositorySnapshot, stored: StoredSnapshot) -> RepositorySnapshot:
    """The new tags and those that were there, of the same artifacts."""
    before = stored.snapshot()
    return replace(
        new,
        tags=(*before.tags, *new.tags),
        commits={**new.commits, **before.commits},
        documents={**new.documents, **before.documents},
    )


def _stands_alone(
    repository: Repository, state: core.RegistryState, names: set[str]
) -> bool:
    """Whether these artifacts and their problems are what all tags together would
    give."""
    if Problem.objects.filter(repository=repository, text=TOO_MUCH).exists():
        return False  # which files are left out depends on all of them
    if not {event.artifact for event in state.events} <= names <= set(state.artifacts):
        return False
    told = {
        row[3:]
        for row in index_rows.PROBLEMS.select('"repository_id" = %s', [repository.pk])
    }
    found = index_rows.problem_rows(state.problems, repository.pk, {})
    if not set(found) <= told:
        return False
    return not Problem.objects.filter(
        repository=repository, artifact_name__in=names
    ).exists()


def _kept_positions(
    repository: Repository,
    state: core.RegistryState,
    new: RepositorySnapshot,
    stored: StoredSnapshot,
    artifact_ids: list[int],
) -> dict[str, int] | None:
    """Where the events of these artifacts stand in seconds that they share with other
    artifacts' events, by tag object: where they stood. None if they may stand
    elsewhere now: there is a new one, these artifacts' own order changed, or a new tag
    is the first of one, which moves it among the others."""
    others = Event.objects.filter(repository=repository).exclude(
        artifact__in=artifact_ids
    )
    own = Event.objects.filter(artifact__in=artifact_ids)
    before = {tag.object_id for _, tag in stored.tags.values()}
    seconds = {
        limits.moment_key(event.at)
        for event in state.events
        if event.tag_id not in before
    }
    if others.filter(at_key__in=seconds).exists():
        return None
    shared = set(
        others.filter(at_key__in=own.values("at_key"))
        .values_list("at_key", flat=True)
        .distinct()
    )
    if not shared:
        return {}
    rows = [
        row for row in PLACES.select_in("artifact_id", artifact_ids) if row[1] in shared
    ]
    stood = [tag_id for *_, tag_id in sorted(rows, key=lambda row: row[1:3])]
    stand = [
        event.tag_id
        for event in reversed(state.events)
        if limits.moment_key(event.at) in shared
    ]
    if stood != stand or _first_tags(stored.snapshot()) - _first_tags(
        _together(new, stored)
    ):
        return None
    return {tag_id: position for _, _, position, tag_id in rows}


def _first_tags(snapshot: RepositorySnapshot) -> set[str]:
    """The tag objects by which gto comes to know the artifacts."""
    read, _ = read_tags(snapshot.tags, None)
    return {tags[0].tag.object_id for tags in read.values()}


def _unknown(new: RepositorySnapshot, stored: StoredSnapshot) -> RepositorySnapshot:
    """Of what was read, what the rows do not hold."""
    commits = {
        key: commit for key, commit in new.commits.items() if key not in stored.commits
    }
    used = {file.blob_id for commit in commits.values() for file in commit.files}
    documents = {
        key: document
        for key, document in new.documents.items()
        if key in used and key not in stored.documents
    }
    return replace(new, commits=commits, documents=documents)
