from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.providers import trees
from indexer.providers.git.hardening import Connection
from indexer.providers.git.mirror import open_mirror
from indexer.providers.git.mirror_objects import MirrorObjects
from indexer.providers.trees import TreeWalk, parse_tree
from tests.providers.raw_repository import RawRepository


def walk_of(repository: RawRepository, tmp_path: Path) -> TreeWalk:
    mirror = tmp_path / "mirrors" / "1"
    open_mirror(mirror, object_format="sha1", borrow_from=repository.path / "objects")
    connection = Connection(str(repository.path), "file")
    return TreeWalk(
        MirrorObjects(mirror, connection, fetches=False, first=True, end=0.0)
    )


@given(st.binary(max_size=300), st.sampled_from([20, 32]))
def test_any_bytes_are_a_tree_or_a_value_error(data: bytes, id_bytes: int) -> None:
    try:
        tree = parse_tree(data, id_bytes)
    except ValueError:
        return
    assert tree.entries * (id_bytes + 2) <= len(data)


def test_a_cut_tree_is_refused() -> None:
    whole = b"100644 dvc.yaml\0" + b"x" * 20
    assert parse_tree(whole, 20).files == ((b"dvc.yaml", b"100644", b"x".hex() * 20),)
    for end in range(1, len(whole)):
        with pytest.raises(ValueError, match="entry"):
            parse_tree(whole[:end], 20)


def test_a_shared_folder_is_read_once_and_found_everywhere(tmp_path: Path) -> None:
    repository = RawRepository(tmp_path / "repo")
    shared = repository.files({"dvc.yaml": b"a: 1\n", "x": b""})
    root = repository.tree((b"40000", b"d%03d" % n, shared) for n in range(500))
    walk = walk_of(repository, tmp_path)
    walk.load([root])
    files, problems = walk.files(root, "c")
    assert problems == ()
    assert [file.path for file in files] == [f"d{n:03}/dvc.yaml" for n in range(500)]
    assert len({file.blob_id for file in files}) == 1


def test_the_deepest_folder_that_counts(tmp_path: Path) -> None:
    repository = RawRepository(tmp_path / "repo")
    walk = walk_of(repository, tmp_path)
    for levels, found in ((trees.MAX_DEPTH - 1, 1), (trees.MAX_DEPTH, 0)):
        tree = repository.files({"dvc.yaml": b"a: 1\n"})
        for _ in range(levels):
            tree = repository.tree([(b"40000", b"d", tree)])
        walk = walk_of(repository, tmp_path)
        walk.load([tree])
        files, problems = walk.files(tree, "c")
        assert len(files) == found
        assert len(problems) == 1 - found


def test_D2_a_way_round_the_depth_is_cut_too(tmp_path: Path) -> None:
    """Every folder of a chain is near the root by another way, so that all of the
    chain is read; its paths are long all the same."""
    repository = RawRepository(tmp_path / "repo")
    tree = repository.files({"dvc.yaml": b"a: 1\n"})
    chain = [tree]
    for _ in range(3_000):
        tree = repository.tree([(b"40000", b"d", tree)])
        chain.append(tree)
    root = repository.tree(
        (b"40000", b"c%04d" % n, link) for n, link in enumerate(chain[::40])
    )
    walk = walk_of(repository, tmp_path)
    walk.load([root])
    files, problems = walk.files(root, "c")
    assert [problem.code for problem in problems] == ["tree-too-deep"]
    assert all(file.path.count("/") <= trees.MAX_DEPTH for file in files)


def test_time_that_runs_out_is_a_tree_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trees, "MAX_SECONDS", -1.0)
    repository = RawRepository(tmp_path / "repo")
    root = repository.files({"dvc.yaml": b"a: 1\n"})
    walk = walk_of(repository, tmp_path)
    walk.load([root])
    files, problems = walk.files(root, "c")
    assert files == ()
    assert problems[0].code == "tree-too-large"


def test_paths_that_are_too_long_are_named(tmp_path: Path) -> None:
    repository = RawRepository(tmp_path / "repo")
    tree = repository.files({"dvc.yaml": b"a: 1\n"})
    for _ in range(5):
        tree = repository.tree([(b"40000", b"n" * 250, tree)])
    walk = walk_of(repository, tmp_path)
    walk.load([tree])
    files, problems = walk.files(tree, "c")
    assert files == ()
    assert problems[0].code == "path-too-long"
    assert len(problems[0].path) <= trees.MAX_PATH


@pytest.mark.parametrize(
    ("limit", "most"), [("MAX_PATHS", 30), ("MAX_FILES_IN_ALL", 30)]
)
def test_D1_all_commits_together_have_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    """Each is far from the limits of one commit; a thousand of them are not."""
    monkeypatch.setattr(trees, limit, most)
    repository = RawRepository(tmp_path / "repo")
    roots = [
        repository.files(
            {f"{n}-{k}/dvc.yaml": b"a: 1\n" for k in range(5)} | {"dvc.yaml": b"b: 1\n"}
        )
        for n in range(20)
    ]
    walk = walk_of(repository, tmp_path)
    walk.load(roots)
    read = [walk.files(root, "c") for root in roots]
    assert all(len(files) == 6 and not problems for files, problems in read[:2])
    files, problems = read[-1]
    assert [problem.code for problem in problems] == ["too-many-files"]
    assert [file.path for file in files] == ["dvc.yaml"]
    assert sum(len(files) for files, _ in read) < 3 * most


def test_commits_share_what_they_have_in_common(tmp_path: Path) -> None:
    repository = RawRepository(tmp_path / "repo")
    roots = [
        repository.files({"a/dvc.yaml": b"a: 1\n", "x": b"%d" % n}) for n in range(2)
    ]
    walk = walk_of(repository, tmp_path)
    walk.load(roots)
    first, second = (walk.files(root, "c")[0] for root in roots)
    assert first == second
    assert first[0] is second[0]
