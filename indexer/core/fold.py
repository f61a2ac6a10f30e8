"""Fold one artifact's tags into the artifact. No other artifact takes part, so each
can be folded alone; every step is a sort or a pass, none is quadratic (gto's are).

The order of lists is gto's to the last tie: it appends as it reads (see tag_reading),
sorts stably by time and reverses. "Direct" events are registrations and
deregistrations; stage events and the version's commit are "indirect"."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter

from indexer.core.annotations import AnnotationIndex
from indexer.core.events import Event, EventKind, moment
from indexer.core.readings import read_stages
from indexer.core.registry import (
    Artifact,
    Reading,
    StageHolder,
    Version,
    VersionStage,
)
from indexer.core.snapshot import NOBODY, GitCommit, Instant, Person, Problem
from indexer.core.tag_reading import ReadTag
from indexer.core.versions import precedence

# When something happened, and the event; None stands for the version's commit.
_Dated = tuple[int, Event | None]
_TIME = itemgetter(0)


@dataclass(slots=True)
class _Draft:
    """A version in the making."""

    name: str
    commit_id: str
    peeled_id: str
    registrations: list[_Dated] = field(default_factory=list)
    deregistrations: list[_Dated] = field(default_factory=list)
    stages: dict[str, tuple[list[_Dated], list[_Dated]]] = field(default_factory=dict)
    is_discovered: bool = False

    def add_stage_event(self, event: Event, at: int) -> None:
        lists = self.stages.setdefault(event.stage or "", ([], []))
        lists[event.kind is EventKind.UNASSIGNMENT].append((at, event))


@dataclass(frozen=True, slots=True)
class FoldContext:
    """What every artifact of a repository shares. `head`: the default branch's head
    if it counts at the chosen time."""

    reading: Reading
    at: Instant | None
    annotations: AnnotationIndex
    commits: Mapping[str, GitCommit]
    head: GitCommit | None

    def commit(self, commit_id: str) -> GitCommit | None:
        """The commit, if known and not younger than the chosen time."""
        commit = self.commits.get(commit_id)
        if commit is None or self.at is None:
            return commit
        return commit if moment(commit.committed) <= self.at.seconds else None


def fold_artifact(
    name: str,
    tags: Sequence[ReadTag],
    context: FoldContext,
    *,
    in_artifacts_yaml: bool,
    position: int,
) -> tuple[Artifact, list[Problem]]:
    """The artifact `name`, from its tags in gto's order and the annotation at the
    head. `in_artifacts_yaml`: artifacts.yaml at the head names it."""
    drafts, slots, deprecations, problems = _read(name, tags)
    if context.head is not None and (in_artifacts_yaml or not tags):
        head_id = context.head.id
        if not any(draft.commit_id == head_id for draft in drafts):
            draft = _Draft(head_id, head_id, head_id, is_discovered=True)
            drafts.append(draft)
            slots.append((draft, None))

    positions = {
        id(draft if alone is None else alone[1]): place
        for place, (draft, alone) in enumerate(slots)
    }
    versions: list[Version] = []
    histories: dict[int, list[_Dated]] = {}
    for draft in drafts:
        version, histories[id(draft)] = _version(name, draft, context, positions)
        versions.append(version)
    # gto takes each version's events newest first and sorts all of them again.
    dated: list[_Dated] = list(deprecations)
    for draft, alone in slots:
        happened = histories[id(draft)]
        if alone is None:
            dated.extend(reversed(happened))
        else:
            dated.append(alone)
            dated.extend(pair for pair in happened if pair[1] is None)
    dated.sort(key=_TIME)
    dated.reverse()
    # Another event in the same second wins over a deprecation.
    newest = dated[0][1]
    is_active = newest is None or newest.kind is not EventKind.DEPRECATION

    ordered = _by_semver(versions)
    held = read_stages(ordered, context.reading)
    stages: dict[str, tuple[StageHolder, ...]] = {}
    holds: dict[tuple[str, str], list[str]] = {}
    for stage in sorted(held):
        stages[stage] = tuple(
            StageHolder(stage, v.name, v.commit_id, vstage.assignments[-1])
            for v, vstage in held[stage]
        )
        for version, _ in held[stage]:
            holds.setdefault((version.name, version.commit_id), []).append(stage)
    final = tuple(
        replace(v, stages=tuple(holds[v.name, v.commit_id]))
        if (v.name, v.commit_id) in holds
        else v
        for v in ordered
    )
    annotation = (
        context.annotations.catalog(context.head, name) if context.head else None
    )
    artifact = Artifact(
        name=name,
        is_active=is_active,
        is_registered=bool(tags),
        latest=next((v for v in final if v.is_active and v.is_registered), None),
        versions=final,
        stages=stages,
        annotation=annotation,
        only_dvc_yaml=not tags and not in_artifacts_yaml,
        events=tuple(event for _, event in dated if event is not None),
        position=position,
    )
    return artifact, problems


def _read(
    name: str, tags: Sequence[ReadTag]
) -> tuple[
    list[_Draft], list[tuple[_Draft, _Dated | None]], list[_Dated], list[Problem]
]:
    """Versions in the order tags name them, the order of their events in gto's
    history, deprecations, problems.

    gto makes a version of its own for each stage tag on an unregistered commit. To us
    they are one version, but its events stay apart in the history's order: the second
    value holds a version with all its events (None) or with one.

    A stage tag that gto reads again, by another ref, is one event all the same: of the
    version on its commit, if any reading finds one there."""
    drafts: dict[tuple[str, str], _Draft] = {}
    places: list[_Draft | ReadTag] = []  # a tag: of a stage, read before any version
    direct: dict[str, list[_Draft]] = {}  # by commit: versions with direct events
    deprecations: list[_Dated] = []
    unclear: list[ReadTag] = []
    bound: set[int] = set()  # id() of the refs of stage tags that several lead to
    for tag in tags:
        kind, commit_id = tag.says.kind, tag.tag.target_id
        if kind is EventKind.DEPRECATION:
            deprecations.append((tag.moment, _event(name, tag, None)))
            continue
        if kind in (EventKind.REGISTRATION, EventKind.DEREGISTRATION):
            version = tag.says.version or ""
            draft = drafts.get((version, commit_id))
            if draft is None:
                draft = _Draft(version, commit_id, tag.peeled_id)
                drafts[version, commit_id] = draft
                direct.setdefault(commit_id, []).append(draft)
                places.append(draft)
            is_end = kind is EventKind.DEREGISTRATION
            events = draft.deregistrations if is_end else draft.registrations
            events.append((tag.moment, _event(name, tag, version)))
            continue
        here = direct.get(commit_id)
        if here is None:
            places.append(tag)
            continue
        if len(tag.refs) > 1:
            if id(tag.refs) in bound:
                continue
            bound.add(id(tag.refs))
        if len(here) > 1:
            unclear.append(tag)
        else:
            here[0].add_stage_event(_event(name, tag, here[0].name), tag.moment)

    slots: list[tuple[_Draft, _Dated | None]] = []
    for place in places:
        if isinstance(place, _Draft):
            slots.append((place, None))
            continue
        if len(place.refs) > 1:
            if id(place.refs) in bound:
                continue
            bound.add(id(place.refs))
        commit_id = place.tag.target_id
        draft = drafts.get((commit_id, commit_id))
        if draft is None:
            draft = _Draft(commit_id, commit_id, place.peeled_id)
            drafts[commit_id, commit_id] = draft
        event = _event(name, place, commit_id)
        draft.add_stage_event(event, place.moment)
        slots.append((draft, (place.moment, event)))

    problems: list[Problem] = []
    choices: dict[str, _Choice] = {}
    for tag in unclear:
        commit_id = tag.tag.target_id
        choice = choices.get(commit_id)
        if choice is None:
            choice = choices[commit_id] = _Choice(direct[commit_id])
        draft = choice.at(tag.moment)
        draft.add_stage_event(_event(name, tag, draft.name), tag.moment)
        problems.append(
            Problem(
                "several-versions-on-commit",
                f"Tag {tag.refs[0]} gives a stage to a commit that has"
                f" {len(direct[commit_id])} versions of {name}; it is taken for"
                f" {draft.name}, registered last before the tag. gto fails on it.",
                artifact=name,
                tag=tag.refs[0],
                commit_id=commit_id,
            )
        )
    return list(drafts.values()), slots, deprecations, problems


class _Choice:
    """Which of several versions on one commit a stage tag means; gto has no answer.

    Ours: the active version registered last at or before the tag's date; when none was
    active, the one registered last; before the first registration, the first."""

    def __init__(self, drafts: Sequence[_Draft]) -> None:
        changes = sorted(
            (
                (at, is_end, index)
                for index, draft in enumerate(drafts)
                for is_end, events in (
                    (False, draft.registrations),
                    (True, draft.deregistrations),
                )
                for at, _ in events
            ),
        )
        registered = [change for change in changes if not change[1]]
        first = drafts[registered[0][2]] if registered else drafts[-1]
        self._times: list[int] = []
        self._drafts = [first]
        active: set[tuple[int, int]] = set()  # (index, its newest registration)
        newest: dict[int, int] = {}
        stack: list[tuple[int, int]] = []
        last = first
        for at, is_end, index in changes:
            if is_end:
                active.discard((index, newest.get(index, at)))
            else:
                active.discard((index, newest.get(index, at)))
                newest[index] = at
                active.add((index, at))
                stack.append((index, at))
                last = drafts[index]
            while stack and stack[-1] not in active:
                stack.pop()
            self._times.append(at)
            self._drafts.append(drafts[stack[-1][0]] if stack else last)

    def at(self, at: int) -> _Draft:
        return self._drafts[bisect_right(self._times, at)]


def _event(name: str, tag: ReadTag, version: str | None) -> Event:
    return Event(
        kind=tag.says.kind,
        artifact=name,
        version=version,
        stage=tag.says.stage,
        commit_id=tag.tag.target_id,
        at=tag.tag.tagged,
        author=tag.tag.tagger or NOBODY,
        message=tag.tag.message,
        tag=tag.tag.name,
        tag_id=tag.tag.object_id,
        refs=tuple(sorted(tag.refs)),
        peeled_id=tag.peeled_id,
    )


def _version(
    name: str,
    draft: _Draft,
    context: FoldContext,
    positions: Mapping[int, int],
) -> tuple[Version, list[_Dated]]:
    """The version, and all that happened to it, oldest first. `positions`: by id() of
    a draft or, for an unregistered commit, of an event."""
    commit = context.commit(draft.peeled_id)
    position = positions.get(id(draft), 0)
    draft.registrations.sort(key=_TIME)
    draft.deregistrations.sort(key=_TIME)
    direct = [*draft.registrations, *draft.deregistrations]
    indirect: list[_Dated] = []
    if commit is not None:
        indirect.append((moment(commit.committed), None))
    for given, taken in draft.stages.values():
        given.sort(key=_TIME)
        taken.sort(key=_TIME)
        of_stage = sorted([*given, *taken], key=_TIME)
        of_stage.reverse()
        indirect.extend(of_stage)
    everything = sorted([*direct, *indirect], key=_TIME)
    direct.sort(key=_TIME)

    is_registered = bool(draft.registrations)
    if direct:
        last = direct[-1][1]
        is_active = last is not None and last.kind is EventKind.REGISTRATION
    else:
        is_active = bool(indirect)

    oldest = (draft.registrations or everything or [(0, None)])[0][1]
    author: Person = NOBODY
    created_at: Instant | None = None
    message, ref = "", draft.peeled_id
    origin = None
    if draft.registrations:
        origin = draft.registrations[-1][1]
    elif indirect:
        origin = sorted(indirect, key=_TIME)[-1][1]
    if origin is not None:
        created_at, author = origin.at, origin.author
        message, ref = origin.message, origin.tag
    elif commit is not None:
        created_at, author = commit.committed, commit.author
        message, ref = commit.message, commit.id
    committed = commit.committed if commit else None

    known = context.commits.get(draft.peeled_id)
    version = Version(
        name=draft.name,
        commit_id=draft.commit_id,
        is_active=is_active,
        is_registered=is_registered,
        is_discovered=draft.is_discovered,
        created_at=created_at,
        activated_at=oldest.at if oldest is not None else committed,
        author=author,
        message=message,
        ref=ref,
        events=_events(everything),
        stages=(),
        annotation=context.annotations.catalog(known, name) if known else None,
        peeled_id=draft.peeled_id,
        registrations=_events(draft.registrations),
        deregistrations=_events(draft.deregistrations),
        stage_events=tuple(
            VersionStage(
                stage,
                _events(given),
                _events(taken),
                positions.get(id(_first_of_newest(given)), position),
            )
            for stage, (given, taken) in draft.stages.items()
        ),
        gto_annotation=context.annotations.gto(known, name) if known else None,
        position=position,
        committed_at=committed,
    )
    return version, everything


def _first_of_newest(dated: Sequence[_Dated]) -> Event | None:
    """Of the events in the newest second the one that was read first."""
    return next((event for at, event in dated if at == dated[-1][0]), None)


def _events(dated: Sequence[_Dated]) -> tuple[Event, ...]:
    return tuple(event for _, event in dated if event is not None)


def _by_semver(versions: Sequence[Version]) -> list[Version]:
    """Greatest first; of equal ones the one named later; commit ids after them."""
    named = [(precedence(v.name), v) for v in versions]
    semver = [(key, v) for key, v in named if key is not None]
    semver.sort(key=_TIME)
    others = sorted((v for key, v in named if key is None), key=lambda v: v.name)
    return [v for _, v in reversed(semver)] + list(reversed(others))
