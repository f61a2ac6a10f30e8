"""Which metrics a dvc.yaml names, and the numbers of a file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.core.metric_files import DEEPEST, MOST_NUMBERS, metric_paths, numbers_of
from indexer.core.snapshot import Json

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("dvc.yaml", {"metrics": ["m.json"]}, ("m.json",)),
        ("sub/dvc.yaml", {"metrics": [{"m.json": {"cache": False}}]}, ("sub/m.json",)),
        (
            "dvc.yaml",
            {"stages": {"train": {"wdir": "src", "metrics": ["../m.yaml"]}}},
            ("m.yaml",),
        ),
        ("dvc.yaml", {"metrics": ["../out.json", "/etc/passwd", "${x}"]}, ()),
        ("dvc.yaml", {"metrics": "m.json"}, ()),
        ("dvc.yaml", {"metrics": [1, {2: {}}, "m.json"]}, ("m.json",)),
        (
            "a/b/dvc.yaml",
            {"metrics": ["../m.json", "./n.json"]},
            (
                "a/m.json",
                "a/b/n.json",
            ),
        ),
        (
            "dvc.yaml",
            {
                "metrics": ["m.json"],
                "stages": {
                    "odd": [],
                    "train": {"metrics": ["a.json", "m.json"]},
                    "test": {"wdir": 3, "metrics": ["b.json"]},
                    "bare": {"wdir": "src"},
                    "more": {"wdir": "src", "metrics": ["c.json"]},
                },
            },
            ("m.json", "a.json", "b.json", "src/c.json"),
        ),
        (
            "dvc.yaml",
            {"metrics": [f"{n}.json" for n in range(7)]},
            (
                "0.json",
                "1.json",
                "2.json",
                "3.json",
                "4.json",
            ),
        ),
        ("dvc.yaml", ["metrics"], ()),
    ],
)
def test_the_files_a_dvc_yaml_names(
    path: str, value: Json, expected: tuple[str, ...]
) -> None:
    assert metric_paths(path, value) == expected


def test_numbers_by_their_dotted_names() -> None:
    value: Json = {"auc": 0.87312345, "test": {"n": 3, "ok": True, "by": ["x", 1]}}
    assert numbers_of(value) == (("auc", "0.873123"), ("test.n", "3"))


def test_numbers_are_written_as_they_are_and_as_many_as_a_page_bears() -> None:
    assert numbers_of({"n": 12345678, "f": 2.0, "big": 1e300, "none": None}) == (
        ("n", "12345678"), ("f", "2"), ("big", "1e+300"),
    )  # fmt: skip
    assert numbers_of(5) == ()
    assert numbers_of({"": 5}) == ()
    many: Json = {str(n): n for n in range(MOST_NUMBERS + 1)}
    assert [name for name, _ in numbers_of(many)] == [
        str(n) for n in range(MOST_NUMBERS)
    ]
    assert len(numbers_of({str(n): n for n in range(MOST_NUMBERS - 1)})) == (
        MOST_NUMBERS - 1
    )


@pytest.mark.parametrize("depth", [DEEPEST, DEEPEST + 1])
def test_numbers_lie_so_deep_and_no_deeper(depth: int) -> None:
    value: Json = 5
    for _ in range(depth):
        value = {"a": value}
    expected = ((".".join("a" * depth), "5"),) if depth == DEEPEST else ()
    assert numbers_of(value) == expected


@given(JSON)
def test_any_value_is_read(value: Json) -> None:
    assert len(numbers_of(value)) <= MOST_NUMBERS
    assert not any(
        path.startswith(("/", "../")) for path in metric_paths("a/dvc.yaml", value)
    )
