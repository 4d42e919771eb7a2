"""What one line of a plain text list is: its mark, and where its head ends and its body begins."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

MAX_HEAD = 120
MAX_LABEL_WORDS = 6
MAX_INDENT = 40
TAB = 4

NUMBER, LETTER, BULLET, PLAIN, TEXT = "number", "letter", "bullet", "plain", "text"
MARKED = (NUMBER, LETTER, BULLET)

_MARKS = (
    (NUMBER, re.compile(r"(?P<level>(?:\d{1,3}\.)+)(?P<n>\d{1,4})[.):]?\s+(?=\S)")),
    (NUMBER, re.compile(r"\(?(?P<n>\d{1,6})[.)](?:\s+|(?=[^\W\d_]))")),
    (LETTER, re.compile(r"\(?(?P<n>[a-zæøåA-ZÆØÅ])\)\s+")),
    (BULLET, re.compile(r"(?:[-–—*+•◦‣▪·∙]\s+|[•◦‣▪·∙]|o\t)")),
)
_SEPARATORS = {
    "colon": re.compile(r"\s*:(?=\s|$)"),
    "dash": re.compile(r"\s+[–—-]{1,2}(?=\s)"),
    "equals": re.compile(r"\s+=(?=\s)"),
    "tab": re.compile(r"\t+"),
}
_TIGHT_COLON = re.compile(r"(?<!:):(?=[^\W\d_])")
_BOLD = re.compile(r"(\*\*|__)(?=\S)(.{1,120}?)(?<=\S)\1")
_RULE = re.compile(r"[-=_*~#\s]{3,}")
_QUOTED = re.compile(r'\([^()]*\)|"[^"]*"|«[^«»]*»|“[^“”]*”')


@dataclass
class Line:
    """One line that is not blank. ``content`` is the line without indentation and mark, ``raw`` with its mark.

    ``indent`` counts columns, ``width`` the characters of the whole line. ``separated`` tells whether
    something (a colon, a dash) stands between ``head`` and ``body``.
    """

    no: int
    indent: int
    kind: str
    number: int
    raw: str
    content: str
    head: str
    body: str
    separated: bool
    width: int
    after_blank: bool


def scan(text: str) -> list[Line]:
    """The lines that are not blank. Where one has several separators, the list's usual one counts."""
    lines = _scan(text, prefer="")
    used = Counter(_separators(line.content)[0][0] for line in lines if line.separated and _separators(line.content))
    return _scan(text, prefer=used.most_common(1)[0][0]) if len(used) > 1 else lines


def _scan(text: str, prefer: str) -> list[Line]:
    lines: list[Line] = []
    blank = True
    for no, raw in enumerate(text.split("\n"), start=1):
        raw = raw.strip("\ufeff").rstrip()
        content = raw.lstrip()
        if content and not _RULE.fullmatch(content):
            indent = len(raw[: len(raw) - len(content)].expandtabs(TAB))
            lines.append(_line(no, indent, content, len(raw), prefer, blank))
        blank = not content
    return lines


def _line(no: int, indent: int, content: str, width: int, prefer: str, after_blank: bool) -> Line:
    kind, number, raw = TEXT, 0, content
    for marked, pattern in _MARKS:
        if mark := pattern.match(content):
            kind, content = marked, content[mark.end() :]
            number = (
                int(mark["n"]) if kind == NUMBER else ord(mark["n"].lower()) - ord("a") + 1 if kind == LETTER else 0
            )
            indent += TAB * mark.groupdict().get("level", "").count(".")
            break
    head, body, separated = split_head(content, prefer)
    if kind == TEXT and separated and _is_label(content, head):
        kind = PLAIN
    elif kind == TEXT:
        head, body, separated = content, "", False
    indent = min(indent - indent % 2, MAX_INDENT)  # one space more or less is a slip, and a runaway staircase ends
    return Line(no, indent, kind, number, raw, content, head, body, separated, width, after_blank)


def split_head(content: str, prefer: str = "") -> tuple[str, str, bool]:
    """The head of an item, its body, and whether something separates the two; else the head is all of it."""
    if (bold := _BOLD.match(content)) and any(c.isalnum() for c in bold[2]):
        head, rest = bold[2], content[bold.end() :]
        separator = re.match(r"\s*(?:[:=–—-]+(?=\s|$))?\s*", rest)
        body = rest[separator.end() if separator else 0 :]
        if head.endswith(":") or rest.lstrip()[:1] in tuple(":=–—-") or not body:
            return head.rstrip(" :"), body, True
        return head, head + rest, True
    found = _separators(content)
    match = next((match for name, match in found if name == prefer), found[0][1] if found else None)
    if match and any(c.isalnum() for c in content[: match.start()]):
        return _bare(content[: match.start()]), content[match.end() :].strip(), True
    return _bare(content), "", False


def _separators(content: str) -> list[tuple[str, re.Match[str]]]:
    """The first separator of each sort within reach of a head, leftmost first; none inside parentheses or quotes."""
    start = _QUOTED.sub(lambda quoted: "x" * len(quoted[0]), content[: 2 * MAX_HEAD])
    found = [(name, match) for name, pattern in _SEPARATORS.items() if (match := pattern.search(start))]
    if not found and (tight := _TIGHT_COLON.search(start)):
        found = [("colon", tight)]
    return sorted((pair for pair in found if pair[1].start() <= MAX_HEAD), key=lambda pair: pair[1].start())


def _bare(head: str) -> str:
    """A head without the marks of emphasis around it."""
    emphasised = re.fullmatch(r"(\*\*|\*|`)(.+)\1", head.strip())
    return emphasised[2] if emphasised else head.strip()


def _is_label(content: str, head: str) -> bool:
    """Whether an unmarked line opens with a name, and not with a clause that happens to end in a colon."""
    if content.startswith(("#", ">", "|", "http", "**", "__")):
        return content.startswith(("**", "__"))
    return len(head.split()) <= MAX_LABEL_WORDS and not re.search(
        r"[,;!]|[.?](?=\s\S)", _QUOTED.sub("", head).replace("vs. ", "vs ")
    )
