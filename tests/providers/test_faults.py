"""Faults of remotes, mirrors and disks: recovered from, or one sentence."""

from __future__ import annotations

import contextlib
import functools
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from indexer.providers.base import Known
from indexer.providers.errors import (
    AccessDenied,
    AddressRefused,
    BadPayload,
    NotFound,
    ProviderError,
    Unavailable,
)
from indexer.providers.git.mirror import open_mirror
from tests.providers.conftest import ProviderOf, known_of, read
from tests.providers.git_server import GitServer
from tests.providers.raw_repository import RawRepository, simple_repository


def grow(repository: RawRepository, more: bytes = b"") -> None:
    """One more version on a new commit."""
    number = len(repository.refs)
    commit = repository.commit(
        repository.files({"dvc.yaml": b"artifacts: {v%d: {}}\n#%s" % (number, more)}),
        parents=[repository.refs[b"refs/heads/main"]],
    )
    repository.refs[b"refs/heads/main"] = commit
    repository.version(f"churn@v{number}.0.0", commit)
    repository.finish()


def truncate_packs(mirror: Path) -> None:
    for pack in mirror.rglob("*.pack"):
        pack.chmod(0o600)
        os.truncate(pack, pack.stat().st_size // 2)


def delete_packs(mirror: Path) -> None:
    for pack in mirror.rglob("*.pack"):
        pack.unlink()


def garbage(name: str) -> Callable[[Path], None]:
    def write(mirror: Path) -> None:
        (mirror / name).write_bytes(b"\0garbage\xff")

    return write


def half_config(mirror: Path) -> None:
    (mirror / "config").write_text("[core]\n\tbare = tr")


def is_a_file(mirror: Path) -> None:
    shutil.rmtree(mirror)
    mirror.write_text("not a folder")


def stale_locks(mirror: Path) -> None:
    for name in ("shallow.lock", "config.lock", "HEAD.lock", "packed-refs.lock"):
        (mirror / name).write_text("")
    (mirror / "objects" / "pack" / "tmp_pack_x").write_text("half")
    (mirror / "objects" / "tmp_objdir-incoming-x").mkdir()
    (mirror / "objects" / "pack" / "pack-x.keep").write_text("")


DAMAGES = {
    "truncated pack": truncate_packs,
    "deleted pack": delete_packs,
    "garbage HEAD": garbage("HEAD"),
    "garbage config": garbage("config"),
    "garbage shallow": garbage("shallow"),
    "half a config": half_config,
    "deleted": shutil.rmtree,
    "a file": is_a_file,
    "F-G2 locks of a killed fetch": stale_locks,
}


@pytest.mark.parametrize("afresh", [False, True])
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_F_G4_a_damaged_mirror_is_made_again(
    damage: Callable[[Path], None],
    afresh: bool,
    provider_of: ProviderOf,
    git_server: GitServer,
    tmp_path: Path,
) -> None:
    repository = simple_repository(git_server.root / "repo")
    provider = provider_of(git_server.url_of(repository.path))
    first = read(provider)
    damage(tmp_path / "mirrors" / "1")
    grow(repository)
    after = read(provider, Known() if afresh else known_of(first))
    assert after == read(provider_of(repository.path, mirror=tmp_path / "other"))
    left = [p.name for p in (tmp_path / "mirrors").rglob("*") if "tmp_" in p.name]
    assert not left
    assert not list((tmp_path / "mirrors").rglob("*.lock"))


def test_a_fetch_leaves_no_word_of_a_promisor_behind(
    provider_of: ProviderOf, git_server: GitServer, tmp_path: Path
) -> None:
    """Whoever reads the mirror would go and ask it for what is missing."""
    repository = simple_repository(git_server.root / "repo")
    provider = provider_of(git_server.url_of(repository.path))
    config = tmp_path / "mirrors" / "1" / "config"
    first = read(provider)
    assert "remote" not in config.read_text()
    # As an older Muster left it, or git where it was killed.
    subprocess.run(
        ["git", "config", "--file", config, "remote.origin.promisor", "true"],
        check=True,
    )
    assert read(provider, known_of(first)) == first
    repository.version("churn@v9.0.0", repository.refs[b"refs/heads/main"])
    repository.finish()
    assert len(read(provider, known_of(first)).tags) == 4
    assert "remote" not in config.read_text()


def test_a_mirror_that_is_made_by_half_is_made_again(
    provider_of: ProviderOf, tmp_path: Path
) -> None:
    """Whatever an `init` had not made when it was killed."""
    repository = simple_repository(tmp_path / "repo", tags=1)
    provider = provider_of(repository.path)
    mirror = tmp_path / "mirrors" / "1"
    open_mirror(mirror, object_format="sha1", borrow_from=None)
    expected = read(provider_of(repository.path, mirror=tmp_path / "other"))
    for name in sorted(str(part.relative_to(mirror)) for part in mirror.rglob("*")):
        subprocess.run(["rm", "-r", mirror], check=True)
        open_mirror(mirror, object_format="sha1", borrow_from=None)
        subprocess.run(["rm", "-r", mirror / name], check=True)
        assert read(provider) == expected, name


def test_F_G2_a_reader_killed_at_any_point_leaves_nothing_in_the_way(
    provider_of: ProviderOf, git_server: GitServer, tmp_path: Path
) -> None:
    repository = simple_repository(git_server.root / "repo", tags=300)
    url = git_server.url_of(repository.path)
    mirror = tmp_path / "mirrors" / "1"
    program = (
        "import sys; from pathlib import Path\n"
        "from indexer.providers.base import Known, Remote\n"
        "from indexer.providers.git.reader import GitProvider\n"
        "remote = Remote(sys.argv[1], mirror=Path(sys.argv[2]), allow_private=True)\n"
        "provider = GitProvider(remote)\n"
        "print('ready', flush=True)\n"
        "provider.fetch_snapshot(provider.fetch_listing(), Known())\n"
    )
    expected = read(provider_of(repository.path, mirror=tmp_path / "other"))
    for pause in (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3):
        reader = subprocess.Popen(
            [sys.executable, "-c", program, url, str(mirror)],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
        )
        assert reader.stdout is not None
        reader.stdout.readline()
        time.sleep(pause)
        reader.kill()
        reader.wait()
        reader.stdout.close()
        assert read(provider_of(url)) == expected


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_F_G4_the_mirror_of_a_local_repository_is_made_again(
    damage: Callable[[Path], None], provider_of: ProviderOf, tmp_path: Path
) -> None:
    repository = simple_repository(tmp_path / "repo")
    provider = provider_of(repository.path)
    first = read(provider)
    damage(tmp_path / "mirrors" / "1")
    assert read(provider) == first


def test_a_mirror_of_another_repository_at_its_place_does_no_harm(
    provider_of: ProviderOf, git_server: GitServer, tmp_path: Path
) -> None:
    one = simple_repository(git_server.root / "one")
    two = RawRepository(git_server.root / "two", object_format="sha256")
    head = two.commit(two.files({"dvc.yaml": b"a: 1\n"}))
    two.version("m@v1.0.0", head)
    two.refs[b"refs/heads/main"] = head
    two.finish()
    urls = [str(one.path), git_server.url_of(one.path), str(two.path)]
    urls += [git_server.url_of(two.path), str(one.path)]
    for url in urls:
        snapshot = read(provider_of(url))
        assert snapshot.commits


def test_a_remote_that_changes_between_listing_and_fetch_is_listed_again(
    provider_of: ProviderOf, git_server: GitServer
) -> None:
    repository = simple_repository(git_server.root / "repo")
    provider = provider_of(git_server.url_of(repository.path))
    listing = provider.fetch_listing()

    def rewrite() -> None:
        """The old tags and their commits go, as after a force-push and gc."""
        for name in [name for name in repository.refs if b"tags" in name]:
            repository.object_path(repository.refs.pop(name)).unlink()
        repository.version("churn@v9.0.0", repository.refs[b"refs/heads/main"])
        repository.finish()

    git_server.before_fetch.append(rewrite)
    snapshot = provider.fetch_snapshot(listing, Known())
    assert [tag.ref for tag in snapshot.tags] == ["churn@v9.0.0"]


def test_a_local_repository_that_changes_is_listed_again(
    provider_of: ProviderOf, tmp_path: Path
) -> None:
    repository = simple_repository(tmp_path / "repo")
    provider = provider_of(repository.path)
    listing = provider.fetch_listing()
    for name in [name for name in repository.refs if b"tags" in name]:
        repository.object_path(repository.refs.pop(name)).unlink()
    repository.version("churn@v9.0.0", repository.refs[b"refs/heads/main"])
    repository.finish()
    snapshot = provider.fetch_snapshot(listing, Known())
    assert [tag.ref for tag in snapshot.tags] == ["churn@v9.0.0"]
    assert snapshot.problems == ()


def test_a_remote_that_lost_its_objects_is_no_repository_of_broken_tags(
    provider_of: ProviderOf, git_server: GitServer
) -> None:
    repository = simple_repository(git_server.root / "repo", tags=40)
    provider = provider_of(git_server.url_of(repository.path))
    for name, object_id in repository.refs.items():
        if b"tags" in name:
            repository.object_path(object_id).write_bytes(b"damaged")
    with pytest.raises(Unavailable):
        read(provider)


def test_F_P6_a_truncated_pack_is_unavailable_and_the_next_crawl_recovers(
    provider_of: ProviderOf, git_server: GitServer
) -> None:
    path = simple_repository(git_server.root / "repo", tags=50).path
    provider = provider_of(git_server.url_of(path))
    listing = provider.fetch_listing()
    git_server.truncate = 1500
    with pytest.raises(Unavailable):
        provider.fetch_snapshot(listing, Known())
    git_server.truncate = 0
    assert len(read(provider).tags) == 50


@pytest.mark.parametrize(
    ("status", "kind", "word"),
    [
        (401, AccessDenied, "password"),
        (403, AccessDenied, "may not read"),
        (404, NotFound, "no repository"),
        (410, NotFound, "no repository"),
        (301, AddressRefused, "redirect"),
        (302, AddressRefused, "redirect"),
        (429, Unavailable, "less often"),
        (500, Unavailable, "broke off"),
        (502, Unavailable, "broke off"),
        (503, Unavailable, "broke off"),
        (200, BadPayload, "empty answer"),
        (204, BadPayload, "empty answer"),
    ],
)
def test_F_P1_every_answer_of_a_host_has_its_sentence(
    status: int,
    kind: type[ProviderError],
    word: str,
    provider_of: ProviderOf,
    git_server: GitServer,
) -> None:
    path = simple_repository(git_server.root / "repo").path
    git_server.status = status
    git_server.location = "http://127.0.0.1:1" if status in {301, 302} else ""
    with pytest.raises(kind) as caught:
        provider_of(git_server.url_of(path)).fetch_listing()
    sentence = caught.value.sentence
    assert word in sentence
    assert sentence.endswith(".")
    assert "fatal" not in sentence


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("http://127.0.0.1:1/x", "Nothing answers"),
        ("git://127.0.0.1:1/x", "Nothing answers"),
        ("http://nowhere.invalid/x", "resolved"),
        ("git://nowhere.invalid/x", "resolved"),
    ],
)
def test_a_host_that_is_not_there_is_unavailable(
    url: str, word: str, provider_of: ProviderOf
) -> None:
    with pytest.raises(Unavailable, match=word):
        provider_of(url).fetch_listing()


def test_https_with_a_server_that_speaks_no_tls_is_unavailable(
    provider_of: ProviderOf, git_server: GitServer
) -> None:
    url = git_server.url.replace("http:", "https:") + "/repo"
    with pytest.raises(Unavailable, match="TLS"):
        provider_of(url).fetch_listing()


def test_ssh_without_a_server_is_a_sentence(provider_of: ProviderOf) -> None:
    if shutil.which("ssh") is None:
        pytest.skip("ssh is not installed")
    with pytest.raises(ProviderError) as caught:
        provider_of("ssh://git@127.0.0.1:1/owner/name").fetch_listing()
    assert caught.value.sentence.endswith(".")


def test_a_remote_without_filters_is_read(
    provider_of: ProviderOf, git_server: GitServer, tmp_path: Path
) -> None:
    path = simple_repository(git_server.root / "repo").path
    (path / "config").write_text("[core]\n\tbare = true\n")
    local = read(provider_of(path, mirror=tmp_path / "other"))
    assert read(provider_of(git_server.url_of(path))) == local


def test_F_P6_a_dumb_server_is_said_to_be_one(
    provider_of: ProviderOf, tmp_path: Path
) -> None:
    repository = simple_repository(tmp_path / "www" / "repo")
    subprocess.run(
        ["git", "-C", str(repository.path), "update-server-info"], check=True
    )

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            """Keep the tests' output clean."""

    handler = functools.partial(Quiet, directory=str(tmp_path / "www"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(
            target=server.serve_forever, args=(0.02,), daemon=True
        )
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}/repo"
        try:
            with pytest.raises(BadPayload, match="does not answer as a Git server"):
                read(provider_of(url))
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def fake_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An `ssh` that runs on this machine what it is asked to run on another, and
    notes how it was called. It stands where git is found, as in a private prefix."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "git").symlink_to(shutil.which("git") or "git")
    script = folder / "ssh"
    script.write_text(
        "#!/bin/sh\n"
        f'printf "%s\\n" "$@" >> {tmp_path}/ssh.log\n'
        'for last in "$@"; do :; done\n'
        'exec /bin/sh -c "$last"\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return tmp_path / "ssh.log"


def test_ssh_is_read_with_fixed_options_and_asks_nothing(
    fake_ssh: Path, provider_of: ProviderOf, tmp_path: Path
) -> None:
    path = simple_repository(tmp_path / "repo").path
    local = read(provider_of(path, mirror=tmp_path / "other"))
    for url in (f"ssh://git@models.example.org:2222{path}", f"git@example.org:{path}"):
        assert read(provider_of(url, username="alice", secret="CANARY")) == local
    called = fake_ssh.read_text()
    assert "BatchMode=yes" in called
    assert "StrictHostKeyChecking=accept-new" in called
    assert "2222" in called
    assert "git@models.example.org" in called
    assert "CANARY" not in called


def test_S5_ssh_goes_to_the_address_that_was_checked(
    fake_ssh: Path,
    provider_of: ProviderOf,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = simple_repository(tmp_path / "repo").path
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda *_, **__: [(2, 1, 6, "", ("93.184.215.14", 22))],
    )
    provider = provider_of(f"git@example.org:{path}", allow_private=False)
    assert len(provider.fetch_listing().tags) == 3
    assert "HostName=93.184.215.14" in fake_ssh.read_text()
    assert "HostKeyAlias=example.org" in fake_ssh.read_text()


def test_a_new_commit_brings_only_the_trees_that_are_new(
    provider_of: ProviderOf, git_server: GitServer, tmp_path: Path
) -> None:
    repository = RawRepository(git_server.root / "repo")
    files = {f"d{n}/e/dvc.yaml": b"n: %d\n" % n for n in range(300)}
    first = repository.commit(repository.files(files))
    repository.refs[b"refs/heads/main"] = first
    repository.finish()
    provider = provider_of(git_server.url_of(repository.path))
    before = read(provider)
    mirror = tmp_path / "mirrors" / "1"
    packs = set(mirror.rglob("*.pack"))
    files["d7/e/dvc.yaml"] = b"n: seven\n"
    second = repository.commit(repository.files(files), parents=[first])
    repository.refs[b"refs/heads/main"] = second
    repository.finish()
    after = read(provider, known_of(before))
    assert after.head == second
    assert len(after.commits[second].files) == 300
    new = set(mirror.rglob("*.pack")) - packs
    objects = [int.from_bytes(pack.read_bytes()[8:12], "big") for pack in new]
    # The commit, three trees, one file; not the 600 trees it shares.
    assert sum(objects) < 10


@pytest.fixture
def git_daemon(tmp_path: Path) -> Iterator[str]:
    root = tmp_path / "daemon"
    root.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    daemon = subprocess.Popen(
        ["git", "daemon", "--export-all", f"--base-path={root}", "--reuseaddr",
         "--verbose", f"--port={port}", "--listen=127.0.0.1", str(root)],
        stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert daemon.stderr is not None
    assert b"Ready to rumble" in daemon.stderr.readline()
    yield f"git://127.0.0.1:{port}"
    os.killpg(daemon.pid, 15)
    daemon.wait()
    daemon.stderr.close()


def test_the_git_protocol_is_read(
    git_daemon: str, provider_of: ProviderOf, tmp_path: Path
) -> None:
    path = simple_repository(tmp_path / "daemon" / "repo").path
    provider = provider_of(f"{git_daemon}/repo")
    assert read(provider) == read(provider_of(path, mirror=tmp_path / "other"))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_F_G3_a_full_disk_is_a_sentence_and_passes(
    provider_of: ProviderOf, git_server: GitServer, tmp_path: Path
) -> None:
    repository = simple_repository(git_server.root / "repo", tags=20)
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=800k", "tmpfs", str(disk)], check=False
    )
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        provider = provider_of(
            git_server.url_of(repository.path), mirror=disk / "mirrors" / "1"
        )
        filler = disk / "filler"
        fill(filler)
        with pytest.raises(Unavailable, match=r"disk .* is full"):
            read(provider)
        filler.unlink()
        first = read(provider)
        # A file that is larger than all that a fresh mirror could free.
        grow(repository, random.Random(1).randbytes(400_000).hex().encode())
        fill(filler)
        with pytest.raises(Unavailable, match=r"disk .* is full"):
            read(provider, known_of(first))
        filler.unlink()
        assert len(read(provider, known_of(first)).tags) == 21
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def fill(filler: Path) -> None:
    with filler.open("wb", 0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
