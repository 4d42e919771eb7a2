"""Fit how the retriever's confidence and the model's second look add up (``tutor/judge.py``), on dev and practice.

    python -m evals.fit_judge

Run it after ``evals.fit``, whose practice glossaries it uses: what is fitted has to hold for other courses too.
Takes some ten minutes: the default model reads every doubtful dev question, and a sample of the doubtful others.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from evals.cases import Case, dialogues, shipped
from evals.fit import indexed
from evals.practice import practice
from tutor import smalltalk
from tutor.embed import make_embedder
from tutor.judge import log_odds, logit
from tutor.llm import make_llm
from tutor.retrieve import GlossaryRetriever
from tutor.settings import load_settings, shipped_glossary
from tutor.weights import WEIGHTS, weights

FALSE_REFUSALS = {"much": 0.03, "some": 0.08, "bare": 0.08}
"""The share of covered questions that may be refused in all, the second look included. Glossaries that teach
little tell less well what they hold: there 3 % would mean answering most of what they do not cover."""
DOUBT = (0.05, 0.985)
"""The retriever's confidence below and above which the model is not asked here."""
MATTERS = 0.05
"""The tutor asks it where its log-odds, all but this share of them at each end, can change the decision."""
PRACTICE = ("2", "1-bare")
SAMPLE = 120
"""Questions asked of each practice glossary; half of them it does not cover."""


@dataclass(frozen=True)
class Row:
    """``confidence`` and ``odds`` are log-odds, the retriever's and the model's."""

    taught: str
    confidence: float
    odds: float
    covered: bool


def main() -> None:
    settings = load_settings()
    folder, embedder = settings.home / "evals" / "practice", make_embedder(settings)
    cases = [c for c in (*shipped("dev"), *dialogues("dev")) if c.kind != "smalltalk"]
    cases = [c for c in cases if not smalltalk.reply(c.question, "nb", ("",))]
    llm = Remembering(make_llm(settings), folder / "odds.jsonl")
    asked = [("shipped", shipped_glossary(), cases)]
    asked += [(p.folder.name, p.folder, sample(p.cases)) for p in practice(folder) if p.folder.name in PRACTICE]
    rows: list[Row] = []
    for name, glossary, questions in asked:
        rows += looked(indexed(glossary, folder / "homes" / name, embedder), llm, questions)
    names = np.array([r.taught for r in rows])
    table, covered = np.array([(r.confidence, r.odds) for r in rows]), np.array([r.covered for r in rows])
    doubted = (table[:, 0] > logit(DOUBT[0])) & (table[:, 0] < logit(DOUBT[1]))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    held_out = {}
    for model, columns in (("retriever", [0]), ("model", [1]), ("both", [0, 1])):
        p = np.where(table[:, 0] > 0, 1.0, 0.0)
        p[doubted] = cross_val_predict(
            LogisticRegression(), table[doubted][:, columns], covered[doubted], cv=folds, method="predict_proba"
        )[:, 1]
        held_out[model] = p
    threshold = {}
    for name in dict.fromkeys(names):
        here = names == name
        p, y, doubt = held_out["both"][here], covered[here], doubted[here]
        threshold[str(name)] = t = round(float(np.quantile(p[y], FALSE_REFUSALS[name])), 4)
        ranked = ", ".join(f"{m} {roc_auc_score(y[doubt], q[here][doubt]):.3f}" for m, q in held_out.items())
        print(f"{name}: in doubt about {doubt.sum()} of {len(y)}; AUROC over these, cross-validated: {ranked}")
        print(f"  at {t}: {(p[y] < t).mean():.3f} of all covered refused, {(p[~y] >= t).mean():.3f} of others answered")
    fitted = LogisticRegression().fit(table[doubted], covered[doubted])
    low, high = np.quantile(table[doubted][:, 1], [MATTERS, 1 - MATTERS])
    doubt = {name: _doubt(fitted, t, low, high) for name, t in threshold.items()}
    for name, (least, most) in doubt.items():
        here, p = names == name, np.where(table[:, 0] > logit(weights()["threshold"][name]), 1.0, 0.0)
        asked_now = (table[:, 0] > logit(least)) & (table[:, 0] < logit(most))
        p[asked_now] = held_out["both"][asked_now]
        refused, answered = (p[here & covered] < threshold[name]).mean(), (p[here & ~covered] >= threshold[name]).mean()
        print(f"{name}: asked from {least} to {most}, about {(asked_now & here).sum()} of {here.sum()}:")
        print(f"  then {refused:.3f} of all covered refused, {answered:.3f} of others answered")
    judge = {
        "retriever": round(float(fitted.coef_[0][0]), 4),
        "model": round(float(fitted.coef_[0][1]), 4),
        "intercept": round(float(fitted.intercept_[0]), 4),
        "threshold": threshold,
        "doubt": doubt,
    }
    WEIGHTS.write_text(json.dumps(weights() | {"judge": judge}, indent=1) + "\n")


def _doubt(fitted: LogisticRegression, threshold: float, low: float, high: float) -> tuple[float, float]:
    """Between which confidences of the retriever log-odds from ``low`` to ``high`` decide."""
    (retriever, model), intercept = fitted.coef_[0], fitted.intercept_[0]
    ends = [(logit(threshold) - intercept - model * odds) / retriever for odds in (high, low)]
    least, most = (round(float(1 / (1 + np.exp(-z))), 3) for z in ends)
    return max(DOUBT[0], least), min(DOUBT[1], most)


class Remembering:
    """A language model whose ``choose`` is asked the same only once, ever: its answers are kept in a file."""

    def __init__(self, llm: Any, path: Path) -> None:
        self._llm, self._path = llm, path
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        self._known = {key: tuple(found) for key, found in map(json.loads, lines)}

    def choose(self, messages: list[Any], options: Sequence[str]) -> tuple[float, ...]:
        """As ``LlamaCppChat.choose``."""
        said = [self._llm.name, options, [(m.type, m.text) for m in messages]]
        key = hashlib.sha256(json.dumps(said).encode()).hexdigest()
        if key not in self._known:
            self._known[key] = self._llm.choose(messages, options)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps([key, self._known[key]]) + "\n")
        return self._known[key]


def sample(cases: Sequence[Case]) -> list[Case]:
    """As many that are covered as not."""
    rng = random.Random(0)
    groups = [[c for c in cases if c.covered], [c for c in cases if not c.covered]]
    return [c for group in groups for c in rng.sample(group, min(SAMPLE // 2, len(group)))]


def looked(retriever: GlossaryRetriever, llm: Any, cases: Sequence[Case]) -> Iterator[Row]:
    """Every question with the retriever's log-odds that it is covered, and the model's where the retriever doubts."""
    for case in track(cases, description="Spør modellen"):
        found = retriever.search(case.question, case.history)
        odds, best = 0.0, retriever.entry(found.hits[0].passage.entry_id)
        if DOUBT[0] < found.confidence < DOUBT[1]:
            odds = log_odds(llm, best, case.question, case.history)
        p = min(max(found.confidence, 1e-6), 1 - 1e-6)
        yield Row(retriever.taught, logit(p), odds, case.covered)


if __name__ == "__main__":
    main()
