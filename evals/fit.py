"""Fit the retriever's weights on the dev split, report cross-validation, write ``tutor/weights.json``.

    python -m evals.fit

Three small models, all linear, so that the file can be read: a conditional logit over entries
(softmax of the weighted evidence, as in McFadden, 1974), one more for follow-ups, and a logistic
regression for «does the glossary cover this?».
"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import PredefinedSplit, StratifiedKFold, cross_val_predict

from evals.cases import Case, dialogues, shipped
from evals.practice import QUESTIONS, practice, shipped_as
from evals.train_embedder import TRAIN, entries_by_subject
from tutor import conversation, coverage, smalltalk
from tutor import intents as learned_intents
from tutor.conversation import FOLLOW_UP
from tutor.coverage import COVERAGE, EVERYDAY, everyday
from tutor.embed import Embedder, make_embedder
from tutor.index import open_index
from tutor.intents import QUESTION, Intents
from tutor.lexical import stems
from tutor.retrieve import LEGS, GlossaryRetriever
from tutor.settings import load_settings, shipped_glossary
from tutor.store import Store
from tutor.weights import WEIGHTS, weights

L2_LEGS, L2_FOLLOW_UP = 1e-3, 1e-2
FALSE_REFUSALS = 0.05
"""The share of covered dev questions that may fall below the threshold."""

ASKED = 1500
"""Training questions that stand against what is no question."""
INTENTS = TRAIN / "intents.jsonl"

SUBJECTS = 3
"""A word is everyday when questions on at least so many subjects use it."""

Rows = tuple[NDArray[np.float32], list[int]]


def fit_logit(data: Sequence[Rows], l2: float) -> NDArray[np.float64]:
    """Weights that maximise the probability of a right row; each datum is (features of all rows, right rows)."""
    table = np.concatenate([rows for rows, _ in data]).astype(np.float64)
    starts = np.cumsum([0, *(len(rows) for rows, _ in data[:-1])])
    sizes = np.array([len(rows) for rows, _ in data])
    good = np.zeros(len(table))
    good[[start + n for start, (_, right) in zip(starts, data, strict=True) for n in right]] = 1.0

    def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores = table @ w
        p = np.exp(scores - np.repeat(np.maximum.reduceat(scores, starts), sizes))
        all_of_it, of_right = np.add.reduceat(p, starts), np.add.reduceat(p * good, starts)
        slope = (p / np.repeat(all_of_it, sizes) - p * good / np.repeat(of_right, sizes)) @ table
        return float(-np.log(of_right / all_of_it).mean() + l2 * w @ w), slope / len(data) + 2 * l2 * w

    best: NDArray[np.float64] = minimize(loss, np.zeros(table.shape[1]), jac=True, method="L-BFGS-B").x
    return best


def folds_of(ids: Sequence[str], folds: int = 5) -> NDArray[np.int64]:
    """The fold of each case; a case that is asked of several glossaries is in one fold."""
    return np.array([zlib.crc32(i.encode()) % folds for i in ids])


def cross_validated(data: Sequence[Rows], fold: NDArray[np.int64], l2: float) -> NDArray[np.bool_]:
    """For each held-out question: is a right row first?"""
    right = np.zeros(len(data), bool)
    for n in set(fold.tolist()):
        w = fit_logit([d for d, f in zip(data, fold, strict=True) if f != n], l2)
        for place in np.flatnonzero(fold == n):
            rows, good = data[int(place)]
            right[place] = int(np.argmax(rows @ w)) in good
    return right


def everyday_words() -> list[str]:
    """Stems in the training questions of ``SUBJECTS`` or more subjects (none is the glossary's)."""
    subjects: dict[str, set[int]] = {}
    for number, group in enumerate(entries_by_subject()):
        for token in {t for entry in group for q in entry["questions"] for t in stems(q)}:
            subjects.setdefault(token, set()).add(number)
    return sorted(t for t, found in subjects.items() if len(found) >= SUBJECTS)


def fit_intents(retriever: GlossaryRetriever) -> Intents:
    """The classifier of ``tutor/intents.py``: what is no question, against questions on many subjects."""
    rows = [json.loads(line) for line in INTENTS.read_text(encoding="utf-8").splitlines()]
    texts, labels = [r["text"] for r in rows], [r["intent"] for r in rows]
    asked = [q for group in entries_by_subject() for entry in group for q in entry["questions"]]
    more = random.Random(0).sample(asked, ASKED)
    table = np.array([retriever.embedder.query_vector(t) for t in texts + more])
    labels += [QUESTION] * len(more)
    model = LogisticRegression(C=10.0, max_iter=2000)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    right = cross_val_predict(model, table, labels, cv=folds) == np.array(labels)
    print(f"intents: {right.mean():.3f} right, cross-validated over {len(labels)}")
    model.fit(table, labels)
    names = tuple(str(c) for c in model.classes_)
    weights, bias = model.coef_.astype(np.float32), model.intercept_.astype(np.float32)
    return Intents(names, weights, bias, retriever.embedder.fingerprint)


@dataclass(frozen=True)
class Source:
    """A glossary, and what is asked of it."""

    name: str
    retriever: GlossaryRetriever
    cases: Sequence[Case]

    def rows(self, talking: bool) -> list[tuple[str, str, Rows]]:
        """Name, id and evidence of each covered question: those in a conversation, or those alone."""
        found = []
        for c in self.cases:
            if c.covered and bool(c.history) == talking:
                turns = conversation.turns_of(c.history)
                rows = (
                    conversation.features(self.retriever, c.question, turns)
                    if turns
                    else self.retriever.evidence(c.question)
                )
                found.append((self.name, c.id, (rows, [self.retriever.position[s] for s in c.relevant])))
        return found


def fit(sources: Sequence[Source]) -> dict[str, Any]:
    """All weights; those of the legs and of what is covered for each level of ``GlossaryRetriever.taught``."""
    fitted: dict[str, Any] = {"legs": {}, "coverage": {}, "threshold": {}}
    levels = {t: [s for s in sources if s.retriever.taught == t] for t in ("much", "some", "bare")}
    for taught, mine in levels.items():
        found = [r for s in mine for r in s.rows(talking=False)]
        fitted["legs"][taught] = _named(LEGS, _fitted(f"legs, {taught}", found, LEGS, L2_LEGS))
    weights().update(fitted)
    for told in (False, True):  # twice: earlier turns are followed by the weights that there are
        follow_up = {}
        for taught, mine in levels.items():
            found = [r for s in mine for r in s.rows(talking=True)]
            follow_up[taught] = _named(
                FOLLOW_UP, _fitted(f"follow-ups, {taught}", found, FOLLOW_UP, L2_FOLLOW_UP, told)
            )
        weights()["follow_up"] = fitted["follow_up"] = follow_up
    for taught, mine in levels.items():
        fitted["coverage"][taught], fitted["threshold"][taught] = _fit_coverage(taught, mine)
    return fitted


def _fitted(
    model: str, found: Sequence[tuple[str, str, Rows]], columns: Sequence[str], l2: float, told: bool = True
) -> NDArray[np.float64]:
    names, data = np.array([n for n, *_ in found]), [rows for *_, rows in found]
    if told:
        _tell(model, names, data, folds_of([i for _, i, _ in found]), columns, l2)
    return fit_logit(data, l2)


def _tell(
    model: str,
    names: NDArray[np.str_],
    data: Sequence[Rows],
    fold: NDArray[np.int64],
    columns: Sequence[str],
    l2: float,
) -> None:
    """Print the share that is right first, cross-validated, of each glossary, and without each column in turn."""
    right = cross_validated(data, fold, l2)
    shares = ", ".join(f"{n} {right[names == n].mean():.3f} of {(names == n).sum()}" for n in dict.fromkeys(names))
    print(f"{model}: right first, cross-validated: {shares}")
    for n, name in enumerate(columns):
        rest = [m for m in range(len(columns)) if m != n]
        without = cross_validated([(r[:, rest], good) for r, good in data], fold, l2)
        print(f"  without {name:16} {without.mean() - right.mean():+.3f}")


def _fit_coverage(taught: str, sources: Sequence[Source]) -> tuple[dict[str, float], float]:
    sources = [s for s in sources if any(not c.covered for c in s.cases)]
    asked = [(s, c) for s in sources for c in s.cases if c.kind != "smalltalk"]
    asked = [(s, c) for s, c in asked if not smalltalk.reply(c.question, "nb", ("",))]
    table = np.array([_coverage(s.retriever, c) for s, c in asked])
    label = np.array([c.covered for _, c in asked])
    names, fold = np.array([s.name for s, _ in asked]), folds_of([c.id for _, c in asked])
    scale = table.std(axis=0) + 1e-6
    logistic = LogisticRegression(C=1.0, max_iter=1000)
    folds = PredefinedSplit(fold)
    held_out = cross_val_predict(logistic, table / scale, label, cv=folds, method="predict_proba")[:, 1]
    threshold = float(np.quantile(held_out[label], FALSE_REFUSALS))
    print(f"coverage, {taught}: AUROC {roc_auc_score(label, held_out):.4f} cross-validated; threshold {threshold:.3f}")
    for name in dict.fromkeys(names):
        p, y = held_out[names == name], label[names == name]
        ranked = f"AUROC {roc_auc_score(y, p):.4f}, " if 0 < y.sum() < len(y) else ""
        refused, answered = (p[y] < threshold).mean(), (p[~y] >= threshold).mean() if not y.all() else 0.0
        print(f"  {name:16} {ranked}{refused:.3f} of covered refused, {answered:.3f} of uncovered answered")
    for n, name in enumerate(COVERAGE):
        rest = np.delete(table / scale, n, axis=1)
        p = cross_val_predict(logistic, rest, label, cv=folds, method="predict_proba")[:, 1]
        print(f"  without {name:14} {roc_auc_score(label, p):.4f}")
    logistic.fit(table / scale, label)
    coefficients = _named(COVERAGE, logistic.coef_[0] / scale) | {"intercept": float(logistic.intercept_[0])}
    return coefficients, round(threshold, 4)


def _coverage(retriever: GlossaryRetriever, case: Case) -> NDArray[np.float32]:
    scores = retriever.ranked(case.question, conversation.turns_of(case.history))
    return coverage.features(retriever, case.question, scores, case.history)


def _named(names: Sequence[str], values: NDArray[np.float64]) -> dict[str, float]:
    return {n: round(float(v), 4) for n, v in zip(names, values, strict=True)}


def indexed(glossary: Path, home: Path, embedder: Embedder) -> GlossaryRetriever:
    """A retriever with an index of its own, which no other index takes the place of."""
    index = open_index(load_settings(home=home, glossary=glossary), embedder)
    store = Store(index.folder / "chroma", "", index.collection, embedder.fingerprint)
    return GlossaryRetriever(index=index, store=store, embedder=embedder)


def main() -> None:
    EVERYDAY.write_text("\n".join(everyday_words()) + "\n", encoding="utf-8")
    everyday.cache_clear()
    cases = [*shipped("dev"), *dialogues("dev")]
    folder = load_settings().home / "evals" / "practice"  # what was made searchable before is so still
    glossaries: list[tuple[str, Path, Sequence[Case]]] = [
        ("shipped", shipped_glossary(), cases),
        ("shipped, 4 questions", shipped_as(folder, QUESTIONS), cases),
        ("shipped, bare", shipped_as(folder, 0, bare=True), cases),
        *((p.folder.name, p.folder, p.cases) for p in practice(folder)),
    ]
    embedder = make_embedder(load_settings())
    sources = [
        Source(name, indexed(path, folder / "homes" / name, embedder), asked)
        for name, path, asked in track(glossaries, description="Gjør søkbar")
    ]
    fit_intents(sources[0].retriever).save(learned_intents.FILE)
    learned_intents.intents.cache_clear()
    fitted = fit(sources)
    WEIGHTS.write_text(json.dumps(weights() | fitted, indent=1) + "\n")


if __name__ == "__main__":
    main()
