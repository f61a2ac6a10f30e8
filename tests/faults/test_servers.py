"""Servers below us that die, forget, hang or fill up: Redis, PostgreSQL, the disk."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
import redis

from indexer import leases
from indexer.index_dump import index_dump
from indexer.models import Crawl, Repository
from tests.faults.conftest import Editor, ask, crawl_now, from_scratch
from tests.faults.redis_server import RedisServer
from tests.faults.test_killed import BEAT, WORKER, owed, running_crawl
from tests.faults.test_together import listens
from tests.process_tree import ROOT, environment, manage, running, wait_until
from tests.providers.git_server import serve_git
from tests.providers.raw_repository import RawRepository, simple_repository
from tests.services import REQUIRED, free_port

POSTGRES = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/nowhere"))


def leave_out(reason: str) -> None:
    """Skip, or fail where everything must be there."""
    if REQUIRED:
        pytest.fail(f"{reason}, and MUSTER_REQUIRE_SERVICES is set", pytrace=False)
    pytest.skip(f"left out: {reason}")


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of this test alone, to be killed."""
    if shutil.which("redis-server") is None:
        leave_out("redis-server is not installed")
    server = RedisServer(free_port(), tmp_path)
    server.start()
    yield server
    server.kill()


ASK = """
import django, sys, time
django.setup()
from indexer import jobs, wakeup
from indexer.models import Crawl, Repository
begun = time.monotonic()
for repository in Repository.objects.all():
    jobs.request_crawl(repository, trigger=Crawl.Trigger.BUTTON)
print(time.monotonic() - begun)
"""


def ask_as_a_page_does(env: dict[str, str]) -> float:
    """Ask for a crawl of everything in another process; the seconds that took."""
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        env={**env, "DJANGO_SETTINGS_MODULE": "registry_site.settings"},
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=30,
        check=True,
    )
    return float(done.stdout)


@pytest.mark.needs_redis
@pytest.mark.django_db(transaction=True)
def test_F_B1_a_queue_that_dies_forgets_or_hangs_costs_no_crawl_and_blocks_no_page(
    own_redis: RedisServer,
    edit: Editor,
    remote: RawRepository,
    add: Callable[..., Repository],
    env: dict[str, str],
    tmp_path: Path,
) -> None:
    repository = add(remote)
    env["CELERY_BROKER_URL"] = own_redis.url

    def crawled_again() -> None:
        wait_until(lambda: not owed(repository), 60, worker.said[-2000:])
        repository.refresh_from_db()
        assert repository.state == Repository.State.OK, repository.message
        assert index_dump(repository) == from_scratch(repository)

    with (
        running(WORKER, env, tmp_path / "worker.log") as worker,
        running(BEAT, env, tmp_path / "beat.log") as beat,
    ):
        crawled_again()

        # Forgets everything, with a message on the way.
        edit()
        own_redis.signal(signal.SIGSTOP)
        assert ask_as_a_page_does(env) < 1, "a queue that hangs blocked a page"
        own_redis.signal(signal.SIGCONT)
        own_redis.flush()
        crawled_again()

        # Dies in the middle of a crawl, and is away for a while.
        edit(300)
        ask(repository)
        wait_until(lambda: running_crawl(repository), 20, worker.said[-2000:])
        own_redis.kill()
        assert ask_as_a_page_does(env) < 1, "a queue that is down blocked a page"
        time.sleep(2)
        own_redis.start()
        crawled_again()

        # Nobody had to start them again.
        assert worker.process.poll() is None
        assert beat.process.poll() is None


@pytest.mark.needs_redis
def test_F_B1_a_scheduler_whose_queue_was_away_for_a_while_goes_on(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    env = environment(
        tmp_path / "data", CELERY_BROKER_URL=own_redis.url, MUSTER_WAKE_INTERVAL="0.3"
    )

    def waiting() -> int:
        with redis.Redis.from_url(own_redis.url) as queue:
            return int(queue.llen("celery"))

    with running(BEAT, env, tmp_path / "beat.log") as beat:
        wait_until(waiting, 40, "the first message")
        for times in (3, 6, 9):
            own_redis.kill()
            failed = "Couldn't apply scheduled task"
            wait_until(lambda: beat.said.count(failed) >= times, 40, "to be missed")  # noqa: B023
            own_redis.start()
            wait_until(waiting, 40, beat.said[-3000:])
        assert beat.process.poll() is None


@contextmanager
def postgres_cluster() -> Iterator[tuple[str, Callable[..., None]]]:
    """A PostgreSQL of this test alone: its address, and its `pg_ctl`."""
    user = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
    # Not below pytest's folders, which are the user's alone; root cannot run initdb.
    folder = Path(mkdtemp(prefix="muster-postgres-"))
    folder.chmod(0o777)
    data, port = folder / "data", free_port()

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [str(POSTGRES / program), "-D", str(data), *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            **user,  # type: ignore[call-overload]
        )

    run("initdb", "--auth=trust", "--username=postgres", "--no-sync")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    start = ("start", "-w", "-o", options, "-l", str(folder / "log"))
    run("pg_ctl", *start)

    def control(*words: str) -> None:
        if words == ("restart",):
            run("pg_ctl", "stop", "-m", "immediate", "-w")
            run("pg_ctl", *start)
        else:
            run("pg_ctl", *words)

    try:
        yield f"postgres://postgres@127.0.0.1:{port}/postgres", control
    finally:
        run("pg_ctl", "stop", "-m", "immediate")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.needs_postgres
def test_F_D1_postgresql_restarted_at_once_in_the_middle_costs_nothing(
    tmp_path: Path, own_redis: RedisServer
) -> None:
    if not (POSTGRES / "initdb").exists():
        leave_out("initdb of PostgreSQL is not installed")
    remote = simple_repository(tmp_path / "r.git")
    edit = Editor(remote, 3)
    edit(150)
    with postgres_cluster() as (url, control):
        port = free_port()
        env = environment(
            tmp_path / "data",
            DEBUG="False",
            HTTPS="False",
            SECRET_KEY="of the tests " * 5,
            ALLOWED_HOSTS="127.0.0.1",
            MUSTER_ALLOW_LOCAL="True",
            MUSTER_PUBLIC_READ="True",
            MUSTER_LEASE="2",
            MUSTER_WAKE_INTERVAL="1",
            MUSTER_CRAWL_INTERVAL="2",
            DATABASE_URL=url,
            CELERY_BROKER_URL=own_redis.url,
        )
        manage("migrate", "-v0", env=env)
        manage("add_repository", str(remote.path), "--name=a/r", env=env)
        web = [
            sys.executable, "-m", "gunicorn", "registry_site.wsgi", "--threads=4",
            f"--bind=127.0.0.1:{port}", "--no-control-socket",
        ]  # fmt: skip
        with (
            running(web, env, tmp_path / "web.log") as server,
            running(WORKER, env, tmp_path / "worker.log") as worker,
            running(BEAT, env, tmp_path / "beat.log") as beat,
        ):
            wait_until(lambda: listens(port), 20, "the web server")
            for pause in (0.1, 0.4, 0.8):
                edit(60)
                time.sleep(pause)  # anywhere in a crawl: one is due every two seconds
                control("restart")
                wait_until(lambda: listens(port), 15, server.said[-2000:])
            edit(10)
            tags = sum(ref.startswith(b"refs/tags/") for ref in remote.refs)
            wait_until(
                lambda: state_of(env)[:2] == ["ok", str(tags)], 40, "the last crawl"
            )
            assert server.process.poll() is None
            assert worker.process.poll() is None
            assert beat.process.poll() is None
        assert dump_of(env) == from_scratch_elsewhere(remote, tmp_path)


def state_of(env: dict[str, str]) -> list[str]:
    return in_shell(
        "r = Repository.objects.get(); print(r.state, r.tag_count, r.message)", env
    ).split(" ", 2)


def dump_of(env: dict[str, str]) -> str:
    return in_shell("print(index_dump())", env)


def in_shell(code: str, env: dict[str, str]) -> str:
    """What a line of Python prints in an installation."""
    prelude = (
        "import django; django.setup(); "
        "from indexer.models import Repository; "
        "from indexer.index_dump import index_dump; "
    )
    done = subprocess.run(
        [sys.executable, "-c", prelude + code],
        env={**env, "DJANGO_SETTINGS_MODULE": "registry_site.settings"},
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def from_scratch_elsewhere(remote: RawRepository, tmp_path: Path) -> str:
    """The oracle in an installation of its own, on SQLite."""
    env = environment(tmp_path / "oracle")
    manage("migrate", "-v0", env=env)
    manage("add_repository", str(remote.path), "--name=a/r", env=env)
    return dump_of(env)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
@pytest.mark.django_db(transaction=True)
def test_F_G3_a_full_disk_is_a_sentence_and_recovers_when_there_is_room(
    edit: Editor,
    remote: RawRepository,
    add: Callable[..., Repository],
    data: Path,
    settings: Any,
) -> None:
    data.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(data)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine mounts nothing")
    try:
        with serve_git(remote.path.parent) as server:
            repository = add(server.url_of(remote.path))
            first = crawl_now(repository)
            assert first is not None
            assert first.status == Crawl.Status.CHANGED, first.message
            before = index_dump(repository)
            fill(data / "ballast")
            edit(200)
            failed = crawl_now(repository)
            assert failed is not None
            assert failed.status == Crawl.Status.FAILED
            repository.refresh_from_db()
            assert "Traceback" not in repository.message
            assert "did not expect" not in repository.message, repository.message
            assert index_dump(repository) == before
            (data / "ballast").unlink()
            again = crawl_now(repository)
            assert again is not None
            assert again.status == Crawl.Status.CHANGED, again.message
            settings.MUSTER_DATA = data.with_name("roomy")
            assert index_dump(repository) == from_scratch(repository)
    finally:
        subprocess.run(["umount", "--lazy", str(data)], check=True)


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            return


@pytest.mark.needs_postgres
@pytest.mark.django_db
def test_F_D1_a_database_that_hangs_is_given_up_on() -> None:
    """`connect_timeout` ends the wait for a server that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        env = environment(
            Path("/nowhere"),
            DATABASE_URL=f"postgres://x@127.0.0.1:{port}/x",
            SECRET_KEY="of the tests " * 5,
        )
        begun = time.monotonic()
        done = manage("crawl", "--all", env=env, check=False)
        assert done.returncode != 0
        assert time.monotonic() - begun < 20
    assert leases.database_now() is not None
