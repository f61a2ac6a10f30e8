"""X2: a description is Markdown from a stranger."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.markdown import MAX_LENGTH, first_line, render
from tests.views.dom import dangers

PAYLOADS = [
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "[go](javascript:alert(1))",
    "[go](JaVaScRiPt:alert(1))",
    "[go](data:text/html;base64,PHNjcmlwdD4=)",
    "[go](vbscript:x)",
    "<a href='javascript:alert(1)'>x</a>",
    "<div hx-get='/logout' hx-trigger='load'>x</div>",
    "<div data-hx-get='/logout' data-hx-trigger='load'>x</div>",
    "<p style='position:fixed;inset:0'>x</p>",
    "<form action='//evil.example'><input name=password></form>",
    "<svg/onload=alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "![x](https://evil.example/pixel.png)",
    "<details open ontoggle=alert(1)>",
    "<math><mtext></table></math><img src=x onerror=alert(1)>",
    "```html\n<script>alert(1)</script>\n```",
    "<!-- --><script>alert(1)</script>",
    '[x](https://e.example "\\" onmouseover=alert(1) x=\\"")',
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "{{ settings.SECRET_KEY }} {% debug %}",
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_X2_a_payload_is_inert(payload: str) -> None:
    html = render(f"Before\n\n{payload}\n\nAfter")
    assert dangers(html, page=False) == []
    assert "After" in html


@given(st.text(alphabet="<>/\"'=()[]!:#*_`&;\n ahrefonxscript", max_size=120))
def test_X2_no_text_makes_a_dangerous_element(text: str) -> None:
    assert dangers(render(text), page=False) == []


def test_X2_no_image_and_no_relative_link_is_kept() -> None:
    html = render("![pixel](https://evil.example/p.png) [here](/logout) [x](//evil.x)")
    assert "<img" not in html
    assert "/logout" not in html
    assert 'href="//' not in html


def test_X2_html_is_shown_as_it_was_written() -> None:
    assert "&lt;b&gt;bold&lt;/b&gt;" in render("<b>bold</b>")


def test_it_renders_what_people_write() -> None:
    html = render("# Churn\n\n**bold** `code` [docs](https://example.com)\n\n- one")
    assert "<h3>Churn</h3>" in html
    assert "<strong>bold</strong>" in html
    assert "<code>code</code>" in html
    assert 'href="https://example.com"' in html
    assert 'rel="noopener noreferrer nofollow"' in html
    assert "<li>one</li>" in html


@pytest.mark.parametrize(
    "piece", ["[", "*a", "> ", "`", "![](", "- " * 9, "<", "_a_", "![["]
)
def test_X2_a_hostile_description_costs_little_time(piece: str) -> None:
    """Sizes up to the cap, in the shapes that make Markdown parsers slow."""
    text = piece * (MAX_LENGTH // len(piece) + 100)
    start = time.process_time()
    render(text)
    first_line(text)
    assert time.process_time() - start < 1


def test_the_first_line_is_plain() -> None:
    assert first_line("\n\n# **Churn** of [ours](https://x.y)\nmore") == "Churn of ours"
    assert first_line("") == ""
    assert len(first_line("word " * 100)) <= 160
