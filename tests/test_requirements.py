"""What is installed is pinned, and what is not pinned for running is not needed."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import default_environment
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
# Comes with every virtual environment, not with our requirements.
TOOLS = {"pip", "setuptools", "wheel"}
RUNTIME = "requirements.txt"


def load_lock() -> Any:
    """The program that writes the lock files, and knows what needs what."""
    loader = SourceFileLoader("lock", str(ROOT / ".ci/lock"))
    spec = importlib.util.spec_from_loader("lock", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


lock = load_lock()


def needed(*names: str) -> set[str]:
    """The canonical names of what these files of ours list and of all that it requires
    here."""
    found: set[str] = lock.needed(names, default_environment())
    return found


def pins() -> dict[str, str]:
    """Every pinned version, by canonical name."""
    pinned: dict[str, str] = {}
    for name in ("requirements.txt", "requirements-dev.txt", "constraints.txt"):
        for requirement in lock.listed(name):
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
    everything = needed("requirements.txt", "requirements-dev.txt")
    assert everything - set(pinned) - TOOLS == set(), "add them to constraints.txt"
    wrong = {
        name: (pinned[name], metadata.version(name))
        for name in everything - TOOLS
        if pinned[name] != metadata.version(name)
    }
    assert not wrong, "pinned, installed"
    assert set(pinned) - everything == set(), "pinned, but nobody needs it"


def test_V1_the_lock_files_hold_every_pin_for_every_machine_and_nothing_else() -> None:
    checked = subprocess.run(
        [sys.executable, str(ROOT / ".ci/lock"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_V1_whatever_is_installed_is_installed_by_its_digest() -> None:
    """pip refuses a file with another one, and a package that is not listed."""
    for name in (".ci/venv", "Dockerfile"):
        text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
        installs = re.findall(r"pip install .*", text)
        assert installs, name
        for line in installs:
            assert "--require-hashes" in line, name
            assert ".lock" in line, name
    for name in lock.LOCKS:
        for line, digests in lock.kept(name).items():
            assert all(re.fullmatch("[0-9a-f]{64}", one) for one in digests), line


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ("click==8.5.1", "does not fit click==8.5.1, click==8.5.2"),
        ("vine==5.1.0", "Pin them in constraints.txt: vine"),
    ],
)
def test_a_lock_that_does_not_fit_the_pins_is_one_sentence(
    tmp_path: Path, changed: str, said: str
) -> None:
    (tmp_path / ".ci").mkdir()
    for name in (".ci/lock", *lock.LOCKS, "requirements-dev.txt", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert changed in pinned
    other = "click==8.5.2" if changed.startswith("click") else ""
    (tmp_path / "constraints.txt").write_text(pinned.replace(changed, other))
    checked = subprocess.run(
        [sys.executable, str(tmp_path / ".ci/lock"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 1
    assert said in checked.stderr


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_says_why(name: str) -> None:
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if "==" in line:
            assert re.search(r"#\s+\S+", line), line


def test_what_we_import_by_name_we_pin_by_name() -> None:
    """A package that only another one requires may go with that one's next version."""
    own = {canonicalize_name(requirement.name) for requirement in lock.listed(RUNTIME)}
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
    allowed = needed(RUNTIME)
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
