"""The page of a person's API tokens (threats C11, K1)."""

from __future__ import annotations

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from indexer.api_tokens import MOST_TOKENS, make_token
from indexer.models import ApiToken
from tests.views.dom import read, text_of

PAGE = "/account/tokens"
FORM = {"name": "CI of acme/churn", "scope": "read", "days": "90"}
READ = ApiToken.Scope.READ
TOKEN = re.compile(r"muster_[\w-]{43}")


def owner(name: str) -> User:
    return User.objects.get(username=name)


def test_C11_a_token_is_shown_once_and_kept_by_its_digest_alone(
    bob: Client, closed: None
) -> None:
    made = bob.post(PAGE, FORM)

    assert made.status_code == 200
    assert "no-store" in made["Cache-Control"]
    html = made.content.decode()
    (text,) = set(TOKEN.findall(html))
    copied = [
        attrs["data-copy"] for _, attrs in read(html).elements if "data-copy" in attrs
    ]
    assert copied == [text]
    assert text not in str(made.headers)

    again = bob.get(PAGE).content.decode()
    assert not TOKEN.search(again)
    token = ApiToken.objects.get()
    assert text not in str(vars(token))
    assert token.prefix in again
    assert len(token.prefix) == len("muster_") + 6
    assert FORM["name"] in again
    assert token.expires_at is not None
    assert timedelta(days=89) < token.expires_at - timezone.now() < timedelta(days=91)
    headers = {"Authorization": f"Bearer {text}"}
    assert Client().get("/api/v1/models", headers=headers).status_code == 200


def test_C11_two_tokens_have_nothing_in_common(bob: Client) -> None:
    texts = {make_token(owner("bob"), str(number), READ, None)[1] for number in (1, 2)}
    assert len(texts) == 2


def test_C11_the_scope_and_the_end_are_those_chosen(bob: Client) -> None:
    bob.post(PAGE, {"name": "deploys", "scope": "act", "days": ""})
    token = ApiToken.objects.get()
    assert (token.scope, token.expires_at) == ("act", None)
    assert "Read and act" in text_of(bob.get(PAGE).content.decode())


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "x" * 101},
        {"name": "two\nlines"},
        {"scope": "admin"},
        {"days": "9999"},
    ],
)
def test_a_form_that_makes_no_sense_makes_no_token(
    bob: Client, wrong: dict[str, str]
) -> None:
    assert bob.post(PAGE, FORM | wrong).status_code == 422
    assert not ApiToken.objects.exists()


def test_the_same_form_sent_twice_makes_one_token(bob: Client, alice: Client) -> None:
    bob.post(PAGE, FORM)
    again = bob.post(PAGE, FORM)

    assert again.status_code == 422
    assert "already" in again.content.decode()
    assert not TOKEN.search(again.content.decode())
    assert ApiToken.objects.count() == 1
    assert alice.post(PAGE, FORM).status_code == 200  # a name is one person's


def test_a_person_has_no_more_tokens_than_a_page_shows(bob: Client) -> None:
    for number in range(MOST_TOKENS):
        make_token(owner("bob"), f"token {number}", READ, None)
    assert bob.post(PAGE, FORM).status_code == 422
    bob.post(f"{PAGE}/{ApiToken.objects.all()[0].uuid}/revoke")
    assert bob.post(PAGE, FORM).status_code == 200


def test_C11_a_revoked_token_works_no_more_and_its_name_is_free(bob: Client) -> None:
    token, text = make_token(owner("bob"), FORM["name"], READ, None)
    headers = {"Authorization": f"Bearer {text}"}
    answer = bob.post(f"{PAGE}/{token.uuid}/revoke", follow=True)

    shown = answer.content.decode()
    assert "is revoked" in shown
    assert token.prefix not in shown
    assert Client().get("/api/v1/models", headers=headers).status_code == 401
    token.refresh_from_db()
    revoked_at = token.revoked_at
    assert bob.post(f"{PAGE}/{token.uuid}/revoke").status_code == 302
    token.refresh_from_db()
    assert token.revoked_at == revoked_at
    assert bob.post(PAGE, FORM).status_code == 200


def test_C11_nobody_sees_or_revokes_another_persons_token_here(
    alice: Client, bob: Client, charlie: Client
) -> None:
    token, _ = make_token(owner("bob"), "bobs own", READ, None)
    revoke = f"{PAGE}/{token.uuid}/revoke"

    assert "bobs own" not in alice.get(PAGE).content.decode()
    assert alice.post(revoke).status_code == 404
    assert alice.post(f"{PAGE}/{uuid4()}/revoke").status_code == 404
    for answer in (charlie.get(PAGE), charlie.post(PAGE, FORM), charlie.post(revoke)):
        assert answer.status_code == 302
        assert answer["Location"].startswith("/login?next=/")
    assert bob.get(revoke).status_code == 405
    token.refresh_from_db()
    assert token.revoked_at is None
    assert ApiToken.objects.count() == 1


def test_an_expired_token_says_so(bob: Client) -> None:
    make_token(owner("bob"), "old", READ, timezone.now() - timedelta(days=2))
    assert "Expired 2 days ago" in text_of(bob.get(PAGE).content.decode())


def test_the_name_at_the_top_leads_to_it(bob: Client, charlie: Client) -> None:
    assert f'href="{PAGE}"' in bob.get("/").content.decode()
    assert PAGE not in charlie.get("/").content.decode()
