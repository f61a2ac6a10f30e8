"""A repository that grows at random, step by step, and readers of it.

`steps()` is a Hypothesis strategy; `GrowingRepository.take(step)` does to the remote
what people do to one over the years, usual and odd: tags of many artifacts in a few
seconds, moved, deleted and back-dated ones, several refs to one tag object, branches
that come and go, orphans, merges, another default branch, files that annotate and stop
to annotate. Whatever the numbers of a step, it makes sense."""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import strategies as st

from indexer.core.snapshot import ObjectType, RepositorySnapshot
from indexer.providers.base import Known, Listing, Progress, no_progress
from indexer.providers.git.listing import parse_listing
from indexer.providers.objects import Body, Header, Missing, Want
from indexer.providers.reading import Reading
from tests.providers.raw_repository import RawRepository

START = 1_600_000_000
TAGS, HEADS = b"refs/tags/", b"refs/heads/"
ARTIFACTS = (b"a", b"b", b"sub=c", b"models/cv", b"x/y.z=a-b_c")
VERSIONS = (b"v1.0.0", b"v1.1.0", b"v2.0.0-rc.1", b"v2.0.0", b"v1.0.0+one", b"v10.0.0")
STAGES = (b"dev", b"prod", b"a/b")
PEOPLE = (
    b"Ada <ada@example.org>",
    "José <j+x@example.org>".encode(),
    b"Bob B. <bob@example.org>",
)
ZONES = (b"+0000", b"+0200", b"-0800", b"+0545")
ODD_PERSON, ODD_ZONE = b"N\xf6 <>", b"+9900"
FOREIGN = (b"v1.0.0", b"release-2", b"a@created", b"m\xff@v1.0.0", b"\xc3\xa4@v1.0.0")
BRANCHES = (b"main", b"dev", b"feature/a", b"o\xffdd", b"Main")
A = b"artifacts:\n  a: {type: model, path: a.pkl, labels: [x, y]}\n"
DVC = (
    b"",
    A + b"  z: {type: model}\n",
    A + b"  y: {type: data}\n",
    b"artifacts:\n  b: {type: dataset, path: b.csv, desc: 'B: one'}\n",
    b"artifacts: [a\n",
)
YAML = (b"a: {type: model, path: a}\nq: {type: model}\n", b"b: {labels: [1]}\n")
GTO = (
    b"stages: [dev, prod, a/b]\n",
    b"stages: [dev]\n",
    b"types: [model]\nstages: [prod, dev]\nodd: 1\n",
)
SUB = b"artifacts:\n  c: {type: model, path: c.pkl}\n"

# What a step does; those named several times come more often. Nothing comes first, so
# that a growth that fails is made smaller.
CALM = (
    "nothing",
    *("register",) * 12,
    *("assign",) * 10,
    *("unassign", "deregister", "deprecate") * 4,
    *("commit on top",) * 3,
)
KINDS = (
    *CALM,
    *("commit on top",) * 3,
    *("move a tag", "delete a tag", "second ref", "lightweight", "foreign"),
    *("broken tag", "tag of a tag", "another name"),
    *("orphan", "merge", "push a branch", "push a branch", "delete a branch"),
    *("default branch", "force-push", "reading"),
)


@dataclass(frozen=True)
class Step:
    """One change, by numbers that are taken modulo what there is. `second`: below 5 one
    that is likely to be shared, 7 one of its own before all others, else one of its own
    after them. `look`: the remote is crawled after it."""

    kind: str
    artifact: int = 0
    version: int = 0
    stage: int = 0
    commit: int = 0
    second: int = 0
    number: int = 0
    look: bool = True


def steps(most: int = 24) -> st.SearchStrategy[list[Step]]:
    """Changes of one repository, of all kinds or of the calm ones alone, which the
    short way is made for. Mostly one version a commit, without which most of it would
    be problems."""
    calm, any_kind = _steps(CALM, most), _steps(KINDS, most)
    return st.booleans().flatmap(lambda is_calm: calm if is_calm else any_kind)


def _steps(kinds: Sequence[str], most: int) -> st.SearchStrategy[list[Step]]:
    step = st.builds(
        Step,
        kind=st.sampled_from(kinds),
        artifact=st.integers(0, len(ARTIFACTS) - 1),
        version=st.sampled_from((*(0,) * 20, 1, 2, 3, 4, 5)),
        stage=st.integers(0, len(STAGES) - 1),
        commit=st.integers(0, 7),
        second=st.integers(0, 7),
        number=st.integers(0, 11),
        look=st.sampled_from((True, False, False)),
    )
    return st.lists(step, min_size=most // 3, max_size=most)


@dataclass
class GrowingRepository(RawRepository):
    """The remote. It starts with a commit on main; `is_odd`: what only a damaged
    repository holds comes too, which git would not serve. `readings` counts the times
    that its stages were to be read otherwise."""

    path: Path
    is_odd: bool = False
    objects: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)
    readings: int = 0

    def __post_init__(self) -> None:
        RawRepository.__init__(self, self.path)
        self.refs[HEADS + b"main"] = self._commit(Step("commit", number=1), [])
        self.finish()

    def write(self, kind: str, body: bytes) -> str:
        object_id = super().write(kind, body)
        self.objects[object_id] = kind, body
        return object_id

    def listing(self) -> Listing:
        """The refs as `git ls-remote` tells them."""
        lines: list[bytes] = []
        branch = self.head.removeprefix(b"ref: ").strip()
        if branch in self.refs:
            lines.append(b"ref: " + branch + b"\tHEAD")
            lines.append(self.refs[branch].encode() + b"\tHEAD")
        for ref, object_id in sorted(self.refs.items()):
            lines.append(object_id.encode() + b"\t" + ref)
            if self.objects.get(object_id, ("",))[0] == "tag":
                peeled = self._peel(object_id)
                lines.append(peeled.encode() + b"\t" + ref + b"^{}")
        return parse_listing(b"".join(line + b"\n" for line in lines))

    def take(self, step: Step) -> None:
        """Do it, and write the refs."""
        if step.kind == "nothing":
            return
        getattr(self, "_" + step.kind.replace(" ", "_").replace("-", "_"))(step)
        self.finish()

    # Tags -----------------------------------------------------------------------------

    def _register(self, step: Step, end: bytes = b"") -> None:
        self._tag(self._name(step, b"@" + self._version(step) + end), step)

    def _deregister(self, step: Step) -> None:
        self._register(step, b"!")

    def _assign(self, step: Step, end: bytes = b"") -> None:
        self._tag(self._name(step, b"#" + STAGES[step.stage] + end), step)

    def _unassign(self, step: Step) -> None:
        self._assign(step, b"!")

    def _deprecate(self, step: Step) -> None:
        self._tag(self._name(step, b"@deprecated"), step)

    def _lightweight(self, step: Step) -> None:
        name = self._name(step, b"@" + self._version(step))
        self.refs.setdefault(TAGS + name, self._target(step))

    def _foreign(self, step: Step) -> None:
        self._tag(FOREIGN[step.number % len(FOREIGN)], step)

    def _another_name(self, step: Step) -> None:
        inner = self._name(step, b"#" + STAGES[step.stage])
        self._tag(self._name(step, b"@" + self._version(step)), step, inner=inner)

    def _tag_of_a_tag(self, step: Step) -> None:
        if found := self._annotated():
            ref = found[step.commit % len(found)]
            name = self._name(step, b"#" + STAGES[step.stage])
            self._tag(name, step, target=self.refs[ref], kind="tag")

    def _second_ref(self, step: Step) -> None:
        """Of any pass of gto's, to a tag object of any other."""
        if found := self._annotated():
            ends = (
                b"@" + self._version(step),
                b"#" + STAGES[step.stage],
                b"@deprecated",
            )
            name = self._name(step, ends[step.second % 3])
            ref = found[step.commit % len(found)]
            self.refs.setdefault(TAGS + name, self.refs[ref])

    def _move_a_tag(self, step: Step) -> None:
        if found := self._annotated():
            ref = found[step.number % len(found)]
            self._tag(ref.removeprefix(TAGS), step, moved=True)

    def _delete_a_tag(self, step: Step) -> None:
        found = sorted(ref for ref in self.refs if ref.startswith(TAGS))
        if found:
            del self.refs[found[step.number % len(found)]]

    def _broken_tag(self, step: Step) -> None:
        name = self._name(step, b"@" + self._version(step))
        taggers = (b"", b"tagger Ada\n", b"tagger Ada <a@b> once +0000\n")
        target, kind = self._target(step), "commit"
        if step.number % 5 == 3:
            target, kind = self.blob(b"no commit"), "blob"
        elif step.number % 5 == 4 and self.is_odd:
            target = f"{step.commit + 1:040x}"
        head = f"object {target}\ntype {kind}\n".encode() + b"tag " + name + b"\n"
        self.refs.setdefault(
            TAGS + name,
            self.write("tag", head + taggers[step.second % 3] + b"\nIt broke\n"),
        )

    def _tag(
        self,
        name: bytes,
        step: Step,
        *,
        target: str = "",
        kind: str = "commit",
        inner: bytes = b"",
        moved: bool = False,
    ) -> None:
        if TAGS + name in self.refs and not moved:
            name += b"#%d" % len(self.refs)
        body = self.tag_body(
            target or self._target(step),
            inner or name,
            kind=kind,
            tagger=self._who(step),
            message=b"Say so %d\n" % (step.number % 3),
        )
        self.refs[TAGS + name] = self.write("tag", body)

    def _name(self, step: Step, end: bytes) -> bytes:
        name = ARTIFACTS[step.artifact] + end
        if end.endswith(b"!") or step.number % 2:
            name += b"#%d" % (step.number if step.number % 3 else len(self.refs))
        return name

    def _version(self, step: Step) -> bytes:
        place = step.version or self.commits.index(self._target(step))
        return VERSIONS[place % len(VERSIONS)]

    def _target(self, step: Step) -> str:
        return self.commits[step.commit % len(self.commits)]

    def _annotated(self) -> list[bytes]:
        return sorted(
            ref
            for ref, object_id in self.refs.items()
            if ref.startswith(TAGS) and self.objects.get(object_id, ("",))[0] == "tag"
        )

    def _peel(self, object_id: str) -> str:
        while True:
            kind, body = self.objects.get(object_id, ("", b""))
            if kind != "tag":
                return object_id
            object_id = body[len("object ") :].partition(b"\n")[0].decode()

    # Commits and branches -------------------------------------------------------------

    def _commit_on_top(self, step: Step) -> None:
        self._push(step, [self._tip()] if self._tip() else [])

    def _orphan(self, step: Step) -> None:
        self._push(step, [])

    def _merge(self, step: Step) -> None:
        parents = [self._tip(), self._target(step)]
        self._push(step, [parent for parent in parents if parent])

    def _push(self, step: Step, parents: list[str]) -> None:
        """To the default branch, or beside it."""
        branch = self._default()
        if step.number == 11:
            branch = HEADS + BRANCHES[step.artifact]
        self.refs[branch] = self._commit(step, parents)

    def _push_a_branch(self, step: Step) -> None:
        self.refs[HEADS + BRANCHES[step.artifact]] = self._target(step)

    def _delete_a_branch(self, step: Step) -> None:
        self.refs.pop(HEADS + BRANCHES[step.artifact], None)

    def _force_push(self, step: Step) -> None:
        self.refs[self._default()] = self._target(step)

    def _default_branch(self, step: Step) -> None:
        self.head = b"ref: " + HEADS + BRANCHES[step.artifact] + b"\n"

    def _reading(self, step: Step) -> None:
        self.readings += 1

    def _default(self) -> bytes:
        return self.head.removeprefix(b"ref: ").strip()

    def _tip(self) -> str:
        return self.refs.get(self._default(), "")

    def _commit(self, step: Step, parents: Sequence[str]) -> str:
        """Mostly without a change of the registry files."""
        if step.number % 3 == 1 or not self.commits:
            files = {"README.md": b"x", "dvc.yaml": DVC[step.artifact % len(DVC)]}
            if step.commit >= 5:
                files[".gto"] = GTO[step.commit - 5]
            if step.stage == 2:
                files["artifacts.yaml"] = YAML[step.second % len(YAML)]
            if step.stage == 1:
                files["sub/dvc.yaml"] = SUB
            tree = self.files({path: data for path, data in files.items() if data})
        else:
            body = self.objects[self._tip() or self.commits[-1]][1]
            tree = body[len("tree ") :].partition(b"\n")[0].decode()
        who = self._who(step)
        lines = [b"tree " + tree.encode()]
        lines += [b"parent " + parent.encode() for parent in parents]
        lines += [b"author " + who, b"committer " + who]
        message = b"Train %d\n" % len(self.commits)
        made = self.write("commit", b"\n".join(lines) + b"\n\n" + message)
        self.commits.append(made)
        return made

    def _who(self, step: Step) -> bytes:
        """The line of a tagger, author or committer."""
        person = PEOPLE[step.commit % len(PEOPLE)]
        zone = ZONES[(step.commit + step.second) % len(ZONES)]
        if step.number == 10:
            person, zone = ODD_PERSON, ODD_ZONE
        seconds = START + step.second
        if step.second >= 5:
            alone = 100 + len(self.objects)
            seconds = START + (alone if step.second < 7 else -alone)
        return b"%s %d %s" % (person, seconds, zone)


class MemoryObjects:
    """The objects of a repository of this machine, without a process."""

    fetches = False
    unreadable: Collection[str] = ()

    def __init__(self, objects: dict[str, tuple[str, bytes]]) -> None:
        self._objects = objects

    def load(self, object_ids: Collection[str], want: Want) -> dict[str, Header]:
        return self.headers(object_ids)

    def load_level(self, tree_ids: Collection[str]) -> None:
        pass

    def headers(self, object_ids: Collection[str]) -> dict[str, Header]:
        found = {key: self._objects[key] for key in object_ids if key in self._objects}
        return {
            key: Header(ObjectType(kind), len(body))
            for key, (kind, body) in found.items()
        }

    def bodies(
        self, object_ids: Sequence[str], *, limit: int
    ) -> Generator[Body, None, None]:
        for key in object_ids:
            if key in self._objects:
                kind, body = self._objects[key]
                cut = len(body) > limit
                yield Body(key, ObjectType(kind), body[:limit], cut)


class MemoryProvider:
    """Reads a growing repository as the Git reader does, out of memory. `asked` is how
    many tags each reading named."""

    def __init__(self, remote: GrowingRepository) -> None:
        self.remote = remote
        self.asked: list[int] = []

    def fetch_listing(self) -> Listing:
        return self.remote.listing()

    def fetch_snapshot(
        self, listing: Listing, known: Known, progress: Progress = no_progress
    ) -> RepositorySnapshot:
        self.asked.append(len(listing.tags))
        objects = MemoryObjects(self.remote.objects)
        try:
            return Reading(listing, known, progress, objects, first=True).snapshot()
        except Missing:
            again = self.fetch_listing()
            return Reading(again, known, progress, objects, first=False).snapshot()
