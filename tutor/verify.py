"""Which sentence of the answer does which sentence of the glossary support?

A copy passes: one sentence of a passage holds the claim's content words in the same order, its numbers,
negations and directions. A rewording passes when nothing speaks against it (a number or a name that the
passage lacks, another negation, direction or scope) and a logistic regression on how its words lie in the
passage is sure enough. Nynorsk and English words are read as their bokmål.
The word lists and weights are ``verifier.json``, fitted by ``evals/fit_verifier.py``; ``evals/claims.py``
measures. What is stopped is withheld, and the glossary's own sentences stand instead.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tutor.language import STOPWORDS, detect
from tutor.lexical import stems, words
from tutor.types import Passage

BOUNDARY = re.compile(
    r"(?<=[.!?…])(?P<closing>[»\"')]*)\s+(?=[A-ZÆØÅÉÖÄÜ0-9«\"'`$(\[-])|\n\s*\n|\n(?=\s*(?:\d+\.|[-*|])\s)"
)
ABBREVIATION = re.compile(r"(?:\b(?:f\.eks|bl\.a|dvs|osv|ca|nr|jf|mfl|evt|pga|e\.g|i\.e|etc|vs)|^\s*\d+)\.$")
LIST_NUMBER = re.compile(r"^(?:\d+\.|[-*])\s+")
NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
NAME = re.compile(r"(?<=[\w,;]\s)[A-ZÆØÅ][\w-]+")
CLEFT = re.compile(r"(?:det (?:er|var)|it (?:is|was))\b", re.IGNORECASE)
COUNTED = {"to": "2", "tre": "3", "fire": "4", "fem": "5", "seks": "6", "sju": "7", "åtte": "8", "ni": "9", "ti": "10"}
NEGATIONS = frozenset(["ikke", "uten"])
SWEEPING = frozenset(["alle", "alltid", "bare"])
PASSIVE = frozenset(["av", "by", "bli", "ble", "blei", "vart", "som"])
SHORTEST = 3
"""Words of the shortest claim: «atomisitet» says nothing that could be right."""
A_SLIP_AWAY = 85
"""Per cent of likeness (rapidfuzz) from which the model has meant to copy."""
ALIKE = 0.9
"""Share of a claim's content words, in order, that makes it a copy (fitted on claims-dev)."""


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
    """The verdict on one sentence. ``quote`` is the closest sentence of ``passage``, verbatim."""
    if not passages or not _content(claim) or len(words(claim)) < SHORTEST:
        return Verdict(False)
    found = [(score(claim, passage), passage) for passage in passages]
    (points, quote), passage = max(found, key=lambda f: f[0][0])
    return Verdict(points >= _learned().strict, passage, quote)


def mended(claim: str, quote: str) -> str:
    """``claim``, or the sentence of the glossary behind it where the claim is a copy with a slip in it, or a piece."""
    from rapidfuzz import fuzz

    alike = fuzz.ratio(claim.lower(), quote.lower()) >= A_SLIP_AWAY
    return quote if alike or claim.lower().rstrip(".!? ") in quote.lower() else claim


def score(claim: str, passage: Passage) -> tuple[float, str]:
    """Log-odds that ``passage`` supports ``claim`` (inf: a copy, -inf: they disagree), and the closest sentence."""
    found = evidence(claim, passage)
    if found.copied:
        return math.inf, found.quote
    if found.disagreements:
        return -math.inf, found.quote
    learned = _learned()
    return learned.bias + sum(learned.weights[k] * v for k, v in found.features.items()), found.quote


def thresholds() -> dict[str, float]:
    """The least score that passes: ``strict`` is what ``check`` asks for, ``balanced`` only for comparison."""
    return {"strict": _learned().strict, "balanced": _learned().balanced}


@dataclass(frozen=True)
class Evidence:
    """What speaks for a claim and against it, and the sentence that holds most of its words."""

    quote: str
    copied: bool
    disagreements: list[str]
    features: dict[str, float]


def evidence(claim: str, passage: Passage) -> Evidence:
    """Lay the content words of ``claim`` (there must be some) over each sentence of ``passage``."""
    content, split = _content(claim), sentences(passage.text)
    for sentence in split:
        if _is_copy(claim, sentence):
            return Evidence(sentence, True, [], {})
    if not split:
        return Evidence("", False, ["no passage"], {})
    laid = [_places(content, _content(s)) for s in split]
    places, quote = max(zip(laid, split, strict=True), key=lambda pair: sum(p is not None for p in pair[0]))
    term, whole = _content(passage.term), _content(passage.text)
    found = [p is not None or w in term for p, w in zip(places, content, strict=True)]
    known = [f or any(_alike(w, other) for other in whole) for f, w in zip(found, content, strict=True)]
    language, size = detect(claim), len(content)
    features = {
        "found": sum(found) / size,
        "in order": _shared_in_order(content, _content(quote)),
        "elsewhere": (sum(known) - sum(found)) / size,
        "unknown run": max(map(len, "".join("-x"[not k] for k in known).split("-"))),
        "all in order": float(all(found) and _turned(places) < 2),
        "roles turned": float(_turned(places) > 2 and not _reordered(claim, quote)),
        "cleft": float(CLEFT.match(claim) is not None),
        "words": size,
        "nynorsk": float(language == "nn"),
        "english": float(language == "en"),
    }
    return Evidence(quote, False, _disagreements(claim, quote, passage), features)


def _disagreements(claim: str, quote: str, passage: Passage) -> list[str]:
    """Why ``claim`` cannot stand beside ``quote``; empty where nothing is seen to speak against it."""
    said, there = _tokens(claim), set(_tokens(quote))
    text, everywhere = passage.text.lower(), {*_tokens(passage.text), *_tokens(passage.term)}
    names = [n for n in NAME.findall(claim) if n.lower() not in text and not everywhere.issuperset(_tokens(n))]
    seen = {
        "number": not _numbers(claim) <= _numbers(passage.text),
        "name": bool(names),
        "negation": _odd(said) != _odd(_tokens(quote)),
        "direction": _opposed(said, there),
        "scope": bool(SWEEPING & set(said) - there),
    }
    return [kind for kind, so in seen.items() if so]


def _reordered(claim: str, quote: str) -> bool:
    """May the two differ in order and mean the same: another opening, or a passive against an active?"""
    said, there = _tokens(claim), _tokens(quote)
    return words(claim)[0] in _learned().fronted or bool(PASSIVE.intersection(said)) != bool(
        PASSIVE.intersection(there)
    )


def _is_copy(claim: str, sentence: str) -> bool:
    said, there = _tokens(claim), _tokens(sentence)
    return (
        _shared_in_order(_stems(claim), _stems(sentence)) >= ALIKE
        and _numbers(claim) <= _numbers(sentence)
        and all(name in sentence for name in NAME.findall(claim))
        and _odd(said) == _odd(there)
        and PASSIVE.intersection(said) <= set(there)
        and not _opposed(said, set(there))
    )


def _odd(tokens: Sequence[str]) -> bool:
    return sum(t in NEGATIONS for t in tokens) % 2 == 1


def _opposed(said: Iterable[str], there: set[str]) -> bool:
    """Does ``said`` rise where ``there`` falls?"""
    opposite = _learned().opposite
    return any(word not in there and opposite.get(word, frozenset()) & there for word in said)


def _numbers(text: str) -> set[str]:
    spelt = {COUNTED[t] for t in _tokens(text) if t in COUNTED}
    return spelt | {n.replace(",", ".") for n in NUMBER.findall(text)}


def _places(part: Sequence[str], whole: Sequence[str]) -> list[int | None]:
    """Where in ``whole`` each word of ``part`` stands, as itself or inflected or compounded."""
    return [
        whole.index(w) if w in whole else next((n for n, other in enumerate(whole) if _alike(w, other)), None)
        for w in part
    ]


def _alike(a: str, b: str) -> bool:
    if a == b or min(len(a), len(b)) < 4 or a.isdigit():
        return a == b
    return a in b or b in a or (len(a) > 4 and a[:5] == b[:5])


def _turned(places: Sequence[int | None]) -> int:
    """How many words at most stand in exactly the opposite order."""
    longest: list[tuple[int, int]] = []
    for place in (p for p in places if p is not None):
        longest.append((place, 1 + max((n for before, n in longest if before > place), default=0)))
    return max((n for _, n in longest), default=0)


def _shared_in_order(part: Sequence[str], whole: Sequence[str]) -> float:
    """Longest common subsequence, as a share of ``part``."""
    from rapidfuzz.distance import LCSseq

    return LCSseq.similarity(part, whole) / max(1, len(part))


@lru_cache(maxsize=2048)
def _stems(text: str) -> list[str]:
    """Stems of the words that carry meaning, in order; negations do."""
    return stems(" ".join(w for w in words(text) if w not in STOPWORDS or _word(w) in NEGATIONS))


@lru_cache(maxsize=2048)
def _tokens(text: str) -> list[str]:
    """Stems, each as its bokmål where the word lists know it; the English «to» is no number."""
    return [_word(w) for w in words(text) if w != "to" or detect(text) != "en"]


@lru_cache(maxsize=2048)
def _content(text: str) -> list[str]:
    empty = _learned().stopwords
    return [t for t in _tokens(text) if t not in empty]


@lru_cache(maxsize=8192)
def _word(word: str) -> str:
    stem = (stems(word) or [word])[0]
    same = _learned().same
    return same.get(word) or same.get(stem) or stem


@dataclass(frozen=True)
class Learned:
    """``verifier.json``: word -> its bokmål, word -> its opposites, and the regression with its two thresholds."""

    same: dict[str, str]
    opposite: dict[str, frozenset[str]]
    stopwords: frozenset[str]
    fronted: frozenset[str]
    """Words whose sentence may be turned round and mean the same («I 1954 viste …»)."""
    weights: dict[str, float]
    bias: float
    strict: float
    balanced: float


@lru_cache(maxsize=1)
def _learned() -> Learned:
    content = json.loads(Path(__file__).with_name("verifier.json").read_text(encoding="utf-8"))
    same: dict[str, str] = {}
    for group in map(str.split, content["same"]):
        for word in group:
            for form in (word, *stems(word)):
                same.setdefault(form, group[0])

    def as_bokmal(word: str) -> str:
        [stem] = stems(word)
        return same.get(word) or same.get(stem) or stem

    opposite: dict[str, frozenset[str]] = {}
    for pair in map(str.split, content["opposite"]):
        one, other = map(as_bokmal, pair)
        opposite[one] = opposite.get(one, frozenset()) | {other}
        opposite[other] = opposite.get(other, frozenset()) | {one}
    stopwords = frozenset(map(as_bokmal, STOPWORDS)) - NEGATIONS - {"mer", "bare", "en"}
    fronted = frozenset(content["fronted"].split())
    return Learned(
        same, opposite, stopwords, fronted, content["weights"], content["bias"], content["strict"], content["balanced"]
    )
