"""What a token may do at GitHub, as far as it can be told without doing it.

A classic token's scopes are in every answer. A fine-grained token and an app's say
nothing of themselves: what they can read is tried, what they could write stays open
unless the account behind them may not do it either.
https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps
https://docs.github.com/en/rest/authentication/permissions-required-for-fine-grained-personal-access-tokens"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from indexer.providers.base import Ability, Owner, OwnerKind, Right
from indexer.providers.errors import AccessDenied, NotFound, Refused
from indexer.providers.github.client import (
    GitHubClient,
    quoted,
    repository_path,
    segment,
)
from indexer.providers.github.payloads import parse_permissions, parse_repository

WRITES = {Ability.TAGS: "make and delete tags", Ability.CONTENTS: "commit files"}
REPOSITORY_HOOKS = frozenset({"repo", "admin:repo_hook", "write:repo_hook"})


@dataclass(frozen=True, slots=True)
class Sample:
    """Some repositories of the owner, as a list shows them to the token."""

    items: Sequence[Any]

    def allow(self, permission: str) -> bool:
        """Whether the account has this permission in any of them."""
        return any(permission in parse_permissions(item) for item in self.items)


def classic_rights(
    client: GitHubClient, scopes: frozenset[str], owner: Owner | None, sample: Sample
) -> tuple[Right, ...]:
    """The rights of a token with scopes."""
    return (
        _classic_read(scopes),
        *(_classic_write(ability, scopes, owner, sample) for ability in WRITES),
        _classic_hooks(client, scopes, owner, sample),
    )


def silent_rights(
    client: GitHubClient, owner: Owner | None, sample: Sample
) -> tuple[Right, ...]:
    """The rights of a fine-grained token or an app's, by what may be tried."""
    return (
        _tried_read(client, sample),
        *(_silent_write(ability, owner, sample) for ability in WRITES),
        _silent_hooks(client, owner),
    )


def no_rights() -> tuple[Right, ...]:
    """The rights of nobody."""
    sentence = "Without a token, only public repositories can be read."
    return (
        Right(Ability.READ, True, sentence),
        *(
            Right(ability, False, sentence)
            for ability in (Ability.TAGS, Ability.CONTENTS, Ability.HOOKS)
        ),
    )


def _classic_read(scopes: frozenset[str]) -> Right:
    if "repo" in scopes:
        sentence = "It may read private repositories too, by its scope “repo”."
    else:
        sentence = (
            "It may read public repositories only. Tick “repo” to read private ones."
        )
    return Right(Ability.READ, True, sentence)


def _classic_write(
    ability: Ability, scopes: frozenset[str], owner: Owner | None, sample: Sample
) -> Right:
    doing = WRITES[ability]
    if not scopes & {"repo", "public_repo"}:
        return Right(ability, False, f"It may not {doing}. Tick “repo” to allow it.")
    if owner is not None and not sample.allow("push"):
        return Right(ability, False, _no_push(doing, owner))
    where = "" if "repo" in scopes else " in public repositories"
    return Right(
        ability, True, f"It may {doing}{where}, where its account may push to."
    )


def _classic_hooks(
    client: GitHubClient, scopes: frozenset[str], owner: Owner | None, sample: Sample
) -> Right:
    if "admin:org_hook" in scopes and _sees_hooks(client, owner):
        return Right(
            Ability.HOOKS, True, "It may make one webhook for the whole organisation."
        )
    of_all = ""
    if owner is not None and owner.kind is not OwnerKind.USER:
        of_all = (
            " One for the whole organisation takes an organisation owner's token with "
            "“admin:org_hook”."
        )
    if not scopes & REPOSITORY_HOOKS:
        return Right(
            Ability.HOOKS,
            False,
            f"It may not make webhooks. Tick “admin:repo_hook” to allow it.{of_all}",
        )
    if owner is not None and not sample.allow("admin"):
        return Right(
            Ability.HOOKS,
            False,
            "It may not make webhooks: its account administers none of the "
            f"repositories.{of_all}",
        )
    return Right(
        Ability.HOOKS,
        True,
        "It may make a webhook for each repository that its account "
        f"administers.{of_all}",
    )


def _tried_read(client: GitHubClient, sample: Sample) -> Right:
    """Whether refs can be read: of a private repository if there is one, since
    anybody may read the others."""
    found = [parse_repository(item) for item in sample.items]
    found.sort(key=lambda each: not each.is_private)
    ticking = "Under “Repository permissions”, tick “Contents: Read-only”."
    if not found:
        return Right(
            Ability.READ,
            None,
            "No repository was there to try it on. Choose the repositories in the "
            f"token's settings. {ticking}",
        )
    first = found[0]
    path = f"{repository_path(first.path)}/git/matching-refs/heads/"
    try:
        client.rest("GET", path + quoted(first.default_branch or "main"))
    except Refused:  # 409: it is empty
        pass
    except (AccessDenied, NotFound) as error:
        if error.status == 401:
            raise
        return Right(Ability.READ, False, f"It may not read {first.path}. {ticking}")
    if first.is_private:
        return Right(Ability.READ, True, f"It read {first.path}, which is private.")
    return Right(
        Ability.READ, True, f"It sees public repositories only. For private: {ticking}"
    )


def _silent_write(ability: Ability, owner: Owner | None, sample: Sample) -> Right:
    doing = WRITES[ability]
    said = any(parse_permissions(item) for item in sample.items)
    if owner is not None and said and not sample.allow("push"):
        return Right(ability, False, _no_push(doing, owner))
    return Right(
        ability,
        None,
        f"Whether it may {doing} shows when it is tried. Under “Repository "
        "permissions”, tick “Contents: Read and write” to allow it.",
    )


def _silent_hooks(client: GitHubClient, owner: Owner | None) -> Right:
    of_each = (
        "For a webhook in each repository, tick “Webhooks: Read and write” under "
        "“Repository permissions”."
    )
    if owner is None or owner.kind is OwnerKind.USER:
        sentence = f"Whether it may make webhooks shows when it is tried. {of_each}"
    elif _sees_hooks(client, owner):
        sentence = (
            "It sees the organisation's webhooks; whether it may make one shows when "
            "it is tried. Under “Organization permissions”, tick “Webhooks: Read and "
            "write” to allow it."
        )
    else:
        sentence = (
            "It may not make a webhook for the whole organisation: that is “Webhooks: "
            f"Read and write” under “Organization permissions”. {of_each}"
        )
    return Right(Ability.HOOKS, None, sentence)


def _sees_hooks(client: GitHubClient, owner: Owner | None) -> bool:
    if owner is None or owner.kind is OwnerKind.USER:
        return False
    path = f"/orgs/{segment(owner.path)}/hooks"
    try:
        client.rest("GET", path, parameters={"per_page": 1})
    except (AccessDenied, NotFound) as error:
        if error.status == 401:
            raise
        return False
    return True


def _no_push(doing: str, owner: Owner) -> str:
    return (
        f"It may not {doing}: its account may push to none of the repositories of "
        f"{owner.path} that it sees."
    )
