"""Files written as commits: to a real Git server over HTTP, and to a path."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.providers.base import Remote
from indexer.providers.errors import (
    AccessDenied,
    ProviderError,
    Refused,
    Unavailable,
)
from indexer.providers.file_writing import BranchMoved, checked
from indexer.providers.git.file_writer import GitFileWriter
from tests.providers.file_orders import (
    CONTENT,
    a_repository_with_files,
    branches_of,
    commit_on,
    files_at,
    hook,
    is_sound,
    order_for,
    write,
)
from tests.providers.git_server import GitServer
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
