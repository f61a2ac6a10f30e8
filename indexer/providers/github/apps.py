"""GitHub Apps: from an app's number and private key to a token of an installation.

An app proves itself by a JWT of a few minutes, looks up where it is installed, and asks
there for a token that lives an hour. Only that token reads anything; who keeps it is
not decided here.
https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from github import Auth
from jwt.exceptions import PyJWTError

from indexer.budgets import Budget
from indexer.providers.addresses import AllowPrivate
from indexer.providers.base import Ability, Right
from indexer.providers.errors import AccessDenied, NotFound, ProviderError
from indexer.providers.github.client import GitHubClient, segment
from indexer.providers.github.payloads import (
    Access,
    Installation,
    parse_access,
    parse_installation,
)

# What lets an app do something: a permission, and the settings of it that do.
NEEDS: Mapping[Ability, tuple[str, frozenset[str], str]] = {
    Ability.READ: (
        "contents",
        frozenset({"read", "write"}),
        "“Contents: Read-only” among the repository permissions",
    ),
    Ability.TAGS: (
        "contents",
        frozenset({"write"}),
        "“Contents: Read and write” among the repository permissions",
    ),
    Ability.CONTENTS: (
        "contents",
        frozenset({"write"}),
        "“Contents: Read and write” among the repository permissions",
    ),
    Ability.HOOKS: (
        "organization_hooks",
        frozenset({"write"}),
        "“Webhooks: Read and write” among the organisation permissions",
    ),
}
APP_ID = re.compile(r"[A-Za-z0-9.]{1,40}", re.ASCII)
DOING = {
    Ability.READ: "read its repositories",
    Ability.TAGS: "make and delete tags",
    Ability.CONTENTS: "commit files",
    Ability.HOOKS: "make one webhook for the whole organisation",
}


class GitHubApp:
    """An app at a GitHub server. `private_key` is PEM text. Methods raise only
    `errors.ProviderError`; an app with a key that is none raises AccessDenied."""

    def __init__(
        self,
        api_url: str,
        *,
        app_id: str,
        private_key: str,
        budget: Budget,
        allow_private: AllowPrivate,
    ) -> None:
        self._app_id = app_id.strip()
        self._client = GitHubClient(
            api_url,
            token="",
            bearer=_proof(self._app_id, private_key),
            budget=budget,
            allow_private=allow_private,
        )

    def find_installation(self, owner: str) -> Installation:
        """Where the app is installed for an organisation or user."""
        name = segment(owner)
        for path in (f"/orgs/{name}/installation", f"/users/{name}/installation"):
            try:
                return _usable(parse_installation(self._ask("GET", path)))
            except NotFound:
                pass
        self._ask_for_app()
        raise NotFound(
            f"The GitHub App is not installed for {name}. Install it there (“Install "
            "App” in the app's settings at GitHub), or check the spelling."
        )

    def fetch_installation(self, installation_id: str) -> Installation:
        """An installation by its number."""
        path = f"/app/installations/{segment(installation_id)}"
        try:
            return _usable(parse_installation(self._ask("GET", path)))
        except NotFound:
            raise self._gone(installation_id) from None

    def create_access(self, installation_id: str) -> Access:
        """A token of an installation, for an hour. Asking again makes another, which
        does no harm."""
        path = f"/app/installations/{segment(installation_id)}/access_tokens"
        try:
            return parse_access(self._ask("POST", path))
        except NotFound:
            raise self._gone(installation_id) from None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _ask(self, method: str, path: str) -> Any:
        try:
            return self._client.rest(method, path).data
        except ProviderError as error:
            if error.status == 401:
                raise AccessDenied(
                    "GitHub does not accept the app's proof: the private key is not "
                    f"one of the app {self._app_id}, or this machine's clock is "
                    "wrong. Make a new key in the app's settings at GitHub.",
                    status=401,
                ) from None
            if error.status == 403 and "suspended" in error.sentence.lower():
                raise _suspended() from None
            raise

    def _ask_for_app(self) -> None:
        try:
            self._ask("GET", "/app")
        except NotFound:
            raise NotFound(
                f"GitHub knows no app with the number {self._app_id}. It stands in "
                "the app's settings at GitHub (“App ID”)."
            ) from None

    def _gone(self, installation_id: str) -> NotFound:
        self._ask_for_app()
        return NotFound(
            f"The GitHub App has no installation {installation_id} any more. Install "
            "it again, or leave the number empty to have it found."
        )


def rights_of(installation: Installation) -> tuple[Right, ...]:
    """What an installation was allowed; a webhook of a single repository too, where
    it says so."""
    return tuple(_right(ability, installation) for ability in Ability)


def _right(ability: Ability, installation: Installation) -> Right:
    name, settings, ticking = NEEDS[ability]
    permissions, doing = installation.permissions, DOING[ability]
    if permissions.get(name) in settings:
        return Right(ability, True, f"The app may {doing}.")
    how = f"Tick {ticking} in the app's settings at GitHub, then accept it there."
    if ability is Ability.HOOKS and permissions.get("repository_hooks") == "write":
        return Right(ability, True, "The app may make a webhook for each repository.")
    return Right(ability, False, f"The app may not {doing}. {how}")


def _proof(app_id: str, private_key: str) -> str:
    """A JWT. Whatever goes wrong in it says nothing of the key."""
    if not APP_ID.fullmatch(app_id):
        raise NotFound(
            "A GitHub App has a number (“App ID”) or a client ID of letters and "
            "digits; both stand in its settings at GitHub."
        )
    try:
        return Auth.AppAuth(app_id, private_key.strip() + "\n").create_jwt()
    except (PyJWTError, ValueError, TypeError, AttributeError):
        raise AccessDenied(
            "The private key of the GitHub App cannot be read. Paste the whole file "
            "that GitHub gave, from “-----BEGIN” to the end."
        ) from None


def _usable(installation: Installation) -> Installation:
    if installation.is_suspended:
        raise _suspended()
    return installation


def _suspended() -> AccessDenied:
    return AccessDenied(
        "The installation of the GitHub App is suspended. Whoever owns the "
        "organisation can lift that in the installation's settings at GitHub.",
        status=403,
    )
