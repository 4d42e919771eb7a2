"""The desk in front of the tutor: as many questions at once as the model writes, a short queue, and fair turns.

Chat and API both ask here. Nothing that is asked is stored or logged.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from tutor.ahead import read_on
from tutor.open import in_background
from tutor.tutor import Tutor
from tutor.types import Answer, Event, Turn
from ui.settings import WebSettings

log = logging.getLogger("tutor.ui")
MINUTE = 60.0
MOST_CLIENTS = 10_000
SOON = 0.5
"""Seconds after which a student who has seen nothing is told the place in line."""


@dataclass(frozen=True)
class Queued:
    """``ahead`` questions came before this one and are not answered to the end yet."""

    ahead: int


class Refused(Exception):
    """A question that is not taken in. ``kind`` names the text in ``ui.texts`` that tells why."""

    STATUS: ClassVar = {
        "empty": 422,
        "long": 422,
        "rate": 429,
        "queue": 503,
        "warming": 503,
        "failed": 503,
        "error": 500,
    }

    def __init__(self, kind: str, retry_after: int = 0) -> None:
        super().__init__(kind)
        self.kind, self.retry_after = kind, retry_after

    @property
    def status(self) -> int:
        """The HTTP status that says the same."""
        return self.STATUS[self.kind]


class Desk:
    """Owns the tutor: opens it in the background, lets in as many as it answers at once, keeps the limits.

    Those who ask the same, after the same conversation, while it is being answered share the answer.
    """

    def __init__(
        self, open_tutor: Callable[[], Tutor], settings: WebSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.settings = settings
        self._open, self._clock = open_tutor, clock
        self._opened: Future[Tutor] = Future()
        self._places: asyncio.Semaphore | None = None
        self._at_once = 1
        self._line: list[_Work] = []
        """The questions that are being answered or wait, in order."""
        self._asked: dict[str, deque[float]] = {}

    def start(self, failed: Callable[[], None] = lambda: None) -> None:
        """Open the tutor and load its model in a thread; call ``failed`` if that cannot be done."""
        self._opened.set_running_or_notify_cancel()

        def work() -> None:
            try:
                tutor = self._open()
                load = getattr(tutor.llm, "load", None)
                if load:
                    load()
            except Exception as error:
                self._opened.set_exception(error)
                failed()
            else:
                self._opened.set_result(tutor)

        threading.Thread(target=work, daemon=True, name="open-tutor").start()

    @property
    def error(self) -> BaseException | None:
        """Why the tutor could not be opened, or None."""
        return self._opened.exception() if self._opened.done() else None

    @property
    def tutor(self) -> Tutor:
        """The tutor.

        Raises:
            Refused: it is warming up, or could not be opened.
        """
        if not self._opened.done():
            raise Refused("warming", retry_after=5)
        if self._opened.exception():
            raise Refused("failed")
        return self._opened.result()

    async def opened(self) -> Tutor:
        """The tutor, once it is ready. Raises ``Refused`` if it could not be opened."""
        try:
            return await asyncio.shield(asyncio.wrap_future(self._opened))
        except Exception as error:
            raise Refused("failed") from error

    async def stream(self, question: str, history: Sequence[Turn], client: str) -> AsyncGenerator[Event | Queued, None]:
        """``Queued`` while others are before or nothing is said yet, then what ``Tutor.stream`` yields.

        Closing it stops the model.

        Raises:
            Refused: the question is empty or too long, or comes too often, or too many wait already.
        """
        question = self._admitted(question, client)
        tutor = await self.opened()
        work = self._joined(tutor, question, list(history)[-self.settings.longest_history :])
        work.listeners += 1
        try:
            while not work.place.done():
                if (ahead := self._line.index(work)) >= self._at_once:
                    yield Queued(ahead)
                await asyncio.wait({work.place}, timeout=1)
            work.start(self._leave)
            if not await work.heard(SOON):
                yield Queued(self._line.index(work))
            async for event in work:
                yield event
        except Exception as error:
            log.error("Svaret stoppet: %s", type(error).__name__)  # no more: a message can hold the question
            raise Refused("error") from error
        finally:
            work.listeners -= 1
            if not work.listeners:
                work.stop()
                if not work.started:
                    self._leave(work)

    def _joined(self, tutor: Tutor, question: str, history: list[Turn]) -> _Work:
        """The work on this question: what is under way on the very same one, or new work at the end of the line."""
        for work in self._line:
            if (work.question, work.history) == (question, history) and not work.stopped:
                return work
        if len(self._line) >= self.settings.longest_queue:
            raise Refused("queue", retry_after=10)
        if self._places is None:
            self._at_once = getattr(tutor.llm, "students", 1)
            self._places = asyncio.Semaphore(self._at_once)
        work = _Work(tutor, question, history, asyncio.ensure_future(self._places.acquire()))
        self._line.append(work)
        return work

    def _leave(self, work: _Work) -> None:
        assert self._places
        self._line.remove(work)
        if work.place.done() and not work.place.cancelled():
            self._places.release()
        else:
            work.place.cancel()

    def _admitted(self, question: str, client: str) -> str:
        question = question.encode(errors="replace").decode().replace("\0", "").strip()
        if not any(c.isalnum() for c in question):
            raise Refused("empty")
        if len(question) > self.settings.longest_question:
            raise Refused("long")
        self._count(client)
        return question

    def _count(self, client: str) -> None:
        """Note one question of ``client``; refuse it when there were enough in the last minute."""
        now = self._clock()
        times = self._asked.setdefault(client, deque())
        while times and now - times[0] > MINUTE:
            times.popleft()
        if len(times) >= self.settings.questions_a_minute:
            raise Refused("rate", retry_after=max(1, round(MINUTE - (now - times[0]))))
        times.append(now)
        if len(self._asked) > MOST_CLIENTS:
            self._asked = {c: t for c, t in self._asked.items() if t and now - t[-1] <= MINUTE}


class _Work:
    """``Tutor.stream`` in a thread of its own, read from the event loop by all who asked. ``place``: its turn."""

    def __init__(self, tutor: Tutor, question: str, history: list[Turn], place: asyncio.Future[object]) -> None:
        self.question, self.history, self.place = question, history, place
        self.listeners = 0
        self.started = False
        self._tutor = tutor
        self._loop = asyncio.get_running_loop()
        self._past: list[Event | Exception | None] = []
        self._readers: list[asyncio.Queue[Event | Exception | None]] = []
        self._first = asyncio.Event()
        self._stopped = threading.Event()

    def start(self, ended: Callable[[_Work], None]) -> None:
        """Let the thread begin, once; ``ended`` is called when the model is free again."""
        if not self.started:
            self.started = True
            self._loop.run_in_executor(None, self._run).add_done_callback(lambda _: ended(self))

    def stop(self) -> None:
        """Ask the thread to end."""
        self._stopped.set()

    @property
    def stopped(self) -> bool:
        """Is it ending, because nobody listens?"""
        return self._stopped.is_set()

    def _put(self, item: Event | Exception | None) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._arrived, item)

    async def heard(self, within: float) -> bool:
        """Has anything come, at the latest ``within`` seconds from now?"""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._first.wait(), within)
        return self._first.is_set()

    def _arrived(self, item: Event | Exception | None) -> None:
        self._first.set()
        self._past.append(item)
        for reader in self._readers:
            reader.put_nowait(item)

    def _run(self) -> None:
        try:
            with closing(self._tutor.stream(self.question, self.history, self._stopped.is_set)) as events:  # type: ignore[type-var]
                for event in events:
                    if self._stopped.is_set():
                        return
                    self._put(event)
                    if isinstance(event, Answer):
                        in_background(partial(read_on, self._tutor, event))
        except Exception as error:
            self._put(error)
        finally:
            self._put(None)

    async def __aiter__(self) -> AsyncIterator[Event]:
        events: asyncio.Queue[Event | Exception | None] = asyncio.Queue()
        for item in self._past:
            events.put_nowait(item)
        self._readers.append(events)
        while (item := await events.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
