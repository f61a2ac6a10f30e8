"""How many requests a repository costs over GitHub's API."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from indexer.providers.base import Known
from indexer.providers.errors import Unavailable
from indexer.providers.github import objects
from tests.providers.conftest import known_of
from tests.providers.github.readers import PlaceOf, add_tag, assert_same, tagged
from tests.providers.github_server import GitHubServer


def test_three_hundred_tags_cost_ten_requests_and_one_more_costs_three(
    place_of: PlaceOf, tmp_path: Path
) -> None:
    repository = tagged(tmp_path / "r.git", 300)
    place = place_of(repository.path)
    first = assert_same(place)
    assert len(first.lines) <= 10, first.lines
    assert max(first.asked_ids.values()) == 1
    known = known_of(first.snapshot)
    again = assert_same(place, known)
    assert len(again.lines) <= 2, again.lines
    add_tag(repository, 300)
    repository.finish()
    more = assert_same(place, known)
    assert len(more.lines) <= 3, more.lines
    old = next(iter(first.snapshot.commits))
    repository.version("m0@v999.0.0", old)
    repository.finish()
    third = assert_same(place, known_of(more.snapshot))
    assert len(third.lines) <= 3, third.lines


def test_a_small_repository_costs_two_requests(
    place_of: PlaceOf, tmp_path: Path
) -> None:
    place = place_of(tagged(tmp_path / "r.git", 10).path)
    first = assert_same(place)
    assert len(first.lines) <= 3, first.lines
    again = assert_same(place, known_of(first.snapshot))
    assert len(again.lines) == 1


def test_files_are_read_once_and_trees_asked_for_once(
    place_of: PlaceOf, tmp_path: Path
) -> None:
    """Of a repository that is too large to tell all its folders with each commit."""
    repository = tagged(tmp_path / "r.git", 30, more=200)
    place = place_of(repository.path)
    first = assert_same(place)
    assert max(first.asked_ids.values()) == 1
    assert len(first.lines) <= 6, first.lines
    add_tag(repository, 31, more=200)
    repository.finish()
    more = assert_same(place, known_of(first.snapshot))
    assert not set(more.asked_ids) & set(first.snapshot.documents)


def test_a_part_of_a_listing_is_read_alone(place_of: PlaceOf, tmp_path: Path) -> None:
    """As the short way of a crawl asks for it."""
    place = place_of(tagged(tmp_path / "r.git", 20).path)
    whole = place.read().snapshot
    provider = place.api()
    listing = provider.fetch_listing()
    tags = {"m0@v7.0.0": listing.tags["m0@v7.0.0"]}
    part = provider.fetch_snapshot(replace(listing, tags=tags), Known())
    assert part.tags == tuple(tag for tag in whole.tags if tag.ref in tags)
    assert set(part.commits) == {part.head, part.tags[0].commit_id}


def test_a_query_that_is_too_much_is_halved(
    place_of: PlaceOf, tmp_path: Path, github: GitHubServer
) -> None:
    place = place_of(tagged(tmp_path / "r.git", 60).path)
    expected = place.read_by_git()
    refused = github.fault(
        lambda one: one.path.endswith("graphql") and one.body.count(b"object(oid") > 7,
        times=None,
        status=502,
    )
    reading = place.read()
    assert refused.hits >= 3
    assert set(reading.snapshot.tags) == set(expected.tags)
    assert reading.snapshot.documents == expected.documents


def test_a_server_that_is_down_is_not_asked_for_ever(
    place_of: PlaceOf, tmp_path: Path, github: GitHubServer
) -> None:
    place = place_of(tagged(tmp_path / "r.git", 60).path)
    provider = place.api()
    listing = provider.fetch_listing()
    github.fault("graphql", times=None, status=502)
    before = len(github.requests)
    with pytest.raises(Unavailable):
        provider.fetch_snapshot(listing, Known())
    assert len(github.requests) - before <= objects.MAX_FAILURES + 1
