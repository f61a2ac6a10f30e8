"""Files written as commits: to a real Git server over HTTP, and to a path."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.core.snapshot import Instant, Person
from indexer.providers.base import Remote
from indexer.providers.errors import (
    AccessDenied,
    NotFound,
    ProviderError,
    Refused,
    Unavailable,
)
from indexer.providers.file_writing import (
    BranchMoved,
    FileOrder,
    check_branch,
    check_path,
    checked,
)
from indexer.providers.git.file_writer import GitFileWriter
from tests.providers.git_server import GitServer
from tests.providers.raw_repository import RawRepository
from tests.providers.tag_orders import git

WriterOf = Callable[..., GitFileWriter]
ADA = Person("Ada Lovelace", "ada@example.org")
AT = Instant(1_750_000_000, -210)
CONTENT = "artifacts:\n  churn:\n    type: model\n    path: größe.pkl\n"


def write(path: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(content, encoding="utf-8")


@pytest.fixture
def bare(git_server: GitServer) -> Path:
    """Two commits, with folders, a script that can be run, links, and names that come
    before and after one another only by Git's own order."""
    work = git_server.root / "work"
    write(work, {"run.sh": "#!/bin/sh\n", "dvc.yaml": "a: 1\n", "sub.txt": "x\n"})
    write(work, {"sub/train.py": "1\n", "sub/deep/dvc.yaml": "b: 2\n", "z/y": "1\n"})
    (work / "run.sh").chmod(0o755)
    (work / "link").symlink_to("dvc.yaml")
    for step in (("init", "--quiet", "-b", "main"), ("config", "user.name", "Eve"),
                 ("config", "user.email", "eve@example.org"), ("add", "-A"),
                 ("commit", "--quiet", "-m", "One"),
                 ("commit", "--quiet", "--allow-empty", "-m", "Two")):  # fmt: skip
        git(work, *step)
    path = git_server.root / "churn.git"
    git(work.parent, "clone", "--quiet", "--bare", str(work), str(path))
    for name in ("http.receivepack", "uploadpack.allowFilter"):
        git(path, "config", name, "true")
    return path


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


def order_for(bare: Path, path: str = "dvc.yaml", **what: object) -> FileOrder:
    base = git(bare, "rev-parse", "main")
    shown = git(bare, "ls-tree", base, "--", path).split()
    before = shown[2] if shown else None
    order = FileOrder(
        base=base, branch="main", is_new_branch=False, path=path, before=before,
        content=CONTENT, message="Add churn\n\nWith its größe", author=ADA, at=AT,
    )  # fmt: skip
    return replace(order, **what)  # type: ignore[arg-type]


def files_at(bare: Path, commit: str) -> dict[str, str]:
    """Mode and blob by path."""
    listed = git(bare, "ls-tree", "-r", "-z", commit).split("\0")
    pairs = (line.partition("\t") for line in listed if line)
    return {path: f"{told.split()[0]} {told.split()[2]}" for told, _, path in pairs}


def branches_of(bare: Path) -> dict[str, str]:
    listed = git(
        bare, "for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads"
    )
    return dict(line.split(" ") for line in listed.splitlines())


def commit_on(bare: Path, branch: str, message: str = "Other") -> str:
    """Somebody else's commit on top of a branch."""
    made = git(
        bare, "-c", "user.name=Eve", "-c", "user.email=eve@example.org",
        "commit-tree", "-p", branch, "-m", message, f"{branch}^{{tree}}",
    )  # fmt: skip
    git(bare, "update-ref", f"refs/heads/{branch}", made)
    return made


def hook(bare: Path, name: str, script: str) -> None:
    path = bare / "hooks" / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def is_sound(bare: Path) -> bool:
    return git(bare, "fsck", "--strict", "--no-dangling") == ""


@pytest.mark.parametrize(
    "path",
    ["dvc.yaml", "sub/deep/dvc.yaml", "sub/dvc.yaml", "models/a b/ö/dvc.yaml",
     "sub-x/dvc.yaml", "sub.d/dvc.yaml", "sub0", "run.sh", "-x/--help", "a"],
)  # fmt: skip
def test_the_commit_changes_the_one_file_and_nothing_else(
    writer_of: WriterOf, bare: Path, path: str
) -> None:
    order = order_for(bare, path)
    before = files_at(bare, order.base)
    made = writer_of(bare).write_file(order)
    assert branches_of(bare) == {"main": made}
    blob = git(bare, "rev-parse", f"{made}:{path}")
    mode = before.get(path, "100644").split()[0]
    assert files_at(bare, made) == before | {path: f"{mode} {blob}"}
    assert subprocess.check_output(
        ["git", "-C", str(bare), "cat-file", "blob", blob]
    ) == (CONTENT.encode())
    assert git(bare, "rev-list", "--parents", "-1", made) == f"{made} {order.base}"
    who = "Ada Lovelace <ada@example.org> 1750000000 -0330"
    assert git(bare, "cat-file", "commit", made).split("\n")[2:] == [
        f"author {who}", f"committer {who}", "", "Add churn", "", "With its größe",
    ]  # fmt: skip
    assert writer_of(bare).read_file(made, path) == (blob, CONTENT)
    assert is_sound(bare)


def test_the_same_order_is_the_same_commit_wherever_it_is_written(
    git_server: GitServer, over_http: GitFileWriter, bare: Path
) -> None:
    order = order_for(bare, "sub/dvc.yaml")
    by_path = GitFileWriter(Remote(str(bare), allow_local=True, allow_private=True))
    first = over_http.write_file(order)
    git(bare, "update-ref", "refs/heads/main", order.base)
    assert by_path.write_file(order) == first


def test_a_new_branch_is_made_and_the_other_stays(
    writer_of: WriterOf, bare: Path
) -> None:
    order = order_for(bare, branch="muster/churn-1", is_new_branch=True)
    made = writer_of(bare).write_file(order)
    assert branches_of(bare) == {"main": order.base, "muster/churn-1": made}
    assert writer_of(bare).write_file(order) == made
    assert is_sound(bare)


def test_a_branch_may_begin_at_a_commit_that_is_not_a_head(
    writer_of: WriterOf, bare: Path
) -> None:
    order = order_for(bare, branch="fix", is_new_branch=True)
    moved = commit_on(bare, "main")
    made = writer_of(bare).write_file(order)
    assert branches_of(bare) == {"main": moved, "fix": made}
    assert is_sound(bare)


def test_a_second_change_stands_on_the_first(writer_of: WriterOf, bare: Path) -> None:
    first = writer_of(bare).write_file(order_for(bare))
    second = writer_of(bare).write_file(order_for(bare, content="b: 2\n"))
    assert git(bare, "rev-list", f"{first}..main") == second
    assert is_sound(bare)


def test_the_same_order_again_is_success(writer_of: WriterOf, bare: Path) -> None:
    order = order_for(bare, "sub/dvc.yaml")
    made = writer_of(bare).write_file(order)
    assert writer_of(bare).write_file(order) == made
    assert writer_of(bare).write_file(checked(order)) == made


def test_the_same_order_again_is_success_though_others_went_on(
    writer_of: WriterOf, bare: Path
) -> None:
    order = order_for(bare)
    made = writer_of(bare).write_file(order)
    for number in range(3):
        last = commit_on(bare, "main", f"Other {number}")
    assert writer_of(bare).write_file(order) == made
    assert branches_of(bare) == {"main": last}


def test_a_branch_that_moved_is_told_and_left_alone(
    writer_of: WriterOf, bare: Path
) -> None:
    order = order_for(bare)
    moved = commit_on(bare, "main")
    with pytest.raises(BranchMoved, match=r"changed meanwhile.*Look at") as caught:
        writer_of(bare).write_file(order)
    assert caught.value.there == moved
    assert branches_of(bare) == {"main": moved}


def test_a_branch_that_was_moved_back_or_elsewhere_is_told(
    writer_of: WriterOf, bare: Path
) -> None:
    order = order_for(bare)
    tree = f"{order.base}^{{tree}}"
    person = ("-c", "user.name=Eve", "-c", "user.email=eve@example.org")
    alone = git(bare, *person, "commit-tree", "-m", "Alone", tree)
    for there in (git(bare, "rev-parse", "main~1"), alone):
        git(bare, "update-ref", "refs/heads/main", there)
        with pytest.raises(BranchMoved) as caught:
            writer_of(bare).write_file(order)
        assert caught.value.there == there
        assert branches_of(bare) == {"main": there}


def test_a_branch_that_moved_at_the_last_moment_is_told(
    writer_of: WriterOf, bare: Path
) -> None:
    """After the remote listed its refs, before it takes ours."""
    order = order_for(bare)
    moved = commit_on(bare, "main")
    git(bare, "update-ref", "refs/heads/main", order.base)
    hook(
        bare,
        "pre-receive",
        f"unset GIT_QUARANTINE_PATH\nexec git update-ref refs/heads/main {moved} >&2",
    )
    with pytest.raises(BranchMoved) as caught:
        writer_of(bare).write_file(order)
    assert caught.value.there == moved


def test_a_branch_that_is_gone_is_not_made_again(
    writer_of: WriterOf, bare: Path
) -> None:
    git(bare, "branch", "dev", "main")
    order = order_for(bare, branch="dev")
    git(bare, "branch", "-D", "dev")
    with pytest.raises(BranchMoved, match="not there any more") as caught:
        writer_of(bare).write_file(order)
    assert caught.value.there == ""
    assert set(branches_of(bare)) == {"main"}


def test_a_new_branch_that_is_there_already_is_told(
    writer_of: WriterOf, bare: Path
) -> None:
    order = order_for(bare, branch="fix", is_new_branch=True)
    for there in (order.base, git(bare, "rev-parse", "main~1")):
        git(bare, "update-ref", "refs/heads/fix", there)
        with pytest.raises(BranchMoved, match=r"already.*another name") as caught:
            writer_of(bare).write_file(order)
        assert caught.value.there == there
        assert branches_of(bare)["fix"] == there


def test_a_hook_that_declines_gives_its_reason(writer_of: WriterOf, bare: Path) -> None:
    order = order_for(bare)
    hook(bare, "pre-receive", "echo 'Only on Mondays\033[31m, please' >&2; exit 1")
    with pytest.raises(Refused, match=r"Only on Mondays \[31m, please") as caught:
        writer_of(bare).write_file(order)
    assert not isinstance(caught.value, BranchMoved)
    assert "\033" not in caught.value.sentence
    assert branches_of(bare) == {"main": order.base}


def test_a_branch_in_the_way_of_another_is_refused(
    writer_of: WriterOf, bare: Path
) -> None:
    order = order_for(bare, branch="main/fix", is_new_branch=True)
    with pytest.raises(Refused) as caught:
        writer_of(bare).write_file(order)
    assert not isinstance(caught.value, BranchMoved)
    assert branches_of(bare) == {"main": order.base}


def test_the_branch_that_somebody_works_on_is_refused(git_server: GitServer) -> None:
    work = git_server.root / "work"
    work.mkdir()
    write(work, {"dvc.yaml": "a: 1\n"})
    for step in (("init", "--quiet", "-b", "main"), ("config", "user.name", "Eve"),
                 ("config", "user.email", "eve@example.org"), ("add", "-A"),
                 ("commit", "--quiet", "-m", "One")):  # fmt: skip
        git(work, *step)
    writer = GitFileWriter(Remote(str(work), allow_local=True, allow_private=True))
    with pytest.raises(Refused, match="checked out"):
        writer.write_file(order_for(work))
    made = writer.write_file(order_for(work, branch="fix", is_new_branch=True))
    assert branches_of(work)["fix"] == made
    assert (work / "dvc.yaml").read_text() == "a: 1\n"


def test_without_the_right_password_access_is_denied(
    git_server: GitServer, bare: Path
) -> None:
    git_server.username, git_server.password = "ada", "secret-CANARY"
    url = git_server.url_of(bare)
    order = order_for(bare)
    for fields in ({}, {"username": "ada", "secret": "wrong-CANARY"}):
        writer = GitFileWriter(Remote(url, allow_private=True, **fields))  # type: ignore[arg-type]
        with pytest.raises(AccessDenied) as caught:
            writer.write_file(order)
        assert "CANARY" not in str(caught.value)
        with pytest.raises(AccessDenied):
            writer.read_file(order.base, "dvc.yaml")
    right = Remote(url, username="ada", secret="secret-CANARY", allow_private=True)
    assert GitFileWriter(right).write_file(order) == branches_of(bare)["main"]


def test_a_repository_that_takes_no_pushes(
    over_http: GitFileWriter, bare: Path
) -> None:
    git(bare, "config", "http.receivepack", "false")
    order = order_for(bare)
    with pytest.raises(AccessDenied, match="right to push"):
        over_http.write_file(order)
    assert branches_of(bare) == {"main": order.base}


@pytest.mark.parametrize("status", [403, 404, 429, 500, 502])
def test_a_server_that_fails(
    git_server: GitServer, over_http: GitFileWriter, bare: Path, status: int
) -> None:
    order = order_for(bare)
    git_server.status = status
    with pytest.raises(ProviderError) as caught:
        over_http.write_file(order)
    assert not isinstance(caught.value, BranchMoved)
    git_server.status = 0
    assert over_http.write_file(order) == branches_of(bare)["main"]


@pytest.mark.parametrize("is_new", [True, False])
def test_an_answer_that_is_lost_is_looked_up(
    git_server: GitServer, over_http: GitFileWriter, bare: Path, is_new: bool
) -> None:
    """The server takes the push and breaks off before it says so."""
    branch = "fix" if is_new else "main"
    git_server.lose_push = True
    made = over_http.write_file(order_for(bare, branch=branch, is_new_branch=is_new))
    assert branches_of(bare)[branch] == made
    pushes = [path for _, path in git_server.requests if "git-receive-pack" in path]
    assert sum(path.endswith("/git-receive-pack") for path in pushes) == 1


def test_an_answer_that_is_lost_is_found_below_what_came_after(
    git_server: GitServer, over_http: GitFileWriter, bare: Path
) -> None:
    order = order_for(bare)
    hook(
        bare,
        "post-receive",
        "export GIT_AUTHOR_NAME=E GIT_AUTHOR_EMAIL=e GIT_COMMITTER_NAME=E "
        "GIT_COMMITTER_EMAIL=e\n"
        "git update-ref refs/heads/main "
        "$(git commit-tree -p main -m More 'main^{tree}')",
    )
    git_server.lose_push = True
    made = over_http.write_file(order)
    assert git(bare, "rev-parse", "main~1") == made


def test_where_nobody_can_be_asked_it_is_not_known(
    git_server: GitServer, over_http: GitFileWriter, bare: Path
) -> None:
    order = order_for(bare)
    git_server.lose_push = git_server.lose_all_after = True
    with pytest.raises(Unavailable, match="not known whether"):
        over_http.write_file(order)
    git_server.status, git_server.lose_push = 0, False
    git_server.lose_all_after = False
    assert over_http.write_file(order) == branches_of(bare)["main"]


def test_a_commit_or_a_file_that_is_not_there(writer_of: WriterOf, bare: Path) -> None:
    writer, order = writer_of(bare), order_for(bare)
    tree = git(bare, "rev-parse", "main^{tree}")
    for odd in ("e" * 40, tree, order.before or ""):
        with pytest.raises(Refused, match="has no commit"):
            writer.read_file(odd, "dvc.yaml")
        with pytest.raises(Refused, match="has no commit"):
            writer.write_file(replace(order, base=odd))
    for path in ("sub/dvc.yaml", "none/x/dvc.yaml", "dvc.yam"):
        assert writer.read_file(order.base, path) is None
    assert writer.read_file(order.base, "sub/deep/dvc.yaml") == (
        git(bare, "rev-parse", "main:sub/deep/dvc.yaml"), "b: 2\n",
    )  # fmt: skip


def test_a_file_that_is_another_than_thought_is_not_replaced(
    writer_of: WriterOf, bare: Path
) -> None:
    order = order_for(bare)
    for wrong in (None, "e" * 40):
        with pytest.raises(Refused, match="is not the file"):
            writer_of(bare).write_file(replace(order, before=wrong))
    with pytest.raises(Refused, match="like that already"):
        writer_of(bare).write_file(replace(order, content="a: 1\n"))
    with pytest.raises(Refused, match="is not the file"):
        writer_of(bare).write_file(replace(order, path="no/dvc.yaml"))
    assert branches_of(bare) == {"main": order.base}


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("link", "symbolic link and not a file"),
        ("link/dvc.yaml", "symbolic link and not a folder"),
        ("run.sh/dvc.yaml", "a file and not a folder"),
        ("sub", "a folder and not a file"),
    ],
)
def test_what_is_in_the_way_is_left_alone(
    writer_of: WriterOf, bare: Path, path: str, words: str
) -> None:
    order = order_for(bare, path, before=None)
    with pytest.raises(Refused, match=words):
        writer_of(bare).read_file(order.base, path)
    with pytest.raises(Refused, match=words):
        writer_of(bare).write_file(order)


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
