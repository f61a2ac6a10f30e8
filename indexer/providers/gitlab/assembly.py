"""Git's objects put together again from what GitLab's API tells of them.

The API tells the fields of an object and not its bytes. What has the id that GitLab
names, by its SHA, is proven to be the object. What is not so is as GitLab says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from indexer.core.snapshot import Instant
from indexer.providers.gitlab.payloads import CommitInfo, Entry, Signer, TagInfo

# Minutes east of UTC that clocks are set to, the common ones first.
ZONES = (
    *(0, 60, 120, 330, 480, 540, -300, -240, -420, -480, -360, 180, 600, -180, 240),
    *(300, 360, 420, 660, 720, 780, -60, -120, -210, -150, -540, -600, -660, -720),
    *(210, 270, 345, 390, 525, 570, 630, 765, 840, -570),
)
MOST_TRIES = 4_000  # for one tag: a few milliseconds
NO_OBJECT = "0" * 40


def object_id(kind: str, body: bytes, digits: int = 40) -> str:
    """The id of an object: SHA-1, or SHA-256 where ids have 64 digits."""
    data = f"{kind} {len(body)}\0".encode() + body
    if digits == 64:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def is_proven(kind: str, body: bytes, wanted: str) -> bool:
    return object_id(kind, body, len(wanted)) == wanted


def build_commit(info: CommitInfo, tree_id: str) -> bytes:
    """A commit's bytes; a signature, which the API keeps back, is not in them."""
    head = f"tree {tree_id}\n"
    head += "".join(f"parent {parent}\n" for parent in info.parents)
    head += f"author {_signed(info.author)}\ncommitter {_signed(info.committer)}\n\n"
    whole = (head + info.message).encode()
    if not is_proven("commit", whole, info.id):
        ended = whole + b"\n"  # some answers come without the last one
        if is_proven("commit", ended, info.id):
            return ended
    return whole


def prove_tag(info: TagInfo, people: Sequence[Signer]) -> bytes | None:
    """A tag object's bytes, if one of `people` made it: GitLab keeps the tagger back,
    but the id tells whether a guess is right. None if no guess was."""
    if info.commit is None or info.created_at is None:
        return None
    head = f"object {info.commit.id}\ntype commit\ntag {info.name}\ntagger ".encode()
    ends = (f"\n\n{info.message}\n".encode(), f"\n\n{info.message}".encode())
    nearest = (info.commit.committer, info.commit.author)
    for tries, (who, zone) in enumerate(_guesses((*nearest, *people))):
        if tries >= MOST_TRIES:
            break
        when = _written(Instant(info.created_at.seconds, zone))
        middle = f"{who} {when}".encode()
        for end in ends:
            if is_proven("tag", head + middle + end, info.target):
                return head + middle + end
    return None


def unproven_tag(info: TagInfo) -> bytes:
    """A tag object as GitLab tells it, without a tagger."""
    target = info.commit.id if info.commit else NO_OBJECT
    kind = "commit" if info.commit else "blob"
    return f"object {target}\ntype {kind}\ntag {info.name}\n\n{info.message}\n".encode()


def build_trees(
    entries: Iterable[Entry], digits: int = 40
) -> tuple[str, dict[str, bytes]]:
    """The tree objects of a whole tree, by id, and the id of its root. A folder keeps
    the id that GitLab names."""
    folders: dict[str, list[tuple[bytes, bytes]]] = {"": []}
    ids = {"": ""}
    for entry in entries:
        above, _, name = entry.path.rpartition("/")
        mode = b"40000" if entry.is_folder else entry.mode.encode()
        raw = name.encode()
        line = mode + b" " + raw + b"\0" + bytes.fromhex(entry.id)
        order = raw + b"/" if entry.is_folder else raw
        folders.setdefault(above, []).append((order, line))
        if entry.is_folder:
            ids[entry.path] = entry.id
            folders.setdefault(entry.path, [])
    trees: dict[str, bytes] = {}
    root = ""
    for path, lines in folders.items():
        body = b"".join(line for _, line in sorted(lines))
        if path == "":
            root = object_id("tree", body, digits)
        trees[ids.get(path) or object_id("tree", body, digits)] = body
    return root, trees


def _guesses(people: Iterable[Signer]) -> Iterator[tuple[str, int]]:
    """Who may have tagged, at which offset, the likely first: a person with the clock
    of their own commits, then with every other."""
    own: dict[str, dict[int, None]] = {}
    for person in people:
        who = f"{person.name} <{person.email}>"
        zones = own.setdefault(who, {})
        if person.when:
            zones[person.when.offset] = None
    for who, zones in own.items():
        for zone in zones:
            yield who, zone
    for who, zones in own.items():
        for zone in ZONES:
            if zone not in zones:
                yield who, zone


def _signed(signer: Signer) -> str:
    when = _written(signer.when) if signer.when else "0 +0000"
    return f"{signer.name} <{signer.email}> {when}"


def _written(when: Instant) -> str:
    """A moment as Git writes it: seconds and zone."""
    sign = "-" if when.offset < 0 else "+"
    hours, minutes = divmod(abs(when.offset), 60)
    return f"{when.seconds} {sign}{hours:02}{minutes:02}"
