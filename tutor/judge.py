"""The language model's second look, when the retriever is in doubt whether the glossary covers a question.

The model never decides alone: its log-odds of «ja» against «nei» and the retriever's are added with
weights fitted on the dev split (``evals/fit_judge.py``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tutor.nynorsk import readings
from tutor.prompt import table
from tutor.types import Entry, Retrieval, Turn
from tutor.verify import sentences
from tutor.weights import weights


def covered(llm: Any, found: Retrieval, taught: str, entry: Entry, question: str, history: Sequence[Turn] = ()) -> bool:
    """Does the glossary cover ``question``? ``entry`` is the best one found, ``taught`` the retriever's.

    The retriever's word stands where the model's would hardly change it, and where the model cannot give log-odds.
    """
    fitted = weights().get("judge")
    if not fitted or not hasattr(llm, "choose"):
        return found.covered
    low, high = fitted["doubt"][taught]
    if not low < found.confidence < high:
        return found.covered
    return both(found.confidence, log_odds(llm, entry, question, history)) >= float(fitted["threshold"][taught])


def both(confidence: float, odds: float) -> float:
    """The probability that the glossary covers the question, by the retriever and the model together."""
    fitted = weights()["judge"]
    z = fitted["intercept"] + fitted["retriever"] * logit(confidence) + fitted["model"] * odds
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, z))))


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def log_odds(llm: Any, entry: Entry, question: str, history: Sequence[Turn] = ()) -> float:
    """The model's log-odds that ``entry`` is about what is asked."""
    asked = [readings(q)[-1] for q in (*[t.content for t in history if t.role == "user"][-1:], question)]
    yes, no = llm.choose(messages(entry, " … ".join(asked)), (table("judge")["yes"], table("judge")["no"]))
    return float(yes - no)


def messages(entry: Entry, question: str) -> list[Any]:
    """The chat that ends where the model is to say yes or no. Of the entry it reads the first sentence."""
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

    words, told = table("judge"), f"{entry.term}: {''.join(sentences(entry.definition)[:1])}"
    chat: list[Any] = [SystemMessage(words["system"].strip())]
    for example in [*words["example"], {"entry": told, "question": question}]:
        chat.append(HumanMessage(words["turn"].strip().format(**example)))
        if "answer" in example:
            chat.append(AIMessage(example["answer"]))
    return chat
