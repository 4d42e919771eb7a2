"""Which sentence of the answer does which sentence of the glossary support?

A claim passes when one passage holds its content words, its numbers, its negations and its
directions. It is a rule of the thumb that errs on the strict side: what it stops is withheld, and
the student reads the glossary's own sentence instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tutor.language import STOPWORDS
from tutor.lexical import grams, stems, words
from tutor.types import Passage

BOUNDARY = re.compile(
    r"(?<=[.!?…])(?P<closing>[»\"')]*)\s+(?=[A-ZÆØÅ0-9«\"'`$(\[-])|\n\s*\n|\n(?=\s*(?:\d+\.|[-*|])\s)"
)
ABBREVIATION = re.compile(r"(?:\b(?:f\.eks|bl\.a|dvs|osv|ca|nr|jf|mfl|evt|pga|e\.g|i\.e|etc|vs)|^\s*\d+)\.$")
NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
NEGATIONS = frozenset(
    ["ikke", "ikkje", "aldri", "ingen", "ingenting", "uten", "not", "never", "no", "without", "cannot"]
)
DIRECTIONS = (
    frozenset(stems("øker økt økning større høyere mer flere opp stiger vokser auker increases more higher larger")),
    frozenset(
        stems("minsker reduserer reduksjon mindre lavere færre ned synker krymper senker decreases reduces less lower")
    ),
)
COVERED = 0.8
"""Share of a claim's content words that its passage must hold."""
ALIKE = 0.45
"""Share of a claim's content words that one single sentence, the quote, must hold."""


def sentences(text: str) -> list[str]:
    """Split running text; LaTeX, decimals and common Norwegian abbreviations stay whole."""
    whole, rest = _cut(text)
    return [*whole, rest.strip()] if rest.strip() else whole


def stream_sentences(pieces: Iterable[str]) -> Iterator[str]:
    """The same sentences of a text that arrives in pieces, each as soon as the next one has begun."""
    held = ""
    for piece in pieces:
        whole, held = _cut(held + piece)
        yield from whole
    yield from sentences(held)


def _cut(text: str) -> tuple[list[str], str]:
    """The sentences that have ended, and the rest of ``text`` as it stands."""
    found: list[str] = []
    start = 0
    for match in BOUNDARY.finditer(text):
        piece = text[start : max(match.start(), match.end("closing"))]
        if ABBREVIATION.search(piece) or piece.count("$") % 2:
            continue
        found.append(piece.strip())
        start = match.end()
    return [s for s in found if s], text[start:]


@dataclass(frozen=True)
class Verdict:
    """Whether a claim stands in the passages, and in which of their sentences."""

    supported: bool
    passage: Passage | None = None
    quote: str = ""


def check(claim: str, passages: Sequence[Passage]) -> Verdict:
    """The verdict on one sentence. ``quote`` is verbatim from ``passage``."""
    content = _content(claim)
    if not content:
        return Verdict(False)
    best = Verdict(False)
    best_share = 0.0
    for passage in passages:
        known = _content(f"{passage.term} {passage.section} {passage.text}")
        if _share(content, known) < COVERED:
            continue
        if not set(NUMBER.findall(claim)) <= set(NUMBER.findall(f"{passage.term} {passage.text}")):
            continue
        for quote in sentences(passage.text):
            share = _share(content, _content(f"{passage.term} {quote}"))
            if share > best_share and _same_polarity(claim, quote):
                best, best_share = Verdict(share >= ALIKE, passage, quote), share
    return best


def _content(text: str) -> frozenset[str]:
    return frozenset(stems(" ".join(w for w in words(text) if w not in STOPWORDS)))


def _share(part: frozenset[str], whole: frozenset[str]) -> float:
    """Share of ``part`` found in ``whole``; a compound counts when most of its letters do."""
    if not part:
        return 0.0
    missing = part - whole
    pieces = {g for word in whole for g in grams(word)} if missing else set()
    near = sum(1 for w in missing if len(w) > 5 and sum(g in pieces for g in grams(w)) / len(grams(w)) >= 0.75)
    return (len(part) - len(missing) + near) / len(part)


def _same_polarity(claim: str, quote: str) -> bool:
    """Both negated or neither, and not one rising where the other falls."""
    a, b = set(words(claim)), set(words(quote))
    if bool(a & NEGATIONS) != bool(b & NEGATIONS):
        return False
    up, down = DIRECTIONS
    a_stems, b_stems = set(stems(claim)), set(stems(quote))
    one = (bool(a_stems & up), bool(a_stems & down))
    other = (bool(b_stems & up), bool(b_stems & down))
    return {one, other} != {(True, False), (False, True)}
