from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pytest_django import Settings

from indexer.crypto import WrongKey, encrypt
from indexer.models import Repository
from indexer.providers.git.reader import GitProvider
from indexer.providers.registry import PROVIDERS, provider_for, remote_of


@pytest.fixture
def repository(settings: Settings, tmp_path: Path) -> Repository:
    settings.MUSTER_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    settings.MUSTER_DATA = tmp_path
    settings.MUSTER_ALLOW_LOCAL = False
    settings.MUSTER_ALLOW_PRIVATE = True
    return Repository(
        pk=7,
        name="owner/name",
        provider="git",
        url="https://example.org/owner/name",
        username="alice",
        secret=encrypt("glpat-CANARY"),
    )


def test_a_row_becomes_a_remote(repository: Repository, tmp_path: Path) -> None:
    remote = remote_of(repository)
    assert remote.url == "https://example.org/owner/name"
    assert (remote.username, remote.secret) == ("alice", "glpat-CANARY")
    assert remote.mirror.parent == tmp_path / "mirrors"
    assert remote.mirror.name.startswith("7")
    assert (remote.allow_local, remote.allow_private) == (False, True)
    assert "CANARY" not in repr(remote)
    assert isinstance(provider_for(repository), GitProvider)


def test_a_row_without_a_credential_needs_no_key(
    repository: Repository, settings: Settings
) -> None:
    settings.MUSTER_ENCRYPTION_KEYS = ["nonsense"]
    repository.secret = ""
    assert remote_of(repository).secret == ""


def test_K1_a_lost_key_is_loud(repository: Repository, settings: Settings) -> None:
    settings.MUSTER_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(WrongKey):
        provider_for(repository)


def test_every_kind_of_repository_has_a_provider() -> None:
    assert set(PROVIDERS) == {kind.value for kind in Repository.Provider}
