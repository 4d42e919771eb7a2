"""Fit how the retriever's confidence and the model's second look add up (``tutor/judge.py``), on the dev split.

    python -m evals.fit_judge

Run it after ``evals.fit``. Takes some ten minutes: the default model reads every doubtful dev question.
"""

from __future__ import annotations

import json

import numpy as np
from rich.progress import track
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from evals.cases import dialogues, shipped
from tutor import smalltalk
from tutor.judge import DOUBT, log_odds, logit
from tutor.llm import make_llm
from tutor.open import open_retriever
from tutor.retrieve import WEIGHTS, weights
from tutor.settings import load_settings, shipped_glossary

FALSE_REFUSALS = 0.03
"""The share of covered dev questions that may be refused in all, the model's second look included."""


def main() -> None:
    settings = load_settings(glossary=shipped_glossary())
    retriever, llm = open_retriever(settings), make_llm(settings)
    cases = [c for c in (*shipped("dev"), *dialogues("dev")) if c.kind != "smalltalk"]
    cases = [c for c in cases if not smalltalk.reply(c.question, "nb", ("",))]
    rows, label, sure, missed = [], [], 0, 0
    for case in track(cases, description="Spør modellen"):
        found = retriever.search(case.question, case.history)
        if DOUBT[0] < found.confidence < DOUBT[1]:
            best = retriever.entry(found.hits[0].passage.entry_id)
            rows.append([logit(found.confidence), log_odds(llm, best, case.question, case.history)])
            label.append(case.covered)
        else:
            sure += 1
            missed += (found.confidence >= DOUBT[1]) != case.covered
    table, covered = np.array(rows), np.array(label)
    print(f"sure of {sure}, wrong about {missed} of them; in doubt about {len(covered)}")
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    for name, columns in (("retriever", [0]), ("model", [1]), ("both", [0, 1])):
        p = cross_val_predict(LogisticRegression(), table[:, columns], covered, cv=folds, method="predict_proba")[:, 1]
        print(f"  {name}: AUROC {roc_auc_score(covered, p):.4f} cross-validated over the doubtful")
    room = FALSE_REFUSALS * sum(c.covered for c in cases) / max(1, covered.sum())
    threshold = float(np.quantile(p[covered], min(0.5, room)))
    print(f"  at {threshold:.3f}: {(p[~covered] >= threshold).mean():.3f} of the doubtful uncovered answered")
    model = LogisticRegression().fit(table, covered)
    fitted = {
        "retriever": round(float(model.coef_[0][0]), 4),
        "model": round(float(model.coef_[0][1]), 4),
        "intercept": round(float(model.intercept_[0]), 4),
        "threshold": round(threshold, 4),
    }
    WEIGHTS.write_text(json.dumps(weights() | {"judge": fitted}, indent=1) + "\n")


if __name__ == "__main__":
    main()
