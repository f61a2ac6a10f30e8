"""GraphQL of the GitHub test server: GitHub's own schema, run by graphql-core over the
repositories."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLInterfaceType,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    execute_sync,
    parse,
)

from tests.providers.api_requests import Grant, Reply, Request
from tests.providers.github_description import check_query, schema
from tests.providers.github_payloads import (
    commit_message,
    message,
    node_id,
    payload_of,
    tag_message,
)
from tests.providers.github_state import JSON, Account, Repository, stamp
from tests.providers.object_store import GitObject, Person, kind_of, text

if TYPE_CHECKING:
    from tests.providers.github_server import GitHubServer

TEXT_LIMIT = 512_000  # bytes of a blob's text
MOST = 100  # nodes of a connection


class QueryError(Exception):
    """An error with one of GitHub's types, for the field that raised it."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


class GraphQL:
    def __init__(self, server: GitHubServer) -> None:
        self.server = server

    def answer(self, request: Request) -> Reply:
        server = self.server
        asked = request.json
        if not isinstance(asked, dict) or not isinstance(asked.get("query"), str):
            return message(400, "Problems parsing JSON")
        variables = asked.get("variables") or {}
        try:
            document = parsed(asked["query"])
        except GraphQLError as wrong:
            return Reply(200, {"errors": [{"message": wrong.message}]})
        if faults := check_query(asked["query"]):
            server.violations += faults if server.is_checked else []
            return Reply(200, {"errors": [{"message": fault} for fault in faults]})
        nodes, cost = weigh(document, variables)
        if nodes > server.node_limit:
            text = f"This query requests up to {nodes:,} possible nodes which exceeds "
            error = {
                "type": "MAX_NODE_LIMIT_EXCEEDED",
                "message": f"{text}the maximum limit of {server.node_limit:,}.",
            }
            return Reply(200, {"data": None, "errors": [error]})
        if server.heavy_at and nodes >= server.heavy_at:
            text = "Something went wrong while executing your query. This may be the "
            text += "result of a timeout, or it could be a GitHub bug."
            return Reply(502, {"data": None, "errors": [{"message": text}]})
        if not server.limits["graphql"].spend(cost):
            error = {"type": "RATE_LIMITED", "message": "API rate limit exceeded"}
            return Reply(200, {"errors": [error]})
        root = Root(server, request.grant, nodes, cost)
        result = execute_sync(schema(), document, root, variable_values=variables)
        return Reply(200, shown(result))


@lru_cache(maxsize=100)
def parsed(query: str) -> DocumentNode:
    return parse(query)


def shown(result: ExecutionResult) -> JSON:
    """The answer, errors with GitHub's `type` beside their message."""
    answer: JSON = {"data": result.data}
    if result.errors:
        answer["errors"] = [_error(error) for error in result.errors]
    return answer


def _error(error: GraphQLError) -> JSON:
    formatted: JSON = dict(error.formatted)
    if isinstance(error.original_error, QueryError):
        formatted["type"] = error.original_error.kind
    elif error.original_error is not None:
        raise error.original_error  # the server's own fault
    return formatted


def weigh(document: DocumentNode, variables: JSON) -> tuple[int, int]:
    """GitHub's two counts of a query: nodes it may give, and its cost in points:
    requests for connections, by the hundred."""
    fragments = {
        d.name.value: d.selection_set
        for d in document.definitions
        if isinstance(d, FragmentDefinitionNode)
    }
    nodes = requests = 0

    def walk(selections: SelectionSetNode | None, times: int) -> None:
        nonlocal nodes, requests
        for selection in selections.selections if selections else ():
            if isinstance(selection, FragmentSpreadNode):
                walk(fragments.get(selection.name.value), times)
                continue
            inner = times
            if isinstance(selection, FieldNode):
                first = _first(selection, variables)
                if first:
                    requests += times
                    nodes += times * first
                    inner = times * first
            walk(getattr(selection, "selection_set", None), inner)

    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            walk(definition.selection_set, 1)
    return nodes, max(1, round(requests / 100))


def _first(field: FieldNode, variables: JSON) -> int:
    for argument in field.arguments or ():
        if argument.name.value in {"first", "last"}:
            if isinstance(argument.value, IntValueNode):
                return int(argument.value.value)
            if isinstance(argument.value, VariableNode):
                return int(variables.get(argument.value.name.value) or 0)
    return 0


# Nodes: attributes are the schema's fields, in its spelling ---------------------------


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


# Connections --------------------------------------------------------------------------


class Connection:
    """A page of a list; nodes are made when they are asked for."""

    def __init__(
        self,
        page: Sequence[tuple[str, Any]],
        total: int,
        make: Callable[[Any], Any],
        before: bool,
        after: bool,
    ) -> None:
        self._page = page
        self._make = make
        self.totalCount = total
        self.pageInfo = {
            "hasPreviousPage": before,
            "hasNextPage": after,
            "startCursor": cursor(page[0][0]) if page else None,
            "endCursor": cursor(page[-1][0]) if page else None,
        }

    @cached_property
    def nodes(self) -> list[Any]:
        return [self._make(item) for _, item in self._page]

    @property
    def edges(self) -> list[JSON]:
        made = zip(self._page, self.nodes, strict=True)
        return [{"cursor": cursor(key), "node": node} for (key, _), node in made]


def cursor(key: str) -> str:
    return base64.b64encode(f"cursor:{key}".encode()).decode()


def connection(
    name: str,
    items: Iterable[tuple[str, Any]],
    make: Callable[[Any], Any],
    asked: dict[str, Any],
) -> Connection:
    """A page of (key, item): `first` after a cursor, or `last` before one. A cursor
    names the item, so that it holds while others come and go."""
    listed = list(items)
    size = asked.get("first") or asked.get("last")
    if size is None:
        sentence = "You must provide a `first` or `last` value to properly paginate "
        raise QueryError("MISSING_PAGINATION_BOUNDARIES", f"{sentence}`{name}`.")
    if size > MOST:
        sentence = f"Requesting {size} records on the `{name}` connection exceeds the "
        raise QueryError("EXCESSIVE_PAGINATION", f"{sentence}`first` limit of 100.")
    keys = [cursor(key) for key, _ in listed]
    start, end = 0, len(listed)
    if asked.get("after"):
        start = _place(keys, asked["after"]) + 1
    if asked.get("before"):
        end = _place(keys, asked["before"])
    if asked.get("first"):
        end = min(end, start + size)
    else:
        start = max(start, end - size)
    more = end < len(listed)
    return Connection(listed[start:end], len(listed), make, start > 0, more)


def _place(keys: list[str], wanted: str) -> int:
    if wanted not in keys:
        text = f"`{wanted}` does not appear to be a valid cursor."
        raise QueryError("INVALID_CURSOR_ARGUMENTS", text)
    return keys.index(wanted)


for _type in schema().type_map.values():
    if isinstance(_type, GraphQLInterfaceType):
        _type.resolve_type = lambda value, *_: (
            value["__typename"] if isinstance(value, dict) else value.typename
        )
