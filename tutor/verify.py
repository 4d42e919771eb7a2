"""Which sentence of the answer does which sentence of the glossary support?

A claim passes when one sentence of a passage holds its content words in the same order, its numbers,
its negations and its directions. That lets copying and light trimming through and stops the rest:
a small model copies well, and rewords in ways no cheap rule can tell from inventing. What is
stopped is withheld, and the glossary's own sentences stand instead. ``evals/claims.py`` measures it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tutor.language import STOPWORDS
from tutor.lexical import stems, words
from tutor.types import Passage

BOUNDARY = re.compile(
    r"(?<=[.!?…])(?P<closing>[»\"')]*)\s+(?=[A-ZÆØÅ0-9«\"'`$(\[-])|\n\s*\n|\n(?=\s*(?:\d+\.|[-*|])\s)"
)
ABBREVIATION = re.compile(r"(?:\b(?:f\.eks|bl\.a|dvs|osv|ca|nr|jf|mfl|evt|pga|e\.g|i\.e|etc|vs)|^\s*\d+)\.$")
LIST_NUMBER = re.compile(r"^(?:\d+\.|[-*])\s+")
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
ALIKE = 0.9
"""Share of a claim's content words that the quote must hold, in the same order (fitted on claims-dev)."""


def sentences(text: str) -> list[str]:
    """Split running text; LaTeX, decimals and abbreviations stay whole, list numbers are left out."""
    whole, rest = _cut(text)
    return [bare for s in (*whole, rest) if (bare := _bare(s))]


def stream_sentences(pieces: Iterable[str]) -> Iterator[str]:
    """The same sentences of a text that arrives in pieces, each as soon as the next one has begun."""
    held = ""
    for piece in pieces:
        whole, held = _cut(held + piece)
        yield from filter(None, map(_bare, whole))
    yield from sentences(held)


def _bare(sentence: str) -> str:
    return LIST_NUMBER.sub("", sentence.strip())


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
    best, best_share = Verdict(False), 0.0
    if not content:
        return best
    for passage in passages:
        for quote in sentences(passage.text):
            share = _shared_in_order(content, _content(quote))
            if share > best_share and _same_numbers(claim, quote) and _same_polarity(claim, quote):
                best, best_share = Verdict(share >= ALIKE, passage, quote), share
    return best


def _content(text: str) -> list[str]:
    """Stems of the words that carry meaning, in order; negations do."""
    return stems(" ".join(w for w in words(text) if w not in STOPWORDS or w in NEGATIONS))


def _shared_in_order(part: list[str], whole: list[str]) -> float:
    """Longest common subsequence, as a share of ``part``."""
    from rapidfuzz.distance import LCSseq

    return LCSseq.similarity(part, whole) / len(part)


def _same_numbers(claim: str, quote: str) -> bool:
    """Every number of the claim stands in the quote."""
    return set(NUMBER.findall(claim)) <= set(NUMBER.findall(quote))


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
