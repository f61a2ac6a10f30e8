"""How GitHub tells people, messages and signatures of Git objects."""

from __future__ import annotations

import re

from tests.providers.github_state import JSON, Conventions, stamp
from tests.providers.object_store import GitObject, Person, text


def person(who: Person | None) -> JSON:
    """REST gives times in UTC, and the epoch where there is none."""
    name, email, date = (who.name, who.email, who.date) if who else ("", "", None)
    when = stamp(date) if date else "1970-01-01T00:00:00Z"
    return {"name": name, "email": email, "date": when}


def tag_message(found: GitObject, conventions: Conventions) -> str:
    message = found.message
    signature = found.signature
    if signature and not conventions.tag_with_signature:
        message = message.removesuffix(signature)
    return message if conventions.tag_line_feed else message.removesuffix("\n")


def commit_message(found: GitObject, conventions: Conventions) -> str:
    keeps = conventions.commit_line_feed
    return found.message if keeps else found.message.rstrip("\n")


def payload_of(found: GitObject) -> str:
    """What a signature signs: the object without it."""
    whole = text(found.data)
    if found.kind == "tag":
        return whole.removesuffix(found.signature)
    head, gap, message = whole.partition("\n\n")
    return re.sub(r"\ngpgsig .*(?:\n .*)*", "", head) + gap + message


def verification(found: GitObject) -> JSON:
    signature = found.signature
    return {
        "verified": False,
        "reason": "unknown_key" if signature else "unsigned",
        "signature": signature or None,
        "payload": payload_of(found) if signature else None,
        "verified_at": None,
    }
