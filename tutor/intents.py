"""Is this a question to a glossary at all? A linear classifier of what students write.

Learned by ``evals/fit.py`` from ``evals/train/intents.jsonl`` on the shipped embedding model's
vectors; with another embedding model it keeps silent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FILE = Path(__file__).parent / "intents.npz"
QUESTION = "question"
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Intents:
    """``names`` of the intents, ``weights`` (intents, dimensions), ``bias`` (intents,), and whose vectors it reads."""

    names: tuple[str, ...]
    weights: Floats
    bias: Floats
    embedder: str

    def probabilities(self, vector: Floats) -> dict[str, float]:
        """Of each intent, for a question's vector, (dimensions,) (softmax)."""
        scores = self.weights @ vector + self.bias
        odds = np.exp(scores - scores.max())
        return dict(zip(self.names, (odds / odds.sum()).tolist(), strict=True))

    def save(self, path: Path) -> None:
        np.savez(path, names=np.array(self.names), weights=self.weights, bias=self.bias, embedder=self.embedder)


@cache
def intents() -> Intents:
    """The classifier that ships."""
    with np.load(FILE) as arrays:
        return Intents(tuple(arrays["names"].tolist()), arrays["weights"], arrays["bias"], str(arrays["embedder"]))


def asking(probabilities: Mapping[str, float]) -> float:
    """Log-odds that somebody asks a glossary something, within ±6; 0 when nothing is known."""
    p = min(max(probabilities.get(QUESTION, 0.5), 0.0025), 0.9975)
    return math.log(p / (1 - p))
