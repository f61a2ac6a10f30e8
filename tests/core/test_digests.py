"""An artifact's digest: it stays what it is from release to release, or every row is
written again, and it changes with anything that a row is made of."""

from __future__ import annotations

from dataclasses import replace

import pytest

from indexer.core.digests import artifact_digest
from indexer.core.registry import (
    Annotation,
    Artifact,
    Reading,
)
from indexer.core.snapshot import GitTag, Instant, Json, Person, Problem
from indexer.core.state import build_state
from tests.core.snapshots import commit, snapshot, tag

FILES: dict[str, Json] = {
    "artifacts.yaml": {
        "m": {
            "type": "model",
            "path": "m.pkl",
            "description": "Who leaves",
            "labels": ["a", "b"],
            "custom": {"b": 1, "a": [None, 2.5]},
        }
    }
}


def made(ref: str, on: int, seconds: int | None, number: int) -> GitTag:
    return tag(ref, on, seconds, object_id=f"{number:040x}")


STATE = build_state(
    snapshot(
        *(made("m@v1.0.0", 1, 5, 11), made("m@v2.0.0", 2, 6, 12)),
        *(made("m#prod#1", 1, 7, 13), made("m#prod#2", 2, None, 14)),
        made("n@v1.0.0", 2, 5, 15),
        commits=(commit(1, 4, FILES), commit(2, 4)),
    )
)
MODEL = STATE.artifacts["m"]
PROBLEM = Problem("odd", "Something is odd.", artifact="m")


def digest(
    artifact: Artifact = MODEL,
    problems: tuple[Problem, ...] = (),
    reading: Reading = Reading.TIME,
    at: Instant | None = None,
) -> str:
    return artifact_digest(artifact, problems, reading, at)


def test_the_digest_of_a_release_is_that_of_the_next() -> None:
    """Raise _FORM in digests.py with whatever changes this: rows made by the release
    before are then written again, once."""
    known = "de3df7c9d56d8a425b4e4b56fbb2d2211663fa47661b1a3959e8a180db6c0ca6"
    assert digest() == MODEL.digest == known


def version(**facts: object) -> Artifact:
    first, *rest = MODEL.versions
    return replace(MODEL, versions=(replace(first, **facts), *rest))  # type: ignore[arg-type]


def event(**facts: object) -> Artifact:
    first, *rest = MODEL.events
    return replace(MODEL, events=(replace(first, **facts), *rest))  # type: ignore[arg-type]


def holder(**facts: object) -> Artifact:
    (held,) = MODEL.stages["prod"]
    return replace(MODEL, stages={"prod": (replace(held, **facts),)})  # type: ignore[arg-type]


def note(**facts: object) -> Artifact:
    assert MODEL.annotation is not None
    return replace(MODEL, annotation=replace(MODEL.annotation, **facts))  # type: ignore[arg-type]


EVE = Person("Eve", "ada@example.org")
OTHER = Person("Ada", "eve@example.org")
ANOTHER = Annotation("m", "dvc.yaml")
CHANGED = {
    "name": replace(MODEL, name="other"),
    "active": replace(MODEL, is_active=False),
    "registered": replace(MODEL, is_registered=False),
    "only in a dvc.yaml": replace(MODEL, only_dvc_yaml=True),
    "no annotation": replace(MODEL, annotation=None),
    **{
        f"annotation: {key}": note(**{key: value})
        for key, value in {
            "source": "dvc.yaml",
            "path": "n.pkl",
            "type": "data",
            "description": "",
            "labels": ("b", "a"),
            "meta": {"b": 1, "a": [None, 2.25]},
        }.items()
    },
    **{
        f"version: {key}": version(**{key: value})
        for key, value in {
            "name": "v2.0.1",
            "commit_id": "c" * 40,
            "peeled_id": "c" * 40,
            "is_active": False,
            "is_registered": False,
            "is_discovered": True,
            "created_at": Instant(60),
            "activated_at": Instant(6, 60),
            "author": EVE,
            "message": "Other",
            "ref": "m@v2.0.0#1",
            "annotation": ANOTHER,
        }.items()
    },
    "version: e-mail": version(author=OTHER),
    "version: the second's annotation": replace(
        MODEL,
        versions=(
            MODEL.versions[0],
            replace(MODEL.versions[1], annotation=ANOTHER),
        ),
    ),
    "version: no date": version(created_at=None),
    "versions in another order": replace(MODEL, versions=MODEL.versions[::-1]),
    "stage": replace(MODEL, stages={"dev": MODEL.stages["prod"]}),
    "no holder": replace(MODEL, stages={}),
    "holder: version": holder(version="v2.0.0"),
    "holder: commit": holder(commit_id="c" * 40),
    "holder: event": holder(event=replace(MODEL.events[0], tag_id="c" * 40)),
    **{
        f"event: {key}": event(**{key: value})
        for key, value in {
            "kind": MODEL.events[1].kind,
            "version": "v2.0.0",
            "stage": "dev",
            "commit_id": "c" * 40,
            "peeled_id": "c" * 40,
            "at": Instant(7, 60),
            "author": EVE,
            "message": "Other",
            "tag": "m#prod",
            "tag_id": "c" * 40,
            "refs": ("m#prod#1", "m#prod#9"),
        }.items()
        if getattr(MODEL.events[0], key) != value
    },
    "event: e-mail": event(author=OTHER),
}
# The newest event and the one before it are of two kinds, or a case above is lost.
assert MODEL.events[0].kind is not MODEL.events[1].kind


@pytest.mark.parametrize("name", CHANGED)
def test_the_digest_changes_with_all_that_a_row_is_made_of(name: str) -> None:
    assert digest(CHANGED[name]) != digest()


def test_the_digest_changes_with_problems_reading_and_moment() -> None:
    others = [
        digest(problems=(PROBLEM,)),
        digest(problems=(replace(PROBLEM, line=1),)),
        digest(reading=Reading.KANBAN),
        digest(at=Instant(0)),
        digest(at=Instant(0, 1)),
        digest(at=Instant(1)),
    ]
    assert len({digest(), *others}) == len(others) + 1


def test_what_no_row_holds_does_not_change_the_digest() -> None:
    assert digest(replace(MODEL, position=9, digest="x", latest=None)) == digest()
    same = {"a": [None, 2.5], "b": 1}  # PostgreSQL keeps no order of keys
    assert digest(note(meta=same)) == digest()
    assert digest(version(position=9, committed_at=None, stages=())) == digest()


def test_parts_of_a_row_cannot_run_into_each_other() -> None:
    one, two = version(message="ab", ref="c"), version(message="a", ref="bc")
    assert digest(one) != digest(two)
