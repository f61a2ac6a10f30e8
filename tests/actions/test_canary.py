"""K1 to K4: a person's token is sent to its server, and is nowhere else while an action
goes well, is refused, or meets faults that echo it."""

from __future__ import annotations

import base64
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection as database

from indexer.models import ActionLog, ProviderToken
from tests.actions.checks import check_settled, done
from tests.actions.places import ActionPlace, give_token
from tests.actions.test_faults import WRITES
from tests.faults.test_canary import all_rows
from tests.providers.git_server import GitServer

Status = ActionLog.Status
CANARY = "CANARYpat9876543210"
JSON = {"Content-Type": "application/json"}


@contextmanager
def overlooked() -> Iterator[set[bytes]]:
    """The arguments of every process there is meanwhile, as anybody on the machine
    can read them."""
    seen: set[bytes] = set()
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.001):
            for name in filter(str.isdigit, os.listdir("/proc")):
                try:
                    seen.add(Path("/proc", name, "cmdline").read_bytes())
                except OSError:
                    continue  # it has ended

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def know_canary(place: ActionPlace) -> str:
    """Make the right that writes the canary; what holds it."""
    server: Any = place.server
    if isinstance(server, GitServer):
        from indexer.crypto import encrypt

        server.username, server.password = "ada", CANARY
        row = place.repository
        row.username, row.secret = "ada", encrypt(CANARY)
        row.save(update_fields=["username", "secret"])
        return row.secret
    server.tokens[CANARY] = server.tokens[server.token]
    return give_token(place.people["eddy"], place, CANARY).secret


def sent_to(place: ActionPlace) -> str:
    if isinstance(place.server, GitServer):
        return repr(
            [base64.b64decode(one.split()[1]) for one in place.server.authorizations]
        )
    return repr(
        [
            (request.headers, base64.b64decode(word[1]))
            for request in place.server.requests
            for word in [request.headers.get("authorization", "x Cg==").split()]
            if word[0] == "Basic"
        ]
        + [request.headers for request in place.server.requests]
    )


def echoes(place: ActionPlace) -> Iterator[str]:
    """One fault after the other; each holds the token."""
    server: Any = place.server
    if isinstance(server, GitServer):
        for status in (401, 403, 404, 500):
            server.status, server.location = status, f"/{CANARY}"
            yield f"g{status}"
        server.status, server.location = 0, ""
        return
    server.is_checked = False
    body = b'{"message": "No: %s"}' % CANARY.encode()
    for number, request in enumerate(WRITES[place.kind]):
        for status in (400, 401, 403, 409, 422, 429, 500):
            server.fault(request, status=status, body=body, headers=JSON)
            yield f"f{number}{status}"
            server.faults.clear()
        server.fault(request, raw=f"HTTP/1.1 {CANARY}\r\n\r\n".encode())
        yield f"raw{number}"
        server.redirect(request, f"http://127.0.0.1:1/{CANARY}")
        yield f"to{number}"
        server.faults.clear()


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads /proc")
def test_K1_K2_K3_K4_the_token_is_nowhere_during_an_action(
    place: ActionPlace, caplog: pytest.LogCaptureFixture, capfd: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    kept = know_canary(place)
    rows = []
    with overlooked() as seen:
        done(place.register(0, "v1.0.0"))
        for stage in echoes(place):
            row = place.assign(stage, "v1.0.0")
            rows.append(repr(row.__dict__))
            if row.status == Status.WRITING:
                ActionLog.objects.filter(pk=row.pk).update(lease_expires_at=None)
                assert place.assign(stage, "v1.0.0").pk > row.pk
        done(place.assign("prod", "v1.0.0"))
    assert kept
    check_settled(place)
    out = capfd.readouterr()
    places = {
        "the log": caplog.text.encode(),
        "what is printed": (out.out + out.err).encode(),
        "the rows": "\n".join(rows).encode() + all_rows(),
        "arguments": b"\n".join(seen),
        "the repr": repr(list(ProviderToken.objects.all())).encode(),
    }
    if database.vendor == "sqlite":
        name = Path(str(database.settings_dict["NAME"]))
        files = [file.read_bytes() for file in name.parent.glob(f"{name.name}*")]
        places["the database's files"] = b"".join(files)
    for path in Path(settings.MUSTER_DATA).rglob("*"):
        if path.is_file():
            places[str(path)] = path.read_bytes()
    # That there was something to find.
    assert CANARY in sent_to(place)
    assert b"python" in places["arguments"]
    assert place.kind == "github" or b"receive-pack" in places["arguments"]
    for where, content in places.items():
        assert CANARY.encode() not in content, f"the token is in {where}"


def test_K1_who_reads_the_log_of_actions_reads_no_token(
    make_place: Callable[[str], ActionPlace],
) -> None:
    """Nor its ciphertext: no column of the row comes from it."""
    place = make_place("github")
    kept = know_canary(place)
    done(place.register(0, "v1.0.0"))
    told = repr(list(ActionLog.objects.values()))
    assert CANARY not in told
    assert kept not in told
