"""Who may do what: Alice is an admin, Bob reads, Charlie is not signed in."""

from __future__ import annotations

import pytest
from django.test import Client

from indexer.models import Repository
from tests.views.addresses import OUR_ADDRESSES

OPEN = {"/healthz", "/login", "/admin/login/", "/favicon.ico"}
WRITES = {
    "/repositories/acme/churn/-/crawl",
    "/repositories/acme/churn/-/edit",
    "/repositories/acme/churn/-/remove",
    "/repositories/add",
}
# Of connections nobody but an admin sees anything: tests/views/test_connections.py.
CONNECTIONS = {name for name in OUR_ADDRESSES if name.startswith("/connections")}
# A person's own: tests/views/test_api_tokens.py.
ACCOUNT = {name for name in OUR_ADDRESSES if name.startswith("/account")}
# Who may act: tests/actions/test_pages.py; who sees what was done:
# tests/views/test_action_log.py.
ACTS = {name for name in OUR_ADDRESSES if name.startswith(("/act/", "/actions"))}
READS = sorted(
    set(OUR_ADDRESSES) - OPEN - WRITES - CONNECTIONS - ACCOUNT - ACTS - {"/logout"}
)


def test_the_lists_name_every_address() -> None:
    assert WRITES | OPEN | {"/logout", "/", "/activity"} <= set(OUR_ADDRESSES)
    assert len(READS) >= 9


@pytest.mark.parametrize("address", READS)
def test_everybody_reads_an_open_site(
    alice: Client, bob: Client, charlie: Client, acme: Repository, address: str
) -> None:
    for person in (alice, bob, charlie):
        assert person.get(address).status_code == 200


@pytest.mark.parametrize("address", READS)
def test_a_closed_site_sends_strangers_to_sign_in(
    alice: Client,
    bob: Client,
    charlie: Client,
    acme: Repository,
    closed: None,
    address: str,
) -> None:
    assert alice.get(address).status_code == 200
    assert bob.get(address).status_code == 200
    response = charlie.get(address)
    assert response.status_code == 302
    assert response["Location"].startswith("/login?next=/")
    assert b"churn" not in response.content


def test_a_closed_site_says_no_more_of_what_is_not_there(
    charlie: Client, acme: Repository, closed: None
) -> None:
    """Whether a model exists is not for strangers."""
    there = charlie.get("/models/acme/churn/-/churn")
    not_there = charlie.get("/models/acme/churn/-/nothing")
    assert there.status_code == not_there.status_code == 302


def test_a_fragment_for_a_stranger_leads_the_whole_page_to_sign_in(
    charlie: Client, acme: Repository, closed: None
) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/?stage=prod"}
    response = charlie.get("/?q=churn", headers=headers)
    assert response["HX-Redirect"] == "/login?next=/%3Fstage%3Dprod"
    assert b"churn" not in response.content


@pytest.mark.parametrize("address", sorted(WRITES))
def test_only_an_admin_may_write(
    alice: Client, bob: Client, charlie: Client, acme: Repository, address: str
) -> None:
    def state() -> list[tuple[object, ...]]:
        return list(Repository.objects.values_list("name", "requested_seq", "url"))

    before = state()
    assert bob.post(address).status_code == 403
    assert charlie.post(address)["Location"].startswith("/login?next=")
    assert bob.get(address).status_code in {403, 405}
    assert state() == before
    assert alice.post(address).status_code in {302, 422}


def test_an_admin_who_was_switched_off_is_a_stranger(
    alice: Client, acme: Repository, closed: None
) -> None:
    from django.contrib.auth.models import User

    User.objects.filter(username="alice").update(is_active=False)
    assert alice.get("/").status_code == 302
    assert alice.post("/repositories/acme/churn/-/crawl").status_code == 302


def test_readers_are_not_offered_what_they_may_not_do(
    alice: Client, bob: Client, acme: Repository
) -> None:
    for address in ("/", "/repositories", "/repositories/acme/churn/"):
        own, other = alice.get(address).content, bob.get(address).content
        assert b"/repositories/add" in own or b"/-/crawl" in own
        assert b"/repositories/add" not in other
        assert b"/-/crawl" not in other
        assert b"/-/edit" not in other
