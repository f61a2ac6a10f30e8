"""Git's objects of a repository at GitLab: over REST alone, where the server or the
token allows no Git over HTTP; or from a mirror, with single files over REST."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence

from indexer.core.snapshot import ObjectType
from indexer.providers.base import Progress, no_progress
from indexer.providers.errors import BadPayload, NotFound, ProviderError, TooLarge
from indexer.providers.gitlab import payloads
from indexer.providers.gitlab.assembly import (
    build_commit,
    build_trees,
    is_proven,
    prove_tag,
    unproven_tag,
)
from indexer.providers.gitlab.client import PER_PAGE, GitLabClient
from indexer.providers.gitlab.payloads import CommitInfo, Signer, TagInfo
from indexer.providers.gitlab.refs import project_path
from indexer.providers.objects import Body, Header, Objects, Want
from indexer.yamlio import MAX_BYTES

MOST_TREE_PAGES = 100  # of one commit: 10,000 files and folders
# New files of one crawl that are asked for one by one: with more, one fetch over Git,
# which takes two requests and a process at GitLab, is cheaper.
FEW = 3


class RestObjects:
    """Objects over REST. `tags` is what GitLab said of annotated tags, by id.
    `unproven` holds those of them whose tagger could not be told."""

    fetches = True

    def __init__(
        self,
        client: GitLabClient,
        project: str,
        tags: Mapping[str, TagInfo],
        *,
        progress: Progress = no_progress,
    ) -> None:
        self.unreadable: set[str] = set()
        self.unproven: dict[str, TagInfo] = {}
        self._client = client
        self._path = f"{project_path(project)}/repository"
        self._tags = tags
        self._progress = progress
        self._commits = {
            tag.commit.id: tag.commit for tag in tags.values() if tag.commit
        }
        self._people: dict[Signer, None] = {
            who: None
            for commit in self._commits.values()
            for who in (commit.committer, commit.author)
        }
        self._here: dict[str, tuple[ObjectType, bytes]] = {}
        self._too_large: set[str] = set()

    def load(self, object_ids: Collection[str], want: Want) -> dict[str, Header]:
        """Have these objects here; the headers of those that are."""
        for done, key in enumerate(object_ids):
            if key in self._here:
                continue
            tag = self._tags.get(key)
            if tag is not None and tag.is_annotated:
                self._load_tag(tag)
            elif want is Want.COMMITS:
                self._progress("Reading commits", done, len(object_ids))
                self._load_commit(key)
            elif want is Want.BLOBS:
                self._progress("Reading files", done, len(object_ids))
                self._load_blob(key)
        return self.headers(object_ids)

    def load_level(self, tree_ids: Collection[str]) -> None:
        """Trees come with their commit."""

    def headers(self, object_ids: Collection[str]) -> dict[str, Header]:
        """Type and size by id. Of a commit that GitLab named the size is not known
        before it was read: 0."""
        found = {}
        for key in object_ids:
            if key in self._here:
                kind, body = self._here[key]
                found[key] = Header(kind, len(body))
            elif key in self._commits:
                found[key] = Header(ObjectType.COMMIT, 0)
            elif key in self._too_large:
                # Base64 of it was more than an answer may have: at least so much.
                size = self._client.session.max_bytes * 3 // 4
                found[key] = Header(ObjectType.BLOB, max(size, MAX_BYTES + 1))
        return found

    def bodies(
        self, object_ids: Sequence[str], *, limit: int
    ) -> Generator[Body, None, None]:
        """Those of these objects that are here, in order, each cut at `limit`."""
        for key in object_ids:
            if key in self._here:
                kind, body = self._here[key]
                yield Body(key, kind, body[:limit], len(body) > limit)

    def _load_tag(self, tag: TagInfo) -> None:
        body = prove_tag(tag, tuple(self._people))
        if body is None:
            self.unproven[tag.target] = tag
            body = unproven_tag(tag)
        self._here[tag.target] = ObjectType.TAG, body

    def _load_commit(self, commit_id: str) -> None:
        try:
            listed = self._client.pages(
                f"{self._path}/tree",
                {"ref": commit_id, "recursive": "true"},
                key="path",
                paging="page_token",
                most=MOST_TREE_PAGES,
            )
        except NotFound:
            self.unreadable.add(commit_id)
            return
        except TooLarge:
            raise TooLarge(
                f"The repository has more than {MOST_TREE_PAGES * PER_PAGE} files and "
                "folders, too many to read over GitLab's API alone. Allow Git over "
                "HTTPS for the token (scope read_repository)."
            ) from None
        entries = [payloads.parse_entry(item) for item in listed]
        root, trees = build_trees(entries, len(commit_id))
        body = self._commit_body(commit_id, root)
        self._here |= {key: (ObjectType.TREE, tree) for key, tree in trees.items()}
        self._here[commit_id] = ObjectType.COMMIT, body

    def _commit_body(self, commit_id: str, tree_id: str) -> bytes:
        """A commit's bytes; asked for only if what the list of tags said of it is not
        all of it."""
        told = self._commits.get(commit_id)
        if told is not None:
            body = build_commit(told, tree_id)
            if is_proven("commit", body, commit_id):
                return body
        return build_commit(self._fetch_commit(commit_id), tree_id)

    def _fetch_commit(self, commit_id: str) -> CommitInfo:
        answer = self._client.rest("GET", f"{self._path}/commits/{commit_id}")
        commit = payloads.parse_commit(answer.data)
        if commit.id != commit_id:
            raise BadPayload("GitLab answered with another commit than asked for.")
        return commit

    def _load_blob(self, blob_id: str) -> None:
        try:
            body = fetch_blob(self._client, self._path, blob_id)
        except NotFound:
            self.unreadable.add(blob_id)
        except TooLarge:
            self._too_large.add(blob_id)
        else:
            self._here[blob_id] = ObjectType.BLOB, body


class FewBlobsOverRest:
    """A mirror's objects, but a few files are asked for by REST instead of a fetch.
    What REST does not give, for whatever reason, comes over Git as ever."""

    def __init__(self, objects: Objects, client: GitLabClient, project: str) -> None:
        self._objects = objects
        self._client = client
        self._path = f"{project_path(project)}/repository"
        self._here: dict[str, bytes] = {}

    @property
    def fetches(self) -> bool:
        return self._objects.fetches

    @property
    def unreadable(self) -> Collection[str]:
        return self._objects.unreadable

    def load(self, object_ids: Collection[str], want: Want) -> dict[str, Header]:
        if want is Want.BLOBS:
            headers = self.headers(object_ids)
            absent = [key for key in object_ids if key not in headers]
            if len(absent) <= FEW:
                self._ask(absent)
            object_ids = [key for key in object_ids if key not in self._here]
            mine = self.headers(self._here)
            return mine | (self._objects.load(object_ids, want) if object_ids else {})
        return self._objects.load(object_ids, want)

    def load_level(self, tree_ids: Collection[str]) -> None:
        self._objects.load_level(tree_ids)

    def headers(self, object_ids: Collection[str]) -> dict[str, Header]:
        mine = {
            key: Header(ObjectType.BLOB, len(self._here[key]))
            for key in object_ids
            if key in self._here
        }
        others = [key for key in object_ids if key not in mine]
        return mine | (self._objects.headers(others) if others else {})

    def bodies(
        self, object_ids: Sequence[str], *, limit: int
    ) -> Generator[Body, None, None]:
        others = [key for key in object_ids if key not in self._here]
        source = self._objects.bodies(others, limit=limit) if others else iter(())
        coming = next(source, None)
        for key in object_ids:
            if key in self._here:
                data = self._here[key]
                yield Body(key, ObjectType.BLOB, data[:limit], len(data) > limit)
            elif coming is not None and coming.object_id == key:
                yield coming
                coming = next(source, None)

    def _ask(self, blob_ids: Collection[str]) -> None:
        for blob_id in blob_ids:
            try:
                self._here[blob_id] = fetch_blob(self._client, self._path, blob_id)
            except ProviderError:
                return


def fetch_blob(client: GitLabClient, path: str, blob_id: str) -> bytes:
    """A file by its object id; proven to be it. `path` is `/projects/…/repository`."""
    body = payloads.parse_blob(client.rest("GET", f"{path}/blobs/{blob_id}").data)
    if not is_proven("blob", body, blob_id):
        raise BadPayload("GitLab answered with another file than asked for.")
    return body
