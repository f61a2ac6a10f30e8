"""`manage.py up`: one process tree that starts, mends itself and ends whole."""

from __future__ import annotations

import os
import pty
import signal
import socket
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from unittest import mock

import pytest

from indexer.processes import Guard
from tests.process_tree import (
    MANAGE,
    Running,
    environment,
    manage,
    marked,
    running,
    wait_until,
)
from tests.providers.raw_repository import simple_repository
from tests.services import free_port

pytestmark = pytest.mark.skipif(
    not Path("/proc").exists(), reason="finds processes through /proc"
)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return environment(tmp_path / "data", PORT=str(free_port()))


def status(env: dict[str, str], path: str = "/healthz") -> int:
    try:
        url = f"http://127.0.0.1:{env['PORT']}{path}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def query(env: dict[str, str], sql: str) -> list[tuple[object, ...]]:
    path = Path(env["MUSTER_DATA"]) / "muster.sqlite3"
    connection = sqlite3.connect(path, timeout=20)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def test_the_tree_starts_crawls_mends_itself_and_ends_whole(
    tmp_path: Path, env: dict[str, str]
) -> None:
    data = Path(env["MUSTER_DATA"])
    remote = simple_repository(tmp_path / "churn.git")
    with running([*MANAGE, "up"], env, tmp_path / "log") as up:
        up.wait_for(f"Muster is at http://127.0.0.1:{env['PORT']}")
        assert up.said.count("sign in as admin with the password") == 1
        assert status(env) == 200

        # The worker does what another process asks for.
        manage("add_repository", str(remote.path), "--no-wait", env=env)
        sql = "SELECT state FROM indexer_repository"
        wait_until(lambda: query(env, sql) == [("ok",)], 15, "the crawl")

        # A second tree on the same data is refused; so is a taken port.
        second = manage("up", env=env, check=False)
        assert second.returncode == 1
        assert "already" in second.stderr
        other = {**env, "MUSTER_DATA": str(tmp_path / "other")}
        third = manage("up", env=other, check=False)
        assert f"Port {env['PORT']} of 127.0.0.1 cannot be used" in third.stderr
        assert "Traceback" not in second.stderr + third.stderr

        # A child that dies is started again.
        for name in (" gunicorn ", " beat "):
            [victim] = [pid for pid in children_of(up) if name in command_of(pid)]
            os.kill(victim, signal.SIGKILL)
            up.wait_for("ended (by SIGKILL), starting it again")
            wait_until(lambda: status(env) == 200, 15, "the web server again")

        begun = time.monotonic()
        assert up.end(signal.SIGINT) == 0
        assert time.monotonic() - begun < 5
        assert marked(data) == set()
        assert up.said.rstrip().endswith("Muster has ended.")
        assert "Traceback" not in up.said

    # The second start is quick and says no password.
    begun = time.monotonic()
    with running([*MANAGE, "up"], env, tmp_path / "log2") as up:
        up.wait_for("Muster is at")
        assert time.monotonic() - begun < 5 * slowness()
        assert "password" not in up.said
        assert up.end(signal.SIGTERM) == 0
    assert marked(data) == set()


def slowness() -> float:
    """Five seconds are meant for a machine with nothing else to do."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def children_of(up: Running) -> list[int]:
    listing = Path(f"/proc/{up.process.pid}/task/{up.process.pid}/children")
    return [int(pid) for pid in listing.read_text().split()]


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")


def test_when_up_is_killed_its_children_end_and_the_next_start_frees_its_leases(
    tmp_path: Path, env: dict[str, str]
) -> None:
    data = Path(env["MUSTER_DATA"])
    with running([*MANAGE, "up"], env, tmp_path / "log") as up:
        up.wait_for("Muster is at")
        os.kill(up.process.pid, signal.SIGKILL)
        up.process.wait()
        wait_until(lambda: marked(data) == set(), 8, "the children's end")
    manage("add_repository", str(simple_repository(tmp_path / "a.git").path), env=env)
    connection = sqlite3.connect(data / "muster.sqlite3", isolation_level=None)
    connection.execute(
        "UPDATE indexer_repository SET lease_id = ?, lease_expires_at = ?, "
        "lease_holder = ?, requested_seq = requested_seq + 1",
        ("0" * 32, "2999-01-01 00:00:00", "elsewhere/1"),
    )
    connection.close()
    with running([*MANAGE, "up"], env, tmp_path / "log2") as up:
        up.wait_for("Muster is at")
        sql = "SELECT lease_id, requested_seq - done_seq FROM indexer_repository"
        wait_until(lambda: query(env, sql) == [(None, 0)], 15, "the crawl")
        assert up.end(signal.SIGTERM) == 0


def test_a_child_that_cannot_live_ends_all_with_one_sentence(
    tmp_path: Path, env: dict[str, str]
) -> None:
    # A broker that does not exist: worker and beat end at once, again and again.
    broken = {**env, "CELERY_BROKER_URL": "nonsense://x"}
    with running([*MANAGE, "up"], broken, tmp_path / "log") as up:
        assert up.process.wait(300) == 1
        assert "ended 5 times, each soon after its start (status" in up.said
    assert marked(Path(env["MUSTER_DATA"])) == set()


def test_the_guard_ends_no_process_that_has_the_number_of_one_it_watched() -> None:
    """Numbers come round again, and the guard remembers every child there was."""
    ours, foreign = (
        subprocess.Popen(["sleep", "60"], process_group=0) for _ in range(2)
    )
    guard = Guard()
    guard.watch(ours.pid, signal.SIGTERM)
    with mock.patch("indexer.processes.mark", lambda pid: f"{pid}@another time"):
        guard.watch(foreign.pid, signal.SIGTERM)
    os.close(guard.writing)  # as when its process dies
    os.waitpid(guard.pid, 0)
    assert ours.wait() == -signal.SIGTERM
    assert foreign.poll() is None
    foreign.kill()
    foreign.wait()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"PORT": "abc"}, "PORT is 'abc'; it is a whole number"),
        ({"PORT": "99999"}, "PORT is 99999"),
        ({"MUSTER_DATA": "/proc/nope"}, "MUSTER_DATA"),
        ({"DEBUG": "False"}, "SECRET_KEY is missing"),
        ({"DATABASE_URL": "nonsense"}, "DATABASE_URL is no address"),
        ({"DATABASE_URL": "postgres://x@127.0.0.1:1/x"}, "database cannot be used"),
        ({"HOST": "192.0.2.1"}, "192.0.2.1 is no address of this machine"),
        ({"HOST": "no.such.host.invalid"}, "is no address of this machine"),
        ({"MUSTER_READING": "odd"}, "MUSTER_READING is 'odd'"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_is_wrong_is_one_sentence(
    env: dict[str, str], change: dict[str, str], sentence: str
) -> None:
    done = manage("up", env={**env, **change}, check=False)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_data_directory_that_is_a_file_is_one_sentence(
    tmp_path: Path, env: dict[str, str]
) -> None:
    (tmp_path / "data").write_text("")
    done = manage("up", env=env, check=False)
    assert done.returncode == 1
    assert "MUSTER_DATA" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_database_that_is_none_is_one_sentence(
    tmp_path: Path, env: dict[str, str]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "muster.sqlite3").write_bytes(b"no database at all " * 100)
    done = manage("up", env=env, check=False)
    assert done.returncode == 1
    assert "file is not a database" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_terminal_without_unicode_shows_what_it_can(
    env: dict[str, str],
) -> None:
    manage("migrate", env=env)
    ascii_only = {**env, "PYTHONIOENCODING": "ascii"}
    done = manage("demo", env=ascii_only, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Building 7 demo repositories ?")


@pytest.mark.parametrize("command", ["show", "history", "crawl --all"])
def test_a_database_without_tables_is_one_sentence(
    env: dict[str, str], command: str
) -> None:
    for more in ({}, {"DATABASE_URL": "postgres://x@127.0.0.1:1/x"}):
        done = manage(*command.split(), env={**env, **more}, check=False)
        assert done.returncode == 1
        assert done.stderr.startswith("The database cannot be used: ")
        assert "manage.py migrate" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_an_address_that_is_empty_is_not_the_folder_one_is_in(
    env: dict[str, str],
) -> None:
    manage("migrate", env=env)
    done = manage("add_repository", "", env=env, check=False)
    assert done.returncode == 1
    assert "The address is empty" in done.stderr


@pytest.mark.parametrize("version", ["", "1.8.3", "2.29.9"])
def test_a_missing_or_old_git_is_one_sentence(
    tmp_path: Path, env: dict[str, str], version: str
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    if version:
        git = folder / "git"
        git.write_text(f"#!/bin/sh\necho git version {version}\n")
        git.chmod(0o755)
    done = manage("up", env={**env, "PATH": str(folder)}, check=False)
    assert done.returncode == 1
    assert "needs git 2.30 or later" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_port_of_loopback_that_is_taken_is_told_before_anything_is_made(
    env: dict[str, str],
) -> None:
    with socket.create_server(("127.0.0.1", int(env["PORT"]))):
        done = manage("up", env=env, check=False)
    assert done.returncode == 1
    assert "cannot be used (Address already in use)" in done.stderr
    assert not (Path(env["MUSTER_DATA"]) / "muster.sqlite3").exists()


def test_the_first_start_writes_whole_lines_and_the_password_beside_the_address(
    tmp_path: Path, env: dict[str, str]
) -> None:
    shown, terminal = pty.openpty()
    up = subprocess.Popen(
        [*MANAGE, "up"],
        env={**env, "MUSTER_DEMO": "1"},
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    said = b""
    try:
        while b"Ctrl-C ends it." not in said:
            said += os.read(shown, 65536)
    finally:
        up.terminate()
        assert up.wait(10) == 0
        os.close(shown)
    left = [line.rpartition("\r")[2] for line in said.decode().split("\r\n")]
    # Progress is rewritten in its line; what stays says what was crawled.
    assert not [line for line in left if "Reading" in line or not line.strip()][:-1]
    assert sum(": crawled in " in line for line in left) == 7
    [password] = [number for number, line in enumerate(left) if "password" in line][:1]
    assert left[password + 2].startswith("Muster is at http://127.0.0.1:")


def test_nohup_keeps_it_running_when_the_terminal_goes(
    tmp_path: Path, env: dict[str, str]
) -> None:
    with running(["nohup", *MANAGE, "up"], env, tmp_path / "log") as up:
        up.wait_for("Muster is at")
        up.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert up.process.poll() is None
        assert up.end(signal.SIGTERM) == 0


def test_C8_the_start_without_settings_is_safe(
    tmp_path: Path, env: dict[str, str]
) -> None:
    data = Path(env["MUSTER_DATA"])
    with running([*MANAGE, "up"], env, tmp_path / "log") as up:
        up.wait_for("Muster is at")
        url = f"http://127.0.0.1:{env['PORT']}/no/such/page"
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(url, timeout=5)
        body = raised.value.read().decode()
        assert raised.value.code == 404
        for leak in (
            "Traceback",
            "DEBUG = True",
            "SECRET_KEY",
            str(data),
            "urlpatterns",
        ):
            assert leak not in body
    key = data / "secret_key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert data.stat().st_mode & 0o777 == 0o700
    assert len(key.read_text()) >= 50
    assert key.read_text() not in up.said
