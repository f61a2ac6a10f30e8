"""Changing one artifact's entry in the text of a `dvc.yaml`, and nothing else in it.

Comments, order, quotes and blank lines stay: only the lines of what changes are
written anew. Whatever way a change is made, the new text is read again, and taken only
if it says exactly what was wanted."""

from __future__ import annotations

import difflib
import io
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from indexer.core.snapshot import Json
from indexer.yamlio import LOADER, parse_document

SECTION = "artifacts"
# Text that needs no quotes anywhere in YAML; anything else is quoted.
PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*", re.ASCII)
WORDS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))
# What YAML takes for a line break, or does not show; JSON leaves it as it is.
UNSEEN = r"\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff"
# Text over several lines that a literal block holds as it is.
IN_LINE = rf"[^\x00-\x1f{UNSEEN}]*(?<! )"
LITERAL = re.compile(rf"[^\s#]{IN_LINE}(?:\n(?:[^\s]{IN_LINE})?)*")


class EditRefused(Exception):
    """The file cannot be changed so; the text says why and what to do."""


def change_entry(text: str, name: str, fields: Mapping[str, Json]) -> str:
    """The text of a `dvc.yaml` ("" for a new one) in which the entry `name` has these
    fields. A field that is None is taken out, others stay; a new entry comes last.

    Raises EditRefused."""
    before = _read(text)
    wanted = _wanted(before, name, fields)
    for change in (_in_place, _rewritten):
        after = change(text, name, fields)
        if after is not None and _reads_as(after, wanted):
            return after
    raise EditRefused(
        "This file is written in a way that Muster cannot change without changing "
        "more than was asked. Change it by hand, and commit it."
    )


def diff(before: str, after: str, path: str) -> str:
    """The change as `git diff` shows it, without its headers."""
    old, new = before.splitlines(), after.splitlines()
    names = ("/dev/null" if not before else f"a/{path}", f"b/{path}")
    return "\n".join(difflib.unified_diff(old, new, *names, lineterm=""))


def _read(text: str) -> dict[str, Json]:
    document = parse_document("", text.encode())
    if document.problem:
        raise EditRefused(
            f"The file cannot be read, so it is not changed: {document.problem}"
        )
    if document.value is None:
        return {}
    if not isinstance(document.value, dict):
        raise EditRefused(
            "The file does not hold a mapping, as a dvc.yaml does. Mend it by hand."
        )
    return document.value


def _wanted(
    before: dict[str, Json], name: str, fields: Mapping[str, Json]
) -> dict[str, Json]:
    """What the file must say afterwards."""
    # Through JSON: what aliases share in the file is one object, and must not change
    # in two places here.
    after: dict[str, Json] = json.loads(json.dumps(before))
    section = after.get(SECTION)
    if section is None:
        section = after[SECTION] = {}
    if not isinstance(section, dict):
        raise EditRefused(f"`{SECTION}` of the file is no mapping. Mend it by hand.")
    entry = section.get(name)
    if entry is None:
        entry = section[name] = {}
    if not isinstance(entry, dict):
        raise EditRefused(
            f"The entry {name} of the file is no mapping. Mend it by hand."
        )
    for key, value in fields.items():
        if value is None:
            entry.pop(key, None)
        else:
            entry[key] = value
    return after


def _reads_as(text: str, wanted: Json) -> bool:
    document = parse_document("", text.encode())
    return not document.problem and document.value == wanted


# In place ----------------------------------------------------------------------------


def _in_place(text: str, name: str, fields: Mapping[str, Json]) -> str | None:
    """The text with whole lines put in, replaced or taken out; None where what is to
    change shares its lines with something else."""
    given = {key: value for key, value in fields.items() if value is not None}
    lines = text.splitlines(keepends=True)
    end = "\r\n" if any(line.endswith("\r\n") for line in lines) else "\n"
    try:
        root = yaml.compose(text, Loader=LOADER)
    except yaml.YAMLError:
        return None
    if root is None:
        new = _dump({SECTION: {name: given}}, 0, end)
        return _joined(lines, end) + ("".join(new))
    if not _is_block(root):
        return None
    section = _child(root, SECTION)
    if section is None:
        gap = [] if not lines or not lines[-1].strip() else [end]
        new = _dump({SECTION: {name: given}}, root.start_mark.column, end)
        return _joined(lines, end) + "".join([*gap, *new])
    if _is_empty(lines, section):
        new = _dump({SECTION: {name: given}}, section[0].start_mark.column, end)
        return _with(lines, section[0].start_mark.line, new, instead=1)
    if not _is_block(section[1]):
        return None
    entry = _child(section[1], name)
    if entry is None:
        column = section[1].start_mark.column
        return _with(
            lines, _last_line(section[1]) + 1, _dump({name: given}, column, end)
        )
    if _is_empty(lines, entry):
        new = _dump({name: given}, entry[0].start_mark.column, end)
        return _with(lines, entry[0].start_mark.line, new, instead=1)
    if not _is_block(entry[1]):
        return None
    return _changed(lines, entry[1], fields, end)


def _changed(
    lines: list[str], entry: Any, fields: Mapping[str, Json], end: str
) -> str | None:
    """The lines with fields of one entry changed, from the last to the first, so that
    the places of those before stay right."""
    places = []
    for key, value in fields.items():
        found = _child(entry, key)
        if found is not None:
            first = found[0].start_mark.line
            if lines[first][: found[0].start_mark.column].strip():
                return None
            places.append((first, _last_line(found[1]) + 1, key, value))
        elif value is not None:
            last = _last_line(entry) + 1
            places.append((last, last, key, value))
    after = list(lines)
    for first, last, key, value in sorted(places, key=lambda place: place[0])[::-1]:
        new = [] if value is None else _dump({key: value}, entry.start_mark.column, end)
        if new and first == last:
            _end_line(after, first - 1, end)
        after[first:last] = new
    return "".join(after)


def _is_block(node: Any) -> bool:
    is_mapping = isinstance(node, yaml.MappingNode) and not node.flow_style
    return is_mapping and bool(node.value)


def _child(mapping: Any, key: str) -> tuple[Any, Any] | None:
    found = [pair for pair in mapping.value if pair[0].value == key]
    return found[-1] if found else None


def _last_line(node: Any) -> int:
    """The number of the last line that belongs to a node, comments behind it not."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    mark = node.end_mark
    last_line: int = mark.line if mark.column else mark.line - 1
    if isinstance(node, yaml.ScalarNode) and node.style in {"|", ">"}:
        # libyaml counts the empty lines behind a block scalar to it.
        written = (mark.buffer or "").splitlines()
        while written and not written[last_line].strip():
            last_line -= 1
    return max(last_line, int(node.start_mark.line))


def _is_empty(lines: list[str], pair: tuple[Any, Any]) -> bool:
    """Whether a key holds nothing, on a line of its own without a comment."""
    key, value = pair
    line = lines[key.start_mark.line]
    rest = line[key.end_mark.column :].strip()
    alone = not line[: key.start_mark.column].strip() and value.start_mark.line in {
        key.start_mark.line, key.start_mark.line + 1,
    }  # fmt: skip
    return (
        alone
        and rest in {":", ": {}", ": null", ": ~"}
        and not (rest == ":" and value.value)
    )


def _with(lines: list[str], at: int, new: list[str], *, instead: int = 0) -> str:
    """The text with new lines at a place, `instead` of so many that are there."""
    after = list(lines)
    _end_line(after, at - 1, "\r\n" if new[0].endswith("\r\n") else "\n")
    after[at : at + instead] = new
    return "".join(after)


def _joined(lines: list[str], end: str) -> str:
    after = list(lines)
    _end_line(after, len(after) - 1, end)
    return "".join(after)


def _end_line(lines: list[str], number: int, end: str) -> None:
    """See to it that a line ends: the last of a file need not."""
    if 0 <= number < len(lines) and not lines[number].endswith("\n"):
        lines[number] += end


def _dump(mapping: Mapping[str, Any], column: int, end: str) -> list[str]:
    """A mapping as lines, indented by two spaces a level."""
    lines: list[str] = []
    space = " " * column
    for key, value in mapping.items():
        shown = f"{space}{_scalar(key)}:"
        if isinstance(value, dict) and value:
            lines += [f"{shown}{end}", *_dump(value, column + 2, end)]
        elif isinstance(value, list) and value:
            lines += [f"{shown}{end}"]
            lines += [f"{space}  - {_scalar(item)}{end}" for item in value]
        elif isinstance(value, str) and "\n" in value and LITERAL.fullmatch(value):
            lines += [f"{shown} |{'' if value.endswith(chr(10)) else '-'}{end}"]
            lines += [
                f"{space}  {line}{end}" if line else end
                for line in value.removesuffix("\n").split("\n")
            ]
        else:
            lines.append(f"{shown} {_scalar(value)}{end}")
    return lines


def _scalar(value: Json) -> str:
    is_plain = isinstance(value, str) and PLAIN.fullmatch(value)
    if is_plain and str(value).lower() not in WORDS and " -" not in str(value):
        return str(value)
    shown = json.dumps(value, ensure_ascii=False)
    return re.sub(f"[{UNSEEN}]", lambda found: f"\\u{ord(found[0]):04x}", shown)


# Rewritten ---------------------------------------------------------------------------


def _rewritten(text: str, name: str, fields: Mapping[str, Json]) -> str | None:
    """The text read and written whole by ruamel.yaml: comments and order stay, the
    spacing may not."""
    tool = YAML(typ="rt")
    tool.preserve_quotes = True
    tool.width = 10_000
    try:
        root = tool.load(text)
        if root is None:
            return None
        section = root.get(SECTION)
        if section is None:
            section = root[SECTION] = {}
        entry = section.get(name)
        if entry is None:
            entry = section[name] = {}
        for key, value in fields.items():
            if value is None:
                entry.pop(key, None)
            else:
                entry[key] = value
        written = io.StringIO()
        tool.dump(root, written)
    except (YAMLError, ValueError, TypeError, AttributeError, RecursionError):
        return None
    return written.getvalue()


def new_fields(
    *,
    path: str = "",
    type_: str = "",
    description: str = "",
    labels: Iterable[str] = (),
) -> dict[str, Json]:
    """The fields of an entry in the order in which DVC documents them, without the
    empty ones (None: to be taken out)."""
    return {
        "path": path or None,
        "type": type_ or None,
        "desc": description or None,
        "labels": list(labels) or None,
    }
