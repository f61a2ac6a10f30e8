"""A small application for gunicorn, in place of Muster's: answers what a test of the
web server needs. LIMITS changes constants of the server: {"HEAD_SECONDS": 0.3}."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from registry_site import web_server

for name, value in json.loads(os.environ.get("LIMITS", "{}")).items():
    assert hasattr(web_server, name)
    setattr(web_server, name, value)

FOLDER = Path(os.environ["FOLDER"])
PART = b"x" * 100_000


def application(
    environ: dict[str, Any], start_response: Callable[..., Any]
) -> Iterator[bytes] | list[bytes]:
    """By the path: what was sent; a large answer; an endless one; one that waits."""
    path = environ["PATH_INFO"]
    body = environ["wsgi.input"].read()
    if path == "/large":
        start_response("200 OK", [("Content-Length", str(len(PART) * 300))])
        return [PART] * 300
    if path == "/endless":
        start_response("200 OK", [])
        return endless()
    if path == "/broken":
        start_response("200 OK", [])
        return broken()
    if path == "/wait":
        with (FOLDER / "waiting").open("a") as file:
            file.write("x")
        while not (FOLDER / "go").exists():
            time.sleep(0.01)
    said = f"{environ['REQUEST_METHOD']} {path} {len(body)} {body[:20].decode()}"
    start_response("200 OK", [("Content-Length", str(len(said)))])
    return [said.encode()]


def endless() -> Iterator[bytes]:
    try:
        while True:
            yield PART
    finally:
        (FOLDER / "ended").touch()


def broken() -> Iterator[bytes]:
    yield PART
    raise ValueError("half-way")
