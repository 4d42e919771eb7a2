"""What an answer is made of: the sentences of the glossary it opens with, and what the model may read.

The opening is the glossary's own: the definition, or the section that was asked for, or the sentences of the entry
that answer best (``relevance.py``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from tutor.lexical import stems
from tutor.prompt import plainly, table
from tutor.relevance import COMPUTE, CONTRAST, Near, Place, role_of, scores
from tutor.types import Entry, Passage
from tutor.verify import sentences

MOST = 6
"""Sentences that an answer has at most; a section that is told whole may need them all."""
WHOLE = 5
"""Sentences at most that are chosen one by one, so that the model may always add one."""
FROM_THE_START = ("mistake", "example", "simply")
"""Roles of sections that make sense from their first sentence on only."""
BEST = 3
"""An example that nobody asked for is told only if one of its sentences is among so many best ones."""
LEANS = re.compile(
    r"(den|det|de|dette|disse|slike?|her|da|derfor|dermed|så|men|og|også|likevel|derimot|dessuten|samtidig|begge|resten|"
    r"for det|hvis ikke|i stedet|ellers)\b|\$\$|\|",
    re.IGNORECASE,
)
"""A sentence that begins so leans on the one before, as a formula and a table do."""
ENDS = re.compile(r"[.!?…»)]$")
"""A sentence that ends otherwise goes on in the next: «Tapet er:»."""


@dataclass(frozen=True)
class Quote:
    """A sentence of the glossary and where it stands."""

    text: str
    passage: Passage


@dataclass(frozen=True)
class Plan:
    """The answer begins with ``opening``, the model goes on, and ``rest`` follows.

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


@cache
def general_words() -> frozenset[str]:
    """Stems of words that ask what, how, why or when, and say nothing of what it is about."""
    return defining_words() | frozenset(stems(" ".join(table("kinds")["general"])))


def plan_answer(question: str, entries: Sequence[Entry], near: Near | None, in_general: bool = False) -> Plan:
    """Choose passages and opening. ``entries``: the right one first, each with text.

    ``near`` tells how near a sentence is to the question; None where nothing is asked but what the entry is.
    ``in_general``: the question holds a name, how, why or when, and nothing in particular.
    """
    kind = kind_of(question) if near else "define"
    best = passages_of(entries[0])
    titles = next(k.get("sections", ()) for k in table("kinds")["kind"] if k["name"] == kind)
    wanted = [p for title in titles for p in best if p.section == title]
    if near and kind in ("compare", "choose") and len(entries) > 1:
        opening = _both_sides(kind, entries[:2])
        quoted = opening + _answering(kind, [p for e in entries[:2] for p in passages_of(e)], near, said=opening)
    else:
        if near and not (wanted and (in_general or kind in ("simplify", "example"))):
            quoted = _answering(kind, best, near, in_general)
        else:
            quoted = [q for p in wanted or best[:1] for q in _from(p, 0)][:MOST]
        opening = [q for q in quoted if q.passage == quoted[0].passage]
        if kind == "define" and opening == _from(best[0], 0)[:MOST]:  # the model has read this, in plain words
            question = plainly(entries[0].term)
    used = dict.fromkeys(q.passage for q in quoted)
    passages = dict.fromkeys([best[0], *used, *(p for p in best if role_of(p) != "example")])
    rest = [q for q in quoted if q not in opening]
    return Plan(kind, question, _read(entries, opening), tuple(passages), tuple(opening), tuple(rest))


def _read(entries: Sequence[Entry], opening: Sequence[Quote]) -> tuple[Passage, ...]:
    """What the model reads: a definition first, so that all answers from an entry begin alike, and where it goes on.

    A section on how two entries differ tells of both.
    """
    used = list(dict.fromkeys(q.passage for q in opening))
    contrast = [p for p in used if role_of(p) == "contrast"][:1]
    about = next((e for e in entries if contrast and e.slug == contrast[0].entry_id), entries[0])
    return tuple(dict.fromkeys([passages_of(about)[0], *(contrast or used)]))


def passages_of(entry: Entry) -> list[Passage]:
    """The sections of ``entry`` as passages, numbered as in the index."""
    return [Passage(f"{entry.slug}#{n}", entry.slug, entry.term, s.title, s.text) for n, s in enumerate(entry.sections)]


def _from(passage: Passage, start: int) -> list[Quote]:
    """The sentences of ``passage`` from number ``start``."""
    return [Quote(text, passage) for text in sentences(passage.text)[start:]]


def _answering(
    kind: str, passages: Sequence[Passage], near: Near, in_general: bool = False, said: Sequence[Quote] = ()
) -> list[Quote]:
    """The ``WHOLE`` sentences that answer best, less those ``said``: the best one, its passage's others, then the rest.

    Passages keep their order, but for what stands before the best sentence, which is told after it; a definition
    begins at its beginning, and so does any passage where it is asked ``in_general`` or how to compute something.
    A sentence brings those along that must be told with it; where they do not fit any more, it stays out.
    """
    places = places_of(passages)
    told = scores(kind, places, near)
    taken: list[int] = []
    fresh = [Quote(text, p) not in said for p, _, text in places]
    for rank, place in enumerate(sorted(range(len(places)), key=lambda n: -told[n])):
        if rank >= BEST and role_of(places[place][0]) == "example":
            continue
        together = [n for n in _thought(places, place) if n not in taken and fresh[n]]
        if len(said) + len(taken) + len(together) <= WHOLE:
            taken += together
    if not taken:
        return [] if said else [Quote(text, p) for p, _, text in places[:WHOLE]]  # a table of many rows, nothing else
    in_order = list(dict.fromkeys(places[n][0] for n in taken))
    lead = 0 if in_general or kind == COMPUTE or role_of(in_order[0]) == "definition" else taken[0]
    while lead - 1 in taken and places[lead][1] and not ENDS.search(places[lead - 1][2]):
        lead -= 1
    taken.sort(key=lambda n: (in_order.index(places[n][0]), places[n][0] == in_order[0] and n < lead, n))
    return [Quote(text, p) for p, _, text in (places[n] for n in taken)]


def places_of(passages: Sequence[Passage]) -> list[Place]:
    """Every sentence of ``passages``."""
    return [(p, n, text) for p in passages for n, text in enumerate(sentences(p.text))]


def _thought(places: Sequence[Place], place: int) -> range:
    """The places that must be told with this one: what it leans on or goes on in, and what mends a mistake."""
    role, start, end = role_of(places[place][0]), place, place + 1
    while places[start][1] and (role in FROM_THE_START or LEANS.match(places[start][2])):
        start -= 1
    least = start + 2 if role == "mistake" else end
    while end < len(places) and places[end][1] and (end < least or not ENDS.search(places[end - 1][2])):
        end += 1
    return range(start, end)


def _both_sides(kind: str, pair: Sequence[Entry]) -> list[Quote]:
    """A sentence of each entry, its definition or when to use it, and then how they differ."""
    contrasts = [*contrasting(pair[0], pair[1]), *contrasting(pair[1], pair[0])]
    difference = _from(contrasts[0], 0) if contrasts else []
    role = "definition" if kind == "compare" else "why"
    sides = [next((p for p in passages_of(e) if role_of(p) == role), passages_of(e)[0]) for e in pair]
    return [_from(side, 0)[0] for side in sides] + difference[:2]


def contrasting(entry: Entry, other: Entry) -> list[Passage]:
    """The sections of ``entry`` on how it differs from ``other``."""
    told = [p for p in passages_of(entry) if p.section.lower().startswith(CONTRAST)]
    return [p for p in told if any(name.lower() in p.section.lower() for name in other.names)]
