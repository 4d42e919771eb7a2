"""Which entries does a question call by name: inflected, hyphenated, compounded, abbreviated or misspelt?"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tutor.language import STOPWORDS
from tutor.lexical import stems, words
from tutor.types import Entry

LONGEST_NAME = 6
"""Words in the longest run of a question that is compared with a name."""
ALIKE = 74
"""Least similarity (0–100) of a misspelt name …"""
SHORTEST_MISSPELT = 5
"""… and the shortest name for which a misspelling is looked for."""
SURE = 0.85
"""Least similarity (0–1) of a name that is taken to be what a question is about, and all of it."""
INITIALS = 0.95
"""What initials are worth («BN» for batch normalization), a written-out name being worth 1."""

PLACES = frozenset(["i", "in", "innen", "innenfor"])

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Names:
    """Every name of every entry, stemmed and joined (``weight decay`` -> ``weightdecay``)."""

    keys: list[str]
    owner: NDArray[np.int32]
    initials: dict[str, list[int]]
    bare: dict[str, int]

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> Names:
        """The names of ``entries``; initials that are a name or an everyday word are left out."""
        pairs = {(key, n) for n, e in enumerate(entries) for name in e.names if (key := "".join(stems(name)))}
        ordered = sorted(pairs)
        taken = {key for key, _ in ordered} | STOPWORDS
        initials: dict[str, list[int]] = {}
        for number, entry in enumerate(entries):
            for short in {"".join(w[0] for w in words(name)) for name in entry.names}:
                if 2 <= len(short) <= 5 and short not in taken:
                    initials.setdefault(short, []).append(number)
        bare: dict[str, int] = {}
        terms = [(e.term, n) for n, e in enumerate(entries)]
        named = terms + [(name, n) for n, e in enumerate(entries) for name in e.names[1:]]
        for joined in ("".join, without_stopwords):
            for name, number in named:
                bare.setdefault(joined(words(name)), number)
        return cls([k for k, _ in ordered], np.array([n for _, n in ordered], dtype=np.int32), initials, bare)

    def called(self, question: str) -> int | None:
        """The entry whose very name is all that the question holds («hva er epoch?»), letter for letter."""
        tokens = words(question)
        return self.bare.get("".join(tokens), self.bare.get(without_stopwords(tokens))) if tokens else None


def without_stopwords(tokens: Sequence[str]) -> str:
    """The words that carry meaning, joined; all of them where none does."""
    return "".join([t for t in tokens if t not in STOPWORDS] or tokens)


@dataclass(frozen=True)
class Match:
    """A run of the question's words, from ``first`` up to ``end``, that looks like a name of ``owner``."""

    first: int
    end: int
    similarity: float
    length: int
    owner: int


def name_scores(names: Names, question: str, entries: int) -> tuple[Scores, Scores, Scores]:
    """Three columns in [0, 1], each (entries,): named exactly, allowing for typos, and as a place.

    A place is a name after «i»: «learner i fastai» asks about the learner.

    A match inside a longer match of another entry does not count: «mini-batch gradient descent»
    names neither «batch» nor «gradient descent».
    """
    exact, fuzzy, place = (np.zeros(entries, np.float32) for _ in range(3))
    asked = words(question)
    matches = _matches(names, question)
    kept = [m for m in matches if not any(_swallows(other, m) for other in matches)]
    for match in kept:
        if match.similarity == 1:
            exact[match.owner] = 1.0
        fuzzy[match.owner] = max(fuzzy[match.owner], match.similarity)
        if match.first > 1 and asked[match.first - 1] in PLACES:
            place[match.owner] = 1.0
    return exact, fuzzy, place


def named_alone(names: Names, question: str, aside: Set[str]) -> int | None:
    """The one entry that a question names, if it says nothing else but stopwords and the stems ``aside``."""
    found = names.called(question)
    if found is not None:
        return found
    kept = _sure(names, question)
    held = {place for m in kept for place in range(m.first, m.end)}
    said = zip(words(question), stems(question), strict=True)
    rest = [stem for n, (word, stem) in enumerate(said) if n not in held and word not in STOPWORDS]
    owners = {m.owner for m in kept}
    return owners.pop() if len(owners) == 1 and aside >= set(rest) else None


def without(names: Names, question: str, owners: Set[int]) -> str:
    """What is asked about ``owners``: the question's words but for their names; all of them if no other has meaning."""
    held = {place for m in _sure(names, question) if m.owner in owners for place in range(m.first, m.end)}
    tokens = words(question)
    left = [t for n, t in enumerate(tokens) if n not in held]
    return " ".join(left if set(left) - STOPWORDS else tokens)


def named_in_order(names: Names, text: str) -> list[int]:
    """The entries that a text names letter for letter, each once, as they come."""
    return list(dict.fromkeys(m.owner for m in sorted(_sure(names, text, 1.0), key=lambda m: m.first)))


def _sure(names: Names, text: str, least: float = SURE) -> list[Match]:
    matches = [m for m in _matches(names, text) if m.similarity >= least]
    return [m for m in matches if not any(_swallows(other, m) for other in matches)]


def _matches(names: Names, question: str) -> list[Match]:
    from rapidfuzz import fuzz, process

    tokens = stems(question)
    spans = [
        (i, j, "".join(tokens[i:j]))
        for i in range(len(tokens))
        for j in range(i + 1, min(i + LONGEST_NAME, len(tokens)) + 1)
    ]
    if not spans or not names.keys:
        return []
    similarity = process.cdist(
        [text for *_, text in spans], names.keys, scorer=fuzz.ratio, score_cutoff=ALIKE, dtype=np.uint8
    )
    found: list[Match] = []
    for row, column in zip(*np.nonzero(similarity), strict=True):
        key, score = names.keys[column], float(similarity[row, column]) / 100
        if score == 1 or len(key) >= SHORTEST_MISSPELT:
            found.append(Match(spans[row][0], spans[row][1], score, len(key), int(names.owner[column])))
    for place, word in enumerate(words(question)):
        owners = names.initials.get(word, [])
        found += [Match(place, place + 1, INITIALS, len(word), owner) for owner in owners]
    return found


def _swallows(outer: Match, inner: Match) -> bool:
    """Is ``inner`` only a part of what ``outer``, of another entry, matches at least about as well?"""
    return (
        outer.owner != inner.owner
        and outer.first <= inner.first
        and inner.end <= outer.end
        and (outer.end - outer.first > inner.end - inner.first or outer.length > inner.length)
        and outer.similarity >= min(inner.similarity, 0.9)
    )
