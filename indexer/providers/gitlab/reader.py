"""The GitLab provider: a repository's refs and objects without a clone.

GitLab's API does not name a tag's tagger, and its commits lack their trees. Over Git
one round trip lists every ref, and one fetch by object id brings all new tag objects
with their commits and trees, which GitLab does not count as API requests. So refs and
objects come over Git, single registry files over REST. Where Git over HTTP is off or
the token lacks `read_repository`, all of it comes over REST, as far as that goes."""

from __future__ import annotations

from dataclasses import replace

from indexer.core.snapshot import GitTag, RepositorySnapshot
from indexer.providers.base import Known, Listing, Progress, Remote, no_progress
from indexer.providers.errors import (
    AccessDenied,
    AddressRefused,
    BadPayload,
    NotFound,
    ProviderError,
    Unavailable,
)
from indexer.providers.git.reader import GitProvider
from indexer.providers.gitlab.client import GitLabClient
from indexer.providers.gitlab.objects import FewBlobsOverRest, RestObjects
from indexer.providers.gitlab.payloads import parse_repository
from indexer.providers.gitlab.refs import Refs, clone_url, fetch_refs, project_path
from indexer.providers.objects import Missing, Objects
from indexer.providers.reading import Reading

# What Git says where it is off, or closed to this token.
NO_GIT = (AccessDenied, NotFound, BadPayload)
UNTOLD = (
    "GitLab's API does not name who made this tag. Allow Git over HTTPS for the token "
    "(scope read_repository)."
)


class GitLabProvider:
    """Reads one repository at GitLab. `remote` is its address for Git, `client` that
    of the same connection. `read_by_why` says why the last reading was not the usual
    one; "" if it was."""

    def __init__(self, remote: Remote, client: GitLabClient) -> None:
        self.read_by = "api"
        self.read_by_why = ""
        self._remote = remote
        self._client = client
        self._project = remote.provider_id or remote.path
        self._git = GitProvider(remote, wrap=self._wrap)
        self._refs: Refs | None = None  # set where Git was refused

    def fetch_listing(self) -> Listing:
        """The refs as they are now: one `ls-remote`, else three requests and more."""
        try:
            try:
                listing = self._git.fetch_listing()
            except AddressRefused as error:
                self._follow_move(error)
                listing = self._git.fetch_listing()
        except NO_GIT as error:
            return self._refs_instead_of_git(error).listing
        self._refs = None
        return listing

    def fetch_snapshot(
        self, listing: Listing, known: Known, progress: Progress = no_progress
    ) -> RepositorySnapshot:
        """The whole snapshot that `listing` names, reading only what is not known. What
        was read without its tagger before is read again where Git is open now."""
        if self._refs is None:
            told = {key: tag for key, tag in known.tags.items() if not _is_untold(tag)}
            try:
                return self._git.fetch_snapshot(
                    listing, replace(known, tags=told), progress
                )
            except NO_GIT as error:
                self._refs_instead_of_git(error)
        return self._over_rest(listing, known, progress)

    def _follow_move(self, refusal: AddressRefused) -> None:
        """Git's address sends us elsewhere, where Muster does not follow: go to where
        GitLab says that the repository with this number is now."""
        answer = self._client.rest("GET", project_path(self._project))
        path = parse_repository(answer.data).path
        if path == self._remote.path:
            raise refusal
        url = clone_url(self._client, path)
        self._remote = replace(self._remote, url=url, path=path)
        self._git = GitProvider(self._remote, wrap=self._wrap)

    def _wrap(self, objects: Objects) -> Objects:
        return FewBlobsOverRest(objects, self._client, self._project)

    def _refs_instead_of_git(self, refusal: ProviderError) -> Refs:
        """The refs over REST. What REST says is the error if it refuses as well: its
        answers by the repository's number are the more exact ones."""
        self._refs = fetch_refs(self._client, self._project)
        self.read_by_why = (
            "Git over HTTPS was refused, so all of it was read over GitLab's API: "
            f"{refusal.sentence}"
        )
        return self._refs

    def _over_rest(
        self, listing: Listing, known: Known, progress: Progress
    ) -> RepositorySnapshot:
        refs = self._refs or fetch_refs(self._client, self._project)
        try:
            return self._read(listing, refs, known, progress, first=True)
        except Missing:
            self._refs = refs = fetch_refs(self._client, self._project)
        try:
            return self._read(refs.listing, refs, known, progress, first=False)
        except Missing:
            raise Unavailable(
                "GitLab does not have all the objects that it lists. Muster tries "
                "again later."
            ) from None

    def _read(
        self,
        listing: Listing,
        refs: Refs,
        known: Known,
        progress: Progress,
        *,
        first: bool,
    ) -> RepositorySnapshot:
        objects = RestObjects(self._client, self._project, refs.tags, progress=progress)
        snapshot = Reading(listing, known, progress, objects, first=first).snapshot()
        return replace(
            snapshot, tags=tuple(_say_untold(tag, objects) for tag in snapshot.tags)
        )


def _say_untold(tag: GitTag, objects: RestObjects) -> GitTag:
    """The tag as GitLab tells it, with its date, and why it lacks a tagger."""
    info = objects.unproven.get(tag.object_id)
    if info is None or tag.tag is None:
        return tag
    told = replace(tag.tag, tagged=info.created_at, flaws=(UNTOLD,))
    return replace(tag, tag=told)


def _is_untold(tag: GitTag) -> bool:
    return tag.tag is not None and UNTOLD in tag.tag.flaws
