"""From the bytes of a registry file to a JSON-safe value, or to why there is none.

YAML 1.2 as DVC and gto read it (ruamel.yaml): `on`, `no` and `0644` are no booleans
and no octal. The syntax is read by libyaml as a stream of events, which cannot run
out of stack; the value is built here, where everything that could grow is counted:
depth, aliases, merge keys, time. No tag constructs anything but plain values.

What JSON or a database cannot hold becomes text: a moment as gto prints it, a day as
written, numbers of hundreds of digits as written, NaN and infinities by their names,
keys that are no strings as written; NUL becomes U+FFFD. What cannot be said at all (a
mapping as a key, an alias of what it is part of, an unknown tag) is left out, and the
document says so beside its value."""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, NoReturn

import yaml

from indexer.core.snapshot import Document, Json

MAX_BYTES = 5 * 1024 * 1024
MAX_DEPTH = 100
MAX_NODES = 500_000
MAX_ALIASED_NODES = 100_000  # that aliases and merge keys add
MAX_ALIASED_CHARACTERS = 5_000_000
MAX_SECONDS = 3.0

LFS_POINTER = b"version https://git-lfs.github.com/spec/"

# The scalars of YAML 1.2 as ruamel.yaml resolves them.
NULL = re.compile(r"~|null|Null|NULL|", re.ASCII)
BOOL = re.compile(r"true|True|TRUE|false|False|FALSE", re.ASCII)
INT = re.compile(
    r"[-+]?(?:0b(?P<two>[01_]+)|0o(?P<eight>[0-7_]+)|0x(?P<sixteen>[0-9a-fA-F_]+)"
    r"|(?P<ten>[0-9_]+))",
    re.ASCII,
)
FLOAT = re.compile(
    r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+"
    r"|[-+]?\.[0-9_]+(?:[eE][-+][0-9]+)?"
    r"|(?P<infinite>[-+]?\.(?:inf|Inf|INF))"
    r"|(?P<nan>\.(?:nan|NaN|NAN))",
    re.ASCII,
)
BASES = {"two": 2, "eight": 8, "sixteen": 16, "ten": 10}
MAX_DIGITS = 64  # of an integer, underscores aside
MOMENT = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{1,2}-[0-9]{1,2})(?:[Tt]|[ \t]+)"
    r"(?P<time>[0-9]{1,2}:[0-9]{2}:[0-9]{2})(?:\.(?P<fraction>[0-9]*))?"
    r"(?:[ \t]*(?P<zone>Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?",
    re.ASCII,
)

STANDARD = "tag:yaml.org,2002:"
SCALAR_TAGS = frozenset(
    STANDARD + name
    for name in ("str", "null", "bool", "int", "float", "timestamp", "binary", "value")
)
FOLDED_TAGS = frozenset(
    STANDARD + name for name in ("map", "seq", "set", "omap", "pairs")
)

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse_document(blob_id: str, data: bytes) -> Document:
    """Read one registry file. Never raises, and ends within five seconds."""
    if len(data) > MAX_BYTES:
        return refuse_document(
            blob_id,
            f"The file has {len(data)} bytes, too large to read; the limit is "
            f"{MAX_BYTES}.",
        )
    if data.startswith(LFS_POINTER):
        return refuse_document(
            blob_id,
            "The file is a Git LFS pointer; Muster does not fetch what it points to. "
            "Keep registry files in Git itself.",
        )
    builder = _Builder(data)
    try:
        value = builder.build()
        return Document(blob_id, value, builder.flaw, builder.flaw_line)
    except _Refused as refused:
        return refuse_document(blob_id, refused.reason, refused.line)


def refuse_document(blob_id: str, problem: str, line: int | None = None) -> Document:
    """A document without a value, and why."""
    return Document(blob_id, None, problem, line)


class _Refused(Exception):
    def __init__(self, reason: str, line: int | None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


@dataclass(slots=True)
class _Node:
    """A value with what it costs to write it out: nodes, characters, height."""

    value: Json
    nodes: int = 1
    characters: int = 0
    height: int = 0
    key: str | None = None  # how it reads as a key; None: it cannot be one
    is_merge: bool = False
    is_left_out: bool = False  # it cannot be said, as a key or value or item


@dataclass(slots=True)
class _Open:
    """A list or mapping that is being read."""

    node: _Node
    anchor: str | None
    line: int
    is_ordered: bool = False  # a list of pairs that stands for a mapping (!!omap)
    items: list[Json] | None = None
    pairs: dict[str, Json] | None = None
    key: _Node | None = None
    merged: list[dict[str, Json]] = field(default_factory=list)


class _Builder:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._open: list[_Open] = []
        self._anchors: dict[str, _Node | None] = {}  # None: still being read
        self._root: _Node | None = None
        self._nodes = self._aliased_nodes = self._aliased_characters = 0
        # Of our own work: what a busy machine gives to others is no fault of the file.
        self._end = time.thread_time() + MAX_SECONDS
        self._line = 0
        self._flaws = 0
        self._first_flaw = ""
        self.flaw_line: int | None = None

    @property
    def flaw(self) -> str:
        """What the value does not say of the file: the first such thing."""
        more = self._flaws - 1
        return self._first_flaw + (f" {more} more like it." if more > 0 else "")

    def build(self) -> Json:
        """The value of the only document, None if there is none."""
        documents = 0
        try:
            loader = LOADER(self._data)
            try:
                while loader.check_event():
                    event = loader.get_event()
                    self._line = event.start_mark.line + 1
                    if isinstance(event, yaml.DocumentStartEvent):
                        documents += 1
                        if documents > 1:
                            self._refuse("The file holds more than one YAML document.")
                        if event.version == (1, 1):
                            self._note(
                                "The file says %YAML 1.1 and is read as YAML 1.2, where"
                                " yes, no, on and off are words. Remove that line."
                            )
                    else:
                        self._take(event)
            finally:
                loader.dispose()
        except yaml.reader.ReaderError as error:
            self._refuse_text(error)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self._line = mark.line + 1 if mark else self._line
            self._refuse(f"The file is not valid YAML: {_reason(error)}.")
        except (yaml.YAMLError, UnicodeError, ValueError, RecursionError) as error:
            self._refuse(f"The file is not valid YAML ({type(error).__name__}).")
        return self._root.value if self._root is not None else None

    def _refuse(self, reason: str) -> NoReturn:
        raise _Refused(reason, self._line or None) from None

    def _note(self, flaw: str) -> None:
        self._flaws += 1
        if self._flaws == 1:
            self._first_flaw, self.flaw_line = flaw, self._line or None

    def _leave_out(self, reason: str) -> _Node:
        self._note(f"{reason} It is left out.")
        return _Node(None, is_left_out=True)

    def _refuse_text(self, error: yaml.reader.ReaderError) -> NoReturn:
        """Bytes that are no text of YAML: not UTF-8, or a control character."""
        raw = self._data
        at = error.position if isinstance(error.position, int) else 0
        if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
            at = 0
        self._line = raw.count(b"\n", 0, at) + 1
        if "control" in str(error.reason) or "special" in str(error.reason):
            self._refuse("The file has a control character, which YAML does not allow.")
        self._refuse("The file is not UTF-8 text. Save it as UTF-8.")

    def _take(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._count(len(event.value))
            node = self._scalar(event)
            if event.anchor:
                self._anchors[event.anchor] = node
            self._place(node)
        elif isinstance(event, yaml.AliasEvent):
            self._place(self._alias(event.anchor))
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._count(0)
            self._enter(event)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._leave()

    def _count(self, characters: int) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._refuse(f"The file has more than {MAX_NODES} values.")
        if self._nodes % 256 == 0 and time.thread_time() > self._end:
            self._refuse(f"The file takes more than {MAX_SECONDS:.0f} seconds to read.")

    def _scalar(self, event: Any) -> _Node:
        text = event.value.replace("\0", "\ufffd")
        tag = event.tag
        if tag is None or (tag == "!" and event.implicit[0]):
            plain = event.implicit[0]
        elif tag in SCALAR_TAGS or tag == "!":
            plain = tag not in {STANDARD + "str", STANDARD + "binary", "!"}
        else:
            return self._leave_out(_unknown_tag(tag))
        value = resolve_scalar(text) if plain else text
        node = _Node(value, 1, len(text), 0, text)
        if plain and text == "<<":
            node.is_merge = True
        elif value is None:
            node.key = text or "null"
        return node

    def _alias(self, anchor: str | None) -> _Node:
        if anchor is None or anchor not in self._anchors:
            self._refuse(f"The alias {_shown(anchor or '')} has no anchor.")
        node = self._anchors[anchor]
        if node is None:
            return self._leave_out(
                f"The alias {_shown(anchor)} refers to what it is part of."
            )
        self._spend(node)
        if len(self._open) + node.height > MAX_DEPTH:
            self._refuse(f"The file is nested more than {MAX_DEPTH} levels deep.")
        return node

    def _spend(self, node: _Node) -> None:
        """Count what an alias adds when it is written out."""
        self._aliased_nodes += node.nodes
        self._aliased_characters += node.characters
        if (
            self._aliased_nodes > MAX_ALIASED_NODES
            or self._aliased_characters > MAX_ALIASED_CHARACTERS
        ):
            self._refuse(
                "The aliases of the file stand for more than "
                f"{MAX_ALIASED_NODES} values."
            )

    def _enter(self, event: Any) -> None:
        tag = event.tag
        if len(self._open) >= MAX_DEPTH:
            self._refuse(f"The file is nested more than {MAX_DEPTH} levels deep.")
        if event.anchor:
            self._anchors[event.anchor] = None
        if tag is None or tag == "!" or tag in FOLDED_TAGS:
            node = _Node(None)
        else:
            node = self._leave_out(_unknown_tag(tag))
        is_ordered = tag == STANDARD + "omap"
        opened = _Open(node, event.anchor, self._line, is_ordered)
        if isinstance(event, yaml.SequenceStartEvent):
            opened.node.value = opened.items = []
        else:
            opened.node.value = opened.pairs = {}
        self._open.append(opened)

    def _leave(self) -> None:
        opened = self._open.pop()
        if opened.pairs is not None and opened.merged:
            own = dict(opened.pairs)
            opened.pairs.clear()
            for pairs in (*reversed(opened.merged), own):  # as ruamel.yaml orders them
                opened.pairs.update(pairs)
        elif opened.items is not None:
            if opened.is_ordered:
                opened.node.value = _mapping(opened.items)
            elif all(isinstance(item, str) for item in opened.items):
                opened.node.key = "_".join(map(str, opened.items))  # as gto prints it
        if opened.anchor:
            self._anchors[opened.anchor] = opened.node
        self._place(opened.node)

    def _place(self, node: _Node) -> None:
        if not self._open:
            if node.is_left_out:
                self._refuse(self.flaw)
            self._root = node
            return
        parent = self._open[-1]
        total = parent.node
        total.nodes += node.nodes
        total.characters += node.characters
        total.height = max(total.height, node.height + 1)
        if parent.items is not None:
            if not node.is_left_out:
                parent.items.append(node.value)
        elif parent.key is None:
            if node.key is None and not node.is_left_out:
                node = self._leave_out(
                    "A key is a list or a mapping, where JSON has only text."
                )
            parent.key = node
        else:
            key, parent.key = parent.key, None
            if key.is_left_out or node.is_left_out:
                return
            if key.is_merge:
                self._merge(parent, node)
            else:
                self._set(parent, key.key or "", node)

    def _set(self, parent: _Open, key: str, node: _Node) -> None:
        if parent.pairs is None:
            return
        if key in parent.pairs:
            self._refuse(f"The key {_shown(key)} is there twice.")
        parent.pairs[key] = node.value

    def _merge(self, parent: _Open, node: _Node) -> None:
        """`<<`: what it brings counts as often as it is written out."""
        self._spend(node)
        values = node.value if isinstance(node.value, list) else [node.value]
        for value in values:
            if not isinstance(value, dict):
                self._refuse("A merge key (<<) needs a mapping, or a list of mappings.")
            parent.merged.append(value)


def resolve_scalar(text: str) -> Json:
    """The value of a plain scalar by YAML 1.2, as far as JSON can hold it."""
    if not text or len(text) > 400:
        return text or None
    first = text[0]
    if first in "~nN" and NULL.fullmatch(text):
        return None
    if first in "tTfF" and BOOL.fullmatch(text):
        return text[0] in "tT"
    if first not in "0123456789-+._":
        return text
    match = INT.fullmatch(text)
    if match:
        return _integer(text, match)
    match = FLOAT.fullmatch(text)
    if match is None:
        return _moment(text)
    if match["nan"]:
        return "NaN"
    if match["infinite"]:
        return "-Infinity" if first == "-" else "Infinity"
    digits = text.replace("_", "")
    try:
        number = float(digits)
    except ValueError:
        return text  # "._" is a float by its form only
    return number if math.isfinite(number) else text


def _integer(text: str, match: re.Match[str]) -> Json:
    kind = match.lastgroup or "ten"
    digits = match[kind].replace("_", "")
    if not digits or len(digits) > MAX_DIGITS:
        return text
    number = int(digits, BASES[kind])
    return -number if text[0] == "-" else number


def _moment(text: str) -> str:
    """A day with a time in ISO's form, as gto prints it; other text as it is."""
    match = MOMENT.fullmatch(text)
    if match is None:
        return text
    zone = None
    try:
        year, month, day = map(int, match["day"].split("-"))
        hour, minute, second = map(int, match["time"].split(":"))
        if match["zone"]:
            hours, _, minutes = match["zone"].lstrip("Z+-").partition(":")
            east = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
            zone = timezone(-east if match["zone"][0] == "-" else east)
        moment = datetime(year, month, day, hour, minute, second, tzinfo=zone)
        digits = ((match["fraction"] or "") + "0000000")[:7]
        moment += timedelta(microseconds=(int(digits) + 5) // 10)
    except (ValueError, OverflowError):
        return text
    return moment.isoformat()


def _mapping(pairs: list[Json]) -> Json:
    """The mapping that a list of single pairs stands for, else the list."""
    whole: dict[str, Json] = {}
    for pair in pairs:
        if not isinstance(pair, dict) or len(pair) != 1 or whole.keys() & pair.keys():
            return pairs
        whole |= pair
    return whole


def _unknown_tag(tag: str) -> str:
    return f"The YAML tag {_shown(tag)} is not one that Muster reads."


def _reason(error: yaml.MarkedYAMLError) -> str:
    parts = [part for part in (error.problem, error.context) if part]
    return "".join(c for c in ", ".join(parts) if c.isprintable())[:300]


def _shown(text: str) -> str:
    clean = "".join(c if c.isprintable() else "\ufffd" for c in text)
    return f"“{clean[:100]}”"
