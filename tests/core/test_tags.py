from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.core.events import EventKind
from indexer.core.tags import (
    ParsedTag,
    Shortcut,
    format_tag_name,
    is_artifact_name,
    parse_shortcut,
    parse_tag_name,
)

R, D = EventKind.REGISTRATION, EventKind.DEREGISTRATION
A, U = EventKind.ASSIGNMENT, EventKind.UNASSIGNMENT

OURS = {
    "m@v1.0.0": ParsedTag(R, "m", version="v1.0.0"),
    "m@v1.0.0#3": ParsedTag(R, "m", version="v1.0.0", counter="3"),
    "m@v1.0.0!": ParsedTag(D, "m", version="v1.0.0"),
    "m@v1.0.0!#3": ParsedTag(D, "m", version="v1.0.0", counter="3"),
    "m@v1.0.0-rc.1+b.01": ParsedTag(R, "m", version="v1.0.0-rc.1+b.01"),
    "m#prod": ParsedTag(A, "m", stage="prod"),
    "m#prod#3": ParsedTag(A, "m", stage="prod", counter="3"),
    "m#prod!": ParsedTag(U, "m", stage="prod"),
    "m#prod!#3": ParsedTag(U, "m", stage="prod", counter="3"),
    "m#1": ParsedTag(A, "m", stage="1"),
    "m#1#007": ParsedTag(A, "m", stage="1", counter="007"),
    "m#a/b": ParsedTag(A, "m", stage="a/b"),
    "m@deprecated": ParsedTag(EventKind.DEPRECATION, "m"),
    "m@deprecated#2": ParsedTag(EventKind.DEPRECATION, "m", counter="2"),
    "dir=m@v1.0.0": ParsedTag(R, "dir:m", version="v1.0.0"),
    "a/b.c/-d=m/n-o_p#prod": ParsedTag(A, "a/b.c/-d:m/n-o_p", stage="prod"),
    "9@v0.0.0": ParsedTag(R, "9", version="v0.0.0"),
    "m#prod#" + "9" * 4301: ParsedTag(A, "m", stage="prod", counter="9" * 4301),
}

NOT_OURS = [
    *("", "m", "v1.0.0", "@v1.0.0", "#prod", "m@", "m#", "m@v1.0", "m@1.0.0"),
    *("m_@v1.0.0", "_m@v1.0.0", "m@v01.0.0", "@scope/m@v1.0.0", "m/@v1.0.0"),
    *("a=b=c@v1.0.0", "dir=@v1.0.0", "=m@v1.0.0", "dir:m@v1.0.0", "m.x@v1.0.0"),
    *("m@deprecated!", "m@Deprecated", "m@created", "m@created#1", "m@latest"),
    *("m@v1.0.0#", "m@v1.0.0#x", "m@v1.0.0#1#2", "m@v1.0.0!!", "m@v1.0.0#1!"),
    *("m#prod#", "m#prod#x", "m#prod!!", "m#-x", "m#x-", "m##1", "m#prod@v1.0.0"),
    *("m@v1.0.0\n", "m#prod\n", "\nm#prod", "m#prod#1\n", "m @v1.0.0", "m@v1.0.0 "),
    *("m@v1٢.0.0", "m#prod#١", "mé@v1.0.0", "m@v1.0.0<script>", "m\u202e@v1.0.0"),
    *("m@v1.0.0-", "m@v1.0.0-01", "m@v1.0.0+", "m@v1.0.0-a..b", "M%2Fx@v1.0.0"),
]


@pytest.mark.parametrize(("name", "parsed"), OURS.items())
def test_a_gto_tag_says_what_the_grammar_says(name: str, parsed: ParsedTag) -> None:
    assert parse_tag_name(name) == parsed
    assert format_tag_name(parsed) == name


@pytest.mark.parametrize("name", NOT_OURS)
def test_T7_T8_T9_any_other_name_is_not_ours(name: str) -> None:
    assert parse_tag_name(name) is None


names = st.from_regex(r"\A[a-zA-Z0-9]([a-zA-Z0-9/_-]*[a-zA-Z0-9])?\Z")
folders = st.from_regex(r"\A[a-zA-Z0-9_./-]+\Z")
artifacts = names | st.tuples(folders, names).map(":".join)
numbers = st.integers(0, 10**6).map(str)
versions = st.builds(
    "v{}.{}.{}{}".format,
    numbers,
    numbers,
    numbers,
    st.sampled_from(("", "-rc.1", "-0.a-b", "+x.01", "-alpha+001")),
)
counters = st.none() | st.from_regex(r"\A[0-9]{1,20}\Z")
parsed_tags = st.one_of(
    st.builds(ParsedTag, st.sampled_from((R, D)), artifacts, version=versions).flatmap(
        lambda t: counters.map(
            lambda c: ParsedTag(t.kind, t.artifact, t.version, counter=c)
        )
    ),
    st.builds(
        ParsedTag, st.sampled_from((A, U)), artifacts, stage=names, counter=counters
    ),
    st.builds(ParsedTag, st.just(EventKind.DEPRECATION), artifacts, counter=counters),
)


@given(parsed_tags)
def test_parsing_what_was_formatted_gives_it_back(parsed: ParsedTag) -> None:
    assert parse_tag_name(format_tag_name(parsed)) == parsed


@given(st.text() | st.text("mv#@!=.10-+/_", max_size=30))
def test_any_text_parses_to_what_formats_to_it_or_is_not_ours(name: str) -> None:
    parsed = parse_tag_name(name)
    if parsed is not None:
        assert format_tag_name(parsed) == name


@pytest.mark.parametrize(
    "parsed",
    [
        ParsedTag(R, "m", version="1.0.0"),
        ParsedTag(A, "m_", stage="prod"),
        ParsedTag(A, "m", stage="no good"),
        ParsedTag(A, "m", stage="prod", counter="x"),
        ParsedTag(A, "a:b:c", stage="prod"),
    ],
)
def test_what_no_tag_can_say_is_refused(parsed: ParsedTag) -> None:
    with pytest.raises(ValueError, match="No tag name can say"):
        format_tag_name(parsed)


@pytest.mark.measures_time
@pytest.mark.parametrize(
    "name",
    [
        "m" + "-" * 64_000 + "@v1.0.0",
        "a/" * 32_000 + "=m@v1.0.0x",
        "m@v1.0.0-" + "a." * 32_000,
        "m@v1.0.0-" + "1" * 64_000 + "!x",
        "m@v" + "1" * 64_000,
        "m#" + "a-" * 32_000,
        "m#a#" + "1" * 64_000 + "x",
    ],
)
def test_a_64_kB_name_parses_in_under_50_ms(name: str) -> None:
    started = time.thread_time()
    assert parse_tag_name(name) is None
    assert time.thread_time() - started < 0.05


@pytest.mark.parametrize(
    ("text", "shortcut"),
    [
        ("churn@latest", Shortcut("churn", latest=True)),
        ("churn@greatest", Shortcut("churn", latest=True)),
        ("churn@v3.0.0", Shortcut("churn", version="v3.0.0")),
        ("churn#prod", Shortcut("churn", stage="prod")),
        ("a/b:churn#a/b", Shortcut("a/b:churn", stage="a/b")),
        ("churn", None),
        ("churn@v3", None),
        ("churn#prod#1", None),
        ("churn@v3.0.0!", None),
        ("a=churn@latest", None),
        ("churn@latest\n", None),
    ],
)
def test_a_shortcut_names_one_of_three_things(
    text: str, shortcut: Shortcut | None
) -> None:
    assert parse_shortcut(text) == shortcut


def test_an_artifact_may_have_one_folder() -> None:
    assert is_artifact_name("a.b/c:m")
    assert not is_artifact_name("a:b:m")
    assert not is_artifact_name("a b:m")


@pytest.mark.parametrize(
    "value",
    [
        *("", "@latest", "#prod", "m@", "m#", "m#a@b", "m@v1.0.0#prod", "m@Latest"),
        *("m#-", "@m#prod", "#m@latest", "m@latest@latest", "m@v1.0.0@latest"),
    ],
)
def test_what_is_nearly_a_shortcut_is_none(value: str) -> None:
    assert parse_shortcut(value) is None


def test_a_tag_that_cannot_be_says_what_it_would_have_been() -> None:
    odd = ParsedTag(R, "m", version="1.0.0")
    with pytest.raises(ValueError, match="No tag") as caught:
        format_tag_name(odd)
    assert str(caught.value) == f"No tag name can say {odd!r}."
    folder = ParsedTag(A, "a:b", stage="prod", counter="1")
    assert format_tag_name(folder) == "a=b#prod#1"
