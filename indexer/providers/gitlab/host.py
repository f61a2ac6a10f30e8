"""A GitLab server as one token sees it: who it is, what it may do, whose repositories
there are, what changed, and webhooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from indexer.providers.base import (
    Listing,
    Owner,
    OwnerKind,
    Progress,
    Remote,
    RemoteHook,
    RemoteRepository,
    RepositoryPage,
    Rights,
    no_progress,
)
from indexer.providers.errors import (
    AccessDenied,
    BadPayload,
    NotFound,
    ProviderError,
    Refused,
)
from indexer.providers.git.reader import GitProvider
from indexer.providers.gitlab import payloads
from indexer.providers.gitlab.client import PER_PAGE, GitLabClient, quoted
from indexer.providers.gitlab.refs import clone_url, fetch_refs
from indexer.providers.gitlab.rights import OWNER, describe_rights

LISTING_THREADS = 4
USERNAME = "oauth2"  # GitLab takes any token as the password of this user

NO_GROUP_HOOKS = (
    "GitLab lets only owners of a group make a webhook of the whole group, and only "
    "with GitLab Premium or Ultimate. Webhooks of each repository need the Maintainer "
    "role."
)
NO_HOOKS = (
    "The token may not manage webhooks of this repository. It needs the scope api and "
    "at least the Maintainer role."
)


class GitLabHost:
    """See base.Host. A user's or group's repositories; "installation" is GitHub's."""

    def __init__(self, client: GitLabClient) -> None:
        self._client = client

    def check(self, owner: Owner | None = None) -> Rights:
        """Who the token is and what it may do: by its scopes, and by its role in the
        owner's group. Three requests at most."""
        token = self._token()
        try:
            said = self._client.rest("GET", "/user").data
            user = payloads.parse_user(said)
        except AccessDenied as error:
            if token is None or error.status != 403:
                raise
            user, said = None, {}  # a token for Git alone may not say whose it is
        level = None
        if owner is not None and user is not None:
            level = self._level(owner, user)
        return Rights(
            account=user.path if user else "",
            rights=describe_rights(token.scopes if token else None, level, owner),
            expires_at=token.expires_at if token else None,
            emails=payloads.verified_emails(said),
        )

    def find_owner(self, path: str) -> Owner:
        """The group or user at `path`; "" is whoever the token belongs to."""
        path = path.strip().strip("/")
        if not path:
            return self._whoami()
        try:
            answer = self._client.rest(
                "GET",
                f"/groups/{quoted(path)}",
                parameters={"with_projects": "false"},
            )
            return payloads.parse_group(answer.data)
        except NotFound:
            pass  # no group; perhaps a user
        except AccessDenied as error:
            raise self._refusal(error) from error
        found = self._users(path)
        for user in found:
            if user.path.lower() == path.lower():
                return user
        raise NotFound(
            f"There is no group or user “{path}” at GitLab, or the token does not see "
            "it. Check the path (acme/ml for a sub-group), and that whoever the token "
            "belongs to is a member."
        )

    def list_repositories(
        self, owner: Owner, *, with_subgroups: bool, progress: Progress = no_progress
    ) -> list[RemoteRepository]:
        """All of them, by number, oldest first: what is added meanwhile comes last and
        moves nothing. Of a user by key; of a group, where GitLab offers no keys, by
        page, and a number that changes between pages ends it."""
        is_group = owner.kind is OwnerKind.GROUP
        listed = self._client.pages(
            _list_path(owner),
            {**_of_group(owner, with_subgroups), "order_by": "id", "sort": "asc"},
            paging="page" if is_group else "id_after",
            progress=progress,
            phase="Listing repositories",
        )
        return [payloads.parse_repository(item) for item in listed]

    def fetch_repository(self, repository_id: str) -> RemoteRepository:
        """One, by its number."""
        answer = self._client.rest("GET", f"/projects/{_number(repository_id)}")
        found = payloads.parse_repository(answer.data)
        if found.id != repository_id:
            raise BadPayload("GitLab answered with another project than asked for.")
        return found

    def pushed_lately(
        self, owner: Owner, *, with_subgroups: bool, etag: str = "", page: int = 1
    ) -> RepositoryPage:
        """A page of repositories, those with the latest activity first.

        `last_activity_at` is a hint only: it moves for issues and comments too, GitLab
        writes it at most once an hour, and a push within that hour need not move it.
        So what is not here may have changed all the same."""
        answer = self._client.rest(
            "GET",
            _list_path(owner),
            parameters={
                **_of_group(owner, with_subgroups),
                "order_by": "last_activity_at",
                "sort": "desc",
                "page": page,
                "per_page": PER_PAGE,
            },
            etag=etag,
        )
        if answer.status == 304:
            return RepositoryPage(None, etag)
        if not isinstance(answer.data, list):
            raise BadPayload("GitLab gave a page of repositories that is none.")
        found = tuple(payloads.parse_repository(item) for item in answer.data)
        following = answer.headers.get("x-next-page")
        more = bool(following) if following is not None else len(found) >= PER_PAGE
        return RepositoryPage(found, answer.etag, more)

    def fetch_listings(
        self, repositories: Sequence[RemoteRepository]
    ) -> Mapping[str, Listing | ProviderError]:
        """The refs of each, by one `git ls-remote` each: all names and ids in one round
        trip, which GitLab does not count as API requests. Where Git is refused, over
        REST."""
        full = [repository for repository in repositories if not repository.is_empty]
        found: dict[str, Listing | ProviderError] = {
            repository.id: Listing({}, {})
            for repository in repositories
            if repository.is_empty
        }
        with ThreadPoolExecutor(LISTING_THREADS) as threads:
            for repository, listing in zip(
                full, threads.map(self._listing_over_git, full), strict=True
            ):
                found[repository.id] = listing
        # In this thread: the budget of REST may be rows of the database.
        for repository in full:
            if isinstance(found[repository.id], AccessDenied | NotFound | BadPayload):
                found[repository.id] = self._listing_over_rest(repository)
        return found

    def list_hooks(self, owner: Owner | None, repository: str = "") -> list[RemoteHook]:
        """https://docs.gitlab.com/api/group_webhooks/, project_webhooks/"""
        try:
            listed = self._client.pages(_hooks_path(owner, repository))
        except (AccessDenied, NotFound) as error:
            raise _no_hooks(error, repository) from error
        return [payloads.parse_hook(item) for item in listed]

    def create_hook(
        self, owner: Owner | None, repository: str, *, url: str, secret: str
    ) -> RemoteHook:
        """A webhook for pushes and tags; of a group also for what happens to its
        repositories and sub-groups. GitLab sends `secret` with every delivery."""
        body: dict[str, Any] = {
            "url": url,
            "token": secret,
            "push_events": True,
            "tag_push_events": True,
            "enable_ssl_verification": True,
        }
        if not repository:
            body |= {"subgroup_events": True, "project_events": True}
        try:
            answer = self._client.rest(
                "POST", _hooks_path(owner, repository), body=body
            )
        except (AccessDenied, NotFound, Refused) as error:
            raise _no_hooks(error, repository) from error
        return payloads.parse_hook(answer.data)

    def delete_hook(self, owner: Owner | None, repository: str, hook_id: str) -> None:
        """Remove it; one that is gone already is no error."""
        try:
            self._client.rest(
                "DELETE", f"{_hooks_path(owner, repository)}/{_number(hook_id)}"
            )
        except NotFound:
            pass  # gone already

    def _whoami(self) -> Owner:
        return payloads.parse_user(self._client.rest("GET", "/user").data)

    def _users(self, name: str) -> list[Owner]:
        """Users of this name. Raises NotFound if no GitLab is there at all."""
        try:
            said = self._client.pages("/users", {"username": name})
        except NotFound as error:
            raise NotFound(
                "No GitLab answers at this address. Check it; for a GitHub choose "
                "“Connect GitHub”.",
                status=error.status,
            ) from error
        return [payloads.parse_user(user) for user in said]

    def _refusal(self, error: AccessDenied) -> AccessDenied:
        """Which scope the token lacks, if it says so itself; else the error."""
        token = self._token() if error.status == 403 else None
        if token is None:
            return error
        reading = describe_rights(token.scopes, None, None)[0]
        if reading.granted is not False:
            return error
        return AccessDenied(reading.sentence, status=error.status)

    def _token(self) -> payloads.Token | None:
        """What the token says of itself; None where GitLab does not tell (an older
        one, an OAuth token)."""
        try:
            answer = self._client.rest("GET", "/personal_access_tokens/self")
        except (AccessDenied, NotFound, Refused) as error:
            if error.status == 401:
                raise
            return None
        return payloads.parse_token(answer.data)

    def _level(self, owner: Owner, user: Owner) -> int | None:
        """The role of the token's user with the owner, by GitLab's numbers, inherited
        ones too; None if it cannot be told."""
        if owner.kind is not OwnerKind.GROUP:
            return OWNER if owner.id == user.id else None
        try:
            answer = self._client.rest(
                "GET", f"/groups/{_number(owner.id)}/members/all/{_number(user.id)}"
            )
        except NotFound:
            return 0
        except AccessDenied:
            return None
        return payloads.parse_access_level(answer.data)

    def _listing_over_git(
        self, repository: RemoteRepository
    ) -> Listing | ProviderError:
        try:
            return GitProvider(self._remote(repository)).fetch_listing()
        except ProviderError as error:
            return error

    def _listing_over_rest(
        self, repository: RemoteRepository
    ) -> Listing | ProviderError:
        try:
            return fetch_refs(self._client, repository.id, repository).listing
        except (AccessDenied, NotFound, BadPayload, Refused) as error:
            return error

    def _remote(self, repository: RemoteRepository) -> Remote:
        """Its address for Git, from what we know and not from an answer's `url`."""
        return Remote(
            url=clone_url(self._client, repository.path),
            username=USERNAME if self._client.token else "",
            secret=self._client.token,
            mirror=Path(),  # a listing keeps nothing
            path=repository.path,
            provider_id=repository.id,
            allow_private=self._client.allow_private,
        )


def _list_path(owner: Owner) -> str:
    kind = "groups" if owner.kind is OwnerKind.GROUP else "users"
    return f"/{kind}/{_number(owner.id)}/projects"


def _of_group(owner: Owner, with_subgroups: bool) -> dict[str, str]:
    """What a group's list is to hold: its own repositories, none that other groups
    share with it. Archived ones come with it unasked."""
    if owner.kind is not OwnerKind.GROUP:
        return {}
    return {
        "include_subgroups": "true" if with_subgroups else "false",
        "with_shared": "false",
    }


def _hooks_path(owner: Owner | None, repository: str) -> str:
    if repository:
        return f"/projects/{quoted(repository)}/hooks"
    if owner is None or owner.kind is not OwnerKind.GROUP:
        raise Refused(
            "GitLab has no webhooks of a user; each repository has one of its own."
        )
    return f"/groups/{_number(owner.id)}/hooks"


def _no_hooks(error: ProviderError, repository: str) -> ProviderError:
    """Refused, with what it takes; a credential that is refused stays what it is."""
    if error.status == 401:
        return error
    if isinstance(error, Refused) and error.status not in {403, 404}:
        return error
    return Refused(NO_HOOKS if repository else NO_GROUP_HOOKS, status=error.status)


def _number(value: str) -> str:
    """A number of GitLab's, checked, as a part of a path."""
    if not value.isascii() or not value.isdigit():
        raise BadPayload("GitLab's numbers are digits, and this is none.")
    return value
