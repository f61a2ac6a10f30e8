"""Registry files that are fine one by one and too much together (P3, D1, D5)."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.core.snapshot import Document, RepositorySnapshot
from indexer.providers import documents
from indexer.yamlio import parse_document
from tests.providers.conftest import ProviderOf, known_of, read
from tests.providers.hostile import GOOD_FILE, GOOD_TAG
from tests.providers.raw_repository import RawRepository


def repository_of(path: Path, files: dict[str, bytes]) -> RawRepository:
    repository = RawRepository(path)
    commit = repository.commit(repository.files({"dvc.yaml": GOOD_FILE, **files}))
    repository.version(GOOD_TAG, commit)
    repository.refs[b"refs/heads/main"] = commit
    repository.finish()
    return repository


def values(number: int, mark: int = 0) -> bytes:
    """A file of somewhat more than `number` values."""
    return b"n%d: [%s]\n" % (mark, b"1, " * number)


def kept_paths(snapshot: RepositorySnapshot) -> set[str]:
    head = snapshot.commits[snapshot.head]
    return {
        file.path for file in head.files if not snapshot.documents[file.blob_id].problem
    }


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_VALUES", 1_000)
    monkeypatch.setattr(documents, "MAX_CHARACTERS", 10_000)
    monkeypatch.setattr(documents, "MAX_ENTRIES", 100)


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize(
    "file",
    [
        values(300),
        b"artifacts: {m: {desc: %s}}\n" % (b"x" * 3_000),
        b"artifacts:\n" + b"".join(b"  m%d: {}\n" % n for n in range(40)),
    ],
    ids=["values", "characters", "artifacts"],
)
def test_D5_files_are_kept_as_long_as_all_together_fit(
    tmp_path: Path, provider_of: ProviderOf, file: bytes
) -> None:
    files = {f"d{n}/dvc.yaml": b"#%d\n" % n + file for n in range(6)}
    repository = repository_of(tmp_path / "repo", files)
    snapshot = read(provider_of(repository.path))
    kept = kept_paths(snapshot)
    assert "dvc.yaml" in kept
    assert 2 <= len(kept) <= 4
    head = snapshot.commits[snapshot.head]
    for one in head.files:
        if one.path not in kept:
            document = snapshot.documents[one.blob_id]
            assert document.value is None
            assert document.problem == documents.TOO_MUCH


@pytest.mark.usefixtures("_small")
def test_P11_a_file_that_is_too_much_leaves_room_for_smaller_ones(
    tmp_path: Path, provider_of: ProviderOf
) -> None:
    files = {"a/dvc.yaml": values(1_100), "b/dvc.yaml": values(10)}
    repository = repository_of(tmp_path / "repo", files)
    assert kept_paths(read(provider_of(repository.path))) == {"dvc.yaml", "b/dvc.yaml"}


@pytest.mark.usefixtures("_small")
def test_D1_a_file_counts_at_every_path_it_has(
    tmp_path: Path, provider_of: ProviderOf
) -> None:
    files = {f"d{n}/dvc.yaml": values(100) for n in range(20)}
    repository = repository_of(tmp_path / "repo", files)
    assert kept_paths(read(provider_of(repository.path))) == {"dvc.yaml"}


@pytest.mark.usefixtures("_small")
def test_the_head_comes_first_and_a_later_crawl_cuts_alike(
    tmp_path: Path, provider_of: ProviderOf
) -> None:
    repository = RawRepository(tmp_path / "repo")
    commits: list[str] = []
    for number in range(6):
        tree = repository.files({"dvc.yaml": GOOD_FILE + values(300, number)})
        commits.append(repository.commit(tree, parents=commits[-1:]))
        repository.version(f"churn@v{number}.0.0", commits[-1])
        repository.refs[b"refs/heads/main"] = commits[-1]
    repository.finish()
    before = read(provider_of(repository.path))
    assert kept_paths(before) == {"dvc.yaml"}
    repository.refs[b"refs/heads/main"] = commits[0]
    repository.finish()
    after = read(provider_of(repository.path), known_of(before))
    afresh = read(provider_of(repository.path, mirror=tmp_path / "fresh"))
    assert after.documents == afresh.documents
    assert kept_paths(after) == {"dvc.yaml"}
    assert before.documents != after.documents


@pytest.mark.usefixtures("_small")
def test_what_can_no_longer_fit_is_not_even_parsed(
    tmp_path: Path, provider_of: ProviderOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[str] = []

    def parse(blob_id: str, data: bytes) -> Document:
        parsed.append(blob_id)
        return parse_document(blob_id, data)

    monkeypatch.setattr("indexer.providers.reading.parse_document", parse)
    files = {f"d{n:02}/dvc.yaml": values(300, n) for n in range(50)}
    repository = repository_of(tmp_path / "repo", files)
    read(provider_of(repository.path))
    assert len(parsed) <= 10


def test_time_to_parse_is_limited_for_all_files_together(
    tmp_path: Path, provider_of: ProviderOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "MAX_SECONDS", 0.0)
    repository = repository_of(tmp_path / "repo", {})
    snapshot = read(provider_of(repository.path))
    assert [one.problem for one in snapshot.documents.values()] == [documents.TOO_MUCH]
