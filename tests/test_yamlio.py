"""YAML 1.2 as ruamel.yaml reads it, and no file that breaks us."""

from __future__ import annotations

import datetime
import io
import itertools
import json
import math
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from indexer import yamlio
from indexer.core.snapshot import Document
from indexer.yamlio import parse_document, resolve_scalar
from tests.providers.hostile import yaml_bomb_documents


def parse(data: bytes | str) -> Document:
    raw = data.encode() if isinstance(data, str) else data
    # Of the processor, whatever else the machine does: the limit is looked at between
    # two values, and the longest takes less than that again.
    started = time.thread_time()
    document = parse_document("blob", raw)
    assert time.thread_time() - started < 2 * yamlio.MAX_SECONDS
    written = json.dumps(document.value, allow_nan=False)
    assert len(written) < 40_000_000
    assert "\\u0000" not in written
    json.dumps(document.value, allow_nan=False, ensure_ascii=False).encode()
    return document


def value(data: bytes | str) -> Any:
    document = parse(data)
    assert document.problem == "", document
    return document.value


def problem(data: bytes | str) -> tuple[str, int | None]:
    document = parse(data)
    assert document.problem.endswith(".")
    assert document.problem[0].isupper()
    return document.problem, document.line


def test_yaml_1_2_words_are_words() -> None:
    assert value("{on: no, yes: off, y: n, a: 0644, b: 0o17, c: 1_000, d: 1:30}") == {
        "on": "no", "yes": "off", "y": "n", "a": 644, "b": 15, "c": 1000, "d": "1:30",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("nUll", "nUll"),
        ("true", True),
        ("FALSE", False),
        ("+12", 12),
        ("-0x1F", -31),
        ("0b101", 5),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("-.5", -0.5),
        (".", "."),
        ("._", "._"),
        ("_", "_"),
        ("1.2.3", "1.2.3"),
        ("v1.0.0", "v1.0.0"),
        ("2024-01-01", "2024-01-01"),
        ("2023-02-30", "2023-02-30"),
        ("\u0661", "\u0661"),
    ],
)
def test_scalars(text: str, expected: object) -> None:
    found = resolve_scalar(text)
    assert found == expected
    assert type(found) is type(expected)


def test_P6_what_json_cannot_hold_becomes_text() -> None:
    assert value("[.nan, .inf, -.inf, 1e400, -1e999]") == [
        "NaN", "Infinity", "-Infinity", "1e400", "-1e999",
    ]  # fmt: skip


def test_P9_integers_of_more_than_64_digits_are_kept_as_written() -> None:
    digits = "1" * 4301
    assert value(f"[{digits}, 0x{'f' * 5000}, {2**63}, -{'9' * 64}, {10**64}]") == [
        digits, "0x" + "f" * 5000, 2**63, -(10**64 - 1), str(10**64),
    ]  # fmt: skip


def test_P10_days_are_kept_as_written_and_moments_in_isos_form() -> None:
    assert value("[2023-02-30, 0000-00-00, 2024-01-01, 2024-01-01 1:00:00 +2]") == [
        "2023-02-30", "0000-00-00", "2024-01-01", "2024-01-01T01:00:00+02:00",
    ]  # fmt: skip
    for no_moment in (
        "2023-02-30T00:00:00Z",
        "2024-01-01T24:00:00",
        "0000-01-01 0:0:0",
    ):
        assert value(f"[{no_moment}]") == [no_moment]


def test_what_cannot_be_said_is_left_out_alone_and_told_once() -> None:
    document = parse(
        "a: &a {b: *a, c: [1, *a, {d: *a}]}\n"
        "? {x: y}\n: 1\n"
        "e: !thing {f: 1, g: &g 2}\n"
        "h: [!thing i, *g, 3]\n"
        "? &k !thing j\n: 1\n"
        "l: *k\n"
    )
    assert document.value == {"a": {"c": [1, {}]}, "h": [2, 3]}
    assert document.line == 1
    assert document.problem == (
        "The alias “a” refers to what it is part of. It is left out. 6 more like it."
    )


def test_P7_nul_becomes_the_replacement_character() -> None:
    assert value('{"a\\0": "b\\0"}') == {"a\ufffd": "b\ufffd"}


def test_keys_that_are_no_strings_are_kept_as_written() -> None:
    assert value("{1: a, 2.50: b, true: c, null: d, 2024-01-01: e, ~: f}") == {
        "1": "a", "2.50": "b", "true": "c", "null": "d", "2024-01-01": "e", "~": "f",
    }  # fmt: skip


def test_aliases_and_merge_keys_are_read() -> None:
    text = "base: &b {x: 1, y: 2}\nall:\n  - {<<: *b, y: 3}\n  - *b\n"
    assert value(text) == {
        "base": {"x": 1, "y": 2},
        "all": [{"x": 1, "y": 3}, {"x": 1, "y": 2}],
    }
    assert value("{<<: [{a: 1, b: 1}, {b: 2, c: 2}], c: 3}") == {"a": 1, "b": 1, "c": 3}


@pytest.mark.parametrize("name", sorted(yaml_bomb_documents()))
def test_P1_P5_no_hostile_file_breaks_us(name: str, tmp_path: Path) -> None:
    parse(yaml_bomb_documents()[name])


def test_P1_deep_nesting_is_refused_in_every_form() -> None:
    for text in ("[" * 200_000, "{a: " * 50_000, "- " * 200_000, "? " * 200_000):
        assert problem(text) == ("The file is nested more than 100 levels deep.", 1)
    block = "".join(" " * depth + "a:\n" for depth in range(1000))
    assert problem(block)[0] == "The file is nested more than 100 levels deep."
    assert value("[" * 100 + "]" * 100)
    through_aliases = (
        "a: &a " + "[" * 60 + "]" * 60 + "\nb: " + "[" * 60 + "*a" + "]" * 60
    )
    assert "nested" in problem(through_aliases)[0]


def test_P2_P3_bombs_are_refused_at_once() -> None:
    documents = yaml_bomb_documents()
    for name in ("laughs", "merges"):
        started = time.monotonic()
        assert "aliases" in problem(documents[name])[0]
        assert time.monotonic() - started < 0.5


def test_P3_long_texts_cannot_be_multiplied_either() -> None:
    text = f"a: &a {'x' * 1_000_000}\nb: [{', '.join(['*a'] * 100)}]\n"
    assert "aliases" in problem(text)[0]


def test_P4_an_alias_inside_its_own_anchor_is_left_out() -> None:
    for text in ("a: &a [*a]", "&a {b: *a}", "a: &a {<<: *a}", "&a [{<<: *a}]"):
        assert "part of" in problem(text)[0]
        assert parse(text).value in ({"a": []}, {}, {"a": {}}, [{}])


def test_P5_no_tag_constructs_anything() -> None:
    for tag in ("!!python/object/apply:os.system", "!!python/name:os.system", "!Ref"):
        assert "tag" in problem(f"{tag} [x]")[0]
        assert parse(f"{tag} [x]").value is None
        assert "tag" in problem(f"a: {tag} x")[0]
        assert parse(f"a: {tag} x\nb: [{tag} {{c: d}}]").value == {"b": []}
    assert value("{a: !!str 1, b: !!int '2', c: ! 3}") == {"a": "1", "b": 2, "c": 3}


def test_P12_doubtful_files_are_refused_with_their_line() -> None:
    assert problem("a: 1\nb: 2\na: 3\n") == ("The key “a” is there twice.", 3)
    assert problem("a: 1\n---\nb: 2\n")[1] == 2
    assert problem("a: 1\nb:\n\t- c\n")[1] == 3
    assert problem("a: 1\nb: *x\n") == ("The alias “x” has no anchor.", 2)
    assert problem("a: 1\nb: caf\udce9\n".encode("utf-8", "surrogateescape")) == (
        "The file is not UTF-8 text. Save it as UTF-8.",
        2,
    )
    assert problem("a: 1\nb: \x00\n")[1] == 2
    assert problem("a: [1, 2\nb: 3")[1] is not None
    assert "list or a mapping" in problem("? [1]\n: b\n")[0]
    assert "<<" in problem("{<<: 1}")[0]


def test_P12_harmless_oddities_are_read() -> None:
    assert value("") is None
    assert value("# only a comment\n") is None
    assert value("---\n") is None
    assert value("\ufeffa: 1") == {"a": 1}
    assert value("a: 1".encode("utf-16")) == {"a": 1}
    assert value("a: 1\r\nb: 2\r\n") == {"a": 1, "b": 2}
    assert value("- 1\n- 2\n") == [1, 2]
    assert value("just text") == "just text"
    assert value("%YAML 1.2\n---\na: 1\n...\n") == {"a": 1}


def test_D3_a_file_above_the_limit_is_not_looked_at() -> None:
    assert "too large" in problem(b"#" * (yamlio.MAX_BYTES + 1))[0]


def test_a_pointer_of_git_lfs_is_called_so() -> None:
    assert "Git LFS" in problem(yaml_bomb_documents()["lfs"])[0]


@pytest.mark.parametrize(
    "data",
    [
        b"- a\n" * 900_000,
        b"[" + b"a," * 2_000_000,
        b"a: " + b"x" * 5_000_000,
        b"'" + b"''" * 2_000_000,
        b'"' + b"\\n" * 2_000_000,
        b"".join(b"k%d: v\n" % n for n in range(400_000)),
        b"!" * 5_000_000,
        b"&a " * 1_000_000,
        b"#" * 5_000_000,
        b"a: |\n" + b"  x\n" * 1_000_000,
        b"".join(b"a%d: &a%d {<<: *a%d}\n" % (n + 1, n + 1, n) for n in range(100_000)),
        b"{" + b"a: {}, " * 700_000,
    ],
    ids=lambda data: data[:12].decode(),
)
def test_P15_large_files_end_in_time(data: bytes) -> None:
    parse(data)


def test_D5_ten_thousand_artifacts_in_a_file_are_read() -> None:
    text = "artifacts:\n" + "".join(
        f"  model-{n}:\n    type: model\n    path: models/{n}\n    labels: [a, b]\n"
        for n in range(10_000)
    )
    started = time.thread_time()
    assert len(value(text)["artifacts"]) == 10_000
    assert time.thread_time() - started < 3


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_P15_any_bytes_give_a_value_or_a_problem(data: bytes) -> None:
    parse(data)


YAML_TEXT = st.lists(
    st.sampled_from(
        ["a", "b", ":", ": ", "- ", "\n", "  ", "[", "]", "{", "}", ", ", "&x ", "*x",
         "<<: ", "'", '"', "|\n", ">\n", "#", "!!str ", "!t ", "? ", "1", "1.5", "0x1",
         "~", "true", "---\n", "...\n", "\t", "%", "@", "\\", "2024-01-01", "0o7",
         "é", "\U0001f600", "=", "1e3", ".inf", "-"]
    ),
    max_size=25,
).map("".join)  # fmt: skip


@settings(deadline=None)
@given(YAML_TEXT)
def test_P15_anything_like_yaml_gives_a_value_or_a_problem(text: str) -> None:
    parse(text)


def normal(found: object) -> object:
    """What ruamel.yaml read, as we would have it."""
    if isinstance(found, dict):
        return {_key(key): normal(inner) for key, inner in found.items()}
    if isinstance(found, (list, tuple)):
        return [normal(inner) for inner in found]
    if isinstance(found, float) and not math.isfinite(found):
        if math.isnan(found):
            return "NaN"
        return "-Infinity" if found < 0 else "Infinity"
    if isinstance(found, (datetime.date, datetime.datetime)):
        return "date"
    return found


def _key(key: object) -> str:
    return key if isinstance(key, str) else f"<{key!r}>"


def looks(found: object) -> object:
    """The shape of a value of ours, keys that may be no strings aside."""
    if isinstance(found, dict):
        return len(found), [looks(inner) for inner in found.values()]
    if isinstance(found, list):
        return [looks(inner) for inner in found]
    if isinstance(found, str) and found[:4].isdigit() and found.count("-") == 2:
        return "date"
    return found


@settings(max_examples=300, deadline=None)
@given(YAML_TEXT)
def test_values_are_those_of_ruamel_yaml(text: str) -> None:
    """Where ruamel.yaml, which DVC and gto use, reads a file, we read the same. We may
    say less (an alias cycle, a mapping as a key), never read it differently. A text
    alone is no registry file: `|` at its start is where libyaml differs."""
    ours = parse(text)
    try:
        with warnings.catch_warnings(action="ignore"):  # an anchor used twice
            theirs = YAML(typ="safe", pure=True).load(io.StringIO(text))
    except (YAMLError, ValueError, TypeError, AttributeError, RecursionError):
        return
    if not ours.problem and isinstance(theirs, (dict, list)) and "<<" not in text:
        assert looks(ours.value) == looks(normal(theirs))


def test_P2_a_machine_that_is_busy_with_others_is_no_reason_to_refuse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A refusal is kept with the file, so it must not depend on the hour."""
    monkeypatch.setattr("time.monotonic", itertools.count(step=10).__next__)
    data = b"x: [%s]\n" % (b"1, " * 2_000)
    assert parse_document("b" * 40, data).problem == ""
