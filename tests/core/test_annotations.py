"""Which file of a commit says what of an artifact, and where its problems are told."""

from __future__ import annotations

from dataclasses import replace

from indexer.core.annotations import AnnotationIndex
from indexer.core.artifact_files import Config
from indexer.core.snapshot import (
    Document,
    FileRef,
    GitCommit,
    Json,
    Problem,
    RepositorySnapshot,
)
from indexer.core.state import build_state
from tests.core.snapshots import commit, commit_id, snapshot, tag

FILES: dict[str, Json] = {
    "artifacts.yaml": {
        "m": {"description": "old"},
        "a": {"description": "old"},
        "both": {},
    },
    "dvc.yaml": {"artifacts": {"m": {"desc": "new"}, "z": {}, "both": {}}},
    "sub/dvc.yaml": {"artifacts": {"m": {"desc": "below"}, "a": {}}},
    "a/b/dvc.yaml": {"artifacts": {"m": {}, "z": {}}},
    ".gto": {"stages": ["dev"]},
}


def index(files: dict[str, Json]) -> tuple[AnnotationIndex, GitCommit]:
    made = commit(1, 1, files)
    return AnnotationIndex(snapshot(commits=(made,))), made[0]


def test_a_dvc_yaml_counts_in_the_catalog_and_artifacts_yaml_for_gto() -> None:
    known, there = index(FILES)

    def said(name: str) -> tuple[str | None, ...]:
        notes = known.catalog(there, name), known.gto(there, name)
        return tuple(note.description if note else None for note in notes)

    assert said("m") == ("new", "old")
    assert said("a") == ("old", "old")
    assert said("sub:m") == ("below", None)
    assert said("sub:a") == ("", None)
    assert said("a/b:z") == ("", None)
    assert said("sub:z") == said("other:m") == said("nobody") == (None, None)
    bare, empty = index({})
    assert (bare.catalog(empty, "m"), bare.gto(empty, "m")) == (None, None)
    assert bare.listed(empty) == ([], [])


def test_artifacts_yaml_comes_first_and_each_name_once() -> None:
    known, there = index(FILES)
    assert known.listed(there) == (
        ["m", "a", "both"],
        ["a/b:m", "a/b:z", "z", "sub:m", "sub:a"],
    )
    known, there = index({"dvc.yaml": {"artifacts": {"m": {}, "n": {}}}})
    assert known.listed(there) == ([], ["m", "n"])


def test_the_config_is_that_of_the_head() -> None:
    assert index(FILES)[0].config().stages == ("dev",)
    assert index({})[0].config() == Config()
    assert AnnotationIndex(RepositorySnapshot()).config() == Config()
    other = snapshot(commits=(commit(2, 1, FILES),), head=1)
    assert AnnotationIndex(other).config() == Config()


BAD: dict[str, Json] = {"artifacts.yaml": [], "dvc.yaml": []}


def sharing(first: GitCommit, number: int, seconds: int | None) -> GitCommit:
    """Another commit of the same files."""
    return replace(commit(number, seconds)[0], files=first.files)


def places(*numbers: int, head: int, seconds: dict[int, int | None]) -> list[str]:
    """Where the problems of one listing of files, which commits share, are told."""
    first, documents = commit(1, seconds.get(1, 0), BAD)
    commits = {1: first} | {
        number: sharing(first, number, seconds.get(number, 0)) for number in (2, 3)
    }
    seen = snapshot(
        commits=tuple((one, documents) for one in commits.values()), head=head
    )
    found = AnnotationIndex(seen).problems(commits[number] for number in numbers)
    assert [problem.path for problem in found] == ["artifacts.yaml", "dvc.yaml"]
    return [problem.commit_id for problem in found]


def test_a_files_problem_is_told_at_the_head_or_at_the_newest_commit() -> None:
    dates: dict[int, int | None] = {1: 5, 2: 9, 3: 7}
    for order in ((1, 2, 3), (3, 2, 1), (2, 1, 3)):
        assert places(*order, head=1, seconds=dates) == [commit_id(1)] * 2
        assert places(*order, head=9, seconds=dates) == [commit_id(2)] * 2
        assert places(*order, head=9, seconds={}) == [commit_id(3)] * 2
        unknown: dict[int, int | None] = {1: None, 2: -5, 3: None}
        assert places(*order, head=9, seconds=unknown) == [commit_id(2)] * 2


def test_a_blob_that_lies_in_two_listings_is_told_of_once() -> None:
    first, documents = commit(1, 5, BAD)
    (old, dvc) = first.files
    second = replace(commit(2, 9)[0], files=(FileRef("x/dvc.yaml", "b"), dvc))
    documents["b"] = Document("b", [])
    seen = snapshot(commits=((first, documents), (second, {})), head=9)
    found = AnnotationIndex(seen).problems([first, second])
    assert [(problem.path, problem.commit_id) for problem in found] == [
        ("x/dvc.yaml", commit_id(2)),
        ("dvc.yaml", commit_id(2)),
        ("artifacts.yaml", commit_id(1)),
    ]
    assert old.path == "artifacts.yaml"


def test_problems_of_the_commits_that_count_are_told_and_of_no_others() -> None:
    def odd(number: int) -> tuple[GitCommit, dict[str, Document]]:
        made, documents = commit(number, number)
        said = Problem("odd", "A folder is damaged.", commit_id=made.id)
        return replace(made, problems=(said,)), documents

    seen = snapshot(
        *(tag("m@v1.0.0", 1, 10), tag("m#prod", 2, 11), tag("m@deprecated", 3, 12)),
        commits=(odd(1), odd(2), odd(3), odd(4), odd(5)),
        head=5,
    )
    told = [problem.commit_id for problem in build_state(seen).problems]
    assert told == [commit_id(1), commit_id(2), commit_id(5)]
    nothing = replace(seen, tags=(), head="", commits={})
    assert build_state(nothing).problems == ()


def test_what_was_met_anywhere_and_in_the_config_is_told_with_its_place() -> None:
    files: dict[str, Json] = {".gto": {"x": 1}}
    seen = snapshot(commits=(commit(1, 1, files),))
    anywhere = Problem("elsewhere", "Something is odd.")
    problems = build_state(replace(seen, problems=(anywhere,))).problems
    assert [(p.code, p.path, p.commit_id) for p in problems] == [
        ("elsewhere", "", ""),
        ("bad-gto-config", ".gto", commit_id(1)),
    ]
