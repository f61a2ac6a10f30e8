"""From Git tags to what they say: which tags are GTO's, in the order gto reads them,
and what is wrong with the others.

gto reads three times: deprecations, then registrations with deregistrations, then
assignments with unassignments; each time by date, then by the ref's name. The ref's
name decides whether and when a tag is read, the name inside the tag object what it
says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from indexer.core.events import EventKind, moment
from indexer.core.registry import MAX_NAME
from indexer.core.snapshot import GitTag, Instant, ObjectType, Problem, TagObject
from indexer.core.tags import ParsedTag, parse_tag_name

_PASS = {
    EventKind.DEPRECATION: 0,
    EventKind.REGISTRATION: 1,
    EventKind.DEREGISTRATION: 1,
    EventKind.ASSIGNMENT: 2,
    EventKind.UNASSIGNMENT: 2,
}


@dataclass(slots=True)
class ReadTag:
    """A tag object that says something. `refs`: every ref that leads to it."""

    order: tuple[int, int, str, str, str]  # pass, moment, ref, object, commit
    says: ParsedTag
    tag: TagObject
    peeled_id: str
    refs: list[str]

    @property
    def moment(self) -> int:
        return self.order[1]


# By artifact; artifacts in the order of their first tag, tags in gto's order. A stage
# tag that gto reads more than once is there as often, with one and the same `refs`.
ReadTags: TypeAlias = dict[str, list[ReadTag]]


def read_tags(
    tags: Iterable[GitTag], at: Instant | None
) -> tuple[ReadTags, list[Problem]]:
    """What `tags` say as of `at` (None: all; unknown dates always count), each event
    once however many refs lead to it, and the problems of those that GTO concerns."""
    problems: list[Problem] = []
    read: list[ReadTag] = []
    for tag in tags:
        outer = parse_tag_name(tag.ref)
        if tag.tag is None:
            if outer is not None:
                problems.append(_lightweight(tag, outer))
            continue
        when = moment(tag.tag.tagged)
        if at is not None and when > at.seconds:
            continue
        inner = outer if tag.tag.name == tag.ref else parse_tag_name(tag.tag.name)
        if outer is None and inner is None:
            continue
        if not _is_plain(tag, tag.tag, inner):
            problems.extend(_problems(tag, tag.tag, outer, inner))
        if (
            outer is None
            or inner is None
            or not _is_usable(tag.tag, inner, has_commit=tag.commit_id is not None)
        ):
            continue
        peeled_id = tag.commit_id or tag.tag.target_id
        read.append(
            ReadTag(
                order=(_PASS[outer.kind], when, tag.ref, tag.object_id, peeled_id),
                says=inner,
                tag=tag.tag,
                peeled_id=peeled_id,
                refs=[tag.ref],
            )
        )
    read.sort(key=lambda item: item.order)
    return _once(read), problems


def _once(read: list[ReadTag]) -> ReadTags:
    """Group by artifact and make doubles one: gto takes two tag objects that say the
    same of one commit, by one person in one second, for one event, and one object is
    one event however many refs lead to it. A stage stands there as often as gto reads
    it: there may be a version by the second time."""
    seen: dict[object, ReadTag] = {}
    grouped: ReadTags = {}
    for item in read:
        tag, says = item.tag, item.says
        person = tag.tagger
        key = (
            tag.name,
            tag.target_id,
            item.moment,
            person and (person.name, person.email),
            tag.message,
        )
        first = seen.setdefault(key, item)
        if first is not item:
            if item.refs[0] not in first.refs:
                first.refs.append(item.refs[0])
            item.refs = first.refs
        if first is item or says.stage is not None:
            grouped.setdefault(says.artifact, []).append(item)
    return grouped


def _is_plain(ref: GitTag, tag: TagObject, says: ParsedTag | None) -> bool:
    """Nothing can be wrong with it: what nearly all tags are."""
    return (
        says is not None
        and len(ref.ref) <= MAX_NAME
        and tag.name == ref.ref
        and tag.target_type is ObjectType.COMMIT
        and ref.commit_id is not None
        and not tag.flaws
    )


def _is_usable(tag: TagObject, says: ParsedTag, *, has_commit: bool) -> bool:
    """Whether the tag makes an event. A deprecation needs no commit, as in gto."""
    if not tag.target_id or not _fits(says):
        return False
    return has_commit or says.kind is EventKind.DEPRECATION


def _fits(says: ParsedTag) -> bool:
    return (
        len(says.artifact) <= MAX_NAME
        and len(says.version or "") <= MAX_NAME
        and len(says.stage or "") <= MAX_NAME
    )


def _short(name: str) -> str:
    return name if len(name) <= 80 else f"{name[:80]}…"


def _place(says: ParsedTag | None) -> str:
    """The artifact to show a problem at; "" for none or for a name no row can hold."""
    return says.artifact if says and len(says.artifact) <= MAX_NAME else ""


def _lightweight(tag: GitTag, says: ParsedTag) -> Problem:
    return Problem(
        "lightweight-tag",
        f"{_short(tag.ref)} is a lightweight tag, without author and date, so it"
        " counts for nothing. Make an annotated one: git tag -a.",
        artifact=_place(says),
        tag=tag.ref,
    )


def _problems(
    ref: GitTag, tag: TagObject, outer: ParsedTag | None, inner: ParsedTag | None
) -> Iterator[Problem]:
    yield from _name_problems(ref, tag, outer, inner)
    says = inner if outer else None
    if says is None:
        return
    artifact = _place(says)
    shown = _short(ref.ref)
    if not _fits(says):
        yield Problem(
            "name-too-long",
            f"Tag {shown}: artifact, version and stage may have {MAX_NAME} characters"
            " each; the tag is left out.",
            artifact=artifact,
            tag=ref.ref,
        )
    if ref.commit_id is None or not tag.target_id:
        end = (
            "The deprecation counts all the same."
            if says.kind is EventKind.DEPRECATION and tag.target_id
            else "It is left out; tag a commit."
        )
        yield Problem(
            "tag-not-on-commit",
            f"Tag {shown} leads to no commit (its target: {tag.target_type}). {end}",
            artifact=artifact,
            tag=ref.ref,
        )
    elif tag.target_type is ObjectType.TAG:
        yield Problem(
            "tag-of-tag",
            f"{shown} tags another tag and not a commit. It counts as being on a"
            " commit of its own, as in gto; tag the commit itself.",
            artifact=artifact,
            tag=ref.ref,
        )
    if tag.flaws:
        code = "tag-flaw"
        if tag.tagger is None:
            code = "tag-without-tagger"
        elif tag.tagged is None:
            code = "tag-without-date"
        yield Problem(
            code,
            f"Tag {shown}: {' '.join(tag.flaws)}",
            artifact=artifact,
            tag=ref.ref,
        )


def _name_problems(
    ref: GitTag, tag: TagObject, outer: ParsedTag | None, inner: ParsedTag | None
) -> Iterator[Problem]:
    """The name inside the tag object differs from the ref's: said of both artifacts,
    because a reader of the host's page sees the ref's name alone."""
    if tag.name == ref.ref:
        return
    shown, name = _short(ref.ref), _short(tag.name)
    if outer is None:
        words = (
            f"The tag object behind {shown} is named {name}. gto reads no tag whose"
            " ref is not a GTO name, so it counts for nothing."
        )
    elif inner is None:
        words = (
            f"The tag object behind {shown} is named {name or 'nothing'}, which is no"
            " GTO name, so it counts for nothing; gto fails on it."
        )
    else:
        words = (
            f"The tag object behind {shown} is named {name}, and that name counts, as"
            " in gto. Make the tag again under one name."
        )
    for artifact in sorted({_place(outer), _place(inner)} - {""}) or [""]:
        yield Problem("tag-name-differs", words, artifact=artifact, tag=ref.ref)
