"""Parsers of raw Git tag and commit objects, on bytes. Total: any bytes in, a value
out; what could not be read is unknown and named among the flaws, never invented. And
the way back: a tag object as Git writes it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from functools import lru_cache

from indexer.core.snapshot import (
    FIRST_SECOND,
    LAST_SECOND,
    GitCommit,
    Instant,
    ObjectType,
    Person,
    TagObject,
    text,
)

# Lines that open a signature; the last such line counts (gpg-interface.c in Git).
_SIGNATURES = (
    b"-----BEGIN PGP SIGNATURE-----",
    b"-----BEGIN PGP MESSAGE-----",
    b"-----BEGIN SSH SIGNATURE-----",
    b"-----BEGIN SIGNED MESSAGE-----",
)
_SIGNATURE_LINE = re.compile(
    rb"^(?:" + rb"|".join(map(re.escape, _SIGNATURES)) + rb")", re.MULTILINE
)
_ID = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})")
_SECONDS = re.compile(rb"-?[0-9]{1,19}")
_ZONE = re.compile(rb"([+-])([0-9]{1,9})")
# Encodings that people's Git really writes. Others (Python knows `zip`) stay closed.
_ENCODINGS = re.compile(
    r"(?:iso-?8859-?[0-9]{1,2}|latin-?[0-9]{1,2}|(?:cp|windows-)125[0-8]|koi8-[ru]"
    r"|shift[-_]jis|cp932|sjis|euc[-_](?:jp|kr)|gbk?|gb2312|gb18030|big5|utf-?16)",
    re.IGNORECASE,
)


def parse_tag_object(object_id: str, body: bytes) -> TagObject:
    """The annotated tag object `body` (without Git's own header)."""
    headers, message = _split(body)
    encoding = text(headers.get(b"encoding", b""))
    flaws: list[str] = []

    name = text(headers.get(b"tag", b""))
    if not name:
        flaws.append("The tag object has no name inside.")
    target_id = text(headers.get(b"object", b"")).lower()
    if not _ID.fullmatch(target_id):
        flaws.append("The tag object does not say which object it tags.")
        target_id = ""
    try:
        target_type = ObjectType(text(headers.get(b"type", b"")))
    except ValueError:
        target_type = ObjectType.MISSING
        flaws.append("The tag object does not say what kind of object it tags.")

    tagger: Person | None = None
    tagged: Instant | None = None
    if b"tagger" not in headers:
        flaws.append("The tag object has no tagger, so person and date are unknown.")
    else:
        tagger, tagged, more = _signer(headers[b"tagger"], encoding, "tagger")
        flaws.extend(more)

    start = None
    for match in _SIGNATURE_LINE.finditer(message):
        start = match.start()
    signature = b"" if start is None else message[start:]
    words, broken = _decode(message[:start], encoding)
    if broken:
        flaws.append("The message is not UTF-8; unreadable bytes show as \ufffd.")
    return TagObject(
        object_id=object_id,
        name=name,
        target_id=target_id,
        target_type=target_type,
        tagger=tagger,
        tagged=tagged,
        message=words.strip(),
        signature=signature,
        flaws=tuple(flaws),
    )


def parse_commit_object(
    object_id: str, body: bytes
) -> tuple[str, tuple[str, ...], GitCommit]:
    """The commit object `body`: its tree's id ("" if it names none), its parents, and
    the commit without files. The message keeps its end (gto prints it so) and loses
    the empty lines before it. A signature (`gpgsig`) is skipped."""
    headers, message = _split(body)
    encoding = text(headers.get(b"encoding", b""))
    tree = text(headers.get(b"tree", b""))
    parents = tuple(
        text(line[7:])
        for line in body.partition(b"\n\n")[0].split(b"\n")
        if line.startswith(b"parent ")
    )
    author, authored, _ = _signer(headers.get(b"author", b""), encoding, "author")
    committer, committed = author, authored
    if headers.get(b"committer", b"") != headers.get(b"author", b""):
        committer, committed, _ = _signer(
            headers.get(b"committer", b""), encoding, "committer"
        )
    commit = GitCommit(
        id=object_id,
        author=author,
        authored=authored,
        committer=committer,
        committed=committed,
        message=_decode(message, encoding)[0].lstrip("\n"),
    )
    return tree if _ID.fullmatch(tree) else "", parents, commit


def _split(body: bytes) -> tuple[dict[bytes, bytes], bytes]:
    """The headers of an object, the first of each kind, and what follows them. A
    header goes on in lines that begin with a space (`gpgsig`)."""
    head, _, message = body.partition(b"\n\n")
    if body.startswith(b"\n"):
        head, message = b"", body[1:]
    headers: dict[bytes, bytes] = {}
    for line in head.split(b"\n"):
        if line.startswith(b" "):
            continue
        key, space, value = line.partition(b" ")
        if space:
            headers.setdefault(key, value)
    return headers, message


def _decode(raw: bytes, encoding: str) -> tuple[str, bool]:
    """Text, and whether bytes of it could not be read. UTF-8 first, whatever the
    object says, as gto; then the encoding it says."""
    try:
        return raw.decode().replace("\0", "\ufffd"), b"\0" in raw
    except UnicodeDecodeError:
        pass  # not UTF-8: what does the object itself say?
    if _ENCODINGS.fullmatch(encoding):
        try:
            return raw.decode(encoding).replace("\0", "\ufffd"), False
        except (UnicodeError, LookupError):
            pass  # it says it wrongly: show what can be read
    return text(raw), True


def _signer(
    raw: bytes, encoding: str, what: str
) -> tuple[Person, Instant | None, list[str]]:
    """`Name <e-mail> seconds zone`: the person, the moment, and what was wrong."""
    head, bracket, when = raw.rpartition(b">")
    if not bracket:
        name, _ = _decode(raw, encoding)
        flaws = [f"The {what} has no e-mail and no date."]
        return Person(name.strip(), ""), None, flaws
    person, of_person = _person(head, encoding, what)
    flaws = list(of_person)
    return person, _moment(when, what, flaws), flaws


@lru_cache(maxsize=1024)  # the same few people sign thousands of objects
def _person(raw: bytes, encoding: str, what: str) -> tuple[Person, tuple[str, ...]]:
    """`Name <e-mail`, and what was wrong."""
    flaws: list[str] = []
    # The last `<` opens the address; a name may hold one too.
    name_raw, _, email_raw = raw.rpartition(b"<")
    name, broken = _decode(name_raw, encoding)
    email, email_broken = _decode(email_raw, encoding)
    name, email = name.strip(), email.strip()
    if broken or email_broken:
        flaws.append(f"The {what} is not UTF-8; unreadable bytes show as \ufffd.")
    if not name:
        flaws.append(f"The {what} has no name.")
    if not email:
        flaws.append(f"The {what} has no e-mail.")
    return Person(name, email), tuple(flaws)


def _moment(raw: bytes, what: str, flaws: list[str]) -> Instant | None:
    """The moment of `seconds zone`; None and a flaw when there is none to read."""
    parts = raw.split()
    if not parts:
        flaws.append(f"The {what} has no date.")
        return None
    shown = text(parts[0][:40])
    if not _SECONDS.fullmatch(parts[0]):
        flaws.append(f"The date of the {what} cannot be read: {shown}.")
        return None
    seconds = int(parts[0])
    if not FIRST_SECOND <= seconds <= LAST_SECOND:
        flaws.append(
            f"The date of the {what} lies outside the years 2 to 9998: {shown}."
        )
        return None
    zone = _ZONE.fullmatch(parts[1]) if len(parts) == 2 else None
    if zone is None:
        flaws.append(f"The time zone of the {what} cannot be read; UTC is shown.")
        return Instant(seconds)
    hours, minutes = divmod(int(zone[2]), 100)
    offset = hours * 60 + minutes
    if offset >= 24 * 60:
        shown = text(parts[1][:40])
        flaws.append(f"The {what}'s time zone {shown} is none; UTC is shown.")
        return Instant(seconds)
    return Instant(seconds, -offset if zone[1] == b"-" else offset)


# Writing ------------------------------------------------------------------------------

# What Git takes off the ends of a name and an e-mail (ident.c, `crud`). A full stop
# stays, as newer ones of Git leave it: it may belong to a name (“Jr.”).
_CRUD = "".join(map(chr, range(33))) + ",:;<>\"\\'"
_NOT_IN_IDENTITY = str.maketrans("", "", "<>\n\0")


@dataclass(frozen=True, slots=True)
class TagOrder:
    """An annotated tag of a commit that is to be written, and nothing else of it:
    from the same order comes the same object, with the same id."""

    name: str
    commit_id: str
    message: str
    tagger: Person
    at: Instant


def tidied(order: TagOrder) -> TagOrder:
    """The order as Git writes it: name, e-mail and message without what it takes off
    (`git tag --cleanup=whitespace`, so that lines that begin with # stay, as with
    gto)."""
    tagger = Person(_identity(order.tagger.name), _identity(order.tagger.email))
    return replace(order, tagger=tagger, message=_tidied_message(order.message))


def format_tag_object(order: TagOrder) -> bytes:
    """The tag object (without Git's own header), byte for byte as `git tag -a` makes
    it: `parse_tag_object(…)` gives back what `tidied(order)` says."""
    order = tidied(order)
    who, at = order.tagger, order.at
    hours, minutes = divmod(abs(at.offset), 60)
    zone = f"{'-' if at.offset < 0 else '+'}{hours:02}{minutes:02}"
    return (
        f"object {order.commit_id}\ntype commit\ntag {order.name}\n"
        f"tagger {who.name} <{who.email}> {at.seconds} {zone}\n\n{order.message}\n"
    ).encode()


def tag_object_id(body: bytes, digits: int = 40) -> str:
    """The id of a tag object: SHA-1, or SHA-256 in a repository whose ids have 64
    digits."""
    data = b"tag %d\0" % len(body) + body
    if digits == 64:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def has_signature(message: str) -> bool:
    """Whether a message would be taken for one with a signature at its end."""
    return _SIGNATURE_LINE.search(message.encode("utf-8", "replace")) is not None


def _identity(value: str) -> str:
    return value.strip(_CRUD).translate(_NOT_IN_IDENTITY)


def _tidied_message(message: str) -> str:
    """Without white space at the ends of lines, without empty lines at both ends, and
    of several empty lines one (`strbuf_stripspace` of Git)."""
    lines: list[str] = []
    for line in message.split("\n"):
        bare = line.rstrip(" \t\r\f\v")
        if bare or (lines and lines[-1]):
            lines.append(bare)
    return "\n".join(lines).rstrip("\n")
