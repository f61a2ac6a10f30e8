"""Every action, at every kind of remote: what is written, what is shown at once, and
that the crawl that follows finds nothing to change."""

from __future__ import annotations

import time

import pytest

from indexer.index_dump import index_dump
from indexer.models import ActionLog, Crawl
from tests.actions.places import ActionPlace, Verb

Status = ActionLog.Status


def done(row: ActionLog) -> ActionLog:
    assert row.status == Status.DONE, (row.status, row.code, row.sentence)
    return row


def test_a_life_of_a_model(place: ActionPlace) -> None:
    first = done(place.register(0))
    assert (first.tag, first.version) == ("churn@v0.0.1", "v0.0.1")
    assert place.artifact().latest_version == "v0.0.1"
    done(place.register(1, "v1.0.0", message="Better"))
    done(place.assign("prod", "v0.0.1"))
    assert place.holders() == {"prod": ["v0.0.1"]}
    done(place.assign("prod", "v1.0.0"))
    assert place.holders() == {"prod": ["v1.0.0"]}
    done(place.act(Verb.RESTORE, stage="prod"))
    assert place.holders() == {"prod": ["v0.0.1"]}
    done(place.act(Verb.UNASSIGN, stage="prod", version="v0.0.1"))
    assert place.holders() == {"prod": ["v1.0.0"]}
    done(place.act(Verb.DEREGISTER, version="v1.0.0"))
    assert place.holders() == {}
    assert place.artifact().latest_version == "v0.0.1"
    done(place.act(Verb.DEPRECATE))
    assert not place.artifact().is_active
    done(place.act(Verb.REVIVE))
    assert place.artifact().is_active
    assert sorted(place.tags()) == [
        "churn#prod!#4",
        "churn#prod#1",
        "churn#prod#2",
        "churn#prod#3",
        "churn@deprecated",
        "churn@v0.0.1",
        "churn@v0.0.1#5",
        "churn@v1.0.0",
        "churn@v1.0.0!",
    ]
    before = index_dump(place.repository)
    assert place.crawl().status == Crawl.Status.UNCHANGED
    place.repository.fingerprint = ""
    place.repository.save(update_fields=["fingerprint"])
    crawl = place.crawl()
    assert crawl.counts["changed_artifacts"] == 0, crawl.counts
    assert index_dump(place.repository) == before


def test_a_tag_bears_the_person_who_asked(place: ActionPlace) -> None:
    row = done(place.register(0, "v1.0.0", by="erna", message="Because"))
    body = place.body("churn@v1.0.0")
    assert f"object {place.commits[0]}\ntype commit\ntag churn@v1.0.0\n" in body
    assert f"tagger Erna <erna@example.org> {row.seconds} +0000" in body
    assert body.endswith("Because")
    assert place.tags()["churn@v1.0.0"] == row.object_id


def test_events_of_an_artifact_are_a_second_apart(place: ActionPlace) -> None:
    """However fast they come, and whatever the last one's clock said."""
    future = int(time.time()) + 5_000
    place.push_tag("churn@v3.0.0", place.commits[2], at=future)
    rows = [
        place.register(0, "v1.0.0"),
        place.register(1, "v2.0.0"),
        place.assign("prod", "v1.0.0"),
        place.assign("prod", "v2.0.0"),
    ]
    assert [done(row).seconds for row in rows] == [future + n for n in range(1, 5)]
    assert place.holders() == {"prod": ["v2.0.0"]}


def test_what_gto_refuses_is_refused_before_anybody_is_asked_to_write(
    place: ActionPlace,
) -> None:
    done(place.register(0, "v1.0.0"))
    before = place.tags()
    for row, code in (
        (place.register(0, "v2.0.0"), "commit-has-version"),
        (place.register(1, "v1.0.0"), "version-exists"),
        (place.assign("prod", "v9.9.9"), "unknown-version"),
        (place.act(Verb.DEREGISTER, version="v9.9.9"), "unknown-version"),
        (place.act(Verb.UNASSIGN, stage="prod", version="v1.0.0"), "stage-not-held"),
        (place.act(Verb.RESTORE, stage="prod"), "nothing-to-restore"),
        (place.act(Verb.REVIVE), "not-deprecated"),
    ):
        assert (row.status, row.code) == (Status.REFUSED, code), row.sentence
        assert row.ended_at
    assert place.tags() == before


def test_somebody_pushed_meanwhile(place: ActionPlace) -> None:
    """The index is stale: it is brought up to date first, and the counter with it."""
    done(place.register(0, "v1.0.0"))
    place.push_tag("churn#dev#7", place.commits[0], at=int(time.time()))
    row = done(place.assign("prod", "v1.0.0"))
    assert row.tag == "churn#prod#8"
    assert place.holders() == {"dev": ["v1.0.0"], "prod": ["v1.0.0"]}


@pytest.mark.parametrize("what", ["same", "other"])
def test_a_change_of_the_meaning_is_refused(place: ActionPlace, what: str) -> None:
    from indexer.wishes import outlook

    done(place.register(0, "v1.0.0"))
    done(place.register(1, "v2.0.0"))
    seen = outlook(place.wish(Verb.ASSIGN, stage="prod", version="v2.0.0")).meaning
    stage = "prod" if what == "other" else "dev"
    place.push_tag(f"churn#{stage}#1", place.commits[0], at=int(time.time()) + 9)
    row = place.assign("prod", "v2.0.0", seen=seen)
    if what == "same":
        assert done(row).tag == "churn#prod#2"
    else:
        assert (row.status, row.code) == (Status.REFUSED, "changed")
        assert "prod v1.0.0 by Eve" in row.sentence
        assert sorted(place.tags())[0] == "churn#prod#1"
        assert place.holders() == {"prod": ["v1.0.0"]}
