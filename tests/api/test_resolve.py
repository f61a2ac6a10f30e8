"""Resolve over the API."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from indexer.models import Repository
from tests.api.conftest import Api
from tests.builders import HOUR, START, History, ingest_history

pytestmark = pytest.mark.usefixtures("registry")


def hours(count: int) -> str:
    """A time, so many hours after the history began."""
    return datetime.fromtimestamp(START + count * HOUR, UTC).isoformat()


def test_a_stage_leads_to_version_commit_and_path(api: Api, registry: History) -> None:
    found = api.get("resolve", repository="acme/churn", ref="churn#prod")

    assert found == {
        "ref": "churn#prod",
        "repository": "acme/churn",
        "artifact": "churn",
        "version": "v2.0.0",
        "commit": registry.commit_of["churn", "v2.0.0"],
        "path": "churn.pkl",
        "tag": "churn#prod#4",
        "stage": "prod",
        "by": {"name": "Bob", "email": "bob@example.com"},
        "at": "2025-01-09T17:00:00Z",
        "message": "Tag churn#prod#4",
        "active": True,
        "also": [],
        "as_of": None,
        "not_counted": None,
    }


@pytest.mark.parametrize("ref", ["churn@latest", "churn@greatest", "churn@v2.0.0"])
def test_a_version_leads_to_its_registration(api: Api, ref: str) -> None:
    found = api.get("resolve", repository="acme/churn", ref=ref)

    assert (found["version"], found["tag"]) == ("v2.0.0", "churn@v2.0.0")


def test_a_point_in_time_may_be_asked_for(api: Api) -> None:
    found = api.get("resolve", repository="acme/churn", ref="churn#prod", at=hours(150))

    assert found["version"] == "v1.0.0"
    assert found["as_of"] == "2025-01-07T15:00:00Z"
    # A plus that nobody escaped arrives as a space.
    again = api.get(
        "/api/v1/resolve?repository=acme/churn&ref=churn%23prod"
        "&at=2025-01-07T16:00:00+01:00"
    )
    assert again == found


def test_a_past_moment_names_the_tags_that_were_deleted_since(
    api: Api, registry: History
) -> None:
    repository = Repository.objects.get(name="acme/churn")
    ingest_history(repository, registry.without("churn#prod#4"))
    asked = {"repository": "acme/churn", "ref": "churn#prod"}

    found = api.get("resolve", **asked, at=hours(250))
    assert found["version"] == "v1.0.0"
    (tag,) = found["not_counted"]["tags"]
    assert tag.pop("gone_at")
    assert tag == {
        "tag": "churn#prod#4",
        "at": "2025-01-09T17:00:00Z",
        "by": {"name": "Bob", "email": "bob@example.com"},
        "message": "Tag churn#prod#4",
        "moved": False,
    }
    assert "churn#prod#4" in found["not_counted"]["detail"]
    # It was not there yet, or nobody asks about the past.
    assert api.get("resolve", **asked, at=hours(150))["not_counted"] is None
    assert api.get("resolve", **asked)["not_counted"] is None

    ingest_history(repository, registry.without("churn#prod#3"))
    problem = api.problem(404, "resolve", **asked, at=hours(250))
    assert "held the stage prod at that time. Tags that stood" in problem["detail"]
    assert len(problem["not_counted"]["tags"]) == 2

    ingest_history(repository, registry.without("churn@v1.0.0", "churn@v2.0.0"))
    problem = api.problem(404, "resolve", **asked, at=hours(250))
    assert len(problem["not_counted"]["tags"]) == 4


def test_an_artifact_whose_every_tag_is_gone_was_there_once(api: Api) -> None:
    repository = Repository.objects.get(name="beta/churn")
    ingest_history(repository, History(clock=START))
    problem = api.problem(
        404, "resolve", repository="beta/churn", ref="churn@latest", at=hours(1)
    )
    assert [tag["tag"] for tag in problem["not_counted"]["tags"]] == ["churn@v5.0.0"]
    assert "not_counted" not in api.problem(
        404, "resolve", repository="beta/churn", ref="churn@latest"
    )


def test_a_name_of_several_repositories_is_a_conflict_with_candidates(
    api: Api,
) -> None:
    problem = api.problem(409, "resolve", ref="churn@latest")

    assert problem["candidates"] == [
        {"repository": "acme/churn", "artifact": "churn"},
        {"repository": "beta/churn", "artifact": "churn"},
    ]
    assert "repository=" in problem["detail"]


@pytest.mark.parametrize(
    ("status", "parameters"),
    [
        (400, {}),
        (400, {"ref": "churn"}),
        (400, {"ref": "churn@latest\0"}),
        (400, {"ref": "churn@latest", "at": "yesterday"}),
        (400, {"ref": "churn@latest", "at": "9999-12-31T23:59:59-23:00"}),
        (400, {"ref": "churn@latest", "repo": "acme/churn"}),
        (404, {"ref": "nothing@latest"}),
        (404, {"ref": "churn#dev", "repository": "acme/churn"}),
        (404, {"ref": "churn@v9.9.9", "repository": "acme/churn"}),
        (404, {"ref": "churn#prod", "repository": "acme/churn", "at": "2020-01-01"}),
        (404, {"ref": "churn@latest", "repository": "no/such"}),
    ],
)
def test_what_leads_nowhere_is_a_problem(
    api: Api, status: int, parameters: dict[str, str]
) -> None:
    api.problem(status, "resolve", **parameters)
