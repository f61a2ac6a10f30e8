"""GitHub as one credential sees it: owners, their repositories, and webhooks.

Owners and repositories are told apart by GitHub's numbers; a name may be somebody
else's tomorrow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from indexer.providers.base import (
    Listing,
    Owner,
    OwnerKind,
    Progress,
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
from indexer.providers.github.client import (
    GitHubClient,
    has_next,
    parse_page,
    repository_path,
    segment,
)
from indexer.providers.github.listings import fetch_listings
from indexer.providers.github.payloads import (
    Account,
    owner_of,
    parse_account,
    parse_expiry,
    parse_hook,
    parse_owner_of,
    parse_repository,
    parse_scopes,
    verified_emails,
)
from indexer.providers.github.requester import PER_PAGE
from indexer.providers.github.rights import (
    Sample,
    classic_rights,
    no_rights,
    silent_rights,
)
from indexer.providers.http_answers import Answer

# What a webhook tells of. https://docs.github.com/en/webhooks/webhook-events-and-payloads
EVENTS = ("push", "create", "delete", "repository", "meta")
MAX_ETAG = 200
LONG_AGO = datetime.min.replace(tzinfo=UTC)


class GitHubHost:
    """Implements base.Host over GitHub's REST and GraphQL APIs."""

    def __init__(self, client: GitHubClient) -> None:
        self._client = client

    def check(self, owner: Owner | None = None) -> Rights:
        """Who the token is and what it may do."""
        if self._client.is_anonymous:
            return Rights("", no_rights())
        sample = Sample(self._first_page(owner) if owner else ())
        if self._answer is None:
            named = f"the app of {owner.path}" if owner else "a GitHub App"
            return Rights(named, silent_rights(self._client, owner, sample))
        headers = self._answer.headers
        scopes = parse_scopes(headers.get("x-oauth-scopes"))
        if scopes is None or self._client.is_fine_grained:
            rights = silent_rights(self._client, owner, sample)
        else:
            rights = classic_rights(self._client, scopes, owner, sample)
        return Rights(
            parse_account(self._answer.data).login,
            rights,
            parse_expiry(headers.get("github-authentication-token-expiration", "")),
            verified_emails(self._answer.data),
        )

    def find_owner(self, path: str) -> Owner:
        """The organisation or user with a login; of an app's token always the
        account it was made for."""
        if self._is_installation:
            return self._installed_for(path)
        if path:
            return owner_of(self._account_at(path))
        if self._account is None:
            raise NotFound("Enter whose repositories to connect, such as “acme”.")
        return owner_of(self._account)

    def list_repositories(
        self,
        owner: Owner,
        *,
        with_subgroups: bool = False,
        progress: Progress = no_progress,
    ) -> list[RemoteRepository]:
        """Every repository of an owner, oldest first, so that one that is made
        meanwhile comes on the last page. GitHub has no groups in groups."""
        found = self._list(owner, progress)
        if found is None:
            # Renamed, and the old name may be a stranger's by now.
            found = self._list(self._renamed(owner), progress)
        if found is None:
            raise BadPayload(f"GitHub listed repositories of others than {owner.path}.")
        return list({repository.id: repository for repository in found}.values())

    def fetch_repository(self, repository_id: str) -> RemoteRepository:
        """One by its number. The address is not in GitHub's reference; it is where
        its own redirects of renamed repositories lead."""
        path = f"/repositories/{segment(repository_id)}"
        return parse_repository(self._client.rest("GET", path).data)

    def pushed_lately(
        self,
        owner: Owner,
        *,
        with_subgroups: bool = False,
        etag: str = "",
        page: int = 1,
    ) -> RepositoryPage:
        """A hundred repositories of an owner, those pushed to last first. For an app,
        whose list GitHub does not sort, all of them."""
        if owner.kind is OwnerKind.INSTALLATION:
            return self._installed_lately(owner, etag)
        path, parameters = self._listing(owner)
        parameters |= {"sort": "pushed", "direction": "desc"}
        answer = self._page(path, parameters, etag, page)
        if answer.status == 304:
            return RepositoryPage(None, etag)
        items, _ = parse_page(answer.data)
        return RepositoryPage(
            tuple(parse_repository(item) for item in items if _is_of(owner, item)),
            _kept(answer.etag),
            has_more=has_next(answer, items),
        )

    def fetch_listings(
        self, repositories: Sequence[RemoteRepository]
    ) -> Mapping[str, Listing | ProviderError]:
        """Tags, default branch and its head of many repositories, by their id."""
        return fetch_listings(self._client, repositories)

    # Webhooks -----------------------------------------------------------------------
    # https://docs.github.com/en/rest/orgs/webhooks
    # https://docs.github.com/en/rest/repos/webhooks

    def list_hooks(self, owner: Owner | None, repository: str = "") -> list[RemoteHook]:
        """The webhooks of an organisation, or of a repository."""
        path = self._hooks_path(owner, repository)
        try:
            return [parse_hook(item) for item in self._client.pages(path)]
        except (AccessDenied, NotFound, Refused) as error:
            raise _about_hooks(error, repository) from None

    def create_hook(
        self, owner: Owner | None, repository: str, *, url: str, secret: str
    ) -> RemoteHook:
        """Make one. It is not asked for twice: after Unavailable it may be there."""
        body = {
            "name": "web",  # GitHub's only kind
            "active": True,
            "events": list(EVENTS),
            "config": {
                "url": url,
                "content_type": "json",
                "secret": secret,
                "insecure_ssl": "0",
            },
        }
        path = self._hooks_path(owner, repository)
        try:
            return parse_hook(self._client.rest("POST", path, body=body).data)
        except (AccessDenied, NotFound, Refused) as error:
            raise _about_hooks(error, repository) from None

    def delete_hook(self, owner: Owner | None, repository: str, hook_id: str) -> None:
        """Remove one, if it is still there."""
        path = f"{self._hooks_path(owner, repository)}/{segment(hook_id)}"
        try:
            self._client.rest("DELETE", path)
        except NotFound:
            pass

    def _hooks_path(self, owner: Owner | None, repository: str) -> str:
        if repository:
            return f"{repository_path(repository)}/hooks"
        if owner is None or owner.kind is OwnerKind.USER:
            raise Refused(
                "A person's account has no webhook for all its repositories; each "
                "repository has its own."
            )
        return f"/orgs/{segment(owner.path)}/hooks"

    # Owners -------------------------------------------------------------------------

    @cached_property
    def _answer(self) -> Answer | None:
        """What GitHub says of the token's account; None: it is an app's, which is
        nobody's, or there is none."""
        if self._client.is_anonymous:
            return None
        try:
            return self._client.rest("GET", "/user")
        except NotFound as error:
            raise NotFound(
                "No GitHub answers at this address. Check it; for a GitLab choose "
                "“Connect GitLab”.",
                status=error.status,
            ) from error
        except AccessDenied as error:
            if error.status != 403:
                raise
            return None

    @property
    def _account(self) -> Account | None:
        return parse_account(self._answer.data) if self._answer else None

    @property
    def _is_installation(self) -> bool:
        return not self._client.is_anonymous and self._account is None

    def _account_at(self, path: str) -> Account:
        name = segment(path)
        try:
            found = parse_account(self._client.rest("GET", f"/orgs/{name}").data)
            return Account(found.id, found.login, is_organisation=True)
        except NotFound:
            pass
        try:
            return parse_account(self._client.rest("GET", f"/users/{name}").data)
        except NotFound:
            raise NotFound(
                f"GitHub has no organisation or user “{name}”, or hides it from this "
                "token. Check the spelling, the address, and that the token was made "
                "for it."
            ) from None

    def _installed_for(self, path: str) -> Owner:
        items, _ = parse_page(
            self._page("/installation/repositories", {}, "", 1).data, "repositories"
        )
        if not items:
            raise NotFound(
                "The GitHub App may read no repository yet. Choose some in its "
                "installation's settings at GitHub."
            )
        account = parse_owner_of(items[0])
        if path and path.lower() != account.login.lower():
            raise NotFound(
                f"The GitHub App's token is for {account.login}, not for {path}. "
                "Install the app there."
            )
        return Owner(OwnerKind.INSTALLATION, account.id, account.login)

    def _renamed(self, owner: Owner) -> Owner:
        """An owner as it is called now. Raises NotFound."""
        answer = self._client.rest("GET", f"/user/{segment(owner.id)}")
        account = parse_account(answer.data)
        if account.id != owner.id or account.login == owner.path:
            raise NotFound(f"GitHub no longer has an owner {owner.path}.")
        return Owner(owner.kind, owner.id, account.login)

    # Lists --------------------------------------------------------------------------

    def _listing(self, owner: Owner) -> tuple[str, dict[str, str]]:
        """The path and parameters of an owner's list.
        https://docs.github.com/en/rest/repos/repos#list-organization-repositories"""
        if owner.kind is OwnerKind.INSTALLATION:
            return "/installation/repositories", {}
        if owner.kind is OwnerKind.ORGANISATION:
            return f"/orgs/{segment(owner.path)}/repos", {"type": "all"}
        if self._account is not None and self._account.id == owner.id:
            return "/user/repos", {"affiliation": "owner"}
        return f"/users/{segment(owner.path)}/repos", {"type": "owner"}

    def _list(self, owner: Owner, progress: Progress) -> list[RemoteRepository] | None:
        """The whole list; None if the owner is not there any more by this name."""
        path, parameters = self._listing(owner)
        inside = _inside(owner)
        if not inside:
            parameters |= {"sort": "created", "direction": "asc"}
        try:
            items = self._client.pages(
                path, parameters, inside=inside, progress=progress
            )
        except NotFound:
            if not owner.id:
                raise
            return None
        if not all(_is_of(owner, item) for item in items):
            return None
        return [parse_repository(item) for item in items]

    def _first_page(self, owner: Owner) -> list[Any]:
        path, parameters = self._listing(owner)
        page = self._page(path, parameters, "", 1)
        return parse_page(page.data, _inside(owner))[0]

    def _page(
        self, path: str, parameters: Mapping[str, str], etag: str, page: int
    ) -> Answer:
        asked = {**parameters, "per_page": PER_PAGE, "page": page}
        return self._client.rest("GET", path, parameters=asked, etag=etag)

    def _installed_lately(self, owner: Owner, etag: str) -> RepositoryPage:
        """The first page says for all that nothing changed only where it is the only
        one: no etag otherwise."""
        path, _ = self._listing(owner)
        answer = self._page(path, {}, etag, 1)
        if answer.status == 304:
            return RepositoryPage(None, etag)
        items, total = parse_page(answer.data, _inside(owner))
        tag = _kept(answer.etag)
        if has_next(answer, items) or len(items) < total:
            items, tag = self._client.pages(path, inside=_inside(owner)), ""
        found = [parse_repository(item) for item in items]
        found.sort(key=lambda each: each.pushed_at or LONG_AGO, reverse=True)
        return RepositoryPage(tuple(found), tag)


def _inside(owner: Owner) -> str:
    return "repositories" if owner.kind is OwnerKind.INSTALLATION else ""


def _is_of(owner: Owner, item: Any) -> bool:
    return not owner.id or parse_owner_of(item).id == owner.id


def _kept(etag: str) -> str:
    return etag if len(etag) <= MAX_ETAG else ""


def _about_hooks(error: ProviderError, repository: str) -> ProviderError:
    """What to tick, where webhooks are refused. To whoever may not see them, GitHub
    answers 404 as well."""
    if error.status not in {403, 404}:
        return error
    said = error.sentence
    if isinstance(error, NotFound):
        said = "The token may not see or change these webhooks."
    whose, scope, group = (
        (f"of {repository}", "admin:repo_hook", "repository")
        if repository
        else ("of a whole organisation", "admin:org_hook", "organisation")
    )
    return Refused(
        f"{said} Webhooks {whose} take the scope “{scope}”, or “Webhooks: Read and "
        f"write” among the {group} permissions, and an administrator's account.",
        status=error.status,
    )
