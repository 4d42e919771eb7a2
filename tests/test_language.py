"""Bokmål, nynorsk or English, from everyday words alone; which one is asked for; and what counts as small talk."""

from __future__ import annotations

import pytest

from evals.languages import detected
from tutor.language import STOPWORDS, asked_for, detect, only_asks_for
from tutor.smalltalk import reply


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("hva er weight decay?", "nb"),
        ("hvordan virker early stopping", "nb"),
        ("HVA ER DROPOUT", "nb"),
        ("kva er weight decay?", "nn"),
        ("korleis verkar gradient descent", "nn"),
        ("Eg forstår ikkje dropout", "nn"),
        ("what is overfitting?", "en"),
        ("How does the learning rate finder work", "en"),
    ],
)
def test_detect(question: str, language: str) -> None:
    assert detect(question) == language


def test_a_bare_term_takes_the_default() -> None:
    assert detect("weight decay") == "nb"
    assert detect("weight decay", default="en") == "en"
    assert detect("???", default="nn") == "nn"


@pytest.mark.parametrize("split", ["dev", "test"])
def test_questions_are_told_apart(split: str) -> None:
    for language, right in detected(split).items():
        assert len(right) >= 30
        assert sum(right) >= 0.98 * len(right), language


def test_formulas_code_and_compounds_have_no_language() -> None:
    assert detect("Med `for i in the_list` blir $the$ one-hot-vektoren lang.", default="en") == "nb"
    assert detect("$$a = the$$", default="nn") == "nn"


def test_the_stopwords_are_those_that_retrieval_was_fitted_with() -> None:
    assert len(STOPWORDS) == 112
    assert {"hva", "kva", "what"} <= STOPWORDS


@pytest.mark.parametrize(
    ("question", "code"),
    [("på nynorsk", "nn"), ("nynorsk takk", "nn"), ("Kan du svare på nynorsk i stedet?", "nn"), ("på norsk", "nb"),
     ("Can you say that in Norwegian?", "nb"), ("in English please", "en"), ("svar på engelsk, er du snill", "en"),
     ("English!", "en")],
)  # fmt: skip
def test_the_last_answer_in_another_form(question: str, code: str) -> None:
    assert only_asks_for(question) == asked_for(question) == code


@pytest.mark.parametrize(
    ("question", "code"),
    [("forklar dropout på nynorsk", "nn"), ("Kva er dropout? Svar på engelsk.", "en"), ("hva er dropout?", None),
     ("Hva heter overfitting på engelsk?", None), ("modellen er trent på norsk tekst, hva nå?", None),
     ("Hvorfor trenes BERT på engelsk?", None), ("dropout", None), ("", None)],
)  # fmt: skip
def test_a_question_that_names_a_language(question: str, code: str | None) -> None:
    assert asked_for(question) == code
    assert only_asks_for(question) is None


def test_a_tie_goes_to_the_default() -> None:
    assert detect("er det", default="nn") == "nn"
    assert detect("er det", default="nb") == "nb"


@pytest.mark.parametrize(
    "text",
    ["Hei!", "hei hei", "God morgen", "tusen takk for hjelpen", "Hvem er du?", "Kven er du", "What can you do?",
     "Ha det bra", "hello there", "takk skal du ha", "Er du en robot?"],
)  # fmt: skip
def test_small_talk(text: str) -> None:
    assert reply(text, detect(text), ["dropout"])


@pytest.mark.parametrize(
    "text",
    ["Hei, hva er dropout?", "takk, men hva er L1?", "Hva kan dropout gjøre?", "dropout",
     "good models", "What is a hello message?"],
)  # fmt: skip
def test_a_question_is_no_small_talk(text: str) -> None:
    assert reply(text, detect(text), ["dropout"]) is None
