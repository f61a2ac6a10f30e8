"""GitLab as one token sees it: rights, owners, repositories, what changed, webhooks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from indexer.providers.base import Ability, Listing, Owner, OwnerKind, Rights
from indexer.providers.errors import (
    AccessDenied,
    AddressRefused,
    BadPayload,
    NotFound,
    ProviderError,
    RateLimited,
    Refused,
    Unavailable,
)
from indexer.providers.gitlab.host import GitLabHost
from tests.providers.gitlab.conftest import client_of
from tests.providers.gitlab_server import GitLabServer
from tests.providers.raw_repository import RawRepository, simple_repository

GROUP = "/api/v4/groups/"


def granted(rights: Rights) -> dict[Ability, bool | None]:
    return {right.ability: right.granted for right in rights.rights}


def host_with(gitlab: GitLabServer, *scopes: str) -> GitLabHost:
    return GitLabHost(client_of(gitlab, gitlab.add_token("alice", frozenset(scopes))))


def serve_many(gitlab: GitLabServer, count: int, path: str = "acme/r{}") -> list[str]:
    bare = simple_repository(gitlab.root / "shared", tags=1).path
    return [gitlab.add_repository(path.format(n), bare) for n in range(count)]


# Rights ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scopes", "level", "expected"),
    [
        ("api", 50, (True, True, True, True)),
        ("api", 40, (True, True, True, True)),
        ("api", 30, (True, True, True, False)),
        ("api", 20, (True, False, False, False)),
        ("read_api read_repository", 50, (True, False, False, False)),
        ("read_api", 50, (True, False, False, False)),
        ("read_repository write_repository", 50, (False, False, False, False)),
    ],
)
def test_K7_rights_follow_from_scopes_and_role(
    scopes: str,
    level: int,
    expected: tuple[bool, ...],
    gitlab: GitLabServer,
) -> None:
    number = gitlab.add_owner("acme", level=level)
    owner = Owner(OwnerKind.GROUP, number, "acme")
    rights = host_with(gitlab, *scopes.split()).check(owner)
    assert rights.account == ("alice" if "api" in scopes else "")
    assert tuple(granted(rights).values()) == expected
    assert all(right.sentence.endswith(".") for right in rights.rights)


def test_K7_what_is_missing_is_said_by_name(gitlab: GitLabServer) -> None:
    sentences = [
        right.sentence for right in host_with(gitlab, "read_api").check().rights
    ]
    assert "read_repository" in sentences[0]
    assert "scope api" in sentences[1]


def test_K7_a_token_that_may_not_find_its_owner_is_told_the_scope(
    gitlab: GitLabServer,
) -> None:
    gitlab.add_owner("acme")
    with pytest.raises(AccessDenied, match="Make one with read_api"):
        host_with(gitlab, "read_repository").find_owner("acme")


def test_a_server_without_the_api_is_called_no_gitlab(gitlab: GitLabServer) -> None:
    for path in ("/groups/acme", "/users"):
        gitlab.fault(path, status=404)
    with pytest.raises(NotFound, match="No GitLab answers at this address"):
        host_with(gitlab, "read_api").find_owner("acme")


def test_a_token_says_when_it_ends(gitlab: GitLabServer) -> None:
    until = datetime(2099, 5, 17, 12, tzinfo=UTC)
    token = gitlab.add_token("alice", expires_at=until)
    rights = GitLabHost(client_of(gitlab, token)).check()
    assert rights.expires_at == datetime(2099, 5, 17, tzinfo=UTC)


def test_a_gitlab_that_tells_no_scopes_leaves_rights_open(
    gitlab: GitLabServer, host: GitLabHost
) -> None:
    gitlab.tells_tokens = False
    assert set(granted(host.check()).values()) == {None}


def test_a_stranger_to_a_group_sees_its_public_part(
    gitlab: GitLabServer, host: GitLabHost
) -> None:
    owner = Owner(OwnerKind.GROUP, gitlab.add_owner("acme", level=0), "acme")
    (read, tags, *_) = host.check(owner).rights
    assert "no member of acme" in read.sentence
    assert tags.granted is False


def test_F_P4_a_revoked_token_is_denied(gitlab: GitLabServer) -> None:
    with pytest.raises(AccessDenied) as raised:
        GitLabHost(client_of(gitlab, "glpat-revoked")).check()
    assert raised.value.status == 401


# Owners ---------------------------------------------------------------------------


def test_it_finds_groups_sub_groups_and_users(
    gitlab: GitLabServer, host: GitLabHost
) -> None:
    gitlab.add_owner("acme")
    sub = gitlab.add_owner("acme/ml")
    assert host.find_owner("/acme/ml/") == Owner(OwnerKind.GROUP, sub, "acme/ml")
    alice = host.find_owner("Alice")
    assert (alice.kind, alice.path) == (OwnerKind.USER, "alice")
    assert host.find_owner("") == alice


@pytest.mark.parametrize("path", ["nobody", "acme/nothing"])
def test_an_owner_that_is_not_there_says_what_to_do(
    path: str, gitlab: GitLabServer, host: GitLabHost
) -> None:
    gitlab.add_owner("acme")
    with pytest.raises(NotFound, match="Check the path"):
        host.find_owner(path)


@pytest.mark.parametrize("path", ["../user", "acme/../other", "a//b", "a/./b"])
def test_S7_an_owner_that_leads_elsewhere_is_refused(
    path: str, gitlab: GitLabServer, host: GitLabHost
) -> None:
    with pytest.raises(AddressRefused):
        host.find_owner(path)
    assert not gitlab.requests


# Repositories ---------------------------------------------------------------------


def test_it_lists_a_group_with_or_without_sub_groups(
    gitlab: GitLabServer, host: GitLabHost
) -> None:
    bare = simple_repository(gitlab.root / "repo").path
    empty = RawRepository(gitlab.root / "empty").path
    gitlab.add_repository("acme/a", bare, description="First")
    gitlab.add_repository("acme/b", bare, archived=True, private=False)
    gitlab.add_repository("acme/ml/c", bare, fork=True)
    gitlab.add_repository("acme/d", empty)
    gitlab.add_repository("beta/e", bare, shared_with=("acme",))
    gitlab.add_repository("acme/f", bare, hidden=True)
    owner = host.find_owner("acme")
    found = host.list_repositories(owner, with_subgroups=True)
    assert [one.path for one in found] == ["acme/a", "acme/b", "acme/ml/c", "acme/d"]
    a, b, c, d = found
    assert (a.description, a.default_branch, a.is_private) == ("First", "main", True)
    assert (b.is_archived, b.is_private) == (True, False)
    assert (c.is_fork, d.is_empty, a.is_fork, a.is_empty) == (True, True, False, False)
    assert a.pushed_at == datetime(2026, 1, 1, tzinfo=UTC)
    found = host.list_repositories(owner, with_subgroups=False)
    assert [one.path for one in found] == ["acme/a", "acme/b", "acme/d"]


@pytest.mark.parametrize("owner", ["acme", "alice"])
def test_a_long_list_takes_a_request_for_each_hundred(
    owner: str, gitlab: GitLabServer, host: GitLabHost
) -> None:
    ids = serve_many(gitlab, 205, f"{owner}/r{{}}")
    found = host.find_owner(owner)
    listed = host.list_repositories(found, with_subgroups=True)
    assert [one.id for one in listed] == ids
    assert gitlab.count("/projects?") == 3


LISTING_FAULTS: list[tuple[dict[str, object], type[ProviderError]]] = [
    ({"status": 204}, BadPayload),
    ({"status": 200, "body": b"null"}, BadPayload),
    ({"status": 200, "body": []}, Unavailable),
    ({"status": 200, "body": [{"id": 1, "path_with_namespace": "a/b"}]}, Unavailable),
    ({"status": 401}, AccessDenied),
    ({"status": 403}, AccessDenied),
    ({"status": 404}, NotFound),
    ({"status": 429, "headers": {"Retry-After": "9"}}, RateLimited),
    ({"status": 500}, Unavailable),
    ({"reset": "after"}, Unavailable),
]


@pytest.mark.parametrize(("what", "kind"), LISTING_FAULTS)
def test_Z6_half_a_listing_is_never_a_listing(
    what: dict[str, object],
    kind: type[ProviderError],
    gitlab: GitLabServer,
    host: GitLabHost,
) -> None:
    serve_many(gitlab, 120)
    owner = host.find_owner("acme")
    gitlab.fault("page=2", **what)
    with pytest.raises(kind):
        host.list_repositories(owner, with_subgroups=True)


def test_Z6_a_list_that_moves_while_it_is_read_is_none(
    gitlab: GitLabServer, host: GitLabHost
) -> None:
    """One of page 1 is deleted before page 2 is read: the first of page 2 would be
    missed."""
    ids = serve_many(gitlab, 150)
    owner = host.find_owner("acme")
    again = gitlab.fault("page=2", before=lambda: gitlab.delete(ids[3]))
    with pytest.raises(Unavailable, match="changed while it was read"):
        host.list_repositories(owner, with_subgroups=True)
    assert again.hits == 1
    assert len(host.list_repositories(owner, with_subgroups=True)) == 149


@pytest.mark.parametrize(
    "project",
    [
        {},
        {"id": "7", "path_with_namespace": "a/b"},
        {"id": True, "path_with_namespace": "a/b"},
        {"id": 7, "path_with_namespace": "ab"},
        {"id": 7, "path_with_namespace": None},
        {"id": 7, "path_with_namespace": "../../evil"},
        {"id": 7, "path_with_namespace": "a//b"},
        {"id": 7, "path_with_namespace": "a/\nb"},
        {"id": 7, "path_with_namespace": "a/b", "last_activity_at": "soon"},
        {"id": 7, "path_with_namespace": "a/b", "default_branch": 7},
        [],
        "a",
        7,
    ],
)
def test_F_P3_an_odd_project_is_a_bad_payload(
    project: object, gitlab: GitLabServer, host: GitLabHost
) -> None:
    gitlab.fault("/projects/7", status=200, body=project)
    with pytest.raises(BadPayload):
        host.fetch_repository("7")


def test_Z7_a_renamed_repository_keeps_its_number(
    gitlab: GitLabServer, host: GitLabHost
) -> None:
    bare = simple_repository(gitlab.root / "repo").path
    old = gitlab.add_repository("acme/churn", bare)
    gitlab.rename(old, "acme/retention")
    new = gitlab.add_repository("acme/churn", bare)
    assert host.fetch_repository(old).path == "acme/retention"
    assert host.fetch_repository(new).path == "acme/churn"
    gitlab.delete(old)
    with pytest.raises(NotFound):
        host.fetch_repository(old)


def test_pushed_lately_asks_only_for_what_changed(
    gitlab: GitLabServer, host: GitLabHost
) -> None:
    ids = serve_many(gitlab, 3)
    owner = host.find_owner("acme")
    gitlab.touch(ids[1], datetime(2026, 6, 1, tzinfo=UTC))
    page = host.pushed_lately(owner, with_subgroups=True)
    assert page.repositories is not None
    assert page.repositories[0].id == ids[1]
    assert not page.has_more
    same = host.pushed_lately(owner, with_subgroups=True, etag=page.etag)
    assert same.repositories is None
    gitlab.touch(ids[0], datetime(2026, 7, 1, tzinfo=UTC))
    later = host.pushed_lately(owner, with_subgroups=True, etag=page.etag)
    assert later.repositories is not None
    assert later.repositories[0].id == ids[0]


def test_pushed_lately_has_more_pages(gitlab: GitLabServer, host: GitLabHost) -> None:
    serve_many(gitlab, 101)
    owner = host.find_owner("acme")
    first = host.pushed_lately(owner, with_subgroups=True)
    second = host.pushed_lately(owner, with_subgroups=True, page=2)
    assert (first.has_more, second.has_more) == (True, False)
    assert second.repositories is not None
    assert len(second.repositories) == 1


# Refs of many ---------------------------------------------------------------------


def test_listings_cost_no_request_of_the_api(
    gitlab: GitLabServer, host: GitLabHost
) -> None:
    serve_many(gitlab, 6)
    gitlab.add_repository("acme/empty", RawRepository(gitlab.root / "empty").path)
    found = host.list_repositories(host.find_owner("acme"), with_subgroups=True)
    gitlab.requests.clear()
    listings = host.fetch_listings(found)
    assert set(listings) == {one.id for one in found}
    for one in found:
        listing = listings[one.id]
        assert isinstance(listing, Listing)
        assert len(listing.tags) == (0 if one.is_empty else 1)
    assert gitlab.count("/api/v4") == 0
    assert gitlab.count("POST") == 6


def test_one_repository_that_cannot_be_read_does_not_stop_the_others(
    gitlab: GitLabServer, host: GitLabHost
) -> None:
    ids = serve_many(gitlab, 3)
    found = host.list_repositories(host.find_owner("acme"), with_subgroups=True)
    gitlab.hide(ids[0])
    gitlab.fault("/acme/r1.git/", status=503, times=None)
    listings = host.fetch_listings(found)
    assert isinstance(listings[ids[0]], NotFound)
    assert isinstance(listings[ids[1]], Unavailable)
    assert isinstance(listings[ids[2]], Listing)


def test_listings_come_over_rest_where_git_is_closed(
    gitlab: GitLabServer, host: GitLabHost
) -> None:
    ids = serve_many(gitlab, 2)
    found = host.list_repositories(host.find_owner("acme"), with_subgroups=True)
    usual = host.fetch_listings(found)
    gitlab.git_enabled = False
    gitlab.requests.clear()
    for project, listing in host.fetch_listings(found).items():
        before = usual[project]
        assert isinstance(listing, Listing)
        assert isinstance(before, Listing)
        assert listing.tags == before.tags
        assert listing.branches == before.branches
        assert (listing.default_branch, listing.head) == ("main", before.head)
        # So that what only Git tells is read once it is open again.
        assert listing.fingerprint != before.fingerprint
    assert gitlab.count("/api/v4") == 2 * len(ids)


def test_a_rate_limit_concerns_all(gitlab: GitLabServer, host: GitLabHost) -> None:
    serve_many(gitlab, 2)
    found = host.list_repositories(host.find_owner("acme"), with_subgroups=True)
    gitlab.git_enabled = False
    gitlab.rate.remaining = 2
    with pytest.raises(RateLimited):
        host.fetch_listings(found)


# Webhooks -------------------------------------------------------------------------


def test_it_makes_lists_and_removes_webhooks(
    gitlab: GitLabServer, host: GitLabHost
) -> None:
    (project,) = serve_many(gitlab, 1)
    owner = host.find_owner("acme")
    for group, path in ((owner, ""), (None, "acme/r0")):
        hook = host.create_hook(
            group, path, url="https://muster.example/hooks/gitlab/1", secret="s3cret"
        )
        assert gitlab.secrets[hook.id] == "s3cret"
        assert hook.is_active
        assert {"push_events", "tag_push_events"} <= hook.events
        assert ("subgroup_events" in hook.events) == (not path)
        assert host.list_hooks(group, path) == [hook]
        host.delete_hook(group, path, hook.id)
        host.delete_hook(group, path, hook.id)
        assert host.list_hooks(group, path) == []
    assert project


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda gitlab: setattr(gitlab, "has_group_hooks", False), "Premium"),
        (lambda gitlab: gitlab.owners["acme"].members.clear(), "owners of a group"),
    ],
)
def test_a_webhook_of_a_group_may_be_refused(
    make: Callable[[GitLabServer], None],
    says: str,
    gitlab: GitLabServer,
    host: GitLabHost,
) -> None:
    gitlab.add_owner("acme")
    owner = host.find_owner("acme")
    make(gitlab)
    with pytest.raises(Refused, match=says):
        host.list_hooks(owner)
    with pytest.raises(Refused, match=says):
        host.create_hook(owner, "", url="https://muster.example/", secret="s")


def test_a_webhook_of_a_repository_needs_its_maintainer(
    gitlab: GitLabServer, host: GitLabHost
) -> None:
    gitlab.add_owner("acme", level=30)
    serve_many(gitlab, 1)
    with pytest.raises(Refused, match="Maintainer"):
        host.create_hook(None, "acme/r0", url="https://muster.example/", secret="s")


def test_a_webhook_that_gitlab_finds_wrong_says_why(
    gitlab: GitLabServer, host: GitLabHost
) -> None:
    serve_many(gitlab, 1)
    with pytest.raises(Refused, match="Invalid url given"):
        host.create_hook(None, "acme/r0", url="ftp://muster.example/", secret="s")
    assert gitlab.count("POST") == 1


def test_a_revoked_token_is_no_missing_right_of_webhooks(gitlab: GitLabServer) -> None:
    serve_many(gitlab, 1)
    host = GitLabHost(client_of(gitlab, "glpat-revoked"))
    with pytest.raises(AccessDenied):
        host.list_hooks(None, "acme/r0")


def test_a_user_has_no_webhooks(gitlab: GitLabServer, host: GitLabHost) -> None:
    with pytest.raises(Refused, match="of a user"):
        host.list_hooks(host.find_owner("alice"))
