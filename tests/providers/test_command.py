"""The one module that runs git: what it runs, with what around it, and how it ends."""

from __future__ import annotations

import ast
import base64
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path

import pytest

from indexer.providers.base import Known, Listing
from indexer.providers.errors import AccessDenied, AddressRefused, Unavailable
from indexer.providers.git import command, hardening, reader
from indexer.providers.git.hardening import Connection
from tests.providers.conftest import ProviderOf, read
from tests.providers.git_server import GitServer, wait_until
from tests.providers.hostile import hostile_names
from tests.providers.raw_repository import simple_repository

ROOT = Path(__file__).parents[2]
CANARY = "glpat-CANARY-do-not-leak"


def processes() -> dict[int, tuple[str, str]]:
    """Command line and environment of every process, by id."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            found[int(folder.name)] = (
                (folder / "cmdline")
                .read_bytes()
                .replace(b"\0", b" ")
                .decode("latin-1"),
                (folder / "environ").read_bytes().decode("latin-1"),
            )
        except OSError:
            continue  # it ended meanwhile
    return found


def gits_at(url: str) -> list[int]:
    return [
        pid for pid, (line, _) in processes().items() if url in line and "git" in line
    ]


def test_A4_only_one_module_runs_git_and_none_a_shell() -> None:
    for path in sorted((ROOT / "indexer").rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                top = name.split(".")[0]
                if top == "git":
                    assert path.name == "command.py", path
                if top == "subprocess":
                    assert "providers" not in path.parts, path
            if isinstance(node, ast.keyword) and node.arg == "shell":
                pytest.fail(f"{path}: shell=")
        assert not re.search(
            r"clone_from\(|os\.system\(|os\.popen\(|\.git\.\w+\(", source
        )


@pytest.fixture
def spy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `git` first on the PATH that notes its arguments and environment."""
    folder = tmp_path / "bin"
    folder.mkdir()
    log = tmp_path / "log"
    log.mkdir()
    script = folder / "git"
    script.write_text(
        "#!/bin/sh\n"
        f'printf "%s\\0" "$@" > {log}/$$.argv; /usr/bin/env -0 > {log}/$$.env\n'
        f'exec {hardening.find_git()} "$@"\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return log


ALLOWED = {
    "ls-remote": r"--symref|--upload-pack=git -c .* upload-pack",
    "init": r"--quiet|--bare|--template=|--initial-branch=main|--object-format=sha\d+",
    "fetch": r"--quiet|--no-progress|--no-tags|--no-write-fetch-head|"
    r"--no-auto-maintenance|--no-recurse-submodules|--no-show-forced-updates|"
    r"--filter=(blob:none|tree:0)|--depth=1|--negotiation-tip=[0-9a-f]{40}|--stdin",
    "cat-file": r"--batch|--batch-check|--buffer",
}


def test_A4_A5_git_gets_literal_arguments_and_a_fresh_environment(
    spy: Path,
    provider_of: ProviderOf,
    git_server: GitServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("GIT_DIR", "GIT_CONFIG_COUNT", "GIT_SSH", "HTTPS_PROXY", "LD_CANARY"):
        monkeypatch.setenv(name, "poison")
    path = hostile_names(git_server.root / "repo")
    for url in (str(path), git_server.url_of(path)):
        read(provider_of(url))
    verbs = set()
    for log in spy.glob("*.argv"):
        arguments = log.read_bytes().decode().split("\0")[:-1]
        config = []
        while arguments[0] == "-c":
            config.append(arguments[1])
            arguments = arguments[2:]
        if arguments[0] == "upload-pack" or "upload-pack" in arguments:
            continue  # git's own child, that serves a local path
        assert "protocol.allow=never" in config
        assert "core.hooksPath=/dev/null" in config
        assert "credential.helper=" in config
        if arguments[0] == "--git-dir":
            assert arguments[1].endswith("/mirrors/1")
            arguments = arguments[2:]
        verb, rest = arguments[0], arguments[1:]
        verbs.add(verb)
        if "--" in rest:
            at = rest.index("--")
            assert len(rest) == at + 2
            assert not rest[-1].startswith("-")
            rest = rest[:at]
        for argument in rest:
            assert re.fullmatch(ALLOWED[verb], argument), (verb, argument)
        if verb in {"ls-remote", "fetch"}:
            assert "http.followRedirects=false" in config
        environment = dict(
            item.split("=", 1)
            for item in log.with_suffix(".env").read_bytes().decode().split("\0")
            if item
        )
        assert not any("poison" in value for value in environment.values())
        assert environment["GIT_CONFIG_GLOBAL"] == "/dev/null"
        assert environment["GIT_CONFIG_NOSYSTEM"] == "1"
        assert environment["GIT_TERMINAL_PROMPT"] == "0"
        assert environment["GIT_NO_LAZY_FETCH"] == "1"
        assert environment["GIT_LFS_SKIP_SMUDGE"] == "1"
        assert environment["LC_ALL"] == "C"
        assert environment["GIT_ALLOW_PROTOCOL"] in {"", "http", "file"}
        assert not Path(environment["HOME"]).exists()
    assert verbs == {"ls-remote", "init", "fetch", "cat-file"}


def test_A5_the_users_own_configuration_has_no_effect(
    tmp_path: Path, provider_of: ProviderOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = simple_repository(tmp_path / "repo").path
    home = tmp_path / "home"
    hooks = home / "hooks"
    hooks.mkdir(parents=True)
    canary = tmp_path / "canary"
    for hook in ("post-checkout", "reference-transaction", "pre-auto-gc"):
        (hooks / hook).write_text(f"#!/bin/sh\ntouch {canary}\n")
        (hooks / hook).chmod(0o755)
    (home / ".gitconfig").write_text(
        f"[core]\n\thooksPath = {hooks}\n\tfsmonitor = touch {canary}\n"
        f'[url "{tmp_path}/elsewhere"]\n\tinsteadOf = {path}\n'
    )
    monkeypatch.setenv("HOME", str(home))
    # Nor has the configuration of the repository that is read.
    with (path / "config").open("a") as config:
        config.write(f"[core]\n\tfsmonitor = touch {canary}\n\thooksPath = {hooks}\n")
        config.write(f"[uploadpack]\n\tpackObjectsHook = touch {canary}\n")
    assert len(read(provider_of(path)).tags) == 3
    assert not canary.exists()


def test_A1_git_itself_refuses_what_got_past_us(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    for scheme in ("https", "file", "ssh"):
        for url in (f"ext::sh -c touch% {canary}", "fd::0", "http::file:///etc"):
            with pytest.raises(command.GitFailed):
                command.ls_remote(Connection(url, scheme, "x"), seconds=10)
    with pytest.raises(command.GitFailed, match="ls-remote"):
        command.ls_remote(Connection(str(tmp_path), "https", "x"), seconds=10)
    assert not canary.exists()


@contextmanager
def sampled() -> Iterator[list[str]]:
    """What every process's command line and environment held meanwhile."""
    seen: list[str] = []
    done = threading.Event()

    def sample() -> None:
        while not done.is_set():
            for pid, (line, environment) in processes().items():
                if pid != os.getpid():
                    seen.append(line + environment)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def test_K4_a_credential_is_in_no_command_line_environment_or_file(
    provider_of: ProviderOf, git_server: GitServer, tmp_path: Path
) -> None:
    path = simple_repository(git_server.root / "repo").path
    git_server.username, git_server.password = "al ice@x", CANARY
    provider = provider_of(git_server.url_of(path), username="al ice@x", secret=CANARY)
    with sampled() as seen:
        assert len(read(provider).tags) == 3
    assert any("ls-remote" in text for text in seen)
    assert not any(CANARY in text for text in seen)
    for file in (tmp_path / "mirrors").rglob("*"):
        if file.is_file():
            assert CANARY.encode() not in file.read_bytes(), file
    assert (
        base64.b64encode(f"al ice@x:{CANARY}".encode()).decode()
        in (git_server.authorizations[0])
    )


def test_K3_no_error_and_no_log_holds_a_credential(
    provider_of: ProviderOf,
    git_server: GitServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(0)
    path = simple_repository(git_server.root / "repo").path
    url = git_server.url_of(path)
    provider = provider_of(url, username="alice", secret=CANARY)
    faults: list[dict[str, object]] = [
        {"password": "another", "username": "alice"},
        {"password": "", "status": 403},
        {"status": 404},
        {"status": 500},
        {"status": 302, "location": f"http://alice:{CANARY}@127.0.0.1:1"},
        {"status": 0, "truncate": 20},
    ]
    for fault in faults:
        for name, value in fault.items():
            setattr(git_server, name, value)
        with pytest.raises(Exception) as caught:  # noqa: PT011 - any of ours
            read(provider)
        error: BaseException | None = caught.value
        while error is not None:
            assert CANARY not in f"{error} {error!r} {vars(error)}"
            error = error.__cause__ or error.__context__
    assert CANARY not in caplog.text
    assert CANARY not in repr(provider)


def test_S3_the_credential_goes_to_its_host_only(
    provider_of: ProviderOf, git_server: GitServer, tmp_path: Path
) -> None:
    environment = {
        "MUSTER_ASK_ORIGIN": "https://example.org",
        "MUSTER_ASK_NAMED": "https://alice@example.org",
    }
    reader_, writer = os.pipe()
    os.write(writer, CANARY.encode())
    os.close(writer)
    environment |= {
        "MUSTER_ASK_USERNAME": str(reader_),
        "MUSTER_ASK_SECRET": str(reader_),
    }
    for question in (
        "Password for 'https://example.org.evil.net': ",
        "Password for 'https://alice@evil.net': ",
        "Password for 'http://example.org': ",
        "Username for 'https://evil.net/https://example.org': ",
        "Enter passphrase for key '/root/.ssh/id_rsa': ",
    ):
        asked = subprocess.run(
            [str(command.ASKPASS), question],
            env=environment, pass_fds=(reader_,), capture_output=True, check=False,
        )  # fmt: skip
        assert asked.returncode == 1
        assert asked.stdout == b""
    os.close(reader_)


def test_S2_S3_redirects_are_not_followed_and_carry_nothing(
    provider_of: ProviderOf, git_server: GitServer, tmp_path: Path
) -> None:
    path = simple_repository(git_server.root / "repo").path
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    from tests.providers.git_server import serve_git

    with serve_git(elsewhere) as canary:
        provider = provider_of(git_server.url_of(path), username="alice", secret=CANARY)
        for status in (301, 302, 303, 307, 308):
            git_server.status, git_server.location = status, canary.url
            with pytest.raises(AddressRefused, match="redirect"):
                provider.fetch_listing()
        assert canary.requests == []


def test_a_wrong_and_a_missing_password_are_access_denied(
    provider_of: ProviderOf, git_server: GitServer
) -> None:
    path = simple_repository(git_server.root / "repo").path
    git_server.username, git_server.password = "alice", "right"
    url = git_server.url_of(path)
    with pytest.raises(AccessDenied, match="asks for a password"):
        provider_of(url).fetch_listing()
    with pytest.raises(AccessDenied, match="refused the credential"):
        provider_of(url, username="alice", secret="wrong").fetch_listing()


def test_S5_git_connects_to_the_address_that_was_checked(
    provider_of: ProviderOf, git_server: GitServer
) -> None:
    path = simple_repository(git_server.root / "repo").path
    port = int(git_server.url.rsplit(":", 1)[1])
    # This name resolves nowhere: only the pin leads to the server.
    connection = Connection(
        f"http://pinned.invalid:{port}/{path.name}",
        "http",
        "pinned.invalid",
        port,
        addresses=("127.0.0.1",),
    )
    assert b"refs/tags/churn@v1.0.0" in command.ls_remote(connection, seconds=20)
    # And a name that resolves to the server does not, once it is pinned elsewhere.
    moved = Connection(
        f"http://localhost:{port}/{path.name}",
        "http",
        "localhost",
        port,
        addresses=("127.0.0.2",),
    )
    git_server.requests.clear()
    with pytest.raises(command.GitFailed):
        command.ls_remote(moved, seconds=20)
    assert git_server.requests == []


def test_S1_a_private_address_is_never_contacted(
    provider_of: ProviderOf, git_server: GitServer
) -> None:
    path = simple_repository(git_server.root / "repo").path
    port = git_server.url.rsplit(":", 1)[1]
    for host in ("127.0.0.1", "2130706433", "localhost", "[::ffff:127.0.0.1]", "0"):
        provider = provider_of(f"http://{host}:{port}/{path.name}", allow_private=False)
        with pytest.raises(AddressRefused):
            provider.fetch_listing()
    assert git_server.requests == []


def test_S6_the_address_is_checked_again_at_every_crawl(
    provider_of: ProviderOf, monkeypatch: pytest.MonkeyPatch, git_server: GitServer
) -> None:
    import socket

    provider = provider_of("https://example.org/owner/name", allow_private=False)
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda *_, **__: [(2, 1, 6, "", ("127.0.0.1", 443))],
    )
    with pytest.raises(AddressRefused, match=r"127\.0\.0\.1"):
        provider.fetch_listing()
    with pytest.raises(AddressRefused):
        provider.fetch_snapshot(Listing({}, {}), Known())


def test_a_password_does_not_travel_in_the_open(
    provider_of: ProviderOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda *_, **__: [(2, 1, 6, "", ("93.184.215.14", 80))],
    )
    provider = provider_of("http://example.org/o/n", secret=CANARY, allow_private=False)
    with pytest.raises(AddressRefused, match="in the open"):
        provider.fetch_listing()


def test_S1_a_repository_in_a_listed_network_is_read_and_no_other(
    provider_of: ProviderOf, git_server: GitServer
) -> None:
    path = simple_repository(git_server.root / "repo").path
    url = git_server.url_of(path)
    inside = (ip_network("127.0.0.0/8"),)
    listing = provider_of(url, secret=CANARY, allow_private=inside).fetch_listing()
    assert listing.tags
    git_server.requests.clear()
    elsewhere = (ip_network("10.0.0.0/8"),)
    with pytest.raises(AddressRefused):
        provider_of(url, allow_private=elsewhere).fetch_listing()
    assert git_server.requests == []


@pytest.mark.parametrize("fault", ["hang", "drip"])
def test_D6_a_slow_remote_ends_in_time_and_leaves_no_process(
    fault: str,
    provider_of: ProviderOf,
    git_server: GitServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = simple_repository(git_server.root / "repo").path
    setattr(git_server, fault, True)
    monkeypatch.setattr(reader, "LISTING_SECONDS", 1.5)
    started = time.monotonic()
    with pytest.raises(Unavailable, match="in time"):
        provider_of(git_server.url_of(path)).fetch_listing()
    assert time.monotonic() - started < 5
    wait_until(lambda: not gits_at(git_server.url))


def test_D6_a_fetch_that_hangs_ends_in_time_and_leaves_no_process(
    provider_of: ProviderOf, git_server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = simple_repository(git_server.root / "repo").path
    provider = provider_of(git_server.url_of(path))
    listing = provider.fetch_listing()
    monkeypatch.setattr(reader, "FETCH_SECONDS", 1.5)
    git_server.before_fetch.append(git_server.stopped.wait)
    started = time.monotonic()
    with pytest.raises(Unavailable, match="in time"):
        provider.fetch_snapshot(listing, Known())
    assert time.monotonic() - started < 5
    wait_until(lambda: not gits_at(git_server.url))
    monkeypatch.undo()
    git_server.before_fetch.clear()
    assert len(read(provider).tags) == 3


def test_F_W1_git_dies_with_us_even_by_kill_9(git_server: GitServer) -> None:
    git_server.hang = True
    program = (
        "from indexer.providers.git.command import ls_remote\n"
        "from indexer.providers.git.hardening import Connection\n"
        f"url = '{git_server.url}/x'\n"
        "ls_remote(Connection(url, 'http', '127.0.0.1'), seconds=60)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, start_new_session=True
    )
    wait_until(lambda: git_server.requests)
    assert gits_at(git_server.url)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    wait_until(lambda: not gits_at(git_server.url))


def test_no_process_is_left_after_a_reading(
    provider_of: ProviderOf, git_server: GitServer
) -> None:
    path = simple_repository(git_server.root / "repo").path
    before = set(os.listdir("/proc/self/fd"))
    children = set(processes())
    read(provider_of(git_server.url_of(path)))
    mine = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    assert not [pid for pid in mine if int(pid) not in children]
    assert len(set(os.listdir("/proc/self/fd")) - before) <= 1
    wait_until(lambda: not gits_at(git_server.url))


def test_without_git_there_is_a_sentence(
    provider_of: ProviderOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = simple_repository(tmp_path / "repo").path
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="git is not installed"):
        provider_of(path).fetch_listing()


def test_the_version_of_git_is_known() -> None:
    assert command.version() >= (2, 30)
