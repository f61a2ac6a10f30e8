"""gto's JSON where no history that gto can read tells it: moments in the past, what
only a dvc.yaml names, dates that nobody can read, names that lead nowhere."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from indexer.core.gto_json import (
    UnknownArtifact,
    history,
    show_artifact,
    show_registry,
)
from indexer.core.registry import Reading
from indexer.core.snapshot import Instant, Json
from indexer.core.state import RegistryState, build_state
from tests.core.histories import START, Commit, History, Tag, write_repository
from tests.core.oracle import ask_gto, printed
from tests.core.reading import read_repository
from tests.core.snapshots import commit, commit_id, snapshot, tag

DVC: dict[str, Json] = {
    "dvc.yaml": {
        "artifacts": {
            "m": {
                "type": "model",
                "path": "m.pkl",
                "desc": "Who leaves",
                "labels": ["a"],
                "meta": {"b": 1},
            },
            "bare": {},
        }
    }
}


def shown(state: RegistryState, name: str, **options: bool) -> list[Any]:
    return show_artifact(state, name, **options)


def test_what_only_a_dvc_yaml_names_is_told_as_gto_would() -> None:
    state = build_state(snapshot(commits=(commit(1, 60, DVC),)))
    (version,) = shown(state, "m")
    assert version == {
        "artifact": "m",
        "commit_hexsha": commit_id(1),
        "version": commit_id(1),
        "enrichments": [
            {
                "priority": 0,
                "addition": True,
                "artifact": "m",
                "created_at": "1970-01-01T00:01:00+00:00",
                "author": "Ada",
                "author_email": "ada@example.org",
                "message": "Train\n",
                "commit_hexsha": commit_id(1),
                "version": commit_id(1),
                "enrichments": [
                    {
                        "source": "dvc.yaml",
                        "artifact": {
                            "type": "model",
                            "path": "m.pkl",
                            "virtual": True,
                            "labels": ["a"],
                            "description": "Who leaves",
                            "custom": {"b": 1},
                        },
                    }
                ],
                "committer": "Ada",
                "committer_email": "ada@example.org",
            }
        ],
        "registrations": [],
        "deregistrations": [],
        "stages": [],
        "is_active": True,
        "activated_at": "1970-01-01T00:01:00+00:00",
        "created_at": "1970-01-01T00:01:00+00:00",
        "author": "Ada",
        "author_email": "ada@example.org",
        "message": "Train\n",
        "ref": commit_id(1),
        "discovered": True,
    }
    (bare,) = shown(state, "bare")
    assert bare["enrichments"][0]["enrichments"][0]["artifact"] == {
        "type": None,
        "path": None,
        "virtual": True,
        "labels": [],
        "description": "",
        "custom": None,
    }
    assert show_registry(state) == {
        name: {"version": None, "stage": {}, "registered": False, "active": True}
        for name in ("m", "bare")
    }
    assert show_registry(state, gto_only=True) == {}
    # Where a tag names it gto lists it, and knows nothing of the dvc.yaml.
    state = build_state(snapshot(tag("m@v1.0.0"), commits=(commit(1, 60, DVC),)))
    (version,) = shown(state, "m", gto_only=True)
    assert version["enrichments"][0]["enrichments"] == []


def test_a_commit_younger_than_the_asked_moment_is_not_told_of() -> None:
    seen = snapshot(tag("m@v1.0.0", 1, 5), commits=(commit(1, 9),), head=2)
    for second, known in ((8, 0), (9, 1), (None, 1)):
        at = None if second is None else Instant(second)
        (version,) = shown(build_state(seen, at=at), "m")
        assert len(version["enrichments"]) == known
    (version,) = shown(build_state(replace(seen, commits={})), "m")
    assert version["enrichments"] == []


def test_dates_are_told_by_the_writers_clock_and_unknown_ones_not() -> None:
    known = tag("m@v1.0.0", 1, 5)
    assert known.tag is not None
    known = replace(known, tag=replace(known.tag, tagged=Instant(5, 60)))
    state = build_state(snapshot(known, tag("m#prod", 1, None)))
    new, old = history(state)
    assert isinstance(new, dict)
    assert isinstance(old, dict)
    assert new["timestamp"] == "1970-01-01T01:00:05+01:00"
    assert old["timestamp"] is None
    (version,) = shown(state, "m")
    assert version["stages"][0]["created_at"] is None
    assert version["registrations"][0]["created_at"] == "1970-01-01T01:00:05+01:00"


MODEL = build_state(
    snapshot(
        *(tag("m@v1.0.0", 1, 5), tag("m@v2.0.0", 2, 6), tag("m#prod", 1, 7)),
        *(tag("m#dev", 3, 8), tag("m@v0.1.0", 4, 5), tag("m@v0.1.0!", 4, 6)),
        *(tag("old@v1.0.0", 5, 5), tag("old#live", 5, 6), tag("old@deprecated", 5, 7)),
    )
)


@pytest.mark.parametrize(
    ("name", "options", "names"),
    [
        ("m", {}, ["v2.0.0", "v1.0.0", commit_id(3)]),
        ("m", {"deprecated": True}, ["v2.0.0", "v1.0.0", "v0.1.0", commit_id(3)]),
        ("m", {"registered_only": True}, ["v2.0.0", "v1.0.0", commit_id(3)]),
        (
            *("m", {"registered_only": True, "deprecated": True}),
            ["v2.0.0", "v1.0.0", "v0.1.0", commit_id(3)],
        ),
        ("m@latest", {}, ["v2.0.0"]),
        ("m@greatest", {}, ["v2.0.0"]),
        ("m@v1.0.0", {}, ["v1.0.0"]),
        ("m@v9.0.0", {}, []),
        ("m@v0.1.0", {}, []),
        ("m@v0.1.0", {"deprecated": True}, ["v0.1.0"]),
        ("m#prod", {}, ["v1.0.0"]),
        ("m#dev", {}, [commit_id(3)]),
        ("m#dev", {"registered_only": True}, []),
        ("m#other", {}, []),
        ("old", {}, []),
        ("old", {"deprecated": True}, ["v1.0.0"]),
        ("old@latest", {}, []),
    ],
)
def test_a_name_or_a_shortcut_leads_to_versions(
    name: str, options: dict[str, bool], names: list[str]
) -> None:
    assert [entry["version"] for entry in shown(MODEL, name, **options)] == names


@pytest.mark.parametrize("name", ["other", "other@latest", "m@v1", "m#", ""])
def test_a_name_that_leads_nowhere_says_so(name: str) -> None:
    artifact = "other" if name == "other@latest" else name
    with pytest.raises(UnknownArtifact, match=f"^There is no artifact {artifact}\\.$"):
        show_artifact(MODEL, name)


def test_stages_are_those_in_use_or_those_that_gto_lists() -> None:
    def stages(state: RegistryState, **options: bool) -> Any:
        return {
            name: entry["stage"]
            for name, entry in show_registry(state, **options).items()
            if isinstance(entry, dict)
        }

    # A deprecated artifact's count too, as in gto; none of a version taken back.
    nobody = {"dev": commit_id(3), "live": None, "prod": "v1.0.0"}
    assert stages(MODEL) == {"m": nobody}
    assert stages(MODEL, deprecated=True) == {
        "m": nobody,
        "old": {"dev": None, "live": "v1.0.0", "prod": None},
    }
    assert stages(MODEL, registered_only=True) == {"m": nobody | {"dev": None}}
    away = build_state(
        snapshot(tag("m@v1.0.0"), tag("m@v1.0.0!", 1, 11), tag("m#prod"))
    )
    assert stages(away) == {"m": {}}
    free = build_state(snapshot(tag("m#prod", 1, 5), tag("m#prod!", 1, 6)))
    assert stages(free) == {"m": {}}
    files: dict[str, Json] = {".gto": {"stages": ["z", "prod"]}}
    listed = build_state(snapshot(tag("m#prod"), commits=(commit(1, 1, files),)))
    assert stages(listed) == {"m": {"z": None, "prod": commit_id(1)}}
    empty: dict[str, Json] = {".gto": {"stages": []}}
    listed = build_state(snapshot(tag("m#prod"), commits=(commit(1, 1, empty),)))
    assert stages(listed) == {"m": {}}


def test_an_entry_tells_of_the_files_and_of_what_was_taken_back() -> None:
    files: dict[str, Json] = {"artifacts.yaml": {"m": {"type": "model"}}}
    state = build_state(
        snapshot(
            *(tag("m@v1.0.0", 1, 5), tag("m@v1.0.0!", 1, 6), tag("m@v1.0.0#1", 1, 7)),
            *(tag("m#prod#1", 1, 8), tag("m#prod!#2", 1, 9), tag("m#prod#3", 1, 10)),
            commits=(commit(1, 1, files),),
        )
    )
    (entry,) = shown(state, "m")
    (said,) = entry["enrichments"][0]["enrichments"]
    assert (said["source"], said["artifact"]["type"]) == ("gto", "model")
    assert entry["deregistrations"] == [
        {
            "priority": 4,
            "addition": False,
            "artifact": "m",
            "created_at": "1970-01-01T00:00:06+00:00",
            "author": "Ada",
            "author_email": "ada@example.org",
            "message": "Say so",
            "commit_hexsha": commit_id(1),
            "tag": "m@v1.0.0!",
            "version": "v1.0.0",
        }
    ]
    (stage,) = entry["stages"]
    assert [one["tag"] for one in stage["assignments"]] == ["m#prod#1", "m#prod#3"]
    (taken,) = stage["unassignments"]
    assert (taken["tag"], taken["stage"], taken["event"]) == (
        "m#prod!#2", "prod", "unassignment",
    )  # fmt: skip
    assert (taken["priority"], taken["addition"]) == (6, False)


def test_history_is_of_all_or_of_one_and_in_both_directions() -> None:
    def told(*arguments: Any) -> list[str]:
        return [str(event["ref"]) for event in history(MODEL, *arguments)]  # type: ignore[index, call-overload]

    assert told("old") == ["old@deprecated", "old#live", "old@v1.0.0"]
    assert told("old", True) == told("old")[::-1]
    assert told() == told(None, True)[::-1]
    assert len(told()) == len(MODEL.events)
    assert told("nobody") == []


@pytest.mark.parametrize("reading", Reading)
def test_gto_says_the_same_of_a_stage_that_two_versions_of_one_name_hold(
    reading: Reading, tmp_path: Path
) -> None:
    from tests.core.oracle import READINGS

    commits = (Commit(files={"a": "1"}), Commit(files={"a": "2"}))
    tags = (
        Tag("m@v1.0.0", target=0, seconds=START),
        Tag("m@v1.0.0#1", target=1, seconds=START + 1),
        Tag("m#prod#1", target=0, seconds=START + 3),
        Tag("m#prod#2", target=1, seconds=START + 2),
        Tag("m#dev#3", target=1, seconds=START + 2),
    )
    path = write_repository(tmp_path / "repository", History(commits, tags))
    state = build_state(read_repository(path), reading=reading)
    with ask_gto(path) as gto:
        for name in ("m", "m#prod", "m#dev", "m@v1.0.0", "m@latest"):
            theirs = gto.show(name, **READINGS[reading])
            assert printed(show_artifact(state, name)) == theirs, name
    json.dumps(show_registry(state), allow_nan=False)
