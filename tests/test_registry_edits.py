"""Changing an entry of a dvc.yaml: only what was asked changes, comments and all."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from indexer.core.snapshot import Json
from indexer.registry_edits import EditRefused, change_entry, diff, new_fields
from indexer.yamlio import parse_document

FILE = """\
# The pipeline of churn.
stages:
  train:            # nightly
    cmd: "python train.py --out model.pkl"
    deps: [data.csv, train.py]

artifacts:
  # Asked for by sales.
  churn:
    path: models/churn.pkl   # kept small
    type: model
    desc: 'Who leaves'
    labels: [tabular, 'gbm']

  segment:
    path: models/segment.pkl
    labels:
    - clustering
    - k-means   # k is 8

# Metrics come last.
metrics:
  - metrics.json
"""


def value_of(text: str) -> Any:
    document = parse_document("", text.encode())
    assert not document.problem, document.problem
    return document.value


def changed_lines(before: str, after: str) -> list[str]:
    return [
        line
        for line in diff(before, after, "dvc.yaml").splitlines()[2:]
        if line[:1] in {"+", "-"}
    ]


def test_a_description_changes_and_nothing_else() -> None:
    after = change_entry(FILE, "churn", {"desc": "Who will leave: soon"})
    assert changed_lines(FILE, after) == [
        "-    desc: 'Who leaves'",
        '+    desc: "Who will leave: soon"',
    ]


def test_labels_and_a_description_are_added_behind_the_last_field() -> None:
    after = change_entry(
        FILE, "segment", {"labels": ["clustering", "v2"], "desc": "Two\nlines"}
    )
    assert changed_lines(FILE, after) == [
        "-    - clustering",
        "-    - k-means   # k is 8",
        "+      - clustering",
        "+      - v2",
        "+    desc: |-",
        "+      Two",
        "+      lines",
    ]


def test_a_new_entry_comes_last_in_its_section() -> None:
    after = change_entry(
        FILE, "fraud", new_fields(path="models/fraud.pkl", type_="model")
    )
    assert changed_lines(FILE, after) == [
        "+  fraud:",
        "+    path: models/fraud.pkl",
        "+    type: model",
    ]
    assert after.index("fraud:") < after.index("# Metrics come last.")
    assert list(value_of(after)["artifacts"]) == ["churn", "segment", "fraud"]


def test_a_field_is_taken_out() -> None:
    after = change_entry(FILE, "churn", {"labels": None, "type": None})
    assert changed_lines(FILE, after) == [
        "-    type: model",
        "-    labels: [tabular, 'gbm']",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing yet\n",
        "stages: {}\n",
        "stages:\n  a:\n    cmd: x",
        "artifacts:\n",
        "artifacts: {}\n",
        "artifacts: {old: {path: x}}\n",
        "{}",
        "artifacts:\n    old:\n        path: x\n",
        "stages:\r\n  a:\r\n    cmd: x\r\n",
        "artifacts:\n  old:\n    path: x\n    desc: |\n      long\n\n\n",
        "artifacts:\n  old:\n    path: x\n    desc: |+\n      long\n\n\n",
        "---\nartifacts:\n  old:\n    path: x\n",
    ],
)
def test_an_entry_finds_its_place_in_any_file(text: str) -> None:
    before = value_of(text) or {}
    after = change_entry(text, "churn", {"path": "models/churn.pkl"})
    found = value_of(after)
    assert found["artifacts"].pop("churn") == {"path": "models/churn.pkl"}
    assert (found["artifacts"] or None) == (before.get("artifacts") or None)
    assert {k: v for k, v in found.items() if k != "artifacts"} == {
        k: v for k, v in before.items() if k != "artifacts"
    }
    if "\r\n" in text:
        assert "\n" not in after.replace("\r\n", "")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("- a\n", "mapping"),
        ("artifacts: [a]\n", "mapping"),
        ("artifacts:\n  churn: 3\n", "mapping"),
        ("artifacts: [\n", "cannot be read"),
        ("base: &a\n  path: x\nartifacts:\n  churn: *a\n", "by hand"),
    ],
)
def test_what_cannot_be_changed_is_refused_with_a_sentence(
    text: str, word: str
) -> None:
    with pytest.raises(EditRefused, match=word):
        change_entry(text, "churn", {"desc": "new"})


VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
WORDS = st.sampled_from(
    ["no", "0o17", "1.0", "- x", "a: b", "# c", "null", "2024-01-01", "~", " x", "x ",
     "'q'", '"', "a\n\nb", "a\n  b", "é", "\u2028", "=", "<<", "*a", "&b", "%x", "@y"]
)  # fmt: skip
TEXTS = st.one_of(VALUES, WORDS)
NAMES = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,10}", fullmatch=True)
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "path": TEXTS,
        "type": TEXTS,
        "desc": TEXTS,
        "labels": st.lists(TEXTS, min_size=1, max_size=3),
    },
)
FILES = st.dictionaries(NAMES, ENTRIES, max_size=4)


@settings(max_examples=150, deadline=None)
@given(FILES, NAMES, ENTRIES, st.booleans(), st.sampled_from([2, 4]))
def test_whatever_is_written_reads_as_wanted(
    entries: dict[str, Any], name: str, fields: dict[str, Json], flow: bool, by: int
) -> None:
    """Random files, as ruamel.yaml writes them, and random texts in the fields."""
    tool = YAML()
    tool.default_flow_style = flow
    tool.indent(mapping=by, sequence=by + 2, offset=by)
    written = io.StringIO()
    tool.dump({"stages": {"x": {"cmd": "y"}}, "artifacts": entries}, written)
    text = written.getvalue()
    # libyaml does not read all that ruamel.yaml writes: `[:0]`.
    assume(not parse_document("", text.encode()).problem)
    before = value_of(text)
    try:
        after = value_of(change_entry(text, name, fields))
    except EditRefused:
        assert flow  # there a line holds more than one thing
        return
    expected = dict(before["artifacts"])
    expected[name] = {**expected.get(name, {}), **fields}
    assert after == {**before, "artifacts": expected}
