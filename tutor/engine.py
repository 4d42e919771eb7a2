"""One model, many questions: a single thread owns llama.cpp and writes several answers at once."""

from __future__ import annotations

import codecs
import hashlib
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from tutor.llama import PIECE, Llama, Sampler, build
from tutor.states import Layout, States, keys, piece_ends

MOST_SOON = 24
"""Prompts that wait to be read for what students may ask next; older ones are dropped."""
NEVER = 2**31
"""No prompt is so long."""


@dataclass(eq=False)
class Job:
    """One answer to write: what is asked for, and how far it has come. Iterate for its text.

    With ``options`` nothing is written: ``scores`` gets the logit of each of these tokens as the next one.
    ``cached``: prompt tokens that were not evaluated again; ``made``: tokens written, the one that ends
    the answer not counted; ``reason``: «stop» or «length». ``cancelled`` stops it at the next token.
    """

    tokens: list[int]
    max_tokens: int
    temperature: float = 0.0
    stop: tuple[str, ...] = ()
    options: tuple[int, ...] = ()
    scores: tuple[float, ...] = ()
    cached: int = 0
    made: int = 0
    reason: str = "stop"
    cancelled: bool = False
    _out: SimpleQueue[str | BaseException | None] = field(default_factory=SimpleQueue)

    def __iter__(self) -> Iterator[str]:
        try:
            while (item := self._out.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            self.cancelled = True

    def say(self, text: str) -> None:
        """Hand on some text."""
        if text:
            self._out.put(text)

    def end(self, error: BaseException | None = None) -> None:
        """No more is to come."""
        self._out.put(error)


class Text:
    """Bytes from the model to text that may be shown: whole characters, and nothing from a stop string on."""

    def __init__(self, stop: tuple[str, ...]) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        self._stop, self._pending = stop, ""
        self.stopped = False

    def add(self, raw: bytes, last: bool = False) -> str:
        """What ``raw`` adds. What may turn out to be the beginning of a stop string waits."""
        text = self._pending + self._decoder.decode(raw, last)
        found = [at for s in self._stop if (at := text.find(s)) >= 0]
        if found:
            self.stopped, self._pending = True, ""
            return text[: min(found)]
        held = 0 if last else max((n for s in self._stop for n in range(1, len(s)) if text.endswith(s[:n])), default=0)
        self._pending = text[len(text) - held :]
        return text[: len(text) - held]


class _Writing:
    """A job in its sequence. A prompt that is only prepared has ``max_tokens`` 0."""

    def __init__(self, job: Job, sequence: int, ends: list[int], names: list[str], kept: int, adapted: int) -> None:
        self.job, self.sequence, self.ends, self.names = job, sequence, ends, names
        self.adapted = adapted
        """The position from which the adapter is in use."""
        self.soon = False
        """Was it prepared for what a student may ask next? Then it is kept in memory only."""
        self.kept = kept
        """Pieces of the prompt that are kept for others."""
        self.done = 0
        """Prompt tokens evaluated."""
        self.next = -1
        """The token to go on from, once the prompt is evaluated."""
        self.text, self.sampler = Text(job.stop), Sampler(job.temperature)


class Engine:
    """Queues jobs, oldest first, and writes up to ``sequences`` of them together.

    Prompts are evaluated one piece at a time, between the tokens of the answers under way, and never in one
    batch with them: so a prompt's state is the same whoever else asks. An activated LoRA is in use from where its
    invocation stands last in the prompt; what is kept of the prompt before that serves with it and without. The
    owning thread lives while there is work. Raises ``ModelError`` as ``Llama``.
    """

    def __init__(
        self, path: Path, lora: Path | None, n_ctx: int, threads: int, sequences: int, states: States | None
    ) -> None:
        self.states = states or States(None, 0)
        self.sequences = sequences
        # A thread that has computed keeps its team of OpenMP threads for as long as it lives, and with more of them
        # than cores all wait in their sleep instead of at the ready: 18 tokens a second for 27. So this one ends.
        with ThreadPoolExecutor(1) as loader:
            self.llama = loader.submit(Llama, path, lora, n_ctx, threads, sequences).result()
            self._layout = loader.submit(self._probe).result()
        shape = self._layout and self._layout.shape
        self._adapted = f"{fingerprint(path, lora)} {shape}"
        self._plain = f"{fingerprint(path, None)} {shape}" if self.llama.invocation else self._adapted
        self._blanks: dict[int, bool] = {}
        self._waiting: deque[Job] = deque()
        self._later: deque[list[int]] = deque()
        self._soon: deque[list[int]] = deque(maxlen=MOST_SOON)
        self._writing: list[_Writing] = []
        self._lock = threading.Lock()
        self._owner: threading.Thread | None = None

    def submit(self, job: Job) -> Job:
        """Put ``job`` in the queue. Its text comes by iterating over it."""
        with self._lock:
            self._waiting.append(job)
            self._work()
        return job

    def prepare(self, fronts: Sequence[list[int]], soon: bool = False) -> None:
        """Evaluate fronts of prompts when nobody waits, and keep their states while the disk has room.

        Those wanted ``soon`` go before all others, the newest first, and are kept in memory only.
        """
        with self._lock:
            if soon:
                self._soon.extend(reversed(fronts))
            else:
                self._later.extend(fronts)
            self._work()

    @property
    def idle(self) -> bool:
        """Is there nothing left to do or to prepare?"""
        return self._owner is None

    def _probe(self) -> Layout | None:
        """How this model's states are laid out; None where that is not understood, and nothing is kept."""
        tokens = self.llama.tokenize("en to tre", special=False)[:3]
        self.llama.decode([(token, n, 0, n == len(tokens) - 1) for n, token in enumerate(tokens)])
        state = self.llama.state(0)
        self.llama.clear(0)
        return Layout.of(state, len(tokens), self.sequences)

    def _work(self) -> None:
        if self._owner is None:
            self._owner = threading.Thread(target=self._own, daemon=True, name="llama")
            self._owner.start()

    def _own(self) -> None:
        while True:
            with self._lock:
                self._take_in()
                if not self._writing:
                    self._owner = None
                    return
            try:
                self._round()
            except Exception as error:
                for writing in list(self._writing):
                    self._leave(writing, error)

    def _take_in(self) -> None:
        """Give waiting jobs a sequence; when there are none, prepare. A preparation gives way to any job."""
        for writing in [w for w in self._writing if self._waiting and not w.job.max_tokens]:
            if writing.soon:
                self._soon.append(writing.job.tokens)
            else:
                self._later.appendleft(writing.job.tokens)
            self._writing.remove(writing)
        free = sorted(set(range(self.sequences)) - {w.sequence for w in self._writing})
        while free and self._waiting:
            job = self._waiting.popleft()
            if not job.cancelled:
                self._writing.append(self._begin(job, free.pop(0)))
        while (self._soon or self._later) and not self._writing:
            soon = bool(self._soon)
            ready = self._begin(Job(self._soon.pop() if soon else self._later.popleft(), max_tokens=0), 0)
            ready.soon, names = soon, ready.names[:-1]
            if (soon or self.states.ahead(names)) and not all(self.states.has(n) for n in names):
                self._writing.append(ready)

    def _begin(self, job: Job, sequence: int) -> _Writing:
        ends, adapted = self.ends(job.tokens), self._invoked(job.tokens)
        asked = max((n for n, token in enumerate(job.tokens, 1) if self.blank(token)), default=0)
        kept = sum(end <= asked for end in ends) if job.max_tokens else len(ends) - 1
        plain = sum(end <= adapted for end in ends)
        names = [*keys(self._plain, job.tokens, ends)[:plain], *keys(self._adapted, job.tokens, ends)[plain:]]
        return _Writing(job, sequence, ends, names, kept, adapted)

    def ends(self, tokens: list[int]) -> list[int]:
        """Where the pieces of a prompt end; one ends where the adapter comes into use."""
        start = min(self._invoked(tokens), len(tokens))
        front = piece_ends(tokens[: start + 1], self.blank, PIECE)[:-1] if 0 < start < len(tokens) else []
        start = front[-1] if front else 0
        return [*front, *(start + end for end in piece_ends(tokens[start:], self.blank, PIECE))]

    def _invoked(self, tokens: list[int]) -> int:
        """The position from which the adapter is in use: past any answer's end where its invocation is missing."""
        wanted = self.llama.invocation
        places = range(len(tokens) - len(wanted), -1, -1)
        return next((n for n in places if tokens[n : n + len(wanted)] == wanted), NEVER) if wanted else 0

    def _round(self) -> None:
        """A piece of the oldest prompt that is not read to its end, and a token of every answer under way."""
        for writing in [w for w in self._writing if w.job.cancelled]:
            self._leave(writing)
        reading = [w for w in self._writing if w.next < 0]
        if reading:
            self._read(reading[0])
        for adapted in (False, True):
            going = [w for w in self._writing if w.next >= 0 and (w.adapted != NEVER) is adapted]
            self._write(sorted(going, key=lambda w: w.sequence), adapted)

    def _write(self, going: list[_Writing], adapted: bool) -> None:
        """A token of each."""
        if going:
            self.llama.adapt(adapted)
            self.llama.decode([(w.next, len(w.job.tokens) + w.job.made - 1, w.sequence, True) for w in going])
            for row, writing in enumerate(going):
                self._say(writing, self.llama.sample(writing.sampler.chain, row))

    def _read(self, w: _Writing) -> None:
        """Evaluate the next piece of a prompt. What is kept of its front comes first."""
        if not w.done:
            self.llama.clear(w.sequence)
            w.done = w.job.cached = self._recall(w)
        tokens, start = w.job.tokens, w.done
        end = next(e for e in w.ends if e > start)
        last = end == len(tokens)
        if last and not w.job.max_tokens:
            self._leave(w)
            return
        self.llama.adapt(start >= w.adapted)
        self.llama.decode([(tokens[n], n, w.sequence, n == len(tokens) - 1) for n in range(start, end)])
        w.done = end
        if w.kept and end == w.ends[w.kept - 1]:
            self._keep(w)
        if last and w.job.options:
            w.job.scores = self.llama.logits(end - start - 1, w.job.options)
            self._leave(w)
        elif last:
            self._say(w, self.llama.sample(w.sampler.chain, end - start - 1))

    def _say(self, w: _Writing, token: int) -> None:
        """Hand on the text of ``token``, and go on from it or end."""
        job = w.job
        ended = self.llama.ends(token)
        job.say(w.text.add(b"" if ended else self.llama.text_of(token), last=ended))
        if not ended:
            job.made += 1
            w.next = token
            if job.made >= job.max_tokens and not w.text.stopped:
                job.reason = "length"
                job.say(w.text.add(b"", last=True))
                ended = True
        if ended or w.text.stopped:
            self._leave(w)

    def _leave(self, w: _Writing, error: BaseException | None = None) -> None:
        self._writing.remove(w)
        self.llama.clear(w.sequence)
        w.job.end(error)

    def _recall(self, w: _Writing) -> int:
        """Put what is kept of the prompt's front into its sequence; the number of tokens."""
        found = []
        for name in w.names[:-1]:
            piece = self.states.get(name)
            if piece is None:
                break
            found.append(piece)
        if not found or not self._layout or not self.llama.restore(w.sequence, self._layout.join(found)):
            return 0
        self.states.used(w.names[: len(found)])
        return w.ends[len(found) - 1]

    def _keep(self, w: _Writing) -> None:
        """Keep the pieces of the prompt's front that are not kept yet."""
        new = [n for n, name in enumerate(w.names[: w.kept]) if not self.states.has(name)]
        if not new or not self._layout:
            return
        state, starts = self.llama.state(w.sequence)[4 * w.sequence :], [0, *w.ends]
        for n in reversed(new):
            self.states.put(w.names[n], self._layout.cut(state, starts[n], w.ends[n], w.done), on_disk=not w.soon)

    def blank(self, token: int) -> bool:
        """Does ``token`` end with a blank line?"""
        if token not in self._blanks:
            self._blanks[token] = self.llama.text_of(token).endswith(b"\n\n")
        return self._blanks[token]


def fronts(engine: Engine, prompts: list[list[int]]) -> list[list[int]]:
    """What to prepare for ``prompts``: the first piece of each, then the first two, and so on, each once."""
    cuts = [(p, engine.ends(p)) for p in prompts]
    deepest = max((len(ends) for _, ends in cuts), default=0)
    found = [tuple(p[: ends[n] + 1]) for n in range(deepest - 1) for p, ends in cuts if n < len(ends) - 1]
    return [list(front) for front in dict.fromkeys(found)]


def fingerprint(path: Path, lora: Path | None) -> str:
    """What a state depends on besides the tokens: the weights and how this machine computes with them."""
    found = hashlib.blake2b(build().encode(), digest_size=16)
    for file in (path, lora):
        if file:
            with file.open("rb") as content:
                head = content.read(1024**2)
                content.seek(max(0, file.stat().st_size - 1024**2))
                found.update(f"{file.stat().st_size}".encode() + head + content.read())
    return found.hexdigest()
