from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import indexer.core

IMPURE = ("django", "celery", "git", "httpx2", "requests", "psycopg", "subprocess")


def test_the_core_imports_nothing_but_the_standard_library_and_itself() -> None:
    folder = Path(indexer.core.__path__[0])
    modules = [f"indexer.core.{p.stem}" for p in folder.glob("*.py")]
    assert len(modules) > 10
    program = (
        f"import {', '.join(sorted(modules))}\n"
        "import sys\n"
        "names = {m.partition('.')[0] for m in sys.modules}\n"
        "ours = names - set(sys.stdlib_module_names)\n"
        "print(sorted(m for m in ours if not m.startswith('_')))\n"
        f"print(sorted(set({IMPURE!r}) & set(sys.modules)))\n"
    )
    # -S: packages of the environment may start code of their own in every process.
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        cwd=folder.parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["['indexer']", "[]"]


def test_the_core_asks_no_clock_and_no_chance() -> None:
    for path in Path(indexer.core.__path__[0]).glob("*.py"):
        words = path.read_text()
        for impure in ("import random", "import time", ".now(", ".today(", "import os"):
            assert impure not in words, f"{path.name}: {impure}"
