"""CSV and TSV glossaries, as spreadsheets in Norway and elsewhere write them."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator

from tutor.errors import GlossaryError
from tutor.glossary.merge import Draft
from tutor.glossary.records import Fields, draft_of, field_of
from tutor.types import Oddity

DELIMITERS = (";", "\t", ",", "|")
"""Semicolon first: it is what Excel writes in Norway, and rarer than comma in running text."""

SAMPLE_CHARACTERS = 20_000
MAX_CELL_LINES = 30
NO_HEADER = ("term", "definition")

Row = tuple[int, list[str]]
"""The line where a row begins, and its cells."""


def read_table(text: str, name: str) -> tuple[list[Draft], list[Oddity]]:
    """The terms of a table: by the names in its header, or the first two columns where it has none.

    Raises:
        GlossaryError: a cell too large to be one, with its line.
    """
    delimiter, text = _delimiter(text)
    rows = list(_rows(text, delimiter, name))
    header = [cell.strip() for cell in rows[0][1]] if rows and _is_header(rows[0][1]) else []
    columns = header or _first_two(rows)
    drafts: list[Draft] = []
    oddities: list[Oddity] = []
    if not header and len(columns) > len(NO_HEADER):
        oddities.append(Oddity(1, "tabellen har ingen overskrifter; bare de to første kolonnene er lest"))
    for line, cells in rows[1:] if header else rows:
        oddities += [Oddity(line, message) for message in _row_oddities(cells, columns)]
        draft, odd = draft_of(_fields(cells, columns, delimiter, line), source=name)
        oddities += odd
        if draft.term:
            drafts.append(draft)
        else:
            oddities.append(Oddity(line, "raden har ikke noe begrep; den er ikke tatt med"))
    return drafts, oddities


def _delimiter(text: str) -> tuple[str, str]:
    """What separates the cells, and the text without Excel's «sep=;» line (kept blank, so that lines count right)."""
    if declared := re.match(r"sep=(.)[ \t]*(?=\n|$)", text):
        return declared[1], text[declared.end() :]
    sample = text[:SAMPLE_CHARACTERS]
    return max(DELIMITERS, key=lambda delimiter: _fitness(sample, delimiter)), text


def _fitness(sample: str, delimiter: str) -> tuple[bool, float]:
    """How well a delimiter explains a sample: a header of known names first, then the share of rows of equal width."""
    try:
        rows = [row for row in csv.reader(sample.split("\n"), delimiter=delimiter) if row]
    except csv.Error:
        return False, 0.0
    widths = Counter(len(row) for row in rows if len(row) > 1)
    share = max(widths.values(), default=0) / max(len(rows), 1)
    return bool(rows) and len(rows[0]) > 1 and _is_header(rows[0]), share


def _is_header(cells: list[str]) -> bool:
    fields = [field_of(cell) for cell in cells if cell.strip()]
    return "term" in fields and (len(fields) == 1 or len({field for field in fields if field}) > 1)


def _first_two(rows: list[Row]) -> list[str]:
    """The columns of a table without a header: the first two are named. What only some rows have is text."""
    width = min((len(cells) for _, cells in rows if len(cells) > 1), default=0)
    return [*NO_HEADER, *[""] * (width - len(NO_HEADER))]


def _rows(text: str, delimiter: str, name: str) -> Iterator[Row]:
    reader = csv.reader((row + "\n" for row in text.split("\n")), delimiter=delimiter)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise GlossaryError(
            f"{name}, linje {line}: tabellen kan ikke leses ({error}). Mangler en celle anførselstegn på slutten?"
        ) from error


def _fields(cells: list[str], columns: list[str], delimiter: str, line: int) -> Fields:
    """A row by its columns' names. Cells beyond the last column belong to its text, which held the delimiter."""
    if len(cells) > len(columns):
        cells = [*cells[: len(columns) - 1], delimiter.join(cells[len(columns) - 1 :]).rstrip(delimiter)]
    pairs = [(column, cell) for column, cell in zip(columns, cells, strict=False) if column and cell.strip()]
    return Fields(pairs, [line] * len(pairs))


def _row_oddities(cells: list[str], columns: list[str]) -> Iterator[str]:
    if any(cell.strip() for cell in cells[len(columns) :]):
        yield f"raden har {len(cells)} celler, men tabellen {len(columns)}; resten er lest som tekst i den siste"
    if any(cell.count("\n") > MAX_CELL_LINES for cell in cells):
        yield f"en celle går over mer enn {MAX_CELL_LINES} linjer; mangler det et anførselstegn?"
