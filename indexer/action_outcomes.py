"""How actions end, in words: what was done, what was refused and why, and who was
first."""

from __future__ import annotations

from indexer.action_rows import Outcome
from indexer.crypto import WrongKey
from indexer.models import ActionLog, Event, Repository
from indexer.providers import errors
from indexer.times import exact
from indexer.write_ways import NoWay

Status = ActionLog.Status
WAITING = "Waiting for "  # how a sentence of RateLimited begins


def not_known(why: str) -> Outcome:
    """The end of an action that nobody can ask about, nor wait for: it would keep all
    others from the model."""
    return Outcome(
        Status.UNKNOWN,
        "not-known",
        f"{why} An earlier try may have written it before: look into the repository.",
    )


def said_by(error: Exception) -> str:
    """The sentence of an error for people."""
    if isinstance(error, errors.ProviderError | NoWay):
        return error.sentence
    return str(error)


def outcome_of(error: Exception) -> Outcome | None:
    """The end that an error makes; None for one that nobody foresaw."""
    if isinstance(error, NoWay):
        return Outcome(Status.REFUSED, error.code, error.sentence)
    if isinstance(error, errors.RateLimited):
        return Outcome(
            Status.FAILED,
            "rate-limited",
            f"A limit of requests holds at {error.sentence.removeprefix(WAITING)} "
            "Nothing was written; ask again then.",
        )
    if isinstance(error, errors.Unavailable):
        return Outcome(Status.FAILED, "unavailable", _nothing(error.sentence))
    if isinstance(error, errors.AccessDenied):
        return Outcome(Status.REFUSED, "access-denied", _nothing(error.sentence))
    if isinstance(error, errors.Refused):
        return Outcome(Status.REFUSED, "provider-refused", _nothing(error.sentence))
    if isinstance(error, errors.ProviderError):
        return Outcome(Status.FAILED, "provider-error", _nothing(error.sentence))
    if isinstance(error, WrongKey):
        return Outcome(Status.FAILED, "wrong-key", _nothing(str(error)))
    return None


def _nothing(sentence: str) -> str:
    """A sentence of an action that has ended: nobody tries it again by themselves."""
    sentence = sentence.replace("Muster tries again later", "Try again later")
    sentence = sentence.replace("; Try again", "; try again")
    said = "othing was written" in sentence or "othing was sent" in sentence
    return sentence if said else f"{sentence} Nothing was written."


def done_sentence(row: ActionLog) -> str:
    """What was done, for the person who asked."""
    version = _short(row.version) if row.version else ""
    name, stage = row.artifact, row.stage
    verbs = ActionLog.Verb
    said = {
        verbs.REGISTER: f"{name} {version} is registered",
        verbs.DEREGISTER: f"{name} {version} is deregistered",
        verbs.ASSIGN: f"{stage} is assigned to {name} {version}",
        verbs.RESTORE: f"{stage} is back at {name} {version}",
        verbs.UNASSIGN: f"{stage} is taken from {name} {version}",
        verbs.DEPRECATE: f"{name} is deprecated",
        verbs.REVIVE: f"{name} is active again",
    }[verbs(row.verb)]
    return f"{said}: tag {row.tag}."


def latest_event(repository: Repository, artifact: str) -> str:
    """Who did what last, as a sentence: whoever was first."""
    event = (
        Event.objects.filter(repository=repository, artifact__name=artifact)
        .order_by("-at_key", "-pk")
        .first()
    )
    if event is None:
        return ""
    what = f"{event.get_kind_display().lower()}"
    about = " ".join(filter(None, (event.stage, _short(event.version))))
    when = f", {exact(event.at, 0)}" if event.at else ""
    return f" Last: {what} {about} by {event.author_name or 'nobody named'}{when}."


def _short(version: str) -> str:
    return version if version.startswith("v") else version[:7]
