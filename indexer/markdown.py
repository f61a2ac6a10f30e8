"""Descriptions are Markdown: text from a repository in, HTML that is safe out."""

from __future__ import annotations

import re

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

# Characters that are rendered; the rest is left out. The time for hostile text grows
# with the square of its length: 64 kB of brackets took three seconds.
MAX_LENGTH = 20_000
_TAGS = {
    "a", "blockquote", "br", "code", "del", "em", "h3", "h4", "h5", "h6", "hr", "li",
    "ol", "p", "pre", "s", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
# No images: the page may load none from elsewhere, and a reader should not be told
# on to another host. Heading levels below the page's own.
_PARSER = MarkdownIt("js-default", {"html": False, "maxNesting": 20}).disable("image")
_CLEANER = nh3.Cleaner(
    tags=_TAGS,
    attributes={"a": {"href", "title"}, "ol": {"start"}},
    url_schemes={"http", "https", "mailto"},
    url_relative="deny",
    link_rel="noopener noreferrer nofollow",
)
_MARKS = re.compile(
    r"[*_`~]{1,3}|^\s*(?:#{1,6}|[->+]|\d+[.)])\s+|\[([^]\[]*)]\([^)]*\)"
)


def render(text: str) -> SafeString:
    """HTML of a description: no tag or attribute beyond the list above, whatever the
    text holds (X2)."""
    tokens = _PARSER.parse(text[:MAX_LENGTH])
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(6, int(token.tag[1]) + 2)}"
    html = _PARSER.renderer.render(tokens, _PARSER.options, {})
    return mark_safe(_CLEANER.clean(html))  # noqa: S308 - nh3 has just cleaned it


def first_line(text: str, limit: int = 160) -> str:
    """The first line of a description as plain text, for lists."""
    for line in text[:2000].splitlines():
        plain = _MARKS.sub(r"\1", line).strip()
        if plain:
            return plain if len(plain) <= limit else plain[: limit - 1].rstrip() + "…"
    return ""
