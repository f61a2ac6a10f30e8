"""A token that can be told from everything else, a worker that logs all it can, every
fault a provider has: the token must turn up nowhere (threats K1, K2, K3)."""

from __future__ import annotations

import base64
import binascii
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from cryptography.fernet import Fernet
from django.apps import apps
from django.db import connection as database
from django.db.models import F

from indexer.budgets import forget_budget
from indexer.models import Connection, Repository
from tests.connecting import Acme, serve_acme
from tests.faults.redis_server import RedisServer
from tests.faults.test_killed import BEAT, WORKER
from tests.faults.test_servers import own_redis  # noqa: F401 - a fixture
from tests.process_tree import running, wait_until
from tests.providers.api_requests import Fault

CANARY = "ghp_CANARY9876543210"
ECHO = json.dumps({"message": f"No: {CANARY}"}).encode()
JSON = {"Content-Type": "application/json"}
BASE64 = re.compile(rb"[A-Za-z0-9+/]{16,}={0,2}")


def faults(acme: Acme) -> list[Fault]:
    """One after the other, whatever is asked for; many echo the token."""
    server = acme.server
    return [
        *(
            server.fault("/api/", status=status, body=ECHO, headers=JSON)
            for status in (400, 401, 403, 404, 409, 422, 500, 502, 503)
        ),
        server.fault(
            "/api/", status=429, body=ECHO, headers={**JSON, "Retry-After": "60"}
        ),
        server.fault(
            "/api/", status=302, headers={"Location": f"http://127.0.0.1:1/{CANARY}"}
        ),
        server.fault("/api/", status=200, body=CANARY.encode(), headers=JSON),
        server.fault(
            "/api/",
            status=200,
            body=f"<html>{CANARY}".encode(),
            headers={"Content-Type": "text/html"},
        ),
        server.fault("/api/", raw=f"HTTP/1.1 {CANARY}\r\n\r\n".encode()),
        server.fault("/api/", raw=f"HTTP/1.1 200 X\r\n{CANARY}\r\n\r\n[]".encode()),
        server.fault("/api/", truncate=20),
        server.fault("/api/", reset="before"),
    ]


def at_work() -> bool:
    """Whether somebody looks or crawls just now."""
    return any(
        rows.objects.exclude(lease_id=None).exists()
        for rows in (Connection, Repository)
    )


def owe_until(done: object) -> bool:
    """Unless it is `done`, let everything be looked at again, whatever was."""
    if done:
        return True
    for pk in Connection.objects.values_list("pk", flat=True):
        forget_budget(pk)
    Connection.objects.filter(lease_id=None).update(
        state=Connection.State.OK,
        next_poll_at=None,
        enqueued_at=None,
        requested_seq=F("requested_seq") + 1,
    )
    Repository.objects.filter(lease_id=None).update(
        next_crawl_at=None,
        enqueued_at=None,
        failures=0,
        requested_seq=F("requested_seq") + 1,
    )
    threading.Event().wait(0.3)  # for the worker to get a word in
    return False


def is_well() -> bool:
    """All was read at last."""
    is_read = Repository.objects.filter(state=Repository.State.OK, lease_id=None)
    is_fine = Connection.objects.filter(state=Connection.State.OK, lease_id=None)
    return is_read.exists() and is_fine.exclude(polled_at=None).exists()


@contextmanager
def overheard(server: RedisServer) -> Iterator[list[bytes]]:
    """Every command that Redis gets meanwhile."""
    heard: list[bytes] = []
    client = redis.Redis.from_url(server.url)
    with client.monitor() as monitor:  # type: ignore[no-untyped-call]

        def listen() -> None:
            try:
                for command in monitor.listen():
                    heard.append(repr(command).encode())
            except (redis.RedisError, OSError, ValueError):
                return  # it was killed: that is all

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        yield heard
        server.kill()
        thread.join(10)
    client.close()


def opened(text: bytes) -> bytes:
    """A text, and what lies in it as base64: the bodies of messages."""
    found = [text]
    for match in BASE64.findall(text):
        try:
            found.append(base64.b64decode(match + b"=" * (-len(match) % 4)))
        except binascii.Error:
            continue
    return b"\n".join(found)


def all_rows() -> bytes:
    """Every field of every row there is."""
    return b"\n".join(
        repr(row).encode()
        for model in apps.get_models()
        for row in model._default_manager.values_list()
    )


@pytest.mark.slow
@pytest.mark.needs_redis
def test_K1_K2_K3_the_token_turns_up_nowhere_whatever_fails(
    own_redis: RedisServer,  # noqa: F811 - the fixture
    env: dict[str, str],
    data: Path,
    settings: Any,
    tmp_path: Path,
) -> None:
    settings.CELERY_BROKER_URL = env["CELERY_BROKER_URL"] = own_redis.url
    env["LOG_LEVEL"] = "DEBUG"
    key = Fernet.generate_key().decode()
    settings.MUSTER_ENCRYPTION_KEYS, env["MUSTER_ENCRYPTION_KEYS"] = [key], key
    loud = "--loglevel=DEBUG"
    with serve_acme(tmp_path / "remotes") as acme, overheard(own_redis) as heard:
        acme.add("churn")
        acme.server.token = acme.server.add_token(CANARY, "repo", "admin:org_hook")
        acme.connect()
        with (
            running([*WORKER, loud], env, tmp_path / "worker.log") as worker,
            running([*BEAT, loud], env, tmp_path / "beat.log") as beat,
        ):
            wait_until(lambda: owe_until(is_well()), 60, "the first crawl")
            rows = []
            for fault in faults(acme):
                wait_until(lambda: owe_until(fault.hits), 60, str(fault))  # noqa: B023
                # What a look says stands until the next one.
                wait_until(lambda: not at_work(), 60, "the end of what met a fault")
                rows.append(all_rows())
            wait_until(lambda: owe_until(is_well()), 60, "recovery")
            logs = (worker.said + beat.said).encode()
    asked = repr([request.headers for request in acme.server.requests])
    places = {
        "the logs": logs,
        "Redis": opened(b"\n".join(heard)),
        "the database": b"\n".join([*rows, all_rows()]),
    }
    if database.vendor == "sqlite":
        name = Path(str(database.settings_dict["NAME"]))
        files = [file.read_bytes() for file in name.parent.glob(f"{name.name}*")]
        places["the database's files"] = b"".join(files)
    for path in data.rglob("*"):
        if path.is_file():
            places[str(path)] = path.read_bytes()
    # That there was something to find, in each.
    assert CANARY in asked
    assert b"/api/v3/" in logs
    assert b"muster:budget:" in places["Redis"]
    assert b"muster.poll" in places["Redis"]
    assert "says: “No: …”".encode() in places["the database"]
    for place, content in places.items():
        assert CANARY.encode() not in content, f"the token is in {place}"
