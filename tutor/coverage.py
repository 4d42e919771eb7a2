"""Does the glossary cover a question? What tells one that it does from one that it does not."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tutor.intents import asking
from tutor.language import STOPWORDS
from tutor.lexical import Bm25, grams, stems, words
from tutor.names import SHORTEST_MISSPELT
from tutor.nynorsk import readings
from tutor.types import Turn
from tutor.weights import vector, weights

if TYPE_CHECKING:
    from tutor.retrieve import GlossaryRetriever

EVERYDAY = Path(__file__).parent / "everyday.txt"

COVERAGE = (
    "score",
    "margin",
    "fuzzy",
    "dense",
    "dense_margin",
    "words_held",
    "words_unknown",
    "strange_share",
    "strange_any",
    "grams_held",
    "talking",
    "bare",
    "asking",
    "called",
)

Scores = NDArray[np.float32]


def probability(features: Scores, taught: str) -> float:
    """The calibrated probability that the glossary covers the question (logistic regression)."""
    z = float(features @ vector("coverage", COVERAGE, taught)) + weights()["coverage"][taught]["intercept"]
    return 1.0 / (1.0 + float(np.exp(-np.clip(z, -30, 30))))


def features(
    retriever: GlossaryRetriever,
    question: str,
    log_odds: Scores,
    history: Sequence[Turn] = (),
) -> Scores:
    """Shape (len(COVERAGE),). ``log_odds``: the retriever's, of each entry."""
    from tutor.retrieve import LEGS

    index, evidence = retriever.index, retriever.evidence(question)
    ordered = np.sort(log_odds)[::-1]
    best = int(np.argmax(log_odds))
    dense = np.sort(evidence[:, LEGS.index("dense")])[::-1]
    content = [w for w in words(readings(question)[-1]) if w not in STOPWORDS]
    tokens, pieces = stems(" ".join(content)), grams(" ".join(content))
    strange = _strangers(index.words, retriever.vocabulary, tokens)
    return np.array(
        [
            retriever.fused(evidence[best]),
            ordered[0] - ordered[1] if len(ordered) > 1 else 0.0,
            evidence[best, 1],
            evidence[best, LEGS.index("dense")],
            dense[0] - dense[: len(dense) // 2 + 1][-1],
            _held(index.words, tokens, best),
            sum(not index.words.known(t) for t in tokens) / max(1, len(tokens)),
            len(strange) / max(1, len(tokens)),
            float(bool(strange)),
            _held(index.grams, pieces, best),
            float(bool(history)),
            float(bool(history) and all(t in everyday() for t in tokens)),
            asking(retriever.intents(question)),
            float(retriever.names.called(question) is not None),
        ],
        dtype=np.float32,
    )


@cache
def everyday() -> frozenset[str]:
    """Stems that students use in questions on any subject (``evals/fit.py`` gathers them)."""
    return frozenset(EVERYDAY.read_text(encoding="utf-8").split())


def _strangers(known: Bm25, vocabulary: Sequence[str], tokens: Sequence[str]) -> list[str]:
    """The words of a question that neither the glossary nor everyday questions use, typos forgiven."""
    from rapidfuzz import fuzz, process

    unknown = [t for t in tokens if not known.known(t) and t not in everyday() and len(t) > 1]
    return [
        t
        for t in unknown
        if len(t) < SHORTEST_MISSPELT or not process.extractOne(t, vocabulary, scorer=fuzz.ratio, score_cutoff=80)
    ]


def _held(table: Bm25, tokens: Sequence[str], document: int) -> float:
    """The share of ``tokens`` that ``document`` holds."""
    return sum(table.holds(t, document) for t in tokens) / max(1, len(tokens))
