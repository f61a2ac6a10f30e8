from __future__ import annotations

import itertools

import pytest
import semver
from hypothesis import given
from hypothesis import strategies as st

from indexer.core.versions import (
    Part,
    bump,
    greatest,
    is_version,
    precedence,
    sort_key,
)

# semver.org's own order, with numbers that text order gets wrong.
ASCENDING = (
    *("v0.0.0", "v0.0.1", "v0.9.0", "v0.10.0", "v1.0.0-0", "v1.0.0-2", "v1.0.0-10"),
    *("v1.0.0-alpha", "v1.0.0-alpha.1", "v1.0.0-alpha.beta", "v1.0.0-alpha0"),
    *("v1.0.0-beta", "v1.0.0-beta.2", "v1.0.0-beta.11", "v1.0.0-rc.1", "v1.0.0"),
    *("v1.0.1-a", "v2.0.0", "v10.0.0", "v" + "9" * 300 + ".0.0"),
    *("v1" + "0" * 300 + ".0.0", "v" + "9" * 4301 + ".0.0"),
)


def test_versions_sort_by_precedence_and_their_keys_alike() -> None:
    keys = [precedence(name) for name in ASCENDING]
    assert None not in keys
    for low, high in itertools.pairwise(keys):
        assert low is not None
        assert high is not None
        assert low < high
    assert sorted(ASCENDING, key=sort_key) == list(ASCENDING)


identifiers = st.integers(0, 120).map(str) | st.sampled_from(
    ("a", "A", "alpha", "-", "a-1", "0a", "rc", "z9", "1-")
)
names = st.builds(
    lambda core, pre, build: (
        "v{}.{}.{}".format(*core)
        + ("-" + ".".join(pre) if pre else "")
        + ("+" + ".".join(build) if build else "")
    ),
    st.tuples(*[st.integers(0, 300)] * 3),
    st.lists(identifiers, max_size=3),
    st.lists(identifiers, max_size=2),
)


@given(names, names)
def test_two_versions_compare_as_the_semver_library_says(one: str, two: str) -> None:
    expected = semver.Version.parse(one[1:]).compare(two[1:])
    a, b = precedence(one), precedence(two)
    assert a is not None
    assert b is not None
    assert (a > b) - (a < b) == expected
    assert (sort_key(one) > sort_key(two)) - (sort_key(one) < sort_key(two)) == expected


@given(st.text() | names)
def test_any_text_has_a_key_in_hexadecimal(name: str) -> None:
    assert set(sort_key(name)) <= set("0123456789abcdef")
    if not is_version(name):
        assert sort_key(name) < sort_key("v0.0.0-0")


def test_commit_ids_sort_below_versions_and_among_themselves() -> None:
    ids = ["ab" * 20, "0f" * 20, "ff" * 20]
    assert sorted([*ids, "v0.0.0"], key=sort_key) == [*sorted(ids), "v0.0.0"]


def test_the_greatest_is_no_commit_and_of_equal_ones_the_last() -> None:
    assert greatest(["v1.0.0", "f" * 40, "v1.1.0-rc.1"]) == "v1.1.0-rc.1"
    assert greatest(["v1.0.0+a", "v1.0.0+b"]) == "v1.0.0+b"
    assert greatest(["f" * 40]) is None


@pytest.mark.parametrize(
    ("name", "part", "bumped"),
    [
        ("v1.2.3", Part.PATCH, "v1.2.4"),
        ("v1.2.3", Part.MINOR, "v1.3.0"),
        ("v1.2.3", Part.MAJOR, "v2.0.0"),
        ("v1.2.9-rc.1+b", Part.PATCH, "v1.2.10"),
        ("v0.0.99", Part.PATCH, "v0.0.100"),
        ("v" + "9" * 4301 + ".0.0", Part.MAJOR, "v1" + "0" * 4301 + ".0.0"),
    ],
)
def test_a_bump_raises_one_part(name: str, part: Part, bumped: str) -> None:
    assert bump(name, part) == bumped


@given(names, st.sampled_from(Part))
def test_a_bump_is_what_gto_bumps_to(name: str, part: Part) -> None:
    library = semver.Version.parse(name[1:])
    assert bump(name, part) == f"v{getattr(library, f'bump_{part}')()}"


def test_only_a_version_can_be_bumped() -> None:
    with pytest.raises(ValueError, match="is no version"):
        bump("1.2.3")


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("v1.0.0", "01" + "0131" + "0130" + "0130" + "02"),
        (
            "v1.20.0-rc.10",
            "01" + "0131" + "023230" + "0130" + "01" + "03726300" + "02023130" + "01",
        ),
        ("v1.0.0+build", "0101310130013002"),
        ("\ud800", "00eda080"),
        ("é", "00c3a9"),
    ],
)
def test_a_key_stays_what_it_is_in_the_rows(name: str, key: str) -> None:
    """Rows hold keys: another form of them wants a migration."""
    assert sort_key(name) == key


@pytest.mark.parametrize("size", [254, 255, 256])
def test_a_long_number_has_a_key_that_says_its_length(size: int) -> None:
    head = f"{size:02x}" if size < 255 else f"ff{size:016x}"
    digits = "39" * size
    assert sort_key(f"v{'9' * size}.0.0") == f"01{head}{digits}0130013002"


def test_of_equal_parts_the_next_one_decides() -> None:
    ascending = ["v1.9.9", "v1.9.10", "v1.10.0", "v2.0.0"]
    keys = [precedence(name) or () for name in ascending]
    assert sorted(keys) == keys
    assert precedence("1.0.0") is None


def test_a_name_that_is_no_version_cannot_be_bumped_and_says_why() -> None:
    with pytest.raises(
        ValueError, match=r"^'x' is no version: it must be v and SemVer 2\.0\.$"
    ):
        bump("x")
    assert bump("v1.2.3") == "v1.2.4"
    assert bump("v0.0.1909") == "v0.0.1910"
