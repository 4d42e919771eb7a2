"""Fit which sentences of an entry answer a question (``tutor/relevance.py``), and report how often they do.

    python -m evals.fit_sentences

Every case names an entry and the facts that a good answer gives; each fact is a list of the glossary's sentences,
any of which gives it; of a question that takes something false for granted, what corrects it is the fact. The shipped
glossary's cases are for fitting, cross-validated by entry; the databases' are only scored. The right entry is given,
so this says nothing of retrieval.
"""

from __future__ import annotations

import json
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evals.answerers import Silent
from evals.cases import HERE, shipped
from evals.fit import fit_logit
from tutor import relevance
from tutor.language import detect
from tutor.lexical import words
from tutor.open import open_retriever
from tutor.plan import kind_of, passages_of, places_of
from tutor.relevance import Place
from tutor.retrieve import GlossaryRetriever
from tutor.settings import load_settings, shipped_glossary
from tutor.translate import read_english
from tutor.tutor import Tutor
from tutor.types import Entry
from tutor.verify import sentences
from tutor.weights import WEIGHTS, weights

L2 = 1e-2
FOLDS = 5
PREMISE, TO_ONE = "premise", 3
"""Students seldom take something false for granted: each other case counts as much as three of those."""
DEFINING = ("definition", "norwegian-term", "typo", "abbreviation", "nynorsk", "english")
"""Kinds of retrieval cases that are answered by the definition when they ask for nothing in particular."""
CASES = HERE / "cases" / "sentences.jsonl"
SECOND = HERE / "second"


@dataclass(frozen=True)
class Case:
    """A question about one entry, and its facts, each with the sentences that give it."""

    entry: Entry
    kind: str
    language: str
    question: str
    facts: tuple[frozenset[str], ...]

    @property
    def places(self) -> list[Place]:
        return places_of(passages_of(self.entry))


def read_cases(path: Path, retriever: GlossaryRetriever) -> list[Case]:
    """Raises ValueError where a fact is not in the entry any more."""
    cases = []
    for line in path.read_text(encoding="utf-8").splitlines():
        c: dict[str, Any] = json.loads(line)
        facts = tuple(map(frozenset, c["facts"]))
        case = Case(retriever.entry(c["entry"]), c["kind"], c["language"], c["question"], facts)
        if gone := frozenset().union(*facts) - {t for p in passages_of(case.entry) for t in sentences(p.text)}:
            raise ValueError(f"{c['id']}: {gone}")
        cases.append(case)
    return cases


def definitions(retriever: GlossaryRetriever) -> list[Case]:
    """Retrieval cases of the dev split that want the definition, in more words than the name."""
    found: list[Case] = []
    for c in shipped("dev"):
        wanted = c.kind in DEFINING and len(c.relevant) == 1 and kind_of(c.question) == "define"
        if wanted and not retriever.only_named(c.question):
            entry = retriever.entry(min(c.relevant))
            fact = frozenset(sentences(entry.definition)[:1])
            found.append(Case(entry, "definition", detect(c.question), c.question, (fact,)))
    return found


def main() -> None:
    tutor, second = opened(shipped_glossary()), opened(SECOND / "databaser")
    cases = [*read_cases(CASES, tutor.retriever), *definitions(tutor.retriever)]
    rows = [
        relevance.features(kind_of(c.question), c.places, tutor.nearness(c.question, [c.entry], detect(c.question)))
        for c in cases
    ]
    columns = sorted({name for places in rows for row in places for name in row})
    tables = [np.array([[row.get(name, 0.0) for name in columns] for row in places]) for places in rows]
    right = [[n for n, (*_, text) in enumerate(c.places) if any(text in f for f in c.facts)] for c in cases]
    fold = np.array([zlib.crc32(c.entry.slug.encode()) % FOLDS for c in cases])

    def fitted(chosen: NDArray[np.bool_]) -> dict[str, float]:
        spread = np.concatenate(tables).std(axis=0) + 1e-9
        times = [1 if c.kind == PREMISE else TO_ONE for c in cases]
        kept = [(tables[n] / spread, right[n]) for n in np.flatnonzero(chosen) if right[n] for _ in range(times[n])]
        return {k: round(float(w), 4) for k, w in zip(columns, fit_logit(kept, L2) / spread, strict=True)}

    told: list[Sequence[str]] = [()] * len(cases)
    for number in range(FOLDS):
        with using(fitted(fold != number)):
            for n in np.flatnonzero(fold == number):
                told[n] = planned(tutor, cases[n])
    for title, premise in (("shipped, cross-validated by entry", False), ("shipped, a false premise", True)):
        asked, texts = zip(
            *[(c, t) for c, t in zip(cases, told, strict=True) if (c.kind == PREMISE) == premise], strict=True
        )
        show(title, asked, texts)
        show("  by nearness to the whole question alone", asked, [nearest(tutor, c) for c in asked])
    final = fitted(np.ones(len(cases), dtype=bool))
    others = read_cases(SECOND / "sentences.jsonl", second.retriever)
    with using(final):
        show("databases, nothing fitted on them", others, [planned(second, c) for c in others])
    show("  by nearness to the whole question alone", others, [nearest(second, c) for c in others])
    WEIGHTS.write_text(json.dumps(weights() | {"sentences": final}, indent=1) + "\n")


@contextmanager
def using(fitted: dict[str, float]) -> Iterator[None]:
    """The tutor with these weights."""
    before = weights().get("sentences")
    weights()["sentences"] = fitted
    try:
        yield
    finally:
        weights()["sentences"] = before


def opened(glossary: Path) -> Tutor:
    """A tutor whose model is never asked."""
    settings = load_settings(glossary=glossary)
    return Tutor(open_retriever(settings), Silent(name="silent"), read_english(glossary))


def planned(tutor: Tutor, case: Case) -> list[str]:
    """What the tutor would quote, given the right entry and a model that adds nothing."""
    plan = tutor.plan(case.question, [case.entry], detect(case.question))
    return [q.text for q in (*plan.opening, *plan.rest)]


def nearest(tutor: Tutor, case: Case, most: int = 5) -> list[str]:
    texts = [text for *_, text in case.places]
    near = tutor.nearness(case.question, (), "nb")(texts)
    return [texts[n] for n in sorted(range(len(texts)), key=lambda n: -near[n])[:most]]


def show(title: str, cases: Sequence[Case], told: Sequence[Sequence[str]]) -> None:
    """Shares of the facts that are given, in all and by kind and language, and how soon the first one comes."""
    shares: dict[str, list[float]] = defaultdict(list)
    for case, texts in zip(cases, told, strict=True):
        each = [float(bool(fact & set(texts))) for fact in case.facts]
        for part in ("all", case.kind, case.language):
            shares[part] += each
    length = np.mean([len(t) for t in told]), np.mean([sum(len(words(s)) for s in t) for t in told])
    print(f"{title}: {len(cases)} questions; {length[0]:.1f} sentences, {length[1]:.0f} words")
    facts = [frozenset().union(*case.facts) for case in cases]
    soon = [np.mean([bool(f & set(texts[:n])) for f, texts in zip(facts, told, strict=True)]) for n in (1, 2)]
    print(f"    a fact in the first sentence {soon[0]:.3f}, in the first two {soon[1]:.3f}")
    print("   ", ", ".join(f"{part} {np.mean(each):.3f} of {len(each)}" for part, each in shares.items()))


if __name__ == "__main__":
    main()
