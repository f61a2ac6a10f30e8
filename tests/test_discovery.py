"""Discovery: who a repository is, what becomes of it, what proves that it is gone."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from indexer import connections, jobs, turns
from indexer.index_dump import index_dump
from indexer.ingest import LeaseLost
from indexer.models import Artifact, Connection, Crawl, FormerName, Repository, Tag
from indexer.repositories import add_repository, remove_repository
from tests.connecting import Acme, looked_at, names

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_site")]


def test_a_connection_fills_the_catalog(acme: Acme) -> None:
    for name in ("churn", "risk"):
        acme.add(name, description="A model", private=name == "risk")
    acme.add("copy", fork=True)
    connection = acme.filled()
    assert (connection.state, connection.message) == ("ok", "")
    assert names() == ["acme/churn", "acme/risk"]
    row = Repository.objects.get(name="acme/risk")
    assert row.state == Repository.State.OK, row.message
    assert row.provider == "github"
    assert row.is_private
    assert row.description == "A model"
    assert (row.read_by, row.read_by_why) == ("api", "")
    assert row.checked_at is not None
    assert row.url == f"{acme.server.url}/acme/risk.git"
    crawl = row.crawls.get()
    assert (crawl.status, crawl.trigger) == ("changed", "added")
    assert crawl.requests > 0
    assert Artifact.objects.count() == 2
    assert connection.listed_count == 3


def test_through_a_mirror_the_rows_are_the_same(acme: Acme) -> None:
    acme.add("churn")
    acme.filled()
    row = Repository.objects.get()
    before = index_dump(row)
    Connection.objects.update(way="mirror")
    jobs.request_crawl(row, trigger=Crawl.Trigger.BUTTON, wake=False)
    Repository.objects.update(fingerprint="")
    turns.crawl_owed()
    row.refresh_from_db()
    assert row.read_by == "mirror"
    assert row.fingerprint
    assert index_dump(row) == before


def test_F_P5_a_renamed_repository_keeps_its_history_and_leaves_a_trace(
    acme: Acme,
) -> None:
    acme.add("churn")
    connection = acme.filled()
    row = Repository.objects.get()
    seen = list(Tag.objects.values_list("first_seen_at", flat=True))
    acme.server.rename("acme/churn", "attrition")
    looked_at(connection, whole=True)
    requests = len(acme.server.requests)
    turns.crawl_owed()
    assert len(acme.server.requests) - requests <= 3, "only the refs are read"
    renamed = Repository.objects.get()
    assert (renamed.pk, renamed.name) == (row.pk, "acme/attrition")
    assert renamed.path == "acme/attrition"
    assert renamed.url.endswith("/acme/attrition.git")
    assert FormerName.objects.get(name="acme/churn").repository_id == row.pk
    assert list(Tag.objects.values_list("first_seen_at", flat=True)) == seen
    assert "attrition" in Artifact.objects.get().search


def test_Z7_an_old_name_used_again_is_a_new_repository(acme: Acme) -> None:
    old_id = acme.add("churn")
    connection = acme.filled()
    old = Repository.objects.get(provider_id=old_id)
    acme.server.rename("acme/churn", "churn-2019")
    new_id = acme.add("churn")
    looked_at(connection, whole=True)
    turns.crawl_owed()
    old.refresh_from_db()
    assert old.name == "acme/churn-2019"
    new = Repository.objects.get(provider_id=new_id)
    assert new.name == "acme/churn"
    assert Tag.objects.filter(repository=old).count() == 3
    assert {row.repository_id for row in Artifact.objects.all()} == {old.pk, new.pk}


def test_Z7_a_repository_made_anew_by_the_same_name_is_another(acme: Acme) -> None:
    acme.add("churn")
    connection = acme.filled()
    old = Repository.objects.get()
    acme.server.delete("acme/churn")
    new_id = acme.add("churn")
    looked_at(connection, whole=True)
    turns.crawl_owed()
    old.refresh_from_db()
    assert old.hidden_at is not None
    new = Repository.objects.get(provider_id=new_id)
    assert (new.name, new.hidden_at) == ("acme/churn", None)
    assert old.name != new.name
    assert Artifact.objects.get().repository_id == new.pk
    assert Tag.objects.filter(repository=old).count() == 3, "what was seen stays"


def test_names_that_were_swapped(acme: Acme) -> None:
    ids = [acme.add("blue"), acme.add("green")]
    connection = acme.filled()
    acme.server.rename("acme/blue", "x")
    acme.server.rename("acme/green", "blue")
    acme.server.rename("acme/x", "green")
    looked_at(connection, whole=True)
    by_id = dict(Repository.objects.values_list("provider_id", "name"))
    assert by_id == {ids[0]: "acme/green", ids[1]: "acme/blue"}


def test_F_P5_a_deleted_repository_is_hidden_and_comes_back(acme: Acme) -> None:
    acme.add("churn")
    acme.add("risk")
    connection = acme.filled()
    before = index_dump(Repository.objects.get(name="acme/churn"))
    acme.server.hide("acme/churn")
    looked_at(connection, whole=True)
    row = Repository.objects.get(name="acme/churn")
    assert row.hidden_at is not None
    assert "deleted" in row.hidden_why
    assert names() == ["acme/risk"]
    assert not Artifact.objects.filter(repository=row).exists()
    assert row.artifact_count == row.event_count == 0
    assert Tag.objects.filter(repository=row).count() == 3
    assert row.pk not in turns.plan()
    acme.server.hide("acme/churn", hidden=False)
    looked_at(connection, whole=True)
    row.refresh_from_db()
    assert row.hidden_why == ""
    assert Artifact.objects.filter(repository=row).count() == 1, "at once"
    turns.crawl_owed()
    assert index_dump(Repository.objects.get(name="acme/churn")) == before


def test_a_crawl_of_a_repository_that_is_hidden_writes_nothing(acme: Acme) -> None:
    acme.add("churn")
    connection = acme.filled()
    row = Repository.objects.get()
    jobs.request_crawl(row, trigger=Crawl.Trigger.BUTTON, wake=False)
    lease = jobs.claim(row.pk)
    assert lease is not None
    acme.server.hide("acme/churn")
    looked_at(connection, whole=True)
    with pytest.raises(LeaseLost):
        jobs.finish(lease, Crawl.Status.CHANGED)


def test_F_P5_one_that_was_transferred_is_hidden_unless_a_connection_has_it(
    acme: Acme,
) -> None:
    acme.add("churn")
    acme.add("risk")
    acme.server.add_owner("umbrella")
    acme.server.add_owner("elsewhere")
    first = acme.filled()
    acme.connect(owner="umbrella")
    acme.server.transfer("acme/churn", "umbrella")
    acme.server.transfer("acme/risk", "elsewhere")
    looked_at(first, whole=True)
    churn = Repository.objects.get(path="umbrella/churn")
    assert (churn.name, churn.hidden_at) == ("umbrella/churn", None)
    assert churn.connection is not None
    assert churn.connection.owner == "umbrella"
    risk = Repository.objects.get(name="acme/risk")
    assert risk.hidden_at is not None
    assert "elsewhere/risk" in risk.hidden_why


def test_F_P5_archived_private_and_described_anew(acme: Acme) -> None:
    acme.add("churn")
    connection = acme.filled()
    acme.server.archive("acme/churn")
    acme.server.repository("acme/churn").is_private = True
    looked_at(connection, whole=True)
    row = Repository.objects.get()
    assert (row.is_archived, row.is_private, row.hidden_at) == (True, True, None)
    Connection.objects.update(with_archived=False)
    looked_at(connection, whole=True)
    row.refresh_from_db()
    assert "archived" in row.hidden_why


def test_patterns_hide_and_show(acme: Acme) -> None:
    acme.add("churn")
    acme.add("playground")
    connection = acme.filled()
    Connection.objects.update(exclude="play*")
    looked_at(connection, whole=True)
    assert names() == ["acme/churn"]
    assert "play*" in Repository.objects.get(name="acme/playground").hidden_why
    Connection.objects.update(exclude="")
    looked_at(connection, whole=True)
    assert names() == ["acme/churn", "acme/playground"]


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 503, "body": b"<html>", "headers": {"Content-Type": "text/html"}},
        {"status": 403, "body": {"message": "Forbidden"}},
        {"status": 403, "headers": {"Retry-After": "60"}, "body": {"message": "slow"}},
        {"status": 204},
        {"status": 200, "body": b""},
        {"status": 200, "body": b"null"},
        {"status": 200, "body": b"[]"},
        {"status": 302, "headers": {"Location": "/elsewhere"}},
        {"truncate": 200},
        {"reset": "after"},
    ],
    ids=lambda fault: "-".join(map(str, fault.values()))[:30],
)
def test_Z6_a_list_that_did_not_come_whole_changes_nothing(
    acme: Acme, fault: dict[str, Any]
) -> None:
    acme.add_copies(101)
    connection = acme.connect()
    looked_at(connection, whole=True)
    assert len(names()) == 101
    before = _rows()
    acme.server.is_checked = False
    acme.server.fault("page=2", times=None, **fault)
    looked_at(connection, whole=True)
    assert _rows() == before
    if (
        fault.get("body") != b"[]"
    ):  # a page that is empty is whole: the rest is asked for
        assert connection.state != Connection.State.OK
        assert connection.message


def _rows() -> list[tuple[Any, ...]]:
    return list(
        Repository.objects.order_by("pk").values_list(
            "pk", "name", "path", "hidden_at", "artifact_count", "state"
        )
    )


def test_a_repository_added_by_address_is_adopted(acme: Acme) -> None:
    number = acme.add("churn")
    added = add_repository(
        f"{acme.server.url}/acme/churn", name="models/churn", wake=False
    )
    connection = acme.filled()
    row = Repository.objects.get()
    assert (row.pk, row.name) == (added.pk, "models/churn")
    assert (row.provider_id, row.connection_id) == (number, connection.pk)
    acme.server.rename("acme/churn", "attrition")
    looked_at(connection, whole=True)
    row.refresh_from_db()
    assert (row.name, row.path) == ("models/churn", "acme/attrition")


def test_a_name_that_is_taken_gets_the_server_in_front(acme: Acme) -> None:
    acme.add("churn")
    other = Repository.objects.create(
        name="acme/churn", url="https://example.org/x", added_at="2026-01-01T00:00Z"
    )
    acme.connect()
    looked_at(Connection.objects.get(), whole=True)
    name = Repository.objects.exclude(pk=other.pk).get().name
    assert name.startswith("127.0.0.1-")
    assert name.endswith("/acme/churn")


def test_a_connection_that_goes_leaves_its_repositories_and_a_new_one_takes_them(
    acme: Acme,
) -> None:
    acme.add("churn")
    connection = acme.filled()
    connections.remove_connection(connection, with_repositories=False)
    row = Repository.objects.get()
    assert row.connection_id is None
    assert row.hidden_at is None
    second = acme.connect()
    looked_at(second, whole=True)
    row.refresh_from_db()
    assert row.connection_id == second.pk
    assert Repository.objects.count() == 1
    connections.remove_connection(second, with_repositories=True)
    assert Repository.objects.count() == 0


def test_the_token_goes_to_the_connection_s_server_alone(acme: Acme) -> None:
    acme.add("churn")
    acme.server.link_base = "http://127.0.0.1:9"
    acme.filled()
    row = Repository.objects.get()
    assert row.url.startswith(acme.server.url)
    assert row.state == Repository.State.OK, row.message


def test_a_repository_that_was_removed_by_hand_stays_away(acme: Acme) -> None:
    acme.add("churn")
    acme.add("risk")
    connection = acme.filled(exclude="play*")
    remove_repository(Repository.objects.get(name="acme/churn"))
    connection = looked_at(connection, whole=True)
    assert names() == ["acme/risk"]
    assert connection.exclude.split() == ["play*", "acme/churn"]


def test_a_crawl_by_hand_of_what_nobody_crawls_says_why(acme: Acme) -> None:
    acme.add("churn")
    connection = acme.filled()
    out = io.StringIO()
    Connection.objects.update(state=Connection.State.DENIED)
    with pytest.raises(CommandError):
        call_command("crawl", "acme/churn", stdout=out)
    assert "reconnected" in out.getvalue()
    Connection.objects.update(state=Connection.State.OK)
    acme.server.hide("acme/churn")
    looked_at(connection, whole=True)
    with pytest.raises(CommandError):
        call_command("crawl", "acme/churn", stdout=out)
    assert "is hidden" in out.getvalue()
