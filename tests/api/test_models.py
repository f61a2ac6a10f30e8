"""Models and versions over the API."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext

from indexer.core.snapshot import Json
from indexer.page_addresses import escape_name
from tests.api.conftest import Api
from tests.builders import History, ingest_history

# Names that gto takes and addresses make hard.
NAMES = [
    "a",
    "a/b/history",
    "a/-/b",
    "a//b",
    "a/-/-/b",
    "models/cv:net",
    "x/-/y:net",
    "v1/v2:v3",
    "history:resolve",
]


@pytest.mark.usefixtures("registry")
class TestList:
    def test_a_model_says_who_holds_its_stages(
        self, api: Api, registry: History
    ) -> None:
        churn = api.get("models", repository="acme/churn", q="churn")["items"][0]

        assert churn["name"] == "churn"
        assert churn["description"] == "Who leaves"
        assert churn["labels"] == ["crm"]
        assert churn["latest"]["version"] == "v2.0.0"
        (prod,) = churn["stages"]["prod"]
        assert prod["version"] == "v2.0.0"
        assert prod["by"] == {"name": "Bob", "email": "bob@example.com"}
        assert prod["commit"] == registry.commit_of["churn", "v2.0.0"]
        assert prod["at"] == "2025-01-09T17:00:00Z"
        assert (churn["version_count"], churn["event_count"]) == (2, 4)

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("", ["churn", "churn", "draft"]),
            ("type=any", ["churn", "churn", "customers", "draft"]),
            ("stage=prod", ["churn"]),
            ("not_stage=prod&registered=yes", ["churn"]),
            ("registered=no", ["draft"]),
            ("label=crm", ["churn"]),
            ("q=LEAVES", ["churn"]),
            ("repository=beta/churn", ["churn"]),
            ("sort=-latest&registered=yes", ["churn", "churn"]),
            ("hide=labels", ["churn", "churn", "draft"]),  # a page's address, pasted
        ],
    )
    def test_it_takes_the_filters_of_the_page(
        self, api: Api, query: str, names: list[str]
    ) -> None:
        found = api.get(f"/api/v1/models?{query}")

        assert [item["name"] for item in found["items"]] == names
        assert found["total"] == len(names)

    @pytest.mark.parametrize(
        "query",
        [
            "size=101",
            "size=0",
            "size=many",
            "page=0",
            "page=x",
            "sort=secret",
            "sort=name--",
            "registered=perhaps",
            "stages=prod",
            "q=%00",
            f"q={'x' * 999}",
        ],
    )
    def test_D9_X11_a_parameter_that_makes_no_sense_is_refused(
        self, api: Api, query: str
    ) -> None:
        problem = api.problem(400, f"/api/v1/models?{query}")

        name = query.partition("=")[0]
        assert name in problem["detail"]

    def test_D9_as_many_filters_as_are_taken_are_answered(self, api: Api) -> None:
        many = {
            name: [f"{name}{n}" for n in range(50)]
            for name in ("stage", "not_stage", "label", "repository", "type")
        }

        found = api.get("models", q=" ".join("abcdefghijklmnop"), **many)

        assert found["total"] == 0
        api.problem(400, "models", label=[f"l{n}" for n in range(51)])
        api.problem(400, "repositories", q="a " * 500)

    def test_a_page_that_is_not_there_is_said(self, api: Api) -> None:
        problem = api.problem(404, "models", page=2)

        assert problem["detail"] == "There is no page 2: the last one is 1."

    def test_an_empty_list_is_a_page(self, api: Api) -> None:
        assert api.get("models", q="nothing") == {
            "items": [],
            "total": 0,
            "page": 1,
            "pages": 1,
            "size": 50,
            "next": None,
            "previous": None,
        }


def test_following_next_meets_each_model_once(db: None, api: Api) -> None:
    models: dict[str, dict[str, Json]] = {f"m{n}": {"type": "model"} for n in range(23)}
    ingest_history("acme/many", History().annotate(**models))
    found, address = [], "/api/v1/models?size=5&sort=-activity&repository=acme/many"
    pages = [api.get(address)]
    while pages[-1]["next"]:
        assert "size=5" in pages[-1]["next"]
        pages.append(api.get(pages[-1]["next"]))
    found = [item["name"] for page in pages for item in page["items"]]

    assert len(pages) == 5
    assert sorted(found) == sorted({f"m{n}" for n in range(23)})
    assert api.get(pages[-1]["previous"]) == pages[-2]
    assert QueryDict(pages[0]["next"].partition("?")[2])["page"] == "2"


class TestOne:
    def test_a_commit_that_holds_a_stage_is_discovered_as_in_gto(
        self, api: Api, registry: History
    ) -> None:
        registry.tag("bare#prod", registry.commit())
        ingest_history("gamma/bare", registry)

        def told(artifact: str) -> list[tuple[bool, bool]]:
            model = api.get(f"models/gamma/bare/-/{artifact}")
            versions = model["versions"]["items"]
            return [(one["registered"], one["discovered"]) for one in versions]

        assert told("bare") == [(False, True)]
        assert told("churn") == [(True, False), (True, False)]

    def test_a_model_has_its_versions_greatest_first(
        self, api: Api, registry: History
    ) -> None:
        churn = api.get("models/acme/churn/-/churn")

        versions = churn["versions"]["items"]
        assert [one["version"] for one in versions] == ["v2.0.0", "v1.0.0"]
        assert versions[0]["stages"] == ["prod"]
        assert versions[0]["tag"] == "churn@v2.0.0"
        assert versions[1]["message"] == "First"
        assert versions[1]["annotation"]["path"] == "churn.pkl"
        assert versions[1]["annotation"]["meta"] == {"auc": 0.9}
        assert churn["stages"]["prod"][0]["version"] == "v2.0.0"

    def test_its_versions_come_in_pages(self, api: Api, registry: History) -> None:
        first = api.get("models/acme/churn/-/churn", size=1)["versions"]
        second = api.get(first["next"])["versions"]

        assert (first["total"], first["pages"]) == (2, 2)
        assert [one["version"] for one in second["items"]] == ["v1.0.0"]
        assert second["next"] is None
        api.problem(404, "models/acme/churn/-/churn", page=3)

    def test_a_version_stands_alone(self, api: Api, registry: History) -> None:
        version = api.get("models/acme/churn/-/churn@v1.0.0")

        assert (version["repository"], version["artifact"]) == ("acme/churn", "churn")
        assert version["commit"] == registry.commit_of["churn", "v1.0.0"]
        assert version["by"]["name"] == "Alice"
        assert version["active"]

    @pytest.mark.parametrize(
        ("path", "says"),
        [
            ("models/acme/churn/-/nothing", "There is no artifact nothing"),
            ("models/no/such/-/churn", "There is no artifact churn in no/such"),
            ("models/acme/churn/-/churn@v9.0.0", "has no version v9.0.0"),
        ],
    )
    def test_what_is_not_there_is_said(
        self, api: Api, registry: History, path: str, says: str
    ) -> None:
        assert says in api.problem(404, path)["detail"]

    @pytest.mark.parametrize("name", NAMES)
    def test_every_legal_name_has_an_address_that_leads_back(
        self, db: None, api: Api, name: str
    ) -> None:
        folder, _, short = name.rpartition(":")
        history = History()
        path = f"{folder}/dvc.yaml" if folder else "dvc.yaml"
        history.commit({path: {"artifacts": {short: {"type": "model"}}}})
        history.register(name, "v1.0.0-rc.1+b.2")
        ingest_history("acme/odd-names", history)

        (item,) = api.get("models")["items"]

        assert item["name"] == name
        again = api.get(item["href"])
        assert again["name"] == name
        assert api.get(quote(f"models/acme/odd-names/-/{escape_name(name)}")) == again
        history_path = item["href"].replace("/v1/models/", "/v1/history/")
        events = api.get(history_path)["items"]
        assert all(event["artifact"] == name for event in events)
        (version,) = again["versions"]["items"]
        found = api.get(version["href"])
        assert (found["artifact"], found["version"]) == (name, "v1.0.0-rc.1+b.2")
        assert api.get("resolve", ref=f"{name}@latest")["commit"] == found["commit"]
        assert api.client.get(item["html"]).status_code == 200


@pytest.mark.parametrize(
    ("ask", "most"),
    [
        (lambda api: api.get("models", size=100), 5),
        (lambda api: api.get("models/acme/m/-/m0", size=100), 5),
        (lambda api: api.get("models/acme/m/-/m0@v0.0.1"), 3),
        (lambda api: api.get("activity", size=100), 7),
        (lambda api: api.get("repositories", size=100), 2),
        (lambda api: api.get("repositories/acme/m"), 2),
        (lambda api: api.get("resolve", ref="m0@latest"), 2),
        (lambda api: api.get("resolve", ref="m0#s1"), 2),
    ],
)
def test_answers_cost_as_many_queries_with_many_rows_as_with_few(
    db: None, api: Api, ask: Callable[[Api], object], most: int
) -> None:
    def history(models: int, versions: int) -> History:
        declared: dict[str, dict[str, Json]] = {
            f"m{n}": {"type": "model"} for n in range(models)
        }
        made = History().annotate(**declared)
        for n in range(models):
            for version in range(versions):
                made.register(f"m{n}", f"v0.0.{version}")
                made.assign(f"m{n}", f"s{version}", f"v0.0.{version}")
        return made

    repository = ingest_history("acme/m", history(2, 2))
    ask(api)
    with CaptureQueriesContext(connection) as few:
        ask(api)
    ingest_history(repository, history(7, 9))
    ask(api)
    with CaptureQueriesContext(connection) as many:
        ask(api)

    assert len(few) == len(many), [one["sql"] for one in many]
    assert len(many) <= most, [one["sql"] for one in many]
