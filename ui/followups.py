"""What a student may want to ask next, from the entry that was answered from and its relatives."""

from __future__ import annotations

from collections.abc import Sequence

from rapidfuzz import fuzz

from tutor.language import detect
from tutor.plan import contrasting, kind_of
from tutor.types import Answer, Entry
from ui.texts import text

LONGEST, MOST, ALIKE = 80, 3, 80
ALREADY = ("define", "compare")
"""Kinds that are not taken from an entry's own questions: the first was asked, the second is put together here."""


def followups(answer: Answer, entries: Sequence[Entry], asked: Sequence[str], language: str) -> list[str]:
    """At most three questions in ``language``, none like one of those ``asked``; none after a refusal.

    One of the entry's own that names it, else one on a section that it has; the difference from a
    relative; and what another relative is.
    """
    by_slug = {e.slug: e for e in entries}
    entry = next((by_slug[c.entry_id] for c in answer.citations if c.entry_id in by_slug), None)
    if answer.refused or not entry:
        return []
    relatives = [by_slug[s] for s in (*entry.related, entry.part_of) if s in by_slug and by_slug[s].definition]
    compared = [q.lower() for q in asked if kind_of(q) == "compare"]
    contrasts = [e for e in relatives if contrasting(entry, e) or contrasting(e, entry)]
    fresh = [e for e in contrasts if not any(_named(e, q) for q in compared)]
    wanted = [
        [*_own(entry, language), *_on_sections(entry, language)],
        [text(language, "difference", one=entry.term, other=e.term) for e in fresh],
        [text(language, "means", term=e.term) for e in relatives if e not in contrasts],
    ]
    found: list[str] = []
    for questions in wanted:
        found += [q for q in questions if not any(_alike(q, other) for other in (*asked, *found))][:1]
    return found[:MOST]


def _own(entry: Entry, language: str) -> list[str]:
    """Well-formed questions of the entry that name it, and hence can stand alone."""
    return [
        q
        for q in entry.questions
        if q.endswith("?") and q[0].isupper() and len(q) <= LONGEST and q.count("?") == 1
        if _named(entry, q.lower()) and kind_of(q) not in ALREADY and detect(q, default=language) == language
    ]  # fmt: skip


def _on_sections(entry: Entry, language: str) -> list[str]:
    titles = {s.title for s in entry.sections}
    keys = {"Enkelt sagt": "simply", "Eksempel": "example"}
    return [text(language, key, term=entry.term) for title, key in keys.items() if title in titles]


def _named(entry: Entry, question: str) -> bool:
    return any(name.lower() in question for name in entry.names)


def _alike(one: str, other: str) -> bool:
    return fuzz.ratio(one.lower(), other.lower()) >= ALIKE
