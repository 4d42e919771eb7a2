"""Fit the verifier's weights and thresholds: ``python -m evals.fit_verifier``.

Trained on ``train/claims-*.jsonl`` (our own, subjects that no claims file has) and claims-dev. A line there is
a passage with sentences that hold alternatives, ``{right|wrong}``: the first makes a supported claim, the
others its twins with one kind of error. The thresholds come from a cross-validation, each subject scored by
weights that never saw it: the strict one stops ``STOPPED`` of dev's unsupported claims and of the twins, whose
subjects had no part in choosing the features. Prints it and writes ``tutor/verifier.json``.
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

from evals.claims import claims, passage
from tutor import verify

TRAIN = Path(__file__).parent / "train"
SLOT = re.compile(r"\{([^{}]*)\}")
FOLDS = 8
STOPPED = 0.99
"""Share of the unsupported claims that the strict threshold must stop."""
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


def table(cases: list[Case]) -> tuple[list[str], Floats, Floats]:
    """Names of the features, the features (cases, features), and what the rules say: inf, -inf, or 0 (open)."""
    found = [verify.evidence(c["claim"], passage(c)) for c in cases]
    names = next(list(e.features) for e in found if e.features)
    rows = np.array([[e.features.get(n, 0.0) for n in names] for e in found])
    return names, rows, np.array([np.inf if e.copied else -np.inf if e.disagreements else 0.0 for e in found])


def fitted(x: Floats, y: Floats, weight: Floats) -> tuple[Floats, float]:
    """Weights and bias for the features as they are."""
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-9
    model = LogisticRegression(C=0.1, max_iter=500).fit((x - mean) / scale, y, weight)
    weights = model.coef_[0] / scale
    return weights, float(model.intercept_[0] - weights @ mean)


def strict_point(wrong: Floats) -> float:
    """The least threshold that stops ``STOPPED`` of the scores of unsupported claims."""
    return float(np.sort(wrong)[int(np.ceil(STOPPED * len(wrong))) - 1]) + 0.001


def main() -> None:
    """Cross-validate by subject, fit on everything, write."""
    train, dev = list(twins()), claims("dev")
    cases = train + dev
    names, x, said = table(cases)
    y = np.array([float(c["supported"]) for c in cases])
    is_dev = np.arange(len(cases)) >= len(train)
    weight = np.where(is_dev, DEV_WEIGHT, 1.0)

    def fit(rows: NDArray[np.int64]) -> tuple[Floats, float]:
        unsettled = rows[said[rows] == 0]
        return fitted(x[unsettled], y[unsettled], weight[unsettled])

    points = np.zeros(len(cases))
    for seen, held_out in GroupKFold(FOLDS).split(x, y, [c["subject"] for c in cases]):
        weights, bias = fit(seen)
        points[held_out] = x[held_out] @ weights + bias + said[held_out]
    strict = max(strict_point(points[mine & (y == 0)]) for mine in (is_dev, ~is_dev))
    wrong, right = points[is_dev & (y == 0)], points[is_dev & (y == 1)]
    choices = np.quantile(points[np.isfinite(points)], np.linspace(0, 1, 101))
    balanced = float(max(choices, key=lambda t: (right >= t).mean() + (wrong < t).mean()))
    for of, mine in (("dev", is_dev), ("twins", ~is_dev)):
        for name, at in (("strict", strict), ("balanced", balanced)):
            through, stopped = (points[mine & (y == 1)] >= at).mean(), (points[mine & (y == 0)] < at).mean()
            print(f"{of} ({mine.sum()}), {name} {at:.2f}: lets {through:.3f} through, stops {stopped:.3f}")
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
