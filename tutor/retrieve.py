"""Which entry answers a question, and how sure are we that any does?

Every leg looks at every entry: its names in the question, words, character n-grams, and meaning
(Chroma). The evidence is added up with weights fitted on the dev split by ``evals/fit.py``. A
follow-up weighs what the conversation was about instead (``tutor/conversation.py``), and whether the
glossary covers the question at all is told by ``tutor/coverage.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache

import numpy as np
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from numpy.typing import NDArray
from pydantic import ConfigDict

from tutor import conversation, coverage
from tutor.embed import Embedder
from tutor.index import Index
from tutor.intents import intents
from tutor.learned import log_softmax
from tutor.lexical import grams, stems
from tutor.names import ALIKE, SHORTEST_MISSPELT, Names, name_scores, named_alone, without
from tutor.nynorsk import readings
from tutor.plan import defining_words, general_words, kind_of
from tutor.store import Store
from tutor.types import Entry, Hit, Retrieval, Turn
from tutor.weights import vector, weights

NEAREST = 250
"""Vectors fetched from Chroma for a question."""
RIVAL = 0.2
"""An entry is asked about when it is at least so probable, the best one being 1 …"""
NAMED = 0.9
"""… or when its name stands in the question, at least so alike."""
MUCH = 12
"""Questions an entry from which a glossary has taught much."""
REMEMBERED = 64
"""Texts whose evidence is kept."""

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
        log_odds = self.ranked(question, conversation.turns_of(history))
        order = np.argsort(-log_odds, kind="stable")[:k]
        confidence = coverage.probability(coverage.features(self, question, log_odds, history), self.taught)
        share = np.exp(log_softmax(log_odds))
        hits = tuple(Hit(self.index.items[self.first_item[int(n)]], float(share[n])) for n in order)
        return Retrieval(hits, confidence, confidence >= weights()["threshold"][self.taught])

    def entry(self, slug: str) -> Entry:
        """The entry with this id; KeyError when there is none."""
        return self.index.entries[self.position[slug]]

    def nearness(self, question: str, entries: Sequence[Entry]) -> Callable[[Sequence[str]], list[float]]:
        """A function from sentences to how near each is to what ``question`` asks about ``entries`` (cosine)."""

        def near(texts: Sequence[str]) -> list[float]:
            owners = {self.position[e.slug] for e in entries}
            meaning = self.embedder.query_vector(without(self.names, readings(question)[-1], owners))
            return [float(self._sentence(text) @ meaning) for text in texts]

        return near

    def _sentence(self, text: str) -> NDArray[np.float32]:
        """The vector of a sentence of the glossary, computed once."""
        if text not in self._sentences:
            self._sentences[text] = self.embedder.query_vector(text)
        return self._sentences[text]

    @cached_property
    def _sentences(self) -> dict[str, NDArray[np.float32]]:
        return {}

    def asked_about(self, question: str, found: Retrieval) -> list[Entry]:
        """The best entry and those that are named or nearly as probable.

        A comparison has at least two, and where it names the best one and others, no more than those.
        """
        _, named, places = name_scores(self.names, question, len(self.index.entries))
        kind, best = kind_of(question), found.hits[0]
        called = [h for h in found.hits if named[self.position[h.passage.entry_id]] > NAMED]
        sides = [h for h in called if not places[self.position[h.passage.entry_id]]]
        if kind in ("compare", "choose") and best in sides and len(sides) > 1:
            return [self.entry(h.passage.entry_id) for h in sides]
        least = 2 if kind == "compare" else 1
        return [
            self.entry(h.passage.entry_id)
            for n, h in enumerate(found.hits)
            if n < least or h.score >= RIVAL * best.score or h in called
        ]

    def only_named(self, question: str) -> Entry | None:
        """The entry whose definition is asked for by nothing but its name («skjønner ikke epoch», «og boosting?»)."""
        if kind_of(question) != "define":
            return None
        named = named_alone(self.names, question, defining_words())
        return self.index.entries[named] if named is not None else None

    def in_general(self, question: str) -> bool:
        """Does the question name an entry and say nothing in particular of it («hvordan virker dropout?»)?"""
        return named_alone(self.names, question, general_words()) is not None

    @property
    def starters(self) -> tuple[str, ...]:
        """A few headwords to suggest: those that most other entries refer to."""
        counts = [len(self.relations[n]) for n in range(len(self.index.entries))]
        return tuple(self.index.entries[n].term for n in np.argsort(-np.array(counts), kind="stable")[:3])

    @cached_property
    def evidence(self) -> Callable[[str], NDArray[np.float32]]:
        """What each leg says of each entry, given a text; a conversation asks for the same ones again."""
        return lru_cache(REMEMBERED)(self._evidence)

    def _evidence(self, question: str) -> NDArray[np.float32]:
        """Shape (entries, len(LEGS)); of each figure, the reading of the question that gives most."""
        best: NDArray[np.float32] = np.maximum.reduce([self._read(text) for text in readings(question)])
        return best

    def _read(self, question: str) -> NDArray[np.float32]:
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

    @cached_property
    def taught(self) -> str:
        """«much», «some» or «bare»: how many questions an entry the glossary has; each has weights of its own."""
        asked = sum(i.section == "?" for i in self.index.items) / max(1, len(self.index.entries))
        return "bare" if not len(self.index.learned.weights) else "much" if asked >= MUCH else "some"

    def fused(self, evidence: NDArray[np.float32]) -> Scores:
        """One score an entry, (entries,): the legs added up by their weights."""
        return np.asarray(evidence @ vector("legs", LEGS, self.taught), dtype=np.float32)

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

    def ranked(self, question: str, turns: Sequence[conversation.Spoken] = ()) -> Scores:
        """The score of each entry, (entries,); in a conversation, what was said before counts too."""
        scores = conversation.scores_of(self, question, turns) if turns else self.fused(self.evidence(question))
        called = self.names.called(question)
        if called is not None:
            scores[called] = scores.max() + conversation.CALLED
        return scores

    def intents(self, question: str) -> Mapping[str, float]:
        """How probable each intent is; empty when the intents were learned with another embedding model."""
        if intents().embedder != self.embedder.fingerprint:
            return {}
        return intents().probabilities(self.embedder.query_vector(question))

    @cached_property
    def vocabulary(self) -> list[str]:
        """The words of the glossary that are long enough to be misspelt."""
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
