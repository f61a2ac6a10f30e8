"""What git says, and what it only seems to say when it was killed, cut off or short of
something: of an object nothing but git's own word counts."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from indexer.core.snapshot import RepositorySnapshot
from indexer.providers.base import Known
from indexer.providers.errors import BadPayload, NotFound, Refused, Unavailable
from indexer.providers.git import command, objects
from indexer.providers.git.command import GitFailed
from indexer.providers.git.failures import (
    explain,
    is_worth_a_second_try,
    may_be_one_object,
)
from indexer.providers.git.hardening import Connection
from indexer.providers.git.mirror import open_mirror
from indexer.providers.git.objects import read_bodies, read_headers
from tests.killed_git import END, SHELL, START, KilledGit, stand_in
from tests.providers.conftest import ProviderOf, known_of, read
from tests.providers.git_server import GitServer
from tests.providers.raw_repository import RawRepository, simple_repository

KILLED = 9
ID = "0123456789" * 4
REMOTE = Connection("https://git.example.org/x", "https", "git.example.org")


@pytest.fixture
def killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KilledGit:
    return stand_in(tmp_path / "stand-in", monkeypatch)


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`says(script)`: a `git` that does no more than this."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def write(script: str) -> None:
        (folder / "git").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "git").chmod(0o755)

    return write


# Each command -------------------------------------------------------------------------


def commands(mirror: Path, source: RawRepository) -> dict[str, Callable[[], object]]:
    """Each verb that answers from this machine."""
    head = source.refs[b"refs/heads/main"]
    tag = source.refs[b"refs/tags/churn@v1.0.0"]
    return {
        "version": command.version,
        "init": lambda: command.init(mirror.with_name("new"), "sha1"),
        "rev-list": lambda: command.rev_list(mirror, head, skip=0, most=10),
        "merge-base": lambda: command.is_ancestor(mirror, head, head),
        "hash-object": lambda: command.hash_object(mirror, "blob", b"x" * 999),
        "headers": lambda: read_headers(mirror, [head, tag]),
        "bodies": lambda: list(read_bodies(mirror, [head, tag], limit=99999)),
        "cut bodies": lambda: list(read_bodies(mirror, [head, tag], limit=10)),
        "ls-remote": lambda: command.ls_remote(
            Connection(str(source.path), "file"), seconds=60
        ),
        "speaks git": lambda: command.speaks_git(
            Connection(str(source.path), "file"), seconds=60
        ),
    }


@pytest.mark.parametrize("how", [START, "1", "30", SHELL, END])
def test_every_command_notices_that_git_was_killed(
    how: str, killed: KilledGit, tmp_path: Path
) -> None:
    source = simple_repository(tmp_path / "source")
    mirror = tmp_path / "mirror"
    open_mirror(mirror, object_format="sha1", borrow_from=source.path / "objects")
    for name, run in commands(mirror, source).items():
        killed.arm(1, how)
        with pytest.raises(GitFailed) as caught:
            run()
        assert caught.value.signal == KILLED, name
        assert not caught.value.is_own_word, name
        sentence = explain(caught.value, REMOTE).sentence
        assert "killed" in sentence, name
        killed.arm(0)
        run()


def test_a_git_that_cannot_tell_its_version_is_a_sentence(
    killed: KilledGit,
    provider_of: ProviderOf,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("93.184.215.14", 443))]
    )
    killed.arm(1)
    provider = provider_of("https://git.example.org/x", allow_private=False)
    with pytest.raises(Unavailable, match="version"):
        provider.fetch_listing()
    assert killed.begun()[0].split()[-1] == "version"


# Objects ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        "exit 0",
        "exit 128",
        "exit 1",
        "kill -9 $$",
        "kill -15 $$",
        "exit 137",
        f"echo 'fatal: loose object {ID} is corrupt' >&2; kill -9 $$",
        f"echo 'fatal: loose object {ID} is corrupt' >&2; exit 137",
        f"echo 'fatal: loose object {ID[::-1]} is corrupt' >&2; exit 128",
        "echo 'fatal: Out of memory, malloc failed' >&2; exit 128",
        "echo 'fatal: bad config line 3 in file config' >&2; exit 128",
        f"printf '{ID} blob 100\\nhalf'",
        f"printf '{ID} blob 4\\nhalf'; kill -9 $$",
        f"printf '{ID} bl'",
        f"printf '{ID} missing'",
        f"printf '{ID[::-1]} missing\\n'",
        f"echo 'error: packfile x cannot be accessed' >&2; printf '{ID} missing\\n'",
        f"echo 'error: x: Too many open files' >&2; printf '{ID} missing\\n'",
    ],
)
def test_what_was_not_read_is_neither_missing_nor_damaged(
    script: str, says: Callable[[str], None], tmp_path: Path
) -> None:
    says(script)
    with pytest.raises(GitFailed):
        list(read_bodies(tmp_path, [ID], limit=1000))
    with pytest.raises(GitFailed):
        read_headers(tmp_path, [ID, ID[::-1]])


@pytest.mark.parametrize(
    "script",
    [
        f"printf '{ID} missing\\n'",
        f"printf '{ID} missing\\n'; echo 'error: unable to unpack {ID} header' >&2",
        f"printf '{ID} blob 99\\nx'; echo 'fatal: unable to stream {ID} to stdout' >&2;"
        " exit 128",
        f"echo 'fatal: packed object {ID} (stored in x) is corrupt' >&2; exit 128",
        "echo 'fatal: invalid object type' >&2; exit 128",
    ],
)
def test_what_git_says_of_an_object_that_it_read_is_believed(
    script: str, says: Callable[[str], None], tmp_path: Path
) -> None:
    says(script)
    assert list(read_bodies(tmp_path, [ID], limit=1000)) == []


def many_damaged(path: Path, number: int) -> tuple[RawRepository, list[str], list[str]]:
    """A repository in which every other of so many files is damaged: those, and the
    good ones."""
    repository = RawRepository(path)
    blobs = [repository.blob(b"%d\n" % n * 2000) for n in range(number * 2)]
    for blob in blobs[::2]:
        file = repository.object_path(blob)
        file.write_bytes(file.read_bytes()[:-6])
    return repository, blobs[::2], blobs[1::2]


def test_many_damaged_objects_are_stepped_over_one_by_one(tmp_path: Path) -> None:
    repository, bad, good = many_damaged(tmp_path / "repo", 60)
    both = [one for pair in zip(bad, good, strict=True) for one in pair]
    assert set(read_headers(repository.path, both)) == set(both)
    found = [body.object_id for body in read_bodies(repository.path, both, limit=10**6)]
    assert found == good


def test_beyond_a_number_it_is_the_repository_that_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "MAX_DAMAGED", 5)
    repository, bad, _ = many_damaged(tmp_path / "repo", 6)
    assert list(read_bodies(repository.path, bad[:5], limit=10**6)) == []
    with pytest.raises(GitFailed, match="cat-file") as caught:
        list(read_bodies(repository.path, bad, limit=10**6))
    assert "more than 5 objects are damaged" in caught.value.stderr


def test_a_history_with_many_damaged_files_names_each(
    tmp_path: Path, provider_of: ProviderOf
) -> None:
    repository = simple_repository(tmp_path / "repo", tags=70)
    whole = read(provider_of(repository.path, mirror=tmp_path / "before"))
    blobs = sorted(whole.documents)[:60]
    for blob in blobs:
        file = repository.object_path(blob)
        file.write_bytes(file.read_bytes()[:-6])
    snapshot = read(provider_of(repository.path))
    damaged = {key for key, one in snapshot.documents.items() if one.problem}
    assert damaged == set(blobs)
    assert {k: d for k, d in snapshot.documents.items() if k not in damaged} == {
        k: d for k, d in whole.documents.items() if k not in damaged
    }


# Remotes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stderr", "status"),
    [
        ("error: index-pack died of signal 9\nfatal: index-pack failed\n", 128),
        (f"error: rev-list died of signal 9\nerror: Could not read {ID}\n", 1),
        ("error: rev-list died of signal 9\n"
         "error: https://x did not send all necessary objects\n", 1),
        (f"fatal: remote error: upload-pack: not our ref {ID}\nKilled\n", 137),
        ("error: git-remote-https died of signal 9\n", 128),
        ("Killed\nfatal: Could not read from remote repository.\n", 128),
        ("remote: aborting due to possible repository corruption on the remote side.\n"
         "fatal: protocol error: bad pack header\n", 128),
        ("fatal: protocol error: bad pack header\n", 128),
        ("fatal: expected flush after ref listing\n", 128),
        ("", 128),
        ("env: 'git': No such file or directory\n", 127),
    ],
)  # fmt: skip
def test_what_was_killed_or_cut_off_is_a_remote_that_could_not_be_read(
    stderr: str, status: int
) -> None:
    """No damaged object, no repository that is gone, nor one to be read another way."""
    failure = GitFailed("fetch", status, stderr, late=False)
    assert not may_be_one_object(failure)
    error = explain(failure, REMOTE)
    assert type(error) is Unavailable, error
    assert not isinstance(error, BadPayload | NotFound | Refused)
    if "signal" in stderr or status > 128:
        assert not is_worth_a_second_try(failure)


@pytest.mark.parametrize(
    "stderr",
    [
        f"fatal: remote error: upload-pack: not our ref {ID}\n",
        f"remote: fatal: bad object {ID}        \n",
        f"remote: fatal: bad tree object {ID}        \n",
        f"remote: fatal: loose object {ID} (stored in ./objects/01/2) is corrupt   \n",
        f"error: Server does not allow request for unadvertised object {ID}\n",
        f"error: Could not read {ID}\n",
    ],
)
def test_what_a_remote_says_of_an_object_is_believed(stderr: str) -> None:
    assert may_be_one_object(GitFailed("fetch", 128, stderr, late=False))


def test_a_server_short_of_memory_has_no_damaged_tags(
    provider_of: ProviderOf, git_server: GitServer, tmp_path: Path
) -> None:
    repository = simple_repository(git_server.root / "repo")
    provider = provider_of(git_server.url_of(repository.path))
    before = known_of(read(provider))
    repository.version("churn@v9.0.0", repository.refs[b"refs/heads/main"])
    repository.finish()
    hook = tmp_path / "hook"
    hook.write_text("#!/bin/sh\nkill -9 $$\n")
    hook.chmod(0o755)
    git_server.configuration = (f"uploadpack.packObjectsHook={hook}",)
    with pytest.raises(Unavailable):
        read(provider, before)
    git_server.configuration = ()
    expected = read(provider_of(repository.path, mirror=tmp_path / "other"))
    assert same(read(provider, before), expected)


def same(one: RepositorySnapshot, other: RepositorySnapshot) -> bool:
    return one == other and not one.problems


def test_the_mirror_of_a_killed_fetch_is_good_for_the_next(
    provider_of: ProviderOf, git_server: GitServer, killed: KilledGit
) -> None:
    repository = simple_repository(git_server.root / "repo")
    provider = provider_of(git_server.url_of(repository.path))
    listing = provider.fetch_listing()
    killed.arm(3)  # init, cat-file, fetch
    with pytest.raises(Unavailable, match="killed"):
        provider.fetch_snapshot(listing, Known())
    assert " fetch " in killed.begun()[2]
    killed.arm(0)
    assert len(provider.fetch_snapshot(listing, Known()).commits) == 3


@pytest.mark.parametrize("kind", ["tree", "blob", "tag"])
def test_what_was_damaged_is_looked_at_again(
    kind: str, tmp_path: Path, provider_of: ProviderOf
) -> None:
    """As soon as anything else changes: somebody may have mended it."""
    repository = simple_repository(tmp_path / "repo", tags=3)
    provider = provider_of(repository.path)
    whole = read(provider)
    tag = next(tag for tag in whole.tags if tag.ref == "churn@v2.0.0")
    assert tag.commit_id
    victims = {
        "tag": tag.object_id,
        "blob": whole.commits[tag.commit_id].files[0].blob_id,
    }
    victim = (
        victims.get(kind)
        or subprocess.check_output(
            ["git", "-C", repository.path, "rev-parse", f"{tag.commit_id}^{{tree}}"],
            text=True,
        ).strip()
    )
    file = repository.object_path(victim)
    good = file.read_bytes()
    file.write_bytes(b"not zlib at all")
    broken = read(provider)
    assert broken != whole
    file.write_bytes(good)
    assert read(provider, known_of(broken)) == whole
