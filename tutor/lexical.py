"""Words and character n-grams: normalising, stemming, and BM25 over a sparse matrix."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

WORD = re.compile(r"[^\W_]+", re.UNICODE)
K1, B = 1.2, 0.6
"""BM25's saturation and length normalisation (Robertson and Zaragoza, 2009)."""


def words(text: str) -> list[str]:
    """Lower-case words; ``fine_tune()`` gives two, ``L1`` one."""
    return WORD.findall(unicodedata.normalize("NFKC", text).lower())


@lru_cache(maxsize=1)
def _stemmer() -> Any:
    import Stemmer

    return Stemmer.Stemmer("norwegian")


def stems(text: str) -> list[str]:
    """Words without their Norwegian inflection (Snowball): ``vektene`` and ``vektane`` give ``vekt``."""
    found: list[str] = _stemmer().stemWords(words(text))
    return found


def grams(text: str, size: int = 4) -> list[str]:
    """Character n-grams of each word, with its borders: survives typos and compounds."""
    found: list[str] = []
    for word in words(text):
        padded = f"<{word}>"
        found += [padded[i : i + size] for i in range(max(1, len(padded) - size + 1))]
    return found


class Bm25:
    """Okapi BM25 over a fixed set of documents, kept as postings in three arrays.

    The weight of a token in a document is computed when the matrix is built, so that a query
    is a handful of slice additions.
    """

    def __init__(
        self,
        vocabulary: dict[str, int],
        starts: NDArray[np.int64],
        documents: NDArray[np.int32],
        weights: NDArray[np.float32],
        size: int,
    ) -> None:
        self.vocabulary, self.starts, self.documents, self.weights, self.size = (
            vocabulary,
            starts,
            documents,
            weights,
            size,
        )

    @classmethod
    def build(cls, corpus: Iterable[Sequence[str]]) -> Bm25:
        """Index ``corpus``, one token list a document."""
        counts = [Counter(tokens) for tokens in corpus]
        lengths = np.array([sum(c.values()) for c in counts], dtype=np.float64)
        mean = lengths.mean() if len(lengths) and lengths.any() else 1.0
        postings: dict[str, list[tuple[int, int]]] = {}
        for number, count in enumerate(counts):
            for token, frequency in count.items():
                postings.setdefault(token, []).append((number, frequency))
        starts = np.zeros(len(postings) + 1, dtype=np.int64)
        documents, weights = [], []
        for row, found in enumerate(postings.values()):
            ids = np.array([d for d, _ in found], dtype=np.int32)
            often = np.array([f for _, f in found], dtype=np.float64)
            idf = np.log(1 + (len(counts) - len(found) + 0.5) / (len(found) + 0.5))
            saturated = often * (K1 + 1) / (often + K1 * (1 - B + B * lengths[ids] / mean))
            documents.append(ids)
            weights.append((idf * saturated).astype(np.float32))
            starts[row + 1] = starts[row] + len(found)
        return cls(
            {token: row for row, token in enumerate(postings)},
            starts,
            np.concatenate(documents) if documents else np.zeros(0, np.int32),
            np.concatenate(weights) if weights else np.zeros(0, np.float32),
            len(counts),
        )

    def scores(self, tokens: Sequence[str]) -> NDArray[np.float32]:
        """BM25 of every document, shape (documents,)."""
        total = np.zeros(self.size, dtype=np.float32)
        for token in tokens:
            row = self.vocabulary.get(token)
            if row is not None:
                span = slice(self.starts[row], self.starts[row + 1])
                total[self.documents[span]] += self.weights[span]
        return total

    def known(self, token: str) -> bool:
        """Does any document hold ``token``?"""
        return token in self.vocabulary

    def holds(self, token: str, document: int) -> bool:
        """Does ``document`` hold ``token``?"""
        row = self.vocabulary.get(token)
        if row is None:
            return False
        span = self.documents[self.starts[row] : self.starts[row + 1]]
        place = int(np.searchsorted(span, document))
        return place < len(span) and int(span[place]) == document

    def save(self, path: Path) -> None:
        np.savez(path.with_suffix(".npz"), starts=self.starts, documents=self.documents, weights=self.weights)
        content = {"size": self.size, "vocabulary": list(self.vocabulary)}
        path.with_suffix(".json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Bm25:
        content = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        with np.load(path.with_suffix(".npz")) as arrays:
            starts, documents, weights = arrays["starts"], arrays["documents"], arrays["weights"]
        vocabulary = {token: row for row, token in enumerate(content["vocabulary"])}
        return cls(vocabulary, starts, documents, weights, content["size"])
