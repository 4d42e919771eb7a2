"""Readers for the glossaries that teachers have: Markdown, numbered text, tables, YAML and JSON."""

from __future__ import annotations

from pathlib import Path

from tutor.errors import GlossaryError
from tutor.glossary.files import MARKDOWN_SUFFIXES, read_text, unreadable
from tutor.glossary.markdown import read_folder, read_markdown
from tutor.glossary.merge import Draft, assemble
from tutor.glossary.names import slugify
from tutor.glossary.numbered import read_numbered
from tutor.glossary.structured import read_json, read_yaml
from tutor.glossary.tables import read_table
from tutor.types import Glossary, Oddity

__all__ = ["read_glossary", "report", "slugify"]


def read_glossary(path: Path) -> Glossary:
    """Read a folder of ``.md`` files, or one file: Markdown, a table (``.csv``, ``.tsv``), YAML, JSON or text.

    A file with an unknown suffix is read as plain text, like ``.txt``. What is odd but understood is told in the
    glossary's ``oddities``.

    Raises:
        GlossaryError: the path is missing, unreadable, empty, too large or binary, its YAML or JSON
            is broken, or no terms are found. The message is Norwegian and names the remedy.
    """
    path = Path(path)
    try:
        is_folder = path.is_dir()
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    drafts, oddities = read_folder(path) if is_folder else _read_file(path)
    glossary = assemble(drafts, oddities)
    if not glossary.entries:
        raise GlossaryError(
            f"Fant ingen begreper i {path}. Skriv ett begrep på hver linje, slik: «1. Begrep: forklaring»."
        )
    return glossary


def _read_file(path: Path) -> tuple[list[Draft], list[Oddity]]:
    text = read_text(path)
    if not text.strip():
        raise GlossaryError(f"{path} er tom. Skriv minst ett begrep i den, slik: «1. Begrep: forklaring».")
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return read_table(text, path.name)
    if suffix in (".yaml", ".yml"):
        return read_yaml(text, path.name)
    if suffix == ".json":
        return read_json(text, path.name)
    if suffix in MARKDOWN_SUFFIXES:
        return read_markdown(text, path)
    return read_numbered(text, path.name)


def report(glossary: Glossary) -> str:
    """What was read, in Norwegian: the number of entries, and each oddity with its place."""
    parts = sum(entry.part_of is not None for entry in glossary.entries)
    bare = sum(not entry.sections for entry in glossary.entries)
    lines = [f"{len(glossary.entries)} oppslag, av dem {parts} underoppslag."]
    if bare:
        lines.append(f"{bare} uten forklaring.")
    if not glossary.oddities:
        return "\n".join([*lines, "Ingen merknader."])
    lines += ["", f"{len(glossary.oddities)} {'merknad' if len(glossary.oddities) == 1 else 'merknader'}:"]
    lines += [f"  {f'{odd.file}, ' if odd.file else ''}linje {odd.line}: {odd.message}" for odd in glossary.oddities]
    return "\n".join(lines)
