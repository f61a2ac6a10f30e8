"""Objects put together again from what GitHub tells of them: exact, or not at all."""

from __future__ import annotations

import base64
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from indexer.core.snapshot import ObjectType
from indexer.providers.errors import BadPayload
from indexer.providers.github import memory
from indexer.providers.github.memory import Memory
from indexer.providers.github.queries import objects_query, parse_listing
from indexer.providers.github.raw_objects import (
    commit_bodies,
    in_any_zone,
    object_id_of,
    parse_signer,
    prove,
    signed_bodies,
    tag_bodies,
)
from indexer.providers.objects import NeedsMirror
from tests.providers.raw_repository import RawRepository

ID = "1" * 40
ADA = {"name": "Ada", "email": "a@example.org", "date": "2023-11-14T23:13:20+01:00"}
SIGNATURE = "-----BEGIN PGP SIGNATURE-----\n\niQEz\n-----END PGP SIGNATURE-----\n"


def tag_of(body: bytes, **told: Any) -> dict[str, Any]:
    """A tag as an answer tells it."""
    return {
        "__typename": "Tag",
        "oid": object_id_of(ObjectType.TAG, body),
        "name": "m@v1.0.0",
        "tagMessage": "Say so",
        "tagger": ADA,
        "target": {"__typename": "Commit", "oid": ID},
        **told,
    }


TAG = (
    f"object {ID}\ntype commit\ntag m@v1.0.0\n"
    "tagger Ada <a@example.org> 1700000000 +0100\n\nSay so\n"
).encode()


def test_a_tag_is_taken_with_what_it_leads_to() -> None:
    found = Memory()
    found.take(tag_of(TAG))
    assert found.bodies == {tag_of(TAG)["oid"]: (ObjectType.TAG, TAG)}
    header = found.header(ID)
    assert header is not None
    assert header.type is ObjectType.COMMIT


@pytest.mark.parametrize(
    "lie",
    [
        {"tagMessage": "Say no"},
        {"name": "m@v2.0.0"},
        {"tagger": ADA | {"date": "2023-11-14T23:13:21+01:00"}},
        {"tagger": ADA | {"date": "2023-11-14T22:13:20Z"}},
        {"tagger": ADA | {"date": "soon"}},
        {"tagger": None},
        {"tagMessage": "\ud800"},
        {"target": None},
        {"target": {"__typename": "Commit", "oid": "2" * 40}},
        {"target": {"__typename": "Blob", "oid": ID, "byteSize": 3}},
    ],
)
def test_what_is_not_the_object_is_not_taken(lie: dict[str, Any]) -> None:
    found = Memory()
    found.take(tag_of(TAG, **lie))
    assert not found.bodies


@pytest.mark.parametrize(
    "node",
    [
        [],
        "x",
        7,
        {},
        {"__typename": []},
        {"__typename": "Issue", "oid": ID},
        {"__typename": "Tag"},
        {"__typename": "Tag", "oid": "HEAD"},
        {"__typename": "Tag", "oid": ID, "name": 1, "target": {}},
        tag_of(TAG, tagMessage=7),
        tag_of(TAG, tagger=[]),
        tag_of(TAG, tagger={"name": 7}),
        tag_of(TAG, target="x"),
        {"__typename": "Blob", "oid": ID, "byteSize": "3"},
        {"__typename": "Blob", "oid": ID, "byteSize": -3},
        {"__typename": "Tree", "oid": ID, "entries": [7]},
        {"__typename": "Tree", "oid": ID, "entries": [{"mode": "x"}]},
        {"__typename": "Tree", "oid": ID, "entries": [{"mode": 33188, "name": 1}]},
        {"__typename": "Tree", "oid": ID, "entries": [{"mode": 33188, "nameRaw": 1}]},
        {"__typename": "Commit", "oid": ID, "tree": None},
        {"__typename": "Commit", "oid": ID, "tree": {"oid": ID}, "parents": []},
        {"__typename": "Commit", "oid": ID, "tree": {}, "parents": {"nodes": [None]}},
    ],
)
def test_F_P2_an_answer_of_another_shape_is_a_bad_payload(node: Any) -> None:
    with pytest.raises(BadPayload):
        Memory().take(node)


def test_an_object_that_is_null_is_one_that_is_missing() -> None:
    found = Memory()
    found.take(None)
    assert not found.bodies
    assert not found.headers


def test_commits_as_git_has_them(tmp_path: Path) -> None:
    """With parents, signatures, encodings and headers that nobody tells."""
    repository = RawRepository(tmp_path / "r.git")
    head = f"tree {ID}\nparent {'2' * 40}\nparent {'3' * 40}\n"
    by = "author Ada <a@example.org> 1700000000 +0100\n"
    of = "committer Bob <> -5 -0330\n"
    folded = "gpgsig " + SIGNATURE.rstrip("\n").replace("\n", "\n ") + "\n"
    blank = "gpgsig " + SIGNATURE.replace("\n", "\n ") + "\n"
    author = parse_signer("Ada", "a@example.org", ADA["date"])
    committer = parse_signer("Bob", "", "1969-12-31T20:29:55-03:30")
    assert author is not None
    assert committer is not None
    parents = ["2" * 40, "3" * 40]
    for signed in ("", folded, blank):
        for message in ("x", "x\n", "", "\n", "\nx\n", "caf\N{LATIN SMALL LETTER E}\n"):
            body = (head + by + of + signed + "\n" + message).encode()
            commit_id = repository.write("commit", body)
            told = message.rstrip("\n")
            if message != "\n":
                bodies = commit_bodies(
                    ID,
                    parents,
                    author,
                    committer,
                    told if not told.startswith("\n") else message,
                    signature=SIGNATURE if signed else "",
                )
                assert prove(ObjectType.COMMIT, commit_id, bodies) == body
            if signed:
                payload = head + by + of + "\n" + message
                proven = signed_bodies(ObjectType.COMMIT, payload, SIGNATURE)
                assert prove(ObjectType.COMMIT, commit_id, proven) == body
    odd = (head + by + of + "encoding ISO-8859-1\n\nx\n").encode()
    commit_id = repository.write("commit", odd)
    bodies = commit_bodies(ID, parents, author, committer, "x")
    assert prove(ObjectType.COMMIT, commit_id, bodies) is None


@pytest.mark.parametrize("zone", ["+0000", "-0000", "+0545", "-0930", "+1400"])
def test_a_zone_that_is_told_as_utc_is_found(zone: str) -> None:
    body = TAG.replace(b"+0100", zone.encode())
    signer = parse_signer("Ada", "a@example.org", "2023-11-14T22:13:20Z")
    assert signer is not None
    bodies = tag_bodies(
        ID, ObjectType.COMMIT, "m@v1.0.0", in_any_zone(signer), "Say so"
    )
    assert prove(ObjectType.TAG, object_id_of(ObjectType.TAG, body), bodies) == body


def test_a_date_without_a_zone_is_none() -> None:
    assert parse_signer("Ada", "", datetime(2023, 1, 1).isoformat()) is None  # noqa: DTZ001
    assert parse_signer("Ada", "", None) is None


def test_trees_in_any_order_and_with_any_name(tmp_path: Path) -> None:
    repository = RawRepository(tmp_path / "r.git")
    names = (b"a", b"a.b", b"a-b", b"caf\xe9", b"dvc.yaml")
    entries = [(b"100644", name, ID) for name in names]
    entries += [(b"40000", b"a", ID), (b"120000", b"l", ID), (b"160000", b"m", ID)]
    tree_id = repository.tree(entries[1:])
    told = [
        {"mode": int(mode, 8), "oid": ID, "nameRaw": base64.b64encode(name).decode()}
        for mode, name, _ in reversed(entries[1:])
    ]
    found = Memory()
    found.take({"__typename": "Tree", "oid": tree_id, "entries": told})
    assert tree_id in found
    tree = found.tree(tree_id)
    assert tree is not None
    assert tree.entries == len(entries) - 1


@pytest.mark.parametrize("text", ["", "a: 1\n", "a: 1\r\n", "\N{SNOWMAN}"])
def test_files_with_and_without_a_byte_order_mark(text: str) -> None:
    for mark in (b"", b"\xef\xbb\xbf"):
        body = mark + text.encode()
        blob_id = object_id_of(ObjectType.BLOB, body)
        found = Memory()
        node = {"__typename": "Blob", "oid": blob_id, "byteSize": len(body)}
        found.take({**node, "text": text, "isTruncated": True})
        assert blob_id not in found
        found.take({**node, "text": text, "isTruncated": False})
        assert found.bodies[blob_id] == (ObjectType.BLOB, body)


def test_a_memory_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MAX_BYTES", 5)
    found = Memory()
    first, second = (object_id_of(ObjectType.BLOB, body) for body in (b"123", b"4567"))
    found.keep(ObjectType.BLOB, first, [b"123"])
    with pytest.raises(NeedsMirror):
        found.keep(ObjectType.BLOB, second, [b"4567"])


# Queries -----------------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["x", '" }', "1" * 39, "G" * 40, ""])
def test_nothing_but_an_id_gets_into_a_query(bad: str) -> None:
    with pytest.raises(ValueError, match="id"):
        objects_query(blobs=[bad])


def test_a_path_in_a_query_is_quoted() -> None:
    query = objects_query(files=[(ID, 'a"}\n{x\\/dvc.yaml')])
    assert f'"{ID}:a\\"}}\\n{{x\\\\/dvc.yaml"' in query


def refs_of(**more: Any) -> dict[str, Any]:
    """A repository without refs, as an answer tells it."""
    none = {"totalCount": 0, "nodes": []}
    return {"tags": none, "branches": none, "defaultBranchRef": None, **more}


def one_ref(name: str, target: str) -> dict[str, Any]:
    told = {"__typename": "Commit", "oid": target}
    return {"totalCount": 1, "nodes": [{"name": name, "target": told}]}


@pytest.mark.parametrize(
    "refs",
    [one_ref("m@v1.0.0", "a" * 64), one_ref("m\ufffd", ID), one_ref("\ud800", ID)],
)
def test_what_the_api_cannot_tell_needs_a_mirror(refs: dict[str, Any]) -> None:
    for kind in ("tags", "branches"):
        with pytest.raises(NeedsMirror):
            parse_listing(refs_of(**{kind: refs}))


@pytest.mark.parametrize(
    "told",
    [
        {"tags": None},
        {"tags": []},
        {"tags": {"nodes": None, "totalCount": 0}},
        {"tags": {"nodes": [], "totalCount": "0"}},
        {"tags": {"nodes": [None], "totalCount": 1}},
        {"tags": one_ref("", ID)},
        {"tags": one_ref("m", "HEAD")},
        {"branches": 1},
        {"defaultBranchRef": []},
        {"defaultBranchRef": {"name": "main", "target": None}},
        {"defaultBranchRef": {"name": 1, "target": {"oid": ID}}},
    ],
)
def test_F_P2_refs_of_another_shape_are_a_bad_payload(told: dict[str, Any]) -> None:
    with pytest.raises(BadPayload):
        parse_listing(refs_of(**told))


def test_a_ref_whose_object_is_not_told_makes_the_list_a_part() -> None:
    refs = {"totalCount": 1, "nodes": [{"name": "m", "target": None}]}
    part = parse_listing(refs_of(tags=refs))
    assert not part.has_all_tags
    assert part.listing.has_all_branches
