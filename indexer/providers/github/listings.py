"""The refs of many repositories in few queries, to see which changed.

A query asks for 25 repositories; one that GitHub cannot finish in its ten seconds is
asked again in halves. A repository with more than a hundred tags is asked for them once
more, by REST, which gives all at once. A server without GraphQL is asked for each one
by REST."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from indexer.providers.base import Listing, RemoteRepository
from indexer.providers.errors import (
    BadPayload,
    NotFound,
    ProviderError,
    RateLimited,
    Unavailable,
)
from indexer.providers.github.client import GitHubClient, clean, query_error
from indexer.providers.github.queries import (
    BATCH,
    PartOfListing,
    listings_query,
    parse_listings,
)
from indexer.providers.github.refs import fetch_listing_by_rest, fetch_refs
from indexer.providers.objects import NeedsMirror

Outcome = Listing | ProviderError
# A query may have been too much for GitHub: its own word for it (200), and what the
# proxy before it says after ten seconds.
TOO_MUCH = frozenset({200, 502, 504})


def fetch_listings(
    client: GitHubClient, repositories: Sequence[RemoteRepository]
) -> Mapping[str, Outcome]:
    """The refs by repository id, or why they could not be read. Of branches those that
    the query tells: the first hundred. Raises for what concerns all: a limit, a token,
    a server that is down."""
    found: dict[str, Outcome] = {}
    waiting = [
        list(repositories[start : start + BATCH])
        for start in range(0, len(repositories), BATCH)
    ]
    waiting.reverse()
    while waiting:
        batch = waiting.pop()
        try:
            found |= _fetch_batch(client, batch)
        except NotFound as error:
            if error.status != 404:
                raise
            return {each.id: _by_rest(client, each) for each in repositories}
        except Unavailable as error:
            if error.status not in TOO_MUCH:
                raise
            if len(batch) > 1:
                middle = len(batch) // 2
                waiting += [batch[middle:], batch[:middle]]
            elif found:
                found[batch[0].id] = error
            else:
                raise  # not even one at a time: it is not this one's fault
    return found


def _fetch_batch(
    client: GitHubClient, batch: Sequence[RemoteRepository]
) -> dict[str, Outcome]:
    query, variables = listings_query(batch)
    data = client.graphql(query, variables).data
    reasons = _reasons(data.get("errors"))
    parts = parse_listings(batch, data)
    found: dict[str, Outcome] = {}
    for number, repository in enumerate(batch):
        told = parts[repository.id]
        if isinstance(told, PartOfListing):
            found[repository.id] = _completed(client, repository, told)
        else:
            found[repository.id] = reasons.get(f"r{number}", told)
    return found


def _reasons(errors: Any) -> dict[str, ProviderError]:
    """Why a part of a query has no answer, by the part's name. Raises an error that
    belongs to no part."""
    found: dict[str, ProviderError] = {}
    for error in errors or ():
        why = query_error(str(error.get("type", "")), clean(error.get("message")))
        path = error.get("path")
        if not isinstance(path, list) or not path:
            raise why
        found.setdefault(str(path[0]), why)
    return found


def _completed(
    client: GitHubClient, repository: RemoteRepository, told: PartOfListing
) -> Outcome:
    """The listing with all tags, those that did not fit into the query too."""
    if told.has_all_tags:
        return told.listing
    return _outcome(lambda: _with_all_tags(client, repository, told))


def _by_rest(client: GitHubClient, repository: RemoteRepository) -> Outcome:
    return _outcome(
        lambda: fetch_listing_by_rest(
            client, repository.path, repository_id=repository.id
        )
    )


def _outcome(fetch: Callable[[], Listing]) -> Outcome:
    """The listing, or what is wrong with this repository alone."""
    try:
        return fetch()
    except NeedsMirror as error:
        return BadPayload(error.reason)
    except RateLimited:
        raise
    except ProviderError as error:
        if error.status == 401:
            raise
        return error


def _with_all_tags(
    client: GitHubClient, repository: RemoteRepository, told: PartOfListing
) -> Listing:
    refs = fetch_refs(client, repository.path, "tags", at_least=told.tags)
    return replace(
        told.listing,
        tags={name: object_id for name, (object_id, _) in refs.items()},
        raw_tags={name: name.encode() for name in refs},
        peeled={name: "" for name, (_, is_tag) in refs.items() if is_tag},
    )
