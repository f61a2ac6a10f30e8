"""The forms of actions: what was entered, what can be chosen, and the wish it makes.

What is entered stays as it is, whatever becomes of it: a form that comes back has lost
nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from indexer.core.plans import Registry, suggest_version
from indexer.core.registry import Artifact as ArtifactState
from indexer.core.snapshot import RepositorySnapshot
from indexer.core.versions import Part
from indexer.models import ActionLog, Repository, RepositoryFacet
from indexer.stages import ordered_stages
from indexer.wishes import TAG_VERBS, Outlook, Wish, outlook, registry_of

Verb = ActionLog.Verb
# What each form asks for; the message always.
ENTERED: Mapping[Verb, tuple[str, ...]] = {
    Verb.REGISTER: ("commit", "typed", "bump", "version"),
    Verb.ASSIGN: ("version", "typed", "stage", "new_stage"),
    Verb.RESTORE: ("stage",),
    Verb.UNASSIGN: ("stage", "version"),
    Verb.DEREGISTER: ("version",),
    Verb.DEPRECATE: (),
    Verb.REVIVE: (),
}
OWN = "own"  # of the bumps: a version that is typed
NEW = "*"  # of the stages: one that is typed; no stage can be called so
MOST_VERSIONS = 200  # in the list; others are typed


@dataclass(frozen=True, slots=True)
class Choice:
    """Something to choose, and what stands beside it."""

    value: str
    text: str
    about: str = ""
    chosen: bool = False


@dataclass(slots=True)
class ActionForm:
    """One form, by what was entered in it."""

    verb: Verb
    repository: Repository
    artifact: str
    entered: dict[str, str]
    registry: Registry
    snapshot: RepositorySnapshot
    outlook: Outlook = field(default_factory=Outlook)

    @classmethod
    def of(
        cls, verb: Verb, repository: Repository, artifact: str, data: Mapping[str, str]
    ) -> ActionForm:
        """The form with what `data` says of its fields. Some ten queries."""
        names = (*ENTERED[verb], "message")
        entered = {name: data.get(name, "").strip(" ") for name in names}
        entered["message"] = entered["message"].replace("\r\n", "\n")
        registry, snapshot = registry_of(repository, artifact)
        form = cls(verb, repository, artifact, entered, registry, snapshot)
        form._fill()
        form.outlook = outlook(form.wish, (registry, snapshot))
        return form

    def _fill(self) -> None:
        """Choose what nobody has chosen yet, where one choice is the likely one."""
        entered = self.entered
        if self.verb == Verb.REGISTER:
            entered["commit"] = entered["commit"] or self.repository.head
            entered["bump"] = entered["bump"] or (
                OWN if entered["version"] else Part.PATCH.value
            )
        if self.verb == Verb.ASSIGN and not entered["version"]:
            latest = self.state.latest if self.state else None
            entered["version"] = latest.name if latest else ""

    @property
    def state(self) -> ArtifactState | None:
        """The artifact, by the rows; None for one that nobody has heard of."""
        return self.registry.state.artifacts.get(self.artifact)

    @property
    def commit(self) -> str:
        """The commit that is chosen; typed beats picked."""
        return self.entered.get("typed", "") or self.entered.get("commit", "")

    @property
    def stage(self) -> str:
        stage = self.entered.get("stage", "")
        return self.entered.get("new_stage", "") if stage == NEW else stage

    @property
    def wish(self) -> Wish:
        """What it asks for."""
        entered = self.entered
        message = entered["message"].strip()
        version = entered.get("version", "")
        if self.verb == Verb.REGISTER:
            own = entered["bump"] == OWN
            part = entered["bump"] if entered["bump"] in set(Part) else Part.PATCH
            return Wish(
                self.verb,
                self.repository,
                self.artifact,
                version=(version or "?") if own else "",
                commit_id=self.commit,
                part=Part(part),
                message=message,
            )
        return Wish(
            self.verb,
            self.repository,
            self.artifact,
            version=entered.get("typed", "") or version,
            stage=self.stage,
            message=message,
        )

    # What can be chosen ---------------------------------------------------------------

    @property
    def bumps(self) -> list[Choice]:
        """The next patch, minor and major version, and one's own."""
        if self.state is None or self.state.latest is None:
            first = suggest_version(self.registry, self.artifact)
            named = [Choice(Part.PATCH.value, first, "the first")]
        else:
            named = [
                Choice(
                    part.value,
                    suggest_version(self.registry, self.artifact, part),
                    part.value,
                )
                for part in (Part.PATCH, Part.MINOR, Part.MAJOR)
            ]
        values = {choice.value for choice in named}
        wanted = self.entered["bump"]
        wanted = wanted if wanted in values | {OWN} else Part.PATCH.value
        return [
            Choice(one.value, one.text, one.about, one.value == wanted) for one in named
        ]

    @property
    def taken(self) -> dict[str, str]:
        """The commits that have a version already."""
        return versions_by_commit(self.registry, self.artifact)

    @property
    def versions(self) -> list[Choice]:
        """The versions that a stage can be given to, the greatest first."""
        wanted = self.entered.get("version", "")
        found = self.state.versions if self.state else ()
        shown = [one for one in found if one.is_active and not one.is_discovered]
        choices = [
            Choice(
                one.name,
                one.name if one.name.startswith("v") else f"commit {one.name[:10]}",
                ", ".join(one.stages),
                one.name == wanted,
            )
            for one in shown[:MOST_VERSIONS]
        ]
        if wanted and not any(choice.chosen for choice in choices):
            choices.insert(0, Choice(wanted, wanted[:40], "", True))
        return choices

    @property
    def is_enforced(self) -> bool:
        """Whether the repository's .gto says which stages there are."""
        return self.registry.state.has_stage_list

    @property
    def stages(self) -> list[Choice]:
        """The stages of .gto, else those in use in the repository; with who holds each
        now. One query."""
        order = self.registry.state.stage_order
        if self.is_enforced:
            names = list(order)
        else:
            used = RepositoryFacet.objects.filter(
                repository=self.repository, kind=RepositoryFacet.Kind.STAGE
            ).values_list("value", flat=True)
            names = ordered_stages([*used, *order], [(order, 1)])
        holders = self.state.stages if self.state else {}
        return [
            Choice(
                name,
                name,
                ", ".join(short(one.version) for one in holders.get(name, ())),
                name == self.entered["stage"],
            )
            for name in names
        ]

    @property
    def is_new_stage(self) -> bool:
        return self.entered.get("stage") == NEW

    @property
    def does(self) -> str:
        """What the button says."""
        name, stage = self.artifact, self.stage
        version = short(self.outlook.version or self.wish.version)
        return {
            Verb.REGISTER: f"Register {name} {version}",
            Verb.ASSIGN: f"Assign {stage} to {version}",
            Verb.RESTORE: f"Put {version} back in {stage}",
            Verb.UNASSIGN: f"Take {stage} from {version}",
            Verb.DEREGISTER: f"Deregister {version}",
            Verb.DEPRECATE: f"Deprecate {name}",
            Verb.REVIVE: f"Revive {name}",
        }[self.verb]


def versions_by_commit(registry: Registry, artifact: str) -> dict[str, str]:
    """The registered versions of an artifact by their commits."""
    found = registry.state.artifacts.get(artifact)
    return {
        one.peeled_id or one.commit_id: one.name
        for one in (found.versions if found else ())
        if one.is_registered and one.is_active
    }


def short(version: str) -> str:
    """A version's name, or the beginning of a commit's id."""
    return version if version.startswith("v") else version[:7]


def tag_verb(text: str) -> Verb | None:
    """The verb that an address names; None for no such."""
    try:
        verb = Verb(text)
    except ValueError:
        return None
    return verb if verb in TAG_VERBS else None
