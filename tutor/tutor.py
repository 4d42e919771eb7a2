"""The whole flow, from a question to a verified answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tutor import judge, language, prompt, smalltalk, verify
from tutor.errors import UsageError
from tutor.plan import MOST, Plan, plan_answer
from tutor.relevance import Near
from tutor.translate import Translator
from tutor.types import DEFINITION, Answer, Citation, Delta, Entry, Event, Passage, Retrieval, Timings, Turn

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from tutor.retrieve import GlossaryRetriever

LONGEST_QUESTION = 2000
"""Characters. A question is a sentence or two; the context window has other uses."""


class Tutor:
    """Answers questions from one glossary. Holds no conversation: the caller passes the history."""

    def __init__(
        self, retriever: GlossaryRetriever, llm: BaseChatModel, english: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """``english``: what sentences of the glossary are in English."""
        self.retriever, self.llm, self.english = retriever, llm, english

    @property
    def entries(self) -> Sequence[Entry]:
        """Every entry of the glossary that is in use."""
        return self.retriever.index.entries

    @cached_property
    def translator(self) -> Translator:
        return Translator(self.entries, self.english)

    def ask(self, question: str, history: Sequence[Turn] = ()) -> Answer:
        """The whole answer at once. Raises as ``stream``."""
        return next(e for e in self.stream(question, history) if isinstance(e, Answer))

    def stream(
        self, question: str, history: Sequence[Turn] = (), stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[Event]:
        """Verified sentences as they come, then the ``Answer`` with its citations.

        ``stopped`` is asked between two tokens; once it says yes, the model writes no more.

        Raises:
            UsageError: the question is empty or too long.
            ModelError: the language model cannot be loaded.
        """
        clock = Clock()
        question = checked(question)
        spoken = language.asked_for(question) or language.detect(question, default=_spoken_before(history))
        about, history = _again(question, history)

        reply = smalltalk.reply(question, spoken, self.retriever.starters)
        if reply:
            yield from _short(Answer(question, reply, False, spoken), clock)
            return

        found = self.retriever.search(about, history)
        clock.retrieved()
        entries = [e for e in self.retriever.asked_about(about, found) if e.definition]
        if not entries or not judge.covered(self.llm, found, self.retriever.taught, entries[0], about, history):
            reply = smalltalk.meant(self.retriever.intents(question), spoken, self.retriever.starters)
            if reply:
                yield from _short(Answer(question, reply, False, spoken), clock)
                return
            yield from _short(self._refuse(question, spoken, found), clock)
            return

        plan = self.plan(about, entries, spoken)
        cited: list[Citation] = []
        withheld: list[str] = []
        shown: list[str] = []
        left: list[str] = []
        english = self._in_english(plan) if spoken == "en" else []
        usage: dict[str, Any] = {}
        with _Generation(self.llm, prompt.messages(plan), usage, stopped) as generated:
            for sentence, verdict in english or self._verified(plan, generated):
                if not verdict.supported:
                    withheld.append(sentence)
                    continue
                assert verdict.passage is not None
                marker = _cite(cited, verdict.passage, verdict.quote)
                said = self.translator.render(sentence, spoken)
                if said is None:
                    left.append(sentence)
                shown.append(f"{said or sentence} [{marker}]")
                clock.spoke()
                yield Delta(("" if len(shown) == 1 else " ") + shown[-1], tuple(c for c in cited if c.marker == marker))
        more = bool(english) and any(q.text not in self.english for q in plan.opening)
        if note := self.translator.note(spoken, len(left), len(shown), more, history):
            shown.append(note)
            yield Delta(f" {note}")
        yield Answer(
            question,
            " ".join(shown),
            False,
            language.detect(" ".join(left)) if left else spoken,
            tuple(cited),
            self._terms(found, skip={c.entry_id for c in cited}),
            tuple(withheld),
            self.llm.name or type(self.llm).__name__,
            clock.timings(usage),
        )

    def plan(self, question: str, entries: Sequence[Entry], spoken: str) -> Plan:
        """What the answer is made of; ``entries``: the right one first, each with text."""
        if self.retriever.only_named(question) == entries[0]:
            return plan_answer(prompt.plainly(entries[0].term), entries, None)
        in_general = self.retriever.in_general(question)
        return plan_answer(question, entries, self.nearness(question, entries, spoken), in_general)

    def nearness(self, question: str, entries: Sequence[Entry], spoken: str) -> Near:
        """How near sentences are to what ``question`` asks about ``entries``; English is held against English."""
        near, english = self.retriever.nearness(question, entries), self.english if spoken == "en" else {}
        return lambda texts: near([english.get(text, text) for text in texts])

    def _verified(self, plan: Plan, generated: Iterator[str]) -> Iterator[tuple[str, verify.Verdict]]:
        """The opening, which is the glossary's own, each new sentence of the model with its verdict, and the rest."""
        for quote in plan.opening:
            yield quote.text, verify.Verdict(True, quote.passage, quote.text)
        quoted, rest = {quote.text for quote in plan.opening}, {quote.text for quote in plan.rest}
        for sentence in verify.stream_sentences(generated) if len(quoted | rest) < MOST else ():
            verdict = verify.check(sentence, plan.passages)
            if not verdict.supported:
                yield sentence, verdict
            elif verdict.quote not in quoted:
                quoted.add(verdict.quote)
                yield verify.mended(sentence, verdict.quote), verdict
            if len(quoted | rest) >= MOST:
                break
        for quote in plan.rest:
            if quote.text not in quoted:
                yield quote.text, verify.Verdict(True, quote.passage, quote.text)

    def _in_english(self, plan: Plan) -> list[tuple[str, verify.Verdict]]:
        """The glossary's own sentences, or the definitions where not all of the opening is in English."""
        quotes = [(q.text, q.passage) for q in (*plan.opening, *plan.rest) if q.text in self.english]
        if not all(q.text in self.english for q in plan.opening):
            asked = {q.passage.entry_id for q in plan.opening}
            defining = [p for p in plan.passages if p.entry_id in asked and p.section == DEFINITION]
            quotes = [(s, p) for p in defining for s in verify.sentences(p.text) if s in self.english]
        return [(text, verify.Verdict(True, passage, text)) for text, passage in quotes]

    def _refuse(self, question: str, spoken: str, found: Retrieval) -> Answer:
        terms = self._terms(found)
        text = prompt.phrase(spoken, "refusal")
        if terms:
            text += " " + prompt.phrase(spoken, "nearest", terms=prompt.listed(spoken, terms))
        return Answer(question, text, True, spoken, suggestions=terms)

    def _terms(self, found: Retrieval, skip: Set[str] = frozenset()) -> tuple[str, ...]:
        """Headwords of the nearest entries."""
        return tuple(h.passage.term for h in found.hits if h.passage.entry_id not in skip)[:3]


def checked(question: str) -> str:
    """The question, trimmed.

    Raises:
        UsageError: it is empty, has no letter or digit, or is longer than ``LONGEST_QUESTION``.
    """
    question = question.encode(errors="replace").decode().strip()  # bytes that are no UTF-8 come as lone surrogates
    if not question:
        raise UsageError('Spørsmålet er tomt. Skriv for eksempel: tutor ask "hva er weight decay?"')
    if len(question) > LONGEST_QUESTION:
        raise UsageError(f"Spørsmålet har {len(question)} tegn. Kort det ned til {LONGEST_QUESTION} eller færre.")
    if not any(c.isalnum() for c in question):
        raise UsageError("Spørsmålet har verken bokstaver eller tall. Skriv det med ord.")
    return question


def _spoken_before(history: Sequence[Turn]) -> str:
    asked = [t.content for t in history if t.role == "user"]
    return language.asked_for(asked[-1]) or language.detect(asked[-1]) if asked else "nb"


def _again(question: str, history: Sequence[Turn]) -> tuple[str, Sequence[Turn]]:
    """What to answer: the last real question, with what went before it, where this one only asks for a language."""
    if language.only_asks_for(question):
        for place in range(len(history) - 1, -1, -1):
            if history[place].role == "user" and not language.only_asks_for(history[place].content):
                return history[place].content, history[:place]
    return question, history


def _short(answer: Answer, clock: Clock) -> Iterator[Event]:
    """An answer that needs no model."""
    clock.spoke()
    yield Delta(answer.text)
    yield replace(answer, timings=clock.timings({}))


def _cite(cited: list[Citation], passage: Passage, quote: str) -> str:
    """The marker of a quote: its old one where it was cited before."""
    for citation in cited:
        if citation.entry_id == passage.entry_id and citation.quote == quote:
            return citation.marker
    cited.append(Citation(str(len(cited) + 1), passage.entry_id, passage.term, quote))
    return cited[-1].marker


class _Generation:
    """The model's text as it comes; leaving the block stops the model. Fills ``usage`` at the end."""

    def __init__(
        self, llm: BaseChatModel, messages: list[Any], usage: dict[str, Any], stopped: Callable[[], bool]
    ) -> None:
        self._chunks = llm.stream(messages)
        self._usage, self._stopped = usage, stopped

    def __enter__(self) -> Iterator[str]:
        return self._text()

    def __exit__(self, *_: object) -> None:
        close = getattr(self._chunks, "close", None)
        if close:
            close()

    def _text(self) -> Iterator[str]:
        for chunk in self._chunks:
            if self._stopped():
                return
            if chunk.usage_metadata:
                self._usage.update(chunk.usage_metadata)
            if chunk.text:
                yield chunk.text


class Clock:
    """Milliseconds since the question came."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._retrieved = self._first = 0.0

    def _now(self) -> float:
        return (time.perf_counter() - self._start) * 1000

    def retrieved(self) -> None:
        self._retrieved = self._now()

    def spoke(self) -> None:
        self._first = self._first or self._now()

    def timings(self, usage: dict[str, Any]) -> Timings:
        return Timings(
            retrieve_ms=round(self._retrieved, 2),
            first_token_ms=round(self._first, 2),
            total_ms=round(self._now(), 2),
            prompt_tokens=usage.get("input_tokens", 0),
            cached_tokens=(usage.get("input_token_details") or {}).get("cache_read", 0),
            completion_tokens=usage.get("output_tokens", 0),
        )
