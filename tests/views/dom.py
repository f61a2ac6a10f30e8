"""Pages read as a browser reads them, for what must not be in them."""

from __future__ import annotations

from html.parser import HTMLParser

# Attributes of ours that run something; a stranger's text must never make one.
OUR_SCRIPTS = ("theme.js", "app.js", "htmx", "ninja/swagger-ui", "django_htmx")
LINK_SCHEMES = ("http://", "https://", "mailto:", "/", "?", "#", "data:image/")
VOID = {"meta", "link", "img", "input", "br", "hr", "col", "source", "area", "base"}


class Reader(HTMLParser):
    """Every element with its attributes, and the text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.inside.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag in self.inside:
            while self.inside.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(html: str) -> Reader:
    """The page as elements and text."""
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


def text_of(html: str) -> str:
    """All text of a page, white space folded."""
    return " ".join(" ".join(read(html).texts).split())


def links_of(html: str) -> list[str]:
    """Where a page leads."""
    return [
        attrs["href"]
        for tag, attrs in read(html).elements
        if tag == "a" and "href" in attrs
    ]


def dangers(html: str, *, page: bool = True) -> list[str]:
    """What a browser would run or load that is not ours. `page` False: a piece made
    of a stranger's text alone, where nothing of ours is expected either."""
    found = []
    for tag, attrs in read(html).elements:
        if tag in {"iframe", "object", "embed", "base", "style", "math", "template"}:
            found.append(f"<{tag}>")
        if tag == "script" and not (
            page and any(name in attrs.get("src", "") for name in OUR_SCRIPTS)
        ):
            found.append(f"<script {attrs}>")
        if not page and tag in {
            "form",
            "input",
            "img",
            "svg",
            "link",
            "meta",
            "button",
        }:
            found.append(f"<{tag}>")
        for name, value in attrs.items():
            if name.startswith("on") or name in {"style", "srcdoc"}:
                found.append(f"{tag} {name}={value}")
            if not page and (
                name.startswith(("hx-", "data-")) or name in {"id", "class"}
            ):
                found.append(f"{tag} {name}={value}")
            if name.startswith(("hx-on", "data-hx", "hx-vals", "hx-headers")):
                found.append(f"{tag} {name}={value}")
            leads = name in {"href", "src", "action", "formaction", "hx-get", "hx-post"}
            here = value.lower().startswith(LINK_SCHEMES) and value[:2] != "//"
            if leads and not here:
                found.append(f"{tag} {name}={value}")
    return found
