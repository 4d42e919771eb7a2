"""Sentences, whole or streamed, and what a claim needs to pass."""

from __future__ import annotations

import random

import pytest

from tutor.types import Passage
from tutor.verify import check, sentences, stream_sentences

SPLIT = {
    "Dropout er nyttig. Det virker.": ["Dropout er nyttig.", "Det virker."],
    "Tapet er $L = 0.5. Det$ faller. Så.": ["Tapet er $L = 0.5. Det$ faller.", "Så."],
    "$$w \\leftarrow w - \\eta$$\n\nHer er $\\eta$ raten.": ["$$w \\leftarrow w - \\eta$$", "Her er $\\eta$ raten."],
    "Verdien er 3.14 eller 2,5. Slutt": ["Verdien er 3.14 eller 2,5.", "Slutt"],
    "Bruk f.eks. Adam. Eller bl.a. SGD.": ["Bruk f.eks. Adam.", "Eller bl.a. SGD."],
    "Det tar ca. 50 steg, dvs. Lenge. Nå": ["Det tar ca. 50 steg, dvs. Lenge.", "Nå"],
    "Steg:\n1. Først dette.\n2. Så dette.": ["Steg:", "Først dette.", "Så dette."],
    "Fordeler:\n- rask\n* enkel\n\n\nMer": ["Fordeler:", "rask", "enkel", "Mer"],
    "Hun sa «hei.» Så gikk hun.": ["Hun sa «hei.»", "Så gikk hun."],
    "(Alt er med.) Ålesund er en by.": ["(Alt er med.)", "Ålesund er en by."],
    "Er det sant? Ja! Kanskje… «Nei.»": ["Er det sant?", "Ja!", "Kanskje…", "«Nei.»"],
    "en linje\nsom fortsetter": ["en linje\nsom fortsetter"],
    "  \n ": [],
    "": [],
}


@pytest.mark.parametrize("text", SPLIT)
def test_sentences(text: str) -> None:
    assert sentences(text) == SPLIT[text]


@pytest.mark.parametrize("text", SPLIT)
def test_a_stream_gives_the_same_sentences_however_it_is_cut(text: str) -> None:
    assert list(stream_sentences(text)) == SPLIT[text]
    for seed in range(200):
        cuts = sorted(random.Random(seed).choices(range(len(text) + 1), k=seed % 7))
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert list(stream_sentences(pieces)) == SPLIT[text], pieces


def test_a_streamed_sentence_comes_as_soon_as_the_next_has_begun() -> None:
    heard: list[str] = []

    def speak() -> object:
        for piece in ("Én. T", "o. ", "Tre."):
            heard.append(piece)
            yield piece

    stream = stream_sentences(speak())  # type: ignore[arg-type]
    assert next(stream) == "Én."
    assert heard == ["Én. T"]


PASSAGE = Passage(
    "dropout#0",
    "dropout",
    "dropout",
    "",
    "Dropout slår av halvparten av nodene når $p = 0,5$. Modellen overtilpasser da mindre. "
    "Under testing er alle nodene med.",
)


@pytest.mark.parametrize(
    "claim",
    ["Dropout slår av halvparten av nodene når $p = 0,5$.", "Under testing er alle nodene med.",
     "Dropout slår halvparten av nodene av når $p = 0,5$."],
)  # fmt: skip
def test_what_stands_in_the_passage_passes_with_a_verbatim_quote(claim: str) -> None:
    verdict = check(claim, [PASSAGE])
    assert verdict.supported
    assert verdict.passage is PASSAGE
    assert verdict.quote in sentences(PASSAGE.text)


@pytest.mark.parametrize(
    "claim",
    [
        "Dropout slår av halvparten av nodene når $p = 0,9$.",
        "Under testing er alle nodene ikke med.",
        "Modellen overtilpasser da mer.",
        "Dropout ble funnet opp i Toronto av Hinton.",
        "…",
    ],
)
def test_other_numbers_negations_directions_and_facts_are_stopped(claim: str) -> None:
    assert not check(claim, [PASSAGE]).supported


def test_without_passages_nothing_is_supported() -> None:
    assert not check("Dropout slår av noder.", []).supported
