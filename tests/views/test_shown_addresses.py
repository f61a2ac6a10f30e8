"""What was pasted with a credential in it is never shown again with it: not by a form
that refuses it, not in the sentence that says why."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from indexer.models import Connection, Repository
from indexer.providers.addresses import without_credential
from tests.views.addresses import CONNECTION

CANARY = "canary-27182818"
TOKEN = "ghp_canary271828182845904523536"
HELD = [
    f"https://{CANARY}@git.example.com/a/b",
    f"https://user:{CANARY}@git.example.com/a/b",
    f"https://user:x/{CANARY}@git.example.com/a/b",
    f"https://user:x?{CANARY}@git.example.com/a/b",
    f"https://user:{CANARY}#x@git.example.com/a/b",
    f"https://user:{CANARY}%40git.example.com/a/b",
    f"https://user:{CANARY}\uff20git.example.com/a/b",
    f"https://a@b:{CANARY}@git.example.com/a/b",
    f"https:/user:{CANARY}@git.example.com/a/b",
    f"//user:{CANARY}@git.example.com/a/b",
    f"ftp://user:{CANARY}@git.example.com/a/b",
    f"ssh://git:{CANARY}@git.example.com/a/b",
    f"git://{CANARY}@git.example.com/a/b",
    f"oauth2:{CANARY}@git.example.com:a/b",
    f"https://git.example.com/a/b?private_token={CANARY}",
    f"https://git.example.com/a/b?x=1@2&private_token={CANARY}",
    f"https://git.example.com/a/b?private_token=x@{CANARY}",
    f"https://git.example.com/a/b#{CANARY}",
    f"{TOKEN}@git.example.com:a/b",
    f"/{TOKEN}",
    f" https://user:{CANARY}@git.example.com/a/b\n",
]


@pytest.mark.parametrize("text", [*HELD, f"https://{TOKEN}/a/b"])
def test_T1_no_credential_is_left(text: str) -> None:
    shown = without_credential(text)
    assert "canary" not in shown
    assert without_credential(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "https://git.example.com/a/b",
        "https://git.example.com:8443/a/b.git",
        "git@git.example.com:a/b.git",
        "ssh://git@git.example.com:22/a/b",
        "git.example.com:a/b",
        "/srv/models/churn",
        "../churn",
        "acme",
        "acme/ml",
        "",
    ],
)
def test_what_holds_none_is_shown_as_it_is(text: str) -> None:
    assert without_credential(text) == text


@pytest.mark.parametrize("is_local", [True, False])
def test_T1_a_refused_address_is_shown_without_its_credential(
    alice: Client, acme: Repository, settings: Settings, is_local: bool
) -> None:
    settings.MUSTER_ALLOW_LOCAL = is_local
    settings.MUSTER_ALLOW_PRIVATE = True  # no name is looked up in a test
    for text in HELD:
        for address in ("/repositories/add", "/repositories/acme/churn/-/edit"):
            # The name is taken, the address is refused, or another field is wrong.
            for reading in ("", "guess"):
                form = {"url": text, "name": "acme/churn", "reading": reading}
                response = alice.post(address, form)
                assert response.status_code in {422, 302}, text
                assert b"canary" not in response.content, text


def test_a_credential_that_was_not_kept_is_asked_for(
    alice: Client, acme: Repository, settings: Settings
) -> None:
    settings.MUSTER_ALLOW_PRIVATE = True
    form = {"url": HELD[1], "name": "acme/churn"}
    html = alice.post("/repositories/add", form).content.decode()
    assert 'value="https://git.example.com/a/b"' in html
    assert "The token in the address is not shown again" in html
    assert '<details class="stack" open>' in html


def test_T1_nor_by_the_form_of_a_connection_or_of_a_token(
    alice: Client, connected: Connection
) -> None:
    for text in HELD:
        for address, form in (
            ("/connections/add/github", {"address": text, "owner": "acme"}),
            ("/connections/add/github", {"owner": text, "way": "api", "secret": "x"}),
            ("/connections/add/gitlab", {"address": text, "way": "api", "secret": "x"}),
            (f"/connections/{CONNECTION}/edit", {"address": text, "owner": text}),
            (
                "/account/providers/add",
                {"server": "another-github", "address": text, "secret": "x"},
            ),
        ):
            response = alice.post(address, form)
            assert response.status_code in {422, 302}, (address, text)
            assert b"canary" not in response.content, (address, text)
