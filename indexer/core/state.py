"""Registry state: what the tags and files of one repository mean.

`build_state(snapshot, reading=…, at=…)` is pure, total, deterministic and
independent of the order of its input. Rules: gto 1.10.1; see docs/semantics.md.
"""

from __future__ import annotations

import gc
from dataclasses import replace

from indexer.core.annotations import AnnotationIndex
from indexer.core.artifact_files import Config
from indexer.core.digests import artifact_digest
from indexer.core.events import Event, EventKind, moment
from indexer.core.fold import FoldContext, fold_artifact
from indexer.core.registry import (
    MAX_NAME,
    Annotation,
    Artifact,
    Reading,
    RegistryState,
    StageHolder,
    Version,
    VersionStage,
)
from indexer.core.snapshot import GitCommit, Instant, Problem, RepositorySnapshot
from indexer.core.tag_reading import read_tags

__all__ = [
    "MAX_NAME",
    "Annotation",
    "Artifact",
    "Reading",
    "RegistryState",
    "StageHolder",
    "Version",
    "VersionStage",
    "build_state",
]

# Events of one second in gto's history, oldest first.
_PRIORITY = {
    EventKind.DEPRECATION: 0,
    EventKind.REGISTRATION: 1,
    EventKind.DEREGISTRATION: 2,
    EventKind.ASSIGNMENT: 3,
    EventKind.UNASSIGNMENT: 4,
}


def build_state(
    snapshot: RepositorySnapshot,
    *,
    reading: Reading = Reading.TIME,
    at: Instant | None = None,
) -> RegistryState:
    """Fold a snapshot into the state it means, as of `at` (None: all of it).

    As of a time: tags dated later do not count, commits made later neither; tags
    without a date always do. The head's annotations count if the head itself is old
    enough. `.gto` is always the head's."""
    # Nothing here makes a cycle, and looking for some takes half of the time of a
    # large fold. Threads that overlap do no harm: who switched it off switches it on.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return _build(snapshot, reading, at)
    finally:
        if was_enabled:
            gc.enable()


def _build(
    snapshot: RepositorySnapshot, reading: Reading, at: Instant | None
) -> RegistryState:
    annotations = AnnotationIndex(snapshot)
    head = snapshot.commits.get(snapshot.head)
    if head and at and moment(head.committed) > at.seconds:
        head = None
    read, problems = read_tags(snapshot.tags, at)
    in_artifacts_yaml, in_dvc_yaml = annotations.listed(head) if head else ([], [])
    context = FoldContext(reading, at, annotations, snapshot.commits, head)

    names = dict.fromkeys([*read, *in_artifacts_yaml, *in_dvc_yaml])
    listed = set(in_artifacts_yaml)
    folded: list[Artifact] = []
    for position, name in enumerate(names):
        artifact, more = fold_artifact(
            name,
            read.get(name, []),
            context,
            in_artifacts_yaml=name in listed,
            position=position,
        )
        folded.append(artifact)
        problems.extend(more)

    config = annotations.config()
    problems.extend(replace(p, commit_id=snapshot.head) for p in config.problems)
    problems.extend(_outside_config(folded, config, snapshot.head))
    problems.extend(snapshot.problems)
    problems.extend(annotations.problems(_used_commits(folded, snapshot, head)))
    ordered_problems = _sorted_once(problems)

    events = _history(folded)
    by_artifact: dict[str, list[Problem]] = {}
    for problem in ordered_problems:
        by_artifact.setdefault(problem.artifact, []).append(problem)
    artifacts = {
        artifact.name: replace(
            artifact,
            digest=artifact_digest(
                artifact, by_artifact.get(artifact.name, []), reading, at
            ),
        )
        for artifact in sorted(folded, key=lambda artifact: artifact.name)
    }
    return RegistryState(
        reading=reading,
        at=at,
        artifacts=artifacts,
        events=events,
        problems=ordered_problems,
        stage_order=config.stages or (),
        commits=snapshot.commits,
        has_stage_list=config.stages is not None,
    )


def _history(folded: list[Artifact]) -> tuple[Event, ...]:
    """All events, newest first, as `gto history` sorts them: stably by time and kind
    over artifacts in the order of their first tag, then reversed."""
    events = [event for artifact in folded for event in artifact.events]
    events.sort(key=lambda event: (event.moment, _PRIORITY[event.kind]))
    events.reverse()
    return tuple(events)


def _used_commits(
    folded: list[Artifact], snapshot: RepositorySnapshot, head: GitCommit | None
) -> list[GitCommit]:
    """The commits whose files count: the head's and the versions'."""
    commits = {} if head is None else {head.id: head}
    for artifact in folded:
        for version in artifact.versions:
            commit = snapshot.commits.get(version.peeled_id)
            if commit is not None:
                commits[commit.id] = commit
    return list(commits.values())


def _outside_config(folded: list[Artifact], config: Config, head: str) -> list[Problem]:
    """Stages and types that `.gto` does not list; they are shown all the same."""
    problems: list[Problem] = []
    for artifact in folded:
        if config.stages is not None:
            problems.extend(
                Problem(
                    "stage-not-listed",
                    f"Stage {stage} of {artifact.name} is not among the stages that"
                    " .gto lists. Add it there or unassign it.",
                    artifact=artifact.name,
                    tag=tag,
                )
                for stage, tag in _newest_assignments(artifact)
                if stage not in config.stages
            )
        note = artifact.annotation
        if note and note.type and config.types and note.type not in config.types:
            problems.append(
                Problem(
                    "type-not-listed",
                    f"Type {note.type} of {artifact.name} is not among the types that"
                    " .gto lists.",
                    artifact=artifact.name,
                    path=note.source,
                    commit_id=head,
                )
            )
    return problems


def _newest_assignments(artifact: Artifact) -> list[tuple[str, str]]:
    """Each stage that was ever assigned, with the ref of its newest assignment."""
    newest: dict[str, tuple[int, str]] = {}
    for version in artifact.versions:
        for stage in version.stage_events:
            for event in stage.assignments[-1:]:
                found = event.moment, event.refs[0]
                newest[stage.stage] = max(newest.get(stage.stage, found), found)
    return [(stage, ref) for stage, (_, ref) in newest.items()]


def _sorted_once(problems: list[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(set(problems), key=_problem_order))


def _problem_order(problem: Problem) -> tuple[str | int, ...]:
    return (
        problem.artifact,
        problem.path,
        problem.tag,
        problem.line or 0,
        problem.code,
        problem.commit_id,
        problem.text,
    )
