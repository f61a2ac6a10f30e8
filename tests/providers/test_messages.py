"""Messages of tags and commits: how much of them is read (T6)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from indexer.core.snapshot import GitTag
from indexer.providers import tag_chains
from indexer.providers.base import Known
from tests.providers.conftest import ProviderOf, read
from tests.providers.raw_repository import RawRepository

LONG = b"m" * 200_000


def repository_of(path: Path, tags: int) -> RawRepository:
    repository = RawRepository(path)
    commit = repository.commit(
        repository.files({"dvc.yaml": b"artifacts: {}\n"}), message=LONG
    )
    for number in range(tags):
        name = b"churn@v%d.0.0" % number
        repository.tag(name, repository.tag_body(commit, name, message=LONG))
    repository.refs[b"refs/heads/main"] = commit
    repository.finish()
    return repository


def message_of(tag: GitTag) -> str:
    assert tag.tag is not None
    return tag.tag.message


@pytest.mark.parametrize(
    ("tags", "most"),
    [(1, 131_072), (1_000, 131_072), (1_001, 8_192), (20_001, 2_048)],
)
def test_T6_the_more_tags_the_less_is_read_of_each(tags: int, most: int) -> None:
    assert tag_chains.most_bytes(tags) == most
    assert tags * most <= 160 * 1024 * 1024


def test_T6_a_long_message_is_cut_and_said_to_be(
    tmp_path: Path, provider_of: ProviderOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tag_chains, "MAX_BYTES", ((2, 50_000), (4, 5_000)))
    few = read(provider_of(repository_of(tmp_path / "few", 2).path))
    assert 49_000 < len(message_of(few.tags[0])) < 50_000
    assert 49_000 < len(few.commits[few.head].message) < 50_000
    many = read(
        provider_of(repository_of(tmp_path / "many", 3).path, mirror=tmp_path / "m")
    )
    for tag in many.tags:
        assert 4_000 < len(message_of(tag)) < 5_000
        assert tag.tag is not None
        assert any("its message is cut" in flaw for flaw in tag.tag.flaws)


def test_T6_a_part_of_a_listing_is_cut_as_the_whole_is(
    tmp_path: Path, provider_of: ProviderOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tag_chains, "MAX_BYTES", ((2, 50_000), (4, 5_000)))
    provider = provider_of(repository_of(tmp_path / "repo", 3).path)
    listing = provider.fetch_listing()
    one = dict(list(listing.tags.items())[:1])
    part = provider.fetch_snapshot(replace(listing, tags=one), Known())
    assert len(message_of(part.tags[0])) < 5_000
