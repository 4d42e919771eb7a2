"""How fast the tutor answers, beside the plain pipeline and the raw decode loop, in one process and one run.

The plain pipeline (``evals.plain``) has the same weights, passages and threads, through llama-cpp-python as
it comes, and evaluates every prompt from its first token. Each question goes to both, one after the other.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from threading import Lock
from types import SimpleNamespace
from typing import Any, TypeVar

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from evals.cases import Case, shipped
from evals.plain import Plain
from tutor.ahead import read_on
from tutor.llama import Llama, Sampler
from tutor.llm import LlamaCppChat
from tutor.tutor import Tutor
from tutor.types import Answer, Turn
from tutor.verify import stream_sentences

Made = TypeVar("Made")
DECODED = 64
"""Tokens per measurement of the decode loops."""
READING = 10.0
"""Seconds that a student reads an answer before the next question, in the benchmark."""


class Watched:
    """A chat model that notes, for the last question, when its first text came and how long it was waited for.

    ``made``: pieces of text that it has written in all, very nearly a token each. An answer that the tutor cuts at
    its longest has no count of its own.
    """

    def __init__(self, llm: LlamaCppChat) -> None:
        self.llm, self.name, self.students = llm, llm.name, llm.students
        self.first = self.waited = 0.0
        self.made = 0
        self.prompts: list[list[BaseMessage]] = []
        self._counting = Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.llm, name)

    def stream(self, messages: list[BaseMessage]) -> Iterator[Any]:
        self.first = self.waited = 0.0
        self.prompts.append(messages)
        chunks = self.llm.stream(messages)
        while True:
            asked = time.perf_counter()
            chunk = next(chunks, None)
            self.waited += time.perf_counter() - asked
            if chunk is None:
                return
            self.first = self.first or time.perf_counter()
            if chunk.text:
                with self._counting:
                    self.made += 1
            yield chunk


class AsItComes:
    """llama-cpp-python's own chat completion, with nothing kept from one question to the next."""

    name = "llama-cpp-python"

    def __init__(self, like: LlamaCppChat) -> None:
        from llama_cpp import Llama

        threads = {"n_threads": like.n_threads, "n_threads_batch": like.n_threads}
        lora = str(like.lora_path) if like.lora_path else None
        self._llama = Llama(str(like.model_path), lora_path=lora, n_ctx=like.n_ctx, verbose=False, **threads)
        self._longest = like.max_tokens

    def stream(self, messages: Sequence[BaseMessage]) -> Iterator[Any]:
        roles = {"system": "system", "human": "user", "ai": "assistant"}
        told: list[Any] = [{"role": roles[m.type], "content": m.text} for m in messages]
        self._llama.reset()
        pieces = self._llama.create_chat_completion(told, stream=True, temperature=0, max_tokens=self._longest)
        for piece in pieces:
            yield SimpleNamespace(text=piece["choices"][0]["delta"].get("content") or "")  # type: ignore[index]


@dataclass
class Seen:
    """Seconds, one a question: when the student saw a sentence, the model's first text, the end, and without it."""

    sentence: list[float] = field(default_factory=list)
    token: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)


def middle(values: Sequence[float]) -> str:
    """Median and range, as «0,85 (0,61–1,20)» with a point."""
    if not values:
        return "–"
    return f"{statistics.median(values):.3g} ({min(values):.3g}–{max(values):.3g})"


def ours(tutor: Tutor, model: Watched, case: Case, seen: Seen) -> Answer:
    """Ask the tutor. What needs no model is left out of the model's times."""
    began, first, model.first = time.perf_counter(), 0.0, 0.0
    answer: Answer | None = None
    for event in tutor.stream(case.question, case.history):
        first = first or time.perf_counter()
        if isinstance(event, Answer):
            answer = event
    assert answer
    if model.first:
        whole = time.perf_counter() - began
        seen.sentence.append(first - began)
        seen.token.append(model.first - began)
        seen.whole.append(whole)
        seen.own.append((whole - model.waited) / whole)
    return answer


def alone(work: Callable[[], Made]) -> Made:
    """What ``work`` returns, done in a thread that ends: its OpenMP threads go with it (see ``tutor/engine.py``)."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


def plainly(plain: Plain, case: Case, seen: Seen, to_the_end: bool) -> None:
    """Ask the plain pipeline, to the end of the first sentence or of the answer."""
    began, first = time.perf_counter(), 0.0

    def noting(texts: Iterator[str]) -> Iterator[str]:
        nonlocal first
        for text in texts:
            first = first or time.perf_counter()
            yield text

    for number, _ in enumerate(stream_sentences(noting(plain.stream(case.question)))):
        if number == 0:
            seen.sentence.append(time.perf_counter() - began)
        if not to_the_end:
            break
    if first:
        seen.token.append(first - began)
        seen.whole.append(time.perf_counter() - began)


def side_by_side(tutor: Tutor, model: Watched, plain: Plain, cases: Sequence[Case]) -> tuple[Seen, Seen]:
    """Both on every case, after the tutor was asked what the history says was asked.

    Between two turns a student reads, at most ``READING`` seconds, and the model reads on as it does in a server.
    """
    mine, theirs = Seen(), Seen()
    for case in cases:
        said: tuple[Turn, ...] = ()
        for turn in case.history:
            if turn.role == "user":
                read_on(tutor, tutor.ask(turn.content, said))
                _until(lambda: model.llm._engine.idle, READING)
            said = (*said, turn)
        before = len(mine.token)
        ours(tutor, model, case, mine)
        if len(mine.token) > before:
            alone(partial(plainly, plain, case, theirs, to_the_end=True))
    return mine, theirs


def decoding(llm: LlamaCppChat, messages: list[BaseMessage], repeats: int) -> tuple[list[float], list[float]]:
    """Tokens a second of ``LlamaCppChat.stream`` and of a bare loop over the same prompt, in turn."""
    through, raw = [], []
    engine = llm._engine
    tokens = llm._prompt(messages)
    for _ in range(repeats):
        chunks = iter(llm.stream(messages, max_tokens=DECODED + 1))
        next(chunks)
        began = time.perf_counter()
        *_, last = chunks
        assert last.usage_metadata
        through.append((last.usage_metadata["output_tokens"] - 1) / (time.perf_counter() - began))
        _until(lambda: engine.idle)
        raw.append(alone(partial(_raw_loop, engine.llama, tokens)))
    return through, raw


def together(llm: LlamaCppChat, messages: list[BaseMessage], students: int) -> float:
    """Tokens a second of a bare loop that writes ``students`` answers to the same prompt in one batch."""
    return alone(partial(_raw_loop, llm._engine.llama, llm._prompt(messages), students))


def _raw_loop(llama: Llama, tokens: list[int], sequences: int = 1) -> float:
    """Tokens a second of ``sequences`` together."""
    sampler = Sampler(0)
    for s, start in product(range(sequences), range(0, len(tokens), 64)):
        part = tokens[start : start + 64]
        llama.decode([(t, start + n, s, start + n == len(tokens) - 1) for n, t in enumerate(part)])
    token, count = llama.sample(sampler.chain, -1), 0
    began = time.perf_counter()
    while count < DECODED and not llama.ends(token):
        llama.decode([(token, len(tokens) + count, s, True) for s in range(sequences)])
        token, *_ = [llama.sample(sampler.chain, row) for row in range(sequences)]
        count += 1
    pace = count * sequences / (time.perf_counter() - began)
    for s in range(sequences):
        llama.clear(s)
    return pace


def _until(done: Callable[[], bool], seconds: float = 1200) -> None:
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        time.sleep(0.05)


def at_once(tutor: Tutor, model: Watched, cases: Sequence[Case], students: int) -> tuple[float, list[float]]:
    """Tokens a second of all together, and the seconds each waited for a first word, ``students`` at a time."""

    def one(case: Case) -> float:
        began = time.perf_counter()
        events = tutor.stream(case.question)
        next(events)
        waited = time.perf_counter() - began
        for _ in events:
            pass
        return waited

    began, before = time.perf_counter(), model.made
    with ThreadPoolExecutor(students) as pool:
        waits = list(pool.map(one, cases))
    return (model.made - before) / (time.perf_counter() - began), waits


def by_length(model: LlamaCppChat, plain: AsItComes, texts: Sequence[str]) -> list[tuple[int, float, float]]:
    """Prompt tokens, and seconds to the first text: ours with the sources read before, plain."""
    found = []
    for count in range(1, len(texts) + 1):
        sources = "\n\n".join(texts[:count])

        def asked(question: str, sources: str = sources) -> list[BaseMessage]:
            return [SystemMessage("Du er en norsk faglærer."), HumanMessage(f"Kilder:\n\n{sources}\n\n{question}")]

        def first(model: LlamaCppChat | AsItComes, question: str) -> float:
            began = time.perf_counter()
            chunks: Any = model.stream(asked(question))
            while not next(chunks).text:
                pass
            taken = time.perf_counter() - began
            chunks.close()
            return taken

        question = "Spørsmål: Hvorfor er det nyttig?"
        first(model, "Spørsmål: Hva handler dette om?")
        held, length = first(model, question), len(model._prompt(asked(question)))
        found.append((length, held, alone(partial(first, plain, question))))
    return found


def same_without(tutor: Tutor, model: Watched, cases: Sequence[Case]) -> int:
    """On how many of ``cases`` the model writes the same, token for token, with its states and without."""
    from tutor.states import States

    model.llm.load()
    engine, same = model.llm._engine, 0
    for case in cases:
        with_states = tutor.ask(case.question, case.history)
        kept, engine.states = engine.states, States(None, 0)
        without = tutor.ask(case.question, case.history)
        engine.states = kept
        assert without.timings.cached_tokens == 0
        timeless = [replace(a, timings=replace(a.timings, cached_tokens=0, retrieve_ms=0, first_token_ms=0, total_ms=0))
                    for a in (with_states, without)]  # fmt: skip
        same += timeless[0] == timeless[1]
    return same


def charts(folder: Path, lengths: Sequence[tuple[int, float, float]], throughput: dict[int, float]) -> None:
    """First-token time against prompt length, and throughput against students, as SVG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    folder.mkdir(exist_ok=True)
    figure, axes = pyplot.subplots(figsize=(5, 3.2))
    size, held, plain = zip(*lengths, strict=True)
    axes.plot(size, plain, "o-", color="grey", label="plain pipeline")
    axes.plot(size, held, "o-", label="tutor, sources read before")
    axes.set(xlabel="prompt tokens", ylabel="seconds to the first token", ylim=(0, None))
    axes.legend()
    figure.savefig(folder / "first-token.svg", bbox_inches="tight")
    pyplot.close(figure)
    figure, axes = pyplot.subplots(figsize=(5, 3.2))
    axes.bar([str(n) for n in throughput], list(throughput.values()))
    axes.set(xlabel="students at once", ylabel="tokens a second, all together")
    figure.savefig(folder / "students.svg", bbox_inches="tight")
    pyplot.close(figure)


def main() -> int:
    """Does the tutor answer the same with its states and without? On covered dev questions, one at a time."""
    import argparse

    from tutor.open import open_tutor

    options = argparse.ArgumentParser(description=main.__doc__)
    options.add_argument("--limit", type=int, default=100)
    limit = options.parse_args().limit
    tutor: Any = open_tutor()
    tutor.llm = Watched(tutor.llm)
    cases = [c for c in shipped("dev") if c.covered and c.kind != "smalltalk"][:limit]
    same = same_without(tutor, tutor.llm, cases)
    print(f"The same in {same} of {len(cases)} answers.")
    return 0 if same == len(cases) else 1


if __name__ == "__main__":
    sys.exit(main())
