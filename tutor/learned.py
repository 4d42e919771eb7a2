"""A linear classifier of this very glossary: which entry do a text's dimensions speak for?

Cosine weighs every dimension alike. Trained on the glossary's own sections and questions when it is
indexed, a multinomial logistic regression learns which of them tell siblings apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LOOSENESS = 10.0
"""Inverse strength of the L2 penalty (scikit-learn's C)."""
FEWEST = 3
"""Texts an entry must have on the average for there to be something to learn …"""
LARGEST = 2_000_000
"""… and the most texts × entries: beyond it, learning takes minutes, and the leg stays silent."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Learned:
    """``weights`` (entries, dimensions) and ``bias`` (entries,); no weights at all where nothing was learned."""

    weights: Floats
    bias: Floats

    @classmethod
    def fit(cls, vectors: Floats, owner: NDArray[np.int32], entries: int) -> Learned:
        """Learn ``owner`` (texts,) from ``vectors`` (texts, dimensions); each entry owns at least one text."""
        weights, bias = np.zeros((0, vectors.shape[1]), np.float32), np.zeros(entries, np.float32)
        if entries > 2 and FEWEST * entries <= len(owner) <= LARGEST / entries:
            from sklearn.linear_model import LogisticRegression

            model = LogisticRegression(C=LOOSENESS, max_iter=300).fit(vectors, owner)
            weights, bias = model.coef_.astype(np.float32), model.intercept_.astype(np.float32)
        return cls(weights, bias)

    def log_probabilities(self, vector: NDArray[np.float32]) -> Floats:
        """Of each entry, (entries,), given the vector of a question, (dimensions,); all 0 if nothing was learned."""
        if not len(self.weights):
            return self.bias
        return log_softmax(self.weights @ vector + self.bias)

    def save(self, path: Path) -> None:
        np.savez(path, weights=self.weights, bias=self.bias)

    @classmethod
    def load(cls, path: Path) -> Learned:
        with np.load(path) as arrays:
            return cls(arrays["weights"], arrays["bias"])


def log_softmax(scores: Floats) -> Floats:
    """Log-probabilities from scores, of the same shape."""
    shifted = scores - scores.max()
    return np.asarray(shifted - np.log(np.exp(shifted).sum()), dtype=np.float32)
