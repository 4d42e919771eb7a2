"""Markdown: one entry a file with front matter, or one file with a heading for each term."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tutor.errors import GlossaryError
from tutor.glossary.files import markdown_files, read_text
from tutor.glossary.merge import Draft
from tutor.glossary.names import slugify
from tutor.glossary.numbered import read_numbered
from tutor.glossary.records import Fields, draft_of
from tutor.glossary.structured import load_yaml
from tutor.types import DEFINITION, Oddity

_FRONT_MATTER = re.compile(r"\s*?^---[ \t]*\n(?P<yaml>.*?)^(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_UNCLOSED = re.compile(r"\s*?---[ \t]*\n\w[\w ]*:")
_HEADING = re.compile(r"(#{1,6})[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*$")
_FENCE = re.compile(r"\s{0,3}(```|~~~)")

Block = tuple[int, str, int, str]
"""A heading's level (0 for the text before any), its title, its line, and the text below it."""


def read_folder(folder: Path) -> tuple[list[Draft], list[Oddity]]:
    """One term for each Markdown file in a folder and its sub folders. The file's name is the slug.

    Raises:
        GlossaryError: no files, one that cannot be read, or broken front matter, with file and line.
    """
    drafts: list[Draft] = []
    oddities: list[Oddity] = []
    for path in markdown_files(folder):
        file = path.relative_to(folder).as_posix()
        text = read_text(path)
        if not text.strip():
            oddities.append(Oddity(1, "filen er tom; den er ikke tatt med", file))
            continue
        draft, odd = _read_entry(text, path, file)
        drafts.append(draft)
        oddities += odd
    return drafts, oddities


def read_markdown(text: str, path: Path) -> tuple[list[Draft], list[Oddity]]:
    """The terms of a single file: its front matter's, or those of a list, or one a heading.

    Raises:
        GlossaryError: broken front matter, with its line.
    """
    blocks = list(_blocks(text, 1))
    levels = Counter(level for level, *_ in blocks if level)
    level = next((level for level in sorted(levels) if levels[level] > 1), 0)
    if _FRONT_MATTER.match(text):
        draft, oddities = _read_entry(text, path, "")
        return [draft], oddities
    drafts, oddities = read_numbered(text, path.name)
    if len(drafts) > max(levels[level], 1):
        return drafts, oddities
    if level:
        return _terms_by_heading(blocks, level, path.name)
    draft, oddities = _read_entry(text, path, "")
    return [draft], oddities


def _read_entry(text: str, path: Path, file: str) -> tuple[Draft, list[Oddity]]:
    """One file as one term."""
    fields, body, line = _front_matter(text, file or path.name)
    draft, oddities = draft_of(fields, file=file, source=file or path.name, strict=True)
    blocks = list(_blocks(body, line))
    title = next((title for level, title, *_ in blocks if level == 1), "")
    draft.term = draft.term or title or path.stem.replace("-", " ").replace("_", " ").strip()
    draft.slug = slugify(path.stem)
    draft.line = 1
    if not fields:
        oddities.append(
            draft.odd(f"filen har ingen felt øverst (mellom to linjer med ---); begrepet er lest som «{draft.term}»")
        )
    sections, odd = _sections(blocks, 2, draft)
    draft.sections += sections
    return draft, oddities + odd


def _front_matter(text: str, name: str) -> tuple[Fields, str, int]:
    """The fields above the text, the text, and the line on which it begins."""
    found = _FRONT_MATTER.match(text)
    if not found and _UNCLOSED.match(text):
        raise GlossaryError(f"{name}, linje 1: feltene øverst er ikke avsluttet. Skriv --- på en egen linje etter dem.")
    if not found:
        return Fields(), text, 1
    first_line = text.count("\n", 0, found.start("yaml")) + 1
    documents = load_yaml(found["yaml"], name, first_line)
    fields = documents[0] if documents and isinstance(documents[0], Fields) else Fields()
    return fields, text[found.end() :], text.count("\n", 0, found.end()) + 1


def _blocks(text: str, line: int) -> Iterator[Block]:
    """The text cut at its headings; those inside code fences are text."""
    level, title, start, body = 0, "", line, list[str]()
    fence = ""
    for no, row in enumerate(text.split("\n"), start=line):
        if mark := _FENCE.match(row):
            fence = "" if fence == mark[1] else fence or mark[1]
        heading = None if fence else _HEADING.match(row)
        if heading:
            yield level, title, start, "\n".join(body).strip()
            level, title, start, body = len(heading[1]), heading[2].strip(), no, []
        else:
            body.append(row)
    yield level, title, start, "\n".join(body).strip()


def _sections(blocks: list[Block], level: int, draft: Draft) -> tuple[list[tuple[str, str]], list[Oddity]]:
    """The definition, then a section for each heading of ``level``; deeper headings stay in the text."""
    sections: list[tuple[str, str]] = [(DEFINITION, "")]
    oddities: list[Oddity] = []
    for depth, title, line, text in blocks:
        if depth == level or (0 < depth < level and title != draft.term):
            sections.append((title, text))
        else:
            heading = f"{'#' * depth} {title}\n" if depth > level else ""
            sections[-1] = (sections[-1][0], f"{sections[-1][1]}\n\n{heading}{text}".strip())
        if depth == level and not text:
            oddities.append(Oddity(line, f"delen «{title}» er tom", draft.file))
    defined = any(text for title, text in [*draft.sections, sections[0]] if title == DEFINITION)
    if not defined and any(text for _, text in sections):
        oddities.append(draft.odd(f"«{draft.term}» mangler definisjon før første overskrift"))
    return sections, oddities


def _terms_by_heading(blocks: list[Block], level: int, source: str) -> tuple[list[Draft], list[Oddity]]:
    """A term for each heading of ``level``, with the next level's as its sections."""
    drafts: list[Draft] = []
    oddities: list[Oddity] = []
    groups: list[list[Block]] = []
    for block in blocks:
        depth, title, line, text = block
        if depth == level:
            groups.append([block])
        elif groups and depth > level:
            groups[-1].append(block)
        elif text:
            oddities.append(
                Oddity(
                    line, f"teksten under «{title or 'ingen overskrift'}» hører ikke til noe begrep og er ikke tatt med"
                )
            )
    for (_, term, line, text), *rest in groups:
        draft = Draft(term, line, source=source)
        draft.sections, odd = _sections([(0, "", line, text), *rest], level + 1, draft)
        drafts.append(draft)
        oddities += odd
    return [draft for draft in drafts if draft.term], oddities
