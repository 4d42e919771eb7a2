"""Sentences, whole or streamed, and what a claim needs to pass."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

from tutor.types import Passage
from tutor.verify import check, evidence, mended, score, sentences, stream_sentences, thresholds

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
    "Ta to. Én er for lite. Økes den?": ["Ta to.", "Én er for lite.", "Økes den?"],
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
    assert not check("Dropout slår av noder.", [Passage("tom#0", "tom", "tom", "", "")]).supported


LIGHT = Passage(
    "fyr#0",
    "fyr",
    "fyrlykt",
    "",
    "Sektorlyset viser hvitt der leia er trygg, og rødt der skipet må snu. De fleste norske fyr ble automatiske før "
    "2006. Bjørn Lange ledet ofte arbeidet på kysten. Et fyr med høyere tårn ses på lengre avstand.",
)


@pytest.mark.parametrize(
    "claim",
    [
        "Det var Bjørn Lange som ofte ledet arbeidet på kysten.",
        "Dei fleste norske fyra vart automatiske før 2006.",
        "Sektorlyset syner kvitt der leia er trygg.",
        "Fyr med høyere tårn kan ses på lengre avstand.",
    ],
)
def test_an_honest_rewording_passes_with_the_closest_sentence_as_its_quote(claim: str) -> None:
    verdict = check(claim, [PASSAGE, LIGHT])
    assert verdict.supported
    assert verdict.passage is LIGHT
    assert verdict.quote in sentences(LIGHT.text)


@pytest.mark.parametrize(
    ("claim", "kind"),
    [
        ("Dei fleste norske fyra vart automatiske før 1996.", "number"),
        ("Det var Henrik Berg som ofte ledet arbeidet på kysten.", "name"),
        ("Dei fleste norske fyra vart ikkje automatiske før 2006.", "negation"),
        ("Fyr med høyere tårn kan ses på kortere avstand.", "direction"),
        ("Det var alltid Bjørn Lange som ledet arbeidet på kysten.", "scope"),
    ],
)
def test_what_disagrees_is_stopped_for_its_own_reason(claim: str, kind: str) -> None:
    assert kind in evidence(claim, LIGHT).disagreements
    assert score(claim, LIGHT)[0] == -math.inf
    assert not check(claim, [LIGHT]).supported


def test_roles_turned_round_cost_points_unless_the_sentence_is_passive() -> None:
    turbine = Passage("a", "a", "turbin", "", "Vannet driver turbinen mot generatoren.")
    assert evidence("Generatoren driver turbinen mot vannet.", turbine).features["roles turned"]
    assert not evidence("Mot generatoren drives turbinen av vannet.", turbine).features["roles turned"]


@pytest.mark.parametrize(
    "claim",
    ["Sektorlyset viser rødt der leia er trygg, og hvitt der skipet må snu.", "Fyr bruker linser av glass."],
)
def test_swapped_and_added_words_are_stopped(claim: str) -> None:
    assert not check(claim, [LIGHT]).supported


def test_every_sentence_of_the_glossary_supports_itself() -> None:
    entries = Path(__file__).parents[1] / "corpus" / "dyp-laering"
    for path in sorted(entries.glob("*.md"))[::9]:
        body = path.read_text(encoding="utf-8").split("---", 2)[2]
        passage = Passage(path.stem, path.stem, path.stem, "", body)
        for sentence in sentences(body):
            if any(character.isalpha() for character in sentence) and not sentence.startswith("#"):
                assert check(sentence, [passage]).supported, sentence


def test_the_strict_threshold_is_the_stricter() -> None:
    assert thresholds()["strict"] > thresholds()["balanced"]


def test_a_word_alone_claims_nothing() -> None:
    passage = Passage("t#0", "t", "trapp", "", "En trapp fører fra en etasje til en annen.")
    assert not check("trapp", [passage]).supported and not check("En trapp.", [passage]).supported
    assert check("En trapp fører fra en etasje til en annen.", [passage]).supported


def test_a_copy_with_a_slip_in_it_gives_way_to_the_glossary() -> None:
    quote = "Trappa har alle trinnene den trenger for å nå andre etasje."
    assert mended("Trappa har alle trinn den trenger for å nå andre etasje.", quote) == quote
    assert mended("Trappa når andre etasje.", quote) == "Trappa når andre etasje."
    assert mended("For å nå andre etasje.", quote) == quote
