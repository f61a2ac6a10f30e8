"""Orders of files for the tests of those who write them, and the repository they are
for."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

from indexer.core.snapshot import Instant, Person
from indexer.providers.file_writing import FileOrder
from tests.providers.tag_orders import git

ADA = Person("Ada Lovelace", "ada@example.org")
AT = Instant(1_750_000_000, -210)
CONTENT = "artifacts:\n  churn:\n    type: model\n    path: größe.pkl\n"


def write(path: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(content, encoding="utf-8")


def a_repository_with_files(root: Path) -> Path:
    """Two commits, with folders, a script that can be run, links, and names that come
    before and after one another only by Git's own order."""
    work = root / "work"
    write(work, {"run.sh": "#!/bin/sh\n", "dvc.yaml": "a: 1\n", "sub.txt": "x\n"})
    write(work, {"sub/train.py": "1\n", "sub/deep/dvc.yaml": "b: 2\n", "z/y": "1\n"})
    (work / "run.sh").chmod(0o755)
    (work / "link").symlink_to("dvc.yaml")
    for step in (("init", "--quiet", "-b", "main"), ("config", "user.name", "Eve"),
                 ("config", "user.email", "eve@example.org"), ("add", "-A"),
                 ("commit", "--quiet", "-m", "One"),
                 ("commit", "--quiet", "--allow-empty", "-m", "Two")):  # fmt: skip
        git(work, *step)
    path = root / "churn.git"
    git(work.parent, "clone", "--quiet", "--bare", str(work), str(path))
    for name in ("http.receivepack", "uploadpack.allowFilter"):
        git(path, "config", name, "true")
    return path


def order_for(bare: Path, path: str = "dvc.yaml", **what: object) -> FileOrder:
    base = git(bare, "rev-parse", "main")
    shown = git(bare, "ls-tree", base, "--", path).split()
    before = shown[2] if shown else None
    order = FileOrder(
        base=base, branch="main", is_new_branch=False, path=path, before=before,
        content=CONTENT, message="Add churn\n\nWith its größe", author=ADA, at=AT,
    )  # fmt: skip
    return replace(order, **what)  # type: ignore[arg-type]


def files_at(bare: Path, commit: str) -> dict[str, str]:
    """Mode and blob by path."""
    listed = git(bare, "ls-tree", "-r", "-z", commit).split("\0")
    pairs = (line.partition("\t") for line in listed if line)
    return {path: f"{told.split()[0]} {told.split()[2]}" for told, _, path in pairs}


def branches_of(bare: Path) -> dict[str, str]:
    listed = git(
        bare, "for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads"
    )
    return dict(line.split(" ") for line in listed.splitlines())


def commit_on(bare: Path, branch: str, message: str = "Other") -> str:
    """Somebody else's commit on top of a branch."""
    made = git(
        bare, "-c", "user.name=Eve", "-c", "user.email=eve@example.org",
        "commit-tree", "-p", branch, "-m", message, f"{branch}^{{tree}}",
    )  # fmt: skip
    git(bare, "update-ref", f"refs/heads/{branch}", made)
    return made


def hook(bare: Path, name: str, script: str) -> None:
    path = bare / "hooks" / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def is_sound(bare: Path) -> bool:
    return git(bare, "fsck", "--strict", "--no-dangling") == ""
