"""The reader on healthy repositories: of this machine and over HTTP."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.core.snapshot import FileRef, Instant, Person, RepositorySnapshot
from indexer.providers.base import Known
from indexer.providers.errors import BadPayload, NotFound
from indexer.providers.git import command
from tests.providers.conftest import ProviderOf, known_of, read
from tests.providers.git_server import GitServer
from tests.providers.raw_repository import RawRepository, simple_repository


def git(path: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", *arguments],
        cwd=path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def test_a_snapshot_holds_tags_commits_and_documents(
    tmp_path: Path, provider_of: ProviderOf
) -> None:
    repository = simple_repository(tmp_path / "repo", tags=2)
    snapshot = read(provider_of(repository.path))
    head = repository.refs[b"refs/heads/main"]
    assert snapshot.complete
    assert snapshot.default_branch == "main"
    assert snapshot.head == head
    assert snapshot.branches == {"main": head}
    assert [tag.ref for tag in snapshot.tags] == ["churn@v1.0.0", "churn@v2.0.0"]
    tag = snapshot.tags[1]
    assert tag.commit_id == head
    assert tag.tag is not None
    assert tag.tag.tagger == Person("Alice Doe", "alice@example.org")
    assert tag.tag.tagged == Instant(1_700_000_000, 60)
    assert tag.tag.message == "A message"
    commit = snapshot.commits[head]
    assert commit.author.name == "Alice Doe"
    assert [file.path for file in commit.files] == ["dvc.yaml"]
    document = snapshot.documents[commit.files[0].blob_id]
    assert document.value == {
        "artifacts": {"churn": {"type": "model", "path": "model2.pkl"}}
    }
    assert len(snapshot.documents) == 2


def test_both_ways_of_reading_give_the_same_snapshot(
    provider_of: ProviderOf, git_server: GitServer, tmp_path: Path
) -> None:
    path = simple_repository(git_server.root / "repo", tags=5).path
    local = read(provider_of(path, mirror=tmp_path / "a"))
    remote = read(provider_of(git_server.url_of(path), mirror=tmp_path / "b"))
    assert local == remote
    assert local.complete


def test_registry_files_are_found_where_they_count(
    tmp_path: Path, provider_of: ProviderOf
) -> None:
    repository = RawRepository(tmp_path / "repo")
    tree = repository.files(
        {
            "dvc.yaml": b"a: 1\n",
            "artifacts.yaml": b"b: 2\n",
            ".gto": b"stages: [dev]\n",
            "models/cv/dvc.yaml": b"c: 3\n",
            "models/artifacts.yaml": b"not: read\n",
            "models/.gto": b"not: read\n",
            "models/dvc.yaml.bak": b"not: read\n",
            "dvc.yaml.d/x": b"",
        }
    )
    repository.refs[b"refs/heads/main"] = head = repository.commit(tree)
    repository.finish()
    files = read(provider_of(repository.path)).commits[head].files
    assert [file.path for file in files] == [
        ".gto", "artifacts.yaml", "dvc.yaml", "models/cv/dvc.yaml",
    ]  # fmt: skip


def test_only_commits_that_matter_are_read(
    tmp_path: Path, provider_of: ProviderOf
) -> None:
    repository = simple_repository(tmp_path / "repo", tags=1)
    tree = repository.files({"x": b"y"})
    foreign, light, inner = (
        repository.commit(tree, message=m) for m in (b"1", b"2", b"3")
    )
    repository.version("release-1", foreign)
    repository.refs[b"refs/tags/light@v1.0.0"] = light
    # The name inside decides, so a tag that is GTO's by either name is read.
    repository.tag(b"plain", repository.tag_body(inner, b"other@v2.0.0"))
    repository.finish()
    snapshot = read(provider_of(repository.path))
    assert set(snapshot.commits) == {repository.refs[b"refs/heads/main"], inner}
    by_ref = {tag.ref: tag for tag in snapshot.tags}
    assert by_ref["release-1"].commit_id == foreign
    assert by_ref["light@v1.0.0"].tag is None
    assert by_ref["light@v1.0.0"].commit_id == light


def test_commits_with_the_same_files_share_them(
    tmp_path: Path, provider_of: ProviderOf
) -> None:
    repository = RawRepository(tmp_path / "repo")
    same = {"a/dvc.yaml": b"x: 1\n"}
    first = repository.commit(repository.files({**same, "code.py": b"1"}))
    second = repository.commit(repository.files({**same, "code.py": b"2"}))
    repository.version("m@v1.0.0", first)
    repository.version("m@v2.0.0", second)
    repository.refs[b"refs/heads/main"] = second
    repository.finish()
    commits = read(provider_of(repository.path)).commits
    assert commits[first].files is commits[second].files


def test_an_empty_repository_is_an_empty_snapshot(
    provider_of: ProviderOf, git_server: GitServer, tmp_path: Path
) -> None:
    path = git_server.root / "empty"
    git(tmp_path, "init", "-q", "--bare", str(path))
    for url in (str(path), git_server.url_of(path)):
        assert read(provider_of(url)) == RepositorySnapshot()


def test_a_head_that_names_no_branch_is_a_problem_not_an_error(
    tmp_path: Path, provider_of: ProviderOf
) -> None:
    repository = simple_repository(tmp_path / "repo")
    repository.head = b"ref: refs/heads/gone\n"
    repository.finish()
    snapshot = read(provider_of(repository.path))
    assert snapshot.head == ""
    assert [problem.code for problem in snapshot.problems] == ["no-default-branch"]
    assert len(snapshot.commits) == 3


def test_a_detached_head_is_read(tmp_path: Path, provider_of: ProviderOf) -> None:
    repository = simple_repository(tmp_path / "repo")
    commit = repository.refs[b"refs/heads/main"]
    repository.head = commit.encode() + b"\n"
    repository.finish()
    snapshot = read(provider_of(repository.path))
    assert (snapshot.default_branch, snapshot.head) == ("", commit)


def test_a_work_tree_and_a_linked_one_are_read(
    tmp_path: Path, provider_of: ProviderOf
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    git(work, "init", "-q", "-b", "main")
    (work / "dvc.yaml").write_text("artifacts: {churn: {type: model}}\n")
    git(work, "add", ".")
    git(work, "commit", "-q", "-m", "One")
    git(work, "tag", "-a", "churn@v1.0.0", "-m", "Registering")
    linked = tmp_path / "linked"
    git(work, "worktree", "add", "-q", str(linked), "-b", "other")
    for number, path in enumerate((work, work / ".git", linked)):
        snapshot = read(provider_of(path, mirror=tmp_path / "m" / str(number)))
        assert [tag.ref for tag in snapshot.tags] == ["churn@v1.0.0"]
        assert len(snapshot.documents) == 1


def test_a_sha256_repository_is_read(
    provider_of: ProviderOf, git_server: GitServer, tmp_path: Path
) -> None:
    path = git_server.root / "sha256"
    repository = RawRepository(path, object_format="sha256")
    head = repository.commit(repository.files({"sub/dvc.yaml": b"a: 1\n"}))
    repository.version("m@v1.0.0", head)
    repository.refs[b"refs/heads/main"] = head
    repository.finish()
    local = read(provider_of(path, mirror=tmp_path / "a"))
    assert len(head) == 64
    assert local.commits[head].files[0].path == "sub/dvc.yaml"
    remote = read(provider_of(git_server.url_of(path), mirror=tmp_path / "b"))
    assert remote == local


def test_a_known_repository_is_not_read_again(
    tmp_path: Path, provider_of: ProviderOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = simple_repository(tmp_path / "repo")
    provider = provider_of(repository.path)
    snapshot = read(provider)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("an object was read")

    monkeypatch.setattr(command, "cat_file", refuse)
    assert read(provider, known_of(snapshot)) == snapshot


def test_one_new_tag_reads_only_what_is_new(
    provider_of: ProviderOf, git_server: GitServer
) -> None:
    repository = simple_repository(git_server.root / "repo", tags=4)
    provider = provider_of(git_server.url_of(repository.path))
    before = read(provider)
    commit = repository.commit(
        repository.files({"dvc.yaml": b"artifacts: {new: {}}\n"}),
        parents=[repository.refs[b"refs/heads/main"]],
    )
    repository.refs[b"refs/heads/main"] = commit
    repository.version("churn#prod#1", commit)
    repository.finish()
    # The mirror lost what the index knows: it is not asked for again.
    after = read(provider, known_of(before))
    assert after == read(provider)
    assert len(after.tags) == 5
    assert after.head == commit


def test_the_same_tag_object_under_two_names_is_read_once(
    tmp_path: Path, provider_of: ProviderOf
) -> None:
    repository = simple_repository(tmp_path / "repo", tags=1)
    tag_id = repository.refs[b"refs/tags/churn@v1.0.0"]
    repository.refs[b"refs/tags/copy"] = tag_id
    repository.finish()
    provider = provider_of(repository.path)
    snapshot = read(provider)
    assert [tag.ref for tag in snapshot.tags] == ["churn@v1.0.0", "copy"]
    assert snapshot.tags[0] == replace(snapshot.tags[1], ref="churn@v1.0.0")
    assert read(provider, known_of(snapshot)) == snapshot


def test_an_unchanged_remote_costs_one_process_and_one_round_trip(
    provider_of: ProviderOf, git_server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = simple_repository(git_server.root / "repo").path
    provider = provider_of(git_server.url_of(path))
    first = provider.fetch_listing()
    started: list[object] = []
    spawn = command._spawn
    monkeypatch.setattr(
        command,
        "_spawn",
        lambda *a: started.append(a) or spawn(*a),  # type: ignore[func-returns-value]
    )
    git_server.requests.clear()
    assert provider.fetch_listing().fingerprint == first.fingerprint
    assert len(started) == 1
    assert git_server.requests == [
        ("GET", "/repo/info/refs?service=git-upload-pack"),
        ("POST", "/repo/git-upload-pack"),
    ]


def test_the_fingerprint_changes_with_tags_default_branch_and_head(
    tmp_path: Path, provider_of: ProviderOf
) -> None:
    repository = simple_repository(tmp_path / "repo")
    provider = provider_of(repository.path)
    first = provider.fetch_listing()
    seen = {first.fingerprint}
    head = repository.refs[b"refs/heads/main"]
    repository.refs[b"refs/heads/other"] = head
    repository.finish()
    listing = provider.fetch_listing()
    assert listing.fingerprint in seen, "another branch has one of its own"
    assert listing.branches_fingerprint != first.branches_fingerprint
    for change in (
        {b"refs/tags/new@v1.0.0": head},
        {b"refs/tags/churn@v1.0.0": repository.refs[b"refs/tags/churn@v2.0.0"]},
        {b"refs/heads/main": repository.commit(repository.files({}))},
    ):
        repository.refs |= change
        repository.finish()
        seen.add(provider.fetch_listing().fingerprint)
    repository.head = b"ref: refs/heads/other\n"
    repository.finish()
    seen.add(provider.fetch_listing().fingerprint)
    assert len(seen) == 5


def test_A6_the_mirror_holds_objects_and_nothing_else(
    provider_of: ProviderOf, git_server: GitServer, tmp_path: Path
) -> None:
    path = simple_repository(git_server.root / "repo").path
    mirror = tmp_path / "mirrors" / "1"
    read(provider_of(git_server.url_of(path)))
    names = {
        str(file.relative_to(mirror)) for file in mirror.rglob("*") if file.is_file()
    }
    assert {n for n in names if not n.startswith("objects/")} == {
        "HEAD", "config", "shallow",
    }  # fmt: skip
    assert "bare = true" in (mirror / "config").read_text()
    assert mirror.stat().st_mode & 0o777 == 0o700


def test_a_path_that_is_gone_is_not_found(
    tmp_path: Path, provider_of: ProviderOf
) -> None:
    with pytest.raises(NotFound, match="There is nothing at"):
        provider_of(tmp_path / "gone").fetch_listing()


def test_progress_is_told_in_phases(tmp_path: Path, provider_of: ProviderOf) -> None:
    path = simple_repository(tmp_path / "repo").path
    provider = provider_of(path)
    told: list[tuple[str, int, int]] = []
    provider.fetch_snapshot(
        provider.fetch_listing(),
        Known(),
        lambda phase, done=0, total=0: told.append((phase, done, total)),
    )
    assert ("Reading tags", 3, 3) in told
    assert ("Reading commits", 3, 3) in told
    assert ("Reading files", 3, 3) in told


def test_files_are_references_by_path_and_blob(
    tmp_path: Path, provider_of: ProviderOf
) -> None:
    repository = simple_repository(tmp_path / "repo", tags=1)
    head = repository.refs[b"refs/heads/main"]
    blob = repository.blob(
        b"artifacts:\n  churn:\n    type: model\n    path: model1.pkl\n"
    )
    assert read(provider_of(repository.path)).commits[head].files == (
        FileRef("dvc.yaml", blob),
    )


def test_what_is_no_git_server_is_said_so(
    provider_of: ProviderOf, tmp_path: Path
) -> None:
    broken = simple_repository(tmp_path / "broken").path
    (broken / "config").write_text("[core\n")
    with pytest.raises((BadPayload, NotFound)):
        provider_of(broken).fetch_listing()
