"""Fit the verifier's weights and thresholds: ``python -m evals.fit_verifier``.

Trained on ``train/claims-*.jsonl`` (our own, subjects that no claims file has) and claims-dev. A line there is
a passage with sentences that hold alternatives, ``{right|wrong}``: the first makes a supported claim, the
others its twins with one kind of error. The thresholds come from claims-dev alone, each subject scored by
weights that never saw it. Prints that cross-validation and writes ``tutor/verifier.json``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from evals.claims import CASES
from tutor import verify
from tutor.types import Passage

TRAIN = Path(__file__).parent / "train"
SLOT = re.compile(r"\{([^{}]*)\}")
FOLDS = 8
STOPPED = 0.99
"""Share of dev's unsupported claims that the strict threshold must stop."""
DEV_WEIGHT = 2.5
"""A case of claims-dev counts as this many twins: it is what answers look like."""

Case = dict[str, Any]
Floats = NDArray[np.float64]


def twins() -> Iterator[Case]:
    """The training claims, one a dict like those of claims-dev."""
    for path in sorted(TRAIN.glob("claims-*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            for kind, template in entry["claims"]:
                choices = [slot.split("|") for slot in SLOT.findall(template)]
                for n in range(max(map(len, choices))):
                    words = iter([c[min(n, len(c) - 1)] for c in choices])
                    claim = re.sub(r"\s+", " ", SLOT.sub(lambda _, words=words: next(words), template))  # type: ignore[misc]
                    claim = claim.replace(" .", ".").replace(" ,", ",").strip()
                    yield {**entry, "claim": claim, "supported": n == 0, "error": kind if n else None}


def dev() -> list[Case]:
    return [json.loads(line) for line in (CASES / "claims-dev.jsonl").read_text(encoding="utf-8").splitlines()]


def table(cases: list[Case]) -> tuple[list[str], Floats, Floats]:
    """Names of the features, the features (cases, features), and what the rules say: inf, -inf, or 0 (open)."""
    found = [verify.evidence(c["claim"], Passage("", "", c["term"], "", c["passage"])) for c in cases]
    names = next(list(e.features) for e in found if e.features)
    rows = np.array([[e.features.get(n, 0.0) for n in names] for e in found])
    return names, rows, np.array([np.inf if e.copied else -np.inf if e.disagreements else 0.0 for e in found])


def fitted(x: Floats, y: Floats, weight: Floats) -> tuple[Floats, float]:
    """Weights and bias for the features as they are."""
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-9
    model = LogisticRegression(C=0.1, max_iter=500).fit((x - mean) / scale, y, weight)
    weights = model.coef_[0] / scale
    return weights, float(model.intercept_[0] - weights @ mean)


def main() -> None:
    """Cross-validate on dev, fit on everything, write."""
    train, cases = list(twins()), dev()
    names, x_train, said_train = table(train)
    _, x, said = table(cases)
    y_train, y = (np.array([float(c["supported"]) for c in cs]) for cs in (train, cases))
    subjects = [c["subject"] for c in cases]

    def fit(rows: NDArray[np.int64]) -> tuple[Floats, float]:
        rows, extra = rows[said[rows] == 0], said_train == 0
        weight = np.r_[np.full(len(rows), DEV_WEIGHT), np.ones(extra.sum())]
        return fitted(np.vstack([x[rows], x_train[extra]]), np.r_[y[rows], y_train[extra]], weight)

    points = np.zeros(len(cases))
    for seen, held_out in GroupKFold(FOLDS).split(x, y, subjects):
        weights, bias = fit(seen)
        points[held_out] = x[held_out] @ weights + bias + said[held_out]
    wrong, right = points[y == 0], points[y == 1]
    strict = float(np.sort(wrong)[int(np.ceil(STOPPED * len(wrong))) - 1]) + 0.001
    choices = np.quantile(points[np.isfinite(points)], np.linspace(0, 1, 101))
    balanced = float(max(choices, key=lambda t: (right >= t).mean() + (wrong < t).mean()))
    for name, values in (("supported", right), ("unsupported", wrong)):
        copied, disagreeing = np.isposinf(values).mean(), np.isneginf(values).mean()
        print(f"{name}: {copied:.3f} are copies, {disagreeing:.3f} disagree with the passage")
    for name, at in (("strict", strict), ("balanced", balanced)):
        print(f"{name} {at:.2f}: lets {(right >= at).mean():.3f} through, stops {(wrong < at).mean():.3f}")
    weights, bias = fit(np.arange(len(cases)))
    path = Path(verify.__file__).with_name("verifier.json")
    content = json.loads(path.read_text(encoding="utf-8"))
    content |= {
        "weights": {n: round(float(w), 4) for n, w in zip(names, weights, strict=True)},
        "bias": round(bias, 4),
        "strict": round(strict, 3),
        "balanced": round(balanced, 3),
    }
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
