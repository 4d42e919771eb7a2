"""The classifier of one glossary, the one of intents, and the model's second look."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Shelf

from tutor import judge, smalltalk
from tutor.intents import asking, intents
from tutor.learned import Learned
from tutor.types import Retrieval
from tutor.weights import weights

RNG = np.random.default_rng(0)


def texts(entries: int, each: int) -> tuple[Any, Any]:
    """Vectors that differ in one dimension an entry, and much in the others."""
    owner = np.repeat(np.arange(entries, dtype=np.int32), each)
    vectors = RNG.normal(size=(len(owner), 32)).astype(np.float32)
    vectors[np.arange(len(owner)), owner] += 4
    return vectors, owner


def test_learns_which_dimension_tells(tmp_path: Path) -> None:
    vectors, owner = texts(5, 20)
    Learned.fit(vectors, owner, 5).save(tmp_path / "learned.npz")
    learned = Learned.load(tmp_path / "learned.npz")
    fresh, right = texts(5, 20)
    found = [int(np.argmax(learned.log_probabilities(v))) for v in fresh]
    assert np.mean(np.array(found) == right) > 0.9
    assert np.exp(learned.log_probabilities(fresh[0])).sum() == pytest.approx(1, abs=1e-4)


def test_keeps_silent_where_there_is_little_to_learn_from() -> None:
    vectors, owner = texts(5, 1)
    assert not Learned.fit(vectors, owner, 5).log_probabilities(vectors[0]).any()


def test_the_intents_that_ship_can_be_read() -> None:
    found = intents().probabilities(np.zeros(intents().weights.shape[1], np.float32))
    assert sum(found.values()) == pytest.approx(1)
    assert set(smalltalk.INTENTS) < set(found)
    assert asking({}) == 0.0
    assert asking({"question": 0.9}) > 0 > asking({"question": 0.1})


@pytest.mark.parametrize(
    ("probabilities", "answer"), [({"thanks": 0.8}, "Bare hyggelig"), ({"thanks": 0.3, "far": 0.7}, None), ({}, None)]
)
def test_small_talk_by_intent(probabilities: dict[str, float], answer: str | None) -> None:
    reply = smalltalk.meant(probabilities, "nb", ("dropout",))
    assert (reply or "").startswith(answer or "") and bool(reply) == bool(answer)


class Oracle:
    """Gives log-odds, and counts how often it is asked."""

    def __init__(self, odds: float) -> None:
        self.odds, self.asked = odds, 0

    def choose(self, messages: list[Any], options: tuple[str, str]) -> tuple[float, float]:
        assert messages[-1].text.endswith("Student: hva er dropout?")
        self.asked += 1
        return self.odds, 0.0


@pytest.fixture
def found(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Retrieval:
    fitted = {
        "retriever": 1.0,
        "model": 1.0,
        "intercept": 0.0,
        "threshold": {"much": 0.5},
        "doubt": {"much": (0.05, 0.985)},
    }
    monkeypatch.setitem(weights(), "judge", fitted)
    return shelf.search("hva er dropout?")


@pytest.mark.parametrize(
    ("confidence", "odds", "covered", "asked"),
    [(0.5, 2.0, True, 1), (0.5, -2.0, False, 1), (0.999, -9.0, True, 0), (0.001, 9.0, False, 0)],
)
def test_the_model_is_asked_only_in_doubt(
    shelf: Shelf, found: Retrieval, confidence: float, odds: float, covered: bool, asked: int
) -> None:
    oracle = Oracle(odds)
    found = replace(found, confidence=confidence, covered=confidence > 0.5)
    assert judge.covered(oracle, found, "much", shelf.entry("dropout"), "hva er dropout?") is covered
    assert oracle.asked == asked


def test_a_model_without_log_odds_leaves_it_to_the_retriever(shelf: Shelf, found: Retrieval) -> None:
    for covered in (True, False):
        doubtful = replace(found, confidence=0.5, covered=covered)
        assert judge.covered(object(), doubtful, "much", shelf.entry("dropout"), "hva er dropout?") is covered
