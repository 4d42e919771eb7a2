"""Answers in the form that the student asked in: nynorsk by Apertium, and the notes where it cannot be."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Scripted, Shelf

from evals.languages import kept_facts
from tutor import nynorsk
from tutor.glossary import read_glossary
from tutor.language import detect
from tutor.nynorsk import INSTALL, Nynorsk, mode_file, readings
from tutor.settings import shipped_glossary
from tutor.translate import Translator, read_english
from tutor.tutor import Tutor
from tutor.types import Answer, Delta, Entry, Section, Turn
from tutor.verify import sentences

BOOSTING = Entry("boosting", "boosting", (Section("", "…"),), {"en": ("boosting",), "nn": ("boosting",)})
ACCURACY = Entry("accuracy", "nøyaktighet", (Section("", "…"),), {"nn": ("nøyaktigheit",), "en": ("accuracy",)})
OPENING = "Dropout slår av tilfeldige noder i hvert steg av treningen."
OPENING_NYNORSK = "Dropout slår av tilfeldige nodar i kvart steg av treningen."
"""As the pretended Apertium has it."""


def use_mode(monkeypatch: pytest.MonkeyPatch, mode: Path | None) -> None:
    monkeypatch.setattr(nynorsk, "mode_file", lambda *_: mode)
    monkeypatch.setattr("tutor.translate.mode_file", lambda: mode)
    nynorsk._pipe().stop()
    nynorsk._pipe(nynorsk.BACK).stop()
    nynorsk.in_bokmaal.cache_clear()


@pytest.fixture
def pretend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A pipe of one program that knows a few words, run as Apertium's is: fed and flushed by NULs."""
    mode = tmp_path / "pretend.mode"
    changes = ["ikke/ikkje", "hver/kvar", "boosting/*buosting", "feil/#feil", "fire/5", "ingen vei/en vei"]
    mode.write_text("sed -u '" + "; ".join(f"s/{change}/g" for change in changes) + "'")
    use_mode(monkeypatch, mode)
    yield mode
    use_mode(monkeypatch, None)


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    use_mode(monkeypatch, None)


def test_a_sentence_goes_through_and_comes_back(pretend: Path) -> None:
    assert Nynorsk([]).translate("Det er ikke likt for hver.") == "Det er ikkje likt for kvar."


def test_marks_of_unknown_words_are_taken_away_and_names_restored(pretend: Path) -> None:
    assert Nynorsk([]).translate("Her er boosting.") == "Her er buosting."
    assert Nynorsk([BOOSTING]).translate("Her er boosting.") == "Her er boosting."


@pytest.mark.parametrize(
    "kept", ["$\\frac{a}{b}_{ikke}$", "`ikke()`", "ikke_hver", "ikke()", "a*b # ~ [1]", "$$ikke$$"]
)
def test_formulas_and_code_never_reach_apertium(pretend: Path, kept: str) -> None:
    assert Nynorsk([]).translate(f"Bruk {kept} hver gang.") == f"Bruk {kept} kvar gang."


@pytest.mark.parametrize("sentence", ["Dette er feil.", "Det er fire igjen av 5.", "Det går ingen vei."])
def test_what_came_out_changed_is_not_shown(pretend: Path, sentence: str) -> None:
    assert Nynorsk([]).translate(sentence) is None


def test_a_pipe_that_died_is_started_again(pretend: Path) -> None:
    translate = Nynorsk([]).translate
    assert translate("Ja, ikke.") == "Ja, ikkje."
    process = nynorsk._pipe()._process
    assert process
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert translate("Nei, ikke.") == "Nei, ikkje."


def test_a_pipe_that_hangs_is_given_up(pretend: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend.write_text("sleep 60")
    monkeypatch.setattr(nynorsk, "PATIENCE", 0.2)
    began = time.monotonic()
    assert Nynorsk([]).translate("Det er ikke slik.") is None
    assert time.monotonic() - began < 5
    assert nynorsk._pipe()._process is None


def test_a_nynorsk_question_gets_a_nynorsk_answer_with_quotes_as_they_stand(
    tutor: Tutor, scripted: Scripted, pretend: Path
) -> None:
    scripted.enqueue("")
    *deltas, answer = tutor.stream("Kva er dropout?")
    assert isinstance(answer, Answer)
    assert answer.language == "nn"
    assert answer.text.startswith(OPENING_NYNORSK)
    assert answer.citations[0].quote == OPENING
    assert "".join(d.text for d in deltas if isinstance(d, Delta)) == answer.text


def test_without_apertium_the_answer_is_bokmaal_and_says_why_once(
    tutor: Tutor, scripted: Scripted, missing: None
) -> None:
    scripted.enqueue("", "")
    answer = tutor.ask("Kva er dropout?")
    assert answer.language == "nb"
    assert answer.text.startswith(OPENING)
    assert answer.text.endswith("Eg svarar på bokmål fordi programmet Apertium ikkje er installert her.")
    history = [Turn("user", "Kva er dropout?"), Turn("assistant", answer.text)]
    assert "Apertium" not in tutor.ask("Kva er regularisering?", history).text


def test_bokmaal_needs_no_apertium(tutor: Tutor, scripted: Scripted, missing: None) -> None:
    scripted.enqueue("")
    answer = tutor.ask("Hva er dropout?")
    assert (answer.language, "Apertium" in answer.text) == ("nb", False)


def test_the_last_answer_again_in_another_form(tutor: Tutor, scripted: Scripted, pretend: Path) -> None:
    scripted.enqueue("", "")
    history = [Turn("user", "Hva er dropout?"), Turn("assistant", OPENING)]
    answer = tutor.ask("på nynorsk, takk", history)
    assert (answer.language, answer.refused) == ("nn", False)
    assert answer.text.startswith(OPENING_NYNORSK)
    history += [Turn("user", "på nynorsk, takk"), Turn("assistant", answer.text)]
    back = tutor.ask("på norsk", history)
    assert (back.language, back.text.startswith(OPENING)) == ("nb", True)


def test_an_english_question_gets_the_english_of_the_glossary_and_norwegian_quotes(
    shelf: Shelf, scripted: Scripted
) -> None:
    english = "Dropout turns off random nodes in each step of training."
    tutor = Tutor(shelf, scripted, {OPENING: english})  # type: ignore[arg-type]
    answer = tutor.ask("What is dropout?")
    assert answer.language == "en" and answer.text.startswith(f"{english} [1]")
    assert [c.quote for c in answer.citations] == [OPENING]
    assert scripted.asked == []
    how = tutor.ask("How does dropout work?")
    assert how.text.startswith(f"{english} [1] The glossary says more about this in Norwegian")


def test_an_answer_all_in_english_says_so(shelf: Shelf, scripted: Scripted) -> None:
    scripted.enqueue("")
    english = {s: f"The English of number {n}." for n, s in enumerate(sentences(shelf.entry("dropout").definition))}
    answer = Tutor(shelf, scripted, english).ask("What is dropout?")  # type: ignore[arg-type]
    assert (answer.language, "Norwegian" in answer.text) == ("en", False)


def test_english_that_a_teacher_has_not_written_stays_norwegian_and_is_explained_once(
    tutor: Tutor, scripted: Scripted
) -> None:
    scripted.enqueue("", "")
    answer = tutor.ask("What is dropout?")
    assert (answer.language, answer.text.startswith(OPENING)) == ("nb", True)
    assert answer.text.endswith("I answer in Norwegian here, because the glossary does not have this in English.")
    history = [Turn("user", "What is dropout?"), Turn("assistant", answer.text)]
    assert "because" not in tutor.ask("What is regularisering?", history).text


def test_lines_that_are_no_pair_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "english.tsv").write_text("Hei.\tHello.\n\nbare norsk\na\tb\tc\n", encoding="utf-8")
    assert read_english(tmp_path) == {"Hei.": "Hello."}
    assert read_english(tmp_path / "ordliste.txt") == {}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_pairs_are_read_as_excel_saves_them(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "english.tsv").write_bytes("Én bil.\tOne car.\r\nTo biler.\tTwo cars.\r\n".encode(encoding))
    assert read_english(tmp_path) == {"Én bil.": "One car.", "To biler.": "Two cars."}


def test_the_english_that_ships_is_of_sentences_in_the_glossary_and_keeps_their_facts() -> None:
    entries = read_glossary(shipped_glossary()).entries
    english = read_english(shipped_glossary())
    defining = [s for e in entries for s in sentences(e.definition)]
    assert sum(s in english for s in defining) >= 0.95 * len(defining)
    for norwegian, translated in english.items():
        assert detect(translated, default="en") == "en", translated
        assert kept_facts(norwegian, translated) == [], translated


def test_a_glossary_in_nynorsk_is_left_alone(missing: None) -> None:
    sentence = "Vekta er ikkje den same kvar gong."
    assert Translator([], {}).render(sentence, "nn") == sentence


needs_apertium = pytest.mark.skipif(not mode_file(), reason=f"Apertium is not installed here: {INSTALL}")


@pytest.mark.real
@needs_apertium
@pytest.mark.parametrize(
    ("bokmaal", "expected"),
    [
        ("Jeg vet ikke hvorfor modellen ikke lærer noe.", "Eg veit ikkje kvifor modellen ikkje lærer noko."),
        ("Boosting er ikke det samme som bagging.", "Boosting er ikkje det same som bagging."),
        ("Nøyaktighet er andelen riktige svar.", "Nøyaktigheit er andelen rette svar."),
        ("ROC-kurven viser hvordan nodene endrer seg.", "ROC-kurva viser korleis nodane endrar seg."),
        (
            "Leddet $\\lambda w$ trekker vekten 0,5 mot `w.zero_()`.",
            "Leddet $\\lambda w$ trekkjer vekta 0,5 mot `w.zero_()`.",
        ),
        ("Modellen overtilpasser.", "Modellen overtilpassar."),
        ("En ny bruker bruker modellen.", "Ein ny brukar brukar modellen."),
        ("Vanligvis lages tabellen først.", "Vanlegvis lagar ein tabellen først."),
        ("I epoke 2 trenes bare gruppe 3.", "I epoke 2 trenar ein berre gruppe 3."),
        ("I epoke 2 trenes de videre.", "I epoke 2 blir dei trena vidare."),
        ("I modellenes vekter ligger kunnskapen.", "I modellanes vekter ligg kunnskapen."),
    ],
)
def test_real_apertium(bokmaal: str, expected: str) -> None:
    assert Nynorsk([BOOSTING, ACCURACY]).translate(bokmaal) == expected


@pytest.mark.real
@needs_apertium
def test_real_apertium_on_the_whole_glossary() -> None:
    """Nearly every sentence can be rendered, and at the median in no more than 50 ms."""
    entries = read_glossary(shipped_glossary()).entries
    translate = Nynorsk(entries).translate
    translate("Start.")
    found, took = [], []
    for sentence in [s for e in entries for s in sentences(e.definition)]:
        began = time.perf_counter()
        found.append(translate(sentence))
        took.append(time.perf_counter() - began)
    assert sum(f is None for f in found) <= 0.01 * len(found)
    assert sorted(took)[len(took) // 2] <= 0.05


@pytest.mark.real
@needs_apertium
def test_a_nynorsk_question_is_searched_for_in_bokmaal_too() -> None:
    nynorsk.in_bokmaal.cache_clear()
    assert readings("Kva skjer når modellen ikkje greier nye døme?") == [
        "Kva skjer når modellen ikkje greier nye døme?",
        "Hva skjer når modellen ikke greier nye eksempler?",
    ]
    assert readings("kva er [x] / {y}?")[-1] == "hva er [x] / {y}?"
    assert readings("hvordan virker dropout?") == ["hvordan virker dropout?"]


def test_without_apertium_a_question_is_searched_for_as_it_is(missing: None) -> None:
    assert readings("Kva er dropout?") == ["Kva er dropout?"]


def test_doctor_tells_how_to_get_nynorsk(missing: None) -> None:
    from tutor.doctor import _nynorsk

    assert INSTALL in _nynorsk().value


def test_formulas_keep_their_capitals_and_a_mended_word_its_own(pretend: Path) -> None:
    assert Nynorsk([]).translate("Noder gir tapet $L$ og `Resize()`.") == "Nodar gir tapet $L$ og `Resize()`."
