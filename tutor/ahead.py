"""What the model reads while nobody waits for it, so that nobody has to (``tutor/states.py`` keeps it)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from tutor import judge, prompt
from tutor.llm import LlamaCppChat
from tutor.plan import contrasting, passages_of, plan_answer
from tutor.tutor import Tutor
from tutor.types import Answer
from tutor.verify import sentences


def read_ahead(tutor: Tutor, pause: float = 0.0) -> None:
    """Let the model read what students ask for most, beginning after ``pause`` seconds.

    First every definition with its question, then the definitions for the second look, then every contrast.
    """
    if isinstance(tutor.llm, LlamaCppChat):
        time.sleep(pause)
        entries = [e for e in tutor.entries if e.definition]
        pairs = [(e, other) for e in entries for other in entries if e is not other and contrasting(e, other)]
        plans = [plan_answer(prompt.plainly(e.term), [e], None) for e in entries]
        compared = [plan_answer(prompt.apart(*pair), pair, _alike) for pair in pairs]
        tutor.llm.prepare([prompt.messages(p) for p in plans])
        tutor.llm.prepare([judge.messages(e, "") for e in entries], question=False)
        tutor.llm.prepare([prompt.messages(p) for p in compared], question=False)
        tutor.retriever.nearness("", ())([q for p in plans for s in p.passages for q in sentences(s.text)])


def read_on(tutor: Tutor, answer: Answer) -> None:
    """While the student reads ``answer``, let the model read the rest of its entry, which many ask about next."""
    prepare = getattr(tutor.llm, "prepare", None)
    if prepare and answer.citations:
        entry = tutor.retriever.entry(answer.citations[0].entry_id)
        defined = plan_answer(prompt.plainly(entry.term), [entry], None)
        first, *others = passages_of(entry)
        prepare([prompt.messages(replace(defined, read=(first, p))) for p in others], question=False, soon=True)


def _alike(texts: Sequence[str]) -> list[float]:
    return [0.0] * len(texts)
