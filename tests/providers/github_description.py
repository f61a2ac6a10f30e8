"""GitHub's own description of its API, trimmed (tests/fixtures/github/VENDOR.md), and
what does not fit it. Each check returns sentences; none: all is well."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import fastjsonschema
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    build_schema,
    get_variable_values,
    parse,
    validate,
)

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "github"
FORMATS = {"date-time", "email", "uri"}
# Paths GitHub answers without describing them, as those it describes them like: it
# sends clients there itself, by redirects and in paging links.
ALIASES = (
    (re.compile(r"^/repositories/\d+"), "/repos/owner/name"),
    (re.compile(r"^/organizations/\d+"), "/orgs/name"),
    (re.compile(r"^/user/\d+"), "/users/name"),
    (re.compile(r"/contents/?$"), "/contents/."),
)
LONG = {"path", "ref"}  # parameters that may hold slashes
Check = Callable[[Any], Any]


# REST ---------------------------------------------------------------------------------


def check_request(
    method: str, path: str, query: Mapping[str, str], body: Any = None
) -> list[str]:
    """What is wrong with a request. `path` is as it was sent, quoted, without the
    API's prefix; `body` is the parsed JSON, None without one."""
    found = operation(method, path)
    if found is None:
        return [f"GitHub has no {method} {path}"]
    template, described = found
    faults = []
    known = {p["name"]: p for p in described.get("parameters", []) if _in_query(p)}
    for name, value in query.items():
        if name not in known:
            faults.append(f"{method} {template} has no parameter {name!r}")
        elif not _fits(known[name]["schema"], value):
            faults.append(f"{method} {template}: {name} cannot be {value!r}")
    for name, parameter in known.items():
        if parameter.get("required") and name not in query:
            faults.append(f"{method} {template} needs the parameter {name!r}")
    wanted = described.get("requestBody", {})
    shape = wanted.get("content", {}).get("application/json", {}).get("schema")
    if body is None:
        if wanted.get("required"):
            faults.append(f"{method} {template} needs a body")
    elif shape is None:
        faults.append(f"{method} {template} takes no body")
    else:
        faults += _against(f"{template} {method} body", shape, body)
        if isinstance(body, dict) and "properties" in shape:
            unknown = sorted(set(body) - set(shape["properties"]))
            faults += [f"{method} {template} takes no {name!r}" for name in unknown]
    return faults


def check_answer(method: str, path: str, status: int, body: Any) -> list[str]:
    """What is wrong with an answer; `body` is the parsed JSON, None without one. An
    error nobody described has at least a message."""
    found = operation(method, path)
    if found is None:
        return [] if status >= 400 else [f"GitHub has no {method} {path}"]
    template, described = found
    place = f"{template} {method} {status}"
    answer = described["responses"].get(str(status))
    if status == 304:
        return [] if body is None else [f"{place}: a body"]
    if answer is None or "content" not in answer:
        if status >= 300:
            return _against("an error", {"$ref": _BASIC_ERROR}, body)
        if answer is None:
            return [f"{place} is not described"]
        return [] if body is None else [f"{place}: a body"]
    shape = answer["content"].get("application/json", {}).get("schema")
    return _against(place, shape, body) if shape else []


def check_delivery(event: str, payload: Any) -> list[str]:
    """What is wrong with a webhook's payload."""
    action = payload.get("action", "")
    name = f"{event}-{action}" if action else event
    shape = description()["x-webhooks"].get(name)
    if shape is None:
        return [f"the webhook {name} is not described here"]
    return _against(f"webhook {name}", shape, payload)


_BASIC_ERROR = "#/components/schemas/basic-error"


@lru_cache(maxsize=5000)
def operation(method: str, path: str) -> tuple[str, dict[str, Any]] | None:
    """The template of a path and what is said of this method there."""
    for pattern, like in ALIASES:
        path = pattern.sub(like, path)
    for template, expression, methods in _paths():
        if expression.fullmatch(path) and method.lower() in methods:
            return template, methods[method.lower()]
    return None


@cache
def description() -> Any:
    """The whole of it as JSON Schema of draft 7 understands it, parameters and answers
    with their references followed."""
    text = (FIXTURES / "openapi.json").read_text(encoding="utf-8")
    return _as_draft_7(json.loads(text))


@cache
def _paths() -> list[tuple[str, re.Pattern[str], dict[str, Any]]]:
    """Templates with fewest parameters first: `/git/refs` is no `{ref}`."""
    whole = description()
    found = []
    for template, methods in whole["paths"].items():
        expression = re.sub(
            r"\\\{(\w+)\\\}",
            lambda match: ".+" if match[1] in LONG else "[^/]+",
            re.escape(template),
        )
        for described in methods.values():
            listed = described.get("parameters", [])
            described["parameters"] = [_followed(whole, item) for item in listed]
            answers = described["responses"]
            described["responses"] = {
                status: _followed(whole, answer) for status, answer in answers.items()
            }
        found.append((template, re.compile(expression), methods))
    return sorted(found, key=lambda item: item[0].count("{"))


def _followed(whole: Any, item: Any) -> Any:
    while "$ref" in item:
        _, _, kind, name = item["$ref"].split("/")
        item = whole["components"][kind][name]
    return item


def _as_draft_7(value: Any) -> Any:
    """OpenAPI 3.0 says `nullable`; formats nobody checks go."""
    if isinstance(value, list):
        return [_as_draft_7(item) for item in value]
    if not isinstance(value, dict):
        return value
    made = {key: _as_draft_7(item) for key, item in value.items()}
    if isinstance(made.get("format"), str) and made["format"] not in FORMATS:
        del made["format"]
    if made.pop("nullable", None) is True:
        return {"anyOf": [made, {"type": "null"}]}
    return made


@cache
def _checker(shape: str) -> Check:
    wanted = {"allOf": [json.loads(shape)], "components": description()["components"]}
    made: Check = fastjsonschema.compile(
        {"$schema": "http://json-schema.org/draft-07/schema#", **wanted},
        use_default=False,
    )
    return made


def _against(place: str, shape: Any, value: Any) -> list[str]:
    try:
        _checker(json.dumps(shape, sort_keys=True))(value)
    except fastjsonschema.JsonSchemaValueException as error:
        return [f"{place}: {error.message} (is {str(error.value)[:100]!r})"]
    return []


def _in_query(parameter: Any) -> bool:
    return bool(parameter["in"] == "query")


def _fits(schema: Any, value: str) -> bool:
    """Whether the text of a query fits a parameter."""
    kind = schema.get("type")
    if kind == "integer":
        return value.lstrip("-").isdigit()
    if kind == "boolean":
        return value in {"true", "false"}
    return "enum" not in schema or value in schema["enum"]


# GraphQL ------------------------------------------------------------------------------


@cache
def schema() -> GraphQLSchema:
    """The types of GitHub's GraphQL that reading repositories takes."""
    text = (FIXTURES / "schema.graphql").read_text(encoding="utf-8")
    return build_schema(text, assume_valid_sdl=True)


def check_query(query: str, variables: Mapping[str, Any] | None = None) -> list[str]:
    """What GitHub's schema says against a query and its variables."""
    document, found = _validated(query)
    faults = list(found)
    for definition in document.definitions if document and not faults else ():
        if isinstance(definition, OperationDefinitionNode):
            declared = definition.variable_definitions or ()
            unknown = set(variables or {}) - {d.variable.name.value for d in declared}
            faults += [f"${name} is not declared" for name in sorted(unknown)]
            values = get_variable_values(schema(), declared, dict(variables or {}))
            if isinstance(values, list):
                faults += [error.message for error in values]
    return faults


@lru_cache(maxsize=200)
def _validated(query: str) -> tuple[DocumentNode | None, tuple[str, ...]]:
    try:
        document = parse(query)
    except GraphQLError as error:
        return None, (error.message,)
    found = validate(schema(), document)
    return document, tuple(error.message for error in found)
