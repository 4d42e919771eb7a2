"""The glossary that ships: whole, consistent, and covering every term of the original."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from conftest import ORIGINAL, ROOT
from rapidfuzz import fuzz, process

from evals.cases import shipped
from tutor.glossary import read_glossary
from tutor.settings import shipped_glossary
from tutor.types import Entry

GLOSSARY = read_glossary(shipped_glossary())
ENTRIES = {e.slug: e for e in GLOSSARY.entries}
TOO_ALIKE = 85
"""Per cent of the letters that two questions may share, in order."""
TABLE = [line.split("\t") for line in (ROOT / "evals" / "original.tsv").read_text(encoding="utf-8").splitlines()[1:]]


def test_the_reader_finds_nothing_odd() -> None:
    assert GLOSSARY.oddities == ()


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_an_entry_is_whole(entry: Entry) -> None:
    assert entry.definition.strip()
    assert entry.sections[0].title == ""
    assert all(s.text.strip() for s in entry.sections)
    assert len({s.title for s in entry.sections}) == len(entry.sections)
    assert len(set(entry.questions)) >= 5


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_what_an_entry_refers_to_exists(entry: Entry) -> None:
    assert {*entry.related, *([entry.part_of] if entry.part_of else [])} <= ENTRIES.keys() - {entry.slug}


def test_no_entry_is_part_of_its_own_part() -> None:
    for entry in ENTRIES.values():
        seen = [entry.slug]
        while parent := ENTRIES[seen[-1]].part_of:
            assert parent not in seen
            seen.append(parent)


def test_a_name_belongs_to_one_entry() -> None:
    owners = Counter(name for e in ENTRIES.values() for name in {n.casefold() for n in e.names})
    assert [name for name, count in owners.items() if count > 1] == []


def test_a_question_belongs_to_one_entry() -> None:
    owners = Counter(q for e in ENTRIES.values() for q in {q.casefold() for q in e.questions})
    assert [question for question, count in owners.items() if count > 1] == []


def test_no_entry_holds_an_eval_question() -> None:
    """What is measured must not stand in the index: not word for word, and not nearly so."""
    asked = [(c.id, c.question.lower()) for s in ("dev", "test") for c in shipped(s) if c.covered and not c.history]
    held = [(slug, q.lower()) for slug, e in ENTRIES.items() for q in e.questions]
    alike = process.cdist([q for _, q in asked], [q for _, q in held], scorer=fuzz.ratio)
    assert [(asked[i][0], held[j]) for i, j in zip(*np.nonzero(alike >= TOO_ALIKE), strict=True)] == []


def test_the_table_names_entries_that_exist() -> None:
    assert {shipped for _, shipped, _ in TABLE} <= ENTRIES.keys()


@pytest.mark.skipif(not ORIGINAL.is_file(), reason="../shared/ordliste-original.txt is not here")
def test_every_original_term_is_in_the_table() -> None:
    original = read_glossary(ORIGINAL)
    assert [(slug, term) for slug, _, term in TABLE] == [(e.slug, e.term) for e in original.entries]


def test_the_shipped_glossary_is_in_the_package() -> None:
    assert shipped_glossary().resolve() == Path(ROOT / "corpus" / "dyp-laering")
