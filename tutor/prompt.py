"""From a plan to the messages the model reads, and the tutor's own phrases. The wording lives in ``prompts/``."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tutor.types import DEFINITION, Entry

if TYPE_CHECKING:
    from tutor.plan import Plan

PROMPTS = Path(__file__).parent / "prompts"


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


def plainly(term: str) -> str:
    """The question that is put to the model when a student asks what ``term`` is, in whatever words."""
    return str(table("kinds")["plainly"]).format(term=term)


def apart(one: Entry, other: Entry) -> str:
    """The question how two entries differ."""
    return str(table("kinds")["apart"]).format(one=one.term, other=other.term)


def messages(plan: Plan) -> list[Any]:
    """The chat: instructions, sources, question, and the last sentence of the opening as the start of the answer."""
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

    sources = "\n\n".join(
        f"{p.term}{f' ({p.section})' if p.section != DEFINITION else ''}: {p.text}" for p in plan.read
    )
    asked = wording("question").format(sources=sources, question=" ".join(plan.asked.split()))
    return [SystemMessage(wording("system")), HumanMessage(asked), AIMessage(plan.opening[-1].text + " ")]
