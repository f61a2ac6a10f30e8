"""GitHub's own description of its API, trimmed (tests/fixtures/github/VENDOR.md), and
what does not fit it."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path

from graphql import GraphQLError, GraphQLSchema, build_schema, parse, validate

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "github"


@cache
def schema() -> GraphQLSchema:
    """The types of GitHub's GraphQL that reading repositories takes."""
    text = (FIXTURES / "schema.graphql").read_text(encoding="utf-8")
    return build_schema(text, assume_valid_sdl=True)


@lru_cache(maxsize=200)
def query_faults(query: str) -> tuple[str, ...]:
    """What GitHub's schema says against a query; nothing, if it is right."""
    try:
        document = parse(query)
    except GraphQLError as error:
        return (error.message,)
    return tuple(error.message for error in validate(schema(), document))
