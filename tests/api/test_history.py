"""History and activity over the API."""

from __future__ import annotations

import pytest

from tests.api.conftest import Api

pytestmark = pytest.mark.usefixtures("registry")


def test_the_history_of_a_model_is_newest_first(api: Api) -> None:
    found = api.get("history/acme/churn/-/churn")

    assert [event["tag"] for event in found["items"]] == [
        "churn#prod#4",
        "churn#prod#3",
        "churn@v2.0.0",
        "churn@v1.0.0",
    ]
    assert found["items"][0] | {"tag_object": "", "commit": ""} == {
        "at": "2025-01-09T17:00:00Z",
        "local": "2025-01-09T19:00:00+02:00",
        "repository": "acme/churn",
        "artifact": "churn",
        "event": "assignment",
        "version": "v2.0.0",
        "stage": "prod",
        "by": {"name": "Bob", "email": "bob@example.com"},
        "message": "Tag churn#prod#4",
        "commit": "",
        "tag": "churn#prod#4",
        "tag_object": "",
        "through_muster": False,
    }


@pytest.mark.parametrize(
    ("query", "tags"),
    [
        ("person=bob", ["churn#prod#4", "churn@v2.0.0"]),
        (
            "event=registration&sort=time",
            ["churn@v5.0.0", "churn@v1.0.0", "churn@v2.0.0"],
        ),
        ("stage=prod&until=2025-01-06", ["churn#prod#3"]),
        ("repository=beta/churn", ["churn@v5.0.0"]),
        ("q=first", ["churn@v1.0.0"]),
    ],
)
def test_the_activity_takes_the_filters_of_the_page(
    api: Api, query: str, tags: list[str]
) -> None:
    found = api.get(f"/api/v1/activity?{query}")

    assert [event["tag"] for event in found["items"]] == tags
    assert found["total"] == len(tags)


def test_following_next_meets_each_event_once(api: Api) -> None:
    page = api.get("activity", size=2)
    tags = [event["tag_object"] for event in page["items"]]
    while page["next"]:
        page = api.get(page["next"])
        tags += [event["tag_object"] for event in page["items"]]

    assert len(tags) == len(set(tags)) == page["total"] == 5


@pytest.mark.parametrize(
    "query",
    [
        "event=explosion",
        "since=yesterday",
        "until=2025-02-30",
        "size=101",
        "sort=name",
        "people=bob",
    ],
)
@pytest.mark.parametrize("path", ["activity", "history/acme/churn/-/churn"])
def test_D9_X11_a_parameter_that_makes_no_sense_is_refused(
    api: Api, path: str, query: str
) -> None:
    problem = api.problem(400, f"/api/v1/{path}?{query}")

    assert query.partition("=")[0] in problem["detail"]


def test_the_history_of_nothing_is_not_there(api: Api) -> None:
    api.problem(404, "history/acme/churn/-/nothing")
    api.problem(404, "activity", page=2)
