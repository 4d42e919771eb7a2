"""What an answer is made of: the sentences of the glossary it opens with, and what the model may read.

The opening is the glossary's own, chosen by what is asked for: the section that answers that kind of
question, and in it the sentence that is nearest to the question.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from tutor.lexical import stems
from tutor.prompt import table
from tutor.types import Entry, Passage
from tutor.verify import sentences

OPENING = 2
"""Sentences that an answer opens with …"""
WHOLE = 5
"""… and how many it has in all when the model adds too little; the rest is the glossary's own."""
PREFERRED = 0.1
"""Cosine by which a sentence of the section that a kind of question asks for is nearer than it is."""
MISTAKE = "Vanlig misforståelse"
"""Its first sentence is what is wrong: it is quoted from the start or not at all."""
CONTRAST = "forskjellen på"
LEANS = re.compile(
    r"(den|det|de|dette|disse|slik|da|derfor|dermed|så|men|og|hvis ikke|i stedet|ellers)\b", re.IGNORECASE
)
"""A sentence that begins so leans on the one before."""

Near = Callable[[Sequence[str]], Sequence[float]]
"""How near each sentence is to the question (cosine)."""


@dataclass(frozen=True)
class Quote:
    """A sentence of the glossary and where it stands."""

    text: str
    passage: Passage


@dataclass(frozen=True)
class Plan:
    """The answer begins with ``opening``, the model goes on, and where it adds little, ``rest`` follows.

    ``asked`` is the question as it is put to the model, which reads the passages ``read``; its sentences are
    held against all ``passages``.
    """

    kind: str
    asked: str
    read: tuple[Passage, ...]
    passages: tuple[Passage, ...]
    opening: tuple[Quote, ...]
    rest: tuple[Quote, ...]


def kind_of(question: str) -> str:
    """The kind of answer that ``question`` asks for, by the patterns in ``prompts/kinds.toml``."""
    return str(next(k["name"] for k in table("kinds")["kind"] if re.search(k["pattern"], question.lower())))


@cache
def defining_words() -> frozenset[str]:
    """Stems of words that ask what something is, and say nothing of it."""
    return frozenset(stems(" ".join(table("kinds")["defining"])))


def plan_answer(question: str, entries: Sequence[Entry], near: Near) -> Plan:
    """Choose passages and opening. ``entries``: the right one first, each with text."""
    kind = kind_of(question)
    titles = next(k["sections"] for k in table("kinds")["kind"] if k["name"] == kind)
    best = passages_of(entries[0])
    both = kind in ("compare", "choose") and len(entries) > 1
    if both:
        opening = _both_sides(kind, entries[:2], near)
        more = _nearest(kind, [p for e in entries[:2] for p in passages_of(e)], titles, near)
        quoted = [*opening, *(q for q in more if q not in opening)]
    elif kind in ("define", "simplify", "example"):
        wanted = [p for title in titles for p in best if p.section == title] or best[:1]
        quoted = [q for p in wanted for q in _from(p, 0)]
        opening = [q for q in quoted if q.passage == wanted[0]][:OPENING]
    else:
        quoted = _nearest(kind, best, titles, near)
        first = [q for q in quoted if q.passage == quoted[0].passage]
        opening = first[: 4 if first[0].passage.section == MISTAKE else OPENING]
    used = dict.fromkeys(q.passage for q in quoted)
    passages = dict.fromkeys([best[0], *used, *(p for p in best if p.section != "Eksempel")])
    return Plan(
        kind,
        question,
        _read(kind, best, opening),
        tuple(passages),
        tuple(opening),
        tuple(quoted[len(opening) : WHOLE]),
    )


def _read(kind: str, best: Sequence[Passage], opening: Sequence[Quote]) -> tuple[Passage, ...]:
    """What the model reads: a definition first, so that all answers from an entry begin alike, and little else.

    A section on how two entries differ tells of both.
    """
    used = list(dict.fromkeys(q.passage for q in opening))
    contrast = next((p for p in used if p.section.lower().startswith(CONTRAST)), None)
    if contrast:
        owner = next((p for p in used if p.entry_id == contrast.entry_id), contrast)
        return (owner, contrast)
    simple = [p for p in best if p.section == "Enkelt sagt"] if used == [best[0]] else []
    return tuple(dict.fromkeys([best[0], *used, *simple]))


def passages_of(entry: Entry) -> list[Passage]:
    """The sections of ``entry`` as passages, numbered as in the index."""
    return [Passage(f"{entry.slug}#{n}", entry.slug, entry.term, s.title, s.text) for n, s in enumerate(entry.sections)]


def _from(passage: Passage, start: int) -> list[Quote]:
    """The sentences of ``passage`` from number ``start``."""
    return [Quote(text, passage) for text in sentences(passage.text)[start:]]


def _nearest(kind: str, passages: Sequence[Passage], titles: Sequence[str], near: Near) -> list[Quote]:
    """The sentence nearest to the question with its neighbours, then the nearest one of another passage with its.

    How something works is told from the beginning, and why with all that is said of it if that is not long. Examples
    are left out.
    """
    places = [(p, n, text) for p in passages if p.section != "Eksempel" for n, text in enumerate(sentences(p.text))]
    nearness = near([text for *_, text in places])
    scores = [s + PREFERRED * (p.section in titles) for (p, *_), s in zip(places, nearness, strict=True)]
    found: list[Quote] = []
    for place in sorted(range(len(places)), key=lambda n: -scores[n]):
        passage, start, _ = places[place]
        if all(q.passage != passage for q in found):
            whole = sentences(passage.text)
            short = len(whole) <= WHOLE
            if kind == "how":
                start = 0
            if kind == "why" and short:
                start = min(start, max(0, len(whole) - OPENING))
            while start and (passage.section == MISTAKE or LEANS.match(whole[start])):
                start -= 1
            found += _from(passage, start)[: WHOLE if whole[0][:1] == "1" else 3]
            if kind == "why" and short:
                found += _from(passage, 0)[:start]
        if len(found) >= WHOLE:
            break
    return found


def _both_sides(kind: str, pair: Sequence[Entry], near: Near) -> list[Quote]:
    """A sentence of each entry, its definition or when to use it, and then how they differ."""
    contrasts = [*contrasting(pair[0], pair[1]), *contrasting(pair[1], pair[0])]
    difference = _from(contrasts[0], 0) if contrasts else []
    if kind == "compare":
        return [_from(passages_of(e)[0], 0)[0] for e in pair] + difference[:2]
    sides = [[p for p in passages_of(e) if p.section == "Hvorfor og når"] or passages_of(e)[:1] for e in pair]
    return [_nearest(kind, side, (), near)[0] for side in sides] + difference[:1]


def contrasting(entry: Entry, other: Entry) -> list[Passage]:
    """The sections of ``entry`` on how it differs from ``other``."""
    told = [p for p in passages_of(entry) if p.section.lower().startswith(CONTRAST)]
    return [p for p in told if any(name.lower() in p.section.lower() for name in other.names)]
