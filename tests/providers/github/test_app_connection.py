"""A GitHub App as a connection, from its key to a filled catalog."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.utils import timezone

from indexer import connections, polling, turns
from indexer.connections import Wish
from indexer.crypto import encrypt
from indexer.models import Connection, Repository
from indexer.providers.base import Ability
from indexer.providers.errors import Unavailable
from indexer.providers.registry import host_for
from tests.providers.github.test_apps import pem, public
from tests.providers.github_server import GitHubServer
from tests.providers.raw_repository import simple_repository

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_site")]


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def draft(github: GitHubServer, key: rsa.RSAPrivateKey, tmp_path: Path) -> Connection:
    """An app that is installed at acme, with one private repository."""
    bare = simple_repository(tmp_path / "churn.git").path
    github.add_repository("acme/churn", bare, private=True)
    app_id = github.add_app("muster", public(key), contents="read")
    github.install(app_id, "acme")
    return connections.draft_connection(
        Wish(
            kind="github",
            address=github.url,
            owner="acme",
            app_id=str(app_id),
            secret=pem(key),
        )
    )


def test_its_rights_are_those_of_its_installation(
    github: GitHubServer, draft: Connection
) -> None:
    """K7"""
    found = connections.test_connection(draft)
    assert found.works, found.sentence
    granted = {right.ability: right.granted for right in found.rights}
    assert granted == {
        Ability.READ: True,
        Ability.TAGS: False,
        Ability.CONTENTS: False,
        Ability.HOOKS: False,
    }
    draft.refresh_from_db()
    assert draft.owner_kind == Connection.OwnerKind.INSTALLATION
    assert [right["granted"] for right in draft.rights] == [True, False, False, False]


def test_it_fills_the_catalog_and_keeps_its_token_encrypted(
    github: GitHubServer, draft: Connection
) -> None:
    """K1"""
    assert connections.test_connection(draft).works
    connections.connect(draft)
    assert polling.poll(draft.pk)
    turns.crawl_owed()
    repository = Repository.objects.get()
    assert (repository.name, repository.state) == ("acme/churn", Repository.State.OK)
    draft.refresh_from_db()
    assert draft.access
    assert not any(token in draft.access for token in github.tokens)
    assert "PRIVATE KEY" not in draft.secret
    # One token serves all of it.
    assert github.count("access_tokens") == 1


@pytest.mark.parametrize("is_fresh", [True, False])
def test_K5_a_token_of_the_new_server_is_not_used_at_the_old_one(
    github: GitHubServer, draft: Connection, is_fresh: bool
) -> None:
    """Nor is one that the old server gives kept for the new one: whoever works with
    the connection as it was must begin anew."""
    assert connections.test_connection(draft).works
    asked = github.count("access_tokens")
    row = Connection.objects.filter(pk=draft.pk)
    theirs = encrypt("ghs_ofTheOtherServer") if is_fresh else ""
    row.update(
        web_url="https://ghe.example.com",
        api_url="https://ghe.example.com/api/v3",
        access=theirs,
        access_expires_at=timezone.now() + timedelta(hours=1),
    )
    draft.access, draft.access_expires_at = "", None
    with pytest.raises(Unavailable):
        host_for(draft)
    assert github.count("access_tokens") == asked
    assert row.get().access == theirs
