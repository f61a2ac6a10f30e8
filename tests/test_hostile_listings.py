"""What a provider says of its repositories may be anything: the good ones are taken,
and nothing is stored that one database takes and the other refuses (threats P7, P8)."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import models

from indexer import connections, polling, wakeup
from indexer.connections import Wish
from indexer.models import Connection, FormerName, Repository
from tests.connecting import Acme, looked_at, names, serve_acme
from tests.providers.wire import Wire, reply, wire

pytestmark = pytest.mark.django_db

ODD = "nul\0 \ud800 \u202e <script>alert(1)</script> " + "é" * 5000


@pytest.fixture(autouse=True)
def own_settings(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MUSTER_DATA = tmp_path / "data"
    settings.MUSTER_ALLOW_PRIVATE = True
    settings.MUSTER_WORKERS = 9
    monkeypatch.setattr(wakeup, "wake", lambda *_: None)


@pytest.fixture
def acme(tmp_path: Path) -> Iterator[Acme]:
    with serve_acme(tmp_path / "remotes") as running:
        running.add("churn")
        running.add("risk")
        running.server.is_checked = False
        yield running


def listing(acme: Acme) -> list[dict[str, Any]]:
    """What the server lists."""
    import requests

    answer = requests.get(
        f"{acme.server.url}/api/v3/orgs/acme/repos?sort=created&direction=asc",
        headers={"Authorization": f"Bearer {acme.server.token}"},
        timeout=10,
    )
    found: list[dict[str, Any]] = answer.json()
    return found


def fits(row: models.Model) -> None:
    """PostgreSQL takes no NUL, no lone surrogate and nothing beyond a column's length;
    SQLite takes them all."""
    for column in row._meta.concrete_fields:
        value = getattr(row, column.attname)
        if isinstance(value, str):
            value.encode()
            assert "\0" not in value, column.name
            if column.max_length is not None:
                assert len(value) <= column.max_length, column.name


@pytest.mark.parametrize(
    "odd",
    [
        {"description": ODD},
        {"description": "x" * 1_000_000},
        {"default_branch": ODD},
        {"default_branch": "../../x"},
        {"default_branch": "--upload-pack=touch /tmp/canary"},
        {"full_name": "acme/" + "x" * 1000, "name": "x" * 1000},
        {"pushed_at": "9999-12-31T23:59:59Z"},
        {"pushed_at": "0001-01-01T00:00:00+00:00"},
        {"html_url": "javascript:alert(1)", "clone_url": "https://evil.example/x.git"},
    ],
    ids=lambda odd: f"{next(iter(odd))} {str(next(iter(odd.values())))[:12]!a}",
)
def test_P8_one_odd_repository_stops_no_other(acme: Acme, odd: dict[str, Any]) -> None:
    found = listing(acme)
    found[0] |= odd
    acme.server.fault("/orgs/acme/repos?", times=None, body=found, status=200)
    connection = acme.connect()
    looked_at(connection, whole=True)
    connection.refresh_from_db()
    assert connection.state == Connection.State.OK, connection.message
    assert "acme/risk" in names()
    for row in Repository.objects.all():
        fits(row)
        assert row.url.startswith(acme.server.url)
    fits(connection)


@pytest.mark.parametrize(
    "number",
    [True, 1.5, -1, 0, "7", None, 2**63, 10**100, [1], {"a": 1}],
    ids=str,
)
def test_P9_a_number_that_is_none_changes_nothing(acme: Acme, number: Any) -> None:
    connection = acme.connect()
    looked_at(connection, whole=True)
    before = sorted(Repository.objects.values_list("pk", "name", "provider_id"))
    found = listing(acme)
    found[0]["id"] = number
    acme.server.fault("/orgs/acme/repos?", times=None, body=found, status=200)
    looked_at(connection, whole=True)
    assert connection.state == Connection.State.FAILING
    assert connection.message
    after = sorted(Repository.objects.values_list("pk", "name", "provider_id"))
    assert after == before


def test_Z7_two_repositories_of_one_name_are_two(acme: Acme) -> None:
    found = listing(acme)
    twin = copy.deepcopy(found[0]) | {"id": 2**62}
    acme.server.fault("repos?", times=None, body=[*found, twin], status=200)
    connection = acme.connect()
    looked_at(connection, whole=True)
    assert connection.state == Connection.State.OK, connection.message
    assert len(names()) == 3


def test_Z7_a_name_like_one_of_ours_in_between_is_only_a_name(acme: Acme) -> None:
    """While several are renamed each has a name that no other may have."""
    connection = acme.filled()
    row = Repository.objects.get(name="acme/churn")
    acme.add(f"churn--{row.pk}")
    looked_at(connection, whole=True)
    acme.server.rename("acme/churn", "attrition")
    looked_at(connection, whole=True)
    assert connection.state == Connection.State.OK, connection.message
    row.refresh_from_db()
    assert row.name == "acme/attrition"
    assert FormerName.objects.get(name="acme/churn").repository_id == row.pk


def test_Z7_a_number_of_another_connection_is_not_taken(acme: Acme) -> None:
    acme.server.add_owner("globex")
    acme.add("secret", owner="globex", private=True)
    other = acme.connect(owner="globex")
    looked_at(other, whole=True)
    theirs = Repository.objects.get(name="globex/secret")
    found = listing(acme)
    found[0] |= {"id": int(theirs.provider_id), "description": "mine now"}
    acme.server.fault("/orgs/acme/repos?", times=None, body=found, status=200)
    looked_at(acme.connect(), whole=True)
    theirs.refresh_from_db()
    assert theirs.connection_id == other.pk
    assert (theirs.name, theirs.description) == ("globex/secret", "")


@pytest.fixture
def gitlab() -> Iterator[Wire]:
    with wire() as running:
        yield running


GROUP = {"id": 1, "full_path": "acme", "kind": "group"}
PROJECT = {
    "id": 15, "path_with_namespace": "acme/churn", "default_branch": "main",
    "description": "", "archived": False, "visibility": "private",
    "last_activity_at": "2026-01-01T00:00:00Z", "empty_repo": True,
}  # fmt: skip


@pytest.mark.parametrize(
    "odd",
    [
        {"description": ODD},
        {"default_branch": ODD},
        {"path_with_namespace": "acme/" + "x" * 1000},
        {"path_with_namespace": "acme/" + "ü" * 400},
        {"path_with_namespace": "acme/a?b#c%2e%2e"},
        {"last_activity_at": "9999-12-31T23:59:59Z"},
    ],
    ids=lambda odd: f"{next(iter(odd))} {str(next(iter(odd.values())))[:12]!a}",
)
def test_P8_one_odd_project_stops_no_other(gitlab: Wire, odd: dict[str, Any]) -> None:
    good = PROJECT | {"id": 16, "path_with_namespace": "acme/risk"}
    gitlab.say(
        reply(json.dumps(GROUP)),
        reply(json.dumps([PROJECT | odd, good]), headers={"X-Next-Page": ""}),
        reply(b"[]"),
    )
    connection = connections.draft_connection(
        Wish("gitlab", gitlab.root, "acme", "glpat-x", with_hooks=False)
    )
    connections.connect(connection)
    polling.poll(connection.pk)
    connection.refresh_from_db()
    assert connection.state == Connection.State.OK, connection.message
    assert "acme/risk" in names()
    for row in Repository.objects.all():
        fits(row)
        assert row.url.startswith(f"{gitlab.root}/acme/")
        assert "?" not in row.url
        assert "#" not in row.url


def test_Z7_at_gitlab_two_projects_may_not_be_one(gitlab: Wire) -> None:
    """A list that names one number twice is none."""
    gitlab.say(
        reply(json.dumps(GROUP)),
        reply(json.dumps([PROJECT, PROJECT]), headers={"X-Next-Page": ""}),
    )
    connection = connections.draft_connection(
        Wish("gitlab", gitlab.root, "acme", "glpat-x", with_hooks=False)
    )
    connections.connect(connection)
    polling.poll(connection.pk)
    connection.refresh_from_db()
    assert connection.state != Connection.State.OK
    assert connection.message
    assert not Repository.objects.exists()
