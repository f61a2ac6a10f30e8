"""Every address of the site, from the URLconf: a new view cannot be forgotten."""

from __future__ import annotations

from collections.abc import Iterator

from django.urls import URLPattern, URLResolver, get_resolver

CONNECTION = "6f1a2a52-0c5c-4d57-9d5a-6a3b1f1f4c10"  # tests/views/connection_rows.py
SAMPLES = {
    "<repository:repository>": "acme/churn",
    "<artifact:artifact>": "churn",
    "<version:version>": "v1.0.0",
    "<slug:kind>": "github",
    "<uuid:uuid>": CONNECTION,
    "<slug:verb>": "assign",
}


def walk(
    patterns: list[URLPattern | URLResolver] | None = None, prefix: str = ""
) -> Iterator[tuple[str, URLPattern]]:
    """(an address, its pattern) of every view of ours: Django's administration is
    Django's to test, and the API has tests of its own."""
    for entry in get_resolver().url_patterns if patterns is None else patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            if not route.startswith(("admin/", "api/")):
                yield from walk(entry.url_patterns, route)
            continue
        for parameter, sample in SAMPLES.items():
            route = route.replace(parameter, sample)
        assert "<" not in route, f"no sample for {route}"
        yield f"/{route}", entry


# Providers call these, with a signature instead of a session: tests/hooks.
HOOKS = {address for address, _ in walk() if address.startswith("/hooks/")}
OUR_ADDRESSES = sorted({address for address, _ in walk()} - HOOKS)
