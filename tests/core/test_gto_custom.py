"""What stands under `custom` in artifacts.yaml: as gto prints it where it prints JSON;
where gto fails or prints none, everything else of the file is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from indexer.core import gto_json
from indexer.core.snapshot import Json
from indexer.core.state import RegistryState, build_state
from tests.core.histories import Commit, History, write_repository
from tests.core.oracle import ask_gto, printed
from tests.core.reading import read_repository

EQUAL = (
    "{a: [1, 2.5, null, true, ~], z: x}",
    "[1_000, 017, 0o17, 0x1F, 1e3, 1:30, yes, 'on']",
    "2001-12-14t21:59:43.10-05:00",
    "[2001-12-14 21:59:43.10 -5, 2001-12-15T02:59:43Z, 2001-12-14 21:59:43]",
    "[2001-12-14T21:59:43.1234567, 2001-12-31T23:59:59.9999996+05:30]",
    "[9223372036854775808, -9223372036854775809, 0xFFFFFFFFFFFFFFFFFF]",
    "!!omap [b: 1, a: {c: 2}]",
    "{? [a, b] : c, ? [] : d}",
    "{z: &b {a: 1, y: 2}, <<: [*b, {x: 3, a: 4}], y: 5, w: *b}",
)
# What gto cannot say in JSON, what we say, and whether a problem tells of it.
GTO_FAILS: dict[str, tuple[Json, bool]] = {
    "2001-12-14": ("2001-12-14", False),
    "[2001-13-14T00:00:00Z, 1]": (["2001-13-14T00:00:00Z", 1], False),
    "!!set {a, b}": ({"a": None, "b": None}, False),
    "!!pairs [a: 1, a: 2]": ([{"a": 1}, {"a": 2}], False),
    "!!omap [a: 1, a: 2]": ([{"a": 1}, {"a": 2}], False),
    "!!binary aGk=": ("aGk=", False),
    "{? [1, 2] : a, b: c}": ({"b": "c"}, True),
    "{? {a: b} : c, d: e}": ({"d": "e"}, True),
    "{2001-12-14: a}": ({"2001-12-14": "a"}, False),
    "&a {b: *a, c: d}": ({"c": "d"}, True),
    "&a [1, [*a]]": ([1, []], True),
    "!thing {a: 1}": (None, True),
}
# What gto prints otherwise, and why we do not.
DIFFERENT: dict[str, tuple[str, Json]] = {
    ".inf": ("Infinity", "Infinity"),  # as a text: JSON has no such number
    "-.inf": ("-Infinity", "-Infinity"),
    ".nan": ("NaN", "NaN"),
    "1e400": ("Infinity", "1e400"),
    "{0x10: a, 1.50: b}": ('{"16": "a", "1.5": "b"}', {"0x10": "a", "1.50": "b"}),
    "!!float 1": ("1.0", 1),
}


def repository(path: Path, custom: str, head: str = "") -> Path:
    text = f"{head}m:\n  type: model\n  custom: {custom}\nother: {{type: model}}\n"
    history = History((Commit(files={"artifacts.yaml": text}),))
    return write_repository(path / "repository", history)


def custom_of(state: RegistryState) -> Json:
    """And that nothing else is lost."""
    assert list(state.artifacts) == ["m", "other"]
    annotation = state.artifacts["m"].annotation
    assert annotation is not None
    assert annotation.type == "model"
    return annotation.meta


@pytest.mark.parametrize("custom", EQUAL)
def test_custom_values_are_those_that_gto_prints(custom: str, tmp_path: Path) -> None:
    path = repository(tmp_path, custom)
    state = build_state(read_repository(path))
    assert state.problems == ()
    with ask_gto(path) as gto:
        assert printed(gto_json.show_artifact(state, "m")) == gto.show("m")


@pytest.mark.parametrize("custom", GTO_FAILS)
def test_what_gto_cannot_print_costs_that_alone(custom: str, tmp_path: Path) -> None:
    expected, is_told = GTO_FAILS[custom]
    path = repository(tmp_path, custom)
    with pytest.raises(Exception), ask_gto(path) as gto:  # noqa: B017, PT011
        gto.show("m")
    state = build_state(read_repository(path))
    assert custom_of(state) == expected
    places = [(p.code, p.path, p.line) for p in state.problems]
    assert places == ([("partly-read", "artifacts.yaml", 3)] if is_told else [])


@pytest.mark.parametrize("custom", DIFFERENT)
def test_what_is_no_json_is_text_and_keys_are_as_written(
    custom: str, tmp_path: Path
) -> None:
    theirs, ours = DIFFERENT[custom]
    path = repository(tmp_path, custom)
    with ask_gto(path) as gto:
        shown = json.loads(gto.show("m"))[0]["enrichments"][0]["enrichments"]
    assert json.dumps(shown[0]["artifact"]["custom"]) == theirs
    assert custom_of(build_state(read_repository(path))) == ours


def test_a_file_of_yaml_1_1_is_read_as_1_2_and_says_so(tmp_path: Path) -> None:
    path = repository(tmp_path, "[yes, 017, 1:30]", "%YAML 1.1\n---\n")
    with ask_gto(path) as gto:
        shown = json.loads(gto.show("m"))[0]["enrichments"][0]["enrichments"]
    assert shown[0]["artifact"]["custom"] == [True, 15, 90]
    state = build_state(read_repository(path))
    assert custom_of(state) == ["yes", 17, "1:30"]
    (problem,) = state.problems
    assert problem.code == "partly-read"
    assert "%YAML 1.1" in problem.text
