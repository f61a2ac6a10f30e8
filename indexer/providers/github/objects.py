"""GitHub's API as a source of objects: many in one query, proven by their ids, and what
cannot be proven the way that costs least (REST for a few, else Git).

A tree is asked for once, however many commits have it, and a file once ever."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from indexer.core.git_objects import parse_tag_object
from indexer.core.snapshot import FileRef, ObjectType
from indexer.core.tags import parse_tag_name
from indexer.providers.base import Known, Listing, Progress, no_progress
from indexer.providers.errors import Refused, TooLarge, Unavailable
from indexer.providers.github.client import GitHubClient
from indexer.providers.github.memory import Memory
from indexer.providers.github.queries import objects_query, repository_of
from indexer.providers.github.rest_objects import RestObjects
from indexer.providers.objects import Body, Header, NeedsMirror, Objects, Want
from indexer.providers.tag_chains import MAX_CHAIN
from indexer.yamlio import MAX_BYTES

TAGS_A_QUERY = 100
TREES_A_QUERY = 100
BLOBS_A_QUERY = 400
MAX_FAILURES = 8  # of queries, one after the other, before it is not their size
# What an object is to be that is asked for; a header of another type is an answer.
KIND_OF = {
    Want.TAGS: ObjectType.TAG,
    Want.TAGS_AND_TREES: ObjectType.TAG,
    Want.COMMITS: ObjectType.COMMIT,
    Want.TREES: ObjectType.TREE,
    Want.BLOBS: ObjectType.BLOB,
}
TOO_SLOW = frozenset({0, 200, 502, 504})  # what may be due to a query's size
WEIGHT_OF_SILENCE = 3  # no answer at all takes longer than a refusal
SLOW = 408  # and that is not
MAX_BY_REST = 10  # objects that a query cannot prove; more come over Git at once
MAX_WITHOUT_GRAPHQL = 100  # requests, one for each object
MAX_NEW_TAGS = 5_000  # more at once are quicker over Git
MAX_TREES = 5_000  # asked for by id
MAX_BLOBS = 10_000
MAX_LEVELS = 25  # of folders, below what comes along
SMALL = 150  # entries of the upper two levels of a tree: then it comes with its commit
LEVELS = 3  # of a small tree
MAX_ENTRIES = 20_000  # of trees in one answer
FEW_TAGS = 10
SECONDS = 300.0  # for all queries of one snapshot
MAX_HINTS = 12  # paths of registry files that are asked for with a few new tags


@dataclass(frozen=True, slots=True)
class Place:
    """Which repository at whose server, and whether that speaks GraphQL."""

    client: GitHubClient
    path: str  # owner/name, checked
    has_graphql: bool = True


class GitHubObjects:
    """Objects of one repository. `memory` holds what came with the listing;
    `open_mirror` gives the mirror, which is there from then on."""

    fetches = True

    def __init__(
        self,
        place: Place,
        listing: Listing,
        known: Known,
        memory: Memory,
        progress: Progress,
        *,
        open_mirror: Callable[[], Objects],
    ) -> None:
        self._place = place
        self._listing = listing
        self._known = known
        self._memory = memory
        self._progress = progress
        self._open_mirror = open_mirror
        self._mirror: Objects | None = None
        self._rest = RestObjects(place.client, place.path, memory)
        entries = self._measure_head()
        self._is_large = entries > SMALL
        self._levels = 1 if self._is_large else LEVELS
        # As many commits a query as have their trees in one answer.
        self._commits_a_query = max(5, min(TAGS_A_QUERY, MAX_ENTRIES // (entries + 1)))
        self._asked = dict.fromkeys(ObjectType, 0)
        self._roots: list[str] = []
        self._rounds = 0
        self._end = time.monotonic() + SECONDS

    @property
    def unreadable(self) -> Collection[str]:
        """Ids that Git gave up."""
        return self._mirror.unreadable if self._mirror else ()

    def load(self, object_ids: Collection[str], want: Want) -> dict[str, Header]:
        """Have these objects here, and tell the headers of those that are."""
        if want is Want.TREES:
            self._roots = list(object_ids)
        self._load(self._absent(object_ids), want)
        return self.headers(object_ids)

    def load_level(self, tree_ids: Collection[str]) -> None:
        """Have the trees of one level here."""
        absent = self._absent(tree_ids)
        if not absent:
            return
        if self._is_large and not self._rounds and self._roots:
            # All below one root at once: other commits share most of it.
            root = self._root(self._listing.head)
            root = root if root in self._roots else self._roots[0]
            self._rest.fetch([root], ObjectType.TREE, again=True)
            absent = self._absent(absent)
        self._rounds += 1
        if self._rounds > MAX_LEVELS:
            raise NeedsMirror("Its folders lie too deep for GitHub's API.")
        self._load(absent, Want.TREES)

    def _load(self, absent: list[str], want: Want) -> None:
        if not absent:
            return
        match want:
            case Want.TAGS | Want.TAGS_AND_TREES:
                self._load_tags(absent)
                self._forget_doubtful(absent)
                absent = [*absent, *self._unproven_tags()]
            case Want.COMMITS:
                self._load_commits(absent)
            case Want.TREES:
                self._load_trees(absent)
            case Want.BLOBS:
                self._load_blobs(absent)
        left = [
            key
            for key in dict.fromkeys(self._absent(absent))
            if self._is_unproven(key, want)
        ]
        if left:
            if self._mirror is None:
                self._mirror = self._open_mirror()
            self._mirror.load(left, want)

    def headers(self, object_ids: Collection[str]) -> dict[str, Header]:
        """Type and size by id of objects that are here, and of those of which GitHub
        said as much."""
        found: dict[str, Header] = {}
        elsewhere = [key for key in object_ids if key not in self._memory]
        by_git = self._mirror.headers(elsewhere) if self._mirror else {}
        for key in object_ids:
            header = by_git.get(key) or self._memory.header(key)
            if header is not None and key not in self.unreadable:
                found[key] = header
        return found

    def bodies(
        self, object_ids: Sequence[str], *, limit: int
    ) -> Generator[Body, None, None]:
        """Those of these objects that are here, in order, each cut at `limit`."""
        others: Generator[Body, None, None] | None = None
        if self._mirror:
            elsewhere = [key for key in object_ids if key not in self._memory]
            others = self._mirror.bodies(elsewhere, limit=limit)
        try:
            other = next(others, None) if others else None
            for key in object_ids:
                if key in self._memory:
                    kind, data = self._memory.bodies[key]
                    yield Body(key, kind, data[:limit], len(data) > limit)
                elif others and other is not None and other.object_id == key:
                    yield other
                    other = next(others, None)
        finally:
            if others:
                others.close()

    # Tags ---------------------------------------------------------------------------

    def _load_tags(self, wanted: list[str]) -> None:
        """Tags with what they lead to; the head; and, of files, those that will be
        asked for next as far as they can be told before."""
        if len(wanted) > MAX_NEW_TAGS:
            raise NeedsMirror(
                f"More than {MAX_NEW_TAGS} tags were new at once, which are read "
                "faster over Git."
            )
        refs = self._listing.tags.items()
        ours = {key for ref, key in refs if parse_tag_name(ref) is not None}
        head = self._listing.head
        tags = [key for key in wanted if key in ours and key != head]
        others = [key for key in wanted if key not in ours and key != head]
        heads = [head] if head in wanted else []
        if not self._place.has_graphql:
            self._load_tags_by_rest(wanted)
            return
        blobs, files = self._hints(tags)
        self._progress("Fetching", 0, len(wanted))
        self._ask_for(
            tags + others,
            self._commits_a_query,
            lambda ids, is_first: objects_query(
                tags=[key for key in ids if key in ours],
                others=[key for key in ids if key not in ours],
                commits=heads if is_first else (),
                blobs=blobs if is_first else (),
                files=files if is_first else (),
                levels=self._levels,
            ),
            besides=bool(heads or blobs),
            progress=self._progress,
        )
        self._load_inner_tags(wanted)
        self._rest_for_few([*wanted, *self._unproven_tags()], Want.TAGS)

    def _load_inner_tags(self, outer: list[str]) -> None:
        """Tags of tags, deeper than one query goes."""
        tried = set(outer)
        for _ in range(MAX_CHAIN):
            inner = [key for key in self._unproven_tags() if key not in tried]
            if not inner:
                return
            tried.update(inner)
            self._ask_for(
                inner,
                TAGS_A_QUERY,
                lambda ids, _: objects_query(tags=ids, levels=self._levels),
            )

    def _forget_doubtful(self, tags: list[str]) -> None:
        """Leave to Git the tags whose target is missing or not what they say: it
        refuses most of them, and both ways are to tell the same."""
        for key in tags:
            kind, body = self._memory.bodies.get(key, (None, b""))
            if kind is ObjectType.TAG:
                tag = parse_tag_object(key, body)
                header = self._memory.header(tag.target_id)
                if header is None or header.type is not tag.target_type:
                    self._memory.forget(key)

    def _unproven_tags(self) -> list[str]:
        """Tags of which GitHub spoke, and whose bytes are not here."""
        return self._absent(
            key
            for key, header in self._memory.headers.items()
            if header.type is ObjectType.TAG
        )

    def _measure_head(self) -> int:
        """Entries of the upper two levels of the head's tree, as the listing brought
        it; 0 if it did not, and many if it could not."""
        root = self._root(self._listing.head)
        tree = self._memory.tree(root)
        if tree is None:
            return SMALL + 1 if root else 0
        below = [self._memory.tree(child) for _, child in tree.folders]
        return tree.entries + sum(one.entries for one in below if one)

    def _root(self, commit_id: str) -> str:
        """The tree of a commit that is here."""
        kind, body = self._memory.bodies.get(commit_id, (None, b""))
        if kind is not ObjectType.COMMIT or not body.startswith(b"tree "):
            return ""
        return body[5:45].decode("ascii")

    def _hints(self, tags: list[str]) -> tuple[list[str], list[tuple[str, str]]]:
        """Blobs of the head that are not known, and, where a few tags are new, the
        paths where their commits probably have registry files."""
        known = self._known
        head = self._listing.head
        files: Sequence[FileRef] = self._memory.registry_files(self._root(head))
        blobs = [file.blob_id for file in files if file.blob_id not in known.documents]
        if head in known.commits:
            files = known.commits[head].files
        paths = [file.path for file in files][:MAX_HINTS]
        by_id = {key: ref for ref, key in self._listing.tags.items()}
        there = {head, *known.commits}
        new = [
            key for key in tags if self._listing.peeled.get(by_id[key], "") not in there
        ]
        if len(new) > FEW_TAGS:
            new = []
        return blobs[:BLOBS_A_QUERY], [(key, path) for key in new for path in paths]

    # Commits, trees, files ----------------------------------------------------------

    def _load_commits(self, wanted: list[str]) -> None:
        if not self._place.has_graphql:
            self._load_by_rest(wanted, ObjectType.COMMIT)
            return
        self._ask_for(
            wanted,
            self._commits_a_query,
            lambda ids, _: objects_query(commits=ids, levels=self._levels),
        )

    def _load_trees(self, wanted: list[str]) -> None:
        self._count(ObjectType.TREE, len(wanted), MAX_TREES)
        if not self._place.has_graphql:
            self._load_by_rest(wanted, ObjectType.TREE)
            return
        self._ask_for(
            wanted,
            TREES_A_QUERY,
            lambda ids, _: objects_query(trees=ids, levels=self._levels),
        )
        odd = [
            key for key in self._absent(wanted) if self._is_unproven(key, Want.TREES)
        ]
        with suppress(Refused):  # an old server knows no raw names: by Git then
            self._ask_for(
                odd,
                TREES_A_QUERY,
                lambda ids, _: objects_query(trees=ids, raw_names=True),
            )

    def _load_blobs(self, wanted: list[str]) -> None:
        self._count(ObjectType.BLOB, len(wanted), MAX_BLOBS)
        if not self._place.has_graphql:
            self._load_by_rest(wanted, ObjectType.BLOB)
            return
        self._ask_for(wanted, BLOBS_A_QUERY, lambda ids, _: objects_query(blobs=ids))
        self._rest_for_few(wanted, Want.BLOBS)

    def _is_unproven(self, object_id: str, want: Want) -> bool:
        """Whether an object that is not here is worth another way: not where GitHub
        says that it is of another kind, or too large to be read anyway."""
        header = self._memory.header(object_id)
        return header is None or (
            header.type is KIND_OF[want] and header.size <= MAX_BYTES
        )

    def _count(self, kind: ObjectType, more: int, most: int) -> None:
        self._asked[kind] += more
        if self._asked[kind] > most:
            what = "folders" if kind is ObjectType.TREE else "registry files"
            raise NeedsMirror(
                f"It has more than {most} {what} to be read over the API."
            )

    # Ways ---------------------------------------------------------------------------

    def _absent(self, object_ids: Iterable[str]) -> list[str]:
        """Those of which no bytes are here."""
        absent = [key for key in object_ids if key not in self._memory]
        if absent and self._mirror:
            by_git = self._mirror.headers(absent)
            absent = [key for key in absent if key not in by_git]
        return absent

    def _ask_for(
        self,
        ids: list[str],
        size: int,
        query_of: Callable[[list[str], bool], str],
        *,
        besides: bool = False,
        progress: Progress = no_progress,
    ) -> None:
        """Ask for these ids, so many at once, `query_of` them and whether what is
        wanted `besides` is to come along. What is too much for GitHub is asked again
        without that, and by halves."""
        at, most, failures = 0, size, 0
        while at < len(ids) or besides:
            part = ids[at : at + size]
            try:
                self._ask(query_of(part, besides))
            except (Unavailable, TooLarge) as error:
                failures += 1 if error.status else WEIGHT_OF_SILENCE
                if error.status not in TOO_SLOW or failures > MAX_FAILURES:
                    raise
                self._levels = 1
                size = size if besides else max(1, len(part) // 2)
                besides = False
                continue
            at += len(part)
            besides, failures = False, 0
            size = min(size * 2, most)
            progress("Fetching", at, len(ids))

    def _ask(self, query: str) -> None:
        """One query, and what it says of objects."""
        if time.monotonic() > self._end:
            raise Unavailable(
                "GitHub took too long to tell this repository. Muster tries again "
                "later.",
                status=SLOW,
            )
        owner, _, name = self._place.path.partition("/")
        answer = self._place.client.graphql(query, {"owner": owner, "name": name})
        repository = repository_of(answer.data)
        for node in repository.values():
            self._memory.take(node)

    def _rest_for_few(self, ids: list[str], want: Want) -> None:
        """Ask REST for what queries did not prove, if it is little."""
        left = [
            key
            for key in dict.fromkeys(self._absent(ids))
            if self._is_unproven(key, want)
        ]
        if len(left) <= MAX_BY_REST:
            self._rest.fetch(left, KIND_OF[want])

    def _load_tags_by_rest(self, wanted: list[str]) -> None:
        """Tags, and all that they lead to: REST does not tell of what kind that is."""
        listing = self._listing
        annotated = {listing.tags.get(ref) for ref in listing.peeled}
        todo = {
            key: ObjectType.TAG if key in annotated else ObjectType.COMMIT
            for key in wanted
        }
        for _ in range(MAX_CHAIN):
            inner: dict[str, ObjectType] = {}
            for key, kind in todo.items():
                self._load_by_rest([key], kind)
                if kind is ObjectType.TAG and key in self._memory:
                    tag = parse_tag_object(key, self._memory.bodies[key][1])
                    if tag.target_type is not ObjectType.MISSING:
                        inner[tag.target_id] = tag.target_type
            todo = inner

    def _load_by_rest(self, ids: list[str], kind: ObjectType) -> None:
        """Without GraphQL: one request for each."""
        self._asked[ObjectType.MISSING] += len(ids)
        if self._asked[ObjectType.MISSING] > MAX_WITHOUT_GRAPHQL:
            raise NeedsMirror(
                "The server has no GraphQL, and the repository more than "
                f"{MAX_WITHOUT_GRAPHQL} objects to be asked for one by one."
            )
        self._rest.fetch(ids, kind)
