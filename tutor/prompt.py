"""From question and entries to the messages the model reads. The wording lives in ``prompts/``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tutor.types import DEFINITION, Entry, Passage
from tutor.verify import sentences

PROMPTS = Path(__file__).parent / "prompts"
ENTRIES_SHOWN = 2
SECTIONS_SHOWN = 3
"""Sections of the best entry that the model reads; the others lend their definition."""


@cache
def wording(name: str) -> str:
    """The text of ``prompts/<name>.md``."""
    return (PROMPTS / f"{name}.md").read_text(encoding="utf-8").strip()


@cache
def table(name: str) -> dict[str, Any]:
    """The content of ``prompts/<name>.toml``."""
    return tomllib.loads((PROMPTS / f"{name}.toml").read_text(encoding="utf-8"))


def phrase(language: str, name: str, **values: str) -> str:
    """A sentence of the tutor's own, in the student's language."""
    return str(table("phrases")[language][name]).format(**values)


def listed(language: str, terms: Sequence[str]) -> str:
    """«a», «b» eller «c»."""
    *front, last = [f"«{t}»" for t in terms]
    return f"{', '.join(front)} {phrase(language, 'or')} {last}" if front else last


@dataclass(frozen=True)
class Plan:
    """What an answer is made of: the passages the model may use, and the sentence it begins with."""

    kind: str
    passages: tuple[Passage, ...]
    opening: str
    opening_passage: Passage


def kind_of(question: str) -> str:
    """The kind of answer that ``question`` asks for, by the patterns in ``prompts/kinds.toml``."""
    return str(next(k["name"] for k in table("kinds")["kind"] if re.search(k["pattern"], question.lower())))


def plan_answer(question: str, entries: Sequence[Entry]) -> Plan:
    """Choose passages and opening. ``entries``: the right one first, at least one with text."""
    kind = kind_of(question)
    titles = next(k["sections"] for k in table("kinds")["kind"] if k["name"] == kind)
    best = passages_of(entries[0])
    if kind == "compare" and len(entries) > 1:
        contrasts = [p for e in entries[:2] for p in passages_of(e) if _contrasts(p, e, entries[:2])]
        definitions = [passages_of(e)[0] for e in entries[:2]]
        opening = (contrasts or definitions)[0]
        chosen = [*definitions, *contrasts[:1]]
    else:
        wanted = [p for title in titles for p in best if p.section == title or (title and p.section.startswith(title))]
        opening = wanted[0] if wanted else best[0]
        rest = [p for p in best if p not in wanted and p.section not in ("Eksempel",)]
        chosen = list(dict.fromkeys([best[0], *wanted, *rest]))[:SECTIONS_SHOWN]
        chosen += [passages_of(e)[0] for e in entries[1:ENTRIES_SHOWN]]
    return Plan(kind, tuple(chosen), sentences(opening.text)[0], opening)


def passages_of(entry: Entry) -> list[Passage]:
    """The sections of ``entry`` as passages, numbered as in the index."""
    return [Passage(f"{entry.slug}#{n}", entry.slug, entry.term, s.title, s.text) for n, s in enumerate(entry.sections)]


def _contrasts(passage: Passage, entry: Entry, pair: Sequence[Entry]) -> bool:
    """Is this the section of ``entry`` on how it differs from the other of the pair?"""
    other = pair[1] if entry is pair[0] else pair[0]
    title = passage.section.lower()
    return title.startswith("forskjellen på") and any(name.lower() in title for name in other.names)


def messages(plan: Plan, question: str) -> list[Any]:
    """The chat: instructions, sources, question, and the opening as the start of the answer."""
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

    sources = "\n\n".join(
        f"{p.term}{f' ({p.section})' if p.section != DEFINITION else ''}: {p.text}" for p in plan.passages
    )
    asked = wording("question").format(sources=sources, question=question)
    return [SystemMessage(wording("system")), HumanMessage(asked), AIMessage(plan.opening + " ")]
