"""What tag an action would write: a plan, or a refusal in a plain sentence.

The same names, targets and default messages as gto 1.10.1 (`registry.py`), and what gto
refuses is refused here. Where gto needs `--force` or `--simple false` and dies without
(a name that is taken, a stage given back to a version that lost it to another) a plan
says what it writes with them. Pure: whoever writes the tag checks the remote first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from indexer.core.events import UNKNOWN_MOMENT, EventKind
from indexer.core.registry import Artifact, RegistryState, Version
from indexer.core.tags import (
    ParsedTag,
    format_tag_name,
    is_artifact_name,
    is_name,
    parse_tag_name,
)
from indexer.core.versions import FIRST_VERSION, Part, bump, is_version

LONGEST_REF = 255 - len("refs/tags/.lock")  # a file system may hold the ref as a file


@dataclass(frozen=True, slots=True)
class TagPlan:
    """A tag to be written. `not_before` is the earliest date (seconds since 1970) it
    may carry: one second after the artifact's last event, so that a tie or a clock
    that is behind cannot turn their order round. `meant`: the version that a tag of a
    stage is for; "": whichever is on its commit."""

    tag: ParsedTag
    name: str
    commit_id: str
    message: str
    not_before: int
    meant: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing is written. `code` is stable (`version-exists`)."""

    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Registry:
    """A repository's state with the names of all its tags, light ones too: a counter
    must be free among those as well."""

    state: RegistryState
    refs: frozenset[str]

    @classmethod
    def of(cls, state: RegistryState, refs: Iterable[str]) -> Registry:
        return cls(state, frozenset(refs))


def suggest_version(registry: Registry, artifact: str, part: Part = Part.PATCH) -> str:
    """The version after the greatest active one, the first if there is none. One that
    was registered before and taken back is passed over: gto's own bump dies of it."""
    found = registry.state.artifacts.get(artifact)
    latest = found.latest if found else None
    names = {version.name for version in found.versions} if found else set()
    name = bump(latest.name, part) if latest else FIRST_VERSION
    while name in names:
        name = bump(name, part)
    return name


def plan_registration(
    registry: Registry,
    artifact: str,
    commit_id: str,
    version: str = "",
    *,
    part: Part = Part.PATCH,
    message: str = "",
) -> TagPlan | Refusal:
    """Register `version` ("": the suggested one) at a commit."""
    if refusal := _bad_artifact(artifact):
        return refusal
    if version and not is_version(version):
        return Refusal(
            "bad-version",
            f"{version} is no version. A version is v and a SemVer number: v1.0.0, "
            "v2.1.0-rc.1.",
        )
    found = registry.state.artifacts.get(artifact)
    here = _versions_at(found, commit_id)
    if here:
        there = here[0]
        if not there.is_registered:
            return Refusal(
                "commit-has-stage",
                f"Commit {commit_id[:7]} was given a stage of {artifact} without a "
                "version, and gto then allows no version on it. Register another "
                "commit.",
            )
        if there.is_active:
            return Refusal(
                "commit-has-version",
                f"Commit {commit_id[:7]} is {artifact} {there.name} already. A commit "
                "has one version; choose another commit.",
            )
        if version and version != there.name:
            return Refusal(
                "commit-had-version",
                f"Commit {commit_id[:7]} was {artifact} {there.name} before, and can "
                f"only become that again. Register {there.name}, or choose another "
                "commit.",
            )
        version = there.name
    version = version or suggest_version(registry, artifact, part)
    same = _version(found, version)
    if same is not None and same not in here:
        return Refusal(
            "version-exists",
            f"{artifact} {version} is registered at commit {same.commit_id[:7]}"
            f"{'' if same.is_active else ', and was deregistered there'}. Choose "
            "another version.",
        )
    return _plan(
        registry,
        ParsedTag(EventKind.REGISTRATION, artifact, version=version),
        commit_id,
        message or f"Registering artifact {artifact} version {version}",
    )


def plan_deregistration(
    registry: Registry, artifact: str, version: str, *, message: str = ""
) -> TagPlan | Refusal:
    """Take a version back."""
    found = registry.state.artifacts.get(artifact)
    known = _version(found, version)
    if found is None or known is None or not known.is_registered:
        return _unknown(artifact, version)
    if not known.is_active:
        return Refusal("not-active", f"{artifact} {version} was deregistered already.")
    return _plan(
        registry,
        ParsedTag(EventKind.DEREGISTRATION, artifact, version=version),
        known.commit_id,
        message or f"Deregistering artifact {artifact} version {version}",
    )


def plan_assignment(
    registry: Registry,
    artifact: str,
    stage: str,
    *,
    version: str = "",
    commit_id: str = "",
    message: str = "",
) -> TagPlan | Refusal:
    """Give a stage to a version, or (`commit_id`) to a commit, registered or not."""
    if refusal := _bad_artifact(artifact) or _bad_stage(registry.state, stage):
        return refusal
    found = registry.state.artifacts.get(artifact)
    if version:
        known = _version(found, version)
        if known is None:
            return _unknown(artifact, version)
        commit_id = known.commit_id
    else:
        here = _versions_at(found, commit_id)
        known = here[0] if here else None
    name = known.name if known else commit_id
    holders = found.stages.get(stage, ()) if found else ()
    if any(holder.version == name for holder in holders):
        return Refusal(
            "stage-held", f"{artifact} {short_version(name)} is in {stage} already."
        )
    return _plan(
        registry,
        ParsedTag(EventKind.ASSIGNMENT, artifact, stage=stage),
        commit_id,
        message or f"Assigning stage {stage} to artifact {artifact} version {name}",
        meant=version,
    )


def plan_unassignment(
    registry: Registry, artifact: str, stage: str, version: str, *, message: str = ""
) -> TagPlan | Refusal:
    """Take a stage from a version (or from a commit, by its whole id)."""
    if refusal := _bad_stage(registry.state, stage):
        return refusal
    known = _version(registry.state.artifacts.get(artifact), version)
    if known is None:
        return _unknown(artifact, version)
    if not any(one.stage == stage and one.is_active for one in known.stage_events):
        return Refusal(
            "stage-not-held", f"{artifact} {short_version(version)} is not in {stage}."
        )
    return _plan(
        registry,
        ParsedTag(EventKind.UNASSIGNMENT, artifact, stage=stage),
        known.commit_id,
        message
        or f"Unassigning stage '{stage}' to artifact '{artifact}' version '{version}'",
        meant=version,
    )


def previous_holder(artifact: Artifact | None, stage: str) -> Version | None:
    """The version that had the stage before the one that has it now (or, if nobody
    has it, had it last): of the active ones, that of the newest assignment."""
    if artifact is None:
        return None
    holders = {holder.version for holder in artifact.stages.get(stage, ())}
    had: list[tuple[int, int, Version]] = []
    for version in artifact.versions:
        if version.name in holders or not version.is_active:
            continue
        for given in version.stage_events:
            if given.stage == stage and given.assignments:
                newest = given.assignments[-1].moment
                had.append((newest, -given.position, version))
    return max(had, key=lambda one: one[:2])[2] if had else None


def plan_restoration(
    registry: Registry, artifact: str, stage: str, *, message: str = ""
) -> TagPlan | Refusal:
    """Give a stage back to the version that had it before."""
    if refusal := _bad_artifact(artifact) or _bad_stage(registry.state, stage):
        return refusal
    before = previous_holder(registry.state.artifacts.get(artifact), stage)
    if before is None:
        return Refusal(
            "nothing-to-restore",
            f"No other version of {artifact} that is registered now was in {stage} "
            "before. Assign the stage to a version instead.",
        )
    is_commit = not before.name.startswith("v")
    return plan_assignment(
        registry,
        artifact,
        stage,
        version="" if is_commit else before.name,
        commit_id=before.commit_id if is_commit else "",
        message=message,
    )


def plan_deprecation(
    registry: Registry, artifact: str, *, head: str, message: str = ""
) -> TagPlan | Refusal:
    """Retire an artifact: at the commit of its newest event, without one at `head`."""
    found = registry.state.artifacts.get(artifact)
    if found is None:
        return Refusal(
            "unknown-artifact", f"There is no {artifact} in this repository."
        )
    if not found.is_active:
        return Refusal("deprecated", f"{artifact} is deprecated already.")
    newest = found.events[0].commit_id if found.events else head
    return _plan(
        registry,
        ParsedTag(EventKind.DEPRECATION, artifact),
        newest,
        message or f"Deprecating artifact '{artifact}'",
    )


def plan_revival(
    registry: Registry, artifact: str, *, message: str = ""
) -> TagPlan | Refusal:
    """Bring a deprecated artifact back. gto has no word for it: an artifact is active
    again with any event after its deprecation, so the event that says nothing new is
    written again: the greatest version's registration, or a holder's assignment."""
    found = registry.state.artifacts.get(artifact)
    if found is None:
        return Refusal(
            "unknown-artifact", f"There is no {artifact} in this repository."
        )
    if found.is_active:
        return Refusal("not-deprecated", f"{artifact} is not deprecated.")
    text = message or f"Reviving artifact '{artifact}'"
    if found.latest is not None:
        tag = ParsedTag(EventKind.REGISTRATION, artifact, version=found.latest.name)
        return _plan(registry, tag, found.latest.commit_id, text)
    for stage, holders in found.stages.items():
        tag = ParsedTag(EventKind.ASSIGNMENT, artifact, stage=stage)
        return _plan(
            registry, tag, holders[0].commit_id, text, meant=holders[0].version
        )
    return Refusal(
        "nothing-to-revive",
        f"{artifact} has no version and no stage to confirm. Register a version: that "
        "revives it.",
    )


def _plan(
    registry: Registry, tag: ParsedTag, commit_id: str, message: str, *, meant: str = ""
) -> TagPlan | Refusal:
    """The tag with its whole name: stages always count (gto), other tags only where
    their plain name is taken."""
    counts = tag.kind in {EventKind.ASSIGNMENT, EventKind.UNASSIGNMENT}
    name = format_tag_name(tag)
    if counts or name in registry.refs:
        tag = replace(tag, counter=_next_counter(registry.refs, tag.artifact))
        name = format_tag_name(tag)
    if len(name.encode()) > LONGEST_REF:
        return Refusal(
            "name-too-long",
            f"The tag {name[:40]}… would have {len(name)} characters; a tag may have "
            f"{LONGEST_REF}. Use a shorter name.",
        )
    found = registry.state.artifacts.get(tag.artifact)
    last = _last_moment(found) if found else None
    return TagPlan(
        tag=tag,
        name=name,
        commit_id=commit_id,
        message=message.strip(),
        not_before=UNKNOWN_MOMENT if last is None else last + 1,
        meant=meant,
    )


def _last_moment(artifact: Artifact) -> int | None:
    """When the last thing happened to an artifact; a commit that annotates it in
    artifacts.yaml is one (gto)."""
    moments = [event.moment for event in artifact.events]
    moments += [
        version.committed_at.seconds
        for version in artifact.versions
        if version.gto_annotation is not None and version.committed_at is not None
    ]
    return max(moments, default=None)


def _next_counter(refs: Iterable[str], artifact: str) -> str:
    """One more than the greatest counter of all the artifact's tags."""
    greatest = 0
    start = artifact.replace(":", "=")
    for ref in refs:
        parsed = parse_tag_name(ref) if ref.startswith(start) else None
        if parsed and parsed.artifact == artifact and parsed.counter:
            digits = parsed.counter.lstrip("0")
            if len(digits) <= LONGEST_REF:  # Python reads no number of 4,301 digits
                greatest = max(greatest, int(digits or "0"))
    return str(greatest + 1)


def _version(artifact: Artifact | None, name: str) -> Version | None:
    """Of a name on several commits the one that is active."""
    if artifact is None:
        return None
    known = [
        one for one in artifact.versions if one.name == name and not one.is_discovered
    ]
    return max(known, key=lambda one: one.is_active, default=None)


def _versions_at(artifact: Artifact | None, commit_id: str) -> list[Version]:
    """The versions that tags put on a commit. The first is the one that a new tag of a
    stage means there: of those that are active the one registered last."""
    if artifact is None:
        return []
    here = [
        one
        for one in artifact.versions
        if commit_id in {one.commit_id, one.peeled_id} and not one.is_discovered
    ]
    here.sort(
        key=lambda one: (
            not one.is_active,
            not one.is_registered,
            -one.registrations[-1].moment if one.registrations else 0,
            -one.position,
        )
    )
    return here


def _bad_artifact(name: str) -> Refusal | None:
    if is_artifact_name(name):
        return None
    return Refusal(
        "bad-artifact",
        "A model's name has letters, digits, “-”, “_” and “/”, and begins and ends "
        "with a letter or digit; a folder may stand before it with “:”.",
    )


def _bad_stage(state: RegistryState, stage: str) -> Refusal | None:
    if not is_name(stage):
        return Refusal(
            "bad-stage",
            "A stage has letters, digits, “-”, “_” and “/”, and begins and ends with a "
            "letter or digit.",
        )
    if state.has_stage_list and stage not in state.stage_order:
        return Refusal(
            "stage-not-listed",
            f"{stage} is not among the stages that the repository's .gto lists: "
            f"{', '.join(state.stage_order) or 'none'}. Choose one of them, or add it "
            "there first.",
        )
    return None


def _unknown(artifact: str, version: str) -> Refusal:
    return Refusal(
        "unknown-version",
        f"{artifact} has no registered version {short_version(version)}.",
    )


def short_version(version: str) -> str:
    """A version's name, or the beginning of a commit's."""
    return version if version.startswith("v") else f"commit {version[:7]}"
