"""Owners and repositories as a token sees them, over real HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from indexer.providers.base import Owner, OwnerKind, RemoteRepository
from indexer.providers.errors import (
    AddressRefused,
    BadPayload,
    NotFound,
    ProviderError,
)
from indexer.providers.github.host import GitHubHost
from tests.providers.api_requests import Grant
from tests.providers.github.conftest import ClientOf
from tests.providers.github_server import GitHubServer


def paths(found: list[RemoteRepository] | tuple[RemoteRepository, ...]) -> list[str]:
    return [repository.path for repository in found]


# Owners ------------------------------------------------------------------------------


def test_it_finds_organisations_and_users(
    github: GitHubServer, host: GitHubHost
) -> None:
    acme, alice = github.add_owner("Acme"), github.add_owner("alice", kind="user")
    assert host.find_owner("acme") == Owner(
        OwnerKind.ORGANISATION, str(acme.id), "Acme"
    )
    assert host.find_owner("alice") == Owner(OwnerKind.USER, str(alice.id), "alice")


def test_without_a_name_it_finds_whose_the_token_is(
    github: GitHubServer, host: GitHubHost, client_of: ClientOf
) -> None:
    assert host.find_owner("").path == "robot"
    with pytest.raises(NotFound, match="Enter whose"):
        GitHubHost(client_of("")).find_owner("")


def test_an_owner_that_is_none_is_a_plain_error(host: GitHubHost) -> None:
    with pytest.raises(NotFound, match="no organisation or user “acme”"):
        host.find_owner("acme")


def test_a_server_without_the_api_is_called_no_github(
    github: GitHubServer, host: GitHubHost
) -> None:
    github.fault("/user", status=404)
    with pytest.raises(NotFound, match="No GitHub answers at this address"):
        host.find_owner("acme")


@pytest.mark.parametrize("path", ["../user", "acme/churn", "acme?x", "acme#", "ac me"])
def test_an_owner_with_an_odd_name_is_never_asked_for(
    github: GitHubServer, host: GitHubHost, path: str
) -> None:
    """S7"""
    with pytest.raises(AddressRefused):
        host.find_owner(path)
    assert not github.count(path)
    assert {r.path for r in github.requests} <= {"/api/v3/user"}


# Lists -------------------------------------------------------------------------------


def test_it_lists_all_of_an_organisation_oldest_first(
    github: GitHubServer, host: GitHubHost, bare: Path
) -> None:
    ids = [
        github.add_repository("acme/churn", bare, private=True),
        github.add_repository("acme/attic", bare, archived=True, description="Old"),
        github.add_repository("acme/fork", bare, fork=True),
    ]
    github.add_repository("other/thing", bare)
    found = host.list_repositories(host.find_owner("acme"))
    assert [repository.id for repository in found] == ids
    assert paths(found) == ["acme/churn", "acme/attic", "acme/fork"]
    assert [r.is_private for r in found] == [True, False, False]
    assert [r.is_archived for r in found] == [False, True, False]
    assert [r.is_fork for r in found] == [False, False, True]
    assert [r.description for r in found] == ["", "Old", ""]
    assert found[0].default_branch == "main"
    assert found[0].pushed_at == github.repository("acme/churn").pushed_at


def test_it_tells_how_far_a_long_list_is(
    github: GitHubServer, host: GitHubHost, bare: Path
) -> None:
    for number in range(101):
        github.add_repository(f"acme/model-{number}", bare)
    told: list[int] = []
    host.list_repositories(
        host.find_owner("acme"),
        progress=lambda phase, done=0, total=0: told.append(done),
    )
    assert told == [100, 101]


def test_of_oneself_private_repositories_are_listed_too(
    github: GitHubServer, host: GitHubHost, bare: Path
) -> None:
    github.add_repository("robot/secret", bare, private=True)
    github.add_repository("acme/churn", bare)
    github.add_owner("alice", kind="user")
    github.add_repository("alice/private", bare, private=True)
    github.add_repository("alice/public", bare)
    assert paths(host.list_repositories(host.find_owner(""))) == ["robot/secret"]
    assert paths(host.list_repositories(host.find_owner("alice"))) == ["alice/public"]


def test_without_a_token_public_repositories_are_listed(
    github: GitHubServer, client_of: ClientOf, bare: Path
) -> None:
    github.add_repository("acme/churn", bare)
    github.add_repository("acme/secret", bare, private=True)
    host = GitHubHost(client_of(""))
    found = host.list_repositories(host.find_owner("acme"))
    assert paths(found) == ["acme/churn"]
    assert all("authorization" not in r.headers for r in github.requests)


def test_an_owner_that_was_renamed_is_found_by_its_number(
    github: GitHubServer, host: GitHubHost, bare: Path
) -> None:
    """Z7"""
    github.add_repository("acme/churn", bare)
    owner = host.find_owner("acme")
    account = github.accounts.pop("acme")
    account.login = "apex"
    github.accounts["apex"] = account
    assert paths(host.list_repositories(owner)) == ["apex/churn"]


def test_a_stranger_who_took_an_old_name_is_not_listed(
    github: GitHubServer, host: GitHubHost, bare: Path
) -> None:
    """Z7"""
    github.add_repository("acme/churn", bare)
    owner = host.find_owner("acme")
    account = github.accounts.pop("acme")
    account.login = "apex"
    github.accounts["apex"] = account
    github.add_repository("acme/churn", bare)
    assert paths(host.list_repositories(owner)) == ["apex/churn"]
    page = host.pushed_lately(owner)
    assert page.repositories == ()


def test_an_owner_that_is_gone_is_no_empty_list(
    github: GitHubServer, host: GitHubHost, bare: Path
) -> None:
    """Z6"""
    github.add_repository("acme/churn", bare)
    owner = host.find_owner("acme")
    del github.accounts["acme"]
    with pytest.raises(NotFound):
        host.list_repositories(owner)


REPOSITORY: dict[str, Any] = {
    "id": 7,
    "full_name": "acme/churn",
    "owner": {"id": 5, "login": "acme", "type": "Organization"},
    "private": False,
    "fork": False,
    "archived": False,
    "default_branch": "main",
    "description": None,
    "pushed_at": "2026-01-02T03:04:05Z",
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "7"},
        {"id": True},
        {"id": None},
        {"full_name": "churn"},
        {"full_name": "acme/../user"},
        {"full_name": "acme/.."},
        {"full_name": "acme/a/b"},
        {"full_name": "acme/churn\n"},
        {"full_name": 3},
        {"owner": None},
        {"owner": {"id": 5, "login": "..", "type": "Organization"}},
        {"owner": {"login": "acme"}},
        {"private": None},
        {"archived": "no"},
        {"pushed_at": "yesterday"},
        {"pushed_at": "2026-01-02T03:04:05"},
        {"pushed_at": 5},
        {"description": ["x"]},
        {"default_branch": {}},
    ],
)
def test_a_repository_of_an_odd_shape_is_a_plain_error(
    github: GitHubServer, host: GitHubHost, wrong: dict[str, Any]
) -> None:
    """F-P3, S7"""
    owner = Owner(OwnerKind.ORGANISATION, "5", "acme")
    github.fault("/repos?", status=200, body=[REPOSITORY], times=1)
    assert paths(host.list_repositories(owner)) == ["acme/churn"]
    github.fault("/repos?", status=200, body=[REPOSITORY | wrong], times=None)
    with pytest.raises(BadPayload):
        host.list_repositories(owner)


def test_one_repository_is_found_by_its_number_wherever_it_is(
    github: GitHubServer, host: GitHubHost, bare: Path
) -> None:
    """Z7, F-P5"""
    number = github.add_repository("acme/churn", bare)
    github.add_owner("other")
    github.rename("acme/churn", "attrition")
    github.transfer("acme/attrition", "other")
    assert host.fetch_repository(number).path == "other/attrition"
    github.delete("other/attrition")
    with pytest.raises(NotFound):
        host.fetch_repository(number)
    with pytest.raises(AddressRefused):
        host.fetch_repository("../user")


# What changed ------------------------------------------------------------------------


def test_what_was_pushed_to_last_comes_first_and_nothing_is_free(
    github: GitHubServer, host: GitHubHost, bare: Path
) -> None:
    for name in ("churn", "price", "risk"):
        github.add_repository(f"acme/{name}", bare)
    github.touch("acme/price")
    owner = host.find_owner("acme")
    page = host.pushed_lately(owner)
    assert page.repositories is not None
    assert page.repositories[0].path == "acme/price"
    assert not page.has_more

    again = host.pushed_lately(owner, etag=page.etag)
    assert again.repositories is None
    assert again.etag == page.etag
    assert github.requests[-1].status == 304

    github.touch("acme/risk")
    later = host.pushed_lately(owner, etag=page.etag)
    assert later.repositories is not None
    assert later.repositories[0].path == "acme/risk"


def test_what_was_pushed_to_has_pages(
    github: GitHubServer, host: GitHubHost, bare: Path
) -> None:
    for number in range(150):
        github.add_repository(f"acme/model-{number}", bare)
    owner = host.find_owner("acme")
    first = host.pushed_lately(owner)
    second = host.pushed_lately(owner, page=2)
    assert first.has_more
    assert not second.has_more
    assert first.repositories is not None
    assert second.repositories is not None
    assert len({*paths(first.repositories), *paths(second.repositories)}) == 150


# An app's token ----------------------------------------------------------------------


@pytest.fixture
def installed(github: GitHubServer, client_of: ClientOf, bare: Path) -> GitHubHost:
    """A host with the token of an app that is installed at acme."""
    github.add_repository("acme/churn", bare, private=True)
    github.tokens["ghs_app"] = Grant("acme", kind="installation")
    return GitHubHost(client_of("ghs_app"))


def test_an_app_s_token_lists_what_the_app_was_given(
    github: GitHubServer, installed: GitHubHost, bare: Path
) -> None:
    for number in range(100):
        github.add_repository(f"acme/model-{number}", bare)
    owner = installed.find_owner("")
    assert owner.kind is OwnerKind.INSTALLATION
    assert owner.path == "acme"
    assert installed.find_owner("Acme") == owner
    assert len(installed.list_repositories(owner)) == 101
    with pytest.raises(NotFound, match="not for other"):
        installed.find_owner("other")


def test_a_list_of_an_app_that_is_shorter_than_it_says_is_an_error(
    github: GitHubServer, installed: GitHubHost
) -> None:
    """Z6"""
    owner = installed.find_owner("")
    for body in (
        {"total_count": 2, "repositories": [REPOSITORY]},
        {"repositories": [REPOSITORY]},
        {"total_count": "1", "repositories": [REPOSITORY]},
        {"total_count": 1, "repositories": None},
        [REPOSITORY],
    ):
        github.fault("/installation/repositories", status=200, body=body)
        with pytest.raises(BadPayload):
            installed.list_repositories(owner)


def test_an_app_sees_what_was_pushed_to_though_its_list_is_not_sorted(
    github: GitHubServer, installed: GitHubHost, bare: Path
) -> None:
    github.add_repository("acme/price", bare)
    github.touch("acme/price")
    owner = installed.find_owner("")
    page = installed.pushed_lately(owner)
    assert page.repositories is not None
    assert paths(page.repositories) == ["acme/price", "acme/churn"]
    assert installed.pushed_lately(owner, etag=page.etag).repositories is None

    # A first page that did not change says nothing of the second.
    for number in range(150):
        github.add_repository(f"acme/model-{number}", bare)
    page = installed.pushed_lately(owner, etag=page.etag)
    assert page.repositories is not None
    assert len(page.repositories) == 152
    assert (page.etag, page.has_more) == ("", False)


def test_an_app_without_repositories_says_what_to_do(
    github: GitHubServer, client_of: ClientOf
) -> None:
    github.add_owner("acme")
    github.tokens["ghs_app"] = Grant("acme", kind="installation")
    with pytest.raises(NotFound, match="Choose some"):
        GitHubHost(client_of("ghs_app")).find_owner("")


# Webhooks ----------------------------------------------------------------------------

HOOK = "https://muster.example.com/hooks/github/1"


def test_webhooks_of_an_organisation_are_made_seen_and_removed(
    github: GitHubServer, host: GitHubHost
) -> None:
    github.add_owner("acme")
    owner = host.find_owner("acme")
    assert host.list_hooks(owner) == []
    made = host.create_hook(owner, "", url=HOOK, secret="s3cret")
    assert (made.url, made.is_active) == (HOOK, True)
    assert made.events == {"push", "create", "delete", "repository", "meta"}
    assert host.list_hooks(owner) == [made]
    [there] = github.hooks.values()
    assert (there.secret, there.content_type, there.insecure_ssl) == (
        "s3cret",
        "json",
        "0",
    )
    host.delete_hook(owner, "", made.id)
    host.delete_hook(owner, "", made.id)  # it is gone already
    assert host.list_hooks(owner) == []


def test_webhooks_of_a_repository_are_made_seen_and_removed(
    github: GitHubServer, host: GitHubHost, bare: Path
) -> None:
    github.add_repository("robot/churn", bare)
    owner = host.find_owner("")
    made = host.create_hook(owner, "robot/churn", url=HOOK, secret="s3cret")
    assert host.list_hooks(owner, "robot/churn") == [made]
    host.delete_hook(owner, "robot/churn", made.id)
    assert host.list_hooks(owner, "robot/churn") == []


def test_a_webhook_that_may_not_be_made_says_what_to_tick(
    github: GitHubServer, client_of: ClientOf, bare: Path
) -> None:
    github.add_repository("acme/churn", bare)
    github.add_token("ghp_read", "public_repo")
    github.add_token("github_pat_read", "contents:read")
    for token in ("ghp_read", "github_pat_read"):
        host = GitHubHost(client_of(token))
        owner = host.find_owner("acme")
        for repository, tick in (
            ("", "admin:org_hook"),
            ("acme/churn", "admin:repo_hook"),
        ):
            with pytest.raises(ProviderError, match=tick):
                host.create_hook(owner, repository, url=HOOK, secret="s")
            with pytest.raises(ProviderError, match=tick):
                host.list_hooks(owner, repository)
    assert not github.hooks


def test_a_person_has_no_webhook_for_everything(
    github: GitHubServer, host: GitHubHost
) -> None:
    with pytest.raises(ProviderError, match="each repository"):
        host.create_hook(host.find_owner(""), "", url=HOOK, secret="s")


def test_a_webhook_whose_answer_got_lost_is_not_made_twice(
    github: GitHubServer, host: GitHubHost
) -> None:
    github.add_owner("acme")
    owner = host.find_owner("acme")
    github.fault("POST", eat_reply=True)
    with pytest.raises(ProviderError):
        host.create_hook(owner, "", url=HOOK, secret="s")
    assert github.count("POST") == 1
    assert [hook.url for hook in host.list_hooks(owner)] == [HOOK]
