"""Which metrics a dvc.yaml names, and the numbers of a file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.core.metric_files import MOST_NUMBERS, metric_paths, numbers_of
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


@given(JSON)
def test_any_value_is_read(value: Json) -> None:
    assert len(numbers_of(value)) <= MOST_NUMBERS
    assert not any(
        path.startswith(("/", "../")) for path in metric_paths("a/dvc.yaml", value)
    )
