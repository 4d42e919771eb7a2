"""Which sentences of an entry answer the question? A linear score, fitted by ``evals/fit_sentences.py``.

A conditional logit over the sentences of the entry. What tells most is how near a sentence is to what is asked
*about* the entry: the question without the entry's own names, which every sentence of it is near to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from tutor.lexical import words
from tutor.types import DEFINITION, Passage
from tutor.weights import weights

Near = Callable[[Sequence[str]], Sequence[float]]
"""How near each sentence is to the question (cosine)."""
Place = tuple[Passage, int, str]
"""A sentence: its passage, its number there, and its text."""

CONTRAST = "forskjellen på"
ROLES = {
    DEFINITION: "definition",
    "Enkelt sagt": "simply",
    "Hvordan det virker": "how",
    "Hvorfor og når": "why",
    "Eksempel": "example",
    "Vanlig misforståelse": "mistake",
}
"""What a section is for, by its title; ``contrast`` begins with ``CONTRAST``, any other title is ``other``."""
COMPUTE = "compute"
"""The kind of question that asks how something is computed."""
OF_SENTENCE = ("near", "section", "section_mean", "first", "words")
"""Its nearness, its section's greatest and mean nearness, whether it is the first there, the log of its length."""


def role_of(passage: Passage) -> str:
    """What the section is for."""
    contrast = passage.section.lower().startswith(CONTRAST)
    return "contrast" if contrast else ROLES.get(passage.section, "other")


def scores(kind: str, places: Sequence[Place], near: Near) -> list[float]:
    """How well each sentence answers a question of that ``kind``; only their order and differences mean anything."""
    fitted = weights()["sentences"]
    return [sum(fitted.get(name, 0.0) * value for name, value in row.items()) for row in features(kind, places, near)]


def features(kind: str, places: Sequence[Place], near: Near) -> list[dict[str, float]]:
    """What speaks for each sentence, by name: ``OF_SENTENCE``, its section's role, and that role for this kind.

    To compute is to ask how, and for a formula.
    """
    nearness: NDArray[np.float64] = np.array(near([text for *_, text in places]), dtype=np.float64)
    rows: list[dict[str, float]] = []
    general = "how" if kind == COMPUTE else kind
    for passage, group in groupby(range(len(places)), key=lambda n: places[n][0]):
        members = list(group)
        best, mean = float(nearness[members].max()), float(nearness[members].mean())
        for n in members:
            _, number, text = places[n]
            told = (float(nearness[n]), best, mean, float(number == 0), float(np.log(len(words(text)) + 1)))
            role = role_of(passage)
            row = {**dict(zip(OF_SENTENCE, told, strict=True)), role: 1.0, f"{general} {role}": 1.0}
            rows.append(row | ({"formula": 1.0} if kind == COMPUTE and "$" in text else {}))
    return rows
