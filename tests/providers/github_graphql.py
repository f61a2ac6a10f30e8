"""GraphQL of the GitHub test server: GitHub's own schema, run by graphql-core over the
repositories."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

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

from tests.providers.api_requests import Reply, Request
from tests.providers.github_connections import QueryError
from tests.providers.github_description import check_query, schema
from tests.providers.github_nodes import Root
from tests.providers.github_payloads import message
from tests.providers.github_state import JSON

if TYPE_CHECKING:
    from tests.providers.github_server import GitHubServer

NOT_THERE = "Cannot return null for non-nullable field"  # the whole object is null then


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
        if faults := check_query(asked["query"], variables):
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
    elif error.original_error is not None and NOT_THERE not in error.message:
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


for _type in schema().type_map.values():
    if isinstance(_type, GraphQLInterfaceType):
        _type.resolve_type = lambda value, *_: (
            value["__typename"] if isinstance(value, dict) else value.typename
        )
