"""Times, stages and people as pages write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.core.snapshot import FIRST_SECOND, LAST_SECOND, Instant
from indexer.templatetags import indexer_tags
from indexer.templatetags.crawl_tags import crawl_counts, duration
from indexer.times import exact, relative
from tests.views.dom import text_of

NOW = datetime(2026, 3, 12, 13, 5, 33, tzinfo=UTC)


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (timedelta(seconds=5), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(hours=5, minutes=59), "5 hours ago"),
        (timedelta(days=3), "3 days ago"),
        (timedelta(days=20), "2 weeks ago"),
        (timedelta(days=364), "12 months ago"),
        (timedelta(days=800), "2 years ago"),
        (-timedelta(seconds=9), "in a moment"),
        (-timedelta(days=2), "in 2 days"),
    ],
)
def test_a_time_in_words(age: timedelta, words: str) -> None:
    assert relative(NOW - age, NOW) == words


@pytest.mark.parametrize(
    ("offset", "words"),
    [
        (0, "2026-03-12 13:05:33 UTC"),
        (60, "2026-03-12 14:05:33 +01:00 (13:05:33 UTC)"),
        (-210, "2026-03-12 09:35:33 -03:30 (13:05:33 UTC)"),
        (660, "2026-03-13 00:05:33 +11:00 (2026-03-12 13:05:33 UTC)"),
        (9999, "2026-03-12 13:05:33 UTC"),
    ],
)
def test_a_time_exactly(offset: int, words: str) -> None:
    assert exact(NOW, offset) == words


@given(
    st.integers(min_value=FIRST_SECOND, max_value=LAST_SECOND),
    st.integers(min_value=-100_000, max_value=100_000),
)
def test_T1_no_date_of_git_breaks_a_page(seconds: int, offset: int) -> None:
    at = Instant(seconds).utc
    assert "UTC" in exact(at, offset)
    assert "<time" in indexer_tags.when(at, offset)
    assert "<time" in indexer_tags.moment(at, offset)


@given(st.text(min_size=1, max_size=40))
def test_a_stage_has_one_colour(name: str) -> None:
    colour = indexer_tags.stage_colour(name)
    assert colour == indexer_tags.stage_colour(name)
    assert colour[2:] in {
        *indexer_tags.OTHER_COLOURS,
        *indexer_tags.STAGE_COLOURS.values(),
    }


def test_the_usual_stages_differ() -> None:
    usual = ("dev", "test", "staging", "prod")
    assert len({indexer_tags.stage_colour(name) for name in usual}) == 4
    assert indexer_tags.stage_colour("PROD") == indexer_tags.stage_colour("prod")


@given(st.text(max_size=300).filter(str.strip))
def test_a_long_name_is_whole_for_search_and_copy(name: str) -> None:
    html = indexer_tags.mid(name)
    assert text_of(html).replace(" ", "") == "".join(name.split())


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.04, "0.0 s"), (12.4, "12 s"), (185, "3 min 5 s")]
)
def test_a_duration_in_words(seconds: float, words: str) -> None:
    assert duration(NOW, NOW + timedelta(seconds=seconds)) == words
    assert duration(NOW, None) == "running"


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("Registering artifact m version v0.0.1", ""),
        ("Assigning stage prod to artifact m version v0.0.1", ""),
        ("Unassigning stage 'prod' to artifact 'm' version 'v0.0.1'", ""),
        ("Deprecating artifact 'm'", ""),
        ("Passed review", "Passed review"),
        (
            "Registering artifact m version v0.0.1\n\nafter RV-7",
            "Registering artifact m version v0.0.1\n\nafter RV-7",
        ),
    ],
)
def test_what_gto_says_by_itself_is_not_repeated(message: str, shown: str) -> None:
    assert indexer_tags.own_words(message) == shown


def test_counts_of_a_crawl_in_words() -> None:
    html = crawl_counts({"tags": 1200, "new_tags": 1, "gone_tags": 0})
    assert text_of(html) == "1,200 tags, 1 new tag"
    assert crawl_counts({}) == ""
