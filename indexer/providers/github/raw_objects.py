"""Git's objects put together again from the fields that GitHub tells of them.

Each function here makes candidates for an object's bytes; `prove` takes the one whose
SHA-1 is the object's id, so whatever is taken is what Git holds, byte for byte. What
GitHub leaves out (the line feed at a message's end, the time zone where it tells UTC,
how a signature was folded) is tried: there are few ways."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, product

from indexer.core.snapshot import ObjectType

FOLDER = b"40000"
# Every time zone there is or was lies on a quarter of an hour. The likely ones first.
ZONES = sorted(
    range(-12 * 60, 14 * 60 + 1, 15), key=lambda zone: (zone % 60, abs(zone))
)


@dataclass(frozen=True, slots=True)
class Signer:
    """Who made an object, and when: seconds since 1970, and the time zone as Git may
    have written it; in the order of likelihood."""

    name: str
    email: str
    seconds: int
    zones: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a tree."""

    mode: bytes
    name: bytes
    object_id: str


def object_id_of(kind: ObjectType, body: bytes) -> str:
    """The id Git gives an object."""
    head = f"{kind.value} {len(body)}\0".encode("ascii")
    return hashlib.sha1(head + body, usedforsecurity=False).hexdigest()


def prove(
    kind: ObjectType, object_id: str, candidates: Iterable[bytes]
) -> bytes | None:
    """The candidate that is the object; None if none is."""
    for body in candidates:
        if object_id_of(kind, body) == object_id:
            return body
    return None


def parse_signer(
    name: str | None, email: str | None, date: str | None
) -> Signer | None:
    """A signer by GitHub's fields; None if there is no date to read. A date in UTC may
    stand for any zone: GitHub's REST tells no other."""
    try:
        moment = datetime.fromisoformat(date or "")
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    offset = moment.utcoffset()
    minutes = int(offset.total_seconds()) // 60 if offset else 0
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    seconds = int((moment - epoch).total_seconds())
    zones = (_zone(minutes),) if minutes else ("+0000", "-0000")
    return Signer(name or "", email or "", seconds, zones)


def in_any_zone(signer: Signer) -> Signer:
    """The same, for an answer that tells UTC instead of the zone."""
    zones = dict.fromkeys((*signer.zones, *map(_zone, ZONES)))
    return Signer(signer.name, signer.email, signer.seconds, tuple(zones))


def tag_bodies(
    target_id: str,
    target_type: ObjectType,
    name: str,
    tagger: Signer | None,
    message: str,
) -> Iterator[bytes]:
    """What a tag object may be."""
    head = _encode(f"object {target_id}\ntype {target_type.value}\ntag {name}\n")
    if head is None:
        return
    lines = [b""] if tagger is None else _signer_lines("tagger", tagger)
    for line, words in product(lines, _messages(message)):
        yield head + line + b"\n" + words
    if not message:
        yield from (head + line for line in lines)


def commit_bodies(
    tree_id: str,
    parents: Sequence[str],
    author: Signer,
    committer: Signer,
    message: str,
    *,
    signature: str = "",
) -> Iterator[bytes]:
    """What a commit may be; `signature` is that of its `gpgsig` header."""
    top = f"tree {tree_id}\n" + "".join(f"parent {parent}\n" for parent in parents)
    head = top.encode("ascii")
    messages = _messages(message)
    # Both signers mostly sit in one time zone.
    same = zip(
        _signer_lines("author", author), _signer_lines("committer", committer),
        strict=False,
    )  # fmt: skip
    every = product(
        _signer_lines("author", author), _signer_lines("committer", committer)
    )
    for (by, of), words in product(chain(same, every), messages):
        plain = head + by + of + b"\n" + words
        if signature:
            yield from with_signature(plain, signature)
        else:
            yield plain


def signed_bodies(kind: ObjectType, payload: str, signature: str) -> Iterator[bytes]:
    """What a signed object may be, by what was signed: a tag ends with the signature,
    a commit has it in a header."""
    plain, words = _encode(payload), _encode(signature)
    if plain is None or words is None:
        return
    if kind is ObjectType.TAG:
        for end in _ends(words):
            yield plain + end
            yield plain + b"\n" + end
        return
    yield from with_signature(plain, signature)


def with_signature(plain: bytes, signature: str) -> Iterator[bytes]:
    """A commit with the signature in its last header, folded as Git does."""
    words = _encode(signature)
    head, gap, message = plain.partition(b"\n\n")
    if words is None or not gap:
        return
    for end in _ends(words):
        folded = end.replace(b"\n", b"\n ")
        yield head + b"\ngpgsig " + folded + b"\n\n" + message


def tree_bodies(entries: Sequence[Entry]) -> Iterator[bytes]:
    """What a tree may be: in the order that was told, and in Git's."""
    yield _tree_body(entries)
    yield _tree_body(
        sorted(entries, key=lambda e: e.name + (b"/" if e.mode == FOLDER else b""))
    )


def blob_bodies(text: str) -> Iterator[bytes]:
    """What a text file may be; a mark of byte order at its beginning gets lost."""
    plain = _encode(text)
    if plain is not None:
        yield plain
        yield b"\xef\xbb\xbf" + plain


def _tree_body(entries: Iterable[Entry]) -> bytes:
    return b"".join(
        entry.mode + b" " + entry.name + b"\0" + bytes.fromhex(entry.object_id)
        for entry in entries
    )


def _signer_lines(what: str, signer: Signer) -> list[bytes]:
    """The lines a signer may have: `author Name <e-mail> seconds zone`."""
    lines = []
    for zone in signer.zones:
        who = f"{signer.name} <{signer.email}>"
        line = _encode(f"{what} {who} {signer.seconds} {zone}\n")
        if line is not None:
            lines.append(line)
    if not signer.name:
        lines += [line.replace(b"  <", b" <", 1) for line in lines]
    return lines


def _messages(message: str) -> list[bytes]:
    """What a message may be: GitHub leaves out line feeds at its end."""
    words = _encode(message)
    if words is None:
        return []
    return list(dict.fromkeys((words, words + b"\n", words.rstrip(b"\n") + b"\n")))


def _ends(words: bytes) -> list[bytes]:
    """A signature with and without line feeds at its end."""
    bare = words.rstrip(b"\n")
    return list(dict.fromkeys((words, bare + b"\n", bare, bare + b"\n\n")))


def _encode(text: str) -> bytes | None:
    """UTF-8; None for what JSON can say and UTF-8 cannot (half a surrogate pair)."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return None


def _zone(minutes: int) -> str:
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02d}{rest:02d}"
