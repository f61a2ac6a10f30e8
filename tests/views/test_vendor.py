"""Vendored files are the ones VENDOR.md names."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

VENDOR = Path(__file__).parents[2] / "static" / "vendor"


def test_every_vendored_file_has_its_hash_written_down() -> None:
    text = (VENDOR / "VENDOR.md").read_text(encoding="utf-8")
    written = dict(re.findall(r"^\| ([\w.-]+) \|.*`([0-9a-f]{64})` \|$", text, re.M))
    there = {
        path.name: sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.iterdir()
        if path.name != "VENDOR.md"
    }
    assert written == there


def test_no_static_file_of_ours_asks_another_site() -> None:
    for path in VENDOR.parent.glob("*.*"):
        text = path.read_text(encoding="utf-8")
        addresses = set(re.findall(r"https?://[^\s\"')]+", text))
        assert addresses <= {"http://www.w3.org/2000/svg"}, path.name
