"""Which entries a question calls by name."""

from __future__ import annotations

import numpy as np
import pytest

from tutor.names import Names, name_scores, named_alone
from tutor.plan import defining_words
from tutor.types import Entry

TERMS = {
    "batch": ["minibatch"],
    "gradient descent": ["gradientnedstigning"],
    "mini-batch gradient descent": [],
    "batch normalization": [],
    "læringsrate": ["learning rate"],
    "L1": [],
    "L2": [],
    "fine_tune()": [],
}
ENTRIES = [Entry(term, term, (), {"nb": tuple(aliases)}) for term, aliases in TERMS.items()]


def named(question: str, least: float = 0.8) -> set[str]:
    _, fuzzy, *_ = name_scores(Names.of(ENTRIES), question, len(ENTRIES))
    return {ENTRIES[n].term for n in np.flatnonzero(fuzzy >= least)}


@pytest.mark.parametrize(
    ("question", "terms"),
    [
        ("hva er læringsraten?", {"læringsrate"}),
        ("kva er læringsratane", {"læringsrate"}),
        ("learning-rate", {"læringsrate"}),
        ("Learning Rate", {"læringsrate"}),
        ("hva gjør mini batch gradient descent?", {"mini-batch gradient descent"}),
        ("gradient descent", {"gradient descent"}),
        ("fine tune", {"fine_tune()"}),
        ("finetune", {"fine_tune()"}),
        ("lærningsrate", {"læringsrate"}),
        ("gradeint decent", {"gradient descent"}),
        ("batch normalisation", {"batch normalization"}),
        ("hva er BN?", {"batch normalization"}),
        ("L1", {"L1"}),
        ("L1 eller L2?", {"L1", "L2"}),
        ("hva er fotosyntese?", set()),
        ("", set()),
    ],
)
def test_named(question: str, terms: set[str]) -> None:
    assert named(question) == terms


def test_only_a_written_out_name_is_exact() -> None:
    names = Names.of(ENTRIES)
    batch_norm = list(TERMS).index("batch normalization")
    for question, exact in (("batch normalization", 1.0), ("batch normalisation", 0.0), ("BN", 0.0)):
        assert name_scores(names, question, len(ENTRIES))[0][batch_norm] == exact


def test_a_name_after_i_is_a_place() -> None:
    _, _, place = name_scores(Names.of(ENTRIES), "hva gjør L2 i batch normalization?", len(ENTRIES))
    assert [ENTRIES[n].term for n in np.flatnonzero(place)] == ["batch normalization"]


def test_a_glossary_without_names_is_no_error() -> None:
    assert name_scores(Names.of([]), "hva er dropout", 0)[0].shape == (0,)


@pytest.mark.parametrize(
    ("question", "term"),
    [
        ("skjønner ikke læringsrate", "læringsrate"),
        ("Foreleseren nevnte noe som heter gradientnedstigning?", "gradient descent"),
        ("what does learning rate mean", "læringsrate"),
        ("forklar lærignsrate", "læringsrate"),
        ("forklar L1 og L2", None),
        ("hva gjør læringsrate med tapet", None),
        ("forklar dette", None),
    ],
)
def test_a_question_that_says_nothing_but_a_name(question: str, term: str | None) -> None:
    found = named_alone(Names.of(ENTRIES), question, defining_words())
    assert (None if found is None else ENTRIES[found].term) == term
