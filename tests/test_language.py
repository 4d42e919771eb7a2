"""Bokmål, nynorsk or English, from function words alone; and what counts as small talk."""

from __future__ import annotations

import pytest

from tutor.language import detect
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
