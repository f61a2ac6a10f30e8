"""Files that are not written, or beside which something odd is: hostile orders and
repositories."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.core.snapshot import Instant, Person
from indexer.providers.base import Remote
from indexer.providers.errors import NotFound, Refused
from indexer.providers.file_writing import check_branch, check_path
from indexer.providers.git.file_writer import GitFileWriter
from tests.providers.file_orders import (
    a_repository_with_files,
    branches_of,
    is_sound,
    order_for,
)
from tests.providers.git_server import GitServer
from tests.providers.raw_repository import RawRepository
from tests.providers.tag_orders import git

WriterOf = Callable[..., GitFileWriter]


@pytest.fixture
def bare(git_server: GitServer) -> Path:
    return a_repository_with_files(git_server.root)


@pytest.fixture(params=["http", "path"])
def writer_of(request: pytest.FixtureRequest, git_server: GitServer) -> WriterOf:
    """`writer_of(bare)`: over HTTP, and by its path."""

    def make(bare: Path, **fields: str) -> GitFileWriter:
        url = git_server.url_of(bare) if request.param == "http" else str(bare)
        return GitFileWriter(
            Remote(url, allow_local=True, allow_private=True, **fields)  # type: ignore[arg-type]
        )

    return make


@pytest.fixture
def over_http(git_server: GitServer, bare: Path) -> GitFileWriter:
    return GitFileWriter(Remote(git_server.url_of(bare), allow_private=True))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n", "LFS"),
        (b"a: \xff\n", "not text in UTF-8"),
        (b"a\0b", "not text in UTF-8"),
        (b"#" * (1024 * 1024 + 1), "larger than 1024 KiB"),
    ],
)
def test_a_file_that_is_no_text_of_ours_is_refused(
    git_server: GitServer, writer_of: WriterOf, content: bytes, words: str
) -> None:
    raw = RawRepository(git_server.root / "raw.git")
    commit = raw.commit(raw.files({"dvc.yaml": content}))
    raw.refs[b"refs/heads/main"] = commit
    with pytest.raises(Refused, match=words):
        writer_of(raw.finish()).read_file(commit, "dvc.yaml")


def test_a_file_of_just_the_most_bytes_is_read(
    git_server: GitServer, writer_of: WriterOf
) -> None:
    raw = RawRepository(git_server.root / "raw.git")
    content = b"\xef\xbb\xbf" + b"#\r\n" * 349_524 + b"#"
    commit = raw.commit(raw.files({"dvc.yaml": content}))
    raw.refs[b"refs/heads/main"] = commit
    found = writer_of(raw.finish()).read_file(commit, "dvc.yaml")
    assert found is not None
    assert found[1].encode() == content


def test_odd_names_and_modes_beside_the_file_stay_as_they_were(
    git_server: GitServer, writer_of: WriterOf
) -> None:
    """What an index on this machine would not take, or would tidy."""
    raw = RawRepository(git_server.root / "raw.git")
    blob, empty = raw.blob(b"x\n"), raw.tree([])
    odd = [
        (b"100664", b"old", blob), (b"100755", b"run", blob),
        (b"160000", b"module", "1" * 40), (b"120000", b"link", blob),
        (b"100644", b"a\\b", blob), (b"100644", b"\xff\xfe", blob),
        (b"40000", b"empty", empty),
    ]  # fmt: skip
    commit = raw.commit(raw.tree([*odd, (b"100664", b"dvc.yaml", blob)]))
    raw.refs[b"refs/heads/main"] = commit
    bare = raw.finish()
    git(bare, "config", "http.receivepack", "true")
    made = writer_of(bare).write_file(order_for(bare))
    before, after = (
        subprocess.check_output(["git", "-C", str(bare), "ls-tree", "-z", of])
        for of in (commit, made)
    )
    new = git(bare, "rev-parse", f"{made}:dvc.yaml")
    assert after == before.replace(
        f"{blob}\tdvc.yaml".encode(), f"{new}\tdvc.yaml".encode()
    )


def test_a_repository_of_sha256(git_server: GitServer) -> None:
    raw = RawRepository(git_server.root / "raw.git", object_format="sha256")
    commit = raw.commit(raw.files({"dvc.yaml": b"a: 1\n", "sub/x": b"1\n"}))
    raw.refs[b"refs/heads/main"] = commit
    bare = raw.finish()
    writer = GitFileWriter(Remote(str(bare), allow_local=True, allow_private=True))
    made = writer.write_file(order_for(bare, "sub/dvc.yaml"))
    assert branches_of(bare) == {"main": made}
    assert len(made) == 64
    assert is_sound(bare)


ODD_PATHS = (
    "", "/dvc.yaml", "dvc.yaml/", "a//b", "../dvc.yaml", "a/../b", "./dvc.yaml", ".",
    ".git/config", "a/.GIT/x", "a/.git", ".git./x", ".git /x", ".git::$INDEX/x",
    "GIT~1/x", ".g\u200cit/x", "a\\b", "..\\x", "a\nb", "a\0b", "a\x7f", "a\x1b[31m",
    "\ud800", "x" * 256, "/".join("a" * 40), "ab/" * 400 + "x",
)  # fmt: skip
ODD_BRANCHES = (
    "", "-d", "--exec=x", "/x", "x/", "a//b", "a..b", ".x", "a/.x", "x.", "x.lock",
    "a.lock/b", "a b", "a~1", "a^", "a:b", "+a:b", "a?", "a*", "a[b", "a\\b", "a@{b",
    "@", "HEAD", "a\nb", "a\0b", "a\x7f", "\ud800", "x" * 300,
)  # fmt: skip


UNUSUAL_BRANCHES = (
    "a/b", "ü", "x.y", "a@b", "a-b", "@x", "head", "lock", "a.lockx", "a/-b", "a{b}",
)  # fmt: skip


@pytest.mark.parametrize("path", ODD_PATHS)
def test_an_odd_path_is_never_sent(
    git_server: GitServer, over_http: GitFileWriter, bare: Path, path: str
) -> None:
    order = replace(order_for(bare), path=path)
    for ask in (
        lambda: over_http.read_file(order.base, path),
        lambda: over_http.write_file(order),
    ):
        with pytest.raises(Refused, match="Nothing was sent"):
            ask()
    assert git_server.requests == []


@pytest.mark.parametrize("branch", ODD_BRANCHES)
def test_an_odd_branch_is_never_sent(
    git_server: GitServer, over_http: GitFileWriter, bare: Path, branch: str
) -> None:
    for is_new in (True, False):
        order = order_for(bare, branch=branch, is_new_branch=is_new)
        with pytest.raises(Refused, match="Nothing was sent"):
            over_http.write_file(order)
    assert git_server.requests == []


def test_names_that_are_only_unusual_are_taken() -> None:
    for path in (".gitignore", ".github/x", "a.git/x", "…", "a b/ü", "git", ".gitx/y"):
        check_path(path)
    for branch in UNUSUAL_BRANCHES:
        check_branch(branch)


def test_git_thinks_the_same_of_names_of_branches() -> None:
    for branch in (*UNUSUAL_BRANCHES, *ODD_BRANCHES):
        # What is no argument of a command, too long for a file, or only a trap.
        if branch.isprintable() and len(branch) < 200 and branch not in {"", "@"}:
            done = subprocess.run(
                ["git", "check-ref-format", "--branch", branch],
                capture_output=True,
                check=False,
            )
            assert (done.returncode == 0) is (branch in UNUSUAL_BRANCHES), branch


@pytest.mark.parametrize(
    "what",
    [
        {"base": "e" * 39},
        {"base": "main"},
        {"before": "e" * 39},
        {"before": ""},
        {"message": " \n "},
        {"message": "a\0b"},
        {"message": "\ud800"},
        {"content": "a\0b"},
        {"content": "\udc80"},
        {"content": "#" * (1024 * 1024 + 1)},
        {"author": Person(" , ", "ada@example.org")},
        {"author": Person("Ada", "<>")},
        {"author": Person("Ada\ud800", "ada@example.org")},
        {"at": Instant(-1)},
        {"at": Instant(1, 1440)},
    ],
)
def test_an_odd_order_is_never_sent(
    git_server: GitServer,
    over_http: GitFileWriter,
    bare: Path,
    what: dict[str, object],
) -> None:
    with pytest.raises(Refused):
        over_http.write_file(replace(order_for(bare), **what))  # type: ignore[arg-type]
    assert git_server.requests == []


def test_a_name_cannot_forge_a_line_of_the_commit(
    writer_of: WriterOf, bare: Path
) -> None:
    forged = Person("Ada\nparent " + "e" * 40, "ada@example.org>\nauthor Eve <e@e")
    made = writer_of(bare).write_file(order_for(bare, author=forged))
    lines = git(bare, "cat-file", "commit", made).split("\n")
    assert [line.split(" ")[0] for line in lines[:5]] == [
        "tree", "parent", "author", "committer", "",
    ]  # fmt: skip
    assert is_sound(bare)


def test_a_repository_that_is_not_there(git_server: GitServer, bare: Path) -> None:
    order = order_for(bare)
    url = f"{git_server.url}/none.git"
    with pytest.raises(NotFound):
        GitFileWriter(Remote(url, allow_private=True)).write_file(order)


def test_no_file_but_the_one_is_ever_asked_for(
    git_server: GitServer, writer_of: WriterOf
) -> None:
    """So the others may be as large as they like, or not be there at all."""
    raw = RawRepository(git_server.root / "raw.git")
    commit = raw.commit(raw.files({"dvc.yaml": b"a: 1\n", "sub/model.pkl": b"big"}))
    raw.refs[b"refs/heads/main"] = commit
    raw.object_path(raw.blob(b"big")).unlink()
    bare = raw.finish()
    git(bare, "config", "http.receivepack", "true")
    order = order_for(bare, "sub/dvc.yaml")
    assert writer_of(bare).read_file(commit, "dvc.yaml") is not None
    assert writer_of(bare).write_file(order) == branches_of(bare)["main"]
