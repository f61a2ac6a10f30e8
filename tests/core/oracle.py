"""The real gto, in this process: what its `show` and `history` print for a repository.

A `gto` command reads the whole repository for each answer; here it is read once and
gto's own functions answer from it.

Two things that Muster reads otherwise can be mended in gto. `mended=True`: it makes a
new version for every stage tag on a commit without a version, lists each twice and
never finds the one to unassign from. `once=True`: a stage tag that it reads again, by
another ref, counts twice, for the bare commit and for the version found there later.
`until`: commits younger than that are no events, so that a version may have none; what
only deregistrations name has no origin then."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import gto.api
import gto.base
import gto.config
import gto.index
import gto.registry
import gto.tag
import gto.utils
from gto.constants import VersionSort
from gto.exceptions import GTOException
from gto.utils import make_ready_to_serialize
from ruamel.yaml import YAML
from scmrepo.git import Git

from indexer.core.registry import Reading

READINGS: dict[Reading, dict[str, Any]] = {
    Reading.TIME: {},
    Reading.SEMVER: {"sort": VersionSort.SemVer},
    Reading.SEVERAL: {"versions_per_stage": -1},
    Reading.KANBAN: {"assignments_per_version": 1, "versions_per_stage": -1},
}

_serialize: Any = make_ready_to_serialize
_find_version = gto.base.Artifact.find_version
_index_tag: Any = gto.tag.index_tag
_add_event = gto.base.Version.add_event
_origin: Any = gto.base.BaseObject.authoring_event


def _mended_find_version(self: Any, *args: Any, **options: Any) -> Any:
    if not options.get("create_new"):
        return _find_version(self, *args, **options)
    known = options | {"create_new": False}
    return (
        _find_version(self, *args, **known)
        or _find_version(self, *args, **(known | {"include_discovered": True}))
        or _find_version(self, *args, **options)
    )


def _add_event_until(until: int | None) -> Any:
    def add_event(self: Any, event: Any) -> Any:
        if isinstance(event, gto.base.Commit) and event.created_at.timestamp() > (
            until or 0
        ):
            return event
        return _add_event(self, event)

    return _add_event if until is None else add_event


def _authoring_event(self: Any) -> Any:
    try:
        return _origin.fget(self)
    except IndexError:
        nobody = {"author": "", "author_email": "", "message": ""}
        return SimpleNamespace(created_at=None, ref=self.commit_hexsha, **nobody)


class _Readings:
    """gto's `index_tag`, which counts the stage tags that it reads and may pass over
    some. `doubles`: the readings of a stage tag for the bare commit, if another of the
    same tag found a version there."""

    def __init__(self, without: frozenset[int] = frozenset()) -> None:
        self._without = without
        self._count = 0
        self._bare: dict[int, object] = {}
        self._found: set[object] = set()

    def __call__(self, artifact: Any, tag: Any) -> Any:
        if "stage" in gto.tag.parse_name(tag.name):
            self._count += 1
            if self._count in self._without:
                return artifact
            who = tag.tagger_name, tag.tagger_email
            key = tag.name, tag.target, tag.tag_time, who, tag.message.strip()
            if artifact.find_version(commit_hexsha=tag.target) is None:
                self._bare[self._count] = key
            else:
                self._found.add(key)
        return _index_tag(artifact, tag)

    @property
    def doubles(self) -> frozenset[int]:
        return frozenset(n for n, key in self._bare.items() if key in self._found)


class Gto:
    """gto's answers about one repository. Raises what gto raises. `doubles`: the
    readings of stage tags that it counted twice; those of `without` it passes over."""

    def __init__(self, scm: Any, without: frozenset[int] = frozenset()) -> None:
        self._scm = scm
        readings = _Readings(without)
        open_registry: Any = gto.registry.GitRegistry.from_url
        with (
            mock.patch.object(gto.tag, "index_tag", readings),
            open_registry(self._scm) as registry,
        ):
            state: Any = registry.get_state()
        for artifact in state.artifacts.values():
            artifact.versions = [v for v in artifact.versions if v.get_events()]
        self._state: Any = lambda *_, **__: state
        self.doubles = readings.doubles

    def show(self, name: str | None = None, **options: Any) -> str:
        """`gto show [NAME] --json`, as printed."""
        return self._ask(gto.api.show, name, **options)

    def history(self, name: str | None = None, **options: Any) -> str:
        """`gto history [NAME] --json`, as printed."""
        return self._ask(gto.api.history, name, **options)

    def artifacts(self) -> list[str]:
        return list(self._state().get_artifacts())

    def _ask(self, question: Any, *args: Any, **options: Any) -> str:
        with (
            mock.patch.object(gto.registry.GitRegistry, "get_state", self._state),
            # Nobody changes the answer, so it need not be copied at every level.
            mock.patch.object(gto.utils, "deepcopy", lambda value: value),
        ):
            return printed(_serialize(question(self._scm, *args, **options)))


def printed(value: Any) -> str:
    """JSON as `gto … --json` prints it."""
    return json.dumps(value, indent=4)


@contextmanager
def ask_gto(
    path: Path, *, mended: bool = False, once: bool = False, until: int | None = None
) -> Iterator[Gto]:
    """gto on the repository at `path`; it reads `.gto` once."""
    read = functools.cache(gto.config.read_registry_config)
    find = _mended_find_version if mended else _find_version
    # Each gto command has its own; in one process a file of YAML 1.1 decides for all.
    yaml = YAML(typ="safe", pure=True)
    with (
        mock.patch.object(gto.config, "yaml", yaml),
        mock.patch.object(gto.index, "yaml", yaml),
        mock.patch.object(gto.index, "read_registry_config", read),
        mock.patch.object(gto.registry, "read_registry_config", read),
        mock.patch.object(gto.base.Artifact, "find_version", find),
        mock.patch.object(gto.base.Version, "add_event", _add_event_until(until)),
        mock.patch.object(
            gto.base.BaseObject,
            "authoring_event",
            _origin if until is None else property(_authoring_event),
        ),
    ):
        doubles: frozenset[int] = frozenset()
        if once:
            with _git(path) as scm:
                doubles = Gto(scm).doubles
        with _git(path) as scm:
            yield Gto(scm, doubles)


@contextmanager
def _git(path: Path) -> Iterator[Any]:
    """Opened anew for each reading, as by each `gto` command: it asks the library that
    answered last, and they differ in what they tell of a signature."""
    open_git: Any = Git
    scm = open_git(str(path))
    try:
        yield scm
    finally:
        scm.close()


__all__ = ["READINGS", "GTOException", "Gto", "ask_gto", "printed"]
