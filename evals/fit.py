"""Fit the retriever's weights on the dev split, report cross-validation, write ``tutor/weights.json``.

    python -m evals.fit

Three small models, all linear, so that the file can be read: a conditional logit over entries
(softmax of the weighted evidence, as in McFadden, 1974), one more for follow-ups, and a logistic
regression for «does the glossary cover this?».
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict

from evals.cases import Case, dialogues, shipped
from evals.train_embedder import TRAIN, entries_by_subject
from tutor import intents as learned_intents
from tutor import smalltalk
from tutor.glossary import read_glossary
from tutor.intents import QUESTION, Intents
from tutor.lexical import stems
from tutor.open import open_retriever
from tutor.retrieve import COVERAGE, EVERYDAY, FOLLOW_UP, LEGS, WEIGHTS, GlossaryRetriever, everyday, weights
from tutor.settings import load_settings, shipped_glossary

L2_LEGS, L2_FOLLOW_UP = 1e-3, 1e-2
FALSE_REFUSALS = 0.05
"""The share of covered dev questions that may fall below the threshold."""

QUESTIONS = 1500
"""Training questions that stand against what is no question."""
INTENTS = TRAIN / "intents.jsonl"

FEW = 4
"""Questions an entry in the leaner glossary."""
SUBJECTS = 3
"""A word is everyday when questions on at least so many subjects use it."""

Rows = tuple[NDArray[np.float32], list[int]]


def fit_logit(data: Sequence[Rows], l2: float) -> NDArray[np.float64]:
    """Weights that maximise the probability of a right row; each datum is (features of all rows, right rows)."""

    def loss(w: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        total, slope = 0.0, np.zeros_like(w)
        for rows, right in data:
            p = np.exp(rows @ w - (rows @ w).max())
            good = p[right]
            total -= np.log(good.sum() / p.sum())
            slope += (p @ rows) / p.sum() - (good @ rows[right]) / good.sum()
        return float(total / len(data) + l2 * w @ w), slope / len(data) + 2 * l2 * w

    best: NDArray[np.float64] = minimize(loss, np.zeros(data[0][0].shape[1]), jac=True, method="L-BFGS-B").x
    return best


def cross_validated(data: Sequence[Rows], l2: float, folds: int = 5) -> float:
    """Share of held-out questions with a right row first."""
    fold = np.random.RandomState(0).permutation(len(data)) % folds
    right = []
    for n in range(folds):
        w = fit_logit([d for d, f in zip(data, fold, strict=True) if f != n], l2)
        right += [int(np.argmax(r @ w)) in good for (r, good), f in zip(data, fold, strict=True) if f == n]
    return float(np.mean(right))


def ablation(data: Sequence[Rows], names: Sequence[str], l2: float) -> dict[str, float]:
    """Cross-validated share without each column in turn."""
    keep = {n: [m for m in range(len(names)) if m != n] for n in range(len(names))}
    return {names[n]: cross_validated([(r[:, c], good) for r, good in data], l2) for n, c in keep.items()}


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
    more = random.Random(0).sample(asked, QUESTIONS)
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


def fit(retriever: GlossaryRetriever, leaner: GlossaryRetriever, cases: Sequence[Case]) -> dict[str, Any]:
    """All weights from the dev cases; whether a glossary covers a question is fitted on both glossaries."""
    covered = [c for c in cases if c.covered]
    rows = {c.id: retriever.evidence(c.question) for c in cases}
    right = {c.id: [retriever.position[s] for s in c.relevant] for c in cases}
    single: list[Rows] = [(rows[c.id], right[c.id]) for c in covered if not c.history]
    legs = fit_logit(single, L2_LEGS)
    print(f"legs: {cross_validated(single, L2_LEGS):.3f} right first, cross-validated over {len(single)}")
    for name, share in ablation(single, LEGS, L2_LEGS).items():
        print(f"  without {name:12} {share:.3f}")
    fitted: dict[str, Any] = {"legs": _named(LEGS, legs)}
    weights().clear()
    weights().update(fitted)

    spoken = [c for c in cases if c.covered and c.history]
    fitted["follow_up"] = dict.fromkeys(FOLLOW_UP, 0.0) | {"alone": 1.0}
    for _ in range(2):  # the second time what earlier turns were about is told by weights that are fitted
        weights().update(fitted)
        turns: list[Rows] = [(retriever.follow_up(c.question, rows[c.id], c.history), right[c.id]) for c in spoken]
        fitted["follow_up"] = _named(FOLLOW_UP, fit_logit(turns, L2_FOLLOW_UP))
    print(f"follow-ups: {cross_validated(turns, L2_FOLLOW_UP):.3f} right first, cross-validated over {len(turns)}")
    for name, share in ablation(turns, FOLLOW_UP, L2_FOLLOW_UP).items():
        print(f"  without {name:16} {share:.3f}")
    weights().update(fitted)
    return fitted | _fit_coverage((retriever, leaner), cases)


def write_leaner(folder: Path) -> None:
    """The shipped glossary as a teacher with less time would have written it: a few questions an entry."""
    for entry in read_glossary(shipped_glossary()).entries:
        head = {"term": entry.term, "aliases": {k: list(v) for k, v in entry.aliases.items()}}
        head |= {"related": list(entry.related), "questions": list(entry.questions[:FEW])}
        front = "".join(f"{k}: {json.dumps(v, ensure_ascii=False)}\n" for k, v in head.items())
        (folder / f"{entry.slug}.md").write_text(f"---\n{front}---\n{entry.text}\n", encoding="utf-8")


def _fit_coverage(retrievers: Sequence[GlossaryRetriever], cases: Sequence[Case]) -> dict[str, Any]:
    asked = [c for c in cases if c.kind != "smalltalk" and not smalltalk.reply(c.question, "nb", ("",))]
    table = np.array([r.coverage_of(c.question, c.history) for r in retrievers for c in asked])
    label = np.array([c.covered for _ in retrievers for c in asked])
    case = np.array([n for _ in retrievers for n in range(len(asked))])
    scale = table.std(axis=0) + 1e-6
    model = LogisticRegression(C=1.0, max_iter=1000)
    folds = list(StratifiedGroupKFold(5, shuffle=True, random_state=0).split(table, label, case))
    held_out = cross_val_predict(model, table / scale, label, cv=folds, method="predict_proba")[:, 1]
    threshold = float(np.quantile(held_out[label], FALSE_REFUSALS))
    answered = float((held_out[~label] >= threshold).mean())
    print(f"coverage: AUROC {roc_auc_score(label, held_out):.4f} cross-validated over {len(label)}")
    print(f"  at threshold {threshold:.3f}: {answered:.3f} of uncovered answered")
    for n, name in enumerate(COVERAGE):
        rest = np.delete(table / scale, n, axis=1)
        p = cross_val_predict(model, rest, label, cv=folds, method="predict_proba")[:, 1]
        print(f"  without {name:14} {roc_auc_score(label, p):.4f}")
    model.fit(table / scale, label)
    coverage = _named(COVERAGE, model.coef_[0] / scale) | {"intercept": float(model.intercept_[0])}
    return {"coverage": coverage, "threshold": round(threshold, 4)}


def _named(names: Sequence[str], values: NDArray[np.float64]) -> dict[str, float]:
    return {n: round(float(v), 4) for n, v in zip(names, values, strict=True)}


def main() -> None:
    EVERYDAY.write_text("\n".join(everyday_words()) + "\n", encoding="utf-8")
    everyday.cache_clear()
    retriever = open_retriever(load_settings(glossary=shipped_glossary()))
    fit_intents(retriever).save(learned_intents.FILE)
    learned_intents.intents.cache_clear()
    with TemporaryDirectory() as folder:
        write_leaner(Path(folder))
        leaner = open_retriever(load_settings(glossary=folder))
        fitted = fit(retriever, leaner, [*shipped("dev"), *dialogues("dev")])
    WEIGHTS.write_text(json.dumps(fitted, indent=1) + "\n")


if __name__ == "__main__":
    main()
