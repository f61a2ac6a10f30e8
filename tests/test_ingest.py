"""Ingest: the difference between a snapshot and the rows, whole or not at all."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer import limits
from indexer.core.events import UNKNOWN_MOMENT
from indexer.core.snapshot import Problem as CoreProblem
from indexer.core.state import build_state
from indexer.index_dump import index_dump
from indexer.index_rows import positions
from indexer.ingest import LeaseLost, ingest
from indexer.models import (
    Annotation,
    Artifact,
    Event,
    Problem,
    Repository,
    RepositoryFacet,
    StageHolder,
    Version,
)
from tests.builders import (
    BOB,
    START,
    History,
    ingest_history,
    ingest_snapshot,
    make_repository,
)
from tests.core.snapshots import snapshot, tag

pytestmark = pytest.mark.django_db


def churn() -> History:
    history = History().annotate(
        churn={"type": "model", "desc": "Who leaves", "labels": ["tabular", "crm"]},
        table={"type": "dataset"},
    )
    history.register("churn", "v1.0.0").register("churn", "v1.1.0", by=BOB)
    history.assign("churn", "prod", "v1.0.0").assign("churn", "dev", "v1.1.0", by=BOB)
    return history


def test_an_artifact_row_holds_what_the_list_shows() -> None:
    history = churn()
    repository = ingest_history("acme/churn", history)
    row = Artifact.objects.get(name="churn")
    assert (row.type, row.description) == ("model", "Who leaves")
    assert row.labels == ["tabular", "crm"]
    assert (row.latest_version, row.latest_by) == ("v1.1.0", "Bob")
    assert (row.version_count, row.event_count) == (2, 4)
    assert row.last_event_at == row.last_assignment_at
    assert row.last_event_key == history.clock
    assert "acme/churn" in row.search
    assert "who leaves" in row.search
    assert row.is_active
    assert row.is_registered
    assert not Artifact.objects.get(name="table").is_registered
    assert (repository.artifact_count, repository.model_count) == (2, 1)
    assert (repository.event_count, repository.tag_count) == (4, 4)


def test_stages_are_rows_with_who_and_when() -> None:
    ingest_history("acme/churn", churn())
    holder = StageHolder.objects.get(stage="dev")
    assert (holder.version.name, holder.author_name) == ("v1.1.0", "Bob")
    assert holder.assigned_offset == 120


def test_versions_come_in_gtos_order_with_the_annotation_of_their_commit() -> None:
    history = churn()
    history.annotate(churn={"type": "model", "desc": "New words"})
    history.register("churn", "v2.0.0")
    ingest_history("acme/churn", history)
    versions = Version.objects.filter(artifact__name="churn").order_by("rank")
    assert [one.name for one in versions] == ["v2.0.0", "v1.1.0", "v1.0.0"]
    assert [one.annotation and one.annotation.description for one in versions] == [
        "New words",
        "Who leaves",
        "Who leaves",
    ]


def test_facets_count_artifacts_by_type_label_and_stage() -> None:
    ingest_history("acme/churn", churn())
    facets = set(RepositoryFacet.objects.values_list("kind", "value", "count"))
    assert facets == {
        ("type", "model", 1),
        ("type", "dataset", 1),
        ("label", "tabular", 1),
        ("label", "crm", 1),
        ("stage", "prod", 1),
        ("stage", "dev", 1),
    }


def test_T3_an_unknown_date_is_null_and_sorts_before_all_others() -> None:
    history = churn().register("churn", "v0.1.0", dated=False)
    history.register("churn", "v0.2.0", at=-86400)
    ingest_history("acme/churn", history)
    oldest = Event.objects.order_by("at_key", "position", "id")
    assert [one.version for one in oldest[:2]] == ["v0.1.0", "v0.2.0"]
    assert oldest[0].at is None
    assert oldest[1].at is not None
    assert oldest[1].at.isoformat() == "1969-12-31T00:00:00+00:00"


def test_events_of_one_second_stay_in_gtos_order() -> None:
    from indexer.core.state import build_state

    history = History()
    for name in "bac":
        history.register(name, "v1.0.0", at=START)
    for name in "cab":
        history.assign(name, "prod", "v1.0.0", at=START).deprecate(name, at=START)
    ingest_history("acme/all", history)
    newest = Event.objects.order_by("-at_key", "-position", "-id")
    assert [one.tag for one in newest] == [
        event.tag for event in build_state(history.snapshot()).events
    ]


def test_a_new_event_of_the_same_second_shifts_events_of_other_artifacts() -> None:
    history = (
        History().register("b", "v1.0.0", at=START).register("d", "v1.0.0", at=START)
    )
    repository = ingest_history("acme/all", history)
    for name in "ace":
        history.register(name, "v1.0.0", at=START)
        ingest_history(repository, history)
    after = index_dump(repository)
    Repository.objects.all().delete()
    assert after == index_dump(ingest_history("acme/all", history))


def test_ingesting_the_same_again_writes_only_the_fence() -> None:
    history = churn()
    repository = ingest_history("acme/churn", history)
    Repository.objects.filter(pk=repository.pk).update(lease_id=uuid4())
    repository.refresh_from_db()
    before = index_dump()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        counts = ingest(
            repository,
            history.snapshot(),
            lease_id=repository.lease_id,  # type: ignore[arg-type]
            now=timezone.now(),
        )
    writes = [
        query["sql"]
        for query in queries
        if query["sql"].split()[0] in {"INSERT", "UPDATE", "DELETE", "COPY"}
    ]
    assert len(writes) == 2, writes
    assert all('UPDATE "indexer_repository"' in sql for sql in writes)
    assert index_dump() == before
    assert (counts.new_events, counts.changed_artifacts) == (0, 0)


def test_an_artifact_that_did_not_change_keeps_its_rows_untouched() -> None:
    history = churn()
    for patch in range(3):
        history.register("other", f"v1.0.{patch}")
    on = history.head
    repository = ingest_history("acme/churn", history)
    before = set(Version.objects.filter(artifact__name="churn").values_list("pk"))
    history.register("other", "v2.0.0", on=on)
    counts = ingest_snapshot(repository, history.snapshot())
    assert counts.changed_artifacts == 1
    assert counts.new_events == 1
    assert before == set(
        Version.objects.filter(artifact__name="churn").values_list("pk")
    )


def test_a_renamed_repository_is_found_by_its_new_name() -> None:
    history = churn()
    repository = ingest_history("acme/churn", history)
    repository.name = "acme/renamed"
    repository.save(update_fields=["name"])
    ingest_history(repository, history)
    assert "acme/renamed" in Artifact.objects.get(name="churn").search


def test_another_reading_changes_who_holds_a_stage() -> None:
    history = (
        churn().assign("churn", "prod", "v1.1.0").assign("churn", "prod", "v1.0.0")
    )
    repository = ingest_history("acme/churn", history)

    def holders() -> list[str]:
        rows = StageHolder.objects.filter(stage="prod").order_by("rank")
        return [row.version.name for row in rows]

    assert holders() == ["v1.0.0"]
    repository.reading = "several"
    repository.save(update_fields=["reading"])
    ingest_history(repository, history)
    assert sorted(holders()) == ["v1.0.0", "v1.1.0"]


def test_F_W4_whoever_lost_the_lease_writes_nothing() -> None:
    history = churn()
    repository = ingest_history("acme/churn", history)
    before = index_dump()
    Repository.objects.filter(pk=repository.pk).update(lease_id=uuid4())
    history.register("churn", "v3.0.0")
    with pytest.raises(LeaseLost):
        ingest(repository, history.snapshot(), lease_id=uuid4(), now=timezone.now())
    assert index_dump() == before


def test_an_incomplete_snapshot_is_refused() -> None:
    repository = make_repository()
    with pytest.raises(ValueError, match="complete"):
        ingest(
            repository,
            churn().snapshot(complete=False),
            lease_id=uuid4(),
            now=timezone.now(),
        )


def test_an_artifact_that_vanished_leaves_nothing_behind() -> None:
    history = churn()
    history.register("temporary", "v1.0.0").assign("temporary", "dev", "v1.0.0")
    repository = ingest_history("acme/churn", history)
    gone = [tag.ref for tag in history.tags if tag.ref.startswith("temporary")]
    ingest_history(repository, history.without(*gone))
    assert not Artifact.objects.filter(name="temporary").exists()
    assert not Event.objects.filter(tag__startswith="temporary").exists()


def test_a_problem_stays_though_its_artifact_goes() -> None:
    history = churn()
    problem = CoreProblem("odd", "Odd.", artifact="gone", tag="gone@v1.0.0")
    history.register("gone", "v1.0.0")
    history.problems.append(problem)
    repository = ingest_history("acme/churn", history)
    assert Problem.objects.get(code="odd").artifact is not None
    ingest_history(repository, history.without("gone@v1.0.0"))
    assert Problem.objects.get(code="odd").artifact is None


HOSTILE = [
    "plain\0nul",
    "lone \ud800 surrogate",
    "é" * 300,
    "x" * 100_000,
    "'\"; DROP TABLE indexer_tag; --",
    "{{7*7}} <script>alert(1)</script>",
    "‮txt.exe",
    "\\x00 \\N \\.",
    "tab\tnew\nline\r",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_P7_P8_hostile_text_is_stored_alike_wherever_it_comes_from(text: str) -> None:
    from indexer.core.snapshot import Json, Person

    history = History()
    meta: dict[str, Json] = {text: text, "list": [text]}
    history.commit(
        {
            "dvc.yaml": {
                "artifacts": {
                    "m": {
                        "type": text,
                        "desc": text,
                        "path": text,
                        "labels": [text],
                        "meta": meta,
                    }
                }
            }
        },
        message=text,
    )
    history.register("m", "v1.0.0", by=Person(text, text), message=text)
    history.tag("m#dev", history.commit_of[("m", "v1.0.0")], by=Person(text, text))
    history.problems.append(CoreProblem("odd", text, artifact=text, path=text))
    repository = ingest_history("acme/m", history)
    assert Artifact.objects.get(name="m").event_count == 2
    assert StageHolder.objects.get().stage == "dev"
    for dumped in json.loads(index_dump(repository)).values():
        assert all("\\u0000" not in row for row in dumped)
    # A second time: what is stored is what would be stored.
    counts = ingest_snapshot(repository, history.snapshot())
    assert counts.new_events == 0


def test_P8_a_name_no_column_can_hold_is_told_and_costs_nothing_else() -> None:
    history = churn()
    for tail in "ab":
        history.register("n" * 400 + tail, "v1.0.0")
    history.register("m", "v1.0.0-" + "p" * 400)
    repository = ingest_history("acme/m", history)
    assert set(Artifact.objects.values_list("name", flat=True)) >= {"churn", "table"}
    assert Problem.objects.filter(code="name-too-long").count() == 3
    assert repository.tag_count == 7


def test_P8_a_value_too_long_for_its_column_never_becomes_another() -> None:
    one, other = limits.name("n" * 400 + "a"), limits.name("n" * 400 + "b")
    assert len(one) == len(other) == 255
    assert one != other
    assert limits.name("n" * 255) == "n" * 255


@pytest.mark.parametrize("number", [1e400, float("nan"), -1e400, 10**30, 1e16, -0.0])
def test_P6_P9_numbers_json_cannot_hold_are_named(number: float) -> None:
    history = History().annotate(m={"type": "model", "meta": {"x": number}})
    ingest_history("acme/m", history)
    annotation = Annotation.objects.get(commit_id="")
    assert annotation.meta is not None
    json.loads(json.dumps(annotation.meta, allow_nan=False))


def test_P11_one_bad_file_does_not_cost_the_others() -> None:
    history = History()
    files: dict[str, Any] = {
        f"m{number}/dvc.yaml": {"artifacts": {"m": {"type": "model"}}}
        for number in range(9)
    }
    history.commit({**files, "bad/dvc.yaml": ["no", "mapping"]})
    ingest_history("acme/m", history)
    assert Artifact.objects.count() == 9
    assert Problem.objects.filter(path="bad/dvc.yaml").count() == 1


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "register",
                "deregister",
                "assign",
                "unassign",
                "deprecate",
                "drop",
                "move",
                "annotate",
                "crawl",
            ]
        ),
        st.sampled_from(["a", "b", "sub:c"]),
        st.sampled_from(["v1.0.0", "v1.1.0", "v2.0.0-rc1"]),
        st.sampled_from(["dev", "prod"]),
        st.integers(0, 3),
    ),
    max_size=40,
)


@given(actions=ACTIONS, reading=st.sampled_from(["", "semver", "several", "kanban"]))
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_I0_an_index_grown_by_differences_equals_one_made_from_scratch(
    actions: list[tuple[str, str, str, str, int]], reading: str
) -> None:
    Repository.objects.all().delete()
    repository = make_repository("acme/grown", reading=reading)
    history = History()
    for action, artifact, version, stage, place in actions:
        known = (artifact, version) in history.commit_of
        at = history.clock + (0 if place == 0 else 60)
        if action == "register":
            history.register(artifact, version, at=at)
        elif action == "deprecate":
            history.deprecate(artifact, at=at)
        elif action == "annotate":
            history.annotate(**{artifact.split(":")[-1]: {"type": stage}})
        elif action == "crawl":
            ingest_snapshot(repository, _unique_refs(history))
        elif action == "drop" and history.tags:
            history.tags.pop(place % len(history.tags))
        elif action == "move" and history.tags:
            tag = history.tags.pop(place % len(history.tags))
            history.tag(tag.ref, history.commit(), at=at)
        elif known and action == "deregister":
            history.deregister(artifact, version, at=at)
        elif known and action == "assign":
            history.assign(artifact, stage, version, at=at)
        elif known and action == "unassign":
            history.unassign(artifact, stage, version, at=at)
    ingest_snapshot(repository, _unique_refs(history))
    grown = index_dump(repository)
    Repository.objects.all().delete()
    fresh = make_repository("acme/grown", reading=reading)
    ingest_snapshot(fresh, _unique_refs(history))
    assert grown == index_dump(fresh)


def _unique_refs(history: History) -> Any:
    """A ref stands once in Git: the last one wins."""
    history.tags = list({tag.ref: tag for tag in history.tags}.values())
    return history.snapshot()


def test_places_within_a_second_begin_anew_with_each_second() -> None:
    state = build_state(
        snapshot(
            *(tag("a@v1.0.0", 1, 5), tag("b@v1.0.0", 1, 5)),
            *(tag("c@v1.0.0", 1, 5), tag("d@v1.0.0", 1, 6)),
            *(tag("e@v1.0.0", 1, 6), tag("f@v1.0.0", 1, 9)),
            *(tag("g@v1.0.0", 1, None), tag("h@v1.0.0", 1, None)),
        )
    )
    places = {
        event.artifact: positions(state.events).get(event.tag_id)
        for event in state.events
    }
    assert places == {
        "g": None,
        "h": 1,
        "a": None,
        "b": 1,
        "c": 2,
        "d": None,
        "e": 1,
        "f": None,
    }
    assert state.events[-1].moment == UNKNOWN_MOMENT
