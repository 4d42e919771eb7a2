"""The cases of which sentences answer: they name sentences that the glossaries have, and nobody is tested on them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import ROOT

from evals.fit_sentences import CASES, SECOND, read_cases
from tutor.glossary import read_glossary
from tutor.relevance import features, role_of, scores
from tutor.settings import shipped_glossary
from tutor.types import Passage


@pytest.mark.parametrize(
    ("cases", "glossary", "least"),
    [(CASES, shipped_glossary(), 500), (SECOND / "sentences.jsonl", SECOND / "databaser", 100)],
)
def test_every_fact_is_a_sentence_of_the_entry(cases: Path, glossary: Path, least: int) -> None:
    entries = {e.slug: e for e in read_glossary(glossary).entries}
    shelf: Any = SimpleNamespace(entry=entries.__getitem__)
    found = read_cases(cases, shelf)
    assert len({c.question for c in found}) == len(found) >= least
    assert all(c.facts for c in found)


def test_a_question_that_is_fitted_on_is_no_test_question() -> None:
    asked = {json.loads(line)["question"].lower() for line in CASES.read_text(encoding="utf-8").splitlines()}
    for path in (ROOT / "evals" / "cases").glob("*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines() if path != CASES else ():
            assert str(json.loads(line).get("question", "")).lower() not in asked


def test_a_near_sentence_beats_a_far_one_and_a_section_counts_by_its_role() -> None:
    how = Passage("x#1", "x", "x", "Hvordan det virker", "")
    contrast = Passage("x#2", "x", "x", "Forskjellen på x og y", "")
    places = [(how, 0, "Den virker slik."), (how, 1, "Den står der."), (contrast, 0, "Den ene er en y.")]
    near, far, _ = scores("how", places, lambda texts: [0.9, 0.3, 0.2])
    assert near > far
    assert [role_of(p) for p, *_ in places] == ["how", "how", "contrast"]
    told = features("how", places, lambda texts: [0.9, 0.3, 0.2])
    assert told[1] == {"near": 0.3, "section": 0.9, "section_mean": 0.6, "first": 0.0, "words": told[0]["words"]} | {
        "how": 1.0,
        "how how": 1.0,
    }
