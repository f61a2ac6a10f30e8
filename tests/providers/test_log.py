"""The commits of a branch, in pages: of a path, and of a real Git server over HTTP."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from indexer.core.snapshot import Instant, Person
from indexer.providers.base import Remote
from indexer.providers.errors import AccessDenied, NotFound, Refused, Unavailable
from indexer.providers.git import command, log
from indexer.providers.git.log import CommitLog, LoggedCommit
from indexer.providers.git.reader import GitProvider
from tests.providers.git_server import GitServer
from tests.providers.tag_orders import git

START = 1_700_000_000
ADA = "Ada Lovelace <ada@example.org>"
GONE = "12" * 20

LogOf = Callable[..., CommitLog]


@dataclass
class Written:
    """A bare repository that `git fast-import` fills: marks, and the ids they got."""

    path: Path
    stream: list[bytes] = field(default_factory=list)
    parents: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def commit(
        self,
        message: str | bytes = "",
        *,
        author: str | bytes = ADA,
        parents: Sequence[int] | None = None,
        seconds: int | None = None,
        branch: str = "main",
        encoding: str = "",
    ) -> int:
        """One more commit, on the one before unless `parents` are given; its mark."""
        mark = len(self.parents) + 1
        if parents is None:
            parents = [mark - 1] if mark > 1 else []
        at = START + mark if seconds is None else seconds
        who = author.encode() if isinstance(author, str) else author
        words = message or f"Commit {mark}"
        body = words.encode() if isinstance(words, str) else words
        lines = [
            b"reset refs/heads/%s" % branch.encode(),
            b"commit refs/heads/%s" % branch.encode(),
            b"mark :%d" % mark,
            b"author %s %d +0100" % (who, at),
            b"committer %s %d +0100" % (ADA.encode(), at),
        ]
        if encoding:
            lines.append(b"encoding " + encoding.encode())
        lines.append(b"data %d\n%s" % (len(body), body))
        for verb, parent in zip(
            [b"from", *[b"merge"] * len(parents)], parents, strict=False
        ):
            lines.append(b"%s :%d" % (verb, parent))
        lines.append(b"M 100644 inline f.txt\ndata 2\n%d\n" % (mark % 10))
        self.stream.append(b"\n".join(lines))
        self.parents[mark] = tuple(parents)
        return mark

    def finish(self) -> dict[int, str]:
        """Import what was written; the ids by mark."""
        marks = self.path / "marks"
        subprocess.run(
            ["git", "-C", str(self.path), "fast-import", "--quiet", "--force",
             f"--export-marks={marks}"],
            input=b"\n".join([*self.stream, b""]), check=True,
        )  # fmt: skip
        pairs = (line.split() for line in marks.read_text().splitlines())
        return {int(mark[1:]): object_id for mark, object_id in pairs}


@pytest.fixture
def written(git_server: GitServer) -> Written:
    bare = git_server.root / "models.git"
    git(git_server.root, "init", "--quiet", "--bare", "--initial-branch=main",
        str(bare))  # fmt: skip
    git(bare, "config", "uploadpack.allowFilter", "true")
    return Written(bare)


@pytest.fixture
def over_http(git_server: GitServer, tmp_path: Path) -> LogOf:
    def make(bare: Path, *, folder: str = "1.git", **fields: str) -> CommitLog:
        remote = Remote(git_server.url_of(bare), allow_private=True, **fields)  # type: ignore[arg-type]
        return CommitLog(remote, tmp_path / "commits" / folder)

    return make


@pytest.fixture(params=["http", "path"])
def log_of(request: pytest.FixtureRequest, over_http: LogOf, tmp_path: Path) -> LogOf:
    """`log_of(bare)`: over HTTP, and by its path."""
    if request.param == "http":
        return over_http
    return lambda bare: CommitLog(
        Remote(str(bare), allow_local=True), tmp_path / "commits" / "1.git"
    )


@pytest.fixture
def depths(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How deep each fetch went."""
    asked: list[int] = []
    fetch = command.fetch

    def noted(*arguments: object, **options: object) -> None:
        asked.append(options["depth"])  # type: ignore[arg-type]
        fetch(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(command, "fetch", noted)
    return asked


def listed(bare: Path, tip: str) -> list[str]:
    """As git lists them."""
    return git(bare, "rev-list", tip).split()


def pages(
    commit_log: CommitLog, tip: str, size: int, query: str = ""
) -> Iterator[LoggedCommit]:
    """All pages, one after another."""
    skip = 0
    while True:
        page = commit_log.page(tip, query=query, skip=skip, size=size, search_all=True)
        yield from page.commits
        skip += len(page.commits)
        if not page.has_more:
            return
        assert len(page.commits) == size


def subjects(commits: Sequence[LoggedCommit]) -> list[str]:
    return [commit.subject for commit in commits]


def forked(written: Written, length: int) -> int:
    """Two lines of commits that took turns, merged at the end; the merge's mark."""
    root = written.commit("The root")
    ends = [root, root]
    for number in range(2, length):
        side = number % 2
        ends[side] = written.commit(parents=[ends[side]])
    return written.commit("Merge them", parents=ends)


def test_the_newest_come_first_along_a_branch(log_of: LogOf, written: Written) -> None:
    for number in range(5):
        written.commit(f"Commit {number}\n\nAnd why.\n")
    ids = written.finish()
    page = log_of(written.path).page(ids[5])
    assert [commit.id for commit in page.commits] == [ids[n] for n in (5, 4, 3, 2, 1)]
    assert (page.has_more, page.searched) == (False, 5)
    assert page.commits[0] == LoggedCommit(
        ids[5],
        Person("Ada Lovelace", "ada@example.org"),
        Instant(START + 5, 60),
        "Commit 4",
    )
    assert log_of(written.path).page(ids[3]).commits == page.commits[2:]


def test_the_newest_come_first_of_both_sides_of_a_merge(
    log_of: LogOf, written: Written
) -> None:
    tip = forked(written, 20)
    ids = written.finish()
    page = log_of(written.path).page(ids[tip])
    assert [commit.id for commit in page.commits] == [ids[n] for n in range(20, 0, -1)]


def test_pages_meet_without_gaps_or_repeats(log_of: LogOf, written: Written) -> None:
    tip = forked(written, 25)
    ids = written.finish()
    found = [commit.id for commit in pages(log_of(written.path), ids[tip], 6)]
    assert found == listed(written.path, ids[tip])
    last = log_of(written.path).page(ids[tip], skip=20, size=5)
    assert (len(last.commits), last.has_more) == (5, False)
    past = log_of(written.path).page(ids[tip], skip=25, size=5)
    assert (past.commits, past.has_more) == ((), False)


def test_pages_meet_where_more_had_to_be_fetched(
    over_http: LogOf, written: Written, depths: list[int]
) -> None:
    """Also along merges, whose sides are cut off at different commits."""
    for _ in range(40):  # commits that began a year ago, beside those of today
        written.commit(branch="old", seconds=START - 10**7 + len(written.parents))
    old = len(written.parents)
    first = written.commit(parents=[])
    for _ in range(700):
        written.commit()
    written.commit("Merge", parents=[len(written.parents), old])
    for _ in range(300):
        written.commit()
    tip = len(written.parents)
    ids = written.finish()
    found = [commit.id for commit in pages(over_http(written.path), ids[tip], 190)]
    assert found == listed(written.path, ids[tip])
    assert ids[first] in found
    assert depths == [500, 5_000]


def test_words_are_found_in_message_author_and_id(
    log_of: LogOf, written: Written
) -> None:
    written.commit("Train the churn model\n\nWith the Übung of May.")
    written.commit("Other", author="Grace Hopper <grace@navy.example>")
    written.commit("Third")
    ids = written.finish()
    commit_log = log_of(written.path)

    def marks(query: str) -> list[str]:
        return [commit.id for commit in commit_log.page(ids[3], query=query).commits]

    assert marks("CHURN") == marks("übung") == marks("churn model") == [ids[1]]
    assert marks("hopper") == marks("NAVY.example") == marks("r <grace@") == [ids[2]]
    assert marks("ada@") == [ids[3], ids[1]]
    for digits in (7, 40):
        assert marks(ids[2][:digits]) == marks(ids[2][:digits].upper()) == [ids[2]]
    assert ids[2] not in marks(ids[2][:3])
    assert marks("  ") == [ids[3], ids[2], ids[1]]


def test_what_is_found_comes_in_pages_too(log_of: LogOf, written: Written) -> None:
    for number in range(30):
        written.commit("Fix it" if number % 3 == 0 else "Work")
    ids = written.finish()
    found = list(pages(log_of(written.path), ids[30], 4, "fix"))
    assert [commit.id for commit in found] == [ids[n] for n in range(28, 0, -3)]


def test_nothing_found_says_that_all_were_looked_at(
    log_of: LogOf, written: Written
) -> None:
    written.commit()
    written.commit()
    page = log_of(written.path).page(written.finish()[2], query="no such words")
    assert (page.commits, page.has_more, page.searched) == ((), False, 2)


@pytest.mark.parametrize(
    "query", ["--output=/tmp/canary", "-1", ".*", "fix(", "[a-", "a\\", "%H", "\0", "'"]
)
def test_a_query_is_literal_text(log_of: LogOf, written: Written, query: str) -> None:
    written.commit("Plain")
    if query != "\0":
        written.commit(f"With {query} in it")
    written.commit("Plain again")
    ids = written.finish()
    page = log_of(written.path).page(ids[len(ids)], query=query)
    assert [commit.id for commit in page.commits] == ([ids[2]] if len(ids) > 2 else [])


def long_history(written: Written, length: int) -> dict[int, str]:
    for number in range(length):
        written.commit("The first of all" if number == 0 else "")
    return written.finish()


def test_more_is_fetched_only_when_it_is_needed(
    over_http: LogOf, written: Written, depths: list[int], git_server: GitServer
) -> None:
    ids = long_history(written, 1200)
    tip = ids[1200]
    commit_log = over_http(written.path)
    assert commit_log.page(tip).searched == 30
    assert depths == [500]
    before = git_server.round_trips()
    page = over_http(written.path).page(tip, skip=470)
    assert [commit.id for commit in page.commits] == [
        ids[number] for number in range(730, 700, -1)
    ]
    assert page.has_more
    assert len(commit_log.page(tip, query="commit 1", size=20).commits) == 20
    assert git_server.round_trips() == before
    assert depths == [500]
    assert commit_log.page(tip, skip=480).commits[-1].id == ids[691]
    assert depths == [500, 5_000]
    before = git_server.round_trips()
    assert commit_log.page(tip, query="first of all").commits[0].id == ids[1]
    assert not commit_log.page(tip, skip=1180).has_more
    assert git_server.round_trips() == before


def test_no_trees_and_files_are_fetched(
    over_http: LogOf, written: Written, tmp_path: Path
) -> None:
    ids = long_history(written, 20)
    over_http(written.path).page(ids[20])
    folder = tmp_path / "commits" / "1.git"
    kinds = git(
        folder, "cat-file", "--batch-all-objects", "--batch-check=%(objecttype)"
    )
    assert kinds.split() == ["commit"] * 20


def test_a_search_ends_at_its_limit_and_says_so(
    log_of: LogOf, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "DEPTHS", (5, 20, 40))
    monkeypatch.setattr(log, "DEEPEST", 40)
    monkeypatch.setattr(log, "SEARCHED", 20)
    ids = long_history(written, 30)
    commit_log = log_of(written.path)
    page = commit_log.page(ids[30], query="first of all")
    assert (page.commits, page.has_more, page.searched) == ((), True, 20)
    page = commit_log.page(ids[30], query="first of all", search_all=True)
    assert subjects(page.commits) == ["The first of all"]
    assert (page.has_more, page.searched) == (False, 30)
    monkeypatch.setattr(log, "DEPTHS", (5, 20))
    monkeypatch.setattr(log, "DEEPEST", 20)
    page = commit_log.page(ids[30], skip=15, size=10)
    assert [len(page.commits), page.has_more, page.searched] == [5, True, 20]
    page = commit_log.page(ids[30], skip=20, size=10)
    assert (page.commits, page.has_more) == ((), True)


def test_a_push_costs_no_more_than_what_is_new_and_branches_keep_their_depth(
    over_http: LogOf,
    written: Written,
    depths: list[int],
    git_server: GitServer,
    tmp_path: Path,
) -> None:
    for _ in range(1200):
        written.commit()
    side = written.commit("A side", parents=[1150], branch="side")
    written.commit("Pushed later", parents=[1200])
    ids = written.finish()
    commit_log = over_http(written.path)
    assert len(list(pages(commit_log, ids[1200], 200))) == 1200
    asked = len(depths)
    assert commit_log.page(ids[1202]).commits[0].subject == "Pushed later"
    assert commit_log.page(ids[side]).commits[0].subject == "A side"
    assert depths[asked:] == [500, 500]
    before = git_server.round_trips()
    found = [commit.id for commit in pages(commit_log, ids[1202], 200)]
    assert found == listed(written.path, ids[1202])
    found = [commit.id for commit in pages(commit_log, ids[side], 200)]
    assert found == listed(written.path, ids[side])
    assert git_server.round_trips() == before
    folder = tmp_path / "commits" / "1.git"
    packs = git(folder, "count-objects", "-v")
    assert "in-pack: 1202" in packs  # none twice


def test_a_branch_without_what_is_known_is_read_all_the_same(
    over_http: LogOf, written: Written
) -> None:
    written.commit("One")
    written.commit("Two", parents=[], branch="other")
    ids = written.finish()
    commit_log = over_http(written.path)
    for mark in (1, 2, 1):
        assert [c.id for c in commit_log.page(ids[mark]).commits] == [ids[mark]]


def test_a_commit_is_found_by_its_id_without_a_branch(
    log_of: LogOf, written: Written
) -> None:
    for _ in range(5):
        written.commit()
    lonely = written.commit("Lonely", parents=[5], branch="gone")
    ids = written.finish()
    git(written.path, "update-ref", "-d", "refs/heads/gone")
    commit_log = log_of(written.path)
    for mark in (lonely, 3):
        found = commit_log.find(ids[mark])
        assert found is not None
        assert found.id == ids[mark]
    # It cuts nothing off for those who list.
    assert len(commit_log.page(ids[lonely]).commits) == 6
    assert len(commit_log.page(ids[5]).commits) == 5


def test_a_known_commit_costs_no_request(
    over_http: LogOf, written: Written, git_server: GitServer
) -> None:
    ids = long_history(written, 10)
    over_http(written.path).page(ids[10])
    before = git_server.round_trips()
    assert over_http(written.path).find(ids[1]) is not None
    assert git_server.round_trips() == before


def test_a_commit_that_is_not_there_is_refused_and_not_found(
    log_of: LogOf, written: Written
) -> None:
    written.commit()
    ids = written.finish()
    commit_log = log_of(written.path)
    with pytest.raises(Refused, match="There is no commit 1212121212 at") as caught:
        commit_log.page(GONE)
    assert caught.value.status == 404
    assert commit_log.find(GONE) is None
    assert commit_log.page(ids[1]).searched == 1


def test_what_is_no_commit_is_refused_and_not_found(
    log_of: LogOf, written: Written
) -> None:
    written.commit()
    ids = written.finish()
    git(written.path, "-c", "user.name=E", "-c", "user.email=e@example.org",
        "tag", "-a", "-m", "x", "v1", ids[1])  # fmt: skip
    commit_log = log_of(written.path)
    for name in ("v1", f"{ids[1]}^{{tree}}", f"{ids[1]}:f.txt"):
        object_id = git(written.path, "rev-parse", name)
        with pytest.raises(Refused, match="not the id of a commit"):
            commit_log.page(object_id)
        assert commit_log.find(object_id) is None
    for odd in ("", "main", "--all", ids[1][:10], f"{ids[1]}\n", ids[1].upper()):
        with pytest.raises(Refused, match="whole id"):
            commit_log.page(odd)
        assert commit_log.find(odd) is None


def spoil_packs(folder: Path) -> None:
    for pack in (folder / "objects" / "pack").glob("*.pack"):
        pack.chmod(0o644)
        data = pack.read_bytes()
        pack.write_bytes(data[:12] + bytes(len(data) - 12))


def half_write(folder: Path) -> None:
    (folder / "config").unlink()


def lose_the_end(folder: Path) -> None:
    """As a git that was killed between a pack and this file."""
    (folder / "shallow").unlink()


def spoil_shallow(folder: Path) -> None:
    (folder / "shallow").write_bytes(b"\xff\0 no ids\n")


def put_a_file(folder: Path) -> None:
    folder.rename(folder.with_name("aside"))
    folder.write_text("no folder")


def leave_locks(folder: Path) -> None:
    (folder / "shallow.lock").touch()
    (folder / "config.lock").touch()


@pytest.mark.parametrize(
    "spoil",
    [spoil_packs, half_write, lose_the_end, spoil_shallow, put_a_file, leave_locks],
)
def test_a_damaged_folder_is_made_anew(
    over_http: LogOf,
    written: Written,
    tmp_path: Path,
    spoil: Callable[[Path], None],
) -> None:
    ids = long_history(written, 600)
    commit_log = over_http(written.path)
    assert commit_log.page(ids[600]).has_more
    spoil(tmp_path / "commits" / "1.git")
    found = [commit.id for commit in pages(commit_log, ids[600], 200)]
    assert found == listed(written.path, ids[600])


def test_a_damaged_repository_is_told(written: Written, tmp_path: Path) -> None:
    ids = long_history(written, 3)
    commit_log = CommitLog(Remote(str(written.path), allow_local=True), tmp_path / "1")
    (written.path / "objects" / ids[1][:2] / ids[1][2:]).unlink()
    with pytest.raises(Unavailable, match="git fsck"):
        commit_log.page(ids[3])


def test_a_repository_that_is_cut_off_itself_ends_there(
    git_server: GitServer, log_of: LogOf, written: Written
) -> None:
    ids = long_history(written, 30)
    short = git_server.root / "short.git"
    git(git_server.root, "clone", "--quiet", "--bare", "--depth=10",
        f"file://{written.path}", str(short))  # fmt: skip
    git(short, "config", "uploadpack.allowFilter", "true")
    for _ in range(2):
        page = log_of(short).page(ids[30])
        assert [c.id for c in page.commits] == [ids[n] for n in range(30, 20, -1)]
        assert not page.has_more


def test_odd_authors_and_dates_and_messages_are_shown(
    log_of: LogOf, written: Written
) -> None:
    written.commit(
        "Übung".encode("latin-1"),
        author="José <jose@example.org>".encode("latin-1"),
        encoding="ISO-8859-1",
    )
    written.commit(b"\xff\xfe raw", author=b"\xff <>")
    written.commit("Bell \x07 and \u202eturned\tround\r\nSecond line")
    written.commit("\n\n  Late\n")
    written.commit("x" * 2000)
    ids = written.finish()
    tree = git(written.path, "rev-parse", f"{ids[5]}^{{tree}}")
    odd = subprocess.run(
        ["git", "-C", str(written.path), "hash-object", "-w", "-t", "commit",
         "--literally", "--stdin"],
        input=f"tree {tree}\nparent {ids[5]}\nauthor nobody at all\n"
        f"committer E <e@example.org> 99999999999999999 +9999\n\n".encode(),
        capture_output=True, check=True,
    ).stdout.decode().strip()  # fmt: skip
    commit_log = log_of(written.path)
    newest, long, late, bell, raw, latin = commit_log.page(odd).commits
    assert (newest.author, newest.authored) == (Person("nobody at all", ""), None)
    assert newest.subject == ""
    assert len(long.subject) == 500
    assert late.subject == "Late"
    assert bell.subject == "Bell \ufffd and \ufffdturned\ufffdround"
    assert raw.subject == "\ufffd\ufffd raw"
    assert raw.author == Person("\ufffd", "")
    assert (latin.subject, latin.author.name) == ("Übung", "José")
    assert commit_log.page(odd, query="josé").commits == (latin,)


def test_all_who_look_at_once_are_answered(
    over_http: LogOf, written: Written, depths: list[int]
) -> None:
    ids = long_history(written, 1000)

    def look(number: int) -> int:
        commit_log = over_http(written.path)
        return len(commit_log.page(ids[1000], skip=number % 2 * 600).commits)

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(look, range(6))) == {30}
    assert len(depths) <= 2


def test_who_waits_too_long_for_another_is_told(
    over_http: LogOf,
    written: Written,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written.commit()
    ids = written.finish()
    monkeypatch.setattr(log, "PATIENCE", 0.1)
    (tmp_path / "commits").mkdir()
    with (
        log._alone(tmp_path / "commits" / "1.git.lock"),
        pytest.raises(Unavailable, match="Somebody else"),
    ):
        over_http(written.path).page(ids[1])
    assert over_http(written.path).page(ids[1]).searched == 1


def test_a_wrong_password_and_a_wrong_address_are_told(
    over_http: LogOf, written: Written, git_server: GitServer
) -> None:
    written.commit()
    ids = written.finish()
    git_server.username, git_server.password = "ada", "right"
    with pytest.raises(AccessDenied, match="refused the credential"):
        over_http(written.path, username="ada", secret="wrong").page(ids[1])
    with pytest.raises(AccessDenied, match="asks for a password"):
        over_http(written.path).find(ids[1])
    right = over_http(written.path, username="ada", secret="right")
    assert right.page(ids[1]).searched == 1
    nowhere = git_server.root / "nowhere.git"
    with pytest.raises(NotFound):
        over_http(nowhere, folder="2.git", username="ada", secret="right").find(GONE)


def test_a_server_that_hangs_is_not_waited_for(
    over_http: LogOf,
    written: Written,
    git_server: GitServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written.commit()
    ids = written.finish()
    monkeypatch.setattr(log, "SECONDS", 1.0)
    git_server.hang = True
    with pytest.raises(Unavailable, match="in time"):
        over_http(written.path).page(ids[1])


def test_the_branches_of_a_listing_are_read(
    over_http: LogOf, written: Written, git_server: GitServer
) -> None:
    """As a picker does it: the branches, then the commits of one."""
    written.commit("One")
    written.commit("Two", branch="feature/x")
    written.finish()
    listing = GitProvider(
        Remote(git_server.url_of(written.path), allow_private=True)
    ).fetch_listing()
    found = {
        name: subjects(over_http(written.path).page(tip).commits)
        for name, tip in listing.branches.items()
    }
    assert found == {"main": ["One"], "feature/x": ["Two", "One"]}


def test_dates_do_not_rise_along_a_list(log_of: LogOf, written: Written) -> None:
    tip = forked(written, 60)
    ids = written.finish()
    found = log_of(written.path).page(ids[tip], size=60).commits
    dates = [commit.authored.seconds for commit in found if commit.authored]
    assert all(newer >= older for newer, older in pairwise(dates))
