"""What is installed is pinned, and what is not pinned for running is not needed."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
# Comes with every virtual environment, not with our requirements.
TOOLS = {"pip", "setuptools", "wheel"}
RUNTIME = "requirements.txt"


def listed(name: str) -> Iterator[Requirement]:
    """The requirements a file of ours lists."""
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if text and not text.startswith("-"):
            yield Requirement(text)


def needed(requirements: Iterator[Requirement]) -> set[str]:
    """The canonical names of these packages and of all they require here."""
    found: set[str] = set()
    asked = deque(requirements)
    seen: set[tuple[str, str]] = set()
    while asked:
        requirement = asked.popleft()
        name = canonicalize_name(requirement.name)
        for extra in ("", *sorted(requirement.extras)):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            found.add(name)
            for text in metadata.requires(requirement.name) or ():
                inner = Requirement(text)
                if inner.marker is None or inner.marker.evaluate({"extra": extra}):
                    asked.append(inner)
    return found


def pins() -> dict[str, str]:
    """Every pinned version, by canonical name."""
    pinned: dict[str, str] = {}
    for name in ("requirements.txt", "requirements-dev.txt", "constraints.txt"):
        for requirement in listed(name):
            if requirement.marker and not requirement.marker.evaluate():
                continue  # for another Python
            (specifier,) = requirement.specifier
            assert specifier.operator == "==", requirement
            package = canonicalize_name(requirement.name)
            assert package not in pinned, f"{package} is pinned twice"
            pinned[package] = specifier.version
    return pinned


def test_V1_every_package_we_need_is_pinned_to_what_is_installed() -> None:
    pinned = pins()
    everything = needed(listed("requirements.txt")) | needed(
        listed("requirements-dev.txt")
    )
    assert everything - set(pinned) - TOOLS == set(), "add them to constraints.txt"
    wrong = {
        name: (pinned[name], metadata.version(name))
        for name in everything - TOOLS
        if pinned[name] != metadata.version(name)
    }
    assert not wrong, "pinned, installed"
    assert set(pinned) - everything == set(), "pinned, but nobody needs it"


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_says_why(name: str) -> None:
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if "==" in line:
            assert re.search(r"#\s+\S+", line), line


def test_what_we_import_by_name_we_pin_by_name() -> None:
    """A package that only another one requires may go with that one's next version."""
    own = {canonicalize_name(requirement.name) for requirement in listed(RUNTIME)}
    by_module = metadata.packages_distributions()
    imported = {
        module
        for folder in ("indexer", "registry_site")
        for path in (ROOT / folder).rglob("*.py")
        for module in modules(path)
        if module not in sys.stdlib_module_names and module in by_module
    }
    assert {"requests", "urllib3"} <= imported
    unpinned = {
        module
        for module in imported
        if not {canonicalize_name(name) for name in by_module[module]} & own
    }
    assert unpinned == set()


def modules(path: Path) -> Iterator[str]:
    """The packages that a file of ours imports, by their modules."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def test_V1_the_site_and_both_queues_start_with_the_runtime_packages_alone(
    tmp_path: Path,
) -> None:
    allowed = needed(listed("requirements.txt"))
    by_module = metadata.packages_distributions()
    refused = sorted(
        module
        for module, packages in by_module.items()
        if not {canonicalize_name(name) for name in packages} & (allowed | TOOLS)
    )
    assert "pytest" in refused
    code = f"""
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {refused!r}:
            raise ModuleNotFoundError(name + " is not a runtime package", name=name)
sys.meta_path.insert(0, Refuse())
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "check"])
import gunicorn.app.wsgiapp, kombu.transport.redis, kombu.transport.filesystem
import psycopg, registry_site.wsgi
from registry_site.celery import app
app.loader.import_default_modules()
print(sorted(name for name in app.tasks if not name.startswith("celery.")))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "MUSTER_DATA": str(tmp_path),
            "DJANGO_SETTINGS_MODULE": "registry_site.settings",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "crawl" in done.stdout.splitlines()[-1]
