"""Rows of a snapshot: written by difference, read back equal, remembered when gone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from indexer.core.snapshot import (
    Document,
    GitTag,
    Instant,
    ObjectType,
    Person,
    Problem,
    TagObject,
)
from indexer.models import Commit, FileSet, Tag
from indexer.snapshot_rows import load_known, load_snapshot
from tests.builders import (
    ALICE,
    BOB,
    History,
    ingest_history,
    ingest_snapshot,
    make_repository,
    object_id,
)

pytestmark = pytest.mark.django_db


def rich_history() -> History:
    history = History()
    history.annotate(churn={"type": "model", "path": "m.pkl", "labels": ["a", "b"]})
    history.register("churn", "v1.0.0", message="First").lightweight("nightly")
    history.assign("churn", "prod", "v1.0.0", by=BOB)
    history.tag("churn@v9.9.9", dated=False, by=None)
    history.problems.append(Problem("odd", "Odd.", path="dvc.yaml", line=3))
    return history


def test_a_snapshot_comes_back_equal() -> None:
    snapshot = rich_history().snapshot()
    repository = make_repository()
    ingest_snapshot(repository, snapshot)
    assert load_snapshot(repository) == snapshot


def test_everything_a_tag_can_be_comes_back_equal() -> None:
    history = rich_history()
    odd = TagObject(
        object_id=object_id("odd"),
        name="a" * 5000 + "é✓@v1.0.0",
        target_id=object_id("blob"),
        target_type=ObjectType.BLOB,
        tagger=Person("", "x@y"),
        tagged=Instant(-86400, -720),
        message="one\n\ntwo ✓",
        signature=b"-----BEGIN\0\xff",
        flaws=("The e-mail is strange.",),
    )
    history.tags.append(GitTag("z" * 4000, odd.object_id, odd, None))
    history.tags.append(GitTag(r"latin-\xe9", odd.object_id, odd, None))
    snapshot = history.snapshot(default_branch="x" * 300, branches={"x" * 300: "ab"})
    repository = make_repository()
    ingest_snapshot(repository, snapshot)
    assert load_snapshot(repository) == snapshot


@pytest.mark.parametrize(
    "value",
    [
        {"zz": 1, "a": 2, "bbb": [1.0, 1e16, -0.0, 2**63 - 1, None, True, "é\u2028"]},
        [],
        "plain",
        0,
        False,
    ],
)
def test_a_document_keeps_its_value_and_the_order_of_its_keys(value: object) -> None:
    history = History()
    history.commit({"dvc.yaml": value})  # type: ignore[dict-item]
    repository = make_repository()
    ingest_snapshot(repository, history.snapshot())
    [document] = load_snapshot(repository).documents.values()
    assert repr(document.value) == repr(value)


def test_a_document_that_could_not_be_read_says_why() -> None:
    history = History()
    history.commit({"dvc.yaml": {}})
    snapshot = history.snapshot()
    [blob_id] = snapshot.documents
    broken = Document(blob_id, None, "It is no YAML.", 7)
    repository = make_repository()
    ingest_snapshot(repository, replace(snapshot, documents={blob_id: broken}))
    assert load_snapshot(repository).documents == {blob_id: broken}


def test_known_objects_are_all_that_was_read() -> None:
    snapshot = rich_history().snapshot()
    repository = make_repository()
    ingest_snapshot(repository, snapshot)
    known = load_known(repository)
    assert set(known.tags) == {tag.object_id for tag in snapshot.tags}
    assert known.commits == snapshot.commits
    assert known.documents == snapshot.documents


def test_F_G1_a_vanished_tag_keeps_its_row() -> None:
    history = rich_history()
    repository = ingest_history("acme/churn", history)
    first_success = repository.last_success_at
    ingest_history(repository, history.without("churn@v1.0.0"))
    tag = Tag.objects.get(repository=repository, ref="churn@v1.0.0")
    assert tag.gone_at is not None
    assert tag.last_seen_at == first_success
    assert tag.replaced_by is None
    assert tag.message == "First"
    assert "churn@v1.0.0" not in {one.ref for one in load_snapshot(repository).tags}


def test_F_G1_a_moved_tag_says_what_replaced_it() -> None:
    history = rich_history()
    repository = ingest_history("acme/churn", history)
    history.without("churn@v1.0.0").register("churn", "v1.0.0", message="Second")
    ingest_history(repository, history)
    old, new = Tag.objects.filter(ref="churn@v1.0.0").order_by("pk")
    assert old.gone_at is not None
    assert old.replaced_by == new
    assert (new.gone_at, new.message) == (None, "Second")


def test_F_G1_a_tag_made_again_is_a_new_row() -> None:
    history = rich_history()
    repository = ingest_history("acme/churn", history)
    kept = list(history.tags)
    ingest_history(repository, history.without("churn@v1.0.0"))
    history.tags = kept
    ingest_history(repository, history)
    old, new = Tag.objects.filter(ref="churn@v1.0.0").order_by("pk")
    assert old.gone_at is not None
    assert new.gone_at is None
    assert old.object_id == new.object_id


def test_F_G1_a_tag_made_again_lightweight_replaces_the_annotated_one() -> None:
    history = rich_history()
    repository = ingest_history("acme/churn", history)
    history.without("churn@v1.0.0").lightweight("churn@v1.0.0")
    ingest_history(repository, history)
    old, new = Tag.objects.filter(ref="churn@v1.0.0").order_by("pk")
    assert (old.is_annotated, new.is_annotated) == (True, False)
    assert old.replaced_by == new


def test_commits_and_listings_nobody_names_any_more_go() -> None:
    history = History().register("a", "v1.0.0")
    history.annotate(a={"type": "model"})
    repository = ingest_history("acme/a", history)
    assert Commit.objects.count() == 2
    history.without("a@v1.0.0").annotate(a={"type": "data"})
    ingest_history(repository, history)
    assert list(Commit.objects.values_list("commit_id", flat=True)) == [history.head]
    assert FileSet.objects.count() == 1


def test_commits_with_one_listing_share_its_row() -> None:
    history = History().annotate(a={"type": "model"})
    for patch in range(5):
        history.register("a", f"v1.0.{patch}")
    ingest_history("acme/a", history)
    assert FileSet.objects.count() == 1
    assert Commit.objects.count() == 5


def test_a_tag_that_a_newer_reader_reads_better_is_corrected_in_place() -> None:
    history = History().register("a", "v1.0.0", by=ALICE)
    repository = ingest_history("acme/a", history)
    [before] = Tag.objects.values_list("pk", flat=True)
    [tag] = history.tags
    assert tag.tag is not None
    history.tags = [replace(tag, tag=replace(tag.tag, message="Read better"))]
    ingest_history(repository, history)
    [after] = Tag.objects.all()
    assert (after.pk, after.message, after.gone_at) == (before, "Read better", None)
