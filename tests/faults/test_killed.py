"""Workers that are killed, stopped, or die of what they read."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from indexer import jobs, leases
from indexer.index_dump import index_dump
from indexer.models import Crawl, Repository, Tag
from indexer.processes import processes
from tests.faults.conftest import Editor, ask, crawl_now, from_scratch
from tests.process_tree import MANAGE, ROOT, kill_family, marked, running, wait_until
from tests.providers.git_server import serve_git
from tests.providers.raw_repository import RawRepository, simple_repository

pytestmark = pytest.mark.django_db(transaction=True)
WORKER = [
    sys.executable, "-m", "celery", "--app=registry_site.celery", "--quiet", "worker",
    "--concurrency=2", "--without-gossip", "--without-mingle",
    "--without-heartbeat",
]  # fmt: skip
BEAT = [
    sys.executable, "-m", "celery", "--app=registry_site.celery", "--quiet", "beat",
    "--scheduler=celery.beat.Scheduler", "--pidfile=",
]  # fmt: skip


def test_F_W1_killed_at_random_points_the_index_is_whole_and_recovers(
    edit: Editor,
    remote: RawRepository,
    add: Callable[..., Repository],
    env: dict[str, str],
    tmp_path: Path,
) -> None:
    repository = add(remote)
    complete = {index_dump(repository)}
    crawl_now(repository)
    chance = random.Random(1)
    hits = 0
    for _ in range(10):
        complete.add(index_dump(repository))
        edit()
        process = subprocess.Popen(
            [*MANAGE, "crawl", repository.name],
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        begun_or_ended(repository, process)
        time.sleep(chance.uniform(0, 0.5))
        hits += process.poll() is None
        kill_family(process.pid)
        process.wait()
        # I1: what is seen is some complete snapshot, this one's or the one before.
        seen = index_dump(repository)
        if seen not in complete:
            repository.refresh_from_db()
            assert seen == from_scratch(repository)
    assert hits >= 3, "the kills came too late to mean anything"
    wait_until(lambda: freed(repository), 10, "the lease to run out")
    crawl_now(repository)
    repository.refresh_from_db()
    assert repository.state == Repository.State.OK
    assert index_dump(repository) == from_scratch(repository)
    assert not Crawl.objects.filter(status=Crawl.Status.RUNNING).exists()


def begun_or_ended(repository: Repository, process: subprocess.Popen[bytes]) -> None:
    wait_until(lambda: running_crawl(repository) or process.poll() is not None, 10)


def running_crawl(repository: Repository) -> bool:
    lease = lease_of(repository)
    running = repository.crawls.filter(status=Crawl.Status.RUNNING)
    return lease is not None and running.filter(lease_id=lease).exists()


def lease_of(repository: Repository) -> UUID | None:
    return Repository.objects.values_list("lease_id", flat=True).get(pk=repository.pk)


def freed(repository: Repository) -> bool:
    jobs.reap(leases.database_now())
    return lease_of(repository) is None


def test_F_W1_a_worker_killed_with_its_children_again_and_again_recovers_by_itself(
    edit: Editor,
    remote: RawRepository,
    add: Callable[..., Repository],
    env: dict[str, str],
    tmp_path: Path,
) -> None:
    repository = add(remote)
    chance = random.Random(2)
    for _ in range(4):
        edit()
        ask(repository)
        with running(WORKER, env, tmp_path / "worker.log") as worker:
            wait_until(
                lambda: running_crawl(repository) or not owed(repository), 20, "a crawl"
            )
            time.sleep(chance.uniform(0, 0.3))
            kill_family(worker.process.pid)
    assert marked(Path(env["MUSTER_DATA"])) == set(), "a git process was left"
    edit()
    ask(repository)
    with (
        running(WORKER, env, tmp_path / "worker.log"),
        running(BEAT, env, tmp_path / "beat.log"),
    ):
        wait_until(lambda: not owed(repository), 30, "recovery")
    repository.refresh_from_db()
    assert repository.state == Repository.State.OK, repository.message
    assert index_dump(repository) == from_scratch(repository)


def owed(repository: Repository) -> bool:
    return Repository.objects.filter(
        jobs.owed(leases.database_now()), pk=repository.pk
    ).exists() or lease_of(repository) is not None  # fmt: skip


def test_F_W2_what_kills_its_child_three_times_is_put_aside_and_the_others_go_on(
    add: Callable[..., Repository], env: dict[str, str], tmp_path: Path
) -> None:
    root = tmp_path / "remotes"
    root.mkdir()
    with serve_git(root) as server:
        server.hang = True
        poison = add(
            server.url_of(simple_repository(root / "poison.git").path), "a/bad"
        )
        good = [
            add(simple_repository(tmp_path / f"good{number}.git"), f"a/good{number}")
            for number in range(9)
        ]
        killed: list[int] = []
        with (
            running(WORKER, env, tmp_path / "worker.log") as worker,
            running(BEAT, env, tmp_path / "beat.log"),
        ):

            def kill_the_reader() -> bool:
                poison.refresh_from_db()
                if poison.lease_id is not None:
                    child = int(poison.lease_holder.split("/")[2].partition("@")[0])
                    if child not in killed:
                        killed.append(child)
                        os.kill(child, signal.SIGKILL)
                return poison.state == Repository.State.FAILING

            wait_until(kill_the_reader, 40, "putting it aside")
            wait_until(lambda: all_ok(good), 20, "the nine others")
            assert worker.process.poll() is None
    assert len(killed) == 3
    assert "interrupted 3 times" in poison.message
    assert poison.crawls.filter(status=Crawl.Status.LOST).count() == 3


def all_ok(repositories: list[Repository]) -> bool:
    ids = [repository.pk for repository in repositories]
    good = Repository.objects.filter(pk__in=ids, state=Repository.State.OK)
    return good.count() == len(ids)


def test_F_W4_a_worker_that_slept_through_its_lease_writes_nothing(
    remote: RawRepository,
    add: Callable[..., Repository],
    env: dict[str, str],
    tmp_path: Path,
) -> None:
    with serve_git(remote.path.parent) as server:
        repository = add(server.url_of(remote.path))
        crawl_now(repository)
        remote.version("churn#before", remote.refs[b"refs/heads/main"])
        remote.finish()
        sleeper: list[subprocess.Popen[bytes]] = []

        def put_to_sleep() -> None:
            os.kill(sleeper[0].pid, signal.SIGSTOP)

        server.before_fetch.append(put_to_sleep)
        sleeper.append(
            subprocess.Popen(
                [*MANAGE, "crawl", repository.name],
                env=env,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        try:
            stat = Path(f"/proc/{sleeper[0].pid}/stat")
            wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")
            first = Crawl.objects.get(status=Crawl.Status.RUNNING)
            remote.version("churn#after", remote.refs[b"refs/heads/main"])
            remote.finish()
            wait_until(lambda: freed(repository), 10, "the lease to run out")
            second = crawl_now(repository)
            assert second is not None
            assert second.status == Crawl.Status.CHANGED
            after = index_dump(repository)
            seen = list(Tag.objects.order_by("pk").values())
            os.kill(sleeper[0].pid, signal.SIGCONT)
            # It stops, or crawls once more, for it was asked to; never writes the old.
            sleeper[0].wait(20)
        finally:
            kill_family(sleeper[0].pid)
            sleeper[0].wait()
        first.refresh_from_db()
        assert first.status == Crawl.Status.LOST
        assert index_dump(repository) == after
        assert list(Tag.objects.order_by("pk").values()) == seen
        assert index_dump(repository) == from_scratch(repository)


def test_F_W1_processes_killed_while_they_wait_for_work_are_replaced(
    add: Callable[..., Repository],
    remote: RawRepository,
    env: dict[str, str],
    tmp_path: Path,
) -> None:
    repository = add(remote)
    with running(WORKER, env, tmp_path / "worker.log") as worker:
        wait_until(lambda: not owed(repository), 40, "the first crawl")
        for _ in range(2):
            idle = children_of(worker.process.pid)
            assert idle
            for pid in idle:
                os.kill(pid, signal.SIGKILL)
            ask(repository)
            send_wake_up(env)
            wait_until(lambda: not owed(repository), 40, worker.said)
        assert worker.process.poll() is None


def children_of(pid: int) -> set[int]:
    return {one for one, (parent, _, _) in processes().items() if parent == pid}


def send_wake_up(env: dict[str, str]) -> None:
    """As the scheduler does."""
    code = "from registry_site.celery import app; app.send_task('muster.enqueue_due')"
    subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, check=True)


@pytest.mark.skipif(not Path("/proc").exists(), reason="finds processes through /proc")
def test_F_W3_a_worker_told_to_end_leaves_no_git_behind(
    add: Callable[..., Repository], env: dict[str, str], tmp_path: Path
) -> None:
    root = tmp_path / "remotes"
    root.mkdir()
    with serve_git(root) as server:
        server.hang = True
        repository = add(server.url_of(simple_repository(root / "slow.git").path))
        with running(WORKER, env, tmp_path / "worker.log") as worker:
            wait_until(lambda: running_crawl(repository), 20, "the crawl")
            wait_until(lambda: git_children(worker.process.pid), 10, "git")
            left = git_children(worker.process.pid)
            worker.end(signal.SIGQUIT, 30)
            wait_until(lambda: not (left & set(processes())), 10, "the end of git")


def git_children(pid: int) -> set[int]:
    """Descendants of a process that run git."""
    table = processes()
    todo, found = [pid], set()
    while todo:
        one = todo.pop()
        todo += [child for child, (parent, _, _) in table.items() if parent == one]
        try:
            command = Path(f"/proc/{one}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if command[0].endswith(b"git") or b"git" in command[:1]:
            found.add(one)
    return found
