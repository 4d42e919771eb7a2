"""Which entry answers a question, and how sure are we that any does?

Every leg looks at every entry: its names in the question, words, character n-grams, and meaning
(Chroma). The evidence is added up with weights fitted on the dev split by ``evals/fit.py``. A
follow-up also weighs what the conversation was about and how the entries are related.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from numpy.typing import NDArray
from pydantic import ConfigDict

from tutor.embed import Embedder
from tutor.index import Index
from tutor.intents import asking, intents
from tutor.language import STOPWORDS
from tutor.lexical import Bm25, grams, stems, words
from tutor.names import ALIKE, SHORTEST_MISSPELT, Names, name_scores
from tutor.store import Store
from tutor.types import Entry, Hit, Retrieval, Turn

WEIGHTS = Path(__file__).parent / "weights.json"
EVERYDAY = Path(__file__).parent / "everyday.txt"
NEAREST = 250
"""Vectors fetched from Chroma for a question."""
CALLED = 3.0
"""Log-odds by which an entry leads when its name is all that the question holds."""

LEGS = (
    "name",
    "fuzzy",
    "place",
    "words",
    "grams",
    "grams_share",
    "section",
    "dense",
    "dense_mean",
    "learned",
)
FOLLOW_UP = ("alone", "together", "again", "related", "mentioned")
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
    "short",
    "asking",
)

Scores = NDArray[np.float32]


class GlossaryRetriever(BaseRetriever):
    """Finds the entries of one glossary, best first; a langchain retriever."""

    model_config = ConfigDict(arbitrary_types_allowed=True, ignored_types=(cached_property,))

    index: Index
    store: Store
    embedder: Embedder
    k: int = 4

    def search(self, question: str, history: Sequence[Turn] = (), k: int = 5) -> Retrieval:
        """The ``k`` best entries and the probability that the glossary covers the question."""
        evidence = self.evidence(question)
        log_odds = self._ranked(question, evidence, history)
        order = np.argsort(-log_odds, kind="stable")[:k]
        confidence = probability(self.coverage(question, evidence, log_odds))
        share = np.exp(log_softmax(log_odds))
        hits = tuple(Hit(self.index.items[self.first_item[int(n)]], float(share[n])) for n in order)
        return Retrieval(hits, confidence, confidence >= weights()["threshold"])

    def entry(self, slug: str) -> Entry:
        """The entry with this id; KeyError when there is none."""
        return self.index.entries[self.position[slug]]

    @property
    def starters(self) -> tuple[str, ...]:
        """A few headwords to suggest: those that most other entries refer to."""
        counts = [len(self.relations[n]) for n in range(len(self.index.entries))]
        return tuple(self.index.entries[n].term for n in np.argsort(-np.array(counts), kind="stable")[:3])

    def evidence(self, question: str) -> NDArray[np.float32]:
        """What each leg says of each entry, shape (entries, len(LEGS))."""
        size = len(self.index.entries)
        named, fuzzy, place = name_scores(self.names, question, size)
        by_word = self.index.words.scores(stems(question))
        by_gram = self.index.grams.scores(grams(question))
        meaning = self.embedder.query_vector(question)
        dense = self._dense(meaning, size)
        columns = [
            named,
            np.clip((fuzzy - ALIKE / 100) / (1 - ALIKE / 100), 0, 1),
            place,
            by_word / 10,
            by_gram / 30,
            by_gram / (by_gram.max() + 1e-6),
            *(10 * dense).T,
            self.index.learned.log_probabilities(meaning),
        ]
        return np.stack(columns, axis=1).astype(np.float32)

    def _dense(self, meaning: NDArray[np.float32], size: int) -> NDArray[np.float32]:
        """Cosine of each entry's nearest section, nearest text of any kind, and three nearest, (entries, 3).

        What Chroma did not return gets the similarity of the last one that it did.
        """
        found = self.store.nearest(meaning.tolist(), min(NEAREST, len(self.index.items)))
        floor = found[-1][1]
        table = np.full((size, 3), floor, dtype=np.float32)
        taken = np.zeros(size, dtype=np.int32)
        for item, similarity in found:
            row = self.owner[item]
            table[row, 0] = max(table[row, 0], similarity if self.is_section[item] else floor)
            table[row, 1] = max(table[row, 1], similarity)
            if taken[row] < 3:
                table[row, 2] += (similarity - floor) / 3
                taken[row] += 1
        return table

    def _ranked(self, question: str, evidence: NDArray[np.float32], history: Sequence[Turn]) -> Scores:
        """The score of each entry, (entries,); in a conversation, what was said before counts too."""
        if history:
            scores = self.follow_up(question, evidence, history) @ vector("follow_up", FOLLOW_UP)
        else:
            scores = fused(evidence)
        called = self.names.called(question)
        if called is not None:
            scores[called] = scores.max() + CALLED
        return scores

    def follow_up(self, question: str, evidence: NDArray[np.float32], history: Sequence[Turn]) -> NDArray[np.float32]:
        """Features of each entry in a conversation, shape (entries, len(FOLLOW_UP))."""
        size = len(self.index.entries)
        asked = [t.content for t in history if t.role == "user"][-1:] or [""]
        answered = [t.content for t in history if t.role == "assistant"][-1:] or [""]
        previous = int(np.argmax(fused(self.evidence(asked[0])))) if asked[0].strip() else 0
        again = np.zeros(size, np.float32)
        again[previous] = 1.0
        named = float(evidence[:, 1].max() > 0.4)
        related = np.zeros(size, np.float32)
        related[list(self.relations[previous])] = 1.0
        mentioned = name_scores(self.names, answered[0], size)[0] * (1 - again)
        columns = [
            log_softmax(fused(evidence)),
            log_softmax(fused(self.evidence(f"{asked[0]} {question}"))),
            again * (1 - named),
            related,
            mentioned,
        ]
        return np.stack(columns, axis=1).astype(np.float32)

    def coverage_of(self, question: str, history: Sequence[Turn] = ()) -> Scores:
        """``coverage`` from the question alone."""
        evidence = self.evidence(question)
        return self.coverage(question, evidence, self._ranked(question, evidence, history))

    def coverage(self, question: str, evidence: NDArray[np.float32], log_odds: Scores) -> Scores:
        """What tells a covered question from one that is not, shape (len(COVERAGE),)."""
        ordered = np.sort(log_odds)[::-1]
        best = int(np.argmax(log_odds))
        dense = np.sort(evidence[:, LEGS.index("dense")])[::-1]
        content = [w for w in words(question) if w not in STOPWORDS]
        tokens, pieces = stems(" ".join(content)), grams(" ".join(content))
        strange = self._strangers(tokens)
        return np.array(
            [
                evidence[best] @ vector("legs", LEGS),
                ordered[0] - ordered[1] if len(ordered) > 1 else 0.0,
                evidence[best, 1],
                evidence[best, LEGS.index("dense")],
                dense[0] - dense[: len(dense) // 2 + 1][-1],
                held_share(self.index.words, tokens, best),
                sum(not self.index.words.known(t) for t in tokens) / max(1, len(tokens)),
                len(strange) / max(1, len(tokens)),
                float(bool(strange)),
                held_share(self.index.grams, pieces, best),
                1.0 / (1 + len(content)),
                asking(self.intents(question)),
            ],
            dtype=np.float32,
        )

    def intents(self, question: str) -> Mapping[str, float]:
        """How probable each intent is; empty when the intents were learned with another embedding model."""
        if intents().embedder != self.embedder.fingerprint:
            return {}
        return intents().probabilities(self.embedder.query_vector(question))

    def _strangers(self, tokens: Sequence[str]) -> list[str]:
        """The words of a question that neither the glossary nor everyday questions use, typos forgiven."""
        from rapidfuzz import fuzz, process

        unknown = [t for t in tokens if not self.index.words.known(t) and t not in everyday() and len(t) > 1]
        return [
            t
            for t in unknown
            if len(t) < SHORTEST_MISSPELT
            or not process.extractOne(t, self._vocabulary, scorer=fuzz.ratio, score_cutoff=80)
        ]

    @cached_property
    def _vocabulary(self) -> list[str]:
        return [w for w in self.index.words.vocabulary if len(w) >= SHORTEST_MISSPELT - 1]

    @cached_property
    def names(self) -> Names:
        return Names.of(self.index.entries)

    @cached_property
    def position(self) -> dict[str, int]:
        return {e.slug: n for n, e in enumerate(self.index.entries)}

    @cached_property
    def owner(self) -> NDArray[np.int32]:
        return np.array([self.position[i.entry_id] for i in self.index.items], dtype=np.int32)

    @cached_property
    def is_section(self) -> NDArray[np.bool_]:
        """Neither a definition nor a question; (items,)."""
        return np.array([i.section not in ("", "?") for i in self.index.items], dtype=np.bool_)

    @cached_property
    def first_item(self) -> dict[int, int]:
        """The item that holds an entry's definition, by the entry's position."""
        return {int(entry): item for item, entry in reversed(list(enumerate(self.owner)))}

    @cached_property
    def relations(self) -> list[set[int]]:
        """For each entry: those it refers to or is referred to by, its whole, its parts and their siblings."""
        related: list[set[int]] = [set() for _ in self.index.entries]
        parts: dict[str, list[int]] = {}
        for n, entry in enumerate(self.index.entries):
            for slug in (*entry.related, *([entry.part_of] if entry.part_of else [])):
                other = self.position[slug]
                related[n].add(other)
                related[other].add(n)
            if entry.part_of:
                parts.setdefault(entry.part_of, []).append(n)
        for siblings in parts.values():
            for n in siblings:
                related[n].update(s for s in siblings if s != n)
        return related

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        found = self.search(query, k=k or self.k)
        return [
            Document(
                page_content=self.entry(h.passage.entry_id).text,
                id=h.passage.entry_id,
                metadata={"term": h.passage.term, "score": h.score, "confidence": found.confidence},
            )
            for h in found.hits
        ]


@cache
def everyday() -> frozenset[str]:
    """Stems that students use in questions on any subject (``evals/fit.py`` gathers them)."""
    return frozenset(EVERYDAY.read_text(encoding="utf-8").split())


@cache
def weights() -> dict[str, Any]:
    """The fitted numbers, as ``evals/fit.py`` wrote them."""
    fitted: dict[str, Any] = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    return fitted


def vector(model: str, columns: Sequence[str]) -> Scores:
    """The weights of ``model`` in the order of ``columns``."""
    return np.array([weights()[model][c] for c in columns], dtype=np.float32)


def fused(evidence: NDArray[np.float32]) -> Scores:
    """One score an entry, (entries,): the legs added up by their weights."""
    return evidence @ vector("legs", LEGS)


def probability(features: Scores) -> float:
    """The calibrated probability that the glossary covers the question (logistic regression)."""
    z = float(features @ vector("coverage", COVERAGE)) + weights()["coverage"]["intercept"]
    return 1.0 / (1.0 + float(np.exp(-np.clip(z, -30, 30))))


def log_softmax(scores: Scores) -> Scores:
    shifted = scores - scores.max()
    return np.asarray(shifted - np.log(np.exp(shifted).sum()), dtype=np.float32)


def held_share(table: Bm25, tokens: Sequence[str], document: int) -> float:
    """The share of ``tokens`` that ``document`` holds."""
    return sum(table.holds(t, document) for t in tokens) / max(1, len(tokens))
