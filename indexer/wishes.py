"""A wish and what it would write, by the rows as they are: for the forms, which show it
before anything is done, and for `indexer.actions`, which makes sure that the rows are
the remote's before it goes by them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from indexer import limits
from indexer.core.effects import StageChange, effect_of
from indexer.core.git_objects import TagOrder
from indexer.core.plans import (
    Refusal,
    Registry,
    TagPlan,
    plan_assignment,
    plan_deprecation,
    plan_deregistration,
    plan_registration,
    plan_restoration,
    plan_revival,
    plan_unassignment,
)
from indexer.core.snapshot import Instant, Json, Person, RepositorySnapshot
from indexer.core.state import RegistryState, build_state
from indexer.core.versions import Part
from indexer.models import ActionLog, Artifact, Repository, Tag
from indexer.providers.writing import NOT_A_REF
from indexer.snapshot_rows import Selection, load_rows

Verb = ActionLog.Verb
TAG_VERBS = frozenset(Verb) - {Verb.ADD, Verb.EDIT}
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
LONGEST_MESSAGE = 20_000
FORGED = re.compile(r"^\s*requested-by\s*:", re.IGNORECASE | re.MULTILINE)
LONGEST_NAME = 255  # as the row keeps it
# Refusals that say the wish itself makes no sense, whatever the repository holds.
NONSENSE = frozenset(
    {
        "bad-artifact",
        "bad-version",
        "bad-stage",
        "bad-commit",
        "bad-message",
        "name-too-long",
        "nothing-chosen",
    }
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants. `version` is v1.2.3 or the whole id of a commit; which of
    the others count depends on the verb."""

    verb: Verb
    repository: Repository
    artifact: str
    version: str = ""
    stage: str = ""
    commit_id: str = ""
    part: Part = Part.PATCH
    message: str = ""
    fields: Mapping[str, Json] = field(default_factory=dict)  # of ADD and EDIT

    @property
    def digest(self) -> str:
        """Tells one wish from another, for an idempotency key that comes again."""
        told = [
            self.verb.value, self.repository.pk, self.artifact, self.version,
            self.stage, self.commit_id, self.part.value, self.message,
            dict(self.fields),
        ]  # fmt: skip
        return _digest(told)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a wish would do, by the rows as they are: a plan or a refusal. `meaning`
    is a digest of what it does to the registry, whatever its counter and its words."""

    plan: TagPlan | None = None
    refusal: Refusal | None = None
    version: str = ""  # the version it is about
    changes: tuple[StageChange, ...] = ()
    meaning: str = ""


def registry_of(
    repository: Repository, artifact: str
) -> tuple[Registry, RepositorySnapshot]:
    """The state of one artifact by the rows, with the names of all tags that may be
    its, and the part of the snapshot that it comes from. A few queries, however many
    tags the repository has."""
    ids = list(
        Artifact.objects.filter(repository=repository, name=artifact).values_list(
            "pk", flat=True
        )
    )
    snapshot = load_rows(
        repository.pk, Selection(ids, commits=[repository.head])
    ).snapshot()
    refs = Tag.objects.filter(
        repository=repository,
        gone_at=None,
        ref__startswith=artifact.replace(":", "="),
    ).values_list("ref", flat=True)
    state = build_state(snapshot, reading=repository.stage_reading)
    return Registry.of(state, refs), snapshot


def outlook(
    wish: Wish, known: tuple[Registry, RepositorySnapshot] | None = None
) -> Outlook:
    """What the wish would do now. `known`: what `registry_of` has just given."""
    if refusal := nonsense(wish):
        return Outlook(refusal=refusal)
    registry, snapshot = known or registry_of(wish.repository, wish.artifact)
    planned = plan_of(wish, registry)
    if isinstance(planned, Refusal):
        return Outlook(refusal=planned)
    if refusal := _unwritable(planned, registry.state, wish.artifact):
        return Outlook(refusal=refusal)
    effect = effect_of(planned, registry.state, snapshot)
    if isinstance(effect, Refusal):
        return Outlook(refusal=effect)
    return Outlook(
        plan=planned,
        version=effect.version,
        changes=effect.changes,
        meaning=_meaning(wish, planned, effect.version, effect.changes),
    )


def plan_of(wish: Wish, registry: Registry) -> TagPlan | Refusal:
    """The plan of a wish that is about a tag."""
    name, message = wish.artifact, wish.message
    match wish.verb:
        case Verb.REGISTER:
            return plan_registration(
                registry,
                name,
                wish.commit_id,
                wish.version,
                part=wish.part,
                message=message,
            )
        case Verb.DEREGISTER:
            return plan_deregistration(registry, name, wish.version, message=message)
        case Verb.ASSIGN:
            is_commit = COMMIT.fullmatch(wish.version) is not None
            return plan_assignment(
                registry,
                name,
                wish.stage,
                version="" if is_commit else wish.version,
                commit_id=wish.version if is_commit else wish.commit_id,
                message=message,
            )
        case Verb.RESTORE:
            return plan_restoration(registry, name, wish.stage, message=message)
        case Verb.UNASSIGN:
            return plan_unassignment(
                registry, name, wish.stage, wish.version, message=message
            )
        case Verb.DEPRECATE:
            head = wish.repository.head
            return plan_deprecation(registry, name, head=head, message=message)
        case Verb.REVIVE:
            return plan_revival(registry, name, message=message)
        case _:
            raise ValueError(f"{wish.verb} writes no tag")


def order_at(plan: TagPlan, tagger: Person, now: Instant) -> TagOrder:
    """The plan as an order of one person, dated after all that happened to the
    artifact: what the clock here or there says cannot turn two events round."""
    seconds = max(now.seconds, plan.not_before)
    return TagOrder(
        plan.name, plan.commit_id, plan.message, tagger, Instant(seconds, now.offset)
    )


def nonsense(wish: Wish) -> Refusal | None:
    """What can be told without a look at anything."""
    for code, text in (
        ("bad-artifact", wish.artifact),
        ("bad-version", wish.version),
        ("bad-stage", wish.stage),
        ("bad-commit", wish.commit_id),
    ):
        if len(text) > LONGEST_NAME or not limits.holds(text):
            return Refusal(
                code,
                f"A name has at most {LONGEST_NAME} characters, and none that a text "
                "cannot hold.",
            )
    if not all(map(limits.holds, limits.texts_in([wish.message, dict(wish.fields)]))):
        return Refusal("bad-message", "The text holds characters that Git cannot keep.")
    if FORGED.search(wish.message):
        return Refusal(
            "bad-message",
            "A line that begins with “Requested-by:” is written by Muster alone. Leave "
            "it out of the message.",
        )
    if wish.verb not in TAG_VERBS:
        return None
    if wish.verb == Verb.REGISTER and not wish.commit_id:
        return Refusal("nothing-chosen", "Choose the commit to register.")
    if wish.commit_id and not COMMIT.fullmatch(wish.commit_id):
        return Refusal(
            "bad-commit",
            "A commit is given by its whole id: 40 characters, digits and a to f.",
        )
    needs_stage = {Verb.ASSIGN, Verb.UNASSIGN, Verb.RESTORE}
    if wish.verb in needs_stage and not wish.stage:
        return Refusal("nothing-chosen", "Choose a stage.")
    needs_version = {Verb.ASSIGN, Verb.UNASSIGN, Verb.DEREGISTER}
    if wish.verb in needs_version and not (wish.version or wish.commit_id):
        return Refusal("nothing-chosen", "Choose a version.")
    if len(wish.message) > LONGEST_MESSAGE:
        return Refusal(
            "bad-message", f"A message has at most {LONGEST_MESSAGE:,} characters."
        )
    if NOT_A_REF.search(wish.artifact.replace(":", "=")):
        return Refusal(
            "bad-artifact",
            f"Git allows no tag for a model named {wish.artifact[:60]}: a name has no "
            "“//”, no “..” and no part that begins or ends with a full stop.",
        )
    if wish.stage and NOT_A_REF.search(wish.stage):
        return Refusal("bad-stage", "Git allows no tag for this stage: it has “//”.")
    return None


def _unwritable(plan: TagPlan, state: RegistryState, artifact: str) -> Refusal | None:
    """A version that stands on a tag of a tag: gto takes the inner tag for its commit,
    and a tag that Muster writes is one of a commit."""
    found = state.artifacts.get(artifact)
    for version in found.versions if found else ():
        if version.commit_id == plan.commit_id and version.peeled_id not in {
            "",
            plan.commit_id,
        }:
            return Refusal(
                "tag-of-a-tag",
                f"{version.name[:40]} was registered by a tag of another tag, which "
                "Muster does not write. Use git and gto for this version.",
            )
    return None


def _meaning(
    wish: Wish, plan: TagPlan, version: str, changes: Iterable[StageChange]
) -> str:
    return _digest(
        [
            wish.verb.value,
            wish.artifact,
            plan.tag.kind.value,
            version,
            plan.tag.stage,
            plan.commit_id,
            [[one.stage, one.before, one.after] for one in changes],
        ]
    )


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
