"""The GitHub provider: a repository's refs and objects over its API, without a clone.

A listing is one query, and one more request where there are more than a hundred tags.
A snapshot asks for the objects that are not known in few queries. Everything is taken
by its id only (raw_objects.py), so the snapshot is the one Git would give. What the API
cannot read at all is read through a mirror."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from indexer.core.snapshot import RepositorySnapshot
from indexer.providers.base import Known, Listing, Progress, Remote, no_progress
from indexer.providers.errors import (
    AccessDenied,
    NotFound,
    Refused,
    TooLarge,
    Unavailable,
)
from indexer.providers.git.command import GitFailed
from indexer.providers.git.mirror import remove_mirror
from indexer.providers.git.reader import GitProvider, system_explained
from indexer.providers.github.client import GitHubClient, repository_path
from indexer.providers.github.memory import Memory
from indexer.providers.github.objects import TOO_SLOW, GitHubObjects, Place
from indexer.providers.github.queries import (
    PartOfListing,
    as_object,
    listing_query,
    parse_listing,
    refuse_another,
    repository_of,
)
from indexer.providers.github.refs import fetch_listing_by_rest, fetch_refs
from indexer.providers.objects import Missing, NeedsMirror
from indexer.providers.reading import Reading, problems_of_head

MAX_TAGS = 20_000  # more are quicker over Git
LEVELS = 2  # of the head's tree that come with a listing
# What a server says that has no GraphQL, or none for this token.
NO_GRAPHQL = (AccessDenied, NotFound, Refused)

T = TypeVar("T")


class GitHubProvider:
    """Reads one repository at GitHub. `remote` is its address for Git (`path` is
    owner/name), `client` that of the same connection. After a reading, `read_by` says
    which way it went ("api", "mirror") and `read_by_why` why not the usual one."""

    def __init__(self, remote: Remote, client: GitHubClient) -> None:
        self.read_by = "api"
        self.read_by_why = ""
        self._client = client
        self._remote = remote
        self._path = remote.path
        self._git = GitProvider(remote)
        self._has_graphql = True
        self._memory = Memory()

    def fetch_listing(self) -> Listing:
        """The refs as they are now: one query, and one request more for many tags."""
        return self._or_mirror(self._fetch_listing, self._git.fetch_listing)

    def fetch_snapshot(
        self, listing: Listing, known: Known, progress: Progress = no_progress
    ) -> RepositorySnapshot:
        """The whole snapshot that `listing` names, reading only what is not known."""
        return self._or_mirror(
            lambda: self._fetch_snapshot(listing, known, progress),
            lambda: self._git.fetch_snapshot(listing, known, progress),
        )

    def _or_mirror(self, by_api: Callable[[], T], by_mirror: Callable[[], T]) -> T:
        """What the API says, unless it cannot; from then on the mirror."""
        if self.read_by == "api":
            try:
                return by_api()
            except NeedsMirror as error:
                self.read_by, self.read_by_why = "mirror", error.reason
        return by_mirror()

    # The listing --------------------------------------------------------------------

    def _fetch_listing(self) -> Listing:
        repository_path(self._path)  # raises for a name that GitHub cannot have
        if self._has_graphql:
            try:
                part = self._ask_for_listing()
            except NO_GRAPHQL:
                # If it is the repository or the token, REST says so in a moment.
                self._has_graphql = False
            else:
                refuse_another(part.repository_id, self._remote.provider_id)
                return self._complete(part)
        listing = fetch_listing_by_rest(
            self._client, self._path, repository_id=self._remote.provider_id
        )
        _refuse_many(len(listing.tags))
        return listing

    def _ask_for_listing(self) -> PartOfListing:
        """One query; where the head's tree is too much for it, one without."""
        try:
            return self._ask(LEVELS)
        except (TooLarge, Unavailable) as error:
            if error.status not in TOO_SLOW:
                raise
            return self._ask(0)

    def _ask(self, levels: int) -> PartOfListing:
        owner, _, name = self._path.partition("/")
        answer = self._client.graphql(
            listing_query(levels), {"owner": owner, "name": name}
        )
        repository = repository_of(answer.data)
        part = parse_listing(repository)
        if repository.get("defaultBranchRef") is not None:
            head = as_object(repository["defaultBranchRef"], "a default branch")
            self._memory.take(head.get("target"))
        return part

    def _complete(self, part: PartOfListing) -> Listing:
        """The listing with what did not fit into the query."""
        listing = part.listing
        _refuse_many(part.tags)
        if not part.has_all_tags:
            tags = fetch_refs(self._client, self._path, "tags", at_least=part.tags)
            peeled = {
                name: listing.peeled.get(name, "")
                if listing.tags.get(name) == object_id
                else ""
                for name, (object_id, is_tag) in tags.items()
                if is_tag
            }
            listing = replace(
                listing,
                tags={name: object_id for name, (object_id, _) in tags.items()},
                raw_tags={name: name.encode() for name in tags},
                peeled=peeled,
            )
        if not listing.has_all_branches:
            branches = fetch_refs(
                self._client, self._path, "heads", at_least=part.branches
            )
            listing = replace(
                listing,
                branches={name: key for name, (key, _) in branches.items()},
                has_all_branches=True,
            )
        return listing

    # The snapshot -------------------------------------------------------------------

    def _fetch_snapshot(
        self, listing: Listing, known: Known, progress: Progress
    ) -> RepositorySnapshot:
        """Objects that are missing mean that the repository changed meanwhile, or that
        the mirror is damaged: both are begun again, once."""
        try:
            with system_explained():
                return self._read(listing, known, progress, first=True)
        except (Missing, GitFailed):
            listing = self._fetch_listing()
        try:
            with system_explained():
                remove_mirror(self._remote.mirror)
                return self._read(listing, known, progress, first=False)
        except Missing:
            raise Unavailable(
                "GitHub does not have all the objects that it lists. Muster tries "
                "again later."
            ) from None
        except GitFailed:
            raise NeedsMirror(
                "Objects that the API cannot tell could not be read one by one."
            ) from None

    def _read(
        self, listing: Listing, known: Known, progress: Progress, *, first: bool
    ) -> RepositorySnapshot:
        if not listing.head and not listing.tags:
            return RepositorySnapshot(
                branches=dict(listing.branches),
                default_branch=listing.default_branch,
                problems=problems_of_head(listing),
            )
        objects = GitHubObjects(
            Place(self._client, self._path, self._has_graphql),
            listing,
            known,
            self._memory,
            progress,
            open_mirror=lambda: self._git.open_objects(listing, known, first=first),
        )
        return Reading(listing, known, progress, objects, first=first).snapshot()


def _refuse_many(tags: int) -> None:
    if tags > MAX_TAGS:
        raise NeedsMirror(
            f"The repository has more than {MAX_TAGS} tags, which are read faster over "
            "Git."
        )
