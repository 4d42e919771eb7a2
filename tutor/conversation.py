"""What a follow-up is about: the question, and what it may mean after what was said last.

The last turn's entry is told by its question and its answer together, and the answer opens with the
glossary's own words. «De to» in a comparison are the two entries that were spoken of last.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tutor import prompt
from tutor.learned import log_softmax
from tutor.names import name_scores
from tutor.plan import kind_of
from tutor.types import Turn
from tutor.verify import sentences

if TYPE_CHECKING:
    from tutor.retrieve import GlossaryRetriever

Scores = NDArray[np.float32]

FOLLOW_UP = (
    "alone",
    "topic",
    "answered",
    "again",
    "related",
    "mentioned",
)
"""The question alone, after the last entry's headword, and after the last answer; the last entry when the question
names none, its relatives, and what the last answer named besides."""
LOOK_BACK = 4
"""Turns in which the two that were spoken of last are looked for."""
ANSWERED = 2
"""Sentences of an answer that tell what it is about: the glossary's own."""
NAMED = 0.4
"""How alike a name is that counts as standing in the question, as the column ``fuzzy`` has it."""
MARKER = re.compile(r"\s*\[\d+\]")

Spoken = tuple[str, str]
"""What was asked and what was answered; the answer may be missing."""


def turns_of(history: Sequence[Turn]) -> list[Spoken]:
    """The turns, in order."""
    pairs: list[Spoken] = []
    for turn in history:
        if turn.role == "user" and turn.content.strip():
            pairs.append((turn.content, ""))
        elif turn.role == "assistant" and pairs:
            pairs[-1] = (pairs[-1][0], turn.content)
    return pairs


def features(
    retriever: GlossaryRetriever, question: str, evidence: NDArray[np.float32], last: Spoken
) -> NDArray[np.float32]:
    """What speaks for each entry after the turn ``last``, shape (entries, len(FOLLOW_UP)).

    ``evidence``: the retriever's, of the question alone.
    """
    topic = topic_of(retriever, last)
    size, term = len(retriever.index.entries), retriever.index.entries[topic].term
    again, related = np.zeros(size, np.float32), np.zeros(size, np.float32)
    again[topic] = 1.0
    related[list(retriever.relations[topic])] = 1.0
    mentioned = name_scores(retriever.names, last[1], size)[0] * (1 - again)
    columns = [
        log_softmax(retriever.fused(evidence)),
        log_softmax(retriever.fused(retriever.evidence(f"{term} {question}"))),
        log_softmax(retriever.fused(retriever.evidence(f"{_opening(last[1])} {question}"))),
        again * float(evidence[:, 1].max() <= NAMED),
        related,
        mentioned,
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def topic_of(retriever: GlossaryRetriever, turn: Spoken) -> int:
    """The position of the entry that a turn was about."""
    asked, answer = turn
    scores = log_softmax(retriever.fused(retriever.evidence(asked)))
    if answer.strip():
        scores = scores + log_softmax(retriever.fused(retriever.evidence(_opening(answer))))
    return int(np.argmax(scores))


def the_two(retriever: GlossaryRetriever, question: str, turns: Sequence[Spoken]) -> list[int]:
    """The two entries that «de to» compares, last one first; none when it says no such thing."""
    pair = prompt.table("kinds")["the_two"]
    if kind_of(question) not in ("compare", "choose") or not re.search(pair, question.lower()):
        return []
    topics = list(dict.fromkeys(topic_of(retriever, t) for t in reversed(turns[-LOOK_BACK:])))
    return topics[:2] if len(topics) > 1 else []


def _opening(answer: str) -> str:
    return " ".join(sentences(MARKER.sub("", answer))[:ANSWERED])
