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


# Before every date that can be read (snapshot.FIRST_SECOND).
UNKNOWN_MOMENT = -(2**62)


def moment(at: Instant | None) -> int:
    """Seconds since 1970 to order by; an unknown date comes before all others."""
    return UNKNOWN_MOMENT if at is None else at.seconds


@dataclass(frozen=True, slots=True)
class Event:
    """One event of one artifact, derived from one annotated tag object.

    `version` is the version's name; the 40-hex commit id where a stage tag stands
    on a commit without a version; None for a deprecation. `commit_id` is what gto
    calls the commit (the tag's target). `at` None: the date could not be read; such
    an event sorts before every dated one. `tag` is the name inside the tag object,
    `refs` all refs (sorted) that lead to it, `tag_id` the object's id. `peeled_id` is
    the commit itself, which differs from `commit_id` for a tag of a tag alone."""

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
    peeled_id: str = ""

    @property
    def moment(self) -> int:
        """Seconds since 1970 to order by; unknown dates come before all others."""
        return moment(self.at)
