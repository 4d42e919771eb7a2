"""The flow from question to answer, with a model that says what the test tells it to."""

from __future__ import annotations

import pytest
from conftest import Scripted, Shelf

from tutor.errors import UsageError
from tutor.plan import WHOLE
from tutor.tutor import LONGEST_QUESTION, Tutor
from tutor.types import Answer, Delta, Entry, Turn
from tutor.verify import sentences

OPENING = "Dropout slår av tilfeldige noder i hvert steg av treningen."
SECOND = "Andelen noder som slås av, kalles $p$."
TESTING = "Under testing er alle nodene med."


def assert_verbatim(answer: Answer, shelf: Shelf) -> None:
    """Every quote stands in its entry, and the markers of text and citations are the same."""
    assert [c.marker for c in answer.citations] == [str(n) for n in range(1, len(answer.citations) + 1)]
    for citation in answer.citations:
        assert citation.quote in shelf.entry(citation.entry_id).text
        assert citation.term == shelf.entry(citation.entry_id).term
        assert f"[{citation.marker}]" in answer.text


def test_an_answer_opens_with_the_glossary_and_cites_each_sentence(
    tutor: Tutor, scripted: Scripted, shelf: Shelf
) -> None:
    scripted.enqueue(f"{SECOND} {TESTING}")
    answer = tutor.ask("Hva er dropout?")
    assert answer.text == f"{OPENING} [1] {SECOND} [2] {TESTING} [3]"
    assert not answer.refused
    assert answer.language == "nb"
    assert answer.model == "manus"
    assert_verbatim(answer, shelf)


def test_the_deltas_are_the_text(tutor: Tutor, scripted: Scripted) -> None:
    scripted.enqueue(f"{SECOND} Dette er tøv om fisk. {TESTING}")
    *deltas, answer = tutor.stream("Hva er dropout?")
    assert isinstance(answer, Answer)
    assert all(isinstance(d, Delta) for d in deltas)
    assert "".join(d.text for d in deltas if isinstance(d, Delta)) == answer.text


def test_what_the_glossary_does_not_say_is_withheld(tutor: Tutor, scripted: Scripted) -> None:
    scripted.enqueue(f"Dropout ble funnet opp i Toronto i 2012. {TESTING} Under testing er alle nodene ikke med.")
    answer = tutor.ask("Hva er dropout?")
    assert answer.withheld == ("Dropout ble funnet opp i Toronto i 2012.", "Under testing er alle nodene ikke med.")
    assert answer.text == f"{OPENING} [1] {SECOND} [2] {TESTING} [3]"


def test_a_sentence_is_said_once(tutor: Tutor, scripted: Scripted) -> None:
    scripted.enqueue(f"{OPENING} {TESTING} {TESTING} {OPENING} {TESTING}")
    assert tutor.ask("Hva er dropout?").text == f"{OPENING} [1] {SECOND} [2] {TESTING} [3]"


def test_the_same_quote_in_other_words_is_not_said_again(tutor: Tutor, scripted: Scripted, shelf: Shelf) -> None:
    scripted.enqueue(f"Dropout slår tilfeldige noder av i hvert steg av treningen. {TESTING}")
    answer = tutor.ask("Hva er dropout?")
    assert answer.text == f"{OPENING} [1] {SECOND} [2] {TESTING} [3]"
    assert_verbatim(answer, shelf)


def test_the_model_is_stopped_when_enough_is_said(
    tutor: Tutor, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tutor.tutor.MOST", 3)
    scripted.enqueue(TESTING + " Mer." * 100)
    assert tutor.ask("Hva er dropout?").text == f"{OPENING} [1] {SECOND} [2] {TESTING} [3]"
    assert scripted.unread > 90


def test_a_silent_model_leaves_the_glossary_s_own_words(tutor: Tutor, scripted: Scripted) -> None:
    scripted.enqueue("")
    answer = tutor.ask("Hva er dropout?")
    assert answer.text.startswith(f"{OPENING} [1]")
    assert [c.quote for c in answer.citations] == sentences(answer_section(tutor, "dropout"))[:WHOLE]


def answer_section(tutor: Tutor, slug: str) -> str:
    return tutor.retriever.entry(slug).definition


def test_a_term_without_a_text_breaks_nothing(scripted: Scripted) -> None:
    scripted.enqueue("")
    bare = Tutor(Shelf([Entry("l1", "L1", ()), Entry("l2", "L2", ())]), scripted)  # type: ignore[arg-type]
    assert bare.ask("Hva er L1?").text


def test_sources_come_before_the_question_and_the_opening_is_prefilled(tutor: Tutor, scripted: Scripted) -> None:
    scripted.enqueue("")
    tutor.ask("Hva er dropout?")
    system, human, prefill = scripted.asked[0]
    assert [m.type for m in (system, human, prefill)] == ["system", "human", "ai"]
    assert human.text.index(OPENING) < human.text.index("Hva er dropout?")
    assert prefill.text.strip() == SECOND


@pytest.mark.parametrize("question", ["Kva er dropout?", "dropout", "og dropout?"])
def test_a_question_that_only_names_a_term_is_put_to_the_model_in_one_form(
    tutor: Tutor, scripted: Scripted, question: str
) -> None:
    scripted.enqueue("", "")
    tutor.ask("Hva er dropout?")
    tutor.ask(question)
    assert scripted.asked[0] == scripted.asked[1]


@pytest.mark.parametrize(
    ("question", "opening"),
    [
        ("Hvordan virker dropout?", "Med $p = 0.5$ slås halvparten av nodene av."),
        ("Gi et eksempel på dropout", "Et lag med 100 noder og $p = 0,2$ bruker omtrent 80 noder i hvert steg."),
        ("Forklar regularisering enkelt", "Regularisering er som å øve uten fasit: du må forstå stoffet."),
        ("Hva er forskjellen på weight decay og dropout?", OPENING),
        ("Why dropout?", OPENING),
    ],
)
def test_the_question_chooses_the_section(tutor: Tutor, scripted: Scripted, question: str, opening: str) -> None:
    scripted.enqueue("")
    assert tutor.ask(question).text.startswith(f"{opening} [1]")


@pytest.mark.parametrize(
    ("question", "language", "start"),
    [
        ("Hva er fotosyntese?", "nb", "Det står ikke i ordlisten"),
        ("Kva er fotosyntese?", "nn", "Det står ikkje i ordlista"),
        ("What is photosynthesis?", "en", "The glossary does not cover"),
    ],
)
def test_a_refusal_names_the_nearest_terms_and_asks_no_model(
    tutor: Tutor, scripted: Scripted, question: str, language: str, start: str
) -> None:
    answer = tutor.ask(question)
    assert answer.refused
    assert answer.language == language
    assert answer.text.startswith(start)
    assert answer.suggestions
    assert all(f"«{term}»" in answer.text for term in answer.suggestions)
    assert (answer.citations, answer.withheld, scripted.asked) == ((), (), [])


def test_small_talk_is_no_refusal_and_asks_nobody(tutor: Tutor, scripted: Scripted, shelf: Shelf) -> None:
    answer = tutor.ask("Hei!")
    assert answer.text.startswith("Hei!")
    assert not answer.refused
    assert (answer.citations, scripted.asked, shelf.histories) == ((), [], [])


def test_the_history_reaches_retrieval_and_decides_the_language_of_a_bare_term(
    tutor: Tutor, scripted: Scripted, shelf: Shelf
) -> None:
    history = [Turn("user", "What is overfitting?"), Turn("assistant", "…")]
    assert tutor.ask("fotosyntese", history).text.startswith("The glossary does not cover")
    assert shelf.histories == [history]


def test_suggestions_are_other_terms_than_the_cited(tutor: Tutor, scripted: Scripted) -> None:
    scripted.enqueue("")
    answer = tutor.ask("Hva er dropout?")
    assert "dropout" not in answer.suggestions
    assert answer.suggestions


def test_timings(tutor: Tutor, scripted: Scripted) -> None:
    scripted.enqueue(TESTING)
    timings = tutor.ask("Hva er dropout?").timings
    assert 0 <= timings.retrieve_ms <= timings.first_token_ms <= timings.total_ms
    assert (timings.prompt_tokens, timings.completion_tokens) == (7, len(TESTING))


@pytest.mark.parametrize(
    ("question", "says"),
    [("", "tomt"), (" \n\t", "tomt"), ("🎉🎉", "bokstaver"), ("?!", "bokstaver"), ("a" * 100_000, "100000 tegn")],
)
def test_questions_that_are_none(tutor: Tutor, question: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        tutor.ask(question)


def test_odd_characters_are_no_hindrance(tutor: Tutor, scripted: Scripted) -> None:
    scripted.enqueue("", "")
    assert tutor.ask("Hva er dropout?\udcff\x00").question == "Hva er dropout??\x00"
    longest = "Hva er dropout? ".ljust(LONGEST_QUESTION - 1, "x") + "?"
    assert tutor.ask(longest).question == longest


def test_each_delta_carries_the_citation_it_points_to(tutor: Tutor, scripted: Scripted) -> None:
    scripted.enqueue(f"{SECOND} {TESTING}")
    *deltas, answer = tutor.stream("Hva er dropout?")
    assert isinstance(answer, Answer)
    assert tuple(c for d in deltas if isinstance(d, Delta) for c in d.citations) == answer.citations


def test_the_model_writes_no_more_once_it_is_stopped(tutor: Tutor, scripted: Scripted) -> None:
    scripted.enqueue("Dette er tøv om fisk. " * 100)
    list(tutor.stream("Hva er dropout?", (), stopped=lambda: scripted.unread < 2000))
    assert 1900 < scripted.unread < 2000
