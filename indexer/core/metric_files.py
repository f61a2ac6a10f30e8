"""Metrics that DVC keeps in Git: which files a dvc.yaml names, and the numbers in one.
Total: any value in, no exception out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from posixpath import dirname, join, normpath

from indexer.core.snapshot import Json

MOST_FILES = 5
MOST_NUMBERS = 40
DEEPEST = 6


def metric_paths(path: str, value: Json) -> tuple[str, ...]:
    """The metrics files that a dvc.yaml at `path` names, from the repository's root: in
    its own `metrics:` and in its stages'. https://dvc.org/doc/user-guide/
    project-structure/dvcyaml-files#metrics"""
    if not isinstance(value, Mapping):
        return ()
    named = list(_names(value.get("metrics")))
    stages = value.get("stages")
    if isinstance(stages, Mapping):
        for stage in stages.values():
            if isinstance(stage, Mapping):
                wdir = stage.get("wdir")
                folder = wdir if isinstance(wdir, str) else ""
                named += [join(folder, one) for one in _names(stage.get("metrics"))]
    found = (normpath(join(dirname(path), name)) for name in named if "${" not in name)
    inside = (name for name in found if not name.startswith(("../", "/")))
    return tuple(dict.fromkeys(inside))[:MOST_FILES]


def numbers_of(value: Json) -> tuple[tuple[str, str], ...]:
    """The numbers of a metrics file by their dotted names, as they are written."""
    found = []
    for name, number in _leaves(value, "", 0):
        found.append((name, number))
        if len(found) == MOST_NUMBERS:
            break
    return tuple(found)


def _names(value: Json) -> Iterator[str]:
    """Paths, each alone or as the one key of a mapping that says more of it."""
    if not isinstance(value, list):
        return
    for one in value:
        if isinstance(one, str):
            yield one
        elif isinstance(one, Mapping):
            yield from (key for key in one if isinstance(key, str))


def _leaves(value: Json, name: str, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and depth < DEEPEST:
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key), depth + 1)
    elif isinstance(value, int | float) and not isinstance(value, bool) and name:
        yield name, f"{value:.6g}" if isinstance(value, float) else str(value)
