"""A disk without room: what is there is shown, what has to be written says why not."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from http.cookiejar import CookieJar
from pathlib import Path

import pytest
from django.db import OperationalError, connection
from django.db.backends.signals import connection_created
from django.utils import timezone

from indexer.models import SignInFailure
from tests.actions.places import act_at
from tests.api.acting import Program
from tests.faults.test_servers import fill
from tests.process_tree import MANAGE, environment, manage, running, wait_until
from tests.providers.raw_repository import simple_repository
from tests.services import free_port

PAGES = ("/", "/repositories", "/activity", "/actions", "/login", "/healthz")
ANSWERS = (*PAGES, "/api/v1/models", "/static/app.css", "/activity?format=csv")
OWN_PAGES = ("/", "/account", "/account/tokens", "/repositories/add")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, with little room."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine mounts nothing")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Browser:
    """A person at a site, signed in or not."""

    def __init__(self, port: int, token: str = "") -> None:
        self.site = f"http://127.0.0.1:{port}"
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(CookieJar())
        )

    def get(self, path: str, data: bytes | None = None) -> tuple[int, str]:
        request = urllib.request.Request(  # noqa: S310 - always http
            self.site + path, data, self.headers
        )
        try:
            with self.opener.open(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def post(self, path: str, **fields: str) -> tuple[int, str]:
        """Fill in the form of a page."""
        _, page = self.get(path)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token is not None, page
        form = {"csrfmiddlewaretoken": token[1], **fields}
        return self.get(path, urllib.parse.urlencode(form).encode())


def test_F_G4_on_a_full_disk_pages_go_on_and_what_is_written_says_why_not(
    small_disk: Path, tmp_path: Path
) -> None:
    port = free_port()
    env = environment(small_disk, PORT=str(port))
    manage("migrate", "-v0", env=env)
    remote = simple_repository(tmp_path / "a.git")
    manage("add_repository", str(remote.path), "--name=acme/churn", env=env)
    with running([*MANAGE, "up"], env, tmp_path / "log") as up:
        up.wait_for("Ctrl-C ends it.", 120)
        wait_until(lambda: any((small_disk / "queue-control").glob("*.exchange")), 60)
        password = re.search(r"with the password (\S+)", up.said)
        assert password is not None
        stranger, admin = Browser(port), Browser(port)
        admin.post("/login", username="admin", password=password[1])
        status, page = admin.post("/account/tokens", name="CI", scope="read", days="")
        found = re.search(r"muster_[\w-]{43}", page)
        assert found is not None, status
        program = Browser(port, found[0])

        fill(small_disk / "ballast")
        for _ in range(2):
            assert {path: stranger.get(path)[0] for path in ANSWERS} == dict.fromkeys(
                ANSWERS, 200
            )
            assert {path: admin.get(path)[0] for path in OWN_PAGES} == dict.fromkeys(
                OWN_PAGES, 200
            )
            status, said = program.get("/api/v1/models")
            assert (status, json.loads(said)["total"]) == (200, 1)
        for person, path, fields in (
            (admin, "/account", {"name": "Ann", "email": "ann@example.com"}),
            (admin, "/repositories/add", {"url": "https://example.com/a/b"}),
            (Browser(port), "/login", {"username": "a", "password": "b"}),
        ):
            status, said = person.post(path, **fields)
            assert status == 507, (path, said)
            assert "disk of this registry is full" in said
        assert up.process.poll() is None

        (small_disk / "ballast").unlink()
        wait_until(
            lambda: admin.post("/account", name="Ann", email="a@b.de")[0] == 200, 30
        )


@pytest.fixture
def no_room(transactional_db: None) -> Iterator[None]:
    """A database that may not grow; given after whatever is to be in it."""
    if connection.vendor != "sqlite":
        pytest.skip("SQLite's own limit of pages")
    yield
    connection_created.disconnect(limit_pages)
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA max_page_count = 1073741823")


def limit_pages(**_: object) -> None:
    """To as many as there are. Of one connection, so each new one is limited again."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA max_page_count = 1")


def allow_no_growth() -> None:
    """Neither by this connection nor by another that takes its place."""
    connection_created.connect(limit_pages)
    limit_pages()
    with suppress(OperationalError):
        while True:
            SignInFailure.objects.create(key="x" * 64, at=timezone.now())


def test_at_the_api_it_is_a_problem(
    tmp_path: Path, own_site: None, no_room: None
) -> None:
    with act_at("git", tmp_path) as place:
        program = Program(place)
        program.client.raise_request_exception = False
        program.done("register", version="v1.0.0")
        allow_no_growth()
        # What the last pages have room for is still done.
        told = next(
            told
            for number in range(100)
            for told in [program.post("assign", version="v1.0.0", stage=f"s{number}")]
            if program.status != 201
        )
        program.is_problem(told, 507, "disk-full")
        # The token is good, though its use cannot be kept.
        assert program.get("models")["total"] == 1
