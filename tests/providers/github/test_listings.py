"""The refs of many repositories in few queries, over real HTTP and real Git."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from indexer.providers.base import Listing, Remote, RemoteRepository
from indexer.providers.errors import (
    AccessDenied,
    BadPayload,
    NotFound,
    ProviderError,
    RateLimited,
    Refused,
    Unavailable,
)
from indexer.providers.git.reader import GitProvider
from indexer.providers.github.host import GitHubHost
from tests.providers.github.conftest import ClientOf
from tests.providers.github_server import GitHubServer
from tests.providers.raw_repository import RawRepository

GRAPHQL = "POST /api/graphql"


def add(
    github: GitHubServer, host: GitHubHost, bare: Path, count: int
) -> list[RemoteRepository]:
    """So many repositories of acme, as a list shows them."""
    for number in range(count):
        github.add_repository(f"acme/model-{number:04}", bare)
    found = host.list_repositories(host.find_owner("acme"))
    github.requests.clear()
    return found


def told(found: Any, repository: RemoteRepository) -> Listing:
    listing = found[repository.id]
    assert isinstance(listing, Listing), listing
    return listing


def by_git(bare: Path, tmp_path: Path) -> Listing:
    """The listing Git itself gives."""
    remote = Remote(
        str(bare), mirror=tmp_path / "mirror", allow_local=True, allow_private=True
    )
    return GitProvider(remote).fetch_listing()


def tagged(path: Path, count: int) -> Path:
    """A repository with so many tags, every second one annotated, and a decoy."""
    raw = RawRepository(path)
    commit = raw.commit(raw.files({"README.md": b"x\n"}))
    raw.refs[b"refs/heads/main"] = commit
    raw.refs[b"refs/tags/churn"] = commit
    for number in range(1, count):
        if number % 2:
            raw.version(f"churn#prod#{number}", commit)
        else:
            raw.refs[f"refs/tags/churn@v{number}.0.0".encode()] = commit
    return raw.finish()


@pytest.mark.parametrize("count", [1, 3, 100, 101, 250])
def test_a_listing_is_the_one_that_git_gives(
    github: GitHubServer, host: GitHubHost, tmp_path: Path, count: int
) -> None:
    bare = tagged(tmp_path / "tagged.git", count)
    [repository] = add(github, host, bare, 1)
    listing = told(host.fetch_listings([repository]), repository)
    expected = by_git(bare, tmp_path)
    assert listing.fingerprint == expected.fingerprint
    assert listing.tags == expected.tags
    assert listing.raw_tags == expected.raw_tags
    assert len(listing.tags) == count
    assert len(github.requests) == (1 if count <= 100 else 2)


def test_an_empty_repository_has_an_empty_listing(
    github: GitHubServer, host: GitHubHost, tmp_path: Path
) -> None:
    """F-P5"""
    bare = RawRepository(tmp_path / "empty.git").finish()
    [repository] = add(github, host, bare, 1)
    listing = told(host.fetch_listings([repository]), repository)
    assert (listing.tags, listing.head) == ({}, "")


def test_a_thousand_repositories_take_forty_queries(
    github: GitHubServer, host: GitHubHost, bare: Path
) -> None:
    repositories = add(github, host, bare, 1000)
    found = host.fetch_listings(repositories)
    assert len(found) == 1000
    assert all(isinstance(listing, Listing) for listing in found.values())
    assert github.count(GRAPHQL) == 40
    assert len(github.requests) == 40


def test_a_thousand_repositories_are_listed_in_eleven_requests(
    github: GitHubServer, host: GitHubHost, bare: Path
) -> None:
    for number in range(1000):
        github.add_repository(f"acme/model-{number:04}", bare)
    owner = host.find_owner("acme")
    github.requests.clear()
    assert len(host.list_repositories(owner)) == 1000
    assert len(github.requests) <= 11


def test_nothing_is_asked_for_no_repositories(
    github: GitHubServer, host: GitHubHost
) -> None:
    assert host.fetch_listings([]) == {}
    assert github.requests == []


@pytest.mark.parametrize("status", [502, 504])
def test_a_query_that_is_too_much_is_asked_in_halves(
    github: GitHubServer, host: GitHubHost, bare: Path, status: int
) -> None:
    repositories = add(github, host, bare, 25)
    github.fault(GRAPHQL, status=status, body={"message": "timeout"}, times=2)
    found = host.fetch_listings(repositories)
    assert all(isinstance(listing, Listing) for listing in found.values())
    assert len(found) == 25
    # 25 failed, 12 failed, then 6, 6 and 13.
    assert github.count(GRAPHQL) == 5


def test_only_the_repository_that_is_too_much_goes_without(
    github: GitHubServer, host: GitHubHost, bare: Path
) -> None:
    repositories = add(github, host, bare, 5)
    bad = repositories[3]
    name = bad.path.partition("/")[2].encode()
    github.fault(
        lambda request: name in request.body,
        status=502,
        body={"message": "timeout"},
        times=None,
    )
    found = host.fetch_listings(repositories)
    assert type(found[bad.id]) is Unavailable
    others = [found[each.id] for each in repositories if each is not bad]
    assert all(isinstance(listing, Listing) for listing in others)


def test_a_server_that_is_down_is_not_asked_for_every_repository(
    github: GitHubServer, host: GitHubHost, bare: Path
) -> None:
    repositories = add(github, host, bare, 100)
    github.fault(GRAPHQL, status=502, body={"message": "bad"}, times=None)
    with pytest.raises(Unavailable):
        host.fetch_listings(repositories)
    assert github.count(GRAPHQL) <= 6


def test_a_server_without_graphql_is_asked_by_rest(
    github: GitHubServer, host: GitHubHost, tmp_path: Path
) -> None:
    bare = tagged(tmp_path / "many.git", 120)
    repositories = add(github, host, bare, 2)
    github.delete(repositories[1].path)
    github.fault(GRAPHQL, status=404, body={"message": "Not Found"}, times=None)
    found = host.fetch_listings(repositories)
    listing = told(found, repositories[0])
    assert listing.fingerprint == by_git(bare, tmp_path).fingerprint
    assert type(found[repositories[1].id]) is NotFound
    assert github.count(GRAPHQL) == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 401, "body": {"message": "Bad credentials"}}, AccessDenied),
        ({"status": 503, "body": {"message": "down"}}, Unavailable),
        ({"status": 500, "body": {"message": "down"}}, Unavailable),
        ({"reset": "before"}, Unavailable),
        ({"status": 204}, BadPayload),
        ({"status": 200, "body": b"null"}, BadPayload),
        ({"status": 200, "body": {"data": {"r0": {}}, "errors": [{}]}}, Refused),
        (
            {
                "status": 200,
                "body": {"errors": [{"type": "RATE_LIMITED", "message": "limit"}]},
            },
            RateLimited,
        ),
    ],
)
def test_what_concerns_all_is_raised_at_once(
    github: GitHubServer,
    host: GitHubHost,
    bare: Path,
    fault: dict[str, Any],
    error: type[ProviderError],
) -> None:
    """F-P1, F-P3"""
    repositories = add(github, host, bare, 30)
    github.fault(GRAPHQL, **fault)
    with pytest.raises(error) as caught:
        host.fetch_listings(repositories)
    assert type(caught.value) is error
    assert github.count(GRAPHQL) == 1


def test_what_concerns_one_is_said_of_that_one(
    github: GitHubServer, host: GitHubHost, bare: Path
) -> None:
    """F-P4, F-P5"""
    gone, moved, replaced, fine = repositories = add(github, host, bare, 4)
    github.hide(gone.path)
    github.add_owner("other")
    github.transfer(moved.path, "other")
    github.delete(replaced.path)
    github.add_repository(replaced.path, bare)
    found = host.fetch_listings(repositories)
    assert type(found[gone.id]) is NotFound
    # By its old name GitHub still finds it: the same repository.
    assert isinstance(found[moved.id], Listing)
    # The name is another repository's by now, Z7.
    assert type(found[replaced.id]) is NotFound
    assert isinstance(found[fine.id], Listing)


def test_a_missing_right_for_one_is_said_of_that_one(
    github: GitHubServer, host: GitHubHost, bare: Path
) -> None:
    first, second = repositories = add(github, host, bare, 2)
    errors = [
        {
            "type": "FORBIDDEN",
            "path": ["r1"],
            "message": "Resource protected by organization SAML enforcement.",
        }
    ]
    listed = {
        "databaseId": int(first.id),
        "defaultBranchRef": None,
        "tags": {"totalCount": 0, "nodes": []},
    }
    body = {"data": {"r0": listed, "r1": None}, "errors": errors}
    github.fault(GRAPHQL, status=200, body=body)
    found = host.fetch_listings(repositories)
    assert isinstance(found[first.id], Listing)
    why = found[second.id]
    assert isinstance(why, AccessDenied)
    assert "SAML" in why.sentence


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 403, "body": {"message": "No access"}}, AccessDenied),
        ({"status": 404, "body": {"message": "Not Found"}}, NotFound),
        ({"status": 204}, BadPayload),
        ({"status": 200, "body": []}, Unavailable),
        ({"status": 500, "body": {"message": "down"}}, Unavailable),
    ],
)
def test_many_tags_that_cannot_be_read_are_no_short_listing(
    github: GitHubServer,
    host: GitHubHost,
    tmp_path: Path,
    bare: Path,
    fault: dict[str, Any],
    error: type[ProviderError],
) -> None:
    """F-P1, F-P2"""
    github.add_repository("acme/tagged", tagged(tmp_path / "tagged.git", 150))
    many, few = add(github, host, bare, 1)
    github.fault("matching-refs", **fault)
    found = host.fetch_listings([many, few])
    assert type(found[many.id]) is error
    assert isinstance(found[few.id], Listing)


def test_a_limit_met_at_many_tags_concerns_all(
    github: GitHubServer, host: GitHubHost, tmp_path: Path
) -> None:
    """F-P1"""
    bare = tagged(tmp_path / "tagged.git", 150)
    repositories = add(github, host, bare, 2)
    github.secondary_limit("matching-refs")
    with pytest.raises(RateLimited):
        host.fetch_listings(repositories)
    assert github.count("matching-refs") == 1


def test_queries_need_a_token(
    github: GitHubServer, host: GitHubHost, client_of: ClientOf, bare: Path
) -> None:
    repositories = add(github, host, bare, 1)
    with pytest.raises(AccessDenied, match="only with a token"):
        GitHubHost(client_of("")).fetch_listings(repositories)
