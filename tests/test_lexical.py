"""Words, stems, n-grams, and BM25 against the formula written out."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest

from tutor.lexical import K1, B, Bm25, grams, stems, words

RANDOM = random.Random(3)
CORPUS = [[RANDOM.choice("abcdefgh") for _ in range(RANDOM.randint(0, 12))] for _ in range(30)]


def formula(document: list[str], query: list[str]) -> float:
    """Robertson and Zaragoza (2009), with the idf that is never negative."""
    mean = sum(map(len, CORPUS)) / len(CORPUS)
    total = 0.0
    for token in query:
        holding = sum(token in d for d in CORPUS)
        frequency = document.count(token)
        if frequency:
            idf = math.log(1 + (len(CORPUS) - holding + 0.5) / (holding + 0.5))
            total += idf * frequency * (K1 + 1) / (frequency + K1 * (1 - B + B * len(document) / mean))
    return total


@pytest.mark.parametrize("query", [["a"], ["a", "b", "a"], ["h", "ukjent"], ["ukjent"], []])
def test_bm25_is_the_formula(query: list[str]) -> None:
    expected = [formula(document, query) for document in CORPUS]
    np.testing.assert_allclose(Bm25.build(CORPUS).scores(query), expected, rtol=1e-5)


def test_holds_and_known() -> None:
    table = Bm25.build(CORPUS)
    for number, document in enumerate(CORPUS):
        assert [table.holds(t, number) for t in "abcdefghx"] == [t in document for t in "abcdefghx"]
    assert table.known("a")
    assert not table.known("x")


def test_saved_and_loaded_it_scores_the_same(tmp_path: Path) -> None:
    corpus = [["æ", "'\"\n"], ["ø"]]
    table = Bm25.build(corpus)
    table.save(tmp_path / "t")
    loaded = Bm25.load(tmp_path / "t")
    for query in (["æ"], ["'\"\n"], ["ø", "æ"]):
        np.testing.assert_array_equal(loaded.scores(query), table.scores(query))


@pytest.mark.parametrize("corpus", [[], [[]], [[], ["a"]]])
def test_bm25_of_next_to_nothing(corpus: list[list[str]]) -> None:
    assert np.isfinite(Bm25.build(corpus).scores(["a"])).all()


def test_words_and_stems() -> None:
    assert words("fine_tune(): L1-straff, 3.5 Å") == ["fine", "tune", "l1", "straff", "3", "5", "å"]
    assert words("ﬁnjustering") == ["finjustering"]
    assert set(stems("vektene vektane vekta vekt")) == {"vekt"}


def test_grams_keep_the_borders_of_words() -> None:
    assert grams("vekt l1") == ["<vek", "vekt", "ekt>", "<l1>"]
    assert grams("") == []
