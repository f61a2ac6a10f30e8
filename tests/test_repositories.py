"""Changing a connected repository: what becomes of its credential."""

from __future__ import annotations

import pytest
from pytest_django.fixtures import Settings

from indexer.crypto import decrypt
from indexer.models import Repository
from indexer.repositories import add_repository, change_repository

pytestmark = pytest.mark.django_db

HERE = "https://git.example.org:8443/team/models"


@pytest.fixture
def repository(settings: Settings) -> Repository:
    settings.MUSTER_ALLOW_PRIVATE = True  # names are not looked up
    return add_repository(HERE, secret="canary-2718", wake=False)


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.net:8443/team/models",
        "http://git.example.org:8443/team/models",
        "https://git.example.org/team/models",
        "https://git.example.org:8444/team/models",
        "git@git.example.org:team/models",
        "git://git.example.org:8443/team/models",
    ],
)
def test_S6_a_credential_stays_behind_when_the_server_changes(
    repository: Repository, url: str
) -> None:
    change_repository(repository, url=url)
    repository.refresh_from_db()
    assert repository.secret == ""
    change_repository(repository, url=HERE)
    repository.refresh_from_db()
    assert repository.secret == ""


@pytest.mark.parametrize("url", [HERE, HERE + ".git", f"{HERE}-renamed"])
def test_S6_a_credential_is_kept_for_another_path_of_its_server(
    repository: Repository, url: str
) -> None:
    change_repository(repository, url=url)
    repository.refresh_from_db()
    assert decrypt(repository.secret) == "canary-2718"


def test_S6_a_credential_entered_with_the_change_goes_to_the_new_server(
    repository: Repository,
) -> None:
    change_repository(
        repository, url="https://git.example.net/x/y", secret="canary-3141"
    )
    repository.refresh_from_db()
    assert decrypt(repository.secret) == "canary-3141"
