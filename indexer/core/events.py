"""What a tag says happened."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from indexer.core.snapshot import Instant, Person


class EventKind(StrEnum):
    """The five things a GTO tag can say."""

    REGISTRATION = "registration"
    DEREGISTRATION = "deregistration"
    ASSIGNMENT = "assignment"
    UNASSIGNMENT = "unassignment"
    DEPRECATION = "deprecation"


@dataclass(frozen=True, slots=True)
class Event:
    """One event of one artifact, derived from one annotated tag object.

    `version` is the version's name; the 40-hex commit id where a stage tag stands
    on a commit without a version; None for a deprecation. `commit_id` is what gto
    calls the commit (the tag's target). `at` None: the date could not be read; such
    an event sorts before every dated one. `tag` is the name inside the tag object,
    `refs` all refs (sorted) that lead to it, `tag_id` the object's id."""

    kind: EventKind
    artifact: str
    version: str | None
    stage: str | None
    commit_id: str
    at: Instant | None
    author: Person
    message: str
    tag: str
    tag_id: str
    refs: tuple[str, ...]
