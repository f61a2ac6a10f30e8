"""References: what a version or a stage means, now and at a point in time."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser

from indexer.core.snapshot import Instant
from indexer.models import Repository
from indexer.resolve import (
    Ambiguous,
    BadReference,
    CannotResolve,
    Reference,
    Resolution,
    parse_reference,
    resolve,
)
from tests.builders import BOB, HOUR, START, History, ingest_history

NOBODY = AnonymousUser()


@pytest.mark.parametrize(
    ("ref", "found"),
    [
        ("churn@latest", Reference("churn", version="latest")),
        ("churn@v1.0.0-rc.1+b", Reference("churn", version="v1.0.0-rc.1+b")),
        (" churn#prod ", Reference("churn", stage="prod")),
        ("models/cv:net#prod", Reference("models/cv:net", stage="prod")),
        ("odd@dir#x:net@v1.0.0", Reference("odd@dir#x:net", version="v1.0.0")),
        ("a:b:c@latest", Reference("a:b:c", version="latest")),
    ],
)
def test_a_reference_names_an_artifact_and_a_version_or_a_stage(
    ref: str, found: Reference
) -> None:
    assert parse_reference(ref) == found


@pytest.mark.parametrize(
    "ref", ["", "churn", "churn@", "#prod", "@latest", "churn#", "a@b#c", "a#b@c"]
)
def test_what_is_no_reference_is_refused_with_its_shape(ref: str) -> None:
    with pytest.raises(BadReference, match="name@latest"):
        parse_reference(ref)


@pytest.fixture
def history(db: None, settings: Any) -> History:
    """churn: v1 and v2 registered, prod moved from v1 to v2, v2 deregistered last."""
    settings.MUSTER_PUBLIC_READ = True
    history = History(clock=START)
    history.annotate(churn={"type": "model", "path": "old.pkl"})
    history.register("churn", "v1.0.0", message="First")
    history.annotate(churn={"type": "model", "path": "new.pkl"})
    history.register("churn", "v2.0.0", by=BOB)
    history.assign("churn", "prod", "v1.0.0", at=START + 100 * HOUR)
    history.assign("churn", "prod", "v2.0.0", at=START + 200 * HOUR, by=BOB)
    history.deregister("churn", "v2.0.0", at=START + 300 * HOUR)
    ingest_history("acme/churn", history)
    return history


def at(hours: int) -> Instant:
    return Instant(START + hours * HOUR)


def find(ref: str, moment: Instant | None = None) -> Resolution:
    return resolve(NOBODY, ref, at=moment)


def test_latest_and_greatest_are_the_greatest_active_version(history: History) -> None:
    found = find("churn@latest")

    assert found == find("churn@greatest")
    assert (found.repository, found.artifact) == ("acme/churn", "churn")
    assert found.version == "v1.0.0"
    assert found.commit == history.commit_of["churn", "v1.0.0"]
    assert found.path == "old.pkl"  # as written at that commit
    assert found.tag == "churn@v1.0.0"
    assert (found.by.name, found.message) == ("Alice", "First")


def test_a_version_is_found_by_name_even_if_deregistered(history: History) -> None:
    found = find("churn@v2.0.0")

    assert (found.version, found.is_active) == ("v2.0.0", False)
    assert (found.path, found.by) == ("new.pkl", BOB)


def test_a_stage_is_who_holds_it_by_which_tag(history: History) -> None:
    found = find("churn#prod")

    assert (found.version, found.stage) == ("v1.0.0", "prod")
    assert found.tag == "churn#prod#3"
    assert found.commit == history.commit_of["churn", "v1.0.0"]


def test_a_point_in_time_is_answered_from_what_was_then(history: History) -> None:
    assert find("churn#prod", at(150)).version == "v1.0.0"
    then = find("churn#prod", at(250))
    assert (then.version, then.by, then.path) == ("v2.0.0", BOB, "new.pkl")
    assert then.at is not None
    assert then.at.timestamp() == START + 200 * HOUR
    assert find("churn@latest", at(250)).version == "v2.0.0"
    assert find("churn@v2.0.0", at(250)).is_active
    assert find("churn#prod", at(350)) == find("churn#prod")
    assert find("churn@latest", at(350)) == find("churn@latest")
    assert find("churn@v2.0.0", at(350)) == find("churn@v2.0.0")


@pytest.mark.parametrize(
    ("ref", "moment", "says"),
    [
        ("nothing@latest", None, "There is no artifact nothing."),
        ("churn@v9.0.0", None, "churn has no version v9.0.0."),
        ("churn#dev", None, "No version of churn holds the stage dev."),
        ("churn#prod", 50, "No version of churn held the stage prod at that time."),
        ("churn@v2.0.0", 4, "churn has no version v2.0.0 at that time."),
        ("churn@latest", 0, "churn was not there yet in acme/churn at that time."),
    ],
)
def test_what_leads_nowhere_says_why(
    history: History, ref: str, moment: int | None, says: str
) -> None:
    with pytest.raises(CannotResolve) as error:
        find(ref, None if moment is None else at(moment))

    assert str(error.value) == says


def test_a_name_of_several_repositories_must_be_told_apart(history: History) -> None:
    ingest_history("beta/churn", History().register("churn", "v5.0.0"))

    with pytest.raises(Ambiguous) as error:
        find("churn@latest")

    assert error.value.candidates == [("acme/churn", "churn"), ("beta/churn", "churn")]
    found = resolve(NOBODY, "churn@latest", repository="beta/churn")
    assert found.version == "v5.0.0"
    with pytest.raises(CannotResolve, match="no artifact churn in no/such"):
        resolve(NOBODY, "churn@latest", repository="no/such")


def test_a_monorepos_name_may_be_written_as_in_its_tags(history: History) -> None:
    ingest_history("acme/mono", History().register("models/cv:net", "v1.0.0"))

    assert find("models/cv=net@latest").artifact == "models/cv:net"
    assert find("models/cv:net@latest").version == "v1.0.0"


def test_several_holders_of_a_stage_are_all_named(db: None, settings: Any) -> None:
    settings.MUSTER_PUBLIC_READ = True
    history = History().register("m", "v1.0.0").register("m", "v2.0.0")
    history.assign("m", "prod", "v1.0.0").assign("m", "prod", "v2.0.0")
    ingest_history("acme/m", history, reading="several")

    found = find("m#prod")

    assert (found.version, found.also) == ("v2.0.0", ("v1.0.0",))
    assert find("m#prod", Instant(history.clock)) == found


def test_a_stranger_resolves_nothing_where_reading_is_closed(
    history: History, settings: Any
) -> None:
    settings.MUSTER_PUBLIC_READ = False

    with pytest.raises(CannotResolve, match="There is no artifact"):
        find("churn@latest")


def test_a_moved_tag_is_told_of_and_one_of_another_artifact_is_not(
    history: History,
) -> None:
    history.register("churn-2", "v1.0.0", at=START)
    repository = Repository.objects.get()
    ingest_history(repository, history)
    history.without("churn@v1.0.0", "churn-2@v1.0.0")
    history.tag("churn@v1.0.0", history.commit(), at=START + 400 * HOUR)
    ingest_history(repository, history)

    found = find("churn@latest", at(250))
    assert [tag.name for tag in found.gone] == ["churn@v1.0.0"]
    assert found.gone[0].replaced_by is not None
    assert find("churn@latest").gone == ()
