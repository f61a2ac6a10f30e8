"""A server may quote what it was sent in its reasons: no token and no secret comes
back that way (threat K3)."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable

import pytest

from indexer.budgets import Unlimited
from indexer.providers.base import Owner, OwnerKind, RemoteRepository
from indexer.providers.errors import ProviderError
from indexer.providers.github.client import GitHubClient
from indexer.providers.github.host import GitHubHost
from indexer.providers.gitlab.client import GitLabClient
from indexer.providers.gitlab.host import GitLabHost
from tests.providers.wire import Wire, reply, wire

TOKEN = "0123456789abcdef0123456789abcdef01234567"  # as GitHub's were before 2021
SECRET = "whsec_CANARYabcdefghijklmnopqrstuvwxyz+/0123456789A="
URL = "https://muster.example.com/hooks/github/1"


def shown(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error) + str(error)


def github(wired: Wire) -> GitHubClient:
    return GitHubClient(wired.root, token=TOKEN, budget=Unlimited(), allow_private=True)


@pytest.mark.parametrize(
    "body",
    [
        {"errors": [{"message": f"Bad credentials {TOKEN}"}]},
        {"data": None, "errors": [{"type": "FORBIDDEN", "message": f"No: {TOKEN}"}]},
        {"message": f"No: {TOKEN}"},
        {"data": {}, "errors": [{"type": "INTERNAL", "message": f"Oh {TOKEN}"}]},
        {"data": {}, "errors": [{"path": ["r0"], "message": f"Oh {TOKEN}"}]},
        {"data": {}, "errors": [{"message": f"Oh {TOKEN}"}]},
    ],
)
def test_K3_a_query_whose_error_quotes_the_token(body: object) -> None:
    repository = RemoteRepository("1", "acme/churn")
    with wire() as wired:
        wired.say(reply(json.dumps(body)))
        try:
            found = GitHubHost(github(wired)).fetch_listings([repository])
        except ProviderError as error:
            said = shown(error)
        else:
            said = "".join(map(str, found.values()))
    assert said
    assert TOKEN not in said


def of_github(wired: Wire) -> None:
    owner = Owner(OwnerKind.ORGANISATION, "1", "acme")
    GitHubHost(github(wired)).create_hook(owner, "", url=URL, secret=SECRET)


def of_gitlab(wired: Wire) -> None:
    client = GitLabClient(
        f"{wired.root}/api/v4", token=TOKEN, budget=Unlimited(), allow_private=True
    )
    owner = Owner(OwnerKind.GROUP, "1", "acme")
    GitLabHost(client).create_hook(owner, "", url=URL, secret=SECRET)


@pytest.mark.parametrize("make", [of_github, of_gitlab])
@pytest.mark.parametrize("status", [400, 403, 409, 422])
@pytest.mark.parametrize("sent", [SECRET, f"token: [{SECRET}]", TOKEN])
def test_K3_a_refusal_that_quotes_a_webhooks_secret(
    make: Callable[[Wire], None], status: int, sent: str
) -> None:
    with wire() as wired:
        wired.say(reply(json.dumps({"message": f"Refused: {sent}"}), status))
        with pytest.raises(ProviderError) as refused:
            make(wired)
    said = shown(refused.value).split("test_echoes.py")[-1]
    sentence = refused.value.sentence + said
    assert "CANARY" not in sentence
    assert TOKEN not in sentence
