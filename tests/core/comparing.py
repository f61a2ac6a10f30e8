"""Compare our state of a repository with gto's answers, to the letter."""

from __future__ import annotations

import functools
import json
import tempfile
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from gto.exceptions import ManyVersions

from indexer.core import gto_json
from indexer.core.registry import Reading, RegistryState, VersionStage
from indexer.core.snapshot import Instant, RepositorySnapshot
from indexer.core.state import build_state
from indexer.core.tags import parse_tag_name
from indexer.core.versions import is_version
from tests.core.histories import History, write_repository
from tests.core.oracle import READINGS, Gto, ask_gto, printed
from tests.core.reading import read_repository

# What became of the histories compared, for the fuzz run's last line.
outcomes: Counter[str] = Counter()


class Fold(Protocol):
    """A repository's state at a moment, by a reading."""

    def __call__(self, *, reading: Reading = ...) -> RegistryState: ...


def compare_history(history: History) -> None:
    """Write `history` as a repository and compare our answers with gto's."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = write_repository(Path(folder) / "repository", history)
        compare_repository(path, read_repository(path))


def compare_history_until(history: History, until: int) -> None:
    """Compare our answers as of a moment with those of gto in a repository that has
    only the tags until then, and a head only if it is as old."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        whole = write_repository(Path(folder) / "whole", history)
        then = write_repository(Path(folder) / "then", history, until=until)
        compare_repository(then, read_repository(whole), until=until)


def compare_repository(
    path: Path, snapshot: RepositorySnapshot, *, until: int | None = None
) -> None:
    """Every answer of ours, as of `until`, equals gto's, or gto fails as it is known
    to."""
    at = None if until is None else Instant(until)
    fold = functools.partial(build_state, snapshot, at=at)
    state = fold()
    stages = [
        stage
        for artifact in state.artifacts.values()
        for version in artifact.versions
        if not is_version(version.name)
        for stage in version.stage_events
    ]
    try:
        with ask_gto(path, until=until) as gto:
            has_doubles = bool(gto.doubles)
            if has_doubles:
                compare_without_doubles(gto, state)
                outcomes["a stage tag that gto counts twice"] += 1
            elif compare_unmended(gto, fold, stages):
                return
        if has_doubles:
            with ask_gto(path, once=True, until=until) as gto:
                if compare_unmended(gto, fold, stages):
                    return
        with ask_gto(path, mended=True, once=has_doubles, until=until) as gto:
            if has_ties(state):
                outcomes["unassigned on an unregistered commit: history equal"] += 1
            else:
                compare_all(gto, fold)
                outcomes["unassigned on an unregistered commit: mended gto"] += 1
    except ManyVersions:
        check_many_versions(state)


def compare_unmended(gto: Gto, fold: Fold, stages: list[VersionStage]) -> bool:
    """Compare; False where gto ignores unassignments, so that only its history has been
    compared. `stages`: those of unregistered commits."""
    if not stages:
        compare_all(gto, fold)
        outcomes["equal"] += 1
        return True
    compare_history_answers(gto, fold())
    if any(stage.unassignments for stage in stages):
        return False
    compare_merged(gto, fold)
    outcomes["equal, stages on unregistered commits merged"] += 1
    return True


def compare_without_doubles(gto: Gto, state: RegistryState) -> None:
    """Our history is gto's without its second events of one tag, and whoever holds a
    stage with us is among the holders that gto names."""
    events = json.loads(gto.history())
    of_versions = {_same_tag(e) for e in events if e["version"] != e["commit"]}
    once = [
        e
        for e in events
        if e["version"] != e["commit"] or _same_tag(e) not in of_versions
    ]
    assert len(once) < len(events)
    # Which of two events of one second comes first may depend on the second event.
    assert sorted(map(printed, once)) == sorted(map(printed, gto_json.history(state)))
    theirs = json.loads(gto.show(deprecated=True, versions_per_stage=-1))
    for name, artifact in state.artifacts.items():
        for stage, holders in artifact.stages.items():
            listed = theirs[name]["stage"].get(stage)
            assert listed is None or holders[0].version in listed.split(", ")


def _same_tag(event: dict[str, Any]) -> str:
    return printed(event | {"version": None, "timestamp": _instant(event["timestamp"])})


def has_ties(state: RegistryState) -> bool:
    """Whether two events of one kind and artifact fall into one second. gto mended
    orders such on unregistered commits otherwise than gto."""
    moments = Counter((e.artifact, e.kind, e.moment) for e in state.events)
    return max(moments.values(), default=0) > 1


def check_many_versions(state: RegistryState) -> None:
    """gto failed on two versions of one commit: there are such, and we answered."""
    outcomes["gto fails: two versions on one commit"] += 1
    commits = Counter(
        (artifact.name, version.commit_id)
        for artifact in state.artifacts.values()
        for version in artifact.versions
        if is_version(version.name)
    )
    assert max(commits.values()) > 1


def compare_all(gto: Gto, fold: Fold) -> None:
    """show (all, and each by name) and history, with all options, by all readings."""
    for reading, options in READINGS.items():
        state = fold(reading=reading)
        for deprecated in (False, True):
            ours = gto_json.show_registry(state, deprecated=deprecated, gto_only=True)
            theirs = gto.show(deprecated=deprecated, **options)
            assert printed(ours) == theirs, (reading, deprecated)
        names = gto.artifacts()
        assert names == [
            a.name
            for a in sorted(state.artifacts.values(), key=lambda a: a.position)
            if not a.only_dvc_yaml
        ]
        for name in names:
            for deprecated in (False, True):
                ours_one = gto_json.show_artifact(state, name, deprecated=deprecated)
                theirs = gto.show(name, deprecated=deprecated, **options)
                assert printed(ours_one) == theirs, (reading, name, deprecated)
    state = fold()
    shown = gto_json.show_registry(state, registered_only=True, gto_only=True)
    assert printed(shown) == gto.show(registered_only=True)
    for name in gto.artifacts():
        for end in ("@latest", "@greatest", "@v1.0.0", "#prod"):
            assert printed(gto_json.show_artifact(state, name + end)) == gto.show(
                name + end
            )
        for deprecated in (False, True):
            only = gto_json.show_artifact(
                state, name, registered_only=True, deprecated=deprecated
            )
            assert printed(only) == gto.show(
                name, registered_only=True, deprecated=deprecated
            )
    compare_history_answers(gto, state)


def compare_history_answers(gto: Gto, state: RegistryState) -> None:
    assert printed(gto_json.history(state)) == gto.history()
    assert printed(gto_json.history(state, ascending=True)) == gto.history(
        ascending=True
    )
    for name in gto.artifacts()[:1]:
        assert printed(gto_json.history(state, name)) == gto.history(name)


def compare_merged(gto: Gto, fold: Fold) -> None:
    """As compare_all, but where gto lists one unregistered commit several times, for
    each stage tag twice, its entries are made one first."""
    for reading, options in READINGS.items():
        if reading is Reading.KANBAN:
            continue  # gto gives such a commit each of its stages
        state = fold(reading=reading)
        # By SemVer gto takes the entry made last, which is not the newest where it
        # reads a stage tag among those of another kind.
        dated = reading is not Reading.SEMVER or not is_read_out_of_turn(state)
        for deprecated in (False, True):
            ours = gto_json.show_registry(state, deprecated=deprecated, gto_only=True)
            theirs = gto.show(deprecated=deprecated, **options)
            assert printed(ours) == theirs, (reading, deprecated)
            for name in gto.artifacts():
                one = gto_json.show_artifact(state, name, deprecated=deprecated)
                many = json.loads(gto.show(name, deprecated=deprecated, **options))
                found, wanted = merged(one, dated=dated), merged(many, dated=dated)
                assert found == wanted, (reading, name, deprecated)


def is_read_out_of_turn(state: RegistryState) -> bool:
    """Whether a ref that is no stage's leads to a stage tag."""
    parsed = (parse_tag_name(r) for e in state.events if e.stage for r in e.refs)
    return any(says is not None and says.stage is None for says in parsed)


def merged(versions: list[Any], *, dated: bool) -> list[Any]:
    """Entries of one unregistered commit made one: dates and author of the entry
    created last, active since the first, each stage with all its assignments, and
    `dated` with the date of the last."""
    entries: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in versions:
        key = entry["version"], entry["commit_hexsha"]
        known = entries.get(key)
        if known is None:
            entries[key] = dict(entry)
        elif not entry["discovered"]:
            raise AssertionError(f"{key} is listed twice")
        else:
            first = min(known, entry, key=lambda e: _instant(e["activated_at"]))
            if _instant(entry["created_at"]) > _instant(known["created_at"]):
                known |= {part: entry[part] for part in _ORIGIN}
            known["activated_at"] = first["activated_at"]
    for entry in entries.values():
        if entry["discovered"]:
            # Each of gto's entries has the assignments of one tag alone, and of tags
            # in one second either may come last.
            entry["stages"] = sorted(
                (s["stage"], _instant(s["created_at"]) if dated else 0)
                for s in entry["stages"]
            )
            entry |= dict.fromkeys(_ORIGIN[1:])
            entry["created_at"] = _instant(entry["created_at"])
            entry["activated_at"] = _instant(entry["activated_at"])
    return list(entries.values())


_ORIGIN = ("created_at", "author", "author_email", "message", "ref")


def _instant(date: str) -> float:
    return datetime.fromisoformat(date).timestamp()


__all__ = [
    "Reading",
    "compare_all",
    "compare_history",
    "compare_history_until",
    "compare_repository",
    "outcomes",
]
