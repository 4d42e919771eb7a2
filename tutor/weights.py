"""The fitted numbers of retrieval, ``weights.json``, as ``evals/fit.py`` and ``evals/fit_judge.py`` write them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

WEIGHTS = Path(__file__).parent / "weights.json"


@cache
def weights() -> dict[str, Any]:
    """All of them: model, what a glossary has taught, column."""
    fitted: dict[str, Any] = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    return fitted


def vector(model: str, columns: Sequence[str], taught: str) -> NDArray[np.float32]:
    """The weights of ``model`` for glossaries that have ``taught`` so much, in the order of ``columns``."""
    fitted = weights()[model][taught]
    return np.array([fitted[c] for c in columns], dtype=np.float32)
