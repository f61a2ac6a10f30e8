"""Rules that the whole project keeps, whoever changes it."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("indexer", "registry_site")

# The rows of priority 0 in the list of threats that concern what is built so far:
# git as a subprocess (A), parsers and database (P), tags (T), size (D), output (X),
# web (C), addresses and tokens (S, K), owners (Z), webhooks (W), and faults (F). T5 is
# marked as a problem, T8 and T9 included.
THREATS = (
    *(f"A{number}" for number in range(1, 9)),
    *(f"P{number}" for number in range(1, 12)),
    *(f"T{number}" for number in range(1, 12)),
    *("D1", "D2", "D3", "D4", "D6", "D7"),
    *("X1", "X2", "X5", "X6", "X7"),
    *("C1", "C2", "C3", "C4", "C6", "C8", "C11"),
    *(f"W{number}" for number in range(1, 8)),
    *(f"S{number}" for number in range(1, 8)),
    *("K1", "K2", "K3", "K4", "K5", "Z3", "Z6", "Z7"),
    "F-K1",
    *("F-P1", "F-P2", "F-P3", "F-P4", "F-P5"),
    *("F-W1", "F-W2", "F-B1", "F-D1", "F-D2", "F-D3", "F-C1"),
    *("F-G1", "F-G2", "F-G3", "F-G4"),
    *("F-T1", "F-T2", "F-T3", "F-T4"),
)


def product_files(*suffixes: str) -> Iterator[Path]:
    """The project's own files with one of the suffixes, without vendored ones."""
    for folder in (*PRODUCT, "templates", "static"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in suffixes and "vendor" not in path.parts:
                yield path


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a process of its own, at the project's root."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_core_imports_nothing_of_django_celery_or_the_network() -> None:
    modules = [
        path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
        for path in sorted((ROOT / "indexer/core").glob("*.py"))
    ]
    assert len(modules) > 3
    done = run_python(
        "import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "bad = {'django', 'celery', 'git', 'requests', 'ruamel', 'socket', 'http'}\n"
        "print(sorted(bad & set(sys.modules)))"
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_the_core_asks_no_clock_chance_or_environment() -> None:
    for path in sorted((ROOT / "indexer/core").glob("*.py")):
        names = set(re.findall(r"[\w.]+", path.read_text(encoding="utf-8")))
        for asked in ("datetime.now", "time.time", "os.environ", "random.random"):
            assert asked not in names, f"{path.name} asks {asked}"


def test_every_vendored_file_is_the_one_its_list_names() -> None:
    folder = ROOT / "static/vendor"
    text = (folder / "VENDOR.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| (\S+) \|.*`([0-9a-f]{64})` \|$", text, re.MULTILINE))
    found = {
        path.relative_to(folder).as_posix(): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "VENDOR.md"
    }
    assert found == listed


def test_X1_only_the_markdown_module_calls_html_safe() -> None:
    for path in product_files(".py", ".html"):
        if path == ROOT / "indexer/markdown.py":
            continue
        text = path.read_text(encoding="utf-8")
        found = re.search(r"mark_safe|SafeString\(|\|\s*safe\b|autoescape off", text)
        assert found is None, f"{path.relative_to(ROOT)}: {found and found[0]}"


def test_no_page_holds_a_script_a_style_or_a_handler_inline() -> None:
    inline = re.compile(
        r"<style\b|<script\b(?![^>]*\bsrc=)|\son[a-z]+\s*=|\sstyle\s*=|javascript:"
    )
    for path in product_files(".html"):
        found = inline.search(path.read_text(encoding="utf-8"))
        assert found is None, f"{path.relative_to(ROOT)}: {found and found[0]}"


def test_no_page_asks_another_site_for_anything() -> None:
    asked = re.compile(r"""(?:src|@import|url\()\s*=?\s*["'(]*(?:https?:)?//""")
    for path in product_files(".html", ".css", ".js"):
        found = asked.search(path.read_text(encoding="utf-8"))
        assert found is None, f"{path.relative_to(ROOT)}: {found and found[0]}"


def test_C1_only_the_door_for_webhooks_is_exempt_from_csrf_protection() -> None:
    """What comes there is signed."""
    for path in product_files(".py"):
        if path != ROOT / "indexer/views/hooks.py":
            assert "csrf_exempt" not in path.read_text(encoding="utf-8"), path


def test_A4_one_module_runs_git_and_never_through_a_shell() -> None:
    allowed = {
        ROOT / "indexer/providers/git/command.py",  # the crawler's
        ROOT / "indexer/demo/story.py",  # writes repositories of our own
    }
    for path in product_files(".py"):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names]
                names.append(getattr(node, "module", None) or "")
                if path not in allowed:
                    assert not {"git", "git.cmd", "git.repo"} & set(names), path
            if isinstance(node, ast.keyword) and node.arg == "shell":
                pytest.fail(f"{path} starts a shell")


def test_every_python_file_says_what_it_is() -> None:
    for folder in (*PRODUCT, "bench"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            if "migrations" in path.parts or not text.strip():
                continue
            said = ast.get_docstring(ast.parse(text))
            assert said, path.relative_to(ROOT)


def test_no_module_is_named_for_nothing() -> None:
    names = {path.stem for path in product_files(".py")}
    assert not names & {"utils", "util", "helpers", "helper", "common", "misc"}


def threats_in(text: str) -> set[str]:
    """The rows that a name or a sentence speaks of. "F_W1" is that of faults and says
    nothing of W1, which is one of webhooks."""
    found = re.findall(r"(?<![A-Za-z0-9])(?:F[-_])?[A-Z]\d+(?!\d)", text)
    return {name.replace("F_", "F-") for name in found}


def test_a_fault_is_no_attack_of_the_same_letter() -> None:
    said = "test_F_W1_a_worker_dies F-P12 (K2) test_S4_x W33b a1 xF_D1 T5"
    assert threats_in(said) == {"F-W1", "F-P12", "K2", "S4", "W33", "T5", "D1"}


def test_every_threat_that_concerns_us_has_a_test_that_names_it() -> None:
    named: set[str] = set()
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.ClassDef):
                continue
            if not node.name.startswith(("test", "Test")):
                continue
            said = f"{node.name} {ast.get_docstring(node) or ''}"
            said += " ".join(ast.unparse(mark) for mark in node.decorator_list)
            named |= threats_in(said)
    assert not [threat for threat in THREATS if threat not in named]


def test_migrations_match_the_models() -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "makemigrations", "--check", "--dry-run"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_link_between_documents_leads_somewhere() -> None:
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8")):
            if not target.startswith(("http://", "https://", "mailto:")):
                assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_make_help_names_every_target_the_documents_use() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        used = set(re.findall(r"(?:`|^ {4}|&& |\d )make ([a-z]+)", text, re.MULTILINE))
        assert used <= targets, path.name
