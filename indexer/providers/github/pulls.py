"""Pull requests between branches of one repository at GitHub."""

from __future__ import annotations

from typing import Any

from indexer.providers.errors import NotFound, Refused
from indexer.providers.github.client import GitHubClient, repository_path
from indexer.providers.github.queries import as_object, odd
from indexer.providers.merging import found_or_opened, web_address

# Of GitHub's refusals, that after which one may be there: it is open already.
MAY_EXIST = frozenset({422})
WHAT = "a pull request"


def open_pull(
    client: GitHubClient, path: str, *, branch: str, base: str, title: str, body: str
) -> str:
    """The web address of the open pull request from `branch` into `base` of the
    repository at `path` (owner/name): the one that is there, or a new one. Raises
    Refused with GitHub's reason, and Unsettled where it is not known whether one was
    opened: to be asked again."""
    asked = {"title": title, "head": branch, "base": base, "body": body}
    return found_or_opened(
        lambda: _find(client, path, branch, base),
        lambda: _post(client, path, asked),
        what="the pull request",
        may_exist=MAY_EXIST,
    )


def _find(client: GitHubClient, path: str, branch: str, base: str) -> str:
    """The web address of the one that is open; "" if there is none.
    https://docs.github.com/en/rest/pulls/pulls#list-pull-requests"""
    owner = path.partition("/")[0]
    asked = {"head": f"{owner}:{branch}", "base": base, "state": "open"}
    for pull in client.pages(f"{repository_path(path)}/pulls", asked):
        # Looked at again: GitHub passes over a filter that it does not understand.
        if pull.get("state") == "open" and _sides(pull) == (branch, base):
            return _address(pull)
    return ""


def _post(client: GitHubClient, path: str, asked: dict[str, str]) -> str:
    """https://docs.github.com/en/rest/pulls/pulls#create-a-pull-request"""
    url = f"{repository_path(path)}/pulls"
    try:
        return _address(client.rest("POST", url, body=asked).data)
    except NotFound as error:
        # What GitHub says to a token that may read and not write.
        raise Refused(
            f"GitHub has no {path} in which this token may open pull requests. Give "
            "the token the right to write pull requests, or open it at GitHub.",
            status=error.status,
        ) from None


def _sides(pull: Any) -> tuple[str, str]:
    """The two branches, if both are of the same repository."""
    head, base = as_object(pull.get("head"), WHAT), as_object(pull.get("base"), WHAT)
    numbers = [
        side["repo"].get("id") if isinstance(side.get("repo"), dict) else None
        for side in (head, base)
    ]
    if numbers[0] is None or numbers[0] != numbers[1]:
        return "", ""  # of a fork, or of one that is gone
    return str(head.get("ref")), str(base.get("ref"))


def _address(pull: Any) -> str:
    address = web_address(as_object(pull, WHAT).get("html_url"))
    if not address:
        raise odd(WHAT)
    return address
