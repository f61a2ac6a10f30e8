"""Many at once: two workers on one repository, four writers on one database."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.cookiejar import CookieJar
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from indexer.index_dump import index_dump
from indexer.models import Crawl, Repository
from tests.faults.conftest import Editor, ask, from_scratch
from tests.process_tree import MANAGE, running, wait_until
from tests.providers.git_server import serve_git
from tests.providers.raw_repository import RawRepository, simple_repository
from tests.services import free_port

pytestmark = pytest.mark.django_db(transaction=True)
ONE_TASK = (
    "import django, sys; django.setup(); "
    "from indexer.tasks import crawl; sys.stdin.read(1); crawl(int(sys.argv[1]))"
)


def test_F_C1_eight_tasks_for_one_repository_are_one_crawl(
    remote: RawRepository, add: Callable[..., Repository], env: dict[str, str]
) -> None:
    with serve_git(remote.path.parent) as server:
        repository = add(server.url_of(remote.path))
        tasks = [
            subprocess.Popen(
                [sys.executable, "-c", ONE_TASK, str(repository.pk)],
                env={**env, "DJANGO_SETTINGS_MODULE": "registry_site.settings"},
                stdin=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=Path(MANAGE[1]).parent,
            )
            for _ in range(8)
        ]
        for task in tasks:  # all are ready before the first may begin
            assert task.stdin is not None
            task.stdin.write(b"x")
            task.stdin.flush()
        for task in tasks:
            _, said = task.communicate(timeout=60)
            assert task.returncode == 0, said.decode()
        assert Crawl.objects.count() == 1
        assert Crawl.objects.get().status == Crawl.Status.CHANGED
        fetches = [path for method, path in server.requests if method == "POST"]
        assert len(fetches) <= 8, "one listing, one fetch of what it names"
        assert index_dump(repository) == from_scratch(repository)


def test_F_D3_workers_on_the_same_repositories_never_show_a_database_error(
    add: Callable[..., Repository], env: dict[str, str], tmp_path: Path
) -> None:
    repositories = []
    for number in range(5):
        remote = simple_repository(tmp_path / f"{number}.git")
        Editor(remote, number)(10)
        repositories.append(add(remote, f"a/{number}"))
    workers = [
        subprocess.Popen(
            [*MANAGE, "crawl", "--all"],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for _ in range(6)
    ]
    for worker in workers:
        said, _ = worker.communicate(timeout=120)
        assert worker.returncode == 0, said.decode()
    assert not Crawl.objects.filter(status__in=["failed", "lost", "running"]).exists()
    for repository in repositories:
        repository.refresh_from_db()
        assert index_dump(repository) == from_scratch(repository)


def test_F_D2_web_workers_and_scheduler_write_at_once_without_a_lock_error(
    add: Callable[..., Repository], env: dict[str, str], tmp_path: Path
) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("locks of SQLite")
    get_user_model()._default_manager.create_superuser("ann", "", "pass")
    remote = simple_repository(tmp_path / "r.git")
    edit = Editor(remote, 7)
    edit(100)
    repositories = [add(remote.path.as_posix(), f"a/{number}") for number in range(4)]
    port = free_port()
    web = [
        sys.executable, "-m", "gunicorn", f"--bind=127.0.0.1:{port}",
        "--config=python:registry_site.gunicorn_conf", "registry_site.wsgi",
    ]  # fmt: skip
    # As `make run` serves it: a fresh clone has no collected static files.
    embedded = {name: value for name, value in env.items() if name != "DEBUG"}
    until = time.monotonic() + 9
    signed_in: list[float] = []
    failures: list[str] = []

    def client() -> None:
        while time.monotonic() < until:
            begun = time.monotonic()
            try:
                sign_in(port)
                signed_in.append(time.monotonic() - begun)
            except urllib.error.HTTPError as error:
                # Too many passwords at once: nothing was looked at, try again.
                if error.code != 503:
                    failures.append(repr(error))
                    return
            except (OSError, AssertionError) as error:
                failures.append(repr(error))
                return

    def crawler(number: int) -> None:
        while time.monotonic() < until:
            done = subprocess.run(
                [*MANAGE, "rebuild", repositories[number].name],
                env=env,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                failures.append(done.stdout + done.stderr)

    with running(web, embedded, tmp_path / "web.log") as server:
        wait_until(lambda: listens(port), 20, "the web server")
        threads = [threading.Thread(target=client) for _ in range(8)]
        threads += [threading.Thread(target=crawler, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert "locked" not in server.said
    assert len(signed_in) >= 8
    assert Crawl.objects.filter(status=Crawl.Status.CHANGED).count() >= 4
    assert not Crawl.objects.exclude(status=Crawl.Status.CHANGED).exists()
    ask(repositories[0])


def listens(port: int) -> bool:
    try:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}/healthz", timeout=2
        ) as one:
            return bool(one.status == 200)
    except OSError:
        return False


def sign_in(port: int) -> None:
    """Sign in as ann: a new row of a session, and the user's last login."""
    opener = urllib.request.build_opener(
        urllib.request.HTTPCookieProcessor(CookieJar())
    )
    url = f"http://127.0.0.1:{port}/login"
    with opener.open(url, timeout=30) as page:
        body = page.read().decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', body)
    assert token is not None
    form = f"csrfmiddlewaretoken={token[1]}&username=ann&password=pass"
    with opener.open(url, form.encode(), timeout=30) as answer:
        assert answer.status == 200
        assert not answer.url.endswith("/login"), "not signed in"
