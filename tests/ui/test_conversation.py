"""The conversation between browser and tutor: what is a marker, how much is kept, and what a refusal leaves there."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from html import unescape
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import SMALL
from web import Slow, make_tutor

from tutor.types import Answer, Citation
from ui import render
from ui.chat import _Chat
from ui.desk import Desk
from ui.settings import WebSettings
from ui.texts import LANGUAGES, text
from ui.turns import LARGEST, Exchange, View, history, markdown, received, sent

SAYS = "Under testing er alle nodene med."
BY: Any = SimpleNamespace(client=None, session_hash="tab")
"""The request of a page."""


def answered(said: str, sources: int = 1, question: str = "Hva er dropout?") -> Exchange:
    """An exchange that is done, with so many sources."""
    exchange = Exchange(question=question)
    cited = tuple(Citation(str(n), "dropout", "dropout", "Noder slås av.") for n in range(1, sources + 1))
    exchange.finish(Answer(question, said, False, "nb", cited))
    return exchange


def shown(*exchanges: Exchange) -> str:
    return View("nb", "./", keeps=True).conversation(list(exchanges))


def cites(html: str) -> list[str]:
    return re.findall(r'class="cite"[^>]*>(\d+)<', html)


@pytest.mark.parametrize(
    ("said", "markers", "without"),
    [
        ("Noder slås av. [1] Under testing er alle med. [2]", ["1", "2"], "Noder slås av. Under testing er alle med."),
        ("Begge sier det. [1] [2]", ["1", "2"], "Begge sier det."),
        ("Begge sier det. [1][2]", ["1", "2"], "Begge sier det."),
        ("Uten kilde. [7]", [], "Uten kilde. [7]"),
        ("Det første er x[0], det neste a[1]. [1]", ["1"], "Det første er x[0], det neste a[1]."),
        ("Feltet m[0][1] er et tall. [1]", ["1"], "Feltet m[0][1] er et tall."),
        ("Skriv `a [1] b[2]` i Python. [2]", ["2"], "Skriv `a [1] b[2]` i Python."),
        ("Bruk ``x ` [1]``. [1]", ["1"], "Bruk ``x ` [1]``."),
        ("Vektoren $x [1]$ og $$y [2]$$ er like. [1]", ["1"], "Vektoren $x [1]$ og $$y [2]$$ er like."),
    ],
)
def test_what_is_a_marker_and_what_is_not(said: str, markers: list[str], without: str) -> None:
    exchange = answered(said, sources=2)
    html = shown(exchange)
    assert cites(html) == markers
    assert [t.content for t in history([exchange])] == ["Hva er dropout?", without]
    copied = re.search(r'data-copy="([^"]*)"', html)
    spoken = re.search(r'role="status"[^>]*>([^<]*)<', html)
    assert copied and spoken and unescape(copied[1]) == unescape(spoken[1]) == without


def test_code_is_shown_as_it_stands() -> None:
    html = shown(answered("Skriv `x[0] - x[1]` eller `y [1] - z`, der a[1] - b er et tall. [1] 2. Så $p [1]$. [2]", 2))
    assert "<code>x[0] - x[1]</code>" in html and "<code>y [1] - z</code>" in html
    assert "der a[1] - b er et" in html and re.search(r"</span> Så <math", html)
    assert cites(html) == ["1", "2"]


def test_a_word_and_its_marker_stay_on_one_line() -> None:
    html = shown(answered("1. Noder slås av. [1] - `x[0]` [2]", 2))
    assert '<p>Noder slås <span class="end">av.<button' in html
    assert re.search(r'</button></span> <code>x\[0\]</code><span class="end"><button', html)


def long_conversation(turns: int) -> list[Exchange]:
    return [answered("Noder slås av. [1]", question=f"Hva er dropout nummer {n}?") for n in range(turns)]


def test_a_conversation_of_an_afternoon_is_kept_whole() -> None:
    exchanges = long_conversation(60)
    assert received(sent(exchanges)) == exchanges
    assert "dropout nummer 0?" in markdown(received(sent(exchanges)), "nb")


def test_of_a_conversation_that_is_too_large_the_newest_is_kept() -> None:
    exchanges = long_conversation(LARGEST // 100)
    kept = received(sent(exchanges))
    assert kept[1:] == exchanges[1 - len(kept) :]
    assert LARGEST * 0.99 < len("".join(e.model_dump_json() for e in kept)) <= LARGEST + 1
    assert [e.shortened for e in kept] == [True] + [False] * (len(kept) - 1)
    assert received(sent(kept)) == kept


def test_one_exchange_that_is_too_large_is_none() -> None:
    source = {"marker": "1", "entry_id": "dropout", "term": "d", "quote": "x" * 5000}
    assert received([{"question": "Hva?", "text": "x" * 20_000, "sources": [source] * 20}]) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_page_and_file_say_that_the_beginning_is_left_out(language: str) -> None:
    says = text(language, "shortened")
    kept = received(sent(long_conversation(LARGEST // 100)))
    assert markdown(kept, language).splitlines()[2] == f"*{says}*"
    assert View(language, "./").conversation(kept).count(f'<p class="note">{says}</p>') == 1
    assert says not in markdown(long_conversation(3), language)
    assert says not in View(language, "./").conversation(long_conversation(3))


def test_the_cache_of_formulas_does_not_grow_for_ever() -> None:
    for n in range(render.MOST_FORMULAS + 100):
        render.inline(f"${n}$")
    assert render._formula.cache_info().currsize == render.MOST_FORMULAS == 2000


@pytest.mark.parametrize("said", ["`" * 20_000, "".join("`" * n + "a" for n in range(1, 200)), "$" * 20_000])
def test_backticks_without_end_are_drawn_soon(said: str) -> None:
    began = time.monotonic()
    shown(answered(said[:20_000]))
    assert time.monotonic() - began < 5


def a_chat(**settings: Any) -> _Chat:
    desk = Desk(lambda: make_tutor(SMALL, Slow(says=SAYS)), WebSettings(**settings))
    desk.start()
    return _Chat(desk, "./", keeps=True)


async def steps(of: AsyncIterator[Any]) -> list[Any]:
    return [step async for step in of]


def asked(chat: _Chat, question: str, content: Any) -> list[Any]:
    return asyncio.run(steps(chat.ask(question, content, "nb", BY)))


LARGE = [{"question": "Hva er dropout?", "text": "Noder slås av. [1]", "state": "done"}]
ACTS: dict[str, Callable[[_Chat], Awaitable[Any]]] = {
    "open": lambda chat: steps(chat.open(LARGE, "nb")),
    "stop": lambda chat: chat.stopped(LARGE, "nb", BY),
    "ask": lambda chat: steps(chat.ask("Hva er regularisering?", LARGE, "nb", BY)),
}


@pytest.mark.parametrize("act", ACTS)
def test_the_others_do_not_wait_while_a_conversation_is_drawn(monkeypatch: pytest.MonkeyPatch, act: str) -> None:
    async def longest_wait() -> float:
        acting = asyncio.ensure_future(ACTS[act](chat))
        longest = 0.0
        while not acting.done():
            began = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - began)
        assert await acting
        return longest

    monkeypatch.setattr(View, "conversation", lambda *_, **__: time.sleep(1) or "tegnet")
    chat = a_chat(longest_question=5)  # it is drawn before the desk refuses it, and after
    assert asyncio.run(longest_wait()) < 0.8


@pytest.mark.parametrize(
    ("settings", "kind"),
    [({"questions_a_minute": 1}, "rate"), ({"longest_queue": 0}, "queue"), ({"longest_question": 14}, "long")],
)
def test_trying_again_keeps_the_answer_when_the_desk_refuses(settings: dict[str, int], kind: str) -> None:
    chat = a_chat(**settings)
    if kind == "rate":
        asked(chat, "Hva er weight decay?", [])
    kept = sent([answered("En annen node. [1]", question="Hva?"), answered("Noder slås av. [1]")])
    content, html, _ = asked(chat, "Hva er dropout?", kept)[-1]
    assert content == kept
    says = text("nb", kind, longest=14)
    assert f'<p class="note">{says}</p>' in html and f'aria-live="polite">{says}</p>' in html
    attributes = dict(re.findall(r'(data-kept|data-markdown)="([^"]*)"', html))
    for there in (*attributes.values(), html):
        assert "Noder slås av." in there and "En annen node." in there
    assert len(attributes) == 2 and says not in "".join(attributes.values())  # told once, not taken home


def test_what_is_asked_again_without_an_answer_is_told_why() -> None:
    failed = [{"question": "Hva er dropout?", "state": "failed", "note": "Før."}]
    ((turn,), html, _) = asked(a_chat(longest_queue=0), "Hva er dropout?", failed)[-1]
    assert (turn["state"], turn["note"]) == ("failed", text("nb", "queue")) and "Før." not in html


def test_trying_again_replaces_the_answer_and_remembers_what_was_left_out() -> None:
    kept = answered("Noder slås av. [1]")
    kept.shortened = True
    (turn,), html, _ = asked(a_chat(), "Hva er dropout?", sent([kept]))[-1]
    assert SAYS in turn["text"] and "Noder slås av." not in html
    assert turn["shortened"] and text("nb", "shortened") in html
