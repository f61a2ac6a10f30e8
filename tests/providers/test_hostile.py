"""Hostile repositories: the good part is indexed, the rest is named, nothing runs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from indexer.core.snapshot import ObjectType, RepositorySnapshot
from indexer.core.state import build_state
from tests.providers import hostile
from tests.providers.conftest import ProviderOf, read
from tests.providers.git_server import GitServer
from tests.providers.raw_repository import WHEN, RawRepository, simple_repository


@pytest.fixture(params=["local", "http"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def read_hostile(
    name: str, way: str, provider_of: ProviderOf, git_server: GitServer
) -> RepositorySnapshot:
    path = hostile.ALL[name](git_server.root / "repo")
    started = time.monotonic()
    snapshot = read(provider_of(path if way == "local" else git_server.url_of(path)))
    assert time.monotonic() - started < 30
    # The healthy part is there, whatever lies beside it.
    tag = next(tag for tag in snapshot.tags if tag.ref == hostile.GOOD_TAG)
    assert tag.tag is not None
    assert tag.commit_id is not None
    files = {file.path: file for file in snapshot.commits[tag.commit_id].files}
    assert snapshot.documents[files["dvc.yaml"].blob_id].value == {
        "artifacts": {"churn": {"type": "model", "path": "model.pkl"}}
    }
    assert snapshot.complete
    return snapshot


def test_T1_T3_T6_every_hostile_tag_object_is_read_or_named(
    way: str, provider_of: ProviderOf, git_server: GitServer
) -> None:
    snapshot = read_hostile("tag-objects", way, provider_of, git_server)
    tags = {tag.ref: tag for tag in snapshot.tags}
    broken = {problem.tag for problem in snapshot.problems}
    numbered = len(hostile.TAGGERS) + len(hostile.MESSAGES)
    assert len(tags) == numbered + 15
    for number, tagger in enumerate(hostile.TAGGERS):
        tag = tags[f"t{number}@v1.0.0"].tag
        assert tag is not None, tagger
        if tag.tagged is None:
            assert tag.flaws, tagger
        else:
            assert tag.tagged.seconds in {WHEN, 0, -1, -86400}, tagger
    days = {
        tag.tag.tagged.seconds for tag in tags.values() if tag.tag and tag.tag.tagged
    }
    assert -86400 in days
    for number, _ in enumerate(hostile.MESSAGES):
        tag = tags[f"u{number}@v1.0.0"].tag
        assert tag is not None
        assert "\0" not in tag.message
        assert len(tag.message) <= 1024 * 1024
        tag.message.encode()
    assert any("cut" in f for f in tags["u9@v1.0.0"].tag.flaws)  # type: ignore[union-attr]
    mismatch = tags["mismatch@v1.0.0"].tag
    assert mismatch is not None
    assert mismatch.name == "other@v2.0.0"
    nested = tags["nested@v1.0.0"]
    assert nested.tag is not None
    assert nested.tag.target_type is ObjectType.TAG
    assert nested.commit_id == snapshot.head
    assert tags["light@v1.0.0"].tag is None
    assert tags["light@v1.0.0"].commit_id == snapshot.head
    for ref in ("on-blob@v1.0.0", "on-tree@v1.0.0", "liar@v1.0.0", "missing@v1.0.0"):
        assert tags[ref].commit_id is None, ref
        tag = tags[ref].tag
        assert ref in broken or (tag is not None), ref
    if way == "local":
        assert tags["missing@v1.0.0"].tag.target_type is ObjectType.MISSING  # type: ignore[union-attr]
        assert tags["liar@v1.0.0"].tag.target_type is ObjectType.BLOB  # type: ignore[union-attr]


def test_T4_a_tag_without_its_target_hides_no_other(
    way: str, provider_of: ProviderOf, git_server: GitServer
) -> None:
    repository = simple_repository(git_server.root / "repo", tags=20)
    body = repository.tag_body("1" * 40, b"lost@v1.0.0")
    repository.tag(b"lost@v1.0.0", body)
    overflow = b"Alice <a@example.org> 99999999999999999999999 +0000"
    head = repository.refs[b"refs/heads/main"]
    name = b"late@v1.0.0"
    repository.tag(name, repository.tag_body(head, name, tagger=overflow))
    path = repository.finish()
    snapshot = read(provider_of(path if way == "local" else git_server.url_of(path)))
    tags = {tag.ref: tag for tag in snapshot.tags}
    assert len(tags) == 22
    assert sum(1 for tag in tags.values() if tag.commit_id is not None) == 21
    assert tags["lost@v1.0.0"].commit_id is None
    late = tags["late@v1.0.0"].tag
    assert late is not None
    assert late.tagged is None
    named = {problem.tag for problem in snapshot.problems}
    lost = tags["lost@v1.0.0"].tag
    assert "lost@v1.0.0" in named or (lost is not None and lost.flaws)


def test_T5_T9_T10_A3_every_legal_name_arrives_as_it_is(
    way: str,
    provider_of: ProviderOf,
    git_server: GitServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    snapshot = read_hostile("names", way, provider_of, git_server)
    expected = {name.decode("utf-8", "backslashreplace") for name in hostile.NAMES} | {
        hostile.GOOD_TAG
    }
    assert {tag.ref for tag in snapshot.tags} == expected
    assert all(tag.tag is not None for tag in snapshot.tags)
    assert snapshot.default_branch == "-x"
    assert not (tmp_path / "touch").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"served", "mirrors"}
    longest = max(len(tag.ref) for tag in snapshot.tags)
    assert longest > 4301
    # No name of the remote is the name of a file.
    for path in (tmp_path / "mirrors").rglob("*"):
        assert "@" not in path.name
        assert "#" not in path.name


def test_T11_the_bytes_of_a_name_are_kept(
    provider_of: ProviderOf, git_server: GitServer
) -> None:
    path = hostile.hostile_names(git_server.root / "repo")
    listing = provider_of(path).fetch_listing()
    assert listing.raw_tags["caf\\xe9@v1.0.0"] == b"caf\xe9@v1.0.0"


def test_P1_P11_every_bad_file_is_named_and_good_ones_are_read(
    way: str, provider_of: ProviderOf, git_server: GitServer
) -> None:
    snapshot = read_hostile("yaml", way, provider_of, git_server)
    files = {file.path: file.blob_id for file in snapshot.commits[snapshot.head].files}
    documents = {
        path.removesuffix("/dvc.yaml"): snapshot.documents[blob_id]
        for path, blob_id in files.items()
    }
    good = {
        "dvc.yaml", "nan", "numbers", "dates", "nul-escape", "utf-16", "bom", "crlf",
        "empty", "list-root", "list-key", "scalar-root", "yaml-1.1", "html",
    }  # fmt: skip
    assert {name for name, found in documents.items() if not found.problem} == good
    partly = {"self-alias", "self-merge", "python-map", "custom-tag"}
    for name in set(documents) - good:
        assert (documents[name].value is None) is (name not in partly)
        assert documents[name].problem.endswith("."), name
    assert set(documents) == set(hostile.yaml_bomb_documents()) | {"dvc.yaml"}


@pytest.mark.parametrize("name", ["pack-bomb", "large"])
def test_D3_a_large_file_is_named_and_not_read(
    name: str, way: str, git_server: GitServer, tmp_path: Path
) -> None:
    path = hostile.ALL[name](git_server.root / "repo")
    # In a process of its own, whose memory tells.
    program = (
        "import json, re, sys\n"
        "from pathlib import Path\n"
        "from indexer.providers.base import Known, Remote\n"
        "from indexer.providers.git.reader import GitProvider\n"
        "remote = Remote(sys.argv[1], mirror=Path(sys.argv[2]), allow_local=True,\n"
        "    allow_private=True)\n"
        "provider = GitProvider(remote)\n"
        "snapshot = provider.fetch_snapshot(provider.fetch_listing(), Known())\n"
        "print(json.dumps([[d.problem, d.value] for d in snapshot.documents.values()]\n"
        "  + [re.findall(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[0]]))\n"
    )
    url = str(path) if way == "local" else git_server.url_of(path)
    done = subprocess.run(
        [sys.executable, "-c", program, url, str(tmp_path / "mirrors" / "1")],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True,
    )  # fmt: skip
    *documents, kilobytes = json.loads(done.stdout)
    large = [value for problem, value in documents if "too large" in problem]
    assert large
    assert set(large) == {None}
    assert any(value and not problem for problem, value in documents)
    assert int(kilobytes) < 100 * 1024


def test_D1_a_git_bomb_is_too_large_and_costs_nothing(
    way: str, provider_of: ProviderOf, git_server: GitServer
) -> None:
    snapshot = read_hostile("git-bomb", way, provider_of, git_server)
    (problem,) = snapshot.commits[snapshot.head].problems
    assert "too large" in problem.text
    assert [file.path for file in snapshot.commits[snapshot.head].files] == ["dvc.yaml"]


def test_D1_a_bomb_without_registry_files_is_too_large_too(
    tmp_path: Path, provider_of: ProviderOf
) -> None:
    path = hostile.git_bomb(tmp_path / "repo", name=b"README")
    snapshot = read(provider_of(path))
    (problem,) = snapshot.commits[snapshot.head].problems
    assert problem.code == "tree-too-large"


def test_D2_a_deep_tree_is_cut_and_the_rest_is_read(
    way: str, provider_of: ProviderOf, git_server: GitServer
) -> None:
    snapshot = read_hostile("deep", way, provider_of, git_server)
    (problem,) = snapshot.commits[snapshot.head].problems
    assert problem.code == "tree-too-deep"
    assert "too large" in problem.text


def test_A6_A7_links_and_submodules_are_never_followed(
    way: str,
    provider_of: ProviderOf,
    git_server: GitServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    snapshot = read_hostile("links", way, provider_of, git_server)
    commit = snapshot.commits[snapshot.head]
    assert [file.path for file in commit.files] == ["dvc.yaml"]
    assert {problem.path for problem in commit.problems} == {
        "absolute/dvc.yaml", "artifacts.yaml", "inside/dvc.yaml", "loop/dvc.yaml",
        "outside/dvc.yaml",
    }  # fmt: skip
    assert {problem.code for problem in commit.problems} == {"symlink"}
    assert "root:" not in repr(snapshot)
    assert "evil" not in repr(snapshot)
    assert not (tmp_path / "canary").exists()


def test_A8_a_path_out_of_the_repository_is_only_text(
    tmp_path: Path, provider_of: ProviderOf
) -> None:
    repository = RawRepository(tmp_path / "repo")
    paths = ["../../../../etc/passwd", "/etc/passwd", "%2e%2e/etc/passwd", "..\\x"]
    text = "artifacts:\n" + "".join(
        f"  a{n}: {{type: model, path: '{path}'}}\n" for n, path in enumerate(paths)
    )
    inner = repository.files({"dvc.yaml": b"artifacts: {evil: {}}\n"})
    tree = repository.tree(
        [
            (b"100644", b"dvc.yaml", repository.blob(text.encode())),
            (b"40000", b"..", inner),
            (b"40000", b"a/../..", inner),
        ]
    )
    repository.refs[b"refs/heads/main"] = head = repository.commit(tree)
    repository.finish()
    snapshot = read(provider_of(repository.path))
    assert [file.path for file in snapshot.commits[head].files] == ["dvc.yaml"]
    assert "root:" not in repr(snapshot)
    assert "evil" not in repr(snapshot)
    state = build_state(snapshot)
    assert set(state.artifacts) <= {"a0", "a1", "a2", "a3"}


def test_T1_T2_hostile_tags_leave_every_good_artifact_in_the_registry(
    tmp_path: Path, provider_of: ProviderOf
) -> None:
    for number, name in enumerate(("tag-objects", "names")):
        path = hostile.ALL[name](tmp_path / name)
        mirror = tmp_path / "mirrors" / str(number)
        state = build_state(read(provider_of(path, mirror=mirror)))
        latest = state.artifacts["churn"].latest
        assert latest is not None
        assert latest.name == "v1.0.0"
        # A legal name that makes gto itself die: it says nothing.
        assert not any(event.tag == "m@created" for event in state.events)


def test_a_missing_folder_costs_only_itself(
    tmp_path: Path, provider_of: ProviderOf
) -> None:
    repository = RawRepository(tmp_path / "repo")
    tree = repository.files(
        {
            "dvc.yaml": hostile.GOOD_FILE,
            "a/dvc.yaml": b"a: 1\n",
            "b/dvc.yaml": b"b: 1\n",
        }
    )
    lost = repository.files({"dvc.yaml": b"a: 1\n"})
    head = repository.commit(tree)
    repository.refs[b"refs/heads/main"] = head
    repository.version(hostile.GOOD_TAG, head)
    repository.finish()
    repository.object_path(lost).unlink()
    commit = read(provider_of(repository.path)).commits[head]
    assert [file.path for file in commit.files] == ["b/dvc.yaml", "dvc.yaml"]
    assert [problem.code for problem in commit.problems] == ["tree-missing"]


@pytest.mark.parametrize("kind", ["tag", "tree", "blob", "commit"])
def test_F_G4_a_damaged_object_of_a_local_repository_costs_only_itself(
    kind: str, tmp_path: Path, provider_of: ProviderOf
) -> None:
    repository = simple_repository(tmp_path / "repo", tags=9)
    head = repository.refs[b"refs/heads/main"]
    first = read(provider_of(repository.path))
    victim = {
        "tag": repository.refs[b"refs/tags/churn@v5.0.0"],
        "commit": next(t.commit_id for t in first.tags if t.ref == "churn@v5.0.0"),
    }.get(kind)
    if victim is None:
        commit = next(
            first.commits[t.commit_id or ""]
            for t in first.tags
            if t.ref == "churn@v5.0.0"
        )
        victim = commit.files[0].blob_id
        if kind == "tree":
            victim = repository.files(
                {
                    "dvc.yaml": b"artifacts:\n  churn:\n    type: model\n"
                    b"    path: model5.pkl\n",
                    "README.md": b"# Churn\n",
                }
            )
    repository.object_path(victim).write_bytes(b"not zlib at all")
    snapshot = read(provider_of(repository.path))
    assert len(snapshot.tags) == 9
    assert head in snapshot.commits
    good = [t for t in snapshot.tags if t.commit_id in snapshot.commits]
    assert len(good) >= 8
    named = [
        *snapshot.problems,
        *(p for c in snapshot.commits.values() for p in c.problems),
        *(d for d in snapshot.documents.values() if d.problem),
        *(f for t in snapshot.tags if t.tag for f in t.tag.flaws),
    ]
    assert named
