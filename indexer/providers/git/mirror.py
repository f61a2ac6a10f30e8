"""The bare mirror of a repository: a cache of objects without refs, safe to delete.

For a remote it holds what was fetched. For a repository of this machine it borrows
that one's objects (`objects/info/alternates`) and holds none itself: nothing is
copied, and nothing of that repository but its objects is read: no configuration, no
hook. Whoever holds the repository's lease is the only one to use its mirror."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from indexer.providers.errors import BadPayload
from indexer.providers.git import command

# Each crawl that finds something new adds up to three packs. Beyond this many a fresh
# mirror is cheaper than a repack: what was read before is in the index anyway.
MAX_PACKS = 60


def open_mirror(path: Path, *, object_format: str, borrow_from: Path | None) -> None:
    """Make the mirror at `path` fit to read: made anew if it is missing, damaged, of
    another object format or full of packs; cleared of what a killed git left."""
    if not _is_sound(path, object_format):
        remove_mirror(path)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        command.init(path, object_format)
        path.chmod(0o700)
    else:
        _clear_leftovers(path)
    _borrow(path, borrow_from)


def remove_mirror(path: Path) -> None:
    """Delete the mirror, whatever is there in its place."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def objects_of(path: Path) -> Path:
    """The folder of objects of a repository of this machine: bare, with a work tree,
    or a linked work tree. Raises BadPayload if there is none."""
    try:
        folder = path / ".git" if (path / ".git").exists() else path
        if folder.is_file():
            line = folder.read_text(encoding="utf-8").strip()
            folder = folder.parent / line.removeprefix("gitdir:").strip()
        common = folder / "commondir"
        if common.is_file():
            folder = folder / common.read_text(encoding="utf-8").strip()
        objects = (folder / "objects").resolve()
    except (OSError, UnicodeError, ValueError, RuntimeError) as error:
        raise BadPayload(f"The repository at {path} cannot be read.") from error
    if not objects.is_dir() or "\n" in str(objects):
        raise BadPayload(f"The repository at {path} has no folder of objects.")
    return objects


def _is_sound(path: Path, object_format: str) -> bool:
    try:
        config = (path / "config").read_text(encoding="utf-8")
        head = (path / "HEAD").read_text(encoding="utf-8")
        packs = sum(1 for _ in (path / "objects" / "pack").glob("*.pack"))
    except (OSError, UnicodeError):
        return False
    return (
        not path.is_symlink()
        and head == "ref: refs/heads/main\n"
        and "bare = true" in config
        and ("objectformat = sha256" in config) == (object_format == "sha256")
        and (path / "refs").is_dir()
        and (path / "objects" / "pack").is_dir()
        and packs <= MAX_PACKS
    )


def _clear_leftovers(path: Path) -> None:
    """Remove locks and half-written files: nobody else is at work here, so they are
    those of a git that was killed."""
    for pattern in (
        "*.lock",
        "objects/info/*.lock",
        "objects/tmp_*",
        "objects/??/tmp_*",
        "objects/pack/tmp_*",
        "objects/pack/.tmp-*",
        "objects/pack/*.keep",
    ):
        for left in path.glob(pattern):
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left)
            else:
                left.unlink(missing_ok=True)
    _forget_remote(path / "config")


def _forget_remote(config: Path) -> None:
    """Let no reader go and ask a remote for what is missing: a git that was killed may
    have left one, and an older Muster did."""
    kept, found, _ = config.read_text(encoding="utf-8").partition("[remote ")
    if found:
        written = config.with_name("muster-config.lock")
        written.write_text(kept, encoding="utf-8")
        os.replace(written, config)


def _borrow(path: Path, source: Path | None) -> None:
    alternates = path / "objects" / "info" / "alternates"
    if source is None:
        alternates.unlink(missing_ok=True)
        return
    alternates.parent.mkdir(exist_ok=True)
    alternates.write_text(f"{source}\n", encoding="utf-8")
