"""Plain text lists: «1. Term: text», «2) Term – text», «**Term**: text», «Term: text».

``lines`` reads each line by itself, ``tree`` puts them together, and here the tree becomes drafts:
a named item («Dropout: text») is an entry under its main term, a heading («Typer») is a section that
lists its items, and an unmarked label («Eksempel: text») is a section of the term it stands under.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tutor.glossary.lines import LETTER, NUMBER, PLAIN, scan
from tutor.glossary.merge import Draft
from tutor.glossary.names import name_key
from tutor.glossary.tree import Node, build
from tutor.types import DEFINITION, Oddity

MAX_LISTING = 800
"""Characters: a list no longer than this is given in full, a longer one by name only."""

LABEL_PARENTS = 3
"""An item's name that this many main terms use («Eksempel») is a label, not a term."""


def read_numbered(text: str, source: str = "") -> tuple[list[Draft], list[Oddity]]:
    """The terms of a plain text list. Nothing is raised; text without terms gives no drafts."""
    roots, oddities = build(scan(text))
    labels = _labels(roots)
    drafts = [draft for root in roots for draft in _drafts(root, "", labels, source)]
    oddities += [odd for siblings in _sibling_lists(roots) for odd in _number_oddities(siblings)]
    oddities += [odd for root in roots for odd in _text_oddities(root, is_root=True)]
    return drafts, oddities


def _labels(roots: Sequence[Node]) -> frozenset[str]:
    users: dict[str, set[int]] = defaultdict(set)
    for root in roots:
        for node in _below(root):
            users[name_key(node.head)].add(root.line)
    terms = {name_key(root.head) for root in roots}
    return frozenset(key for key, lines in users.items() if len(lines) >= LABEL_PARENTS and key not in terms)


def _below(node: Node) -> Iterator[Node]:
    for child in node.children:
        yield child
        yield from _below(child)


def _is_item(node: Node, parent: Node, labels: frozenset[str]) -> bool:
    """Whether a node names and explains something, and so is a term of its own."""
    named = node.separated and node.has_body and name_key(node.head) not in labels
    return named and (node.kind != PLAIN or not parent.has_body)


def _drafts(node: Node, part_of: str, labels: frozenset[str], source: str) -> Iterator[Draft]:
    """The draft of a term, then those of the items below it."""
    items: list[Node] = []
    sections = [(DEFINITION, _definition(node, labels))]
    sections += _sections(node, labels, items)
    term = _title(node.head)
    yield Draft(term, node.line, sections=sections, part_of=part_of, source=source)
    for item in items:
        yield from _drafts(item, term, labels, source)


def _definition(node: Node, labels: frozenset[str]) -> str:
    """The term's text, and the list that stands right below it without a heading."""
    listed = [child for child in node.children if not child.is_heading and not _is_label(child, node, labels)]
    return "\n\n".join(part for part in (node.body, _listing(listed, node, labels)) if part)


def _sections(node: Node, labels: frozenset[str], items: list[Node]) -> list[tuple[str, str]]:
    """A section for each heading and label below a term; the terms met on the way are added to ``items``."""
    sections: list[tuple[str, str]] = []
    for child in node.children:
        if _is_item(child, node, labels):
            items.append(child)
        elif child.is_heading:
            sections.append((_title(child.head), _listing(child.children, child, labels)))
            sections += _sections(child, labels, items)
        elif _is_label(child, node, labels):
            sections.append((_title(child.head), _definition(child, labels)))
            sections += _sections(child, labels, items)
    return sections


def _is_label(node: Node, parent: Node, labels: frozenset[str]) -> bool:
    return node.has_body and not _is_item(node, parent, labels)


def _listing(nodes: Sequence[Node], parent: Node, labels: frozenset[str]) -> str:
    """The items one a line: in full when that is short, else by name."""
    full = sum(len(node.content) for node in nodes) <= MAX_LISTING
    return "\n".join(
        (f"{at}. " if node.kind in (NUMBER, LETTER) else "- ") + _line(node, parent, labels, full=full)
        for at, node in enumerate(nodes, start=1)
    )


def _line(node: Node, parent: Node, labels: frozenset[str], *, full: bool) -> str:
    if node.is_heading:
        inside = [below for below in _below(node) if not below.children]
        return f"{_title(node.head)}: {', '.join(_title(below.head) for below in inside)}"
    return node.content if full or not _is_item(node, parent, labels) else _title(node.head)


def _title(head: str) -> str:
    return head.strip().removesuffix(":").removesuffix(".").strip() or head.strip()


def _sibling_lists(roots: Sequence[Node]) -> Iterator[Sequence[Node]]:
    yield roots
    for root in roots:
        yield from (node.children for node in (root, *_below(root)) if node.children)


def _number_oddities(siblings: Sequence[Node]) -> Iterator[Oddity]:
    """Numbers used twice, out of order or left out. A list numbered «1. 1. 1.» is meant so."""
    numbered = [node for node in siblings if node.kind == NUMBER]
    if len({node.number for node in numbered}) < 2:
        return
    first: dict[int, int] = {}
    before = numbered[0].number - 1
    for node in numbered:
        if node.number == 1 and before > 1:
            first.clear()
            yield Oddity(node.line, "nummereringen begynner på nytt med 1")
        elif node.number in first:
            yield Oddity(node.line, f"nummer {node.number} er brukt før, på linje {first[node.number]}")
        elif node.number < before:
            yield Oddity(node.line, f"nummer {node.number} kommer etter nummer {before}")
        elif node.number > before + 1:
            yield Oddity(node.line, f"nummereringen hopper fra {before} til {node.number}")
        first.setdefault(node.number, node.line)
        before = node.number


def _text_oddities(node: Node, *, is_root: bool) -> Iterator[Oddity]:
    """Headings and items without a text of their own, the node and those below it."""
    title = _title(node.head)
    if node.is_heading and is_root:
        yield Oddity(node.line, f"«{title}» har ingen definisjon, bare en liste under seg")
    elif node.is_heading and node.kind in (NUMBER, PLAIN):
        yield Oddity(node.line, f"«{title}» har ingen forklaring; det er brukt som overskrift")
    elif not node.has_body and node.separated and not is_root:
        yield Oddity(node.line, f"«{title}» mangler forklaring")
    for child in node.children:
        yield from _text_oddities(child, is_root=False)
