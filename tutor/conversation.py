"""What a follow-up is about: the question, and what it may mean after what was said last.

Turn by turn: what one was about is told by its question, after what the one before was about, and by its
answer, which opens with the glossary's own words. «De to», «den andre» and «nummer to» are looked up.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tutor import prompt
from tutor.learned import log_softmax
from tutor.names import name_scores, named_in_order
from tutor.plan import kind_of
from tutor.types import Turn
from tutor.verify import sentences
from tutor.weights import vector

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
CALLED = 3.0
"""Log-odds by which an entry leads that the question points at, or whose name is all that it holds."""
LOOK_BACK = 4
"""Turns that are looked back on."""
ANSWERED = 2
"""Sentences of an answer that tell what it is about: the glossary's own."""
NAMED = 0.4
"""How alike a name is that counts as standing in the question, as the column ``fuzzy`` has it."""
PLACES = (0, 1, 2, -1)
"""What the patterns of ``points.places`` in ``prompts/kinds.toml`` point at: first, second, third, last."""
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


def scores_of(retriever: GlossaryRetriever, question: str, turns: Sequence[Spoken]) -> Scores:
    """The score of each entry, (entries,), when ``question`` comes after ``turns``."""
    scores = features(retriever, question, turns) @ vector("follow_up", FOLLOW_UP, retriever.taught)
    highest = scores.max()
    for place, entry in enumerate(pointed_at(retriever, question, turns)):
        scores[entry] = highest + CALLED - place / 2
    return np.asarray(scores, dtype=np.float32)


def features(retriever: GlossaryRetriever, question: str, turns: Sequence[Spoken]) -> NDArray[np.float32]:
    """What speaks for each entry after ``turns``, shape (entries, len(FOLLOW_UP))."""
    topic, answer = topic_of(retriever, turns), turns[-1][1]
    size, term = len(retriever.index.entries), retriever.index.entries[topic].term
    again, related = np.zeros(size, np.float32), np.zeros(size, np.float32)
    again[topic] = 1.0
    related[list(retriever.relations[topic])] = 1.0
    mentioned = name_scores(retriever.names, answer, size)[0] * (1 - again)
    evidence = retriever.evidence(question)
    columns = [
        log_softmax(retriever.fused(evidence)),
        log_softmax(retriever.fused(retriever.evidence(f"{term} {question}"))),
        log_softmax(retriever.fused(retriever.evidence(f"{_opening(answer)} {question}"))),
        again * float(evidence[:, 1].max() <= NAMED),
        related,
        mentioned,
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def topic_of(retriever: GlossaryRetriever, turns: Sequence[Spoken]) -> int:
    """The position of the entry that the last of ``turns`` was about, as those before it were followed."""
    (asked, answer), before = turns[-1], turns[-LOOK_BACK:-1]
    scores = log_softmax(retriever.ranked(asked, before))
    if answer.strip():
        scores = scores + log_softmax(retriever.fused(retriever.evidence(_opening(answer))))
    return int(np.argmax(scores))


def pointed_at(retriever: GlossaryRetriever, question: str, turns: Sequence[Spoken]) -> list[int]:
    """The entries that the question points at by their place in what was said, likeliest first; mostly none."""
    points, said = prompt.table("kinds")["points"], question.lower()
    if retriever.evidence(question)[:, 0].any():
        return []  # it names what it is about
    if re.search(points["the_two"], said) and kind_of(question) in ("compare", "choose"):
        topics = [topic_of(retriever, turns[: n + 1]) for n in range(max(0, len(turns) - LOOK_BACK), len(turns))]
        latest = list(dict.fromkeys(reversed(topics)))
        return latest[:2] if len(latest) > 1 else []
    places = [n for n, pattern in zip(PLACES, points["places"], strict=True) if re.search(pattern, said)]
    listed = _listed(retriever, turns) if places else []
    if not listed or places[0] >= len(listed):
        return []
    if places[0] == 1 and len(listed) == 2 and (topic := topic_of(retriever, turns)) in listed:
        return [n for n in listed if n != topic]  # «den andre» is the one that was not spoken of last
    return [listed[places[0]]]


def _listed(retriever: GlossaryRetriever, turns: Sequence[Spoken]) -> list[int]:
    """The entries that a question, or a sentence of an answer besides what was asked about, named last; in order."""
    for end in range(len(turns), max(0, len(turns) - LOOK_BACK), -1):
        asked, answer = turns[end - 1]
        named = named_in_order(retriever.names, asked)
        about = {*named, topic_of(retriever, turns[: end - 1])} if end > 1 else set(named)
        found = [[n for n in named_in_order(retriever.names, s) if n not in about] for s in sentences(answer)]
        if listed := next((f for f in (named, *found) if len(f) > 1), []):
            return listed
    return []


def _opening(answer: str) -> str:
    return " ".join(sentences(MARKER.sub("", answer))[:ANSWERED])
