"""The API as a whole: who may read, errors, repositories, its description."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.test import Client

from indexer.api import v1
from tests.api.conftest import Api

PATHS = [
    "models",
    "models/acme/churn/-/churn",
    "models/acme/churn/-/churn@v1.0.0",
    "models/acme/churn/-/nothing",
    "history/acme/churn/-/churn",
    "activity",
    "resolve",
    "repositories",
    "repositories/acme/churn",
]


@pytest.mark.usefixtures("registry")
class TestReading:
    @pytest.mark.parametrize("path", PATHS)
    def test_a_stranger_is_asked_to_sign_in_where_reading_is_closed(
        self, api: Api, settings: Any, path: str
    ) -> None:
        settings.MUSTER_PUBLIC_READ = False

        answer = api.answer(path, ref="churn@latest")

        assert answer.status_code == 401
        assert answer["Content-Type"] == "application/problem+json"
        assert "WWW-Authenticate" in answer
        assert b"acme" not in answer.content

    def test_who_signed_in_may_read(self, api: Api, settings: Any) -> None:
        settings.MUSTER_PUBLIC_READ = False
        bob = User.objects.create_user("bob")
        api.client.force_login(bob)

        assert api.get("models")["total"] == 3

        bob.is_active = False
        bob.save(update_fields=["is_active"])
        api.problem(401, "models")


@pytest.mark.usefixtures("registry")
class TestRepositories:
    def test_they_are_listed_by_name_and_found_by_part_of_it(self, api: Api) -> None:
        found = api.get("repositories")

        assert [one["name"] for one in found["items"]] == ["acme/churn", "beta/churn"]
        assert api.get("repositories", q="BETA")["total"] == 1
        assert api.get("repositories", size=1)["next"].endswith("size=1&page=2")
        api.problem(404, "repositories", page=3)
        api.problem(400, "repositories", size=101)

    def test_one_says_its_state_and_problems_and_no_secret(self, api: Api) -> None:
        found = api.get("repositories/acme/churn")

        assert found["state"] == "ok"
        assert (found["model_count"], found["artifact_count"]) == (2, 3)
        (problem,) = found["problems"]
        assert (problem["tag"], problem["artifact"]) == ("churn@v3.0.0", "churn")
        assert problem["text"]
        everything = json.dumps([found, api.get("repositories")])
        assert "hidden-secret" not in everything
        assert found["href"] == "/api/v1/repositories/acme/churn"
        api.problem(404, "repositories/no/such")


@pytest.mark.parametrize("path", ["nothing", "models/", "models/x", "v2/models"])
def test_an_unknown_address_is_a_problem_too(db: None, api: Api, path: str) -> None:
    api.problem(404, path)


def test_its_root_leads_to_the_page_to_try_it(db: None, client: Client) -> None:
    assert client.get("/api/v1/")["Location"] == "/api/v1/docs"


def test_what_is_read_takes_nothing_else(db: None, api: Api) -> None:
    for method in (api.client.post, api.client.put, api.client.delete):
        assert method("/api/v1/models").status_code == 405


def test_a_failure_of_ours_is_a_problem_and_a_line_in_the_log(
    db: None,
    api: Api,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(v1, "catalog_page", fail)
    with caplog.at_level(logging.ERROR):
        problem = api.problem(500, "models")

    assert "secret detail" not in json.dumps(problem)
    assert "secret detail" in caplog.text


def test_P6_no_number_that_is_no_json_can_be_answered(rf: Any) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        v1.StrictRenderer().render(
            rf.get("/"), {"x": float("nan")}, response_status=200
        )


class TestDescription:
    def test_it_names_every_operation_and_every_parameter(
        self, db: None, api: Api
    ) -> None:
        described = json.loads(api.answer("openapi.json").content)

        assert sorted(described["paths"]) == [
            "/api/v1/actions",
            "/api/v1/actions/{uuid}",
            "/api/v1/activity",
            "/api/v1/add",
            "/api/v1/assign",
            "/api/v1/deprecate",
            "/api/v1/deregister",
            "/api/v1/edit",
            "/api/v1/history/{repository}/-/{artifact}",
            "/api/v1/models",
            "/api/v1/models/{repository}/-/{artifact}",
            "/api/v1/models/{repository}/-/{artifact}@{version}",
            "/api/v1/register",
            "/api/v1/repositories",
            "/api/v1/repositories/{repository}",
            "/api/v1/resolve",
            "/api/v1/restore",
            "/api/v1/revive",
            "/api/v1/unassign",
        ]
        listing = described["paths"]["/api/v1/models"]["get"]
        assert [one["name"] for one in listing["parameters"]] == [
            "page",
            "size",
            "q",
            "stage",
            "not_stage",
            "repository",
            "type",
            "label",
            "registered",
            "deprecated",
            "sort",
        ]
        assert set(listing["responses"]) == {"200", "400", "401", "404"}
        assert set(listing["responses"]["400"]["content"]) == {
            "application/problem+json"
        }

    def test_the_page_to_try_it_holds_no_script_of_its_own(
        self, db: None, client: Client
    ) -> None:
        answer = client.get("/api/v1/docs")
        page = answer.content.decode()

        assert "script-src 'self'" in answer["Content-Security-Policy"]
        assert "https://" not in page
        for piece in page.split("<script")[1:]:
            opening = piece.partition(">")[0]
            assert 'src="/static/' in opening or 'type="application/json"' in opening
        for name in ("swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-init.js"):
            assert f"/static/ninja/{name}" in page
            assert finders.find(f"ninja/{name}")


@pytest.mark.parametrize(
    "path",
    [
        "models/acme/churn/-/a%00b",
        "models/acme/churn/-/a%00b@v1.0.0",
        "history/acme/churn/-/a%00b",
        "models/acme/churn/-/%FF%FE",
        "models/acme/churn/-/" + "x" * 3000,
        "repositories/" + "x" * 3000,
    ],
)
def test_T9_a_name_no_column_can_hold_is_not_there(
    db: None, api: Api, path: str
) -> None:
    api.problem(404, path)
