"""Markdown with LaTeX, as glossaries and answers have it, to HTML that is safe to show.

HTML, links and images in the source stay visible as text and do nothing. Formulas become MathML,
which every current browser draws and reads aloud by itself: no script, no fonts.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from html import escape

from latex2mathml.converter import convert
from markdown_it import MarkdownIt

LONGEST_FORMULA = 600
MOST_FORMULAS = 2000
OPEN, CLOSE, MARK, UNMARK = "\ue000", "\ue001", "\ue002", "\ue003"
PRIVATE = re.compile("[\ue000-\uf8ff]")
CODE_OR_MATH = re.compile(
    r"(?P<code>(?<!`)(`+)(?!`).+?(?<!`)\2(?!`))|\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^$\n]+?)\$", re.DOTALL
)
"""Code is closed by as many backticks as opened it, neither more nor fewer."""
MATHML = re.compile(  # whole elements with harmless attributes: \\href and \\style can write others
    r"(<(math|m[a-z]+)( (xmlns|display|stretchy|accent|mathvariant|width|[lr]space|m(in|ax)size|columnalign|"
    r'linethickness|fence|form|separator|largeop|movablelimits|columnspacing|rowspacing)="[^"<>]*")*( /)?>'
    r"|</(math|m[a-z]+)>|[^<>])*"
)
NUMBER = re.compile(r"(\d+[.)]|[-*+])\s+")
NAMED = re.compile(r"(\\(?:ln|log|exp|sin|cos))\s+(?=[a-z0-9])")
"""A named function right before its argument; latex2mathml leaves out the thin space."""
DECIMAL = re.compile(r"<mn>(\d+)</mn><mrow><mo>&#x0002C;</mo></mrow><mn>(\d+)</mn>")
"""``0{,}5``: a decimal comma, which would be set like a list's."""
BLOCK_TAG = re.compile(r"</?(p|ul|ol|li|h\d|pre|blockquote|hr|table)\b")


@cache
def _markdown() -> MarkdownIt:
    inert = ["html_block", "html_inline", "link", "image", "autolink", "reference", "heading", "lheading", "code", "hr"]
    return MarkdownIt("commonmark", {"html": False}).enable("table").disable(inert)


def block(text: str, quote: str = "") -> str:
    """``text`` as paragraphs, lists and formulas; ``quote``, if it stands there, in a ``<mark>``."""
    return _render(text, quote, inline=False)


def inline(text: str) -> str:
    """``text`` as one line: emphasis, code and formulas."""
    return _render(text, "", inline=True)


def _render(text: str, quote: str, inline: bool) -> str:
    text = _with_marks(PRIVATE.sub("", text), quote)
    formulas: list[str] = []

    def keep(match: re.Match[str]) -> str:
        if match["code"]:
            return match[0]
        source = match["block"] or match["inline"]
        formulas.append(_formula(source.replace(MARK, "").replace(UNMARK, ""), display=bool(match["block"])))
        outside = "".join(c for c in source if c in MARK + UNMARK)
        return f"{OPEN}{len(formulas) - 1}{CLOSE}{outside}"

    kept = CODE_OR_MATH.sub(keep, text)
    html = _markdown().renderInline(kept) if inline else _markdown().render(kept)
    html = re.sub(f"{OPEN}(\\d+){CLOSE}", lambda m: formulas[int(m[1])], html)
    return _marked(html)


def _with_marks(text: str, quote: str) -> str:
    """``text`` with a sign before and after ``quote``, where Markdown does not mind them."""
    if not quote or quote not in text:
        return text
    start = text.index(quote)
    end = start + len(quote)
    number = NUMBER.match(quote)  # of a list: it has to stay first on its line
    if number:
        start += number.end()
    if "|" in quote:  # part of a table
        return f"{MARK}{UNMARK}\n\n{text}"
    return f"{text[:start]}{MARK}{text[start:end]}{UNMARK}{text[end:]}"


def _marked(html: str) -> str:
    """Put ``<mark>`` where the quote is, unless it would cross the border of a paragraph or a list item."""
    start, end = html.find(MARK), html.find(UNMARK)
    if 0 <= start < end - 1 and not BLOCK_TAG.search(html[start:end]):
        return html.replace(MARK, '<mark id="sitat">').replace(UNMARK, "</mark>")
    return html.replace(MARK, '<span id="sitat"></span>').replace(UNMARK, "")


@lru_cache(MOST_FORMULAS)
def _formula(source: str, display: bool) -> str:
    """MathML of a LaTeX formula; its source as code when it cannot be made sense of."""
    raw = f"<code>{escape(source)}</code>"
    if len(source) > LONGEST_FORMULA:
        return raw
    try:
        source = NAMED.sub(r"\1\\, ", source.replace(r"\_", "_"))
        math = str(convert(source, display="block" if display else "inline"))
        math = DECIMAL.sub(r"<mn>\1,\2</mn>", math)
    except Exception:
        return raw
    return math if MATHML.fullmatch(math) else raw
