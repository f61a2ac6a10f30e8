"""The nodes of GraphQL on the GitHub test server: their attributes are the fields of
GitHub's schema, in its spelling."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.providers.api_requests import Grant
from tests.providers.github_connections import Connection, QueryError, connection
from tests.providers.github_messages import commit_message, payload_of, tag_message
from tests.providers.github_payloads import node_id
from tests.providers.github_state import JSON, Account, Repository, stamp
from tests.providers.object_store import GitObject, Person, kind_of, text

if TYPE_CHECKING:
    from tests.providers.github_server import GitHubServer

TEXT_LIMIT = 512_000  # bytes of a blob's text


class Root:
    def __init__(
        self, server: GitHubServer, grant: Grant | None, nodes: int, cost: int
    ) -> None:
        self.server = server
        self.grant = grant
        self._nodes = nodes
        self._cost = cost

    id = "Q_1"

    @property
    def viewer(self) -> Owner:
        assert self.grant is not None
        account = self.server.accounts.get(self.grant.account.lower())
        if account is None:
            raise QueryError("FORBIDDEN", "Resource not accessible by integration")
        return Owner(self, account)

    def rateLimit(self, _: object, dryRun: bool = False) -> JSON:
        limit = self.server.limits["graphql"]
        return {
            "cost": self._cost,
            "limit": limit.limit,
            "nodeCount": self._nodes,
            "remaining": limit.remaining,
            "resetAt": stamp(datetime.fromtimestamp(limit.reset, UTC)),
            "used": limit.used,
        }

    def organization(self, _: object, login: str) -> Owner:
        return self._owner(login, "org", "an Organization with the login of")

    def user(self, _: object, login: str) -> Owner:
        return self._owner(login, "user", "a User with the login of")

    def repositoryOwner(self, _: object, login: str) -> Owner | None:
        account = self.server.accounts.get(login.lower())
        return Owner(self, account) if account else None

    def _owner(self, login: str, kind: str, what: str) -> Owner:
        account = self.server.accounts.get(login.lower())
        if account is None or account.kind != kind:
            text = f"Could not resolve to {what} '{login}'."
            raise QueryError("NOT_FOUND", text)
        self._check_sso(account)
        return Owner(self, account)

    def repository(
        self,
        _: object,
        owner: str,
        name: str,
        followRenames: bool = True,
    ) -> RepositoryNode:
        path = f"{owner}/{name}"
        row = self.server.find(path)
        if row is None and followRenames:
            row = self.server.rows.get(self.server.moved.get(path.lower(), 0))
        if row is None or not self.server.may_see(self.grant, row):
            text = f"Could not resolve to a Repository with the name '{path}'."
            raise QueryError("NOT_FOUND", text)
        self._check_sso(row.owner)
        return RepositoryNode(self, row)

    def _check_sso(self, account: Account) -> None:
        if account.login in self.server.sso_owners:
            text = "Resource protected by organization SAML enforcement."
            raise QueryError("FORBIDDEN", text)

    def node(self, _: object, id: str) -> Any:  # noqa: A002
        kind, _, rest = id.partition("_")
        try:
            number = int(base64.urlsafe_b64decode(rest))
        except ValueError:
            number = 0
        row = self.server.rows.get(number)
        if kind == "R" and row and self.server.may_see(self.grant, row):
            self._check_sso(row.owner)
            return RepositoryNode(self, row)
        for account in self.server.accounts.values():
            if account.id == number and kind in {"O", "U"}:
                return Owner(self, account)
        text = f"Could not resolve to a node with the global id of '{id}'."
        raise QueryError("NOT_FOUND", text)

    def nodes(self, info: object, ids: list[str]) -> list[Any]:
        """One that is not there is null, with an error of its own."""

        def one(id_: str) -> Any:
            try:
                return self.node(info, id_)
            except QueryError as error:
                return error

        return [one(id_) for id_ in ids]


class Owner:
    def __init__(self, root: Root, account: Account) -> None:
        self._root = root
        self._account = account
        self.typename = "Organization" if account.kind == "org" else "User"
        self.id = node_id(account.type[0], account.id)
        self.databaseId = account.id
        self.login = account.login
        self.name = account.login.title()
        self.url = f"{root.server.url}/{account.login}"

    def repository(self, info: object, name: str, **more: Any) -> RepositoryNode:
        return self._root.repository(info, self.login, name, **more)

    def repositories(self, _: object, **asked: Any) -> Connection:
        root = self._root
        rows = [
            row
            for row in root.server.rows.values()
            if row.owner is self._account
            and root.server.may_see(root.grant, row)
            and asked.get("isFork", row.is_fork) == row.is_fork
            and asked.get("isArchived", row.is_archived) == row.is_archived
        ]
        order = asked.get("orderBy") or {"field": "NAME", "direction": "ASC"}
        keys: dict[str, Callable[[Repository], Any]] = {
            "NAME": lambda row: row.name.lower(),
            "PUSHED_AT": lambda row: (row.pushed_at, row.id),
            "UPDATED_AT": lambda row: (row.updated_at, row.id),
            "CREATED_AT": lambda row: (row.created_at, row.id),
        }
        rows.sort(key=keys[order["field"]], reverse=order["direction"] == "DESC")
        found = [(str(row.id), row) for row in rows]
        return connection(
            "repositories", found, lambda row: RepositoryNode(root, row), asked
        )


class RepositoryNode:
    typename = "Repository"

    def __init__(self, root: Root, row: Repository) -> None:
        self._root = root
        self.row = row
        self.id = node_id("R", row.id)
        self.databaseId = row.id
        self.name = row.name
        self.nameWithOwner = row.path
        self.owner = Owner(root, row.owner)
        self.description = row.description
        self.isFork = row.is_fork
        self.isArchived = row.is_archived
        self.isDisabled = row.is_disabled
        self.isPrivate = row.is_private
        self.visibility = "PRIVATE" if row.is_private else "PUBLIC"
        self.pushedAt = stamp(row.pushed_at)
        self.updatedAt = stamp(row.updated_at)
        self.createdAt = stamp(row.created_at)
        self.url = f"{root.server.url}/{row.path}"

    @property
    def conventions(self) -> Any:
        return self._root.server.conventions

    @property
    def isEmpty(self) -> bool:
        return not self.row.store.refs()

    @property
    def defaultBranchRef(self) -> RefNode | None:
        name = f"refs/heads/{self.row.store.default_branch}"
        oid = self.row.store.refs().get(name)
        return RefNode(self, name, oid) if oid else None

    def ref(self, _: object, qualifiedName: str) -> RefNode | None:
        refs = self.row.store.refs()
        for prefix in ("", "refs/heads/", "refs/tags/"):
            oid = refs.get(prefix + qualifiedName)
            if oid and (prefix or qualifiedName.startswith("refs/")):
                return RefNode(self, prefix + qualifiedName, oid)
        return None

    def refs(self, _: object, refPrefix: str, **asked: Any) -> Connection:
        found = list(self.row.store.refs(refPrefix).items())
        if query := asked.get("query"):
            found = [item for item in found if query.lower() in item[0].lower()]
        order = asked.get("orderBy") or {"field": "ALPHABETICAL", "direction": "ASC"}
        if order["field"] == "TAG_COMMIT_DATE":
            found.sort(key=lambda item: self._time(item[1]))
        down = asked.get("direction", order["direction"]) == "DESC"
        found = found[::-1] if down else found
        items = [(ref, (ref, oid)) for ref, oid in found]
        return connection("refs", items, lambda item: RefNode(self, *item), asked)

    def _time(self, oid: str) -> float:
        store = self.row.store
        found = store.get(store.peel(oid) or "")
        who = found.person("committer") if found else None
        return who.date.timestamp() if who and who.date else 0

    def object(
        self, _: object, oid: str | None = None, expression: str | None = None
    ) -> ObjectNode | None:
        found = oid or self.row.store.resolve(expression or "HEAD")
        return self.git_object(found) if found else None

    def git_object(self, oid: str) -> ObjectNode | None:
        found = self.row.store.get(oid)
        return NODES[found.kind](self, found) if found else None


class RefNode:
    typename = "Ref"

    def __init__(self, repository: RepositoryNode, ref: str, oid: str) -> None:
        self.repository = repository
        self.id = node_id("REF", f"{repository.databaseId}:{ref}")
        cut = ref.index("/", 5) + 1 if ref.count("/") > 1 else 5
        self.prefix, self.name = ref[:cut], ref[cut:]
        self._oid = oid

    @property
    def target(self) -> ObjectNode | None:
        return self.repository.git_object(self._oid)


class ObjectNode:
    typename = ""

    def __init__(self, repository: RepositoryNode, found: GitObject) -> None:
        self.repository = repository
        self.found = found
        self.oid = found.oid
        self.abbreviatedOid = found.oid[:7]
        self.id = node_id(self.typename[0], f"{repository.databaseId}:{found.oid}")
        self.commitResourcePath = f"/{repository.nameWithOwner}/commit/{found.oid}"
        self.commitUrl = repository._root.server.url + self.commitResourcePath


class TagNode(ObjectNode):
    typename = "Tag"

    @property
    def name(self) -> str:
        return self.found.header("tag") or ""

    @property
    def message(self) -> str:
        return tag_message(self.found, self.repository.conventions)

    @property
    def tagger(self) -> JSON | None:
        return actor(self.found.person("tagger"))

    @property
    def target(self) -> ObjectNode | None:
        return self.repository.git_object(self.found.header("object") or "")


class CommitNode(ObjectNode):
    typename = "Commit"

    @property
    def message(self) -> str:
        return commit_message(self.found, self.repository.conventions)

    @property
    def messageHeadline(self) -> str:
        return self.message.partition("\n")[0]

    @property
    def messageBody(self) -> str:
        return self.message.partition("\n")[2].lstrip("\n")

    @property
    def author(self) -> JSON | None:
        return actor(self.found.person("author"))

    @property
    def committer(self) -> JSON | None:
        return actor(self.found.person("committer"))

    @property
    def authoredDate(self) -> str | None:
        who = self.found.person("author")
        return stamp(who.date) if who and who.date else None

    @property
    def committedDate(self) -> str | None:
        who = self.found.person("committer")
        return stamp(who.date) if who and who.date else None

    @property
    def tree(self) -> ObjectNode | None:
        return self.repository.git_object(self.found.header("tree") or "")

    @property
    def signature(self) -> JSON | None:
        signed = self.found.signature
        if not signed:
            return None
        return {
            "__typename": "GpgSignature" if "PGP" in signed else "SshSignature",
            "email": "",
            "isValid": False,
            "payload": payload_of(self.found),
            "signature": signed,
            "state": "UNKNOWN_KEY",
            "wasSignedByGitHub": False,
        }

    def parents(self, _: object, **asked: Any) -> Connection:
        found = [(oid, oid) for oid in self.found.parents]
        return connection("parents", found, self.repository.git_object, asked)

    def history(self, _: object, path: str | None = None, **asked: Any) -> Connection:
        store = self.repository.row.store
        found = [(oid, oid) for oid in store.history(self.oid, path or "")]
        return connection("history", found, self.repository.git_object, asked)

    def file(self, _: object, path: str) -> EntryNode | None:
        entry = self.repository.row.store.entry(self.oid, path)
        if entry is None:
            return None
        folder, _, name = path.rpartition("/")
        prefix = f"{folder}/" if folder else ""
        return EntryNode(
            self.repository, entry[0], name.encode(), entry[1], prefix.encode()
        )


class TreeNode(ObjectNode):
    typename = "Tree"

    @property
    def entries(self) -> list[EntryNode]:
        return [EntryNode(self.repository, *entry) for entry in self.found.entries()]


class EntryNode:
    def __init__(
        self,
        repository: RepositoryNode,
        mode: int,
        name: bytes,
        oid: str,
        folder: bytes = b"",
    ) -> None:
        self.repository = repository
        self.mode = mode
        self.name = text(name)
        self.nameRaw = base64.b64encode(name).decode()
        self.path = text(folder + name)
        self.pathRaw = base64.b64encode(folder + name).decode()
        self.oid = oid
        self.type = kind_of(mode)
        self.isGenerated = False

    @property
    def size(self) -> int:
        found = self.repository.row.store.get(self.oid)
        return len(found.data) if found and found.kind == "blob" else 0

    @property
    def object(self) -> ObjectNode | None:
        return self.repository.git_object(self.oid)


class BlobNode(ObjectNode):
    typename = "Blob"

    @property
    def byteSize(self) -> int:
        return len(self.found.data)

    @property
    def isBinary(self) -> bool:
        return b"\0" in self.found.data[:8000]

    @property
    def isTruncated(self) -> bool:
        return len(self.found.data) > TEXT_LIMIT and not self.isBinary

    @property
    def text(self) -> str | None:
        return None if self.isBinary else text(self.found.data[:TEXT_LIMIT])


NODES: dict[str, type[ObjectNode]] = {
    "tag": TagNode,
    "commit": CommitNode,
    "tree": TreeNode,
    "blob": BlobNode,
}


def actor(who: Person | None) -> JSON | None:
    """A GitActor; its date keeps the offset it was made in."""
    if who is None:
        return None
    date = None
    if who.date is not None:
        date = who.date.isoformat().replace("+00:00", "Z")
    return {"name": who.name, "email": who.email, "date": date, "user": None}
