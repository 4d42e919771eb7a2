"""The tree that a plain text list stands for, found from its marks and its indentation."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tutor.glossary.lines import BULLET, LETTER, MAX_HEAD, NUMBER, PLAIN, TEXT, Line
from tutor.types import Oddity

MAX_HEADING_WORDS = 14
TITLE_WORDS = 8
MAX_TERM_WORDS = 4
MAX_SHOWN = 60
WRAP_SHARE = 0.7
MIN_WRAP = 30

_STATEMENT = re.compile(r"\s(?:er|betyr|betegner|refererer til|is|are|means|refers to)\s")
_FIRST_SENTENCE = re.compile(r"(.{2,60}?)\.\s+(?=[^\W\d_a-zæøå])")
_STRAY = re.compile(r"\b[^\W\d_]{2,} (\d{1,3})\. (?=[a-zæøå]{2,})")


@dataclass
class Node:
    """An item of the list with everything that belongs under it.

    ``more`` holds the lines that continue the item, each after what joins it to the text before.
    """

    line: int
    indent: int
    kind: str
    number: int
    first_line: str
    head: str
    first_body: str
    separated: bool
    more: list[str] = field(default_factory=list)
    children: list[Node] = field(default_factory=list)

    @property
    def content(self) -> str:
        """The item as written, without its mark."""
        return self.first_line + "".join(self.more)

    @property
    def body(self) -> str:
        """What the item says of its head."""
        return (self.first_body + "".join(self.more)).strip()

    @property
    def has_body(self) -> bool:
        """Whether the item says anything of its head."""
        return bool(self.first_body or self.more)

    @property
    def is_heading(self) -> bool:
        """Whether it only gathers other items."""
        return not self.has_body and bool(self.children)


def build(lines: Sequence[Line]) -> tuple[list[Node], list[Oddity]]:
    """The main terms with their trees, and what looked wrong on the way."""
    builder = _Builder(lines)
    for at, line in enumerate(lines):
        builder.take(line, lines[at - 1] if at else None, lines[at + 1] if at + 1 < len(lines) else None)
    return builder.roots, builder.oddities


def main_mark(lines: Sequence[Line]) -> tuple[str, int]:
    """The kind of mark and the indentation of the main terms.

    They stand furthest left; a lone short line there is a title. Numbers win over other marks
    unless those are more and come first.
    """
    items = [line for line in lines if line.kind == NUMBER or (line.kind != TEXT and line.separated)]
    for base in sorted({line.indent for line in items}):
        level = [line for line in items if line.indent == base]
        lone_title = len(level) == 1 and level[0].kind == PLAIN and len(level[0].body.split()) < TITLE_WORDS
        if lone_title and len(items) > 1:
            continue
        kinds = Counter(line.kind for line in level)
        if level[0].kind == NUMBER or kinds[NUMBER] * 2 >= len(level):
            return NUMBER, base
        return kinds.most_common(1)[0][0], base
    return PLAIN, min((line.indent for line in lines), default=0)


class _Builder:
    """Takes the lines one by one. ``path`` leads from the main term to the item that was read last."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self.kind, self.base = main_mark(lines)
        self.width = max((line.width for line in lines), default=0)
        self.roots: list[Node] = []
        self.oddities: list[Oddity] = []
        self.path: list[Node] = []
        self.last: Node | None = None

    def take(self, line: Line, before: Line | None, following: Line | None) -> None:
        """Find out what a line is, and put it where it belongs."""
        for number in _STRAY.findall(line.content):
            self._odd(line, _stray(number))
        if self._is_wrapped(line, before):
            if line.kind == NUMBER:
                self._odd(line, _stray(line.number))
            self._continue(line, wrapped=True)
        elif self._stands_alone(line, following):
            self._ignore(line)
        elif line.kind != TEXT or self._is_heading(line, following):
            self._place(line)
        elif self.path:
            self._continue(line, wrapped=False)
        else:
            self._ignore(line)

    def _is_wrapped(self, line: Line, before: Line | None) -> bool:
        """Whether the line goes on with a sentence that the line before had no room for."""
        if not self.path or before is None or line.after_blank or line.kind in (BULLET, LETTER):
            return False
        if line.kind == NUMBER and (line.separated or line.number == self.path[-1].number + 1):
            return False
        full = before.width >= max(MIN_WRAP, WRAP_SHARE * self.width)
        return full and line.content[0].islower() and _is_unfinished(before.raw)

    def _stands_alone(self, line: Line, following: Line | None) -> bool:
        """Whether the line is a title or a chapter: short, and with blank lines around it before a main term."""
        if line.raw.startswith("#"):
            return True
        if line.kind != TEXT or not (line.after_blank and following and following.after_blank):
            return False
        return self._is_main(following) and len(line.content.split()) <= TITLE_WORDS and _is_unfinished(line.raw)

    def _is_main(self, line: Line) -> bool:
        return line.kind == self.kind and line.indent <= self.base

    def _is_heading(self, line: Line, following: Line | None) -> bool:
        """Whether unmarked text heads the deeper lines after it."""
        if following is None or following.indent <= line.indent or len(line.content) > MAX_HEAD:
            return False
        return len(line.content.split()) <= MAX_HEADING_WORDS and _is_unfinished(line.raw)

    def _place(self, line: Line) -> None:
        """Make the line an item under the one it belongs to."""
        kind = PLAIN if line.kind == TEXT else line.kind
        indent = max(line.indent, self.base)
        node = Node(line.no, indent, kind, line.number, line.content, line.head, line.body, line.separated)
        keep = self._depth(node)
        if keep == 0 and not self._is_term(node):
            if self.path:
                self._odd(line, "linjen har nummer, men ikke noe begrep; den er lest som tekst til begrepet før")
                self._continue(line, wrapped=False)
            else:
                self._ignore(line)
            return
        del self.path[keep:]
        (self.path[-1].children if self.path else self.roots).append(node)
        self.path.append(node)
        self.last = node

    def _depth(self, node: Node) -> int:
        """How much of the path leads to the node's parent; 0 for a main term.

        Among items equally far in, the node is a sibling of the one with its own kind of mark (by
        the numbers where several have it), else a child of the last. Where indentation was lost, a
        list that starts at 1 below a bare heading still belongs to the heading.
        """
        depth = len(self.path)
        while depth > 1 and self.path[depth - 1].indent > node.indent:
            depth -= 1
        if not depth:
            return 0
        top = self.path[depth - 1]
        level = [at for at in range(depth) if self.path[at].indent == node.indent and self.path[at].kind == node.kind]
        restarts = top.indent == node.indent and top.kind != node.kind and not top.has_body and node.number == 1
        if not level or restarts:
            return depth
        return min(reversed(level), key=lambda at: abs(node.number - self.path[at].number - 1))

    def _is_term(self, node: Node) -> bool:
        """Whether a line at the top names a term; a term that only stands in its sentence is found there."""
        if node.kind != self.kind or (not self.path and node.indent > self.base):
            return False
        long = len(node.first_line) > MAX_HEAD
        if node.separated or not (long or node.first_line.endswith(".")):
            return True
        start = node.first_line
        sentence, statement = _FIRST_SENTENCE.match(start), _STATEMENT.search(start[:MAX_HEAD])
        if statement and len(start[: statement.start()].split()) <= MAX_TERM_WORDS:
            node.head, node.first_body = start[: statement.start()], start
        elif sentence and len(sentence[1].split()) <= MAX_TERM_WORDS:
            node.head, node.first_body = sentence[1], start[sentence.end() :]
        return node.has_body or not long

    def _continue(self, line: Line, *, wrapped: bool) -> None:
        """Add the line to the text of the item that it goes on with."""
        last = self.last or self.path[-1]
        if wrapped and not last.has_body and not last.children:
            last.head += " " + line.raw
            last.first_line += " " + line.raw
            return
        if not wrapped and (line.after_blank or line.indent < last.indent):
            outer = (node for node in reversed(self.path) if node.indent < line.indent and not node.is_heading)
            last = next(outer, self.path[0])
        last.more.append(("\n\n" if line.after_blank else " ") + line.raw)
        self.last = last

    def _ignore(self, line: Line) -> None:
        text = line.raw if len(line.raw) <= MAX_SHOWN else line.raw[:MAX_SHOWN] + "…"
        self._odd(line, f"«{text}» hører ikke til noe begrep og er ikke tatt med")

    def _odd(self, line: Line, message: str) -> None:
        self.oddities.append(Oddity(line.no, message))


def _is_unfinished(text: str) -> bool:
    """Whether a line ends without the mark that ends a sentence or opens a list."""
    return not text.rstrip("\"'»”)]").endswith((".", "!", "?", "…", ":", ";"))


def _stray(number: int | str) -> str:
    return f"tallet «{number}.» står inne i en setning; det er lest som tekst"
