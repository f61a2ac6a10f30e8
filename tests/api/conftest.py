"""A registry behind the API, and a client that reads strict JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from indexer.core.snapshot import ObjectType
from tests.builders import BOB, HOUR, START, History, ingest_history


class Api:
    """Asks the API as a program does."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def answer(self, path: str, **parameters: Any) -> HttpResponse:
        """The answer, whatever it is."""
        address = path if path.startswith("/api/") else f"/api/v1/{path}"
        found: HttpResponse = self.client.get(address, parameters)  # type: ignore[assignment]
        return found

    def get(self, path: str, **parameters: Any) -> Any:
        """The body of a good answer."""
        answer = self.answer(path, **parameters)
        assert answer.status_code == 200, answer.content
        assert answer["Content-Type"] == "application/json; charset=utf-8"
        return json.loads(answer.content, parse_constant=self._no_json)

    def problem(self, status: int, path: str, **parameters: Any) -> Any:
        """The body of a problem with this status."""
        answer = self.answer(path, **parameters)
        assert answer.status_code == status, answer.content
        assert answer["Content-Type"] == "application/problem+json"
        body = json.loads(answer.content, parse_constant=self._no_json)
        assert body["status"] == status
        assert body["type"].startswith("urn:muster:problem:")
        assert body["title"]
        assert body["detail"].endswith(".")
        return body

    @staticmethod
    def _no_json(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")


@pytest.fixture
def api(client: Client, settings: Any) -> Api:
    """The API with open reading."""
    settings.MUSTER_PUBLIC_READ = True
    return Api(client)


@pytest.fixture
def registry(db: None) -> History:
    """churn with two versions and a stage that moved, in acme/churn; a data set and a
    draft beside it; a tag
    on a blob; another churn in beta/churn."""
    history = History(clock=START)
    history.annotate(
        churn={
            "type": "model",
            "path": "churn.pkl",
            "desc": "Who leaves",
            "labels": ["crm"],
            "meta": {"auc": 0.9},
        },
        customers={"type": "dataset"},
        draft={"type": "model"},
    )
    history.register("churn", "v1.0.0", message="First")
    history.register("churn", "v2.0.0", by=BOB)
    history.assign("churn", "prod", "v1.0.0", at=START + 100 * HOUR)
    history.assign("churn", "prod", "v2.0.0", at=START + 200 * HOUR, by=BOB)
    history.tag("churn@v3.0.0", target_type=ObjectType.BLOB)
    ingest_history("acme/churn", history, secret="hidden-secret", username="reader")
    ingest_history(
        "beta/churn", History(clock=START - 99 * HOUR).register("churn", "v5.0.0")
    )
    return history
