"""What hostile text can do in real Chromium (nothing), and what is stored there (the tab's own conversation)."""

from __future__ import annotations

import pytest
from browser import *  # noqa: F403
from browser import Open, answered, ask
from web import SCRIPT

pytestmark = pytest.mark.real


def test_hostile_questions_and_entries_are_inert(visit: Open) -> None:
    page = visit()
    for number, question in enumerate(
        (
            f"ond {SCRIPT}",
            "ond ![x](https://ond.example/y.png) <script>alert(1)</script>",
            "ond ${alert(1)} {{constructor.constructor('alert(1)')()}} @@title@@ {value}",
        )
    ):
        ask(page, question)
        assert question in answered(page, number + 1).locator(".asked").inner_text()
    page.click(".sources summary >> nth=0")
    assert page.locator("#log img, #log script, #log [onerror]").count() == 0
    assert visit("/ordliste/ond").locator("main img").count() == 0


@pytest.mark.parametrize(("path", "kept"), [("/", ["tutor:/"]), ("/widget/", [])])
def test_only_the_tab_s_own_conversation_is_stored(visit: Open, path: str, kept: list[str]) -> None:
    page = visit(path)
    ask(page, "Hva er dropout?")
    answered(page)
    assert page.context.cookies() == []
    assert page.evaluate("Object.keys(localStorage)") == []
    assert page.evaluate("Object.keys(sessionStorage)") == kept
    if kept:
        page.click("#new")
        page.wait_for_selector(".welcome .chips")
        assert page.evaluate("Object.keys(sessionStorage)") == []


@pytest.mark.parametrize(
    "kept",
    ["{", "[5]", '[{"question": "<img src=x onerror=alert(1)>", "note": "<b>x</b>"}]', "[" + "1," * 200_000 + "1]"],
)
def test_a_conversation_that_was_tampered_with_is_inert(visit: Open, kept: str) -> None:
    page = visit()
    page.evaluate("kept => sessionStorage.setItem('tutor:/', kept)", kept)
    page.reload()
    page.wait_for_selector("#log .chips, #log .tools")
    assert page.locator("#log img, #log b").count() == 0
    ask(page, "Hva er dropout?")
    page.wait_for_selector(".turn.done")
