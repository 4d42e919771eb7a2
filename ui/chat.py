"""The chat: Gradio carries the questions and streams the conversation; ``turns`` draws it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported

import gradio as gr

from tutor.tutor import Tutor
from tutor.types import Answer, Delta
from ui.desk import Desk, Queued, Refused
from ui.followups import followups
from ui.texts import LANGUAGES, text
from ui.turns import Exchange, View, history, received, sent

WAITING = 500
"""Events that Gradio holds at most. The desk refuses long before, and kindly; Gradio's own refusal is in English."""
DRAWING = ThreadPoolExecutor(2, "draw")
"""Where conversations become HTML: one that somebody made large then keeps neither the server nor answers waiting."""
Step = tuple[list[dict[str, Any]], str]
KEPT = """(turns, language) => {
  try {
    const kept = sessionStorage.getItem("tutor:" + location.pathname);
    if (kept?.length < 150000) turns = JSON.parse(kept);
  } catch {}
  return [turns, language];
}"""
"""The conversation that ``chat.js`` kept in this tab. Storage may be denied; then there is none."""


def theme() -> gr.themes.Base:
    """Gradio's plainest theme with the fonts of the student's own machine; colours are in ``chat.css``."""
    fonts = ["system-ui", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"]
    return gr.themes.Base(font=fonts, font_mono=["ui-monospace", "Consolas", "monospace"])


def make_chat(desk: Desk, up: str, keeps: bool) -> gr.Blocks:
    """The page. ``up`` leads from it to the root of the app: «./» or «../».

    ``keeps``: the conversation survives a reload. The widget's does not, since a frame in another
    site's page has no storage of its own.

    ``@@key@@`` stands for a text in the reader's language, which ``ui.page`` puts in.
    """
    chat = _Chat(desk, up, keeps)
    notice = "notice_feedback" if desk.settings.feedback else "notice"
    page: gr.Blocks
    with gr.Blocks(title="@@page_title@@", analytics_enabled=False) as page:
        language = gr.Textbox("@@language_code@@", visible=False)
        turns = gr.JSON([], visible=False)
        log = gr.HTML("", elem_id="log", js_on_load=None, apply_default_css=False)
        with gr.Row(elem_id="composer"):
            question = gr.Textbox(
                label="@@question@@", placeholder="@@placeholder@@", lines=1, max_lines=6, container=False,
                max_length=desk.settings.longest_question, elem_id="question", scale=1,
            )  # fmt: skip
            send = gr.Button("@@send@@", elem_id="send", variant="primary", scale=0, min_width=80)
            stop = gr.Button("@@stop@@", elem_id="stop", scale=0, min_width=80)
        with gr.Row(elem_id="foot"):
            gr.HTML(f'<p class="notice">@@{notice}@@</p>', elem_id="notice", js_on_load=None, apply_default_css=False)
            gr.Button("@@download@@", elem_id="download", size="sm")  # chat.js does it
            new = gr.Button("@@new@@", elem_id="new", size="sm")

        state = [turns, log]
        page.load(chat.open, [turns, language], state, js=KEPT if keeps else None,
            api_visibility="private", concurrency_limit=None, show_progress="hidden",
        )  # fmt: skip
        gr.on(
            [send.click, question.submit],
            chat.ask, [question, turns, language], [*state, question],
            api_visibility="private", concurrency_limit=None, show_progress="hidden",
            trigger_mode="always_last",  # sent while an answer is being written, or just ending, it waits its turn
        )  # fmt: skip
        quiet: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": None, "show_progress": "hidden"}
        stop.click(chat.stopped, [turns, language], state, **quiet)
        new.click(chat.new, [language], state, **quiet)
    page.queue(max_size=WAITING, api_open=False)
    return page


class _Halt:
    """How a student ends an answer that is being written: «stop» leaves what there is, «new» nothing.

    Gradio's own ``cancels`` will not do: it breaks the page's stream of events off, and where that is seen in time,
    the page takes the connection for lost and sends no more questions.
    """

    def __init__(self) -> None:
        self.how = ""
        self._asked = asyncio.Event()

    def ask(self, how: str) -> None:
        self.how = how
        self._asked.set()

    async def until(self, events: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
        """``events``, until the student wants no more."""
        halted = asyncio.ensure_future(self._asked.wait())
        coming = asyncio.ensure_future(anext(events, None))
        try:
            while not halted.done():
                await asyncio.wait({halted, coming}, return_when=asyncio.FIRST_COMPLETED)
                if halted.done() or (event := await coming) is None:
                    return
                yield event
                coming = asyncio.ensure_future(anext(events, None))
        finally:
            halted.cancel()
            coming.cancel()
            await asyncio.gather(halted, coming, return_exceptions=True)


class _Chat:
    """What happens when the student does something. Keeps nothing but how to end an answer that is being written."""

    def __init__(self, desk: Desk, up: str, keeps: bool) -> None:
        self.desk, self.up, self.keeps = desk, up, keeps
        self._writing: dict[str, _Halt] = {}
        """By the page that asked."""

    def _view(self, language: str) -> View:
        feedback = self.desk.settings.feedback is not None
        return View(language if language in LANGUAGES else "nb", self.up, self.keeps, feedback)

    async def open(self, content: Any, language: str) -> AsyncIterator[Step]:
        """The first sight of the page; says that the tutor is warming up while it is.

        A conversation from before a reload is there again; an answer that was on its way is not taken up.
        """
        view, exchanges = self._view(language), received(content)
        _interrupt(exchanges, view)
        try:
            self.desk.tutor  # noqa: B018  (raises while it is not there)
        except Refused as refused:
            yield sent(exchanges), view.notice(refused.kind)
        try:
            tutor = await self.desk.opened()
        except Refused as refused:
            yield sent(exchanges), view.notice(refused.kind)
        else:
            yield await _step(view, exchanges) if exchanges else ([], view.welcome(starters(tutor, view)))

    async def ask(
        self, question: str, content: Any, language: str, request: gr.Request
    ) -> AsyncIterator[tuple[Any, Any, Any]]:
        """The conversation again and again, each time with more of the answer."""
        if not question.strip():
            yield gr.skip(), gr.skip(), gr.skip()
            return
        view, exchanges = self._view(language), received(content)
        _interrupt(exchanges, view)
        again = exchanges and exchanges[-1].question == question.strip()
        old = exchanges.pop() if again else None  # trying again replaces the old answer, when the desk takes it in
        before = history(exchanges)
        now = Exchange(question=question.strip()[:4000], shortened=old is not None and old.shortened)
        exchanges.append(now)
        yield *await _step(view, exchanges), ""
        client = request.client.host if request.client else ""
        page = request.session_hash or ""
        halt = self._writing[page] = _Halt()
        try:
            async with (
                aclosing(self.desk.stream(question, before, client)) as events,
                aclosing(halt.until(events)) as wanted,
            ):
                async for event in wanted:
                    self._take(event, exchanges, view)
                    yield *await _step(view, exchanges), gr.skip()
        except Refused as refused:
            now.state = "failed"
            now.note = text(view.language, refused.kind, longest=self.desk.settings.longest_question)
            if old and old.text:
                yield *await _step(view, [*exchanges[:-1], old], told=now.note), gr.skip()
            else:
                yield *await _step(view, exchanges), gr.skip()
        finally:
            if self._writing.get(page) is halt:
                del self._writing[page]
        if halt.how == "new":
            yield *self._empty(view), gr.skip()
        elif now.busy:
            _stop(now, view)
            yield *await _step(view, exchanges), gr.skip()

    def _take(self, event: Delta | Answer | Queued, exchanges: list[Exchange], view: View) -> None:
        now = exchanges[-1]
        if isinstance(event, Queued):
            now.note = text(view.language, "queued", n=event.ahead + 1) if event.ahead else ""
        elif isinstance(event, Delta):
            now.add(event)
        else:
            now.finish(event)
            asked = [e.question for e in exchanges]
            now.followups = followups(event, self.desk.tutor.entries, asked, view.language)

    async def stopped(self, content: Any, language: str, request: gr.Request) -> tuple[Any, Any]:
        """The conversation with the last answer left as it was; ``ask`` shows it, if it is at it still."""
        if halt := self._writing.get(request.session_hash or ""):
            halt.ask("stop")
            return gr.skip(), gr.skip()
        view, exchanges = self._view(language), received(content)
        if exchanges and exchanges[-1].busy:
            _stop(exchanges[-1], view)
        return await _step(view, exchanges)

    async def new(self, language: str, request: gr.Request) -> tuple[Any, Any]:
        """An empty conversation; likewise."""
        if halt := self._writing.get(request.session_hash or ""):
            halt.ask("new")
            return gr.skip(), gr.skip()
        return self._empty(self._view(language))

    def _empty(self, view: View) -> Step:
        try:
            return [], view.welcome(starters(self.desk.tutor, view))
        except Refused as refused:
            return [], view.notice(refused.kind)


async def _step(view: View, exchanges: list[Exchange], told: str = "") -> Step:
    """The conversation as data and as HTML, drawn where the server does not wait for it."""
    drawn = asyncio.get_running_loop().run_in_executor(DRAWING, view.conversation, exchanges, told)
    return sent(exchanges), await drawn


def _stop(exchange: Exchange, view: View) -> None:
    exchange.state, exchange.note = "stopped", text(view.language, "stopped")


def _interrupt(exchanges: list[Exchange], view: View) -> None:
    """Mark what was on its way when the page lost its connection or was left."""
    for e in exchanges:
        if e.busy:
            e.state, e.note = "stopped", text(view.language, "interrupted")


def starters(tutor: Tutor, view: View) -> list[str]:
    """A few questions on what most of the glossary refers to."""
    kinds = ("means", "example", "simply")
    return [text(view.language, kind, term=t) for kind, t in zip(kinds, tutor.retriever.starters, strict=False)]
