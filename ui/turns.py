"""The conversation as the browser keeps it, and as HTML.

Every request brings the whole conversation and every response takes it back: the server keeps
nothing. What comes from the browser is checked like any other input.
"""

from __future__ import annotations

import json
import re
from html import escape
from typing import Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, Field, ValidationError

from tutor.language import detect
from tutor.types import Answer, Citation, Delta, Turn
from ui import render
from ui.texts import text

LARGEST = 100_000
"""Characters of the conversation that the browser may send, as JSON: some sixty exchanges."""
NUMBER = r"(?:\d{1,2}\.|[-*]) (?=\S)"
"""A sentence that stood in a list carries its number along; in running text that is noise."""
State = Literal["working", "writing", "done", "stopped", "failed"]


class Source(BaseModel):
    """A citation on its way to and from the browser."""

    marker: str = Field(pattern=r"^\d{1,2}$")
    entry_id: str = Field(pattern=r"^[\w.-]{1,200}$")
    term: str = Field(max_length=300)
    quote: str = Field(max_length=5000)


class Exchange(BaseModel):
    """One question and what came of it. ``note`` is a word from us: queued, stopped, refused entry.

    ``shortened``: what was said before it is kept no longer.
    """

    question: str = Field(max_length=4000)
    text: str = Field(default="", max_length=20_000)
    refused: bool = False
    sources: list[Source] = Field(default_factory=list, max_length=20)
    suggestions: list[str] = Field(default_factory=list, max_length=5)
    state: State = "working"
    note: str = Field(default="", max_length=500)
    followups: list[str] = Field(default_factory=list, max_length=5)
    shortened: bool = False

    @property
    def busy(self) -> bool:
        """Is the answer still on its way?"""
        return self.state in ("working", "writing")

    @property
    def marks(self) -> str:
        """A pattern for one or more markers. An index such as ``x[1]`` is none: it has no space before it."""
        marker = rf"\[(?:{'|'.join(s.marker for s in self.sources) or '(?!)'})\]"
        return rf" {marker}(?: ?{marker})*"

    @property
    def unmarked(self) -> str:
        """The answer without its markers. What looks like one in code or a formula stays."""
        either = rf"{render.CODE_OR_MATH.pattern}|(?P<marks>{self.marks})"
        return re.sub(either, lambda m: "" if m["marks"] else m[0], self.text, flags=re.DOTALL)

    def add(self, delta: Delta) -> None:
        """Take over a sentence and what it cites."""
        self.text, self.state, self.note = self.text + delta.text, "writing", ""
        known = {s.marker for s in self.sources}
        self.sources += [_source(c) for c in delta.citations if c.marker not in known]

    def finish(self, answer: Answer) -> None:
        """Take over the whole answer."""
        self.text, self.refused, self.state, self.note = answer.text, answer.refused, "done", ""
        self.sources = [_source(c) for c in answer.citations]
        self.suggestions = list(answer.suggestions)


def _source(citation: Citation) -> Source:
    return Source.model_construct(
        marker=citation.marker, entry_id=citation.entry_id, term=citation.term, quote=citation.quote
    )


def received(content: Any) -> list[Exchange]:
    """The conversation that the browser sent; an empty one if it is not what we once sent out.

    Of one that has grown too large, the newest exchanges.
    """
    newest: list[Exchange] = []
    left = LARGEST
    try:
        for e in reversed(list(content or [])):
            exchange = Exchange.model_validate(e)
            left -= len(exchange.model_dump_json())
            if left < 0:
                break
            newest.append(exchange)
    except (ValidationError, TypeError):
        return []
    if newest and left < 0:
        newest[-1].shortened = True
    return newest[::-1]


def sent(exchanges: list[Exchange]) -> list[dict[str, Any]]:
    """The conversation as plain data."""
    return [e.model_dump() for e in exchanges]


def history(exchanges: list[Exchange]) -> list[Turn]:
    """What the tutor reads of what was said before."""
    return [turn for e in exchanges if e.text for turn in (Turn("user", e.question), Turn("assistant", e.unmarked))]


def markdown(exchanges: list[Exchange], language: str) -> str:
    """The conversation as the student takes it home."""
    parts = [f"# {text(language, 'page_title')}"]
    if exchanges and exchanges[0].shortened:
        parts.append(f"*{text(language, 'shortened')}*")
    for e in exchanges:
        parts += [f"## {' '.join(e.question.split())}", *([e.text] if e.text else []), *([e.note] if e.note else [])]
        if e.sources:
            parts.append(f"### {text(language, 'sources')}")
            parts.append("\n".join(f"{s.marker}. **{s.term}**: {' '.join(s.quote.split())}" for s in e.sources))
    return "\n\n".join(parts) + "\n"


class View:
    """HTML of a conversation in one language. ``up`` leads from the page to the root of the app.

    ``keeps``: the page may keep the conversation in its tab. ``feedback``: the student may judge answers.
    """

    def __init__(self, language: str, up: str, keeps: bool = False, feedback: bool = False) -> None:
        self.language, self.up, self.keeps, self.feedback = language, up, keeps, feedback

    def say(self, key: str, **values: object) -> str:
        """A text of the interface, escaped."""
        return escape(text(self.language, key, **values))

    def conversation(self, exchanges: list[Exchange], told: str = "") -> str:
        """Every exchange, and a status line that a screen reader speaks when it changes.

        ``told`` is a word from us that stands below, until the conversation is drawn again.
        """
        turns = "".join(self._exchange(n, e, last=n == len(exchanges) - 1) for n, e in enumerate(exchanges))
        if exchanges and exchanges[0].shortened:
            turns = f'<p class="note">{self.say("shortened")}</p>{turns}'
        if told:
            turns += f'<p class="note">{escape(told)}</p>'
        status = self._status(exchanges[-1] if exchanges else None, told)
        label = self.say("conversation")
        data = f' data-kept="{escape(json.dumps(sent(exchanges), ensure_ascii=False))}"' if self.keeps else ""
        if exchanges and not exchanges[-1].busy:
            data += f' data-markdown="{escape(markdown(exchanges, self.language))}"'
        return f'<div class="turns" role="log" aria-live="off" aria-label="{label}"{data}>{turns}</div>{status}'

    def welcome(self, starters: list[str]) -> str:
        """What stands in an empty conversation."""
        return (
            f'<div class="welcome"><h2>{self.say("welcome")}</h2><p>{self.say("welcome_more")}</p>'
            f"{self._buttons('starters', starters) if starters else ''}</div>{self._status(None)}"
        )

    def notice(self, key: str) -> str:
        """A single message instead of a conversation."""
        return f'<div class="welcome"><p class="note" role="status">{self.say(key)}</p></div>'

    def _status(self, exchange: Exchange | None, told: str = "") -> str:
        """Spoken once: that work has begun, then the whole answer; or only what is ``told``."""
        if told or not exchange:
            said = told
        elif exchange.busy:
            said = exchange.note or text(self.language, "working")
        else:
            said = f"{exchange.unmarked} {exchange.note}".strip()
        return f'<p class="unseen" role="status" aria-live="polite">{escape(said)}</p>'

    def _exchange(self, number: int, e: Exchange, last: bool) -> str:
        parts = [f'<div class="said" lang="{detect(e.text)}">{self._cited(number, e)}</div>'] if e.text else []
        if e.note or e.state == "working":
            parts.append(f'<p class="note">{escape(e.note) or self.say("working")}</p>')
        if e.sources:
            parts.append(self._sources(number, e))
        if e.followups and last and not e.busy:
            parts.append(self._buttons("ask_on", e.followups, labelled=True))
        elif e.suggestions and not e.busy and (e.refused or last):
            asked = [text(self.language, "what_is", term=t) for t in e.suggestions]
            key = "did_you_mean" if e.refused else "see_also"
            parts.append(self._buttons(key, asked, e.suggestions, labelled=not e.refused))
        if not e.busy:
            parts.append(self._tools(number, e, last))
        return (
            f'<article class="turn {e.state}" aria-busy="{str(e.busy).lower()}">'
            f'<h2 class="asked"><span class="unseen">{self.say("you")}: </span>{escape(e.question)}</h2>'
            f'<div class="answer"><h3 class="unseen">{self.say("answer")}</h3>{"".join(parts)}</div></article>'
        )

    def _cited(self, number: int, e: Exchange) -> str:
        """The answer with its markers as buttons that open the source below.

        The end of the word before a marker stays on one line with it.
        """
        terms = {s.marker: s.term for s in e.sources}

        def button(marker: str) -> str:
            label = self.say("source", n=marker, term=terms[marker])
            target = f'data-source="k{number}-{marker}" aria-label="{label}"'
            return f'<button type="button" class="cite" {target}>{marker}</button>'

        def end(match: re.Match[str]) -> str:
            if match["marks"]:
                buttons = "".join(button(m) for m in re.findall(r"\d+", match["marks"]))
                return f'<span class="end">{match["word"]}{buttons}</span>{match["space"] or ""}'
            return "" if match["number"] else match[0]

        code = r"<(?P<tag>code|math)\b.*?</(?P=tag)>"
        ends = rf"(?P<word>[^\s<>]{{0,30}})(?P<marks>{e.marks})(?:(?P<space> ){NUMBER})?"
        running = re.sub(rf"{code}|^(?P<number>{NUMBER})|{ends}", end, render.inline(e.text), flags=re.DOTALL)
        return f"<p>{running}</p>"

    def _sources(self, number: int, e: Exchange) -> str:
        terms = escape(", ".join(dict.fromkeys(s.term for s in e.sources)))
        items = "".join(self._item(number, s) for s in e.sources)
        return (
            f'<details class="sources"><summary>{self.say("sources")}<span class="terms"> · {terms}</span></summary>'
            f"<ol>{items}</ol></details>"
        )

    def _item(self, number: int, s: Source) -> str:
        href = f"{self.up}ordliste/{quote(s.entry_id)}?sitat={quote(s.quote[:600])}#sitat"
        return (
            f'<li id="k{number}-{s.marker}" tabindex="-1"><span class="number" aria-hidden="true">{s.marker}</span>'
            f'<div><strong>{escape(s.term)}</strong><blockquote lang="{detect(s.quote)}">'
            f"{render.inline(s.quote)}</blockquote>"
            f'<a href="{escape(href)}" target="_blank" rel="noopener">{self.say("open_entry")}'
            f'<span class="unseen">: {escape(s.term)} ({self.say("new_tab")})</span></a></div></li>'
        )

    def _buttons(self, key: str, questions: list[str], labels: list[str] | None = None, labelled: bool = False) -> str:
        buttons = "".join(
            f'<button type="button" data-ask="{escape(q)}">{escape(label)}</button>'
            for q, label in zip(questions, labels or questions, strict=True)
        )
        heading = f'<span class="label">{self.say(key)}</span>' if labelled else ""
        return f'<div class="chips" role="group" aria-label="{self.say(key)}">{heading}{buttons}</div>'

    def _tools(self, number: int, e: Exchange, last: bool) -> str:
        copy = (
            f'<button type="button" data-copy="{escape(e.unmarked)}" data-done="{self.say("copied")}">'
            f"{self.say('copy')}</button>"
        )
        retry = f'<button type="button" data-ask="{escape(e.question)}">{self.say("retry")}</button>'
        tools = (copy if e.text else "") + (retry if last else "")
        thumbs = self._thumbs(number, e) if self.feedback and e.text else ""
        return f'<div class="tools">{tools}{thumbs}</div>' if tools or thumbs else ""

    def _thumbs(self, number: int, e: Exchange) -> str:
        """Two buttons, and a field for why that the script shows when one is pressed."""
        entries = list(dict.fromkeys(s.entry_id for s in e.sources))
        about = escape(json.dumps({"question": e.question, "answer": e.text, "entries": entries}, ensure_ascii=False))
        buttons = "".join(
            f'<button type="button" class="thumb {verdict}" data-verdict="{verdict}" aria-pressed="false">'
            f'<span class="unseen">{self.say(verdict)}</span></button>'
            for verdict in ("up", "down")
        )
        return (
            f'<span class="thumbs" role="group" aria-label="{self.say("helpful")}" data-turn="{number}" '
            f'data-about="{about}">{buttons}</span><span class="why" hidden><label for="why{number}">'
            f'{self.say("why_verdict")}</label><textarea id="why{number}" rows="2" maxlength="1000"></textarea>'
            f'<button type="button" data-why="1">{self.say("send")}</button></span>'
            f'<span class="thanks" role="status" data-thanks="{self.say("thanks")}" '
            f'data-sorry="{self.say("not_kept")}"></span>'
        )
