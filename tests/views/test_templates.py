"""Templates as files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "templates"
TEMPLATES = sorted(FOLDER.rglob("*.html"))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_no_tag_spans_lines(path: Path) -> None:
    """Django shows such a tag as text instead of running it."""
    for line in path.read_text(encoding="utf-8").splitlines():
        for left, right in (("{%", "%}"), ("{{", "}}"), ("{#", "#}")):
            assert line.count(left) == line.count(right), line


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_X1_nothing_is_marked_safe_or_written_inline(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\|\s*safe|autoescape\s+off", text)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", text)
