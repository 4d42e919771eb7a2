"""Questions to go on with: from the entry and its relatives, in the reader's language, none asked before."""

from __future__ import annotations

import pytest
from conftest import ROOT, SMALL

from tutor.glossary import read_glossary
from tutor.language import detect
from tutor.types import Answer, Citation, Entry
from ui.followups import followups

ENTRIES = read_glossary(SMALL).entries
SHIPPED = read_glossary(ROOT / "corpus" / "dyp-laering").entries


def after(
    slug: str, entries: tuple[Entry, ...] = ENTRIES, asked: tuple[str, ...] = (), language: str = "nb"
) -> list[str]:
    answer = Answer("?", "Noe. [1]", False, "nb", (Citation("1", slug, slug, "Noe."),))
    return followups(answer, entries, asked, language)


def test_an_example_a_difference_and_a_relative() -> None:
    assert after("dropout") == [
        "Vis et eksempel på dropout",
        "Hva er forskjellen på dropout og weight decay?",
        "Hva betyr regularisering?",
    ]


def test_what_was_asked_is_not_proposed() -> None:
    asked = ("vis et eksempel på dropout", "Hva er forskjellen på dropout og weight decay")
    assert after("dropout", asked=asked) == ["Hva betyr regularisering?"]
    assert after("dropout", asked=("hvordan skiller dropout seg fra vektforfall",)) == [
        "Vis et eksempel på dropout",
        "Hva betyr regularisering?",
    ]


def test_after_a_refusal_or_without_a_source_there_is_none() -> None:
    assert followups(Answer("?", "Nei.", True, "nb"), ENTRIES, (), "nb") == []
    assert followups(Answer("?", "Hei!", False, "nb"), ENTRIES, (), "nb") == []
    assert after("finnes-ikke") == []


@pytest.mark.parametrize("language", ["nb", "nn", "en"])
def test_every_entry_that_ships_has_some_in_the_reader_s_language(language: str) -> None:
    for entry in SHIPPED:
        found = after(entry.slug, SHIPPED, (f"Hva er {entry.term}?",), language)
        assert 1 <= len(found) <= 3 and len(set(found)) == len(found), entry.slug
        assert all(detect(q, default=language) == language for q in found if q in entry.questions), found


def test_an_entry_s_own_question_is_taken_when_it_can_stand_alone() -> None:
    entry = Entry("a", "dropout", (), questions=("hvorfor dropout?", "Hvorfor det?", "Hvorfor virker dropout?"))
    assert after("a", (entry,)) == ["Hvorfor virker dropout?"]
    assert after("a", (entry,), language="en") == []
