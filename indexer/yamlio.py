"""From the bytes of a registry file to a JSON-safe value, or to why there is none.

YAML 1.2 as DVC and gto read it (ruamel.yaml): `on`, `no` and `0644` are no booleans
and no octal. The syntax is read by libyaml as a stream of events, which cannot run
out of stack; the value is built here, where everything that could grow is counted:
depth, aliases, merge keys, time. No tag constructs anything but plain values.

What JSON or a database cannot hold becomes text: dates as written, integers beyond
64 bits as written, NaN and infinities by their names, keys that are no strings as
written; NUL becomes U+FFFD."""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass, field
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
INT_MIN, INT_MAX = -(2**63), 2**63 - 1

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
    try:
        return Document(blob_id, _Builder(data).build())
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


@dataclass(slots=True)
class _Open:
    """A list or mapping that is being read."""

    node: _Node
    anchor: str | None
    line: int
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
            self._refuse(f"The YAML tag {_shown(tag)} is not one that Muster reads.")
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
            self._refuse(f"The alias {_shown(anchor)} refers to what it is part of.")
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
        if tag is not None and tag != "!" and tag not in FOLDED_TAGS:
            self._refuse(f"The YAML tag {_shown(tag)} is not one that Muster reads.")
        if len(self._open) >= MAX_DEPTH:
            self._refuse(f"The file is nested more than {MAX_DEPTH} levels deep.")
        if event.anchor:
            self._anchors[event.anchor] = None
        opened = _Open(_Node(None), event.anchor, self._line)
        if isinstance(event, yaml.SequenceStartEvent):
            opened.node.value = opened.items = []
        else:
            opened.node.value = opened.pairs = {}
        self._open.append(opened)

    def _leave(self) -> None:
        opened = self._open.pop()
        if opened.pairs is not None:
            for merged in opened.merged:
                for key, value in merged.items():
                    opened.pairs.setdefault(key, value)
        if opened.anchor:
            self._anchors[opened.anchor] = opened.node
        self._place(opened.node)

    def _place(self, node: _Node) -> None:
        if not self._open:
            self._root = node
            return
        parent = self._open[-1]
        total = parent.node
        total.nodes += node.nodes
        total.characters += node.characters
        total.height = max(total.height, node.height + 1)
        if parent.items is not None:
            parent.items.append(node.value)
        elif parent.key is None:
            if node.key is None:
                self._refuse("A key is a list or a mapping; only plain keys are read.")
            parent.key = node
        else:
            key, parent.key = parent.key, None
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
        return text
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
    if not digits or len(digits) > 64:
        return text
    number = int(digits, BASES[kind])
    if text[0] == "-":
        number = -number
    return number if INT_MIN <= number <= INT_MAX else text


def _reason(error: yaml.MarkedYAMLError) -> str:
    parts = [part for part in (error.problem, error.context) if part]
    return "".join(c for c in ", ".join(parts) if c.isprintable())[:300]


def _shown(text: str) -> str:
    clean = "".join(c if c.isprintable() else "\ufffd" for c in text)
    return f"“{clean[:100]}”"
