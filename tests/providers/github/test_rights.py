"""What a token may do, as it is told before anything is done."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from indexer.providers.base import Ability, Owner, OwnerKind, Rights
from indexer.providers.errors import AccessDenied, RateLimited
from indexer.providers.github.host import GitHubHost
from indexer.providers.github.payloads import parse_expiry, parse_scopes
from tests.providers.api_requests import Grant
from tests.providers.github.conftest import ClientOf
from tests.providers.github_server import GitHubServer

READ, TAGS, CONTENTS, HOOKS = Ability


def granted(rights: Rights) -> list[bool | None]:
    assert [right.ability for right in rights.rights] == list(Ability)
    return [right.granted for right in rights.rights]


def sentences(rights: Rights) -> str:
    assert all(right.sentence.endswith(".") for right in rights.rights)
    return " ".join(right.sentence for right in rights.rights)


@pytest.fixture
def acme(github: GitHubServer, bare: Path) -> GitHubServer:
    github.add_repository("acme/open", bare)
    github.add_repository("acme/churn", bare, private=True)
    return github


def check(host: GitHubHost, owner: str = "acme") -> Rights:
    return host.check(host.find_owner(owner))


def test_a_token_with_every_scope_may_do_everything(
    acme: GitHubServer, host: GitHubHost
) -> None:
    rights = check(host)
    assert rights.account == "robot"
    assert granted(rights) == [True, True, True, True]
    assert "whole organisation" in sentences(rights)
    assert rights.expires_at is None


@pytest.mark.parametrize(
    ("scopes", "expected", "ticks"),
    [
        ([], [True, False, False, False], ["“repo”", "“admin:repo_hook”"]),
        (["public_repo"], [True, True, True, False], ["public repositories only"]),
        (["repo"], [True, True, True, True], ["for each", "“admin:org_hook”"]),
        (["repo", "admin:org_hook"], [True, True, True, True], ["one webhook"]),
    ],
)
def test_a_classic_token_is_told_by_its_scopes(
    acme: GitHubServer,
    client_of: ClientOf,
    scopes: list[str],
    expected: list[bool | None],
    ticks: list[str],
) -> None:
    """K7"""
    acme.add_token("ghp_some", *scopes)
    rights = check(GitHubHost(client_of("ghp_some")))
    assert granted(rights) == expected
    for tick in ticks:
        assert tick in sentences(rights)


def test_a_scope_is_worth_nothing_where_the_account_may_not_push(
    acme: GitHubServer, host: GitHubHost
) -> None:
    owner = host.find_owner("acme")
    row = {
        "id": 7,
        "full_name": "acme/churn",
        "owner": {"id": int(owner.id), "login": "acme", "type": "Organization"},
        "private": True,
        "fork": False,
        "archived": False,
        "permissions": {"admin": False, "push": False, "pull": True},
    }
    acme.fault("/orgs/acme/repos", status=200, body=[row])
    acme.fault("/orgs/acme/hooks", status=404, body={"message": "Not Found"})
    rights = host.check(owner)
    assert granted(rights) == [True, False, False, False]
    assert "push to none of the repositories of acme" in sentences(rights)


def test_a_fine_grained_token_is_told_by_what_it_can_read(
    acme: GitHubServer, client_of: ClientOf
) -> None:
    acme.add_token("github_pat_some", "contents:write", "organization_hooks:write")
    rights = check(GitHubHost(client_of("github_pat_some")))
    assert granted(rights) == [True, None, None, None]
    assert "acme/churn, which is private" in sentences(rights)
    assert "shows when it is tried" in sentences(rights)


def test_a_fine_grained_token_that_may_not_read_contents_is_told_so(
    acme: GitHubServer, client_of: ClientOf
) -> None:
    acme.add_token("github_pat_some")
    acme.fault("matching-refs", status=403, body={"message": "Not accessible"})
    rights = check(GitHubHost(client_of("github_pat_some")))
    assert granted(rights) == [False, False, False, None]
    assert "tick “Contents: Read-only”" in sentences(rights)


def test_a_token_for_no_repository_is_told_to_choose_some(
    github: GitHubServer, client_of: ClientOf
) -> None:
    github.add_owner("acme")
    github.add_token("github_pat_some", repositories=frozenset())
    rights = check(GitHubHost(client_of("github_pat_some")))
    assert granted(rights) == [None, None, None, None]
    assert "Choose the repositories" in sentences(rights)


def test_an_empty_repository_is_no_missing_right(
    acme: GitHubServer, client_of: ClientOf
) -> None:
    acme.add_token("github_pat_some")
    acme.fault(
        "matching-refs", status=409, body={"message": "Git Repository is empty."}
    )
    assert granted(check(GitHubHost(client_of("github_pat_some"))))[0] is True


def test_an_app_s_token_is_told_by_what_it_can_read(
    acme: GitHubServer, client_of: ClientOf
) -> None:
    acme.tokens["ghs_app"] = Grant("acme", kind="installation")
    host = GitHubHost(client_of("ghs_app"))
    rights = host.check(host.find_owner(""))
    assert rights.account == "the app of acme"
    assert granted(rights)[0] is True


def test_nobody_may_read_what_is_public(
    acme: GitHubServer, client_of: ClientOf
) -> None:
    rights = GitHubHost(client_of("")).check()
    assert (rights.account, granted(rights)) == ("", [True, False, False, False])
    assert acme.requests == []


def test_when_a_token_ends_is_told(acme: GitHubServer, client_of: ClientOf) -> None:
    end = datetime(2099, 12, 1, 8, 0, tzinfo=UTC)
    acme.add_token("ghp_short", "repo", expires_at=end)
    assert check(GitHubHost(client_of("ghp_short"))).expires_at == end


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2099-12-01 08:00:00 UTC", datetime(2099, 12, 1, 8, tzinfo=UTC)),
        ("2099-12-01 08:00:00 +0100", datetime(2099, 12, 1, 7, tzinfo=UTC)),
        ("", None),
        ("never", None),
        ("0001-01-01 00:00:00 +0100", None),
    ],
)
def test_it_reads_when_a_token_ends(text: str, expected: datetime | None) -> None:
    assert parse_expiry(text) == expected


def test_no_scopes_are_not_the_same_as_unsaid_scopes() -> None:
    assert parse_scopes(None) is None
    assert parse_scopes("") == frozenset()
    assert parse_scopes("repo, read:org") == frozenset({"repo", "read:org"})


def test_a_token_that_is_refused_has_no_rights(
    acme: GitHubServer, client_of: ClientOf
) -> None:
    """F-P4"""
    with pytest.raises(AccessDenied):
        GitHubHost(client_of("ghp_wrong")).check()


@pytest.mark.parametrize("part", ["/user", "/orgs/acme/repos", "/orgs/acme/hooks"])
def test_a_limit_is_not_taken_for_a_missing_right(
    acme: GitHubServer, host: GitHubHost, part: str
) -> None:
    """F-P1"""
    acme.secondary_limit(part)
    owner = Owner(OwnerKind.ORGANISATION, "", "acme")
    with pytest.raises(RateLimited):
        host.check(owner)
